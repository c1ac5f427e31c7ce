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
"""The loads that one bundle keeps open; knows the wire's clients, not Beam."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from beam_doris.client.contracts import LoadRequest, LoadResult
from beam_doris.client.labels import load_label, new_nonce
from beam_doris.client.stream_load import OpenLoad, StreamLoader
from beam_doris.errors import DorisError
from beam_doris.write.encoding import Body, Chunk
from beam_doris.write.job import RawLines, WriteJob
from beam_doris.write.token import LoadToken

_log = logging.getLogger(__name__)


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

    def __init__(self, label: str, body: Body, stream: OpenLoad, sequence: int) -> None:
        self.label = label
        self.body = body
        self.stream = stream
        self.sequence = sequence
        self.rows = 0
        self.bytes = 0

    def push(self, piece: bytes) -> None:
        """Sends a piece, unless a compressor still holds it back."""
        if piece:
            self.stream.write(piece)
            self.bytes += len(piece)


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
        self._open: dict[tuple[str, ...] | None, _Load] = {}
        self._done: list[LoadToken] = []
        self.aborted = 0

    def write(self, chunk: Chunk) -> None:
        """Streams one chunk into the open load of its columns."""
        columns = None if isinstance(chunk, RawLines) else tuple(chunk.schema.names)
        load = self._open.get(columns)
        if load is None:
            load = self._open[columns] = self._begin(chunk)
        load.push(load.body.encode(chunk))
        load.rows += chunk.rows if isinstance(chunk, RawLines) else chunk.num_rows
        if load.bytes >= self._job.options.max_load_bytes:
            self._finish(columns)

    def finish(self) -> list[LoadToken]:
        """Ends every open load and hands out the tokens of all; nothing is ours to abort then."""
        for columns in list(self._open):
            self._finish(columns)
        tokens, self._done = self._done, []
        return tokens

    def abort(self) -> None:
        """Gives up everything that was not handed out; never raises: it runs on failing paths."""
        loads, self._open = list(self._open.values()), {}
        for load in loads:
            try:
                load.stream.abort()
            except DorisError as error:
                _log.warning("load %s is left to expire: %s", load.label, error.message)
            self.aborted += 1
        tokens, self._done = self._done, []
        for token in tokens:
            try:
                self._loader.transactions.abort(
                    token.database, txn_id=token.txn_id, label=token.label
                )
            except DorisError as error:
                _log.warning("load %s is left to expire: %s", token.label, error.message)
            self.aborted += 1

    def _begin(self, chunk: Chunk) -> _Load:
        job = self._job
        label = load_label(job.label_prefix, job.table, job.run_id, *self._name())
        body = Body(job, chunk)
        request = LoadRequest(
            table=job.table,
            label=label,
            headers=body.headers(),
            two_phase=True,
            gzip=job.options.compress,
            deadline=job.options.load_timeout,
        )
        load = _Load(label, body, self._loader.open(request), self._sequence)
        self._sequence += 1
        return load

    def _name(self) -> tuple[str | int, ...]:
        """What makes the next label unique within run and table."""
        if self._unit is None:
            return self._nonce, self._sequence
        return self._unit.shard, self._sequence, self._nonce

    def _finish(self, columns: tuple[str, ...] | None) -> None:
        load = self._open[columns]
        load.push(load.body.end())
        result = load.stream.finish()
        del self._open[columns]
        self._done.append(self._token(load, result))

    def _token(self, load: _Load, result: LoadResult) -> LoadToken:
        table = self._job.table
        return LoadToken(
            catalog=table.catalog,
            database=table.database,
            table=table.table,
            label=load.label,
            txn_id=result.txn_id,
            run_id=self._job.run_id,
            sequence=load.sequence,
            rows=load.rows if result.rows_loaded is None else result.rows_loaded,
            bytes=load.bytes,
            loaded_at=time.time(),
            seconds=result.seconds,
            shard=0 if self._unit is None else self._unit.shard,
        )
