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
"""INSERT INTO and INSERT OVERWRITE."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beam_doris.emulator.catalog import DELETE_SIGN, SEQUENCE_COLUMN, Column, Table
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.convert import cast_sql
from beam_doris.emulator.sql.insert_values import (
    DEFAULT,
    LITERALS,
    Cell,
    ValuesBuilder,
    rows,
)
from beam_doris.emulator.sql.render import literal
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.sql.session import SessionState
from beam_doris.emulator.sql.sources import SessionSources
from beam_doris.emulator.sql.tokens import Reader, Token
from beam_doris.emulator.sql.translate import query
from beam_doris.emulator.types import DorisType, Kind, of_physical
from beam_doris.emulator.users import LOAD

_SHOWN_REASONS = 3
_counter = itertools.count()


@dataclass(slots=True)
class Insert:
    """An INSERT statement as written."""

    database: str | None
    name: str
    overwrite: bool = False
    partitions: tuple[str, ...] | None = None
    label: str | None = None
    columns: tuple[str, ...] | None = None
    values: list[Token] | None = None
    query: list[Token] | None = None


def parse_insert(reader: Reader) -> Insert:
    """Everything behind INSERT."""
    overwrite = reader.take("OVERWRITE")
    if overwrite:
        reader.take("TABLE")
    else:
        reader.take("INTO")
        reader.take("TABLE")
    statement = Insert(*reader.qualified(), overwrite=overwrite)
    if reader.take("PARTITION", "(", "*", ")"):
        statement.partitions = None
    elif reader.take("PARTITION") or reader.take("PARTITIONS"):
        statement.partitions = reader.names()
    if reader.take("WITH", "LABEL"):
        statement.label = reader.name_or_text()
    if reader.sees("(") and reader.peek(1).upper not in ("SELECT", "WITH"):
        statement.columns = reader.names()
    for hint in ("SHUFFLE", "NOSHUFFLE"):
        reader.take("[", hint, "]")
    if reader.take("VALUES") or reader.take("VALUE"):
        statement.values = reader.rest()
    elif reader.done:
        reader.fail("VALUES or SELECT")
    else:
        statement.query = reader.rest()
    return statement


def target_types(table: Table, names: Sequence[str]) -> list[tuple[Column | None, DorisType]]:
    """The column (None for a hidden one) and the type behind each name."""
    found: list[tuple[Column | None, DorisType]] = []
    for name in names:
        if name.upper() == DELETE_SIGN:
            found.append((None, DorisType(Kind.TINYINT)))
        elif name.upper() == SEQUENCE_COLUMN and table.sequence_type is not None:
            found.append((None, table.sequence_type))
        else:
            column = table.column(name)
            found.append((column, column.type))
    return found


class Inserter:
    """Writes the rows of one statement in one transaction."""

    def __init__(self, state: SessionState, table: Table) -> None:
        self._state = state
        self._table = table
        self._strict = state.variables.flag("enable_insert_strict")

    # -- which columns

    def columns(self, statement: Insert) -> tuple[str, ...]:
        if statement.columns is None:
            return tuple(column.name for column in self._table.columns)
        for name in statement.columns:
            target_types(self._table, [name])
        if len({name.lower() for name in statement.columns}) != len(statement.columns):
            raise EmulatorError("Duplicate column name in the insert column list")
        return statement.columns

    def _refuse_generated(self, column: Column | None) -> None:
        if column is not None and column.generated is not None:
            raise EmulatorError(
                f"The value specified for generated column '{column.name}' in table "
                f"'{self._table.name}' is not allowed."
            )

    def _check_sequence(self, names: Sequence[str]) -> None:
        table = self._table
        if table.sequence_type is None or table.sequence_column is not None:
            return
        if SEQUENCE_COLUMN in (name.upper() for name in names):
            return
        if self._state.variables.flag("require_sequence_in_insert"):
            raise EmulatorError(
                f"Table {table.name} has sequence column, need to specify the sequence column"
            )

    # -- the two forms

    def run(self, statement: Insert) -> Result:
        state = self._state
        state.require(LOAD, self._table.database, self._table.name)
        names = self.columns(statement)
        self._check_sequence(names)
        with state.cursor() as cursor:
            temporary = f"doris_insert_{next(_counter)}"
            try:
                if statement.values is not None:
                    names = self._values(cursor, temporary, names, rows(statement.values))
                else:
                    names = self._query(cursor, temporary, names, statement)
                if statement.overwrite:
                    self._table = state.engine.truncate(self._table, statement.partitions)
                return self._write(cursor, temporary, names, statement)
            finally:
                cursor.execute(f"DROP TABLE IF EXISTS {temporary}")

    def _values(
        self, cursor: Any, temporary: str, names: tuple[str, ...], cells: list[list[Cell]]
    ) -> tuple[str, ...]:
        for row in cells:
            if len(row) != len(names):
                raise EmulatorError("Column count doesn't match value count")
        targets = target_types(self._table, names)
        kept: list[int] = []
        for index, (column, _) in enumerate(targets):
            if all(row[index] is DEFAULT for row in cells):
                continue
            self._refuse_generated(column)
            numbered = column is not None and column.auto_increment is not None
            if numbered and all(row[index] is None for row in cells):
                continue
            kept.append(index)
        types = [targets[index][1] for index in kept]
        builder = ValuesBuilder(types, [targets[index][0] for index in kept], self._state.now())
        source = builder.build([[row[index] for index in kept] for row in cells])
        if source.literals is not None:
            cursor.register(LITERALS, source.literals)
        cursor.execute(f"CREATE TEMP TABLE {temporary} AS {source.sql}")
        if source.literals is not None:
            cursor.unregister(LITERALS)
        return tuple(names[index] for index in kept)

    def _query(
        self, cursor: Any, temporary: str, names: tuple[str, ...], statement: Insert
    ) -> tuple[str, ...]:
        state = self._state
        if statement.columns is None:
            names = tuple(column.name for column in self._table.columns if column.generated is None)
        targets = target_types(self._table, names)
        for column, _ in targets:
            self._refuse_generated(column)
        translated = query(statement.query or [], SessionSources(state), now=state.now())
        relation = cursor.sql(translated.sql)
        width = len(relation.columns)
        if width != len(names):
            raise EmulatorError("insert into cols should be corresponding to the query output")
        known = (
            translated.columns if translated.columns and len(translated.columns) == width else None
        )
        items: list[str] = []
        for index, (_, kind) in enumerate(targets):
            declared = known[index][1] if known is not None else None
            source = declared or of_physical(str(relation.types[index]))
            value = cast_sql(f"q.c{index}", source, kind)
            items.append(f"CASE WHEN q.c{index} IS NOT NULL THEN '(query)' END AS r{index}")
            items.append(f"CAST({value} AS {kind.physical()}) AS v{index}")
        aliases = ", ".join(f"c{index}" for index in range(width))
        cursor.execute(
            f"CREATE TEMP TABLE {temporary} AS SELECT {', '.join(items)}, "
            f"CAST(row_number() OVER () AS BIGINT) AS __ord FROM ({translated.sql}) AS q({aliases})"
        )
        return names

    # -- what both share

    def _write(
        self, cursor: Any, temporary: str, names: Sequence[str], statement: Insert
    ) -> Result:
        self._refuse_unfit(cursor, temporary, names)
        targets = target_types(self._table, names)
        items: list[str] = []
        for index, (name, (column, kind)) in enumerate(zip(names, targets, strict=True)):
            value = f"v{index}"
            if column is None:
                value = (
                    f"({value} <> 0) AS __del"
                    if name.upper() == DELETE_SIGN
                    else f"{value} AS __seq"
                )
                items.append(value)
                continue
            if kind.kind in (Kind.CHAR, Kind.VARCHAR) and not self._strict:
                value = _cut(value, kind.length)
            items.append(f'{value} AS "{column.name}"')
        source = f"SELECT {', '.join([*items, '__ord'])} FROM {temporary}"
        return self._commit(cursor, source, names, statement)

    def _refuse_unfit(self, cursor: Any, temporary: str, names: Sequence[str]) -> None:
        """In strict mode a value that does not fit refuses the whole statement (P 2.3)."""
        if not self._strict:
            return
        checks: list[str] = []
        for index, (name, (_, kind)) in enumerate(
            zip(names, target_types(self._table, names), strict=True)
        ):
            checks.append(
                f"WHEN r{index} IS NOT NULL AND v{index} IS NULL THEN 'column(' || {literal(name)} "
                f"|| ') value is incorrect while strict mode is true, src value is [' || r{index} || ']'"
            )
            if kind.kind in (Kind.CHAR, Kind.VARCHAR):
                checks.append(
                    f"WHEN strlen(v{index}) > {kind.length} THEN 'column_name[' || {literal(name)} "
                    f"|| '], the length of input is too long than schema. schema length: {kind.length}; "
                    f"actual length: ' || strlen(v{index})"
                )
        if not checks:
            return
        case = f"CASE {' '.join(checks)} END"
        found = cursor.execute(
            f"SELECT reason FROM (SELECT {case} AS reason, __ord FROM {temporary}) "
            f"WHERE reason IS NOT NULL ORDER BY __ord LIMIT {_SHOWN_REASONS}"
        ).fetchall()
        if found:
            raise _filtered([row[0] for row in found])

    def _commit(self, cursor: Any, source: str, names: Sequence[str], statement: Insert) -> Result:
        engine, table = self._state.engine, self._table
        partial = None
        if self._state.variables.flag("enable_unique_key_partial_update") and statement.columns:
            partial = list(names)
        label = statement.label or self._state.label()
        transaction = engine.transactions.begin(
            table.database, (table.id,), label, source="INSERT_STREAMING"
        )
        try:
            stager = engine.storage.stager(
                transaction.id, table, partitions=statement.partitions, partial_columns=partial
            )
            result = stager.append(cursor, source)
            if result.rejected and self._strict:
                raise _filtered([reason for _, reason in result.rejected[:_SHOWN_REASONS]])
        except BaseException as error:
            engine.transactions.fail(transaction.id, str(error))
            raise
        state = engine.transactions.finish(transaction.id).state.value
        info = f"{{'label':'{label}', 'status':'{state}', 'txnId':'{transaction.id}'}}"
        return Result.ok(result.loaded, info)


def _cut(value: str, length: int) -> str:
    """A text cut to so many bytes, at the border of a character."""
    return (
        f"CASE WHEN strlen({value}) <= {length} THEN {value} ELSE "
        f"list_reduce([''] || string_split({value}, ''), "
        f"lambda a, b: CASE WHEN strlen(a || b) <= {length} THEN a || b ELSE a END) END"
    )


def _filtered(reasons: Sequence[str]) -> EmulatorError:
    return EmulatorError(
        "[DATA_QUALITY_ERROR]Insert has filtered data in strict mode. "
        f"first_error_msg: {'; '.join(str(reason) for reason in reasons)}"
    )
