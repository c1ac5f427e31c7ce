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

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/** Runs a script as the SQL client would: SET is kept, INSERT is awaited, results are printed. */
final class FlinkSql {
    private static final Pattern SET =
            Pattern.compile("(?is)^SET\\s+'([^']+)'\\s*=\\s*'([^']*)'$");

    private FlinkSql() {}

    static void run(Arguments arguments) throws Exception {
        boolean streaming = !arguments.flag("batch");
        EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance();
        TableEnvironment tables =
                TableEnvironment.create(
                        (streaming ? settings.inStreamingMode() : settings.inBatchMode()).build());
        tables.getConfig().set("parallelism.default", arguments.get("parallelism", "1"));
        tables.getConfig().set("restart-strategy.type", "none");
        tables.getConfig().set("sql-client.execution.result-mode", "tableau");
        String script = arguments.fill(Files.readString(Path.of(arguments.get("script"))));
        for (String statement : statements(script)) {
            Matcher set = SET.matcher(statement);
            if (set.matches()) {
                tables.getConfig().set(set.group(1), set.group(2));
                continue;
            }
            TableResult result = tables.executeSql(statement);
            if (statement.regionMatches(true, 0, "INSERT", 0, 6)) {
                result.await();
            } else if (!statement.regionMatches(true, 0, "CREATE", 0, 6)
                    && !statement.regionMatches(true, 0, "USE", 0, 3)
                    && !statement.regionMatches(true, 0, "DROP", 0, 4)) {
                print(result);
            }
        }
    }

    private static void print(TableResult result) throws Exception {
        try (CloseableIterator<Row> rows = result.collect()) {
            while (rows.hasNext()) {
                Row row = rows.next();
                List<Object> cells = new ArrayList<>();
                for (int i = 0; i < row.getArity(); i++) {
                    cells.add(row.getField(i));
                }
                Rows.print(cells);
            }
        }
    }

    /** Splits at a semicolon that ends a line; comment lines are dropped. */
    private static List<String> statements(String script) {
        StringBuilder kept = new StringBuilder();
        for (String line : script.split("\n")) {
            if (!line.strip().startsWith("--")) {
                kept.append(line).append('\n');
            }
        }
        List<String> statements = new ArrayList<>();
        for (String part : kept.toString().split(";[ \\t]*\\n")) {
            if (!part.isBlank()) {
                statements.add(part.strip());
            }
        }
        return statements;
    }
}
