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
"""What goes into the clients and what comes out of them: values without behavior of their own.

Every exchange with Doris is a frozen request and a frozen result. Nothing here does I/O, and
nothing here knows Beam; all of it pickles.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from beam_doris.errors import ConfigError
from beam_doris.options.connection import Node
from beam_doris.options.table_id import TableId


class LoadState(enum.Enum):
    """The life of a load as the server tells it (P 3.3)."""

    UNKNOWN = "UNKNOWN"
    """Never seen, already forgotten, or not yet asked for."""
    LOADING = "PREPARE"
    PRECOMMITTED = "PRECOMMITTED"
    COMMITTED = "COMMITTED"
    VISIBLE = "VISIBLE"
    ABORTED = "ABORTED"

    @property
    def is_committed(self) -> bool:
        """Whether the rows are, or surely will become, visible."""
        return self in (LoadState.COMMITTED, LoadState.VISIBLE)


# ------------------------------------------------------------------------------------- loading


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """One stream load.

    Args:
        table: The table; loads go to the internal catalog only.
        label: The load's name. It stays the same over every retry. None only together with a
            `group_commit` header, which forbids labels.
        headers: Of the encoder and the user: format, columns, separators, ... Sent as they are.
        two_phase: Pre-commit only; the rows become visible by a commit of the result.
        gzip: The body is gzip already; announced by `compress_type`.
        deadline: For everything: finding a backend, sending, retrying, settling lost answers.
        replay_bytes: Up to this size, a body that was pushed in pieces is kept so that it can be
            sent again to another backend.
        retries: How often it is repeated; None as the loader is set up.
        await_slot: Wait when the database allows no further transaction. Pointless where the
            commits that would free one stand behind this very load.
    """

    table: TableId
    label: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    two_phase: bool = True
    gzip: bool = False
    deadline: timedelta = timedelta(minutes=10)
    replay_bytes: int = 64 << 20
    retries: int | None = None
    await_slot: bool = True

    def __post_init__(self) -> None:
        problems = []
        names = {name.lower(): value for name, value in self.headers.items()}
        grouped = names.get("group_commit", "off_mode") != "off_mode"
        if not self.table.is_internal:
            problems.append("loads go to tables of the internal catalog only")
        if grouped and self.label is not None:
            problems.append("group_commit and a label exclude each other")
        if grouped and self.two_phase:
            problems.append("group_commit and two-phase commit exclude each other")
        if not grouped and not self.label:
            problems.append("a load needs a label")
        problems += [
            f"header {name!r} is set by the client itself"
            for name in ("label", "two_phase_commit", "authorization", "expect", "content-length")
            if name in names
        ]
        if self.deadline <= timedelta(0):
            problems.append("deadline is not positive")
        if self.retries is not None and self.retries < 0:
            problems.append("retries is at least 0")
        if problems:
            raise ConfigError(problems, subject="LoadRequest", table=self.table)

    @property
    def group_commit(self) -> bool:
        """Whether the server groups this load with others, without a label of its own."""
        return self.label is None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """A load that reached its goal: pre-committed (two-phase) or committed.

    Args:
        table: The table.
        label: The label; with group commit the shared one that the server chose.
        txn_id: The transaction. None when the answer was lost, the state was asked for by label,
            and no node could tell the id: then the label stands for it.
        state: PRECOMMITTED, COMMITTED or VISIBLE.
        rows_total: Rows the server read; None when its answer was lost.
        rows_loaded: Rows it kept.
        rows_filtered: Rows it refused within `max_filter_ratio`.
        rows_unselected: Rows dropped by `where`.
        load_bytes: Bytes of the body, as sent.
        adopted: The load was found done: an earlier attempt's answer had been lost.
        attempts: How often the body was sent.
        host: The backend that answered.
        seconds: From the call until the result.
        server_times: The `...TimeMs` figures of the answer, by their names.
        error_url: Where the backend serves the filtered rows.
    """

    table: TableId
    label: str
    txn_id: int | None
    state: LoadState
    rows_total: int | None = None
    rows_loaded: int | None = None
    rows_filtered: int | None = None
    rows_unselected: int | None = None
    load_bytes: int = 0
    adopted: bool = False
    attempts: int = 1
    host: str | None = None
    seconds: float = 0.0
    server_times: Mapping[str, int] = field(default_factory=dict)
    error_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitOutcome:
    """A transaction that is committed for sure.

    Args:
        database: Its database.
        txn_id: Its id, where known.
        label: Its label, where known.
        state: COMMITTED or VISIBLE.
        already: It had been committed before this call.
    """

    database: str
    txn_id: int | None
    label: str | None
    state: LoadState = LoadState.COMMITTED
    already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """One refused row.

    Args:
        reason: The server's words, without what it quoted of the row.
        line: The source line; None unless it was asked for.
    """

    reason: str
    line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRows:
    """What the error log of a load says.

    Args:
        rows: The refused rows, as many as the log and the size limit hold.
        truncated: The log was longer than what was read.
    """

    rows: tuple[RejectedRow, ...]
    truncated: bool = False


# ------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class TabletPlan:
    """One tablet: its id, the Thrift addresses of its replicas, and the version to read."""

    id: int
    backends: tuple[str, ...]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPlan:
    """What a frontend answered to `_query_plan`.

    Args:
        table: The table.
        columns: The columns asked for, in order.
        filter: The predicate asked for.
        tablets: The tablets that hold matching rows, in order of their ids.
        opaque: The plan itself, to be passed on unread; it pins a version per tablet.
    """

    table: TableId
    columns: tuple[str, ...]
    filter: str | None
    tablets: tuple[TabletPlan, ...]
    opaque: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TabletGroup:
    """Tablets that one scan reads together.

    Args:
        backend: The Thrift address, `host:port`, of the replica chosen for all of them.
        tablets: Their ids, ascending.
        alternatives: Other backends that also hold every one of them.
    """

    backend: str
    tablets: tuple[int, ...]
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """How a backend scans.

    Args:
        batch_rows: Rows per batch, at most.
        memory_limit: Bytes the backend may use.
        query_timeout: For the scan as a whole; the server is told too.
        keep_alive: How long an idle scan is kept by the backend; None for its own default.
    """

    batch_rows: int = 4064
    memory_limit: int = 8 << 30
    query_timeout: timedelta = timedelta(hours=6)
    keep_alive: timedelta | None = None

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.batch_rows <= 65535:
            problems.append("batch_rows is outside 1..65535")
        if self.memory_limit <= 0:
            problems.append("memory_limit is not positive")
        if self.query_timeout <= timedelta(0):
            problems.append("query_timeout is not positive")
        if self.keep_alive is not None and self.keep_alive < timedelta(minutes=1):
            problems.append("keep_alive is under one minute, the unit it is told in")
        if problems:
            raise ConfigError(problems, subject="ScanOptions")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightOptions:
    """How Arrow Flight results are fetched.

    Args:
        parallel: Ask the server for several endpoints per query and fetch them at once.
        max_parallel: Endpoints fetched at the same time.
        prefetch_batches: Batches held per endpoint while the consumer is busy.
        prefetch_bytes: Bytes held in all while the consumer is busy; one batch always is.
        max_message_bytes: Largest gRPC message accepted.
        stall: The longest wait for a query's beginning, and for each batch; None for the query's
            own deadline.
    """

    parallel: bool = False
    max_parallel: int = 4
    prefetch_batches: int = 2
    prefetch_bytes: int = 64 << 20
    max_message_bytes: int = 2**31 - 1
    stall: timedelta | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{name} is not positive"
            for name in (
                "max_parallel",
                "prefetch_batches",
                "prefetch_bytes",
                "max_message_bytes",
            )
            if getattr(self, name) <= 0
        ]
        if self.stall is not None and self.stall <= timedelta(0):
            problems.append("stall is not positive")
        if problems:
            raise ConfigError(problems, subject="FlightOptions")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRows:
    """The rows of a small query, all in memory.

    Args:
        columns: Names, in order.
        types: Server type names where the protocol gives them, else empty texts.
        rows: The cells, as the protocol gives them.
        affected: Rows changed by a statement without rows.
        scales: Fraction digits of every column, where the protocol gives them.
    """

    columns: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()
    affected: int = 0
    scales: tuple[int, ...] = ()

    def dicts(self) -> Iterator[dict[str, object]]:
        """The rows by column name."""
        for row in self.rows:
            yield dict(zip(self.columns, row, strict=True))

    def scalar(self) -> object:
        """The first cell, None when there is no row."""
        return self.rows[0][0] if self.rows and self.rows[0] else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontendInfo:
    """One frontend, as the cluster lists it; ports that are off are None."""

    host: str
    http_port: int
    query_port: int | None = None
    flight_port: int | None = None
    alive: bool = True
    is_master: bool = False
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """One backend's HTTP address, as the cluster lists it."""

    host: str
    http_port: int
    alive: bool = True

    @property
    def node(self) -> Node:
        """The HTTP address."""
        return Node(self.host, self.http_port)
