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
"""Random conditions over one table, and what they say of its rows by Python alone.

The evaluator knows SQL's three-valued logic and nothing of how conditions are printed.
"""

from __future__ import annotations

import datetime
import ipaddress
import operator
import random
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from beam_doris.schema.expressions import (
    And,
    Between,
    ColumnName,
    Comparison,
    Condition,
    FilterColumn,
    IsIn,
    IsNull,
    Like,
    Not,
    Or,
    Term,
    col,
)

Row = Mapping[str, Any]

TYPES = {
    "id": "INT",
    "tiny": "TINYINT",
    "number": "BIGINT",
    "huge": "LARGEINT",
    "single": "FLOAT",
    "real": "DOUBLE",
    "price": "DECIMAL(12, 3)",
    "flag": "BOOLEAN",
    "name": "VARCHAR(60)",
    "note 1": "STRING",
    "day": "DATE",
    "moment": "DATETIME",
    "instant": "DATETIME(6)",
    "v4": "IPV4",
    "v6": "IPV6",
}
_WORDS = (
    "",
    "a",
    "Ab",
    "O'Neil",
    'say "hi"',
    "back\\slash",
    "\\'",
    "100%",
    "a_b",
    "a\\_b",
    "über ß",
    "日本語",
    "🙂🙂",
    "tab\tnew\nline",
    "-- no comment",
    "/* none */",
    "x'); DROP TABLE t; --",
    "`tick`",
    "#?;",
    "NULL",
    "\r\x1a\b",
)
_PATTERNS = (
    "%",
    "_",
    "%a%",
    "a_b",
    r"a\_b",
    r"%\%",
    r"back\\slash",
    r"%\\%",
    "%'%",
    "__",
    "日%",
    "🙂_",
    "%\n%",
    "",
    "Ab",
)
_DAYS = tuple(datetime.date(2024, 2, 27) + datetime.timedelta(days=n) for n in range(5))
_MOMENTS = (
    datetime.datetime(1, 1, 1),
    datetime.datetime(2024, 2, 28, 0, 30, 59),
    datetime.datetime(2024, 2, 28, 23, 59, 59),
    datetime.datetime(2024, 2, 29),
    datetime.datetime(9999, 12, 31),
)
_INSTANTS = (*_MOMENTS, *(moment.replace(microsecond=123456) for moment in _MOMENTS))
# what each column holds, and what it is compared with
_VALUES: dict[str, tuple[Any, ...]] = {
    "tiny": (-128, -1, 0, 1, 7, 127),
    "number": (-(2**63), -7, 0, 1, 7, 2**53 + 1, 2**63 - 1),
    "huge": (-(2**127), -(2**64), 0, 7, 10**30, 2**127 - 1),
    "single": (-1.5, 0.0, 0.1, 7.0, 1e10),
    "real": (-1.5, 0.0, 0.1, 7.0, 1e-300, 1.7e308),
    "price": (Decimal("-1.500"), Decimal("0"), Decimal("0.1"), Decimal("7"), Decimal("9999.999")),
    "flag": (True, False),
    "name": _WORDS,
    "note 1": _WORDS,
    "day": _DAYS,
    "moment": _MOMENTS,
    "instant": _INSTANTS,
    "v4": tuple(map(ipaddress.IPv4Address, ("0.0.0.0", "10.0.0.1", "192.168.1.1"))),
    "v6": tuple(map(ipaddress.IPv6Address, ("::", "::1", "2001:db8::1"))),
}
_FAMILIES = (
    ("tiny", "number"),
    ("number", "huge"),
    ("single", "real"),
    ("price", "tiny"),
    ("real", "tiny"),
    ("name", "note 1"),
    ("day", "moment"),
    ("moment", "instant"),
    ("day", "instant"),
)


def random_rows(chance: random.Random, count: int) -> list[dict[str, Any]]:
    """Rows of the table; every fifth cell is NULL."""
    rows = []
    for number in range(count):
        row = {
            name: None if chance.random() < 0.2 else chance.choice(values)
            for name, values in _VALUES.items()
        }
        if row["single"] is not None:
            row["single"] = float(np.float32(row["single"]))
        rows.append({"id": number, **row})
    return rows


def random_condition(chance: random.Random, depth: int = 3) -> Condition:
    """A condition of at most so many levels."""
    shape = chance.random() if depth else 1.0
    if shape < 0.25:
        return random_condition(chance, depth - 1) & random_condition(chance, depth - 1)
    if shape < 0.5:
        return random_condition(chance, depth - 1) | random_condition(chance, depth - 1)
    if shape < 0.62:
        return ~random_condition(chance, depth - 1)
    return _random_leaf(chance)


def _random_leaf(chance: random.Random) -> Condition:
    name = chance.choice(list(_VALUES))
    column = col(name)
    kind = chance.randrange(8)
    if kind == 0:
        return chance.choice((column.is_null, column.is_not_null))()
    if kind == 1:
        values = [_literal(chance, name) for _ in range(chance.choice((0, 1, 2, 5)))]
        return chance.choice((column.isin, column.not_in))(values)
    if kind == 2 and name != "flag":
        return column.between(_literal(chance, name), _literal(chance, name))
    if kind == 3:
        text = chance.choice(("name", "note 1"))
        return col(text).like(chance.choice(_PATTERNS))
    if kind == 4:
        left, right = chance.choice(_FAMILIES)
        return _compare(chance, col(left), col(right), ordered=True)
    return _compare(chance, column, _literal(chance, name), ordered=name != "flag")


def _literal(chance: random.Random, name: str) -> Any:
    if name in ("tiny", "price", "real") and chance.random() < 0.3:
        return chance.choice((-1, 0, 7, 0.1, 7.0, Decimal("0.1"), Decimal("-1.5")))
    if name in ("day", "moment", "instant") and chance.random() < 0.3:
        return chance.choice((*_DAYS, *_INSTANTS))
    return chance.choice(_VALUES[name])


def _compare(chance: random.Random, left: FilterColumn, right: Any, *, ordered: bool) -> Condition:
    signs: list[Callable[[Any, Any], Any]] = [operator.eq, operator.ne]
    if ordered:
        signs += [operator.lt, operator.le, operator.gt, operator.ge]
    condition = chance.choice(signs)(left, right)
    assert isinstance(condition, Condition)
    return condition


def truth(condition: Condition, row: Row) -> bool | None:
    """True, False, or None for unknown."""
    if isinstance(condition, And):
        return _all([truth(part, row) for part in condition.parts])
    if isinstance(condition, Or):
        return _opposite(_all([_opposite(truth(part, row)) for part in condition.parts]))
    if isinstance(condition, Not):
        return _opposite(truth(condition.part, row))
    if isinstance(condition, Comparison):
        return _compared(condition.operator, _value(condition.left, row), condition.right, row)
    if isinstance(condition, Between):
        value = _value(condition.column, row)
        return _all(
            [
                _compared(">=", value, condition.low, row),
                _compared("<=", value, condition.high, row),
            ]
        )
    if isinstance(condition, IsIn):
        return _is_in(condition, row)
    if isinstance(condition, Like):
        value = row[condition.column.name]
        return None if value is None else _like(condition.pattern).fullmatch(value) is not None
    assert isinstance(condition, IsNull)
    return (row[condition.column.name] is None) is not condition.negated


def _all(truths: list[bool | None]) -> bool | None:
    if False in truths:
        return False
    return None if None in truths else True


def _opposite(known: bool | None) -> bool | None:
    return None if known is None else not known


def _is_in(condition: IsIn, row: Row) -> bool | None:
    if not condition.values:
        return condition.negated
    value = row[condition.column.name]
    found = [_compared("=", value, each, row) for each in condition.values]
    if None in found:
        return None
    return (True in found) is not condition.negated


def _value(term: Term, row: Row) -> Any:
    return row[term.name] if isinstance(term, ColumnName) else term.value


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _compared(sign: str, left: Any, other: Term, row: Row) -> bool | None:
    right = _value(other, row)
    if left is None or right is None:
        return None
    if isinstance(left, float) or isinstance(right, float):
        left, right = float(left), float(right)
    if isinstance(left, datetime.date):
        left, right = _moment(left), _moment(right)
    return _SIGNS[sign](left, right)


def _moment(value: datetime.date) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    return datetime.datetime.combine(value, datetime.time())


def _like(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    special = {"%": ".*", "_": "."}
    return re.compile("".join(special.get(p, re.escape(p[-1])) for p in parts), re.DOTALL)
