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
"""LIKE, WHERE, ORDER BY and LIMIT of SHOW statements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.sql.tokens import Reader, TokenKind, Unsupported


def like_pattern(text: str) -> re.Pattern[str]:
    """The regular expression of a LIKE pattern."""
    parts: list[str] = []
    index = 0
    while index < len(text):
        sign = text[index]
        if sign == "\\" and index + 1 < len(text):
            index += 1
            parts.append(re.escape(text[index]))
        else:
            parts.append({"%": ".*", "_": "."}.get(sign, re.escape(sign)))
        index += 1
    return re.compile("".join(parts), re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """``column operator value`` of a WHERE clause."""

    column: str
    operator: str
    value: str

    def holds(self, cell: str | None) -> bool:
        if cell is None:
            return False
        if self.operator == "LIKE":
            return like_pattern(self.value).fullmatch(cell) is not None
        left, right = cell.lower(), self.value.lower()
        if _is_number(left) and _is_number(right):
            return _compare(self.operator, float(left), float(right))
        return _compare(self.operator, left, right)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _compare(operator: str, left: float | str, right: float | str) -> bool:
    if operator == "=":
        return left == right
    if operator in ("!=", "<>"):
        return left != right
    below = (
        left < right
        if isinstance(left, float) and isinstance(right, float)
        else str(left) < str(right)
    )
    equal = left == right
    return {"<": below, "<=": below or equal, ">": not below and not equal, ">=": not below}[
        operator
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What stands behind the name in a SHOW statement."""

    like: str | None = None
    conditions: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = field(default_factory=tuple)
    limit: int | None = None
    offset: int = 0

    @classmethod
    def read(cls, reader: Reader) -> Filter:
        """Take the clauses up to the end of the statement."""
        like = None
        conditions: list[Condition] = []
        order: list[tuple[str, bool]] = []
        limit, offset = None, 0
        if reader.take("LIKE"):
            like = reader.text()
        if reader.take("WHERE"):
            conditions.append(_condition(reader))
            while reader.take("AND"):
                conditions.append(_condition(reader))
            if reader.sees("OR"):
                raise Unsupported("OR in a SHOW statement")
        if reader.take("ORDER", "BY"):
            order.append(_order(reader))
            while reader.take(","):
                order.append(_order(reader))
        if reader.take("LIMIT"):
            limit = reader.integer()
            if reader.take(","):
                offset, limit = limit, reader.integer()
            elif reader.take("OFFSET"):
                offset = reader.integer()
        reader.finish()
        return cls(
            like=like, conditions=tuple(conditions), order=tuple(order), limit=limit, offset=offset
        )


def _condition(reader: Reader) -> Condition:
    column = reader.name_or_text()
    if reader.take("LIKE"):
        return Condition(column=column, operator="LIKE", value=reader.text())
    token = reader.next()
    if token.kind is not TokenKind.SYMBOL or token.text not in (
        "=",
        "!=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
    ):
        reader.at -= 1
        reader.fail("a comparison")
    sign = "-" if reader.take("-") else ""
    return Condition(column=column, operator=token.text, value=sign + reader.next().text)


def _order(reader: Reader) -> tuple[str, bool]:
    name = reader.name_or_text()
    down = reader.take("DESC")
    if not down:
        reader.take("ASC")
    return name, down


def _index(names: Sequence[str], name: str) -> int:
    for index, candidate in enumerate(names):
        if candidate.lower() == name.lower() or (
            # SHOW TABLES names its column after the database
            index == 0 and name.lower() in ("table_name", "name", "schema_name", "table")
        ):
            return index
    raise EmulatorError(f"Unknown column '{name}' in 'where clause'", 1054, "42S22")


def filtered(names: Sequence[str], rows: Sequence[Sequence[str | None]], by: Filter) -> Result:
    """The rows that the clauses leave; LIKE looks at the first column."""
    kept = list(rows)
    if by.like is not None:
        pattern = like_pattern(by.like)
        kept = [row for row in kept if pattern.fullmatch(str(row[0])) is not None]
    for condition in by.conditions:
        index = _index(names, condition.column)
        kept = [row for row in kept if condition.holds(row[index])]
    for name, down in reversed(by.order):
        index = _index(names, name)
        kept.sort(key=lambda row: _sort_key(row[index]), reverse=down)
    if by.limit is not None:
        kept = kept[by.offset : by.offset + by.limit]
    return Result.table(names, kept)


def _sort_key(cell: str | None) -> tuple[int, float, str]:
    if cell is None:
        return (0, 0.0, "")
    return (1, float(cell), "") if _is_number(cell) else (2, 0.0, cell)
