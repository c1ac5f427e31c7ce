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
"""VALUES lists: plain literals travel as Arrow columns of texts, the rest as expressions."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from beam_doris.emulator.catalog import Column
from beam_doris.emulator.sql.convert import cast_sql, parse_sql
from beam_doris.emulator.sql.nested_literals import json_text
from beam_doris.emulator.sql.render import literal
from beam_doris.emulator.sql.tokens import SyntaxFault, Token, TokenKind
from beam_doris.emulator.sql.translate import expression_of
from beam_doris.emulator.types import DorisType

LITERALS = "doris_literals"


class Default:
    """The word DEFAULT as a value."""


DEFAULT = Default()
Cell = str | Default | list[Token] | None


def rows(tokens: Sequence[Token]) -> list[list[Cell]]:
    """The cells of ``(a, b), (c, d)``."""
    found: list[list[Cell]] = []
    index, size = 0, len(tokens)
    while index < size:
        if tokens[index].text != "(" or tokens[index].kind is not TokenKind.SYMBOL:
            raise SyntaxFault(f"Syntax error: mismatched input '{tokens[index].text}' in VALUES")
        index, row = _row(tokens, index + 1)
        found.append(row)
        if index < size:
            if tokens[index].text != "," or index + 1 == size:
                raise SyntaxFault(
                    f"Syntax error: mismatched input '{tokens[index].text}' in VALUES"
                )
            index += 1
    if not found:
        raise SyntaxFault("Syntax error: VALUES without rows")
    return found


def _row(tokens: Sequence[Token], index: int) -> tuple[int, list[Cell]]:
    row: list[Cell] = []
    cell: list[Token] = []
    depth = 0
    for at in range(index, len(tokens)):
        token = tokens[at]
        if token.kind is TokenKind.SYMBOL:
            text = token.text
            if text in "([{":
                depth += 1
            elif text in ")]}":
                if depth == 0:
                    if cell or row:
                        row.append(_cell(cell))
                    return at + 1, row
                depth -= 1
            elif text == "," and depth == 0:
                row.append(_cell(cell))
                cell = []
                continue
        cell.append(token)
    raise SyntaxFault("Syntax error: '(' is not closed in VALUES")


def _number(text: str) -> str:
    if "e" in text.lower() and not text.lower().startswith("0x"):
        return repr(float(text))
    return text


def _cell(tokens: list[Token]) -> Cell:
    if len(tokens) == 1:
        token = tokens[0]
        if token.kind is TokenKind.STRING:
            return token.text
        if token.kind is TokenKind.NUMBER and not token.text.lower().startswith("0x"):
            return _number(token.text)
        word = token.upper
        if word == "NULL":
            return None
        if word in ("TRUE", "FALSE"):
            return "1" if word == "TRUE" else "0"
        if word == "DEFAULT":
            return DEFAULT
    elif (
        len(tokens) == 2
        and tokens[0].kind is TokenKind.SYMBOL
        and tokens[0].text in "+-"
        and tokens[1].kind is TokenKind.NUMBER
    ):
        return ("-" if tokens[0].text == "-" else "") + _number(tokens[1].text)
    if not tokens:
        raise SyntaxFault("Syntax error: an empty value")
    return tokens


@dataclass(slots=True)
class ValuesSource:
    """A VALUES list as relations of raw cells.

    ``sql`` yields for each column the raw value ``r<i>`` (its text where the cell was a literal),
    the converted value ``v<i>`` and ``__ord``; ``literals`` is to be registered as LITERALS.
    """

    sql: str
    literals: pa.Table | None


@dataclass(slots=True)
class ValuesBuilder:
    """Makes a source of the rows for columns of these types."""

    types: Sequence[DorisType]
    columns: Sequence[Column | None]
    now: datetime.datetime
    plain: list[tuple[int, list[Cell]]] = field(default_factory=list)
    hard: list[tuple[int, list[Cell]]] = field(default_factory=list)

    def build(self, cells: Sequence[Sequence[Cell]]) -> ValuesSource:
        for number, row in enumerate(cells):
            filled = [self._filled(cell, index) for index, cell in enumerate(row)]
            simple = not any(isinstance(cell, list) for cell in filled)
            (self.plain if simple else self.hard).append((number, filled))
        parts: list[str] = []
        table = None
        if self.plain:
            table = self._table()
            items = "".join(
                f"t{index} AS r{index}, {parse_sql(f't{index}', kind)} AS v{index}, "
                for index, kind in enumerate(self.types)
            )
            parts.append(f"SELECT {items}__ord FROM {LITERALS}")
        if self.hard:
            names = "".join(f"r{index}, v{index}, " for index in range(len(self.types)))
            lines = ", ".join(self._hard_row(number, row) for number, row in self.hard)
            parts.append(f"SELECT * FROM (VALUES {lines}) AS h({names}__ord)")
        return ValuesSource(" UNION ALL ".join(parts), table)

    def _filled(self, cell: Cell, index: int) -> Cell:
        if isinstance(cell, list):
            text = json_text(cell, self.types[index])
            return cell if text is None else text
        if not isinstance(cell, Default):
            return cell
        column = self.columns[index]
        if column is None or column.default is None:
            return None
        if column.default_is_function:
            return [Token(TokenKind.WORD, "now", 0, 0), *(_symbols("()"))]
        return column.default

    def _table(self) -> pa.Table:
        arrays = {
            f"t{index}": pa.array([row[index] for _, row in self.plain], pa.string())
            for index in range(len(self.types))
        }
        arrays["__ord"] = pa.array([number for number, _ in self.plain], pa.int64())
        return pa.table(arrays)

    def _hard_row(self, number: int, row: Sequence[Cell]) -> str:
        items: list[str] = []
        for cell, kind in zip(row, self.types, strict=True):
            if isinstance(cell, list):
                sql, source = expression_of(cell, {}, now=self.now)
                value = cast_sql(f"({sql})", source, kind)
                given = f"CASE WHEN ({sql}) IS NOT NULL THEN '(expression)' END"
            elif cell is None or isinstance(cell, Default):
                given, value = "CAST(NULL AS VARCHAR)", "NULL"
            else:
                given = literal(cell)
                value = parse_sql(given, kind)
            items.append(f"{given}, CAST({value} AS {kind.physical()})")
        return f"({', '.join(items)}, CAST({number} AS BIGINT))"


def _symbols(text: str) -> list[Token]:
    return [Token(TokenKind.SYMBOL, sign, 0, 0) for sign in text]
