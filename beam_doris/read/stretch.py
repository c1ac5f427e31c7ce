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
"""Reads a stretch of tablets, and what to do when that fails.

Once a row was emitted there is no second try in place: the server hands out rows in another order
each time, so nobody can say which rows are still missing. Until then the tablets are read again,
from other replicas where there are any, and with a new plan where the old one has expired and the
read does not insist on its snapshot.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.metrics import ReadMetrics, Stopwatch
from beam_doris.client.frontend import Frontend
from beam_doris.errors import (
    AuthError,
    DorisError,
    NotFoundError,
    QueryError,
    SnapshotExpiredError,
    TransientError,
)
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.read.plan import ScanPlan
from beam_doris.read.planner import tablet_plan
from beam_doris.read.scanners import TabletScanner, open_scanner
from beam_doris.read.spool import spooled

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Tablets to be read together, and what was tried.

    Args:
        host: The backend, by its number.
        tablets: Ids with the numbers of their sets of replicas.
        failures: How often they failed.
        shunned: Backends that failed.
    """

    host: int
    tablets: tuple[tuple[int, int], ...]
    failures: int = 0
    shunned: frozenset[int] = frozenset()


class StretchReader:
    """Reads tablets of one plan; used by one thread, closed in the end.

    Args:
        connection: The cluster.
        options: Tuning.
        plan: The read.
        metrics: What is counted.
    """

    def __init__(
        self,
        connection: DorisConnection,
        options: ReadOptions,
        plan: ScanPlan,
        metrics: ReadMetrics,
    ) -> None:
        self._connection = connection
        self._options = options
        self.plan = plan
        self._metrics = metrics
        self._opaque = plan.opaque
        self._scanner: TabletScanner | None = None
        self._proven = False
        self._by_flight: set[int] = set()

    def statement(self) -> Generator[pa.RecordBatch, None, None]:
        """The rows of the plan's one statement."""
        return self._attempts(_Stretch(-1, ()))

    def tablets(
        self, group: int, positions: Sequence[int]
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of some tablets of a group."""
        known = self.plan.tablets.groups[group]
        tablets = tuple((known.tablets[at], known.replicas[at]) for at in positions)
        return self._attempts(_Stretch(known.host, tablets))

    def _attempts(self, whole: _Stretch) -> Generator[pa.RecordBatch, None, None]:
        pending = deque([whole])
        while pending:
            stretch = pending.popleft()
            emitted = False
            try:
                for batch in self._batches(stretch):
                    emitted = True
                    yield batch
            except DorisError as error:
                ended = self._proven and isinstance(error, AuthError)
                self._drop_scanner()
                pending.extend(self._after(stretch, error, emitted, ended=ended))
            else:
                self._proven = True
                self._metrics.tablets.inc(len(stretch.tablets))
                if self.plan.protocol is ReadProtocol.FLIGHT:
                    self._by_flight.update(tablet for tablet, _ in stretch.tablets)

    def _batches(self, stretch: _Stretch) -> Iterator[pa.RecordBatch]:
        fetched = self._fetched(stretch)
        if self._options.spool_tablet:
            fetched = spooled(fetched)
        rows = size = batches = 0
        try:
            for batch in fetched:
                rows += batch.num_rows
                # of whole buffers: nbytes takes a hundred times as long
                size += batch.get_total_buffer_size()
                batches += 1
                yield batch
        finally:
            # once a stretch: a counter costs a twentieth of what fetching a batch does
            self._metrics.rows.inc(rows)
            self._metrics.bytes.inc(size)
            self._metrics.batches.inc(batches)

    def _fetched(self, stretch: _Stretch) -> Iterator[pa.RecordBatch]:
        if self._scanner is None:
            self._scanner = open_scanner(self._connection, self._options, self.plan, self._opaque)
        backend = "" if stretch.host < 0 else self.plan.tablets.hosts[stretch.host]
        with closing(self._scanner.scan(backend, [one for one, _ in stretch.tablets])) as scan:
            while True:
                # only the waiting for the server is timed, not what happens to the rows after
                with Stopwatch() as watch:
                    batch = next(scan, None)
                self._metrics.scan_time.update(watch.milliseconds)
                if batch is None:
                    return
                if batch.num_rows:
                    yield batch

    # -- after a failure

    def _after(
        self, stretch: _Stretch, error: DorisError, emitted: bool, *, ended: bool
    ) -> list[_Stretch]:
        """What is to be read now.

        Args:
            stretch: What failed.
            error: How.
            emitted: Whether some of its rows are out.
            ended: The session had worked before the server refused it: it was ended.

        Raises:
            DorisError: nothing can be done in place.
        """
        retryable = error.retryable or ended
        if stretch.tablets and isinstance(error, (NotFoundError, QueryError)):
            self._require_tablets([tablet for tablet, _ in stretch.tablets], error)
        expired = isinstance(error, SnapshotExpiredError) and not self._options.is_snapshot
        if emitted and (retryable or expired):
            raise self._broken_off(error) from error
        if not (retryable or expired) or stretch.failures >= self._connection.retries:
            raise error
        if expired:
            self._plan_again([tablet for tablet, _ in stretch.tablets], error)
        _log.warning("%s: a scan is repeated: %s", self.plan.request, error.message)
        self._metrics.retries.inc()
        return self._elsewhere(stretch, shun=retryable)

    def _elsewhere(self, stretch: _Stretch, *, shun: bool) -> list[_Stretch]:
        """The same tablets, each from another replica where it has one."""
        shunned = stretch.shunned | {stretch.host} if shun else stretch.shunned
        by_host: dict[int, list[tuple[int, int]]] = {}
        for tablet, replicas in stretch.tablets:
            hosts = self.plan.tablets.replica_sets[replicas]
            fresh = [host for host in hosts if host not in shunned]
            # all have failed: begin again with the one that has rested longest
            best = fresh[0] if fresh else hosts[(stretch.failures + 1) % len(hosts)]
            by_host.setdefault(best, []).append((tablet, replicas))
        if not stretch.tablets:
            by_host[stretch.host] = []
        return [
            _Stretch(host, tuple(tablets), stretch.failures + 1, shunned)
            for host, tablets in by_host.items()
        ]

    def _plan_again(self, tablets: Sequence[int], error: DorisError) -> None:
        request = self.plan.request
        _log.warning("%s: planned again: %s", request, error.message)
        frontend = shared_client(Frontend, self._connection)
        found = tablet_plan(frontend, request, self.plan.schema.names)
        self._require(tablets, {one.id for one in found.tablets}, error)
        self._opaque = found.opaque

    def _require_tablets(self, tablets: Sequence[int], error: DorisError | None) -> None:
        """Raises when tablets that were planned are no longer there."""
        frontend = shared_client(Frontend, self._connection)
        try:
            # without the condition, which may choose others later, as now() does
            found = frontend.plan(self.plan.request.table, self.plan.schema.names[:1], None)
        except (NotFoundError, QueryError) as refused:
            raise (error or refused) from refused
        self._require(tablets, {one.id for one in found.tablets}, error)

    def _require(self, tablets: Sequence[int], known: set[int], error: DorisError | None) -> None:
        gone = [tablet for tablet in tablets if tablet not in known]
        if gone:
            raise SnapshotExpiredError(
                f"{len(gone)} tablets that were planned are gone, such as {gone[0]}",
                table=self.plan.request.subject,
                cause=error,
                hint="a partition was dropped or truncated, or the table was altered, while it "
                "was read: run the pipeline again",
            ) from error

    def _broken_off(self, error: DorisError) -> TransientError:
        return TransientError(
            "a scan broke off after some of its rows had been emitted",
            table=self.plan.request.subject,
            host=error.host,
            cause=error,
            hint="the runner repeats the bundle; where it does not, run the pipeline again, or "
            "read with spool_tablet=True",
        )

    # -- the end

    def finish(self) -> None:
        """Makes sure that what was read by Flight was still there.

        A statement over a tablet that is gone may give no rows instead of an error (P 12, trap
        36), so the tablets are looked for once more when their rows have come.

        Raises:
            SnapshotExpiredError: some were gone.
        """
        read, self._by_flight = self._by_flight, set()
        if read:
            self._require_tablets(sorted(read), None)

    def _drop_scanner(self) -> None:
        scanner, self._scanner = self._scanner, None
        self._proven = False
        if scanner is not None:
            scanner.close()

    def close(self) -> None:
        """Gives sessions back."""
        self._drop_scanner()
