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
"""Python values of a column without nesting as a canonical Arrow array, strictly.

Nothing is guessed: a value is taken when its column can hold exactly it. Whatever would be
shifted, rounded, wrapped or cut by a silent conversion is refused, with the position of the value
and what to do, never with the value itself.

The kinds of values are found with one pass that runs in the interpreter's C code
(`set(map(type, values))`); after that a column of the expected type is converted by Arrow at once.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.schema.arrow_types import DATETIME_ARROW, LARGEINT_ARROW, arrow_type
from beam_doris.schema.types import DorisType, Kind

_MAX_LARGEINT = 2**127 - 1
_MIN_LARGEINT = -(2**127)


class BadValue(Exception):
    """A value does not fit.

    Args:
        position: Which value, counted from 0.
        reason: Why, without the value.
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(position, reason)
        self.position = position
        self.reason = reason


def types_of(values: Iterable[Any]) -> set[type]:
    """The types that occur, without that of None."""
    return set(map(type, values)) - {type(None)}


def accept(
    values: Sequence[Any], found: set[type], accepted: tuple[type, ...], wanted: str
) -> None:
    """Refuses the first value whose type is not among the accepted ones.

    Raises:
        BadValue: for that value.
    """
    for kind in found:
        if issubclass(kind, accepted) and not (kind is bool and bool not in accepted):
            continue
        position = next(i for i, value in enumerate(values) if type(value) is kind)
        raise BadValue(position, f"takes {wanted}, not {kind.__name__}{_advice(kind)}")


def _advice(kind: type) -> str:
    if issubclass(kind, (bytes, bytearray)):
        return "; decode it first"
    if issubclass(kind, float):
        return "; convert it first"
    return ""


def _convert(values: Sequence[Any], target: pa.DataType, explain: Callable[[Any], str]) -> pa.Array:
    """Arrow's own conversion; on failure the first value that fails alone is looked for."""
    try:
        return pa.array(values, target)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        for position, value in enumerate(values):
            try:
                pa.array([value], target)
            except (pa.ArrowException, OverflowError, ValueError, TypeError):
                raise BadValue(position, explain(value)) from None
        raise BadValue(0, "has no Arrow form together with the other values") from None


# ------------------------------------------------------------------------------------ numbers


def _boolean(values: Sequence[Any], _doris: DorisType) -> pa.Array:
    found = types_of(values)
    accept(values, found, (bool, np.bool_, int, np.integer), "bool")
    if not found <= {bool, np.bool_}:
        for position, value in enumerate(values):
            if value is not None and value not in (0, 1):
                raise BadValue(position, "takes bool, or the numbers 0 and 1")
        values = [None if value is None else bool(value) for value in values]
    return pa.array(values, pa.bool_())


def _integer(values: Sequence[Any], doris: DorisType) -> pa.Array:
    accepted: tuple[type, ...] = (int, np.integer)
    if doris.kind is Kind.TINYINT:
        accepted = (*accepted, bool, np.bool_)
    found = types_of(values)
    accept(values, found, accepted, "int")
    if found & {bool, np.bool_}:
        values = [None if value is None else int(value) for value in values]
    return _convert(values, arrow_type(doris), lambda _: f"is out of the range of {doris.sql()}")


def _largeint(values: Sequence[Any], doris: DorisType) -> pa.Array:
    found = types_of(values)
    accept(values, found, (int, np.integer, str), "int")
    if found - {int}:
        values = [_as_int(position, value) for position, value in enumerate(values)]
    reason = f"is out of the range of {doris.sql()}"
    array = _convert(values, LARGEINT_ARROW, lambda _: reason)
    # 39 digits hold more than 128 bits
    for position, value in enumerate(values):
        if value is not None and not _MIN_LARGEINT <= value <= _MAX_LARGEINT:
            raise BadValue(position, reason)
    return array


def _as_int(position: int, value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        raise BadValue(position, "is text that is no whole number") from None


def _floating(values: Sequence[Any], doris: DorisType) -> pa.Array:
    accept(values, types_of(values), (float, int, np.floating, np.integer), "float")
    explain = "is a whole number that the column cannot hold exactly"
    array = _convert(values, arrow_type(doris), lambda _: explain)
    if doris.kind is Kind.FLOAT and pc.any(pc.is_inf(array)).as_py():
        for position, (value, stored) in enumerate(zip(values, array.to_pylist(), strict=True)):
            if value is not None and math.isinf(stored) and not math.isinf(value):
                raise BadValue(position, "is out of the range of FLOAT")
    return array


def _decimal(values: Sequence[Any], doris: DorisType) -> pa.Array:
    found = types_of(values)
    accept(values, found, (Decimal, int, np.integer, str), "decimal.Decimal")
    if found - {Decimal, int}:
        values = [_as_decimal(position, value) for position, value in enumerate(values)]

    def explain(value: Any) -> str:
        if isinstance(value, Decimal) and not value.is_finite():
            return f"is not finite, which {doris.sql()} cannot hold"
        exact = Decimal(value).normalize()
        exponent = exact.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > doris.scale:
            return f"has more than the {doris.scale} fraction digits of {doris.sql()}"
        return f"has more digits than {doris.sql()} holds"

    return _convert(values, arrow_type(doris), explain)


def _as_decimal(position: int, value: Any) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    try:
        return Decimal(value if isinstance(value, str) else int(value))
    except InvalidOperation:
        raise BadValue(position, "is text that is no decimal number") from None


# --------------------------------------------------------------------------------------- time


def _date(values: Sequence[Any], _doris: DorisType) -> pa.Array:
    found = types_of(values)
    for kind in found:
        if issubclass(kind, datetime.datetime):
            position = next(i for i, value in enumerate(values) if type(value) is kind)
            raise BadValue(position, "is a datetime in a DATE column; pass its .date()")
    accept(values, found, (datetime.date, str), "datetime.date")
    if str not in found:
        return pa.array(values, pa.date32())
    texts = [value.isoformat() if isinstance(value, datetime.date) else value for value in values]
    return _parse(texts, pa.date32(), "is text that is no date such as 2024-12-31")


def _datetime(values: Sequence[Any], _doris: DorisType) -> pa.Array:
    found = types_of(values)
    accept(values, found, (datetime.datetime, datetime.date, str), "datetime.datetime")
    for position, value in enumerate(values):
        if isinstance(value, datetime.datetime) and value.tzinfo is not None:
            raise BadValue(
                position,
                "has a time zone, which DATETIME has not; choose the zone whose wall clock is "
                "meant: value.astimezone(zone).replace(tzinfo=None)",
            )
    if found <= {datetime.datetime}:
        return pa.array(values, DATETIME_ARROW)
    texts = [
        value.isoformat(" ")
        if isinstance(value, datetime.datetime)
        else value.isoformat()
        if isinstance(value, datetime.date)
        else value
        for value in values
    ]
    return _parse(texts, DATETIME_ARROW, "is text that is no time such as 2024-12-31 23:59:59.5")


def _instant(values: Sequence[Any], doris: DorisType) -> pa.Array:
    accept(values, types_of(values), (datetime.datetime,), "datetime.datetime with a zone")
    for position, value in enumerate(values):
        if value is not None and value.tzinfo is None:
            raise BadValue(position, "has no time zone; TIMESTAMPTZ is an instant")
    return pa.array(values, arrow_type(doris))


def _parse(texts: Sequence[Any], target: pa.DataType, reason: str) -> pa.Array:
    strings = _convert(texts, pa.string(), lambda _: "holds half of a surrogate pair")
    try:
        return strings.cast(target)
    except pa.ArrowException:
        for position in range(len(strings)):
            try:
                strings[position].cast(target)
            except pa.ArrowException:
                raise BadValue(position, reason) from None
        raise BadValue(0, reason) from None


# --------------------------------------------------------------------------------------- text


def _text(values: Sequence[Any], _doris: DorisType) -> pa.Array:
    accept(values, types_of(values), (str,), "str")
    return _convert(
        values, pa.string(), lambda _: "holds half of a surrogate pair, which is no text"
    )


def _json(values: Sequence[Any], doris: DorisType) -> pa.Array:
    """A str is JSON text already; anything else becomes JSON text."""
    if not types_of(values) <= {str}:
        values = [
            value if value is None or isinstance(value, str) else _dump(position, value)
            for position, value in enumerate(values)
        ]
    return _text(values, doris)


def _dump(position: int, value: Any) -> str:
    try:
        # NaN has no JSON form, and orjson would make it null in silence
        return json.dumps(
            value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_json_leaf
        )
    except (TypeError, ValueError):
        raise BadValue(position, "cannot be written as JSON") from None


def _json_leaf(value: Any) -> Any:
    if isinstance(value, (Decimal, datetime.date, datetime.datetime)):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return orjson.loads(orjson.dumps(value.tolist()))
    raise TypeError


def _address(values: Sequence[Any], doris: DorisType) -> pa.Array:
    if doris.kind is Kind.IPV4:
        accepted: type = ipaddress.IPv4Address
    else:
        accepted = ipaddress.IPv6Address
    found = types_of(values)
    accept(values, found, (str, accepted), f"str or ipaddress.{accepted.__name__}")
    if not found <= {str}:
        values = [None if value is None else str(value) for value in values]
    return _text(values, doris)


def _binary(values: Sequence[Any], _doris: DorisType) -> pa.Array:
    accept(values, types_of(values), (bytes, bytearray, memoryview), "bytes")
    if not types_of(values) <= {bytes}:
        values = [None if value is None else bytes(value) for value in values]
    return pa.array(values, pa.binary())


def _opaque(values: Sequence[Any], doris: DorisType) -> pa.Array:
    """A source value of a `columns` expression such as `to_bitmap(user_id)`."""
    found = types_of(values)
    accept(values, found, (int, str, np.integer), f"int or str as the source of a {doris.sql()}")
    if any(issubclass(kind, str) for kind in found):
        values = [None if value is None else str(value) for value in values]
        return _text(values, doris)
    return _convert(values, pa.int64(), lambda _: "is out of the range of BIGINT")


_CONVERSIONS: dict[Kind, Callable[[Sequence[Any], DorisType], pa.Array]] = {
    Kind.BOOLEAN: _boolean,
    Kind.TINYINT: _integer,
    Kind.SMALLINT: _integer,
    Kind.INT: _integer,
    Kind.BIGINT: _integer,
    Kind.LARGEINT: _largeint,
    Kind.FLOAT: _floating,
    Kind.DOUBLE: _floating,
    Kind.DECIMAL: _decimal,
    Kind.DECIMALV2: _decimal,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
    Kind.TIMESTAMPTZ: _instant,
    Kind.CHAR: _text,
    Kind.VARCHAR: _text,
    Kind.STRING: _text,
    Kind.JSON: _json,
    Kind.VARIANT: _json,
    Kind.IPV4: _address,
    Kind.IPV6: _address,
    Kind.VARBINARY: _binary,
}


def scalar_array(values: Sequence[Any], doris: DorisType) -> pa.Array:
    """Values of a column that is not nested; None is NULL.

    Raises:
        BadValue: the first value that the column cannot hold exactly.
    """
    return _CONVERSIONS.get(doris.kind, _opaque)(values, doris)
