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
"""What a name in FROM stands for: a table, a view, or a relation of information_schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beam_doris.emulator.catalog import (
    DELETE_SIGN,
    SEQUENCE_COLUMN,
    VERSION_COLUMN,
    KeysModel,
    Table,
)
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql import information_schema
from beam_doris.emulator.sql.prepare import TableHint
from beam_doris.emulator.sql.tokens import tokenize
from beam_doris.emulator.sql.translate import Source, query
from beam_doris.emulator.sql.views import View, views_of
from beam_doris.emulator.types import DorisType, Kind, of_physical
from beam_doris.emulator.users import SELECT

if TYPE_CHECKING:
    from beam_doris.emulator.sql.session import SessionState


def hidden_columns(table: Table) -> list[tuple[str, DorisType]]:
    """The hidden columns that can be read, in the order in which the storage gives them."""
    found: list[tuple[str, DorisType]] = []
    if table.model is KeysModel.UNIQUE_KEYS:
        found.append((DELETE_SIGN, DorisType(Kind.TINYINT)))
    sequence = table.sequence_type
    if sequence is not None:
        found.append((SEQUENCE_COLUMN, sequence))
    found.append((VERSION_COLUMN, DorisType(Kind.BIGINT)))
    return found


class SessionSources:
    """Finds relations as one session sees them."""

    def __init__(self, state: SessionState) -> None:
        self._state = state

    def source(
        self, database: str | None, name: str, hint: TableHint | None, *, hidden: bool
    ) -> Source:
        state = self._state
        where = state.database_or_current(database)
        if information_schema.is_virtual(where):
            return information_schema.source(state, where, name)
        view = views_of(state.engine).find(where, name)
        if view is not None:
            return self._view(view)
        state.require(SELECT, where, name)
        table = state.table(where, name)
        tablets = None if hint is None else hint.tablets
        self._check_tablets(table, tablets)
        sql = state.engine.storage.visible_sql(
            table,
            tablets=tablets,
            partitions=None if hint is None else hint.partitions,
            hidden=hidden,
        )
        columns = [(column.name, column.type) for column in table.columns]
        if hidden:
            columns += hidden_columns(table)
        return Source(sql=sql, columns=tuple(columns))

    @staticmethod
    def _check_tablets(table: Table, tablets: tuple[int, ...] | None) -> None:
        for tablet in tablets or ():
            if table.tablet(tablet) is None:
                raise EmulatorError(f"Invalid tablet id: {tablet}")

    def _view(self, view: View) -> Source:
        state = self._state
        translated = query(tokenize(view.sql), SessionSources(state), now=state.now())
        with state.engine.cursor() as cursor:
            relation = cursor.sql(translated.sql)
            names = list(view.columns) or list(relation.columns)
            physical = [str(kind) for kind in relation.types]
        known = translated.columns or []
        kinds = [
            (known[index][1] if len(known) == len(names) else None) or of_physical(physical[index])
            for index in range(len(names))
        ]
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        sql = f"SELECT * FROM ({translated.sql}) AS v({quoted})"
        return Source(sql=sql, columns=tuple(zip(names, kinds, strict=True)))
