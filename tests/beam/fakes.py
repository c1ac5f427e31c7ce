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
"""Clients that answer from memory, for what needs no server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa

from beam_doris.client.contracts import (
    CommitOutcome,
    FrontendInfo,
    LoadRequest,
    LoadResult,
    LoadState,
    QueryPlan,
    QueryRows,
    TabletGroup,
    TabletPlan,
)
from beam_doris.errors import ConnectError, DorisError, NotFoundError
from beam_doris.options.connection import DorisConnection, Timeouts
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import Column, TableModel, TableSchema
from beam_doris.schema.types import parse_type


def connection(port: int = 1) -> DorisConnection:
    """A connection to nowhere, or to a frontend's port on this machine."""
    short = Timeouts(connect=timedelta(seconds=2), read=timedelta(seconds=20))
    return DorisConnection(
        fenodes=f"127.0.0.1:{port}", username="root", password="", timeouts=short
    )


def column(name: str, kind: str, **more: Any) -> Column:
    """A column by the text of its type."""
    return Column(name=name, type=parse_type(kind), **more)


STUDENT = TableSchema(
    table=TableId("test", "student"),
    model=TableModel.UNIQUE,
    columns=(
        column("id", "INT", key=True, nullable=False),
        column("name", "VARCHAR(256)"),
        column("age", "INT"),
    ),
)


@dataclass
class FakeFrontend:
    """Knows tables and tablets."""

    schemas: dict[str, TableSchema] = field(default_factory=lambda: {"test.student": STUDENT})
    tablets: int = 4
    flight: bool = False
    error: DorisError | None = None

    def schema(self, table: TableId) -> TableSchema:
        """The schema, or as a server says that there is none."""
        if self.error is not None:
            raise self.error
        if str(table) not in self.schemas:
            raise NotFoundError(f"Unknown table '{table.table}'", table=table)
        return self.schemas[str(table)]

    def query(self, sql: str, database: str | None = None) -> QueryRows:
        """Accepts everything."""
        return QueryRows()

    def frontends(self) -> tuple[FrontendInfo, ...]:
        """One frontend."""
        return (
            FrontendInfo(host="127.0.0.1", http_port=1, flight_port=2 if self.flight else None),
        )

    known_frontends = frontends

    def count(self, table: TableId) -> int:
        """Ten rows a tablet."""
        return 10 * self.tablets

    def plan(self, table: TableId, columns: tuple[str, ...], filter: str | None) -> QueryPlan:
        """Tablets 100, 101, ... with a replica on each of three backends."""
        backends = ("a:1", "b:1", "c:1")
        return QueryPlan(
            table=table,
            columns=tuple(columns),
            filter=filter,
            tablets=tuple(TabletPlan(100 + i, backends, 2) for i in range(self.tablets)),
            opaque="plan" if self.tablets else "",
        )


@dataclass
class FakeScanner:
    """Serves ten rows a tablet in two batches; fails where it is told to.

    Args:
        failures: Scans that fail, by tablet: after how many batches each attempt does.
        seconds: What each tablet takes.
    """

    failures: dict[int, list[int]] = field(default_factory=dict)
    scans: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    seconds: float = 0.0

    def scan(
        self, group: TabletGroup, table: TableId, opaque: str, options: Any
    ) -> Iterator[pa.RecordBatch]:
        """Batches of the tablets of a group."""
        assert opaque == "plan"
        self.scans.append((group.backend, group.tablets))
        for tablet in group.tablets:
            planned = self.failures.get(tablet, [])
            after = planned.pop(0) if planned else None
            time.sleep(self.seconds)
            for number in range(2):
                if after == number:
                    raise ConnectError("the backend hung up", host=group.backend)
                ids = [tablet * 100 + number * 5 + i for i in range(5)]
                yield pa.record_batch(
                    {
                        "age": pa.array([i % 7 for i in ids], pa.int32()),
                        "id": pa.array(ids, pa.int32()),
                        "name": pa.array([f"n{i}" for i in ids]),
                    }
                )


@dataclass
class FakeCluster:
    """Loads, their states, and what became visible; stands in for loader and transactions."""

    loads: dict[str, FakeLoad] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    fail_finish: DorisError | None = None
    fail_commit: list[DorisError] = field(default_factory=list)

    @property
    def transactions(self) -> FakeCluster:
        """The loader's own transactions."""
        return self

    def open(self, request: LoadRequest) -> FakeLoad:
        """Begins a load."""
        assert request.label is not None
        assert request.label not in self.loads
        load = self.loads[request.label] = FakeLoad(self, request, 1000 + len(self.loads))
        return load

    def commit(self, database: str, txn_id: int | None, label: str | None) -> CommitOutcome:
        """Commits, any number of times."""
        assert label is not None
        self.commits.append(label)
        if self.fail_commit:
            raise self.fail_commit.pop(0)
        load = self.loads[label]
        already = load.state is LoadState.VISIBLE
        assert already or load.state is LoadState.PRECOMMITTED
        load.state = LoadState.VISIBLE
        return CommitOutcome(database=database, txn_id=txn_id, label=label, already=already)

    def abort(self, database: str, txn_id: int | None, label: str | None) -> bool:
        """Aborts what is not visible."""
        assert label is not None
        self.loads[label].state = LoadState.ABORTED
        return True

    def states(self) -> list[LoadState]:
        """The states of all loads, in order of their beginning."""
        return [load.state for load in self.loads.values()]

    def visible(self) -> bytes:
        """The bodies of all visible loads."""
        loads = self.loads.values()
        return b"".join(bytes(x.body) for x in loads if x.state is LoadState.VISIBLE)


class FakeLoad:
    """One load."""

    def __init__(self, cluster: FakeCluster, request: LoadRequest, txn_id: int) -> None:
        self.request = request
        self.txn_id = txn_id
        self.body = bytearray()
        self.state = LoadState.LOADING
        self._cluster = cluster

    def write(self, chunk: bytes) -> None:
        """Keeps the bytes."""
        self.body += chunk

    def finish(self) -> LoadResult:
        """Pre-commits."""
        if self._cluster.fail_finish is not None:
            self.state = LoadState.ABORTED
            raise self._cluster.fail_finish
        self.state = LoadState.PRECOMMITTED
        return LoadResult(
            table=self.request.table,
            label=self.request.label or "",
            txn_id=self.txn_id,
            state=self.state,
            rows_loaded=self.body.count(b"\n"),
        )

    def abort(self) -> None:
        """Drops the load."""
        if self.state is not LoadState.PRECOMMITTED:
            self.state = LoadState.ABORTED
