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
"""The rows of a planned scan: the plan's columns, filter and versions over some tablets (P 5.3)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack

import duckdb
import pyarrow as pa

from beam_doris.emulator.catalog import Table
from beam_doris.emulator.engine import Backend, Engine
from beam_doris.emulator.errors import EmulatorError, VersionMerged
from beam_doris.emulator.plan_cookie import PlanCookie, PlanError, decode
from beam_doris.emulator.scan.contexts import RunningScan, ScanError, ScanRequest, StatusCode
from beam_doris.emulator.scan.disorder import Disorder
from beam_doris.emulator.sql.render import arrow_sql
from beam_doris.emulator.wire_arrow import UnreadableType, WireColumn, WireEncoder, WireForms

_READ_ROWS = 8192
_MODIFIED = (
    "query_plan_info: {} validate error, should not be modified after returned Doris FE processed"
)


class TabletSource:
    """Scans tablets of one backend from the engine's store."""

    def __init__(self, engine: Engine, backend: Backend) -> None:
        self._engine = engine
        self._backend = backend

    def open(self, request: ScanRequest) -> RunningScan:
        """Begin a scan at the versions that the plan pinned."""
        cookie = self._plan(request.opaque)
        table = self._table(cookie, request.tablets)
        disorder = Disorder(self._engine.random.getrandbits(63))
        try:
            columns = [table.column(name) for name in cookie.columns]
        except EmulatorError as error:
            # dropped since the plan was made
            raise ScanError(StatusCode.INTERNAL_ERROR, error.message) from error
        # P 5.3 leaves the order of the slots open, yet the Java connector reads them by position:
        # a server that did not keep the order of the SELECT would break its every user.
        if self._engine.profile.arrow.scan_columns_shuffled:
            columns = [columns[at] for at in disorder.columns(len(columns))]
        wire = tuple(WireColumn(name=one.name, type=one.type) for one in columns)
        try:
            encoder = WireEncoder(wire, WireForms.of(self._engine.profile.arrow))
        except UnreadableType as error:
            raise ScanError(StatusCode.INTERNAL_ERROR, str(error)) from error
        batches = self._rows(table, cookie, request.tablets, wire)
        shuffled = disorder.shuffled(batches)
        sent = map(encoder.encode, disorder.cut(shuffled, request.batch_rows))
        return RunningScan(columns=wire, batches=_started(sent), close=batches.close)

    def _plan(self, opaque: str) -> PlanCookie:
        try:
            return decode(opaque)
        except PlanError as error:
            raise ScanError(StatusCode.INVALID_ARGUMENT, _MODIFIED.format(opaque)) from error

    def _table(self, cookie: PlanCookie, tablets: tuple[int, ...]) -> Table:
        table = self._engine.catalog.table_by_id(cookie.table_id)
        for tablet_id in tablets:
            tablet = None if table is None else table.tablet(tablet_id)
            here = tablet is not None and self._backend.id in tablet.backend_ids
            if tablet_id not in cookie.tablets or not here:
                raise ScanError(StatusCode.NOT_FOUND, f"tablet_id: {tablet_id} not found")
        if table is None:
            raise ScanError(StatusCode.NOT_FOUND, f"table_id: {cookie.table_id} not found")
        return table

    def _rows(
        self,
        table: Table,
        cookie: PlanCookie,
        tablets: tuple[int, ...],
        columns: tuple[WireColumn, ...],
    ) -> Generator[pa.RecordBatch, None, None]:
        versions: dict[int, int] = {}
        for tablet_id in tablets:
            partition = table.partition_of(tablet_id)
            if partition is not None:
                versions[partition.id] = cookie.tablets[tablet_id]
        try:
            visible = self._engine.storage.visible_sql(table, versions=versions, tablets=tablets)
            items = ", ".join(arrow_sql(_quoted(one.name), one.type) for one in columns)
            statement = f"SELECT {items} FROM ({visible}) AS visible"
            if cookie.filter_sql:
                statement += f" WHERE {cookie.filter_sql}"
            with ExitStack() as stack:
                cursor = stack.enter_context(self._engine.cursor())
                yield from cursor.sql(statement).to_arrow_reader(_READ_ROWS)
        except VersionMerged as error:
            raise ScanError(StatusCode.VERSION_ALREADY_MERGED, error.message) from error
        except EmulatorError as error:
            raise ScanError(StatusCode.INTERNAL_ERROR, error.message) from error
        except (duckdb.Error, pa.ArrowException) as error:
            raise ScanError(StatusCode.INTERNAL_ERROR, str(error)) from error


def _started(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches of a scan that runs already; its failure waits for the first get_next.

    A backend opens a scanner before it knows whether the versions can still be read (P 5.3).
    """
    failure: ScanError | None = None
    first: pa.RecordBatch | None = None
    try:
        first = next(batches, None)
    except ScanError as error:
        failure = error

    def rest() -> Iterator[pa.RecordBatch]:
        if failure is not None:
            raise failure
        if first is not None:
            yield first
            yield from batches

    return rest()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
