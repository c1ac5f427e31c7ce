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
"""An emulator in a process of its own, and the tables that rivals are compared on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pymysql

from beam_doris.client.contracts import LoadRequest
from beam_doris.client.stream_load import StreamLoader
from beam_doris.codec.encoder import encoder_for
from beam_doris.emulator.process import EmulatorProcess
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.schema.arrow_types import columns_of
from benchmarks.canned.table import ddl

MIXED = TableId("bench", "mixed")
FLIGHTS = TableId("bench", "flights")
_FLIGHT_INTEGERS = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "flight",
    "air_time",
    "distance",
    "hour",
    "minute",
]
_FLIGHT_TEXTS = {"carrier": 8, "tailnum": 16, "origin": 8, "dest": 8}
_LOAD_ROWS = 100_000


class Doris:
    """What a benchmark needs of a running emulator."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.mysql_port = int(ready["fe_mysql"])
        self.connection = DorisConnection(
            fenodes=f"127.0.0.1:{ready['fe_http']}", username="root", password=""
        )

    def mysql(self, **options: Any) -> Any:
        """A connection of a client that others wrote."""
        return pymysql.connect(
            host="127.0.0.1", port=self.mysql_port, user="root", autocommit=True, **options
        )

    def sql(self, *statements: str) -> None:
        """Runs statements."""
        connection = self.mysql()
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    def fresh(self, table: TableId, buckets: int = 8) -> None:
        """The table, empty."""
        create = flights_ddl(buckets) if table == FLIGHTS else ddl(table, buckets)
        self.sql(
            f"CREATE DATABASE IF NOT EXISTS {table.database}",
            f"DROP TABLE IF EXISTS {table.sql()}",
            create,
        )

    def load(self, table: TableId, rows: pa.RecordBatch) -> None:
        """Loads rows in one phase, outside of what is measured."""
        encoder = encoder_for(WriteOptions(load_format=LoadFormat.ARROW), columns_of(rows.schema))
        with StreamLoader(self.connection) as loader:
            for start in range(0, rows.num_rows, _LOAD_ROWS):
                request = LoadRequest(
                    table=table,
                    label=f"bench_{table.table}_{start}",
                    headers=encoder.headers(),
                    two_phase=False,
                )
                loader.load(request, encoder.encode(rows.slice(start, _LOAD_ROWS)))


@contextmanager
def emulated() -> Iterator[Doris]:
    """A cluster of three backends in a process of its own, in memory."""
    with EmulatorProcess(backends=3, seed=1) as process:
        yield Doris(process.ready)


def flights_ddl(buckets: int) -> str:
    """The table that the interop rates of the Java connector were taken on."""
    columns = ", ".join(
        [f"{name} INT" for name in _FLIGHT_INTEGERS[:9]]
        + ["carrier VARCHAR(8)", "flight INT", "tailnum VARCHAR(16)"]
        + ["origin VARCHAR(8)", "dest VARCHAR(8)"]
        + [f"{name} INT" for name in _FLIGHT_INTEGERS[10:]]
        + ["time_hour DATETIME"]
    )
    return (
        f"CREATE TABLE {FLIGHTS.sql()} ({columns}) DUPLICATE KEY(year, month, day) "
        f"DISTRIBUTED BY HASH(flight) BUCKETS {buckets} PROPERTIES ('replication_num' = '1')"
    )


def flight_rows(count: int) -> pa.RecordBatch:
    """Rows of that table, in its column order."""
    chance = np.random.default_rng(7)
    numbers = {
        name: pa.array(chance.integers(1, 2400, count).astype(np.int32))
        for name in _FLIGHT_INTEGERS
    }
    texts = {
        name: pa.array([f"{name[0].upper()}{n}" for n in range(40)]).take(
            pa.array(chance.integers(0, 40, count))
        )
        for name in _FLIGHT_TEXTS
    }
    seconds = np.datetime64("2013-01-01", "s") + chance.integers(0, 31536000, count).astype(
        "timedelta64[s]"
    )
    order = [*_FLIGHT_INTEGERS[:9], "carrier", "flight", "tailnum", "origin", "dest"]
    order += _FLIGHT_INTEGERS[10:]
    arrays = [numbers.get(name, texts.get(name)) for name in order]
    arrays.append(pa.array(seconds).cast(pa.timestamp("us")))
    return pa.RecordBatch.from_arrays(arrays, names=[*order, "time_hour"])
