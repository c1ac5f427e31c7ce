# Licensed to the Apache Software Foundation (ASF) under one
# or more contributor license agreements.  See the NOTICE file
# distributed with this work for additional information
# regarding copyright ownership.  The ASF licenses this file
# to you under the Apache License, Version 2.0 (the
# "License"); you may not use this file except in compliance
# with the License.  You may obtain a copy of the License at
#
#   http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing,
# software distributed under the License is distributed on an
# "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
# KIND, either express or implied.  See the License for the
# specific language governing permissions and limitations
# under the License.
"""Rivals that write the same rows to the same emulator, reported without a target."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_doris.client.contracts import LoadRequest
from beam_doris.client.stream_load import StreamLoader
from beam_doris.codec.encoder import encoder_for
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.schema.arrow_normalize import normalize
from beam_doris.schema.arrow_types import columns_of
from beam_doris.schema.python_values import to_dicts, to_tuples
from beam_doris.write.sink import WriteToDoris
from benchmarks.canned.table import rows_of, table_schema
from benchmarks.emulated import FLIGHTS, MIXED, Doris, emulated, flight_rows
from benchmarks.measure import Result, in_turn, timed
from benchmarks.read_rivals import JAVA_RATES


def run(quick: bool) -> list[Result]:
    """All cases."""
    rounds = 1 if quick else 3
    with emulated() as doris:
        results = [
            _two_phases(doris, 2_000 if quick else 600_000, rounds),
            _executemany(doris, 500 if quick else 20_000, rounds),
        ]
        if JAVA_RATES.exists():
            rates = json.loads(JAVA_RATES.read_text("utf-8"))["rates"]
            results.append(
                _java(doris, rates["write_streaming"], 5_000 if quick else 1_000_000, rounds)
            )
    return results


def _two_phases(doris: Doris, rows: int, rounds: int) -> Result:
    """A load of about 50 MB and its commit, by the same load in one phase."""
    batch = normalize(rows_of(rows), table_schema())
    encoder = encoder_for(WriteOptions(load_format=LoadFormat.ARROW), columns_of(batch.schema))
    body = encoder.encode(batch)
    doris.fresh(MIXED)

    def load(two_phase: bool) -> Callable[[], None]:
        def run_once() -> None:
            request = LoadRequest(
                table=MIXED,
                label=f"bench_{uuid.uuid4().hex}",
                headers=encoder.headers(),
                two_phase=two_phase,
            )
            with StreamLoader(doris.connection) as loader:
                done = loader.load(request, body)
                if two_phase:
                    loader.transactions.commit(MIXED.database, done.txn_id, done.label)

        return run_once

    both, plain = in_turn(load(True), load(False), rounds=rounds)
    return Result(
        name="write.2pc.overhead",
        ours=both.seconds,
        reference=plain.seconds,
        unit="s",
        what_reference_is=f"the same load of {len(body) / 1e6:.0f} MB in one phase, "
        "on the emulator",
        target=None if rows < 100_000 else 1.1,
        higher_is_better=False,
    )


def _piped(doris: Doris, table: TableId, rows: Callable[[], Iterator[Any]], **how: Any) -> None:
    """Writes in a pipeline, from its start to its end."""
    options = PipelineOptions(["--direct_num_workers=1"])
    with beam.Pipeline(runner=fn_runner.FnApiRunner(), options=options) as pipeline:
        made = pipeline | beam.Create([0]) | beam.FlatMap(lambda _: rows())
        made | WriteToDoris(
            doris.connection, table=table, label_prefix=f"b{uuid.uuid4().hex[:8]}", **how
        )


def _executemany(doris: Doris, rows: int, rounds: int) -> Result:
    batch = normalize(rows_of(rows), table_schema())
    dicts, tuples = to_dicts(batch), to_tuples(batch)
    marks = ", ".join(["%s"] * batch.num_columns)
    doris.fresh(MIXED)

    def insert() -> None:
        connection = doris.mysql()
        try:
            with connection.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {MIXED.sql()} VALUES ({marks})", tuples)
        finally:
            connection.close()

    ours, theirs = in_turn(lambda: _piped(doris, MIXED, lambda: iter(dicts)), insert, rounds=rounds)
    return Result(
        name="write.vs_executemany",
        ours=rows / ours.seconds,
        reference=rows / theirs.seconds,
        unit="rows/s",
        what_reference_is="pymysql's executemany, on the emulator; ours is a whole pipeline",
    )


def _java(doris: Doris, rate: dict[str, Any], rows: int, rounds: int) -> Result:
    """Ready CSV lines, as the Java side wrote them, by CPU second of the client's process."""
    names = flight_rows(1).schema.names
    doris.fresh(FLIGHTS)
    lines = [
        ",".join(str(value) for value in row) for row in to_tuples(flight_rows(min(rows, 10_000)))
    ]
    options = WriteOptions(
        load_format=LoadFormat.CSV,
        load_properties={"column_separator": ",", "columns": ",".join(names)},
    )

    def feed() -> Iterator[str]:
        for number in range(rows):
            yield lines[number % len(lines)]

    spent = sorted(
        timed(lambda: _piped(doris, FLIGHTS, feed, options=options)).cpu_seconds
        for _ in range(rounds)
    )[rounds // 2]
    return Result(
        name="write.vs_java_connector",
        ours=rows / spent,
        reference=rate["rows"] / rate["cpu_seconds"],
        unit="rows/CPU s",
        what_reference_is="the Java Flink connector, from docs/results/interop-rates.json: "
        "2 million ready CSV lines in streaming mode",
    )
