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
"""One way to read a few tablets, over either protocol."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, Protocol, cast

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.contracts import FlightOptions, ScanOptions, TabletGroup
from beam_doris.client.flight import FlightSession
from beam_doris.client.flight_sql import tablet_query
from beam_doris.client.frontend import Frontend
from beam_doris.client.scanner import ThriftScanner
from beam_doris.errors import ProtocolError, ServerBusy
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.read.plan import ScanPlan
from beam_doris.read.prefetch import prefetched
from beam_doris.schema.arrow_normalize import normalize
from beam_doris.schema.table_schema import TableSchema

# Closing it ends the scan on the server.
ScanIterator = Generator[Any, None, None]


class TabletScanner(Protocol):
    """Reads tablets; batches come in the types of the plan's schema."""

    def scan(self, backend: str, tablets: Sequence[int]) -> ScanIterator:
        """All matching rows of the tablets, from this backend where the protocol lets us choose."""

    def close(self) -> None:
        """Gives back what the server keeps for it."""


class ThriftTablets:
    """Scans with the versions that the plan pinned."""

    def __init__(
        self, connection: DorisConnection, options: ReadOptions, plan: ScanPlan, opaque: str | None
    ) -> None:
        if opaque is None:
            raise ProtocolError("a Thrift scan needs the server's plan", table=plan.request.subject)
        self._table = plan.request.subject
        self._opaque = opaque
        self._tuning = options
        self._schema = plan.schema
        self._client = shared_client(ThriftScanner, connection)
        self._options = ScanOptions(
            batch_rows=options.batch_rows,
            memory_limit=options.scan_memory_bytes,
            query_timeout=connection.timeouts.query,
            keep_alive=options.keep_alive,
        )

    def scan(self, backend: str, tablets: Sequence[int]) -> ScanIterator:
        """One scan context on that backend, closed in the end."""
        group = TabletGroup(backend=backend, tablets=tuple(tablets))
        scan = self._client.scan(group, self._table, self._opaque, self._options)
        return _ahead(cast(ScanIterator, scan), self._tuning, self._schema)

    def close(self) -> None:
        """Nothing: every scan closes its own context."""


class FlightRows:
    """A Flight session that reads tablets, each in the version visible when it is read, or one
    statement as a whole."""

    def __init__(self, connection: DorisConnection, options: ReadOptions, plan: ScanPlan) -> None:
        self._plan = plan
        self._tuning = options
        whole = plan.statement is not None
        tuned = FlightOptions(
            # a statement of its own is all the parallelism there is
            parallel=whole,
            prefetch_batches=options.prefetch_batches if options.prefetch else 1,
            prefetch_bytes=options.prefetch_bytes,
            max_message_bytes=options.flight_message_bytes,
            # the first row of a large sort or join may take long
            stall=None if whole else connection.timeouts.read,
        )
        self._slots = flight_slots(connection, options.flight_sessions)
        wait = connection.timeouts.query.total_seconds()
        if not self._slots.acquire(timeout=wait):
            raise ServerBusy(
                f"all {options.flight_sessions} Flight sessions of this worker are in use",
                hint="raise flight_sessions, or let a worker run fewer bundles at once",
            )
        self._held = True
        self._session = FlightSession(
            connection, tuned, frontend=shared_client(Frontend, connection)
        )

    def scan(self, backend: str, tablets: Sequence[int]) -> ScanIterator:  # noqa: ARG002
        """Runs a statement; which replica serves it is the frontend's choice."""
        rows = self._session.query(self._statement(tablets))
        return _ahead(cast(ScanIterator, rows), self._tuning, self._plan.schema)

    def _statement(self, tablets: Sequence[int]) -> str:
        if self._plan.statement is not None:
            return self._plan.statement
        request = self._plan.request
        return tablet_query(request.table, self._plan.schema.names, tablets, request.filter)

    def close(self) -> None:
        """Ends the session, which counts against the user's connections."""
        try:
            self._session.close()
        finally:
            if self._held:
                self._held = False
                self._slots.release()


def open_scanner(
    connection: DorisConnection, options: ReadOptions, plan: ScanPlan, opaque: str | None
) -> TabletScanner:
    """The scanner of the plan's protocol.

    Args:
        connection: The cluster.
        options: Tuning.
        plan: The read.
        opaque: The server's plan, of which there may be a newer one than in `plan`.
    """
    if plan.protocol is ReadProtocol.THRIFT:
        return ThriftTablets(connection, options, plan, opaque)
    return FlightRows(connection, options, plan)


def _ahead(scan: ScanIterator, options: ReadOptions, schema: TableSchema) -> ScanIterator:
    # normalized by the thread that fetched it, while a batch is in that core's cache
    batches = _normalized(scan, schema)
    if not options.prefetch:
        return batches
    return prefetched(
        batches, max_batches=options.prefetch_batches, max_bytes=options.prefetch_bytes
    )


def _normalized(scan: ScanIterator, schema: TableSchema) -> ScanIterator:
    with closing(scan):
        for batch in scan:
            yield normalize(batch, schema)


_slots_lock = threading.Lock()
# a list, not a dict: connections are few, and compare but do not hash
_slots: list[tuple[DorisConnection, int, threading.BoundedSemaphore]] = []


def flight_slots(connection: DorisConnection, sessions: int) -> threading.BoundedSemaphore:
    """What all readers of one cluster in this process take before they open a session."""
    with _slots_lock:
        for known, count, slots in _slots:
            if known == connection and count == sessions:
                return slots
        made = threading.BoundedSemaphore(sessions)
        _slots.append((connection, sessions, made))
        return made
