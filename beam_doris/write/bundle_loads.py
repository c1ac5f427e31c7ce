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
"""The open loads of one bundle: one a table and set of columns, rolled when they grow large."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from beam_doris.client.contracts import LoadRequest, LoadResult
from beam_doris.client.labels import load_label, new_nonce
from beam_doris.client.stream_load import OpenLoad, StreamLoader
from beam_doris.errors import DorisError, RejectedRowsError, TooManyTransactionsError
from beam_doris.options.table_id import TableId
from beam_doris.write.budget import check_budget, over_budget
from beam_doris.write.chunks import (
    columns_of_chunk,
    job_for,
    rows_of_chunk,
    table_of,
)
from beam_doris.write.encoding import Body, Chunk
from beam_doris.write.isolation import Isolation, reasons_from_log
from beam_doris.write.job import WriteJob
from beam_doris.write.kept_chunks import KeptChunks, keeper_for
from beam_doris.write.key_turns import ChunkTurns
from beam_doris.write.load_report import LoadReport
from beam_doris.write.token import LoadToken, chained
from beam_doris.write.waiting_chunks import WaitingChunks

_log = logging.getLogger(__name__)

_Key: TypeAlias = tuple[TableId, "tuple[str, ...] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The part of a stream that loads are made of.

    Args:
        shard: The shard of the table.
        sequence: The number of the first load.
    """

    shard: int
    sequence: int


class _Load:
    """One open load and what went into it."""

    def __init__(
        self, name: tuple[str | int, ...], body: Body, stream: OpenLoad, kept: KeptChunks | None
    ) -> None:
        self.name = name
        self.body = body
        self.stream = stream
        self.kept = kept
        self.rows = 0
        self.bytes = 0

    def take(self, chunk: Chunk) -> None:
        """Sends a chunk, and keeps it where its rows may have to be told apart later."""
        if self.kept is not None:
            self.kept.add(chunk)
        self.push(self.body.encode(chunk))
        self.rows += rows_of_chunk(chunk)

    def push(self, piece: bytes) -> None:
        """Sends a piece, unless a compressor still holds it back."""
        if piece:
            self.stream.write(piece)
            self.bytes += len(piece)

    def finish(self) -> LoadResult:
        """Ends the body and settles the load."""
        self.push(self.body.end())
        return self.stream.finish()

    def forget(self) -> None:
        """Lets go of what was kept."""
        if self.kept is not None:
            self.kept.close()


class BundleLoads:
    """Streams chunks into two-phase loads and turns finished loads into tokens.

    An attempt touches only its own labels: the nonce is drawn once, here, and kept for all HTTP
    retries of the attempt. What was loaded and not handed out as tokens is aborted by `abort`.

    Args:
        job: The table and the options.
        loader: Opens loads, and aborts what is given up.
        unit: The part of a stream that is loaded; None for a bundle of bounded input.
    """

    def __init__(self, job: WriteJob, loader: StreamLoader, unit: Unit | None = None) -> None:
        self._job = job
        self._loader = loader
        self._unit = unit
        self._nonce = new_nonce()
        self._sequence = 0 if unit is None else unit.sequence
        self._open: dict[_Key, _Load] = {}
        self._done: list[LoadToken] = []
        self._turns = ChunkTurns(job)
        self._in_order: set[TableId] = set()
        many = job.options.many_tables
        self._max_open = many.max_open_loads if job.destinations is not None else None
        self._waiting: WaitingChunks[_Key] | None = None
        if job.destinations is not None and unit is None:
            self._waiting = WaitingChunks(many.max_bytes)
        self.report = LoadReport()
        self.aborted = 0

    def write(self, chunk: Chunk) -> None:
        """Takes one chunk: streams it into the open load of its table and columns.

        In a sink that writes many tables it waits first, so that a table does not need a load of
        its own for each few rows.
        """
        key = table_of(self._job, chunk), columns_of_chunk(chunk)
        if self._turns.begins(chunk):
            self._end_turn(key[0])
        if self._waiting is None:
            self._stream(key, chunk)
            return
        for leaving in self._waiting.add(key, chunk):
            self._stream((table_of(self._job, leaving), columns_of_chunk(leaving)), leaving)

    def _stream(self, key: _Key, chunk: Chunk) -> None:
        load = self._open.get(key)
        if load is None:
            self._make_room()
            load = self._open[key] = self._begin(key[0], chunk)
            self.report.most_open = max(self.report.most_open, len(self._open))
        try:
            load.take(chunk)
        except RejectedRowsError as error:
            self._isolate(key, error)
            return
        if load.bytes >= self._job.options.max_load_bytes:
            self._finish(key)

    def finish(self) -> list[LoadToken]:
        """Ends every open load and hands out the tokens of all; nothing is ours to abort then."""
        if self._waiting is not None:
            for key in self._waiting.waiting():
                self._drain(key)
        for key in list(self._open):
            self._finish(key)
        tokens, self._done = self._chained(), []
        # a load whose rows were all refused has no token, and must leave no gap
        first = 0 if self._unit is None else self._unit.sequence
        return [replace(token, sequence=first + place) for place, token in enumerate(tokens)]

    def _end_turn(self, table: TableId) -> None:
        """What was written so far is committed before what comes."""
        self._in_order.add(table)
        if self._waiting is not None:
            for key in [key for key in self._waiting.waiting() if key[0] == table]:
                self._drain(key)
        for key in [key for key in self._open if key[0] == table]:
            self._finish(key)

    def _drain(self, key: _Key) -> None:
        """Sends what waits for a load, and ends it."""
        assert self._waiting is not None
        for chunk in self._waiting.take(key):
            self._stream(key, chunk)
        if key in self._open:
            self._finish(key)

    def _make_room(self) -> None:
        """Ends the largest load where as many are open as may be."""
        if self._max_open is not None and len(self._open) >= self._max_open:
            self._finish(max(self._open, key=lambda key: self._open[key].bytes))

    def _chained(self) -> list[LoadToken]:
        """The tokens; those of a table whose loads must keep their order as one."""
        tokens = [token for token in self._done if token.table_id not in self._in_order]
        for table in sorted(self._in_order, key=str):
            own = [token for token in self._done if token.table_id == table]
            if own:
                tokens.append(chained(own))
        return tokens

    def abort(self) -> None:
        """Gives up everything that was not handed out; never raises: it runs on failing paths."""
        loads, self._open = list(self._open.values()), {}
        for load in loads:
            load.forget()
            try:
                load.stream.abort()
            except DorisError as error:
                _log.warning("load %s is left to expire: %s", load.name, error.message)
            self.aborted += 1
        tokens, self._done = self._done, []
        for part in (part for token in tokens for part in token.parts()):
            try:
                self._loader.transactions.abort(part.database, txn_id=part.txn_id, label=part.label)
            except DorisError as error:
                _log.warning("load %s is left to expire: %s", part.label, error.message)
            self.aborted += 1

    def _begin(self, table: TableId, chunk: Chunk, name: tuple[str | int, ...] = ()) -> _Load:
        job = job_for(self._job, table)
        if not name:
            name = self._name()
            self._sequence += 1
        body = Body(job, chunk)
        request = LoadRequest(
            table=table,
            label=load_label(job.label_prefix, table, job.run_id, *name),
            headers=body.headers(),
            two_phase=True,
            gzip=job.options.compress,
            deadline=job.options.load_timeout,
            retries=job.options.retries,
            await_slot=check_budget(self._job, self._done, len(self._open)),
        )
        try:
            stream = self._loader.open(request)
        except TooManyTransactionsError as error:
            if request.await_slot:
                raise
            raise over_budget(job, error) from error
        return _Load(name, body, stream, keeper_for(job))

    def _name(self) -> tuple[str | int, ...]:
        """What makes the next label unique within run and table."""
        if self._unit is None:
            return self._nonce, self._sequence
        return self._unit.shard, self._sequence, self._nonce

    def _finish(self, key: _Key) -> None:
        load = self._open[key]
        try:
            result = load.finish()
        except RejectedRowsError as error:
            self._isolate(key, error)
            return
        del self._open[key]
        load.forget()
        self._done.append(self._token(key[0], load, result))

    def _isolate(self, key: _Key, error: RejectedRowsError) -> None:
        """Loads what is sound of a refused load; its parts travel together, in their order."""
        load = self._open.pop(key)
        if load.kept is None:
            raise error
        self.report.refused += 1
        own = len(self._done)

        def load_part(chunks: Iterable[Chunk], place: str) -> LoadToken:
            token = self._load_part(key[0], chunks, (*load.name, place))
            self._done.append(token)  # so that it is aborted if the search fails
            return token

        try:
            found = Isolation(
                load.kept,
                load_part,
                reasons_from_log(self._job.connection),
                self._job.options.bad_rows.max_loads,
            ).run(error)
        finally:
            load.forget()
        self.report.failed += found.failed
        self.report.searched += found.attempts
        self._done[own:] = [chained(found.loads)] if found.loads else []

    def _load_part(
        self, table: TableId, chunks: Iterable[Chunk], name: tuple[str | int, ...]
    ) -> LoadToken:
        part: _Load | None = None
        for chunk in chunks:
            if part is None:
                part = self._begin(table, chunk, name)
            part.push(part.body.encode(chunk))
            part.rows += rows_of_chunk(chunk)
        assert part is not None
        return self._token(table, part, part.finish())

    def _token(self, table: TableId, load: _Load, result: LoadResult) -> LoadToken:
        self.report.accepted(self._job, result, load.rows)
        return LoadToken(
            catalog=table.catalog,
            database=table.database,
            table=table.table,
            label=result.label,
            txn_id=result.txn_id,
            run_id=self._job.run_id,
            sequence=0,  # known when all are there: see finish
            rows=load.rows if result.rows_loaded is None else result.rows_loaded,
            bytes=load.bytes,
            loaded_at=time.time(),
            seconds=result.seconds,
            shard=0 if self._unit is None else self._unit.shard,
        )
