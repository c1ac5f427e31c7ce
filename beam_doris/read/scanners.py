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

from collections.abc import Generator
from typing import Any, Protocol, cast

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.contracts import FlightOptions, ScanOptions, TabletGroup
from beam_doris.client.flight import FlightSession
from beam_doris.client.scanner import ThriftScanner
from beam_doris.errors import ProtocolError
from beam_doris.options.reading import ReadProtocol
from beam_doris.options.table_id import quote
from beam_doris.read.prefetch import prefetched
from beam_doris.read.request import ReadRequest, ScanPlan

# Closing it ends the scan on the server.
ScanIterator = Generator[Any, None, None]


class TabletScanner(Protocol):
    """Reads tablets; batches come as the server sends them, not yet normalized."""

    def scan(self, backend: str, tablets: tuple[int, ...]) -> ScanIterator:
        """All matching rows of the tablets, from this backend where the protocol lets us choose."""

    def close(self) -> None:
        """Gives back what the server keeps for it."""


class ThriftTablets:
    """Scans with the versions that the plan pinned."""

    def __init__(self, request: ReadRequest, plan: ScanPlan) -> None:
        if plan.opaque is None:
            raise ProtocolError("a Thrift scan needs the server's plan", table=request.table)
        self._table = request.table
        self._opaque = plan.opaque
        self._tuning = request.options
        self._client = shared_client(ThriftScanner, request.connection)
        self._options = ScanOptions(
            batch_rows=request.options.batch_rows,
            memory_limit=request.options.scan_memory_bytes,
            query_timeout=request.connection.timeouts.query,
        )

    def scan(self, backend: str, tablets: tuple[int, ...]) -> ScanIterator:
        """One scan context on that backend, closed in the end."""
        group = TabletGroup(backend=backend, tablets=tablets)
        scan = self._client.scan(group, self._table, self._opaque, self._options)
        if not self._tuning.prefetch:
            return cast(ScanIterator, scan)
        return prefetched(
            cast(ScanIterator, scan),
            max_batches=self._tuning.prefetch_batches,
            max_bytes=self._tuning.prefetch_bytes,
        )

    def close(self) -> None:
        """Nothing: every scan closes its own context."""


class FlightTablets:
    """One SELECT over the named tablets; sees the newest visible version of each."""

    def __init__(self, request: ReadRequest, plan: ScanPlan) -> None:
        self._table = request.table
        self._filter = request.filter
        self._columns = plan.schema.names
        self._session = FlightSession(
            request.connection,
            FlightOptions(
                prefetch_batches=(
                    request.options.prefetch_batches if request.options.prefetch else 1
                )
            ),
        )

    def statement(self, tablets: tuple[int, ...]) -> str:
        """The SQL that reads these tablets."""
        columns = ", ".join(quote(name) for name in self._columns)
        ids = ",".join(str(tablet) for tablet in tablets)
        sql = f"SELECT {columns} FROM {self._table.sql()} TABLET({ids})"
        # the line break ends a comment that the condition may end with
        return sql if self._filter is None else f"{sql} WHERE ({self._filter}\n)"

    def scan(self, backend: str, tablets: tuple[int, ...]) -> ScanIterator:  # noqa: ARG002
        """Runs the statement; which replica serves it is the frontend's choice."""
        return cast(ScanIterator, self._session.query(self.statement(tablets)))

    def close(self) -> None:
        """Ends the session, which counts against the user's connections."""
        self._session.close()


def open_scanner(request: ReadRequest, plan: ScanPlan) -> TabletScanner:
    """The scanner of the plan's protocol."""
    if plan.protocol is ReadProtocol.THRIFT:
        return ThriftTablets(request, plan)
    return FlightTablets(request, plan)
