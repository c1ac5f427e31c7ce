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
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import org.apache.doris.flink.cfg.DorisOptions;
import org.apache.doris.flink.cfg.DorisReadOptions;
import org.apache.doris.flink.sink.DorisSink;
import org.apache.doris.flink.sink.batch.RecordWithMeta;
import org.apache.doris.flink.sink.writer.LoadConstants;
import org.apache.doris.flink.sink.writer.serializer.JsonDebeziumSchemaSerializer;
import org.apache.doris.flink.sink.writer.serializer.RecordWithMetaSerializer;
import org.apache.doris.flink.sink.writer.serializer.RowDataSerializer;
import org.apache.doris.flink.sink.writer.serializer.SimpleStringSerializer;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.util.Collector;

/** The manual's programs that write with the DataStream interface. */
final class DataStreamWrite {
    private DataStreamWrite() {}

    private static StreamExecutionEnvironment environment() {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setParallelism(1);
        env.enableCheckpointing(10000);
        return env;
    }

    static void stringJson(Arguments arguments) throws Exception {
        strings(
                arguments,
                Doris.json(),
                Arrays.asList(
                        "{\"id\":3,\"name\":\"Michael\",\"age\":28}",
                        "{\"id\":4,\"name\":\"David\",\"age\":38}"));
    }

    static void stringCsv(Arguments arguments) throws Exception {
        strings(arguments, Doris.csv(), Arrays.asList("3,Michael,28", "4,David,38"));
    }

    private static void strings(Arguments arguments, Properties properties, List<String> data)
            throws Exception {
        StreamExecutionEnvironment env = environment();
        DorisSink.Builder<String> builder = DorisSink.builder();
        builder.setDorisReadOptions(DorisReadOptions.builder().build())
                .setDorisExecutionOptions(
                        Doris.writing(arguments, properties).setDeletable(false).build())
                .setSerializer(new SimpleStringSerializer())
                .setDorisOptions(Doris.options(arguments, arguments.get("table")));
        env.fromCollection(data).sinkTo(builder.build());
        env.execute("doris test");
    }

    static void rowData(Arguments arguments) throws Exception {
        StreamExecutionEnvironment env = environment();
        DorisSink.Builder<RowData> builder = DorisSink.builder();
        boolean json = arguments.flag("json");
        String[] fields = {"id", "name", "age"};
        DataType[] types = {DataTypes.INT(), DataTypes.VARCHAR(256), DataTypes.INT()};
        RowDataSerializer.Builder serializer =
                RowDataSerializer.builder().setFieldNames(fields).setFieldType(types);
        serializer =
                json
                        ? serializer.setType(LoadConstants.JSON)
                        : serializer.setType(LoadConstants.CSV).setFieldDelimiter(",");
        builder.setDorisReadOptions(DorisReadOptions.builder().build())
                .setDorisExecutionOptions(
                        Doris.writing(arguments, json ? Doris.json() : Doris.csv())
                                .setDeletable(false)
                                .build())
                .setSerializer(serializer.build())
                .setDorisOptions(Doris.options(arguments, arguments.get("table")));
        DataStream<RowData> source =
                env.fromData("")
                        .flatMap(
                                new FlatMapFunction<String, RowData>() {
                                    @Override
                                    public void flatMap(String ignored, Collector<RowData> out) {
                                        out.collect(student(1, "Michael", 18));
                                        out.collect(student(2, "David", 38));
                                    }
                                })
                        .returns(RowData.class);
        source.sinkTo(builder.build());
        env.execute("doris test");
    }

    private static RowData student(int id, String name, int age) {
        GenericRowData row = new GenericRowData(3);
        row.setField(0, id);
        row.setField(1, StringData.fromString(name));
        row.setField(2, age);
        return row;
    }

    /** The events come from a file of Debezium records, one a line, instead of a live database. */
    static void debezium(Arguments arguments) throws Exception {
        StreamExecutionEnvironment env = environment();
        DorisOptions options = Doris.options(arguments, arguments.get("table"));
        DorisSink.Builder<String> builder = DorisSink.builder();
        builder.setDorisReadOptions(DorisReadOptions.builder().build())
                .setDorisExecutionOptions(
                        Doris.writing(arguments, Doris.json()).setDeletable(true).build())
                .setDorisOptions(options)
                .setSerializer(
                        JsonDebeziumSchemaSerializer.builder().setDorisOptions(options).build());
        List<String> events = Files.readAllLines(Path.of(arguments.get("events")));
        env.fromCollection(events).sinkTo(builder.build());
        env.execute("debezium");
    }

    static void multiTable(Arguments arguments) throws Exception {
        StreamExecutionEnvironment env = environment();
        DorisSink.Builder<RecordWithMeta> builder = DorisSink.builder();
        builder.setDorisReadOptions(DorisReadOptions.builder().build())
                .setDorisExecutionOptions(
                        Doris.writing(arguments, Doris.csv()).setDeletable(false).build())
                .setDorisOptions(Doris.options(arguments, ""))
                .setSerializer(new RecordWithMetaSerializer());
        String database = arguments.get("database");
        RecordWithMeta record = new RecordWithMeta(database, "student_1", "1,David,18");
        RecordWithMeta record1 = new RecordWithMeta(database, "student_2", "1,Jack,28");
        env.fromCollection(Arrays.asList(record, record1)).sinkTo(builder.build());
        env.execute("doris multi table test");
    }
}
