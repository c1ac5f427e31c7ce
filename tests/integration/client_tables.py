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
"""Tables and connections on a running emulator, for the tests of the clients."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from beam_doris.client.contracts import LoadRequest
from beam_doris.client.frontend import Frontend
from beam_doris.client.sql import SqlClient
from beam_doris.client.stream_load import StreamLoader
from beam_doris.emulator import Emulator
from beam_doris.emulator.clock import SystemClock
from beam_doris.options.connection import DorisConnection, Timeouts
from beam_doris.options.table_id import TableId

JSON_LINES = {"format": "json", "read_json_by_line": "true"}


def connection_to(emulator: Emulator, **changes: Any) -> DorisConnection:
    """A connection with short timeouts."""
    host, port = emulator.fe_http
    arguments: dict[str, Any] = {
        "fenodes": f"{host}:{port}",
        "username": "root",
        "password": "",
        "timeouts": Timeouts(
            connect=timedelta(seconds=2), read=timedelta(seconds=5), query=timedelta(seconds=30)
        ),
        **changes,
    }
    return DorisConnection(**arguments)


def lines(*ids: int) -> bytes:
    """Rows as JSON lines."""
    return b"".join(b'{"id":%d,"name":"n%d"}\n' % (each, each) for each in ids)


@dataclass
class Bench:
    """One table of its own, and clients for it."""

    emulator: Emulator
    connection: DorisConnection
    table: TableId
    frontend: Frontend
    loader: StreamLoader
    sql: SqlClient

    def request(self, label: str, *, two_phase: bool = True, deadline: float = 20) -> LoadRequest:
        return LoadRequest(
            table=self.table,
            label=label,
            headers=JSON_LINES,
            two_phase=two_phase,
            deadline=timedelta(seconds=deadline),
        )

    def rows(self) -> int:
        """How many rows can be seen now."""
        found = self.sql.query(f"SELECT count(*) FROM {self.table.sql()}").scalar()
        assert isinstance(found, int)
        return found

    def transactions(self, label: str) -> list[str]:
        """The states of all transactions under a label."""
        engine = self.emulator.engine
        return [
            each.state.name
            for each in engine.transactions.list(self.table.database)
            if each.label == label
        ]

    def advance(self, seconds: float) -> None:
        """Moves the cluster's clock."""
        clock = self.emulator.clock
        assert isinstance(clock, SystemClock)
        clock.advance(seconds)

    def fired(self, point: str) -> int:
        """How often a fault acted at a point."""
        return sum(each.rule.point == point for each in self.emulator.faults.fired())

    def close(self) -> None:
        self.emulator.faults.clear()
        self.loader.close()
        self.sql.close()
        self.frontend.close()


def bench_on(
    emulator: Emulator,
    columns: str = "id INT, name VARCHAR(40)",
    *,
    buckets: int = 6,
    replicas: int = 1,
    model: Callable[[], str] = lambda: "DUPLICATE KEY(id)",
) -> Bench:
    """A fresh database with one table."""
    connection = connection_to(emulator)
    table = TableId(f"c_{uuid.uuid4().hex[:10]}", "student")
    frontend = Frontend(connection)
    sql = SqlClient(connection, frontend=frontend)
    sql.execute(f"CREATE DATABASE {table.database}")
    sql.execute(
        f"CREATE TABLE {table.sql()} ({columns}) {model()} "
        f"DISTRIBUTED BY HASH(id) BUCKETS {buckets} "
        f"PROPERTIES ('replication_num' = '{replicas}')"
    )
    return Bench(
        emulator=emulator,
        connection=connection,
        table=table,
        frontend=frontend,
        loader=StreamLoader(connection, frontend=frontend),
        sql=sql,
    )
