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

import org.apache.doris.flink.cfg.DorisReadOptions;
import org.apache.doris.flink.sink.DorisSink;
import org.apache.doris.flink.sink.writer.serializer.SimpleStringSerializer;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * A sequence written in two phases, made to be killed from outside.
 *
 * <p>With {@code block_at=N} a second branch never finishes its part of checkpoint N: the writer
 * has pre-committed by then, yet no checkpoint knows of it.
 */
final class Failover {
    private Failover() {}

    static void run(Arguments arguments) throws Exception {
        Configuration conf = new Configuration();
        conf.setString("execution.checkpointing.interval", arguments.get("interval", "2s"));
        conf.setString("state.checkpoints.dir", arguments.get("checkpoints"));
        conf.setString("state.checkpoints.num-retained", "3");
        conf.setString(
                "execution.checkpointing.externalized-checkpoint-retention",
                "RETAIN_ON_CANCELLATION");
        conf.setString("restart-strategy.type", "none");
        String restore = arguments.get("restore", "");
        if (!restore.isEmpty()) {
            conf.setString("execution.savepoint.path", restore);
        }
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.getExecutionEnvironment(conf);
        env.setParallelism((int) arguments.number("parallelism", 1));

        GeneratorFunction<Long, String> line = i -> i + ",value" + i;
        DataStream<String> rows =
                env.fromSource(
                                new DataGeneratorSource<>(
                                        line,
                                        arguments.number("rows", 1000),
                                        RateLimiterStrategy.perSecond(
                                                arguments.number("per_second", 100)),
                                        Types.STRING),
                                WatermarkStrategy.noWatermarks(),
                                "sequence")
                        .uid("sequence");

        DorisSink.Builder<String> builder = DorisSink.builder();
        builder.setDorisReadOptions(DorisReadOptions.builder().build())
                .setDorisExecutionOptions(
                        Doris.writing(arguments, Doris.csv()).setDeletable(false).build())
                .setSerializer(new SimpleStringSerializer())
                .setDorisOptions(Doris.options(arguments, arguments.get("table")));
        rows.sinkTo(builder.build()).uid("doris");

        rows.map(new Blocker(arguments.number("block_at", -1)))
                .disableChaining()
                .uid("blocker")
                .sinkTo(new DiscardingSink<>())
                .uid("nowhere");
        env.execute("failover");
    }

    /** Holds one checkpoint open for ever. */
    private static final class Blocker extends RichMapFunction<String, String>
            implements CheckpointedFunction {
        private final long blockAt;

        Blocker(long blockAt) {
            this.blockAt = blockAt;
        }

        @Override
        public String map(String value) {
            return value;
        }

        @Override
        public void snapshotState(FunctionSnapshotContext context) throws Exception {
            if (context.getCheckpointId() == blockAt) {
                Thread.sleep(Long.MAX_VALUE);
            }
        }

        @Override
        public void initializeState(FunctionInitializationContext context) {}
    }
}
