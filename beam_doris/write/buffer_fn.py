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
"""Gathers a shard's chunks in the runner's state until they are worth a load, then loads them.

State is touched in `process` and in timers only: in `finish_bundle` a handle would point at
whichever key came last. A bundle that fails takes its changes of the state with it, and what it
had loaded is never committed, because its tokens are gone too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.coders import BytesCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Duration, Timestamp

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.metrics import WriteMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import DorisError
from beam_doris.options.delivery import StreamBuffer
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import BatchLoad, TwoPhaseCommit
from beam_doris.write.bundle_loads import BundleLoads, Unit
from beam_doris.write.chunks import columns_of_chunk, job_for
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import WriteJob
from beam_doris.write.key_turns import turns_of
from beam_doris.write.load_outputs import FAILED, LoadOutputs
from beam_doris.write.load_report import LoadReport
from beam_doris.write.one_phase import send_chunks
from beam_doris.write.refusals import explain_refusal
from beam_doris.write.repeatable import precommit_chunks
from beam_doris.write.stored import BufferState, BufferStateCoder, rows_in, unpack_chunk
from beam_doris.write.token import CommittedLoad, LoadToken, chained

_log = logging.getLogger(__name__)

Loaded = LoadToken | CommittedLoad
Output: TypeAlias = "LoadToken | CommittedLoad | pvalue.TaggedOutput"

CHUNKS = BagStateSpec("chunks", BytesCoder())
STATE = ReadModifyWriteStateSpec("state", BufferStateCoder())
END = TimerSpec("end", TimeDomain.WATERMARK)
FLUSH = TimerSpec("flush", TimeDomain.REAL_TIME)
_CHUNKS = beam.DoFn.StateParam(CHUNKS)
_STATE = beam.DoFn.StateParam(STATE)
_END = beam.DoFn.TimerParam(END)
_FLUSH = beam.DoFn.TimerParam(FLUSH)


def limits_of(job: WriteJob) -> StreamBuffer:
    """When a buffer is full."""
    stream, mode = job.options.stream, job.options.mode
    if isinstance(mode, BatchLoad):
        return replace(
            stream, max_rows=mode.max_rows, max_bytes=mode.max_bytes, interval=mode.interval
        )
    return stream


class BufferFn(beam.DoFn):
    """For bounded input: a buffer is loaded when it is full, and at the end of the input.

    Takes ((table, shard), packed chunk) and emits tokens, or committed loads in one-phase modes.
    """

    def __init__(self, job: WriteJob) -> None:
        self._job = job
        self._limits = limits_of(job)
        self._metrics = WriteMetrics()
        self._outputs = LoadOutputs(job, self._metrics)
        self._handed_out: list[LoadToken] = []

    def start_bundle(self) -> None:
        """What the last bundle loaded and never handed over, because it failed, is dropped."""
        self._drop_lost()

    def process(
        self,
        element: tuple[tuple[str, int], bytes],
        chunks: Any = _CHUNKS,
        state: Any = _STATE,
        end: Any = _END,
    ) -> Iterator[Output]:
        """Adds one chunk; loads the buffer when that fills it."""
        yield from self._add(element, chunks, state, end, None)

    @on_timer(END)
    def at_end(
        self,
        key: tuple[str, int] = beam.DoFn.KeyParam,
        chunks: Any = _CHUNKS,
        state: Any = _STATE,
    ) -> Iterator[Output]:
        """The input has ended: loads what is left."""
        yield from self._flush(key, chunks, state)

    def finish_bundle(self) -> None:
        """All of the bundle's tokens are the runner's now."""
        self._handed_out = []

    def teardown(self) -> None:
        """As for a bundle that failed."""
        self._drop_lost()

    def _add(
        self,
        element: tuple[tuple[str, int], bytes],
        chunks: Any,
        state: Any,
        end: Any,
        flush: Any,
    ) -> Iterator[Output]:
        key, packed = element
        known: BufferState = state.read() or BufferState()
        if not known.rows:
            end.set(GlobalWindow().max_timestamp())
            if flush is not None:
                interval = Duration(seconds=self._limits.interval.total_seconds())
                flush.set(Timestamp.now() + interval)
        chunks.add(packed)
        known = replace(known, rows=known.rows + rows_in(packed), bytes=known.bytes + len(packed))
        state.write(known)
        if known.rows >= self._limits.max_rows or known.bytes >= self._limits.max_bytes:
            if flush is not None:
                flush.clear()
            yield from self._flush(key, chunks, state)

    def _flush(self, key: tuple[str, int], chunks: Any, state: Any) -> Iterator[Output]:
        known: BufferState = state.read() or BufferState()
        if not known.rows:
            return
        unit = Unit(shard=key[1], sequence=known.sequence)
        job = job_for(self._job, TableId.parse(key[0]))
        report = LoadReport()
        try:
            loaded, used = self._load(
                job, [unpack_chunk(packed) for packed in chunks.read()], unit, report
            )
        except DorisError as error:
            self._outputs.gave_up()
            explain_refusal(self._job.connection, whole(error))
            raise
        chunks.clear()
        state.write(BufferState(sequence=known.sequence + used))
        self._count(loaded)
        yield from loaded
        for row in self._outputs.take(report):
            yield pvalue.TaggedOutput(FAILED, row)

    def _load(
        self, job: WriteJob, chunks: Iterable[Chunk], unit: Unit, report: LoadReport
    ) -> tuple[list[Loaded], int]:
        """The loads, and how many sequence numbers they took."""
        loader = shared_client(StreamLoader, job.connection)
        two_phase = isinstance(job.options.mode, TwoPhaseCommit)
        if two_phase and not job.repeatable:
            tokens = self._precommit(job, chunks, unit, loader, report)
            # the commit stage waits for every number: one for each token
            return tokens, len(tokens)
        groups: list[list[Chunk]] = []
        turns = turns_of(job, chunks)
        for turn in turns:
            by_columns: dict[Any, list[Chunk]] = {}
            for chunk in turn:
                by_columns.setdefault(columns_of_chunk(chunk), []).append(chunk)
            groups += by_columns.values()
        loads: list[Loaded] = []
        for position, group in enumerate(groups):
            place = replace(unit, sequence=unit.sequence + position)
            if two_phase:
                loads += precommit_chunks(job, loader, group, place, report)
                continue
            sent = send_chunks(job, loader, group, place)
            report.add(sent.report)
            loads += sent.loads
        made = [load for load in loads if isinstance(load, LoadToken)]
        if len(turns) > 1 and made:
            loads = [chained(made)]  # rows of equal keys must not overtake each other
        # a number is never used for other rows, even if all of its own were refused
        return loads, len(groups)

    def _precommit(
        self,
        job: WriteJob,
        chunks: Iterable[Chunk],
        unit: Unit,
        loader: StreamLoader,
        report: LoadReport,
    ) -> list[Loaded]:
        loads = BundleLoads(job, loader, unit)
        try:
            for chunk in chunks:
                loads.write(chunk)
            tokens = loads.finish()
        except BaseException:
            loads.abort()
            if loads.aborted:
                self._metrics.aborted.inc(loads.aborted)
            raise
        report.add(loads.report)
        self._handed_out += tokens
        return list(tokens)

    def _count(self, loaded: Iterable[Loaded]) -> None:
        parts = [p for load in loaded for p in _parts(load)]
        for load in parts:
            seconds = load.seconds if isinstance(load, LoadToken) else load.load_seconds
            self._metrics.loaded_rows.inc(load.rows)
            self._metrics.loaded_bytes.inc(load.bytes)
            self._metrics.load_time.update(round(seconds * 1000))
            if isinstance(load, LoadToken):
                self._metrics.precommitted.inc()
            else:
                self._metrics.committed.inc()
                self._metrics.committed_rows.inc(load.rows)

    def _drop_lost(self) -> None:
        lost, self._handed_out = self._handed_out, []
        for part in (part for token in lost for part in token.parts()):
            abort_quietly(self._job, part)
            self._metrics.aborted.inc()


class StreamingBufferFn(BufferFn):
    """For unbounded input: a buffer is also loaded when its first row is old enough."""

    def process(
        self,
        element: tuple[tuple[str, int], bytes],
        chunks: Any = _CHUNKS,
        state: Any = _STATE,
        end: Any = _END,
        flush: Any = _FLUSH,
    ) -> Iterator[Output]:
        """Adds one chunk; loads the buffer when that fills it."""
        yield from self._add(element, chunks, state, end, flush)

    @on_timer(FLUSH)
    def when_old(
        self,
        key: tuple[str, int] = beam.DoFn.KeyParam,
        chunks: Any = _CHUNKS,
        state: Any = _STATE,
    ) -> Iterator[Output]:
        """The first row of the buffer has waited long enough."""
        yield from self._flush(key, chunks, state)


def _parts(load: Loaded) -> tuple[Loaded, ...]:
    return load.parts() if isinstance(load, LoadToken) else (load,)


def abort_quietly(job: WriteJob, token: LoadToken) -> None:
    """Aborts a load of ours that nobody will commit; what cannot be reached expires."""
    transactions = shared_client(StreamLoader, job.connection).transactions
    try:
        transactions.abort(token.database, txn_id=token.txn_id, label=token.label)
    except DorisError as error:
        _log.warning("load %s is left to expire: %s", token.label, error.message)
