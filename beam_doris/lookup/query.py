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
"""The statement that asks for many keys at once."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pymysql.converters

from beam_doris.lookup.keys import KeyForm
from beam_doris.options.table_id import TableId, quote
from beam_doris.schema.types import Kind

_LITERAL_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with `%s` for its parameters.

    Args:
        sql: The text; a percent sign that is no parameter stands doubled.
        parameters: The values.
    """

    sql: str
    parameters: tuple[Any, ...]

    def rendered(self) -> str:
        """The text with its values as literals, for a protocol without parameters.

        The escaping is that of the MySQL client, which escapes on this side too.
        """
        texts = [
            pymysql.converters.escape_item(value, "utf8mb4", pymysql.converters.encoders)
            for value in self.parameters
        ]
        return self.sql % tuple(texts)


def source_sql(source: TableId | str) -> str:
    """What stands after FROM."""
    if isinstance(source, TableId):
        return source.sql()
    # the line break ends a comment that the query may end with
    return f"({source}\n) AS `lookup_source`"


def select(
    source: TableId | str, columns: Sequence[str], keys: Sequence[Any], form: KeyForm
) -> Statement:
    """The rows whose key columns equal one of the canonical keys."""
    head = f"SELECT {', '.join(map(quote, columns))} FROM {source_sql(source)} WHERE "
    names = [quote(column.name).replace("%", "%%") for column in form.columns]
    kinds = [column.type.kind for column in form.columns]
    builder = _Condition(names, kinds)
    rows = [form.values(key) for key in keys]
    condition = builder.text(rows, tuple(range(len(names))))
    return Statement(head.replace("%", "%%") + condition, tuple(builder.parameters))


class _Condition:
    """Builds the condition and gathers its parameters in the order of the text.

    Doris has no `(a, b) IN ((1, 2), ...)` over literals. Keys of several columns are grouped by
    the column with the fewest values, `a = 1 AND b IN (2, 3)`, and the groups are joined by OR as
    a balanced tree, so that no server has to parse a thousand nested levels.
    """

    def __init__(self, names: Sequence[str], kinds: Sequence[Kind]) -> None:
        self._names = names
        self._kinds = kinds
        self.parameters: list[Any] = []

    def text(self, rows: Sequence[tuple[Any, ...]], positions: tuple[int, ...]) -> str:
        if len(positions) == 1:
            position = positions[0]
            values = list(dict.fromkeys(row[position] for row in rows))
            marks = ", ".join([self._mark(position, value) for value in values])
            if len(values) == 1:
                return f"{self._names[position]} = {marks}"
            return f"{self._names[position]} IN ({marks})"
        first = min(positions, key=lambda position: len({row[position] for row in rows}))
        rest = tuple(position for position in positions if position != first)
        groups: dict[Any, list[tuple[Any, ...]]] = {}
        for row in rows:
            groups.setdefault(row[first], []).append(row)
        parts = []
        for value, members in groups.items():
            mark = self._mark(first, value)
            parts.append(f"({self._names[first]} = {mark} AND {self.text(members, rest)})")
        return _balanced(parts)

    def _mark(self, position: int, value: Any) -> str:
        kind = self._kinds[position]
        if kind in (Kind.IPV4, Kind.IPV6):
            self.parameters.append(value)
            return f"CAST(%s AS {kind.value})"
        if kind is Kind.LARGEINT and not -(2**63) < value < 2**63:
            # the smallest one is the negative of a number that is none
            self.parameters.append(str(value))
            return "CAST(%s AS LARGEINT)"
        if isinstance(value, float) and math.isinf(value):
            self.parameters.append("Infinity" if value > 0 else "-Infinity")
            return "CAST(%s AS DOUBLE)"
        if isinstance(value, Decimal):
            return self._decimal(value)
        if isinstance(value, datetime.datetime):
            value = value.isoformat(" ")
        self.parameters.append(value)
        return "%s"

    def _decimal(self, value: Decimal) -> str:
        # in exponential notation the server takes it for a DOUBLE, and would round it; a long
        # literal for an integer out of range, or for a DOUBLE too
        plain = format(value, "f")
        digits = sum(character.isdigit() for character in plain)
        if plain == str(value) and digits <= _LITERAL_DIGITS:
            self.parameters.append(value)
            return "%s"
        scale = max(0, -int(value.as_tuple().exponent))
        self.parameters.append(plain)
        return f"CAST(%s AS DECIMAL({min(76, digits)}, {min(75, scale)}))"


def _balanced(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_balanced(parts[:middle])} OR {_balanced(parts[middle:])})"
