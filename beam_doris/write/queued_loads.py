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
"""Loads that run beside the bundle that feeds them, so many at a time and no more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta

from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import DeadlineExceeded, DorisError
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import BatchLoad, GroupCommit
from beam_doris.write.chunks import (
    bytes_of_chunk,
    columns_of_chunk,
    job_for,
    rows_of_chunk,
    table_of,
)
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import WriteJob
from beam_doris.write.key_turns import ChunkTurns
from beam_doris.write.load_report import LoadReport
from beam_doris.write.one_phase import Sent, send_chunks
from beam_doris.write.token import CommittedLoad

_log = logging.getLogger(__name__)

_GRACE = 5.0  # seconds that a load may take beyond its own deadline, for clearing up


class _Pending:
    """Chunks of one set of columns that wait for a load."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.rows = 0
        self.bytes = 0
        self.since = time.monotonic()

    def add(self, chunk: Chunk) -> None:
        """One more."""
        self.chunks.append(chunk)
        self.rows += rows_of_chunk(chunk)
        self.bytes += bytes_of_chunk(chunk)


class QueuedLoads:
    """Sends what a bundle brings in loads of the configured size; `finish` waits for all of them.

    At most `queue_size` loads wait and `in_flight` are sent; `write` blocks beyond that, so that
    memory is bounded by their sizes.

    Args:
        job: The table and the options.
        loader: Loads.
    """

    def __init__(self, job: WriteJob, loader: StreamLoader) -> None:
        mode = job.options.mode
        self._limits = _limits(mode)
        self._job = job
        self._loader = loader
        self._pending: dict[tuple[TableId, tuple[str, ...] | None], _Pending] = {}
        self._futures: list[Future[Sent]] = []
        self._turns = ChunkTurns(job)
        self.report = LoadReport()
        in_flight = self._limits.in_flight
        self._room = threading.BoundedSemaphore(in_flight + self._limits.queue_size)
        self._pool = ThreadPoolExecutor(in_flight, thread_name_prefix="doris-load")
        self._timeout = job.options.load_timeout.total_seconds() + _GRACE

    def write(self, chunk: Chunk) -> None:
        """Takes one chunk; blocks while too much is under way.

        Raises:
            DorisError: an earlier load failed.
        """
        self._raise_failed()
        key = table_of(self._job, chunk), columns_of_chunk(chunk)
        if self._turns.begins(chunk):
            self._end_turn(key[0])
        pending = self._pending.setdefault(key, _Pending())
        pending.add(chunk)
        limits = self._limits
        if self._job.destinations is not None:
            self._make_room()
        old = time.monotonic() - pending.since >= limits.interval.total_seconds()
        full = pending.rows >= limits.max_rows or pending.bytes >= limits.max_bytes or old
        if full and key in self._pending:
            self._submit(key[0], self._pending.pop(key).chunks)

    def _make_room(self) -> None:
        """Sends the largest where all tables together wait with too much."""
        most = self._job.options.many_tables.max_bytes
        while sum(pending.bytes for pending in self._pending.values()) > most:
            largest = max(self._pending, key=lambda key: self._pending[key].bytes)
            self._submit(largest[0], self._pending.pop(largest).chunks)

    def _end_turn(self, table: TableId) -> None:
        """What was written so far is visible before what comes is sent."""
        for key in [key for key in self._pending if key[0] == table]:
            self._submit(table, self._pending.pop(key).chunks)
        for future in self._futures:
            self._awaited(future)

    def finish(self) -> list[CommittedLoad]:
        """Sends the rest and waits for all.

        Raises:
            DorisError: one of the loads failed, or did not end in time.
        """
        for (table, _), pending in self._pending.items():
            self._submit(table, pending.chunks)
        self._pending = {}
        loads = []
        try:
            for future in self._futures:
                sent = self._awaited(future)
                loads += sent.loads
                self.report.add(sent.report)
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
        return loads

    def abort(self) -> None:
        """Sends no more; what is under way ends by itself, within its deadline."""
        self._pending = {}
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, table: TableId, chunks: Sequence[Chunk]) -> None:
        if not self._room.acquire(timeout=self._timeout):
            raise _late(self._job)
        try:
            future = self._pool.submit(send_chunks, job_for(self._job, table), self._loader, chunks)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        self._futures.append(future)

    def _awaited(self, future: Future[Sent]) -> Sent:
        try:
            return future.result(self._timeout)
        except FutureTimeout:
            raise _late(self._job) from None

    def _raise_failed(self) -> None:
        for future in self._futures:
            if future.done() and not future.cancelled():
                error = future.exception()
                if error is not None:
                    raise error


def _limits(mode: object) -> BatchLoad:
    if isinstance(mode, GroupCommit):
        return BatchLoad(max_bytes=mode.max_bytes, max_rows=1 << 31, interval=timedelta(seconds=1))
    assert isinstance(mode, BatchLoad)
    return mode


def _late(job: WriteJob) -> DorisError:
    return DeadlineExceeded(
        "a load did not end within load_timeout",
        table=job.table,
        hint="what it held may be visible: in this mode rows may come twice",
    )
