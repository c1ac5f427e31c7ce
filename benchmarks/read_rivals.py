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
"""Rivals that read the same rows from the same emulator, reported without a target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from pymysql.cursors import SSCursor

from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.options.table_id import TableId
from beam_doris.read.source import ReadFromDoris
from beam_doris.schema.arrow_normalize import normalize
from benchmarks.canned.table import rows_of, table_schema
from benchmarks.emulated import FLIGHTS, MIXED, Doris, emulated, flight_rows
from benchmarks.measure import Result, in_turn, timed

JAVA_RATES = Path("docs/results/interop-rates.json")


def run(quick: bool) -> list[Result]:
    """All cases."""
    rows = 2_000 if quick else 200_000
    rounds = 1 if quick else 3
    with emulated() as doris:
        doris.fresh(MIXED)
        doris.load(MIXED, normalize(rows_of(rows), table_schema()))
        results = [_pymysql(doris, rows, rounds)]
        if JAVA_RATES.exists():
            count = 5_000 if quick else 1_000_000
            doris.fresh(FLIGHTS)
            doris.load(FLIGHTS, flight_rows(count))
            rates = json.loads(JAVA_RATES.read_text("utf-8"))["rates"]
            for name in ("read_flight", "read_thrift"):
                results.append(_java(doris, name, rates[name], count, rounds))
    return results


class _Discard(beam.DoFn):
    def process(self, row: Any) -> None:
        """Nothing."""


def _piped(doris: Doris, table: TableId, protocol: ReadProtocol) -> None:
    """Reads tuples in a pipeline, from its start to its end."""
    options = PipelineOptions(["--direct_num_workers=1"])
    with beam.Pipeline(runner=fn_runner.FnApiRunner(), options=options) as pipeline:
        rows = pipeline | ReadFromDoris(
            doris.connection, table=table, output="tuple", options=ReadOptions(protocol=protocol)
        )
        rows | beam.ParDo(_Discard())


def _pymysql(doris: Doris, rows: int, rounds: int) -> Result:
    def fetch() -> None:
        connection = doris.mysql(cursorclass=SSCursor)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {MIXED.sql()}")
                count = sum(1 for _ in cursor.fetchall_unbuffered())
        finally:
            connection.close()
        if count != rows:
            raise AssertionError(f"{count} of {rows} rows were read")

    ours, theirs = in_turn(lambda: _piped(doris, MIXED, ReadProtocol.FLIGHT), fetch, rounds=rounds)
    return Result(
        name="read.vs_pymysql",
        ours=rows / ours.seconds,
        reference=rows / theirs.seconds,
        unit="rows/s",
        what_reference_is="pymysql with a server-side cursor, on the emulator; "
        "ours is a whole pipeline of tuples",
    )


def _java(doris: Doris, name: str, rate: dict[str, Any], rows: int, rounds: int) -> Result:
    """Rows per CPU second of the client's process, start of the runner included on both sides."""
    protocol = ReadProtocol.FLIGHT if name.endswith("flight") else ReadProtocol.THRIFT
    spent = sorted(
        timed(lambda: _piped(doris, FLIGHTS, protocol)).cpu_seconds for _ in range(rounds)
    )[rounds // 2]
    return Result(
        name=f"read.vs_java_connector.{protocol.value}",
        ours=rows / spent,
        reference=rate["rows"] / rate["cpu_seconds"],
        unit="rows/CPU s",
        what_reference_is="the Java Flink connector, from docs/results/interop-rates.json: "
        "2 million rows of the same table on an emulator of its own run",
    )
