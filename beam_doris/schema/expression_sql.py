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
"""Typed conditions as Doris SQL.

Every condition stands in parentheses of its own, every name in backticks, and every text is
escaped for the server's default SQL mode, in which a backslash escapes. Where the text of a literal
could be taken for another type, it is cast to the one it has.
"""

from __future__ import annotations

import datetime
import ipaddress
from decimal import Decimal

from beam_doris.options.table_id import quote
from beam_doris.schema.constants import Constant, Scalar
from beam_doris.schema.expressions import (
    And,
    Between,
    ColumnName,
    Comparison,
    Condition,
    IsIn,
    IsNull,
    Like,
    Not,
    Or,
    Term,
)

_ESCAPES = str.maketrans(
    {
        "'": "''",
        "\\": "\\\\",
        "\0": "\\0",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\b": "\\b",
        "\x1a": "\\Z",
    }
)
_BIGINT = 2**63


def condition_sql(condition: Condition) -> str:
    """The condition as SQL, in parentheses.

    Example:
        >>> from beam_doris.schema.expressions import col
        >>> condition_sql(col("name").isin(["O'Neil"]))
        "(`name` IN ('O''Neil'))"
    """
    return f"({_inner(condition)})"


def _inner(condition: Condition) -> str:
    if isinstance(condition, And):
        return " AND ".join(condition_sql(part) for part in condition.parts)
    if isinstance(condition, Or):
        return " OR ".join(condition_sql(part) for part in condition.parts)
    if isinstance(condition, Not):
        return f"NOT {condition_sql(condition.part)}"
    if isinstance(condition, Comparison):
        return f"{_term(condition.left)} {condition.operator} {_term(condition.right)}"
    if isinstance(condition, IsIn):
        return _is_in(condition)
    if isinstance(condition, Between):
        column = quote(condition.column.name)
        return f"{column} BETWEEN {_term(condition.low)} AND {_term(condition.high)}"
    if isinstance(condition, Like):
        return f"{quote(condition.column.name)} LIKE {text_literal(condition.pattern)}"
    if isinstance(condition, IsNull):
        test = "IS NOT NULL" if condition.negated else "IS NULL"
        return f"{quote(condition.column.name)} {test}"
    raise TypeError(f"{type(condition).__name__} is no condition")


def _is_in(condition: IsIn) -> str:
    if not condition.values:
        # SQL has no empty list
        return "TRUE" if condition.negated else "FALSE"
    values = ", ".join(literal(value.value) for value in condition.values)
    word = "NOT IN" if condition.negated else "IN"
    return f"{quote(condition.column.name)} {word} ({values})"


def _term(term: Term) -> str:
    if isinstance(term, ColumnName):
        return quote(term.name)
    assert isinstance(term, Constant)
    return literal(term.value)


def text_literal(text: str) -> str:
    r"""A text in single quotes.

    Example:
        >>> print(text_literal("a\\b 'c'"))
        'a\\b ''c'''
    """
    return "'" + text.translate(_ESCAPES) + "'"


def literal(value: Scalar) -> str:
    """A constant as SQL."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        number = int(value)
        # written out, such a number would be a decimal or a double to some servers
        inside = -_BIGINT < number < _BIGINT
        return str(number) if inside else f"CAST('{number}' AS LARGEINT)"
    if isinstance(value, float):
        # 0.1 would be a DECIMAL
        return f"CAST('{float(value)!r}' AS DOUBLE)"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        return _datetime(value)
    if isinstance(value, datetime.date):
        return f"CAST('{_day(value)}' AS DATE)"
    if isinstance(value, ipaddress.IPv4Address):
        return f"CAST('{value}' AS IPV4)"
    if isinstance(value, ipaddress.IPv6Address):
        return f"CAST('{value}' AS IPV6)"
    return text_literal(str.__str__(value))


def _datetime(value: datetime.datetime) -> str:
    text = f"{_day(value)} {value.hour:02}:{value.minute:02}:{value.second:02}"
    if not value.microsecond:
        return f"CAST('{text}' AS DATETIME)"
    return f"CAST('{text}.{value.microsecond:06}' AS DATETIME(6))"


def _day(value: datetime.date) -> str:
    return f"{value.year:04}-{value.month:02}-{value.day:02}"
