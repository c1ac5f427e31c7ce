/*
 * Licensed to the Apache Software Foundation (ASF) under one
 * or more contributor license agreements.  See the NOTICE file
 * distributed with this work for additional information
 * regarding copyright ownership.  The ASF licenses this file
 * to you under the Apache License, Version 2.0 (the
 * "License"); you may not use this file except in compliance
 * with the License.  You may obtain a copy of the License at
 *
 *   http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing,
 * software distributed under the License is distributed on an
 * "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
 * KIND, either express or implied.  See the License for the
 * specific language governing permissions and limitations
 * under the License.
 */
package interop;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;

/** MySQL Connector/J: DDL, typed results, parameters, metadata, errors and refused logins. */
final class Jdbc {
    private static final String TABLE =
            "CREATE TABLE jdbc_types (id INT, flag BOOLEAN, small SMALLINT, big BIGINT, huge LARGEINT,"
                    + " f FLOAT, d DOUBLE, dec_ DECIMAL(18, 4), day DATE, at DATETIME(3), c CHAR(4),"
                    + " v VARCHAR(200)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2"
                    + " PROPERTIES ('replication_num' = '1')";

    private Jdbc() {}

    static void run(Arguments arguments) throws Exception {
        String url = arguments.get("url");
        try (Connection connection = DriverManager.getConnection(url, "root", "")) {
            try (Statement statement = connection.createStatement()) {
                statement.execute("DROP TABLE IF EXISTS jdbc_types");
                statement.execute(TABLE);
            }
            insert(connection);
            select(connection);
            metadata(connection);
            errors(connection);
        }
        refused(url, arguments.get("known_user"), "wrong");
        refused(url, "nobody_knows_me", "");
    }

    private static void insert(Connection connection) throws SQLException {
        try (PreparedStatement insert =
                connection.prepareStatement(
                        "INSERT INTO jdbc_types VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
            insert.setInt(1, 1);
            insert.setBoolean(2, true);
            insert.setShort(3, (short) -32768);
            insert.setLong(4, Long.MAX_VALUE);
            insert.setString(5, "170141183460469231731687303715884105727");
            insert.setFloat(6, 1.5f);
            insert.setDouble(7, -2.25);
            insert.setBigDecimal(8, new BigDecimal("12345678901234.5678"));
            insert.setDate(9, Date.valueOf(LocalDate.of(2024, 2, 29)));
            insert.setTimestamp(10, Timestamp.valueOf("2024-02-29 23:59:59.123"));
            insert.setString(11, "abcd");
            insert.setString(12, "it's \"quoted\" \\ and \u4e2d\u6587");
            Rows.print("inserted", insert.executeUpdate());
            insert.setInt(1, 2);
            for (int i = 2; i <= 12; i++) {
                insert.setNull(i, Types.VARCHAR);
            }
            Rows.print("inserted", insert.executeUpdate());
        }
    }

    private static void select(Connection connection) throws SQLException {
        try (PreparedStatement query =
                connection.prepareStatement(
                        "SELECT * FROM jdbc_types WHERE id >= ? AND id < ? ORDER BY id")) {
            query.setInt(1, 1);
            query.setInt(2, 100);
            for (int round = 0; round < 2; round++) {
                try (ResultSet rows = query.executeQuery()) {
                    ResultSetMetaData meta = rows.getMetaData();
                    while (rows.next()) {
                        List<Object> cells = new ArrayList<>();
                        cells.add("typed");
                        for (int i = 1; i <= meta.getColumnCount(); i++) {
                            cells.add(rows.getObject(i));
                        }
                        Rows.print(cells);
                    }
                    List<Object> types = new ArrayList<>();
                    types.add("types");
                    for (int i = 1; i <= meta.getColumnCount(); i++) {
                        types.add(meta.getColumnTypeName(i));
                    }
                    Rows.print(types);
                }
            }
        }
        try (PreparedStatement query =
                connection.prepareStatement("SELECT id FROM jdbc_types WHERE v = ?")) {
            query.setString(1, "it's \"quoted\" \\ and \u4e2d\u6587");
            try (ResultSet rows = query.executeQuery()) {
                Rows.print("found", rows.next() ? rows.getInt(1) : -1);
            }
        }
    }

    private static void metadata(Connection connection) throws SQLException {
        Rows.print("catalog", connection.getCatalog());
        try (ResultSet columns =
                connection.getMetaData().getColumns(connection.getCatalog(), null, "jdbc_types", "%")) {
            while (columns.next()) {
                Rows.print("column", columns.getString("COLUMN_NAME"));
            }
        }
    }

    private static void errors(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery("SELECT * FROM no_such_table");
            Rows.print("error", "none");
        } catch (SQLException expected) {
            Rows.print("error", expected.getMessage());
        }
        // the connection lives on after a failed statement
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT 1")) {
            rows.next();
            Rows.print("alive", rows.getInt(1));
        }
    }

    private static void refused(String url, String user, String password) {
        try (Connection connection = DriverManager.getConnection(url, user, password)) {
            Rows.print("refused", user, "no");
        } catch (SQLException expected) {
            Rows.print("refused", user, expected.getMessage());
        }
    }
}
