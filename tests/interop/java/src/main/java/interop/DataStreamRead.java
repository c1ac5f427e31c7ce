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

import java.util.List;
import org.apache.doris.flink.deserialization.SimpleListDeserializationSchema;
import org.apache.doris.flink.source.DorisSource;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.CloseableIterator;

/** Reading with the DataStream interface, with or without a column list and a filter. */
final class DataStreamRead {
    private DataStreamRead() {}

    static void run(Arguments arguments) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setParallelism((int) arguments.number("parallelism", 1));
        try (CloseableIterator<List<?>> rows =
                env.fromSource(
                                source(arguments),
                                WatermarkStrategy.noWatermarks(),
                                "doris source")
                        .executeAndCollect("Doris Source Test")) {
            while (rows.hasNext()) {
                Rows.print(rows.next());
            }
        }
    }

    static DorisSource<List<?>> source(Arguments arguments) {
        return DorisSource.<List<?>>builder()
                .setDorisOptions(Doris.options(arguments, arguments.get("table")))
                .setDorisReadOptions(Doris.readOptions(arguments))
                .setDeserializer(new SimpleListDeserializationSchema())
                .build();
    }
}
