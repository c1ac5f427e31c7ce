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
"""The constants of typed conditions: which Python values stand for which Doris literals.

| Python | Doris | |
| --- | --- | --- |
| bool | BOOLEAN | |
| int | an integer, up to LARGEINT | 128 bits with sign |
| float | DOUBLE | NaN and the infinities are refused: Doris compares them in its own way |
| Decimal | DECIMAL | at most 76 digits |
| str | STRING | |
| date; datetime | DATE; DATETIME(6) | a zone is refused: DATETIME has none |
| IPv4Address; IPv6Address | IPV4; IPV6 | |
"""

from __future__ import annotations

import datetime
import ipaddress
import math
from dataclasses import dataclass
from decimal import Decimal

from beam_doris.errors import ConfigError

Scalar = (
    bool
    | int
    | float
    | Decimal
    | str
    | datetime.date
    | datetime.datetime
    | ipaddress.IPv4Address
    | ipaddress.IPv6Address
)

_SUBJECT = "filter"
_LARGEINT = 2**127
_MAX_DIGITS = 76


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal of a condition.

    Raises:
        ConfigError: Doris has no literal for the value.
    """

    value: Scalar

    def __post_init__(self) -> None:
        value = self.value
        if type(value).__module__ == "numpy" and hasattr(value, "item"):
            value = value.item()
        problem = _problem(value)
        if problem:
            raise ConfigError(problem, subject=_SUBJECT)
        object.__setattr__(self, "value", value)

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and True are equal in Python, but are not the same literal
        if not isinstance(other, Constant):
            return NotImplemented
        return type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))

    def __repr__(self) -> str:
        return repr(self.value)


def _problem(value: object) -> str | None:
    if value is None:
        return (
            "a comparison with None is never true in SQL; write col(...).is_null() or is_not_null()"
        )
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if -_LARGEINT <= value < _LARGEINT else "an int is beyond a LARGEINT"
    if isinstance(value, float):
        return None if math.isfinite(value) else "NaN and infinity have no literal in Doris"
    if isinstance(value, Decimal):
        return _decimal_problem(value)
    if isinstance(value, str):
        return _text_problem(value)
    if isinstance(value, datetime.datetime):
        return _datetime_problem(value)
    if isinstance(value, (datetime.date, ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return None
    return (
        f"{type(value).__name__} is no literal; use str, int, float, bool, Decimal, date, "
        "datetime or an IP address"
    )


def _decimal_problem(value: Decimal) -> str | None:
    if not value.is_finite():
        return "NaN and infinity have no literal in Doris"
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    needed = max(len(digits) + max(exponent, 0), -exponent)
    return None if needed <= _MAX_DIGITS else f"a Decimal has more than {_MAX_DIGITS} digits"


def _text_problem(value: str) -> str | None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return "a text holds half a surrogate pair, which is no UTF-8"
    return None


def _datetime_problem(value: datetime.datetime) -> str | None:
    if value.tzinfo is not None:
        return (
            "a datetime has a zone, and a DATETIME has none; convert it to the wall clock time "
            "that the table holds with .astimezone(zone).replace(tzinfo=None)"
        )
    if getattr(value, "nanosecond", 0):
        return "a timestamp has nanoseconds, and a DATETIME has at most microseconds"
    return None
