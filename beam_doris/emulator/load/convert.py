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
"""Columns of a body to columns of a table: whole Arrow arrays first, odd cells one by one.

A carrier is the Arrow type that a converted column has on its way into the store. It equals the
physical type except for what Arrow cannot carry (LARGEINT, IPV6), which travels as decimal text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.emulator.load.nested import NestedParser
from beam_doris.emulator.load.scalars import (
    INTEGER_RANGES,
    MAX_MICROS,
    Parser,
    parser_of,
    round_micros,
)
from beam_doris.emulator.types import NESTED, TEXTS, DorisType, Kind

Mask = npt.NDArray[np.bool_]
_INTEGER = r"^-?[0-9]{1,18}$"
_DOUBLE = r"^-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,2})?$"
_DECIMAL = r"^-?[0-9]+(\.[0-9]+)?$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DATETIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$"
_SIMPLE = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.TINYINT: pa.int8(),
    Kind.SMALLINT: pa.int16(),
    Kind.INT: pa.int32(),
    Kind.BIGINT: pa.int64(),
    Kind.LARGEINT: pa.string(),
    Kind.FLOAT: pa.float32(),
    Kind.DOUBLE: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.CHAR: pa.string(),
    Kind.VARCHAR: pa.string(),
    Kind.STRING: pa.string(),
    Kind.JSON: pa.string(),
    Kind.VARIANT: pa.string(),
    Kind.IPV4: pa.uint32(),
    Kind.IPV6: pa.string(),
    Kind.BITMAP: pa.list_(pa.uint64()),
    Kind.HLL: pa.struct([("hll", pa.list_(pa.uint64()))]),
    Kind.NULL: pa.int32(),
}


@dataclass(frozen=True)
class Converted:
    """A column in its carrier type; ``bad`` marks cells that held something and now hold NULL."""

    array: Any
    bad: Mask | None = None


def carrier(doris: DorisType) -> Any:
    """The Arrow type that carries a Doris type."""
    kind = doris.kind
    if kind in (Kind.DECIMAL, Kind.DECIMALV2):
        wide = doris.precision > 38
        return pa.string() if wide else pa.decimal128(doris.precision, doris.scale)
    if kind is Kind.DATETIME:
        return pa.timestamp("s" if doris.scale == 0 else "ms" if doris.scale <= 3 else "us")
    if kind is Kind.ARRAY:
        return pa.list_(carrier(doris.children[0]))
    if kind is Kind.MAP:
        return pa.map_(carrier(doris.children[0]), carrier(doris.children[1]))
    if kind is Kind.STRUCT:
        pairs = zip(doris.names, doris.children, strict=True)
        return pa.struct([(name, carrier(child)) for name, child in pairs])
    return _SIMPLE[kind]


def convert(array: Any, doris: DorisType) -> Converted:
    """Bring a column of a body to the carrier of a type, with Doris' implicit casts.

    Args:
        array: text, or what a JSON value or an expression gave.
        doris: type of the table's column.
    """
    source = array.type
    if pa.types.is_null(source):
        return Converted(pa.nulls(len(array), carrier(doris)))
    if source == carrier(doris) and doris.kind in _PASSING:
        return Converted(array)
    if pa.types.is_string(source):
        return convert_text(array, doris)
    if pa.types.is_large_string(source) or pa.types.is_binary(source):
        return convert_text(array.cast(pa.string()), doris)
    if doris.kind in INTEGER_RANGES and doris.kind is not Kind.LARGEINT:
        if pa.types.is_floating(source):
            whole = pc.trunc(array)
            fits = pc.less(pc.abs(whole), 9.2e18)
            safe = pc.if_else(fits, whole, pa.scalar(None, source))
            return _narrow(array, pc.cast(safe, pa.int64(), safe=False), doris.kind)
        if pa.types.is_signed_integer(source) or pa.types.is_boolean(source):
            return _narrow(array, array.cast(pa.int64()), doris.kind)
    if doris.kind in (Kind.FLOAT, Kind.DOUBLE) and pa.types.is_floating(source):
        return Converted(array.cast(carrier(doris), safe=False))
    if doris.kind is Kind.DATETIME and pa.types.is_timestamp(source):
        rounded = _rounded(array.cast(pa.timestamp("us"), safe=False), doris)
        if rounded is not None:
            return rounded
    if pa.types.is_nested(source):
        return _nested_typed(array, doris)
    if pa.types.is_floating(source):
        # Arrow writes 100.0 as 100
        cells = [None if cell is None else repr(cell) for cell in array.to_pylist()]
        return convert_text(pa.array(cells, pa.string()), doris)
    return convert_text(array.cast(pa.string()), doris)


#: kinds whose carrier holds nothing but valid values
_PASSING = frozenset(
    {
        Kind.BOOLEAN,
        Kind.TINYINT,
        Kind.SMALLINT,
        Kind.INT,
        Kind.BIGINT,
        Kind.FLOAT,
        Kind.DOUBLE,
        Kind.DATE,
        Kind.IPV4,
        Kind.BITMAP,
        Kind.HLL,
    }
)


def _nested_typed(array: Any, doris: DorisType) -> Converted:
    try:
        return Converted(array.cast(carrier(doris)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return Converted(pa.nulls(len(array), carrier(doris)), valid_mask(array))


def convert_text(array: Any, doris: DorisType) -> Converted:
    """Bring a column of text to the carrier of a type."""
    kind = doris.kind
    if kind in TEXTS:
        return Converted(array)
    if kind in (Kind.BITMAP, Kind.HLL):
        return Converted(pa.nulls(len(array), carrier(doris)), valid_mask(array))
    if kind in NESTED:
        return _cell_by_cell(array, NestedParser(doris), carrier(doris))
    if kind in INTEGER_RANGES and kind is not Kind.LARGEINT:
        return _integers(array, doris)
    fast = _FAST.get(kind)
    if fast is not None:
        try:
            done = fast(array, doris)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            done = None
        if done is not None:
            return done
    return _cell_by_cell(array, parser_of(doris), carrier(doris))


def valid_mask(array: Any) -> Mask:
    """True where a cell is not NULL."""
    mask: Mask = array.is_valid().to_numpy(zero_copy_only=False)
    return mask


def _integers(array: Any, doris: DorisType) -> Converted:
    clean = pc.match_substring_regex(array, _INTEGER)
    numbers = pc.if_else(clean, array, pa.scalar(None, pa.string())).cast(pa.int64())
    low, high = INTEGER_RANGES[doris.kind]
    if doris.kind is not Kind.BIGINT:
        fits = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
        numbers = pc.if_else(fits, numbers, pa.scalar(None, pa.int64()))
    typed = numbers.cast(carrier(doris))
    if typed.null_count == array.null_count:
        return Converted(typed)
    odd = valid_mask(array) & ~valid_mask(typed)
    return _patch(array, typed, odd, parser_of(doris))


def _patch(array: Any, typed: Any, odd: Mask, parser: Parser) -> Converted:
    """Parse the odd cells one by one and put them among the others."""
    places = np.flatnonzero(odd)
    parsed = _parse_all(array.take(pa.array(places)).to_pylist(), parser)
    filled = pc.replace_with_mask(typed, pa.array(odd), pa.array(parsed, typed.type))
    bad = np.zeros(len(array), dtype=np.bool_)
    bad[places] = [value is None for value in parsed]
    return Converted(filled, bad if bad.any() else None)


def _parse_all(texts: list[str | None], parser: Callable[[str], Any]) -> list[Any]:
    """Parse with a memory: bad cells such as ``NA`` repeat."""
    seen: dict[str | None, Any] = {None: None}
    out = []
    for text in texts:
        if text not in seen:
            if len(seen) > 100_000:
                seen = {None: None}
            try:
                seen[text] = parser(text)  # type: ignore[arg-type]
            except (ValueError, RecursionError):
                seen[text] = None
        out.append(seen[text])
    return out


def _cell_by_cell(array: Any, parser: Callable[[str], Any], wanted: Any) -> Converted:
    parsed = _parse_all(array.to_pylist(), parser)
    typed = pa.array(parsed, wanted)
    if typed.null_count == array.null_count:
        return Converted(typed)
    return Converted(typed, valid_mask(array) & ~valid_mask(typed))


def _narrow(array: Any, numbers: Any, kind: Kind) -> Converted:
    low, high = INTEGER_RANGES[kind]
    fits = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
    typed = pc.if_else(fits, numbers, pa.scalar(None, pa.int64())).cast(_SIMPLE[kind])
    if typed.null_count == array.null_count:
        return Converted(typed)
    return Converted(typed, valid_mask(array) & ~valid_mask(typed))


def _all_match(array: Any, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(array, pattern)).as_py() is not False


def _fast_double(array: Any, doris: DorisType) -> Converted | None:
    if _all_match(array, _DOUBLE):
        return Converted(array.cast(carrier(doris)))
    # the odd cells are few: convert the others as a whole
    clean = pc.match_substring_regex(array, _DOUBLE)
    typed = pc.if_else(clean, array, pa.scalar(None, pa.string())).cast(carrier(doris))
    return _patch(array, typed, valid_mask(array) & ~valid_mask(typed), parser_of(doris))


def _fast_decimal(array: Any, doris: DorisType) -> Converted | None:
    if doris.precision > 38 or not _all_match(array, _DECIMAL):
        return None
    return Converted(array.cast(carrier(doris)))


def _fast_date(array: Any, _doris: DorisType) -> Converted | None:
    return Converted(array.cast(pa.date32())) if _all_match(array, _DATE) else None


def _fast_datetime(array: Any, doris: DorisType) -> Converted | None:
    if not _all_match(array, _DATETIME):
        return None
    return _rounded(array.cast(pa.timestamp("us")), doris)


def _rounded(exact: Any, doris: DorisType) -> Converted | None:
    """Microseconds rounded to the scale; None when one leaves the calendar."""
    latest = pc.max(exact.cast(pa.int64())).as_py()
    if latest is not None and round_micros(latest, doris.scale) > MAX_MICROS:
        return None
    return Converted(round_timestamps(exact, doris))


def round_timestamps(array: Any, doris: DorisType) -> Any:
    """Microseconds rounded half up to the scale of the type."""
    if doris.scale == 6:
        return array
    unit = 10 ** (6 - doris.scale)
    micros = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    rounded = (micros + unit // 2) // unit * unit
    per_carrier = {"s": 1_000_000, "ms": 1_000, "us": 1}[carrier(doris).unit]
    typed = pa.array(rounded // per_carrier).cast(carrier(doris))
    return pc.if_else(array.is_valid(), typed, pa.scalar(None, typed.type))


def _fast_boolean(array: Any, _doris: DorisType) -> Converted | None:
    return Converted(array.cast(pa.bool_()))


_FAST: dict[Kind, Callable[[Any, DorisType], Converted | None]] = {
    Kind.BOOLEAN: _fast_boolean,
    Kind.FLOAT: _fast_double,
    Kind.DOUBLE: _fast_double,
    Kind.DECIMAL: _fast_decimal,
    Kind.DECIMALV2: _fast_decimal,
    Kind.DATE: _fast_date,
    Kind.DATETIME: _fast_datetime,
}
