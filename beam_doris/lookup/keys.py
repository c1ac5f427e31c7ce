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
"""Keys: the values of elements made into the values that a column can hold.

The server compares a key with a column; which element a found row belongs to is decided here. Both
must come to the same verdict, so every key is first turned into *the* Python value that a row with
an equal key comes back with, by the type of its column. What no row can be equal to (NULL, NaN, a
number outside the range, a time with more digits than the column keeps) is not asked for at all;
what is not comparable (a text for an INT) is an error.
"""

from __future__ import annotations

import datetime
import ipaddress
import math
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from beam_doris.errors import RowEncodingError
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import DorisType, Kind

_BITS = {Kind.TINYINT: 8, Kind.SMALLINT: 16, Kind.INT: 32, Kind.BIGINT: 64, Kind.LARGEINT: 128}
_TEXTS = (Kind.CHAR, Kind.VARCHAR, Kind.STRING)


class NoMatch(Exception):
    """The value is equal to nothing that the column can hold."""


class BadKey(Exception):
    """The value cannot be compared with the column; the text says why, without the value."""


Convert = Callable[[Any], Any]


def key_problem(column: Column) -> str | None:
    """Why a column cannot be looked up by; None when it can."""
    if column.type.kind in _CONVERTERS or column.type.kind in _BITS:
        return None
    return (
        f"column {column.name!r} is a {column.type.sql()}, which Doris cannot compare for equality"
    )


class KeyForm:
    """The keys of one lookup.

    Args:
        columns: The columns that are compared, in order.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self._converters = [converter(column.type) for column in columns]
        self.is_single = len(self.columns) == 1

    def canonical(self, raw: Any) -> Any:
        """The key that a matching row would have; None when no row can match.

        Args:
            raw: The element's value, or the tuple of its values for several columns.

        Raises:
            RowEncodingError: a value cannot be compared with its column.
        """
        values = (raw,) if self.is_single else raw
        made: list[Any] = []
        matchable = True
        for value, convert, column in zip(values, self._converters, self.columns, strict=True):
            if value is None:
                matchable = False
                continue
            try:
                made.append(convert(value))
            except NoMatch:
                matchable = False
            except BadKey as bad:
                raise RowEncodingError(str(bad), column=column.name) from None
        if not matchable:
            return None
        return made[0] if self.is_single else tuple(made)

    def values(self, key: Any) -> tuple[Any, ...]:
        """The values of a canonical key, one a column."""
        return (key,) if self.is_single else key


def converter(doris: DorisType) -> Convert:
    """What makes a value canonical for a type; raises `NoMatch` or `BadKey`."""
    if doris.kind in _BITS:
        return _integer_of(_BITS[doris.kind])
    if doris.kind is Kind.DATETIME:
        return _datetime_of(doris.scale)
    if doris.kind in (Kind.DECIMAL, Kind.DECIMALV2):
        return _decimal_of(doris.precision, doris.scale)
    return _CONVERTERS[doris.kind]


def _integer_of(bits: int) -> Convert:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def integer(value: Any) -> int:
        if type(value) is not int:
            value = _whole(value)
        if not low <= value <= high:
            raise NoMatch
        return int(value)

    return integer


def _whole(value: Any) -> int:
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return int(value)
    if isinstance(value, (float, np.floating, Decimal)):
        if not math.isfinite(value) or value != int(value):
            raise NoMatch
        return int(value)
    raise BadKey(f"takes an int, not {type(value).__name__}")


def _boolean(value: Any) -> bool:
    whole = _whole(value)
    if whole not in (0, 1):
        raise NoMatch
    return bool(whole)


def _number(value: Any) -> Any:
    # bool too: Python takes True for 1 in a dict of keys, so all columns must
    if not isinstance(value, (int, float, np.integer, np.floating, np.bool_, Decimal)):
        raise BadKey(f"takes a number, not {type(value).__name__}")
    return value


def _double(value: Any) -> float:
    try:
        made = float(_number(value))
    except OverflowError:
        raise NoMatch from None
    if math.isnan(made) or (isinstance(value, (int, Decimal)) and made != value):
        raise NoMatch
    return made + 0.0  # -0.0 and 0.0 are one key


def float32(value: float) -> float:
    """The nearest number that a FLOAT holds, as Python shows it.

    Raises:
        OverflowError: it is too large for one.
    """
    near: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return near


def _float(value: Any) -> float:
    # 0.1 is meant to find the FLOAT that 0.1 was stored as
    made = float(_number(value))
    if math.isnan(made):
        raise NoMatch
    try:
        return float32(made) + 0.0
    except OverflowError:
        raise NoMatch from None


def _decimal(value: Any) -> Decimal:
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise BadKey("takes a Decimal, and the text is none") from None
    number = _number(value)
    if isinstance(number, (float, np.floating)):
        if not math.isfinite(number):
            raise NoMatch
        # the digits that the float shows, not those of its binary expansion
        return Decimal(repr(float(number)))
    made = number if isinstance(number, Decimal) else Decimal(int(number))
    if not made.is_finite():
        raise NoMatch
    return made


def _decimal_of(precision: int, scale: int) -> Convert:
    def decimal(value: Any) -> Decimal:
        made = _decimal(value)
        _, digits, exponent = made.as_tuple()
        assert isinstance(exponent, int)
        significant = len("".join(map(str, digits)).rstrip("0"))
        exponent += len(digits) - significant
        if significant and (-exponent > scale or significant + exponent > precision - scale):
            raise NoMatch
        return made if significant else Decimal(0)

    return decimal


def _date(value: Any) -> datetime.date:
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            raise BadKey("takes a date, and the text is none of the form 2024-01-31") from None
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").astype(object)
    if isinstance(value, datetime.datetime):
        _refuse_zone(value)
        if value.time() != datetime.time():
            raise NoMatch
        return value.date()
    if isinstance(value, datetime.date):
        return value
    raise BadKey(f"takes a date, not {type(value).__name__}")


def _datetime_of(scale: int) -> Convert:
    step = 10 ** (6 - scale)

    def wall_clock(value: Any) -> datetime.datetime:
        if isinstance(value, str):
            try:
                value = datetime.datetime.fromisoformat(value)
            except ValueError:
                raise BadKey(
                    "takes a datetime, and the text is none of the form 2024-01-31 12:00:00"
                ) from None
        if isinstance(value, np.datetime64):
            value = value.astype("datetime64[us]").astype(object)
        if isinstance(value, datetime.datetime):
            _refuse_zone(value)
            if value.microsecond % step:
                raise NoMatch
            return datetime.datetime(*value.timetuple()[:6], value.microsecond)
        if isinstance(value, datetime.date):
            return datetime.datetime(value.year, value.month, value.day)
        raise BadKey(f"takes a datetime, not {type(value).__name__}")

    return wall_clock


def _refuse_zone(value: datetime.datetime) -> None:
    if value.tzinfo is not None:
        raise BadKey(
            "takes a datetime without a zone: choose the zone whose wall clock is meant, with "
            "value.astimezone(zone).replace(tzinfo=None)"
        )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise BadKey(f"takes a str, not {type(value).__name__}")


def _ipv4(value: Any) -> str:
    return _address(value, ipaddress.IPv4Address)


def _ipv6(value: Any) -> str:
    return _address(value, ipaddress.IPv6Address)


def _address(value: Any, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> str:
    if not isinstance(value, (str, kind)):
        raise BadKey(f"takes a str or {kind.__name__}, not {type(value).__name__}")
    try:
        return str(kind(str(value)))
    except ValueError:
        raise BadKey(f"takes an {kind.__name__}, and the text is none") from None


_CONVERTERS: dict[Kind, Convert] = {
    Kind.BOOLEAN: _boolean,
    Kind.FLOAT: _float,
    Kind.DOUBLE: _double,
    Kind.DECIMAL: _decimal,
    Kind.DECIMALV2: _decimal,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime_of(6),
    Kind.IPV4: _ipv4,
    Kind.IPV6: _ipv6,
    **dict.fromkeys(_TEXTS, _text),
}
