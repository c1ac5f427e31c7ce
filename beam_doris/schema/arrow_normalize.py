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
"""What servers of either generation send, made canonical (P 5.5).

Thrift and Flight use one conversion in the backend, so that one function serves both. Older
servers send LARGEINT as 16 bytes, dates as text, DATETIME as text or always in microseconds, IPV4
as uint32; newer ones send LARGEINT as text, IPV4 as the same bits in an int32. Everything is done
by column, in compiled code; only an IPV6 that came as a decimal integer costs a Python call.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.errors import TypeMappingError
from beam_doris.schema.arrow_types import (
    LARGEINT_ARROW,
    arrow_field,
    arrow_type,
    with_known_shape,
)
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import DorisType, Kind

_WIDTH = {Kind.TINYINT: 8, Kind.SMALLINT: 16, Kind.INT: 32, Kind.BIGINT: 64}
_TEXT = frozenset({Kind.CHAR, Kind.VARCHAR, Kind.STRING, Kind.JSON, Kind.VARIANT})
_OCTETS = pa.array([str(octet) for octet in range(256)])


def normalize(batch: pa.RecordBatch, schema: TableSchema) -> pa.RecordBatch:
    """A batch from the wire with the schema's columns, in its order, in canonical types.

    A DATETIME that carries a zone becomes the wall clock time in that zone; one without is the
    wall clock time. It is never shifted otherwise.

    Args:
        batch: As the server sent it.
        schema: The columns that were asked for.

    Raises:
        TypeMappingError: a column is missing, or its type cannot be the declared one.
    """
    steps = _steps_for(batch.schema, schema)
    arrays = []
    for step in steps.columns:
        wire = batch.column(step.position)
        if step.convert is None:
            arrays.append(wire)
            continue
        try:
            arrays.append(normalize_array(wire, step.convert))
        except (TypeMappingError, pa.ArrowException, ValueError) as error:
            # not chained: an Arrow error may quote a cell, and a traceback would show it
            raise _mismatch(step.column, wire.type, schema, error) from None
    return pa.RecordBatch.from_arrays(arrays, schema=steps.made)


@dataclass(frozen=True, slots=True)
class _ColumnStep:
    """Where a column is found in a wire batch, and what it is converted to; None: it is right."""

    column: Column
    position: int
    convert: DorisType | None


@dataclass(frozen=True, slots=True)
class _Steps:
    """How batches of one wire schema become batches of one table; found out once a scan."""

    wire: pa.Schema
    table: TableSchema
    columns: tuple[_ColumnStep, ...]
    made: pa.Schema


# By the identity of the table's schema, which every batch of a scan brings along. An entry holds
# its schema, so that an identity is not given away while it is in here.
_known: dict[int, _Steps] = {}
_MOST_KNOWN = 256


def _steps_for(wire: pa.Schema, schema: TableSchema) -> _Steps:
    known = _known.get(id(schema))
    if known is not None and known.table is schema and known.wire.equals(wire):
        return known
    made = _made_steps(wire, schema)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[id(schema)] = made
    return made


def _made_steps(wire: pa.Schema, schema: TableSchema) -> _Steps:
    steps = []
    fields = []
    for column in schema.columns:
        position = _wire_position(wire, column, schema)
        kind = wire.field(position).type
        try:
            doris = with_known_shape(column.type, kind)
            fields.append(arrow_field(column.name, doris))
        except (TypeMappingError, pa.ArrowException, ValueError) as error:
            raise _mismatch(column, kind, schema, error) from None
        right = kind == fields[-1].type and not _holds_ipv6(doris)
        steps.append(_ColumnStep(column, position, None if right else doris))
    return _Steps(wire, schema, tuple(steps), pa.schema(fields))


def _wire_position(wire: pa.Schema, column: Column, schema: TableSchema) -> int:
    position: int = wire.get_field_index(column.name)
    if position >= 0:
        return position
    lowered = [name.lower() for name in wire.names]
    if lowered.count(column.name.lower()) != 1:
        raise TypeMappingError(
            f"the server sent no column {column.name!r}",
            column=column.name,
            table=schema.table,
            hint="the table was changed while it was read; read it again",
        )
    return lowered.index(column.name.lower())


def _mismatch(
    column: Column, got: pa.DataType, schema: TableSchema, error: Exception
) -> TypeMappingError:
    expected = column.type.sql()
    cause = error.message if isinstance(error, TypeMappingError) else type(error).__name__
    return TypeMappingError(
        f"column {column.name!r} is {expected}, but the server sent Arrow type {got} for it",
        column=column.name,
        expected=expected,
        got=got,
        table=schema.table,
        cause=cause,
    )


def normalize_array(wire: pa.Array, doris: DorisType) -> pa.Array:
    """One column; see `normalize`.

    Raises:
        TypeMappingError: the Arrow type cannot be that Doris type.
        pyarrow.ArrowException: a value cannot be.
    """
    target = arrow_type(doris)
    if wire.type == target and not _holds_ipv6(doris):
        return wire
    if pa.types.is_null(wire.type):
        return pa.nulls(len(wire), target)
    if isinstance(wire, pa.ExtensionArray):
        return normalize_array(wire.storage, doris)
    if pa.types.is_dictionary(wire.type):
        return normalize_array(wire.dictionary_decode(), doris)
    convert = _CONVERSIONS.get(doris.kind)
    made = None if convert is None else convert(wire, doris, target)
    if made is None:
        raise TypeMappingError(
            f"Arrow type {wire.type} cannot be {doris.sql()}", expected=target, got=wire.type
        )
    return made


def _holds_ipv6(doris: DorisType) -> bool:
    """Whether texts have to be looked at: the oldest servers write an IPV6 as an integer."""
    return doris.kind is Kind.IPV6 or any(_holds_ipv6(child) for child in doris.children)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _boolean(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    return wire.cast(target) if pa.types.is_int8(wire.type) else None


def _integer(wire: pa.Array, doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if pa.types.is_integer(wire.type) and wire.type.bit_width <= _WIDTH[doris.kind]:
        return wire.cast(target)
    return None


def _largeint(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if pa.types.is_fixed_size_binary(wire.type) and wire.type.byte_width == 16:
        return _little_endian(wire)
    if _is_text(wire.type) or pa.types.is_integer(wire.type) or _is_integral(wire.type):
        return wire.cast(target)
    return None


def _is_integral(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind) and kind.scale == 0)


def _little_endian(wire: pa.Array) -> pa.Array:
    """16 bytes of two's complement widened to the 32 of a decimal256."""
    # a null's bytes are arbitrary and may be no decimal of 39 digits; they are masked anyway
    raw = np.frombuffer(wire.buffers()[1], dtype=np.uint8)
    narrow = raw[wire.offset * 16 : (wire.offset + len(wire)) * 16].reshape(-1, 16)
    wide = np.empty((len(wire), 32), dtype=np.uint8)
    wide[:, :16] = narrow
    wide[:, 16:] = np.where(narrow[:, 15:] >= 128, np.uint8(255), np.uint8(0))
    values = pa.Array.from_buffers(LARGEINT_ARROW, len(wire), [None, pa.py_buffer(wide.tobytes())])
    if wire.null_count:
        return pc.if_else(wire.is_valid(), values, pa.scalar(None, LARGEINT_ARROW))
    return values


def _floating(wire: pa.Array, doris: DorisType, target: pa.DataType) -> pa.Array | None:
    widens = doris.kind is Kind.DOUBLE and pa.types.is_float32(wire.type)
    return wire.cast(target) if widens else None


def _decimal(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if pa.types.is_decimal(wire.type) or _is_text(wire.type):
        return wire.cast(target)
    return None


def _date(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if _is_text(wire.type) or pa.types.is_date64(wire.type):
        return wire.cast(target)
    return None


def _datetime(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if pa.types.is_timestamp(wire.type):
        if wire.type.tz is not None:
            wire = _wall_clock(wire)
        return wire.cast(target)
    return wire.cast(target) if _is_text(wire.type) else None


def _wall_clock(wire: pa.Array) -> pa.Array:
    if wire.type.tz.upper() in ("UTC", "Z", "GMT"):
        return wire.cast(pa.timestamp(wire.type.unit, tz="UTC")).cast(pa.timestamp(wire.type.unit))
    return pc.local_timestamp(wire)


def _instant(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if pa.types.is_timestamp(wire.type) and wire.type.tz is not None:
        return wire.cast(target)
    if _is_text(wire.type):
        return wire.cast(target)
    return None


def _text(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    return wire.cast(target) if _is_text(wire.type) else None


def _binary(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if pa.types.is_large_binary(wire.type) or pa.types.is_binary_view(wire.type):
        return wire.cast(target)
    return wire.cast(target) if _is_text(wire.type) else None


def _ipv4(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if _is_text(wire.type):
        return wire.cast(target)
    if not (pa.types.is_int32(wire.type) or pa.types.is_uint32(wire.type)):
        return None
    # the sign of an int32 is the highest bit of the address
    bits = wire.view(pa.uint32()) if pa.types.is_int32(wire.type) else wire
    octets = [
        _OCTETS.take(pc.bit_wise_and(pc.shift_right(bits, np.uint32(shift)), np.uint32(255)))
        for shift in (24, 16, 8, 0)
    ]
    return pc.binary_join_element_wise(*octets, ".")


def _ipv6(wire: pa.Array, _doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if not _is_text(wire.type):
        return None
    text = wire.cast(target)
    if pc.all(pc.match_substring(text, ":"), min_count=0).as_py():
        return text
    return pa.array(
        [
            value if value is None or ":" in value else str(ipaddress.IPv6Address(int(value)))
            for value in text.to_pylist()
        ],
        target,
    )


def _array(wire: pa.Array, doris: DorisType, _target: pa.DataType) -> pa.Array | None:
    if pa.types.is_large_list(wire.type):
        wire = wire.cast(pa.list_(wire.type.value_type))
    if not pa.types.is_list(wire.type):
        return None
    wire = _unsliced(wire)
    values = normalize_array(wire.values, doris.children[0])
    return pa.ListArray.from_arrays(wire.offsets, values, mask=_mask(wire))


def _map(wire: pa.Array, doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if not pa.types.is_map(wire.type):
        return None
    wire = _unsliced(wire)
    keys = normalize_array(wire.keys, doris.children[0])
    items = normalize_array(wire.items, doris.children[1])
    return pa.MapArray.from_arrays(wire.offsets, keys, items, target, mask=_mask(wire))


def _struct(wire: pa.Array, doris: DorisType, target: pa.DataType) -> pa.Array | None:
    if not pa.types.is_struct(wire.type) or wire.type.num_fields != len(doris.children):
        return None
    names = [wire.type.field(position).name.lower() for position in range(wire.type.num_fields)]
    if names != [name.lower() for name in doris.names]:
        return None
    # flatten() puts the nulls of the struct itself, whose fields hold anything, onto its fields
    children = [
        normalize_array(field, child)
        for field, child in zip(wire.flatten(), doris.children, strict=True)
    ]
    fields = [target.field(position) for position in range(target.num_fields)]
    return pa.StructArray.from_arrays(children, fields=fields, mask=_mask(wire))


def _unsliced(wire: pa.Array) -> pa.Array:
    return wire if wire.offset == 0 else pa.concat_arrays([wire])


def _mask(wire: pa.Array) -> pa.Array | None:
    return wire.is_null() if wire.null_count else None


_CONVERSIONS: dict[Kind, Any] = {
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
    Kind.VARBINARY: _binary,
    Kind.BITMAP: _binary,
    Kind.HLL: _binary,
    Kind.QUANTILE_STATE: _binary,
    Kind.AGG_STATE: _binary,
    Kind.IPV4: _ipv4,
    Kind.IPV6: _ipv6,
    Kind.ARRAY: _array,
    Kind.MAP: _map,
    Kind.STRUCT: _struct,
    **dict.fromkeys(_TEXT, _text),
}
