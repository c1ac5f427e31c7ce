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
"""Whether a typed condition fits a table: its columns are there and are compared with their like.

The server would convert one side to the other's type silently, such as every text to a number.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
from decimal import Decimal

from beam_doris.errors import NotFoundError
from beam_doris.schema.constants import Scalar
from beam_doris.schema.expressions import (
    ColumnName,
    Comparison,
    Condition,
    IsNull,
    Leaf,
    Like,
    leaves,
)
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import Kind


class _Family(enum.Enum):
    """Types that compare with each other."""

    NUMBER = "number"
    TEXT = "text"
    TIME = "date or time"
    BOOLEAN = "boolean"
    IPV4 = "IPv4 address"
    IPV6 = "IPv6 address"


_FAMILIES = {
    Kind.BOOLEAN: _Family.BOOLEAN,
    Kind.TINYINT: _Family.NUMBER,
    Kind.SMALLINT: _Family.NUMBER,
    Kind.INT: _Family.NUMBER,
    Kind.BIGINT: _Family.NUMBER,
    Kind.LARGEINT: _Family.NUMBER,
    Kind.FLOAT: _Family.NUMBER,
    Kind.DOUBLE: _Family.NUMBER,
    Kind.DECIMAL: _Family.NUMBER,
    Kind.DECIMALV2: _Family.NUMBER,
    Kind.DATE: _Family.TIME,
    Kind.DATETIME: _Family.TIME,
    Kind.CHAR: _Family.TEXT,
    Kind.VARCHAR: _Family.TEXT,
    Kind.STRING: _Family.TEXT,
    Kind.IPV4: _Family.IPV4,
    Kind.IPV6: _Family.IPV6,
}


def condition_problems(condition: Condition, schema: TableSchema) -> tuple[str, ...]:
    """All that is wrong with a condition over this table; empty when nothing is.

    Example:
        >>> condition_problems(col("agee") > 18, schema)
        ("there is no column 'agee'; did you mean 'age'?",)
    """
    problems: list[str] = []
    for leaf in leaves(condition):
        problems += _leaf_problems(leaf, schema)
    return tuple(dict.fromkeys(problems))


def _leaf_problems(leaf: Leaf, schema: TableSchema) -> list[str]:
    found: list[Column] = []
    problems = []
    for term in leaf.terms():
        if isinstance(term, ColumnName):
            try:
                found.append(schema.column(term.name))
            except NotFoundError as error:
                problems.append(f"{error.message}; {error.hint}")
    if problems or isinstance(leaf, IsNull):
        return problems
    for column in found:
        if column.type.kind not in _FAMILIES:
            problems.append(
                f"column {column.name!r} is a {column.type.sql()}, which no typed filter compares; "
                "write that condition as SQL"
            )
    if problems:
        return problems
    return _mismatches(leaf, found)


def _mismatches(leaf: Leaf, columns: list[Column]) -> list[str]:
    first = columns[0]
    family = _FAMILIES[first.type.kind]
    described = f"column {first.name!r} is a {first.type.sql()}"
    if isinstance(leaf, Like):
        return [] if family is _Family.TEXT else [f"{described}, and LIKE is for texts"]
    ordered = isinstance(leaf, Comparison) and leaf.operator not in ("=", "!=")
    if ordered and family is _Family.BOOLEAN:
        return [f"{described}, which is only equal or not equal to another"]
    problems = []
    for term in leaf.terms():
        if isinstance(term, ColumnName):
            continue
        if _family_of(term.value) is not family:
            problems.append(f"{described}, but is compared with a {type(term.value).__name__}")
    for column in columns[1:]:
        if _FAMILIES[column.type.kind] is not family:
            problems.append(
                f"{described}, but is compared with {column.name!r}, a {column.type.sql()}"
            )
    return problems


def _family_of(value: Scalar) -> _Family:
    if isinstance(value, bool):
        return _Family.BOOLEAN
    if isinstance(value, (int, float, Decimal)):
        return _Family.NUMBER
    if isinstance(value, datetime.date):
        return _Family.TIME
    if isinstance(value, ipaddress.IPv4Address):
        return _Family.IPV4
    if isinstance(value, ipaddress.IPv6Address):
        return _Family.IPV6
    return _Family.TEXT
