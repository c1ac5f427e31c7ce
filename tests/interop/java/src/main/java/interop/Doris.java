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

import java.util.Properties;
import org.apache.doris.flink.cfg.DorisExecutionOptions;
import org.apache.doris.flink.cfg.DorisOptions;
import org.apache.doris.flink.cfg.DorisReadOptions;

/** The connector's options, built from the command line. */
final class Doris {
    private Doris() {}

    static DorisOptions options(Arguments arguments, String table) {
        return DorisOptions.builder()
                .setFenodes(arguments.get("fenodes"))
                .setTableIdentifier(table)
                .setUsername(arguments.get("user", "root"))
                .setPassword(arguments.get("password", ""))
                .build();
    }

    static DorisReadOptions readOptions(Arguments arguments) {
        DorisReadOptions.Builder builder = DorisReadOptions.builder();
        if (arguments.flag("flight")) {
            builder.setUseFlightSql(true)
                    .setFlightSqlPort((int) arguments.number("flight_port", -1));
        }
        String field = arguments.get("field", "");
        if (!field.isEmpty()) {
            builder.setReadFields(field);
        }
        String filter = arguments.get("filter", "");
        if (!filter.isEmpty()) {
            builder.setFilterQuery(filter);
        }
        return builder.build();
    }

    static DorisExecutionOptions.Builder writing(Arguments arguments, Properties properties) {
        DorisExecutionOptions.Builder builder =
                DorisExecutionOptions.builder()
                        .setLabelPrefix(arguments.get("prefix"))
                        .setStreamLoadProp(properties);
        if (arguments.flag("batch_mode")) {
            builder.setBatchMode(true);
        }
        return builder;
    }

    static Properties csv() {
        Properties properties = new Properties();
        properties.setProperty("format", "csv");
        properties.setProperty("column_separator", ",");
        properties.setProperty("line_delimiter", "\n");
        return properties;
    }

    static Properties json() {
        Properties properties = new Properties();
        properties.setProperty("format", "json");
        properties.setProperty("read_json_by_line", "true");
        return properties;
    }
}
