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
"""The canonical Arrow type of every Doris type.

All rows inside the connector have these types, whichever server, protocol or element they came
from:

| Doris | Arrow | why |
| --- | --- | --- |
| BOOLEAN, TINYINT .. BIGINT, FLOAT, DOUBLE | bool, int8 .. int64, float, double | |
| LARGEINT | decimal256(39, 0) | 128 bits with sign; Arrow has no such integer |
| DECIMAL(p, s) | decimal128(p, s), beyond 38 digits decimal256(p, s) | |
| DECIMALV2 | decimal128(27, 9) | what the server stores, whatever was declared |
| DATE | date32 | |
| DATETIME | timestamp[us] without a zone | a wall clock time, never shifted |
| TIMESTAMPTZ | timestamp[us, UTC] | an instant |
| CHAR, VARCHAR, STRING | string | |
| JSON, VARIANT | string | the JSON text |
| IPV4, IPV6 | string | the usual notation |
| VARBINARY | binary | |
| ARRAY, MAP, STRUCT | list, map, struct | |
| BITMAP, HLL, QUANTILE_STATE, AGG_STATE | binary | opaque: read through a function instead |

Fields carry the Doris type in their metadata, so that a batch tells a LARGEINT from a
DECIMAL(39, 0) after a journey as bytes.
"""

from __future__ import annotations

import functools

import pyarrow as pa

from beam_doris.errors import TypeMappingError
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import DorisType, Kind, parse_type

TYPE_KEY = b"doris.type"

LARGEINT_ARROW = pa.decimal256(39, 0)
DATETIME_ARROW = pa.timestamp("us")

_SIMPLE: dict[Kind, pa.DataType] = {
    Kind.NULL: pa.null(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TINYINT: pa.int8(),
    Kind.SMALLINT: pa.int16(),
    Kind.INT: pa.int32(),
    Kind.BIGINT: pa.int64(),
    Kind.LARGEINT: LARGEINT_ARROW,
    Kind.FLOAT: pa.float32(),
    Kind.DOUBLE: pa.float64(),
    Kind.DECIMALV2: pa.decimal128(27, 9),
    Kind.DATE: pa.date32(),
    Kind.DATETIME: DATETIME_ARROW,
    Kind.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    Kind.TIME: pa.float64(),
    Kind.CHAR: pa.string(),
    Kind.VARCHAR: pa.string(),
    Kind.STRING: pa.string(),
    Kind.VARBINARY: pa.binary(),
    Kind.JSON: pa.string(),
    Kind.VARIANT: pa.string(),
    Kind.IPV4: pa.string(),
    Kind.IPV6: pa.string(),
    Kind.BITMAP: pa.binary(),
    Kind.HLL: pa.binary(),
    Kind.QUANTILE_STATE: pa.binary(),
    Kind.AGG_STATE: pa.binary(),
}


def arrow_type(doris: DorisType) -> pa.DataType:
    """The canonical Arrow type.

    Raises:
        TypeMappingError: the type is unknown, or nested without its shape.
    """
    simple = _SIMPLE.get(doris.kind)
    if simple is not None:
        return simple
    if doris.kind is Kind.DECIMAL:
        width = pa.decimal128 if doris.precision <= 38 else pa.decimal256
        return width(doris.precision, doris.scale)
    if not doris.is_complete:
        raise TypeMappingError(
            f"the server did not tell what a {doris.sql()} column holds", got=doris.sql()
        )
    children = [arrow_type(child) for child in doris.children]
    if doris.kind is Kind.ARRAY:
        return pa.list_(children[0])
    if doris.kind is Kind.MAP:
        return pa.map_(children[0], children[1])
    if doris.kind is Kind.STRUCT:
        fields = zip(doris.names, children, strict=True)
        return pa.struct([pa.field(name, child) for name, child in fields])
    raise TypeMappingError(f"no rows can be carried for type {doris.sql()}", got=doris.sql())


def arrow_field(name: str, doris: DorisType, *, nullable: bool = True) -> pa.Field:
    """The canonical field of a column."""
    return pa.field(
        name, arrow_type(doris), nullable=nullable, metadata={TYPE_KEY: doris.sql().encode()}
    )


def arrow_schema(schema: TableSchema) -> pa.Schema:
    """The canonical Arrow schema of a table, or of some of its columns.

    Every field is nullable: a batch may hold rows that are yet to be refused.
    """
    return pa.schema([arrow_field(column.name, column.type) for column in schema.columns])


def doris_type_of(field: pa.Field) -> DorisType:
    """The Doris type of a field: by its metadata, else the nearest for its Arrow type.

    Raises:
        TypeMappingError: Doris has no such type.
    """
    stated = (field.metadata or {}).get(TYPE_KEY)
    if stated is not None:
        return _stated(stated)
    return infer_type(field.type, field.name)


@functools.lru_cache(maxsize=1024)
def _stated(text: bytes) -> DorisType:
    """Asked for every column of every batch."""
    return parse_type(text.decode())


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Columns for an Arrow schema; see `doris_type_of`."""
    return tuple(
        Column(name=field.name, type=doris_type_of(field), nullable=field.nullable)
        for field in schema
    )


_INFERRED: tuple[tuple[pa.DataType, Kind], ...] = (
    (pa.null(), Kind.NULL),
    (pa.bool_(), Kind.BOOLEAN),
    (pa.int8(), Kind.TINYINT),
    (pa.int16(), Kind.SMALLINT),
    (pa.int32(), Kind.INT),
    (pa.int64(), Kind.BIGINT),
    (pa.uint8(), Kind.SMALLINT),
    (pa.uint16(), Kind.INT),
    (pa.uint32(), Kind.BIGINT),
    (pa.uint64(), Kind.LARGEINT),
    (LARGEINT_ARROW, Kind.LARGEINT),
    (pa.float32(), Kind.FLOAT),
    (pa.float64(), Kind.DOUBLE),
    (pa.date32(), Kind.DATE),
    (pa.date64(), Kind.DATE),
    (pa.string(), Kind.STRING),
    (pa.large_string(), Kind.STRING),
    (pa.string_view(), Kind.STRING),
    (pa.binary(), Kind.VARBINARY),
    (pa.large_binary(), Kind.VARBINARY),
)


def infer_type(arrow: pa.DataType, name: str = "") -> DorisType:
    """The nearest Doris type for an Arrow type that nothing more is known of.

    Raises:
        TypeMappingError: Doris has no such type.
    """
    for candidate, kind in _INFERRED:
        if arrow == candidate:
            return DorisType(kind)
    if pa.types.is_decimal(arrow) and 0 <= arrow.scale <= arrow.precision:
        return DorisType(Kind.DECIMAL, precision=arrow.precision, scale=arrow.scale)
    if pa.types.is_timestamp(arrow):
        digits = {"s": 0, "ms": 3}.get(arrow.unit, 6)
        return DorisType(Kind.DATETIME, scale=digits)
    if pa.types.is_dictionary(arrow):
        return infer_type(arrow.value_type, name)
    if pa.types.is_map(arrow):
        pair = (infer_type(arrow.key_type, name), infer_type(arrow.item_type, name))
        return DorisType(Kind.MAP, children=pair)
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return DorisType(Kind.ARRAY, children=(infer_type(arrow.value_type, name),))
    if pa.types.is_struct(arrow):
        fields = [arrow.field(position) for position in range(arrow.num_fields)]
        return DorisType(
            Kind.STRUCT,
            children=tuple(infer_type(field.type, field.name) for field in fields),
            names=tuple(field.name for field in fields),
        )
    raise TypeMappingError(f"Doris has no type for Arrow's {arrow}", column=name or None, got=arrow)


def with_known_shape(doris: DorisType, arrow: pa.DataType) -> DorisType:
    """The type with a shape that the server left out (older `_schema`) taken from the data."""
    return doris if doris.is_complete else infer_type(arrow)
