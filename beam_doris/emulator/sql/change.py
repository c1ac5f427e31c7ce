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
"""UPDATE and DELETE."""

from __future__ import annotations

from beam_doris.emulator.catalog import DELETE_SIGN, SEQUENCE_COLUMN, KeysModel, Table
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.insert import Insert, Inserter
from beam_doris.emulator.sql.prepare import split
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.sql.session import SessionState
from beam_doris.emulator.sql.tokens import (
    Reader,
    Token,
    TokenKind,
    Unsupported,
    number,
    quoted,
    symbol,
    word,
)
from beam_doris.emulator.sql.translate import expression_of
from beam_doris.emulator.users import LOAD


def _name_tokens(table: Table) -> list[Token]:
    return [quoted(table.database), symbol("."), quoted(table.name)]


def _alias(reader: Reader, *stops: str) -> str | None:
    reader.take("AS")
    token = reader.peek()
    if token.kind is TokenKind.QUOTED or (
        token.kind is TokenKind.WORD and token.upper not in stops
    ):
        reader.next()
        return token.text
    return None


def _until(reader: Reader, *stops: str) -> list[Token]:
    """Tokens up to one of these words outside of brackets."""
    found: list[Token] = []
    depth = 0
    while not reader.done:
        token = reader.peek()
        if depth == 0 and token.upper in stops:
            break
        if token.kind is TokenKind.SYMBOL:
            depth += (token.text in "([{") - (token.text in ")]}")
        found.append(reader.next())
    return found


def update(state: SessionState, reader: Reader) -> Result:
    """``t [alias] SET c = expression, ... [FROM ...] [WHERE ...]``: rewritten rows are upserted."""
    database, name = reader.qualified()
    table = state.table(database, name)
    alias = _alias(reader, "SET") or table.name
    reader.expect("SET")
    changes = _assignments(table, _until(reader, "FROM", "WHERE"))
    more: list[Token] = []
    if reader.take("FROM"):
        more = [symbol(","), *_until(reader, "WHERE")]
    tail = reader.rest()
    if table.model is not KeysModel.UNIQUE_KEYS:
        raise EmulatorError("Only unique table could be updated")
    names: list[str] = []
    items: list[Token] = []
    for column in table.columns:
        if column.generated is not None:
            continue
        names.append(column.name)
        own = [quoted(alias), symbol("."), quoted(column.name)]
        items += [symbol(","), *changes.get(column.name, own)]
    if table.sequence_type is not None and table.sequence_column is None:
        names.append(SEQUENCE_COLUMN)
        items += [symbol(","), quoted(alias), symbol("."), quoted(SEQUENCE_COLUMN)]
    query = [word("SELECT"), *items[1:], word("FROM"), *_name_tokens(table), word("AS")]
    query += [quoted(alias), *more, *tail]
    statement = Insert(table.database, table.name, columns=tuple(names), query=query)
    return Inserter(state, table).run(statement)


def _assignments(table: Table, tokens: list[Token]) -> dict[str, list[Token]]:
    changes: dict[str, list[Token]] = {}
    for part in split(tokens, ","):
        inner = Reader(part)
        name = inner.name()
        while inner.take("."):
            name = inner.name()
        inner.expect("=")
        column = table.column(name)
        if column.key:
            raise EmulatorError("Only value columns of unique table could be updated")
        if column.generated is not None:
            raise EmulatorError(
                f"The value specified for generated column '{column.name}' in table "
                f"'{table.name}' is not allowed."
            )
        value = inner.rest()
        if not value:
            inner.fail("a value")
        changes[column.name] = [symbol("("), *value, symbol(")")]
    return changes


def delete(state: SessionState, reader: Reader) -> Result:
    """``FROM t [alias] [PARTITION p] [USING ...] [WHERE ...]``."""
    reader.expect("FROM")
    database, name = reader.qualified()
    table = state.table(database, name)
    state.require(LOAD, table.database, table.name)
    partitions = None
    if reader.take("PARTITION") or reader.take("PARTITIONS"):
        partitions = reader.names() if reader.sees("(") else (reader.name(),)
    alias = _alias(reader, "WHERE", "USING", "PARTITION", "PARTITIONS")
    using = _until(reader, "WHERE") if reader.take("USING") else []
    if not reader.take("WHERE"):
        raise EmulatorError("where clause is not set")
    condition = reader.rest()
    if using or any(token.upper == "SELECT" for token in condition):
        return _delete_signed(state, table, alias or table.name, using, condition)
    condition = _without_qualifiers(condition, {table.name, alias or table.name})
    columns = {column.name: column.type for column in table.columns}
    sql, _ = expression_of(condition, columns, now=state.now())
    _check_aggregate(table, condition)
    with state.cursor():
        removed = state.engine.storage.delete_where(table, sql, partitions=partitions)
    return Result.ok(removed)


def _check_aggregate(table: Table, condition: list[Token]) -> None:
    values = {column.name.lower() for column in table.value_columns}
    if table.model is KeysModel.AGG_KEYS:
        for token in condition:
            if token.is_name and token.text.lower() in values:
                raise EmulatorError(
                    "delete predicate on value column only supports Unique table with "
                    "merge-on-write enabled and Duplicate table, but Table[" + table.name + "]"
                )


def _without_qualifiers(tokens: list[Token], names: set[str]) -> list[Token]:
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if (
            token.is_name
            and token.text in names
            and index + 2 < len(tokens)
            and tokens[index + 1].text == "."
            and tokens[index + 2].is_name
        ):
            index += 2
            continue
        out.append(token)
        index += 1
    return out


def _delete_signed(
    state: SessionState, table: Table, alias: str, using: list[Token], condition: list[Token]
) -> Result:
    """A DELETE that looks at other tables writes delete signs for the keys it finds."""
    if table.model is not KeysModel.UNIQUE_KEYS:
        raise Unsupported("DELETE with other tables on a table that is not UNIQUE")
    names = [column.name for column in table.columns if column.generated is None]
    items: list[Token] = []
    for name in names:
        items += [quoted(alias), symbol("."), quoted(name), symbol(",")]
    if table.sequence_type is not None and table.sequence_column is None:
        names.append(SEQUENCE_COLUMN)
        items += [quoted(alias), symbol("."), quoted(SEQUENCE_COLUMN), symbol(",")]
    query = [word("SELECT"), word("DISTINCT"), *items, number("1"), word("FROM")]
    query += [*_name_tokens(table), word("AS"), quoted(alias)]
    if using:
        query += [symbol(","), *using]
    query += [word("WHERE"), *condition]
    statement = Insert(table.database, table.name, columns=(*names, DELETE_SIGN), query=query)
    return Inserter(state, table).run(statement)
