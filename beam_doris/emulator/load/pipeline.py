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
"""A load from its headers to its reply: begin, read, stage, decide, answer (P 2.1)."""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from beam_doris.emulator.catalog import Table
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.errors import EmulatorError, LabelAlreadyUsed
from beam_doris.emulator.load.arrow_reader import ArrowReader
from beam_doris.emulator.load.body import ByteSource, decompressed
from beam_doris.emulator.load.chunk import Reader
from beam_doris.emulator.load.csv_reader import CsvReader
from beam_doris.emulator.load.failure import LoadFailure
from beam_doris.emulator.load.file_reader import FileReader
from beam_doris.emulator.load.http_stream import HttpStream, Peeked, with_fields
from beam_doris.emulator.load.json_reader import JsonReader
from beam_doris.emulator.load.loader import ChunkLoader
from beam_doris.emulator.load.plan import LoadPlan, plan_load
from beam_doris.emulator.load.quality import Quality
from beam_doris.emulator.load.reply import (
    FAIL,
    LABEL_EXISTS,
    PUBLISH_TIMEOUT,
    LoadReply,
    LoadTimes,
)
from beam_doris.emulator.load.request import LoadRequest
from beam_doris.emulator.sql.translate import expression
from beam_doris.emulator.transactions import TransactionState
from beam_doris.emulator.types import DorisType

LATE = "transaction commit successfully, BUT data will be visible later"


@dataclass
class LoadRun:
    """One load in progress.

    Args:
        engine: the cluster.
        request: its checked headers.
        database: where its labels live.
        table_name: where its rows go.
        statement: the SQL of a load by SQL.
        before_commit: called when all rows are staged; may raise.
    """

    engine: Engine
    request: LoadRequest
    database: str
    table_name: str
    statement: HttpStream | None = None
    before_commit: Callable[[LoadRun], None] | None = None
    txn_id: int = field(default=-1, init=False)
    label: str = field(default="", init=False)
    quality: Quality = field(default_factory=Quality, init=False)
    times: LoadTimes = field(default_factory=LoadTimes, init=False)
    _started: float = field(default_factory=time.monotonic, init=False)
    _table: Table | None = field(default=None, init=False)
    _plan: LoadPlan | None = field(default=None, init=False)

    def begin(self) -> None:
        """Begin the transaction and check the plan, before the body is asked for.

        Raises:
            LoadFailure: refused; a transaction that had begun is aborted.
            LabelAlreadyUsed: the label is taken.
        """
        engine, request = self.engine, self.request
        self.label = request.label or self._own_label()
        with self._frontend_errors(), _timed(self.times, "begin"):
            self._table = engine.catalog.table(self.database, self.table_name)
            self.txn_id = engine.transactions.begin(
                self.database,
                (self._table.id,),
                self.label,
                timeout=None if request.timeout_seconds is None else float(request.timeout_seconds),
            ).id
        if self.statement is None:
            with _timed(self.times, "put"), self._aborting():
                self._plan = plan_load(request, self._table, self._translate)

    def load(self, source: ByteSource) -> TransactionState:
        """Stage the rows of the body and decide; the state that the transaction is in then.

        Raises:
            LoadFailure: the transaction has been aborted.
        """
        with self._aborting():
            self._stage(source)
            self.quality.check(self.request.max_filter_ratio)
            if self.before_commit is not None:
                self.before_commit(self)
            with self._frontend_errors(), _timed(self.times, "commit"):
                transactions = self.engine.transactions
                if self.request.two_phase:
                    state = transactions.precommit(self.txn_id).state
                else:
                    state = transactions.finish(self.txn_id).state
        if self.request.two_phase:
            self.times.commit = 0
        return state

    def _translate(self, text: str, types: Mapping[str, DorisType]) -> str:
        now = datetime.datetime.fromtimestamp(self.engine.clock.now(), tz=datetime.timezone.utc)
        return expression(text, types, now=now)

    def _own_label(self) -> str:
        token = uuid.uuid4()
        if self.request.grouped:
            return f"group_commit_{token.hex[:16]}_{token.hex[16:]}"
        return str(token)

    def _stage(self, source: ByteSource) -> None:
        engine, request = self.engine, self.request
        table = self._table
        if table is None:
            raise LoadFailure("the load has not begun")
        source = decompressed(source, request.compression)
        if self.statement is not None:
            peeked = Peeked(source)
            source = peeked
            names = tuple(column.name for column in table.columns if column.generated is None)
            request = with_fields(request, self.statement, names, peeked)
            self._plan = plan_load(request, table, self._translate, by_select=True)
        plan = self._plan
        if plan is None:
            raise LoadFailure("the load has no plan")
        named = [target.name for target in plan.targets]
        reader = self._reader(request, plan, source)
        with self._frontend_errors(), engine.cursor() as cursor:
            stager = engine.storage.stager(
                self.txn_id,
                table,
                partitions=list(request.partitions) or None,
                partial_columns=named if request.partial else None,
            )
            loader = ChunkLoader(
                cursor,
                plan,
                stager,
                self.quality,
                strict=request.strict,
                cut_text=engine.profile.http.overlong_text_is_cut,
                now=engine.clock.now,
            )
            self._run(reader, loader)

    def _run(self, reader: Reader, loader: ChunkLoader) -> None:
        chunks = reader.chunks()
        while True:
            with _timed(self.times, "read"):
                chunk = next(chunks, None)
            if chunk is None:
                return
            with _timed(self.times, "write"):
                loader.load(chunk)

    def _reader(self, request: LoadRequest, plan: LoadPlan, source: ByteSource) -> Reader:
        if request.format == "json":
            return JsonReader(source, request.json, plan.fields)
        if request.format == "arrow":
            direct = {target.name for target in plan.targets if not target.computed}
            types = {
                column.name: column.type for column in plan.table.columns if column.name in direct
            }
            by_order = self.engine.profile.http.arrow_columns_by_order
            return ArrowReader(source, plan.fields, types, by_order=by_order)
        if request.format in ("parquet", "orc"):
            return FileReader(source, request.format, plan.fields)
        return CsvReader(source, request.csv, plan.fields)

    @contextmanager
    def _frontend_errors(self) -> Iterator[None]:
        """Errors of the cluster as failures of the load."""
        try:
            yield
        except LabelAlreadyUsed:
            raise
        except EmulatorError as error:
            raise LoadFailure(error.message, "ANALYSIS_ERROR", frontend=True) from error

    @contextmanager
    def _aborting(self) -> Iterator[None]:
        """Abort the transaction when anything goes wrong, so that its label is free again."""
        try:
            yield
        except LoadFailure as failure:
            self.engine.transactions.fail(self.txn_id, failure.text)
            raise
        except BaseException as error:
            self.engine.transactions.fail(self.txn_id, f"cancelled: {error}")
            raise

    def reply(self, prefix: str, outcome: TransactionState | Exception) -> LoadReply:
        """The answer to the client.

        Args:
            prefix: what the profile puts before errors of the frontend.
            outcome: the state after the load, or why there is none.
        """
        reply = LoadReply(
            label=self.label,
            comment=self.request.comment,
            two_phase=self.request.two_phase,
            grouped=self.request.grouped,
            txn_id=self.txn_id,
            quality=self.quality,
            times=self.times,
        )
        self.times.load = int((time.monotonic() - self._started) * 1000)
        if isinstance(outcome, LabelAlreadyUsed):
            # the id of the other transaction stands only in the message (P 2.3)
            reply.txn_id = -1
            reply.status, reply.existing_status = LABEL_EXISTS, outcome.status
            reply.message = LoadFailure(
                outcome.message, "LABEL_ALREADY_EXISTS", frontend=True
            ).message(prefix)
        elif isinstance(outcome, LoadFailure):
            reply.status, reply.message = FAIL, outcome.message(prefix)
        elif outcome is TransactionState.COMMITTED:
            reply.status, reply.message = PUBLISH_TIMEOUT, LATE
        return reply


@contextmanager
def _timed(times: LoadTimes, name: str) -> Iterator[None]:
    begin = time.monotonic()
    try:
        yield
    finally:
        spent: Any = getattr(times, name) + int((time.monotonic() - begin) * 1000)
        setattr(times, name, spent)
