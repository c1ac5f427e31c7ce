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
"""Canonical Arrow columns as the texts that Doris reads back exactly, column by column."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.errors import TypeMappingError
from beam_doris.schema.arrow_types import doris_type_of
from beam_doris.schema.python_values import column_values
from beam_doris.schema.types import DorisType, Kind

# Beyond that many fraction digits Arrow writes small decimals with an exponent.
_PLAIN_SCALE = 6
# The largest whole number below which every whole number is a double.
MAX_SAFE_INTEGER = 2**53
_TEXT_TYPES = (pa.string(), pa.large_string())


def is_text(arrow: pa.DataType) -> bool:
    """Whether the column holds text of the user's."""
    return arrow in _TEXT_TYPES


def plain_text(column: pa.Array, field: pa.Field) -> pa.Array:
    """A scalar column as text without exponents of decimals, `T`, zones or signs of plus.

    Raises:
        TypeMappingError: the column's type has no text.
    """
    arrow = column.type
    if is_text(arrow):
        return column
    if pa.types.is_decimal(arrow):
        return _plain_decimal(column)
    if pa.types.is_floating(arrow):
        text = column.cast(pa.string())
        # "-0" would be read as the whole number 0, which has no sign
        return pc.if_else(pc.equal(text, "-0"), "-0.0", text)
    if pa.types.is_timestamp(arrow) and arrow.tz is not None:
        wall = column.cast(pa.timestamp(arrow.unit)).cast(pa.string())
        return pc.binary_join_element_wise(wall, "+00:00", "")
    if (
        pa.types.is_integer(arrow)
        or pa.types.is_boolean(arrow)
        or pa.types.is_date32(arrow)
        or pa.types.is_timestamp(arrow)
        or pa.types.is_null(arrow)
    ):
        return column.cast(pa.string())
    raise TypeMappingError(
        f"column {field.name!r} of type {doris_type_of(field).sql()} has no text form",
        column=field.name,
        got=arrow,
        hint="write it with load_format=LoadFormat.ARROW",
    )


def _plain_decimal(column: pa.Array) -> pa.Array:
    text = column.cast(pa.string())
    if column.type.scale <= _PLAIN_SCALE:
        return text
    with_exponent = pc.fill_null(pc.match_substring(text, "E"), False)
    if not pc.any(with_exponent, min_count=0).as_py():
        return text
    rewritten = [format(Decimal(value), "f") for value in text.filter(with_exponent).to_pylist()]
    return pc.replace_with_mask(text, with_exponent, pa.array(rewritten, pa.string()))


def json_text(column: pa.Array, field: pa.Field) -> pa.Array:
    """A nested column as JSON text, in which every leaf keeps its exact value.

    JSON escapes control characters, so that the text holds none of them.
    """
    doris = doris_type_of(field)
    prepare = _leaf(doris, field.name)
    texts = [
        None if value is None else orjson.dumps(prepare(value)).decode()
        for value in column_values(column, doris)
    ]
    return pa.array(texts, pa.string())


def _leaf(doris: DorisType, name: str) -> Callable[[Any], Any]:
    """A function that makes a value of that type fit for JSON."""
    kind = doris.kind
    if kind is Kind.ARRAY:
        element = _or_null(_leaf(doris.children[0], name))
        return lambda value: [element(item) for item in value]
    if kind is Kind.MAP:
        key, item = _leaf(doris.children[0], name), _or_null(_leaf(doris.children[1], name))
        return lambda value: {_key(key(k)): item(v) for k, v in value.items()}
    if kind is Kind.STRUCT:
        fields = {
            inner: _or_null(_leaf(child, name))
            for inner, child in zip(doris.names, doris.children, strict=True)
        }
        return lambda value: {inner: convert(value[inner]) for inner, convert in fields.items()}
    if kind in (Kind.FLOAT, Kind.DOUBLE):
        return _json_float if kind is Kind.DOUBLE else _json_float32
    if kind in (Kind.DECIMAL, Kind.DECIMALV2):
        return lambda value: format(value, "f")
    if kind is Kind.BIGINT:
        return lambda value: value if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER else str(value)
    if kind is Kind.VARBINARY:
        raise TypeMappingError(
            f"column {name!r} holds VARBINARY, which has no JSON form",
            column=name,
            hint="write it with load_format=LoadFormat.ARROW",
        )
    if kind in (Kind.LARGEINT, Kind.DATE, Kind.TIMESTAMPTZ):
        return str
    if kind is Kind.DATETIME:
        return _wall_clock_text
    return _same


def _same(value: Any) -> Any:
    return value


def _or_null(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _json_float(value: float) -> Any:
    # NaN and the infinities are no JSON numbers; as text they are read as what they are
    return value if value - value == 0 else str(value)


def _json_float32(value: float) -> Any:
    # the shortest text of the 32-bit number, not of the 64-bit one it became
    text = pa.scalar(value, pa.float32()).cast(pa.string()).as_py()
    return float(text) if value - value == 0 else str(value)


def _wall_clock_text(value: Any) -> str:
    return value if isinstance(value, str) else value.isoformat(" ")
