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
"""Physical Arrow (what the storage gives) to wire Arrow (what a Doris backend sends), P 5.5.

One conversion serves the scanner and Flight SQL, as in a backend. The forms differ between server
generations and are chosen one by one, so that a profile can mix them.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.emulator.profile import (
    ArrowForms,
    DateForm,
    DatetimeForm,
    Ipv4Form,
    Ipv6Form,
    LargeintForm,
)
from beam_doris.emulator.types import DorisType, Kind


class UnreadableType(Exception):
    """This generation cannot send such a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireForms:
    """The Arrow forms of one server generation, for one session.

    ``zone`` is the session's zone; it matters when the generation sends timestamps with a zone
    (the true instant) and not wall clock time (P 5.5, P 13).
    """

    forms: ArrowForms
    zone: str

    @classmethod
    def of(cls, forms: ArrowForms, zone: str | None = None) -> WireForms:
        """The forms of a profile; without a zone, in the server's own."""
        return cls(forms=forms, zone=zone or forms.zone)


_MARKED = {Kind.IPV4: "IPV4", Kind.IPV6: "IPV6"}
_OBJECTS = (Kind.BITMAP, Kind.HLL)
_NESTED = (Kind.ARRAY, Kind.MAP, Kind.STRUCT)
_PLAIN: dict[Kind, pa.DataType] = {
    Kind.NULL: pa.null(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TINYINT: pa.int8(),
    Kind.SMALLINT: pa.int16(),
    Kind.INT: pa.int32(),
    Kind.BIGINT: pa.int64(),
    Kind.FLOAT: pa.float32(),
    Kind.DOUBLE: pa.float64(),
    Kind.CHAR: pa.utf8(),
    Kind.VARCHAR: pa.utf8(),
    Kind.STRING: pa.utf8(),
    Kind.JSON: pa.utf8(),
    Kind.VARIANT: pa.utf8(),
    Kind.IPV6: pa.utf8(),
    Kind.BITMAP: pa.binary(),
    Kind.HLL: pa.binary(),
}
_IPV4_TYPES = {
    Ipv4Form.INT32: pa.int32(),
    Ipv4Form.UINT32: pa.uint32(),
    Ipv4Form.TEXT: pa.utf8(),
}


def arrow_type(kind: DorisType, forms: WireForms) -> pa.DataType:
    """The Arrow type a column of this Doris type has on the wire."""
    if kind.kind in _OBJECTS and not forms.forms.sends_objects:
        raise UnreadableType(f"Not support serialize type {kind.kind.name} to arrow")
    if kind.kind is Kind.LARGEINT:
        return pa.utf8() if forms.forms.largeint is LargeintForm.TEXT else pa.binary(16)
    if kind.kind is Kind.IPV4:
        return _IPV4_TYPES[forms.forms.ipv4]
    if kind.kind is Kind.DATE:
        return pa.date32() if forms.forms.date is DateForm.DATE32 else pa.utf8()
    if kind.kind is Kind.DATETIME:
        return _datetime_type(kind, forms)
    if kind.kind in (Kind.DECIMAL, Kind.DECIMALV2):
        return _decimal_type(kind, forms)
    if kind.kind is Kind.ARRAY:
        return pa.list_(pa.field("item", arrow_type(kind.children[0], forms)))
    if kind.kind is Kind.MAP:
        key, item = (arrow_type(child, forms) for child in kind.children)
        return pa.map_(key, item)
    if kind.kind is Kind.STRUCT:
        children = zip(kind.names, kind.children, strict=True)
        return pa.struct([pa.field(name, arrow_type(child, forms)) for name, child in children])
    return _PLAIN[kind.kind]


def _datetime_type(kind: DorisType, forms: WireForms) -> pa.DataType:
    form = forms.forms.datetime
    if form is DatetimeForm.TEXT:
        return pa.utf8()
    if form is DatetimeForm.ZONED_MICRO:
        unit = "us"
    else:
        unit = "s" if kind.scale == 0 else "ms" if kind.scale <= 3 else "us"
    return pa.timestamp(unit, tz=None if form is DatetimeForm.NAIVE else forms.zone)


def _decimal_type(kind: DorisType, forms: WireForms) -> pa.DataType:
    if kind.precision <= 38:
        return pa.decimal128(kind.precision, kind.scale)
    if not forms.forms.sends_decimal256:
        raise UnreadableType(f"Not support serialize type DECIMAL({kind.precision}) to arrow")
    return pa.decimal256(kind.precision, kind.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireColumn:
    """A column of a result: its name and its Doris type."""

    name: str
    type: DorisType


class WireEncoder:
    """Converts the batches of one result."""

    def __init__(self, columns: Sequence[WireColumn], forms: WireForms) -> None:
        self._columns = tuple(columns)
        self._forms = forms
        self.schema = pa.schema([self._field(column) for column in self._columns])

    def _field(self, column: WireColumn) -> pa.Field:
        mark = _MARKED.get(column.type.kind)
        return pa.field(
            column.name,
            arrow_type(column.type, self._forms),
            metadata={"doris_type": mark} if mark else None,
        )

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Convert a physical batch whose columns stand in the encoder's order."""
        arrays = [
            _convert(array, column.type, self._forms)
            for array, column in zip(batch.columns, self._columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _convert(array: pa.Array, kind: DorisType, forms: WireForms) -> pa.Array:
    target = arrow_type(kind, forms)
    if array.type.equals(target) and kind.kind not in (Kind.IPV6, *_NESTED):
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), target)
    special = _LEAVES.get(kind.kind)
    if special is not None:
        return special(array, kind, forms)
    if kind.kind in _NESTED:
        return _nested(array, kind, forms)
    return array.cast(target)


def _nested(array: pa.Array, kind: DorisType, forms: WireForms) -> pa.Array:
    # Concatenation copies a slice so that its offsets start at zero, which building from parts
    # together with a mask demands.
    whole = pa.concat_arrays([array.slice(0, 0), array])
    target = arrow_type(kind, forms)
    mask = whole.is_null()
    if kind.kind is Kind.STRUCT:
        children = [
            _convert(whole.field(at), child, forms) for at, child in enumerate(kind.children)
        ]
        return pa.StructArray.from_arrays(children, fields=list(target), mask=mask)
    if kind.kind is Kind.ARRAY:
        values = _convert(whole.values, kind.children[0], forms)
        return pa.ListArray.from_arrays(whole.offsets, values, type=target, mask=mask)
    keys = _convert(whole.keys, kind.children[0], forms)
    items = _convert(whole.items, kind.children[1], forms)
    return pa.MapArray.from_arrays(whole.offsets, keys, items, type=target, mask=mask)


def _mapped(array: pa.Array, change: Callable[[str], bytes | str], target: pa.DataType) -> pa.Array:
    """Apply a Python function to every distinct text."""
    coded = array.cast(pa.utf8()).dictionary_encode()
    values = [None if text is None else change(text) for text in coded.dictionary.to_pylist()]
    return pa.array(values, target).take(coded.indices)


def _largeint(array: pa.Array, kind: DorisType, forms: WireForms) -> pa.Array:
    if forms.forms.largeint is LargeintForm.TEXT:
        if pa.types.is_decimal(array.type):
            array = array.cast(pa.decimal128(38, 0))
        return array.cast(pa.utf8())
    return _mapped(array, _little_endian, arrow_type(kind, forms))


def _little_endian(text: str) -> bytes:
    return int(text).to_bytes(16, "little", signed=True)


def _ipv4(array: pa.Array, _kind: DorisType, forms: WireForms) -> pa.Array:
    numbers = array.cast(pa.uint32())
    if forms.forms.ipv4 is Ipv4Form.INT32:
        return numbers.view(pa.int32())
    if forms.forms.ipv4 is Ipv4Form.UINT32:
        return numbers
    return _mapped(numbers, lambda text: str(ipaddress.IPv4Address(int(text))), pa.utf8())


def _ipv6(array: pa.Array, _kind: DorisType, forms: WireForms) -> pa.Array:
    if forms.forms.ipv6 is Ipv6Form.DECIMAL_TEXT:
        return array.cast(pa.utf8())
    return _mapped(array, _ipv6_text, pa.utf8())


def _ipv6_text(number: str) -> str:
    return socket.inet_ntop(socket.AF_INET6, int(number).to_bytes(16, "big"))


def _datetime(array: pa.Array, kind: DorisType, forms: WireForms) -> pa.Array:
    if forms.forms.datetime is DatetimeForm.TEXT:
        text = array.cast(pa.timestamp("us")).cast(pa.utf8())
        end = 19 if kind.scale == 0 else 20 + kind.scale
        return pc.utf8_slice_codeunits(text, 0, end)
    target = _datetime_type(kind, forms)
    naive = array.cast(pa.timestamp(target.unit))
    if target.tz is None:
        return naive
    # The instant of the wall clock in the session's zone; an hour that a change of the clocks
    # skipped has no instant, the one after it is sent.
    return pc.assume_timezone(naive, forms.zone, ambiguous="earliest", nonexistent="latest")


def _date(array: pa.Array, kind: DorisType, forms: WireForms) -> pa.Array:
    return array.cast(pa.date32()).cast(arrow_type(kind, forms))


def _text(array: pa.Array, _kind: DorisType, _forms: WireForms) -> pa.Array:
    return array.cast(pa.utf8())


def _object(array: pa.Array, _kind: DorisType, _forms: WireForms) -> pa.Array:
    """The serialized form is the emulator's own: its members as little-endian 64-bit numbers."""
    members = array.field(0) if pa.types.is_struct(array.type) else array
    values = [
        None if cell is None or not present else struct.pack(f"<{len(cell)}Q", *cell)
        for cell, present in zip(members.to_pylist(), array.is_valid().to_pylist(), strict=True)
    ]
    return pa.array(values, pa.binary())


def _null(array: pa.Array, _kind: DorisType, _forms: WireForms) -> pa.Array:
    return pa.nulls(len(array))


_LEAVES: dict[Kind, Callable[[pa.Array, DorisType, WireForms], pa.Array]] = {
    Kind.NULL: _null,
    Kind.LARGEINT: _largeint,
    Kind.IPV4: _ipv4,
    Kind.IPV6: _ipv6,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
    Kind.BITMAP: _object,
    Kind.HLL: _object,
    Kind.CHAR: _text,
    Kind.VARCHAR: _text,
    Kind.STRING: _text,
    Kind.JSON: _text,
    Kind.VARIANT: _text,
}
