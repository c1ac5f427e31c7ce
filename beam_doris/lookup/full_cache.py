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
"""A whole dimension table in memory, loaded again when it is old."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.contracts import FlightOptions
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.flight import FlightSession
from beam_doris.client.frontend import Frontend
from beam_doris.client.query_plan import choose_backends
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.scanner import ThriftScanner
from beam_doris.errors import ConfigError, DorisError, NotFoundError
from beam_doris.lookup.cache import Rows
from beam_doris.lookup.grouping import grouped
from beam_doris.lookup.query import source_sql
from beam_doris.lookup.spec import LookupSpec
from beam_doris.options.table_id import TableId, quote
from beam_doris.schema.arrow_normalize import normalize
from beam_doris.schema.python_values import to_tuples
from beam_doris.schema.table_schema import TableSchema

_log = logging.getLogger(__name__)
_QUERY = TableId("lookup", "query")


class Snapshot:
    """The table at one time.

    Attributes:
        rows: By key.
        read_at: When the load began, on the cache's clock.
        fresh_until: When it is to be loaded again.
    """

    __slots__ = ("fresh_until", "read_at", "rows")

    def __init__(self, rows: Mapping[Any, Rows], read_at: float, ttl: float) -> None:
        self.rows = rows
        self.read_at = read_at
        self.fresh_until = read_at + ttl


class FullCache:
    """Loads the table when first needed, and again in the background when it is older than the TTL.

    The old rows serve until the new ones are complete; then they are exchanged at once. Rows that
    are older than twice the TTL are not served: whoever asks then waits for the load, and gets its
    error.

    Args:
        spec: The lookup.
        clock: Monotonic seconds.
    """

    def __init__(self, spec: LookupSpec, clock: Clock = time.monotonic) -> None:
        self._spec = spec
        self._clock = clock
        self._ttl = spec.options.cache_ttl.total_seconds()
        self._snapshot: Snapshot | None = None
        self._loading = threading.Lock()
        self._refresh: threading.Thread | None = None
        self.loads = 0
        self.failed_loads = 0

    @property
    def age(self) -> float:
        """Seconds since the load of the rows that are served began; 0 when there are none."""
        snapshot = self._snapshot
        return 0.0 if snapshot is None else self._clock() - snapshot.read_at

    def get(self, key: Any) -> Rows | None:
        """The rows of a key, None when the table has none; see `table`."""
        snapshot = self._snapshot
        if snapshot is not None and self._clock() <= snapshot.fresh_until:
            return snapshot.rows.get(key)
        return self.table().get(key)

    def table(self) -> Mapping[Any, Rows]:
        """The rows by key, no older than twice the TTL.

        Raises:
            DorisError: they could not be loaded.
        """
        snapshot = self._snapshot
        if snapshot is not None:
            age = self._clock() - snapshot.read_at
            if age <= self._ttl:
                return snapshot.rows
            if age <= 2 * self._ttl:
                self._refresh_beside()
                return snapshot.rows
        return self._load(newer_than=snapshot).rows

    def _refresh_beside(self) -> None:
        if self._loading.locked():
            return
        thread = threading.Thread(target=self._refreshed, name="doris-lookup-full", daemon=True)
        self._refresh = thread
        thread.start()

    def _refreshed(self) -> None:
        try:
            self._load(newer_than=self._snapshot)
        except DorisError as error:
            _log.warning("%s: could not be loaded again: %s", self._spec.table, error)

    def _load(self, newer_than: Snapshot | None) -> Snapshot:
        with self._loading:
            current = self._snapshot
            if current is not None and current is not newer_than:
                return current
            read_at = self._clock()
            try:
                rows = self._read()
            except DorisError as error:
                self.failed_loads += 1
                error.table = error.table or self._spec.table
                raise
            self.loads += 1
            made = Snapshot(rows, read_at, self._ttl)
            self._snapshot = made
            return made

    def rest(self) -> None:
        """Waits for a refresh under way, as far as its deadline lets it take."""
        thread, self._refresh = self._refresh, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0)

    def clear(self) -> None:
        """Forgets the rows."""
        self._snapshot = None

    # -- reading

    def _read(self) -> dict[Any, Rows]:
        spec = self._spec
        timeout = max(spec.options.deadline, spec.connection.timeouts.read)
        deadline = Deadline.after(timeout, self._clock)
        policy = RetryPolicy(retries=spec.options.retries)
        batches = policy.call(lambda _: list(self._batches(deadline)), deadline, "full lookup")
        rows = [row for batch in batches for row in to_tuples(batch)]
        return grouped(spec, rows)

    def _batches(self, deadline: Deadline) -> Iterator[pa.RecordBatch]:
        spec = self._spec
        source = spec.source
        table = source if isinstance(source, TableId) else _QUERY
        schema = TableSchema(table=table, columns=spec.selected)
        frontend = shared_client(Frontend, spec.connection)
        try:
            session = FlightSession(spec.connection, FlightOptions(), frontend=frontend)
            names = ", ".join(map(quote, schema.names))
            with session:
                for batch in session.query(
                    f"SELECT {names} FROM {source_sql(source)}", deadline=deadline
                ):
                    yield normalize(batch, schema)
        except NotFoundError as error:
            if "Flight" not in error.message:
                raise
            if not isinstance(source, TableId):
                raise ConfigError(
                    'cache="full" over a query needs Arrow Flight, which no frontend offers',
                    hint='switch it on, give table= instead, or use cache="lru"',
                ) from error
            yield from self.scanned(frontend, source, schema)

    def scanned(
        self, frontend: Frontend, table: TableId, schema: TableSchema
    ) -> Iterator[pa.RecordBatch]:
        """The table as its backends' scanners give it, for clusters without Arrow Flight."""
        plan = frontend.plan(table, schema.names)
        scanner = shared_client(ThriftScanner, self._spec.connection)
        for group in choose_backends(plan, tablets_per_group=max(1, len(plan.tablets))):
            with contextlib.closing(scanner.scan(group, table, plan.opaque)) as scan:  # type: ignore[type-var]
                for batch in scan:
                    yield normalize(batch, schema)
