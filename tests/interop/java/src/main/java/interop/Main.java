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

import java.util.Map;
import java.util.TreeMap;

/** Runs one scenario: {@code Main <scenario> key=value ...}; the exit status tells the outcome. */
public final class Main {
    interface Scenario {
        void run(Arguments arguments) throws Exception;
    }

    private static final Map<String, Scenario> SCENARIOS = new TreeMap<>();

    static {
        SCENARIOS.put("sql", FlinkSql::run);
        SCENARIOS.put("read", DataStreamRead::run);
        SCENARIOS.put("string_json", DataStreamWrite::stringJson);
        SCENARIOS.put("string_csv", DataStreamWrite::stringCsv);
        SCENARIOS.put("row_data", DataStreamWrite::rowData);
        SCENARIOS.put("debezium", DataStreamWrite::debezium);
        SCENARIOS.put("multi_table", DataStreamWrite::multiTable);
        SCENARIOS.put("failover", Failover::run);
        SCENARIOS.put("jdbc", Jdbc::run);
        SCENARIOS.put("rate_read", Rates::read);
        SCENARIOS.put("rate_write", Rates::write);
    }

    private Main() {}

    public static void main(String[] words) {
        int status = 0;
        try {
            Scenario scenario = words.length == 0 ? null : SCENARIOS.get(words[0]);
            if (scenario == null) {
                throw new IllegalArgumentException("scenarios: " + SCENARIOS.keySet());
            }
            scenario.run(new Arguments(words, 1));
            System.out.println("DONE");
        } catch (Throwable failure) {
            failure.printStackTrace();
            status = 1;
        }
        System.out.flush();
        // the clients leave threads behind that would keep the process alive
        Runtime.getRuntime().halt(status);
    }
}
