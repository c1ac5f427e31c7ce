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
"""Arrow bodies (P 4.4): one or more complete IPC streams, back to back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.emulator.load.body import AsFile, ByteSource
from beam_doris.emulator.load.chunk import Chunk
from beam_doris.emulator.load.convert import carrier
from beam_doris.emulator.load.failure import LoadFailure
from beam_doris.emulator.load.scalars import plain_decimal
from beam_doris.emulator.types import NESTED, TEXTS, DorisType, Kind


class ArrowReader:
    """Reads IPC streams whose columns are those of the load, in that order.

    Args:
        source: the body; compression of the request is not meaningful here.
        fields: names of the load's columns.
        types: types of the fields that are columns of the table.
        by_order: whether another order is refused, or matched by name (older servers, P 13).
    """

    def __init__(
        self,
        source: ByteSource,
        fields: Sequence[str],
        types: Mapping[str, DorisType],
        *,
        by_order: bool,
    ) -> None:
        self._file = AsFile(source)
        self._fields = list(fields)
        self._types = {name.lower(): doris for name, doris in types.items()}
        self._by_order = by_order

    def chunks(self) -> Iterator[Chunk]:
        """A chunk a record batch."""
        while not self._file.at_end():
            try:
                with pa.ipc.open_stream(self._file) as stream:
                    places = self._places(stream.schema)
                    for batch in stream:
                        yield self._chunk(batch, places)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError) as error:
                raise LoadFailure(f"Open arrow stream failed: {error}") from error

    def _places(self, schema: Any) -> list[int]:
        names = [str(name) for name in schema.names]
        if not self._by_order:
            return self._places_by_name(names)
        for place, wanted in enumerate(self._fields):
            got = names[place] if place < len(names) else ""
            if got.lower() != wanted.lower():
                raise LoadFailure(f"Column name mismatch: expected {wanted}, got {got}")
        if len(names) > len(self._fields):
            raise LoadFailure(
                f"Column number mismatch: expected {len(self._fields)}, got {len(names)}"
            )
        return list(range(len(names)))

    def _places_by_name(self, names: list[str]) -> list[int]:
        lower = [name.lower() for name in names]
        for wanted in self._fields:
            if wanted.lower() not in lower:
                raise LoadFailure(f"Column {wanted} not found in the arrow stream")
        return [lower.index(name.lower()) for name in self._fields]

    def _chunk(self, batch: Any, places: list[int]) -> Chunk:
        columns = []
        for name, place in zip(self._fields, places, strict=True):
            array = batch.column(place)
            doris = self._types.get(name.lower())
            columns.append(array if doris is None else accept(array, doris, name))

        def source(row: int) -> str:
            return ", ".join(str(column[row].as_py()) for column in columns)

        return Chunk(batch.num_rows, columns, source)


def accept(array: Any, doris: DorisType, name: str) -> Any:
    """The array in a form that the conversion takes; refused when the type's reader would."""
    if not _fits(array.type, doris):
        raise LoadFailure(
            f"Failed to convert from arrow to block: type {array.type} of column {name} "
            f"can't be read as {doris.shown()}"
        )
    source = array.type
    if pa.types.is_null(source) or (source == carrier(doris) and not _travels_as_text(doris)):
        return array
    if doris.kind in NESTED:
        return pa.array(_python(array.to_pylist(), doris), carrier(doris))
    if doris.kind is Kind.DATETIME:
        return _wall_clock(array)
    if doris.kind in (Kind.DECIMAL, Kind.DECIMALV2):
        if doris.precision > 38:
            cells = array.to_pylist()
            texts = [None if cell is None else plain_decimal(cell) for cell in cells]
            return pa.array(texts, pa.string())
        return array.cast(pa.string()) if source.precision > doris.precision else array
    if doris.kind is Kind.DATE and pa.types.is_date64(source):
        return array.cast(pa.date32())
    if doris.kind is Kind.IPV4 and pa.types.is_int32(source):
        # the signed number carries the bits of the address
        return array.view(pa.uint32())
    return array


def _travels_as_text(doris: DorisType) -> bool:
    """Whether a nested type holds texts that are not yet what the store keeps."""
    kinds = (Kind.JSON, Kind.VARIANT, Kind.IPV6, Kind.LARGEINT)
    return doris.kind in NESTED and any(
        child.kind in kinds or _travels_as_text(child) for child in doris.children
    )


def _wall_clock(array: Any) -> Any:
    """Microseconds of the wall clock in the zone of the array."""
    if getattr(array.type, "tz", None):
        array = pc.local_timestamp(array)
    if pa.types.is_date(array.type):
        return array.cast(pa.timestamp("us"))
    return array.cast(pa.timestamp("us"), safe=False)


def _fits(source: Any, doris: DorisType) -> bool:
    """Whether the reader of a column takes this Arrow type (P 4.4)."""
    kind, types = doris.kind, pa.types
    if types.is_null(source):
        return True
    texts = types.is_string(source) or types.is_large_string(source)
    if kind in TEXTS or kind in (Kind.JSON, Kind.VARIANT, Kind.LARGEINT, Kind.IPV6):
        return bool(texts or (kind in TEXTS and types.is_binary(source)))
    if kind is Kind.IPV4:
        return bool(texts or types.is_int32(source) or types.is_uint32(source))
    if kind is Kind.DATE:
        return bool(types.is_date(source))
    if kind is Kind.DATETIME:
        return bool(types.is_timestamp(source) or types.is_date64(source))
    if kind in (Kind.DECIMAL, Kind.DECIMALV2):
        return bool(types.is_decimal(source) and source.scale == doris.scale)
    if kind is Kind.ARRAY:
        is_list = types.is_list(source) or types.is_large_list(source)
        return bool(is_list and _fits(source.value_type, doris.children[0]))
    if kind is Kind.MAP:
        return bool(
            types.is_map(source)
            and _fits(source.key_type, doris.children[0])
            and _fits(source.item_type, doris.children[1])
        )
    if kind is Kind.STRUCT:
        return bool(
            types.is_struct(source)
            and source.num_fields == len(doris.children)
            and all(
                source.field(place).name.lower() == name.lower()
                and _fits(source.field(place).type, child)
                for place, (name, child) in enumerate(zip(doris.names, doris.children, strict=True))
            )
        )
    if kind in (Kind.BITMAP, Kind.HLL):
        return False
    return bool(source == carrier(doris))


def _python(values: list[Any], doris: DorisType) -> list[Any]:
    """Values of a nested column as its carrier takes them."""
    kind = doris.kind
    if kind is Kind.ARRAY:
        child = doris.children[0]
        return [None if value is None else _python(value, child) for value in values]
    if kind is Kind.MAP:
        keys, items = doris.children
        return [
            None
            if value is None
            else list(
                zip(
                    _python([key for key, _ in value], keys),
                    _python([item for _, item in value], items),
                    strict=True,
                )
            )
            for value in values
        ]
    if kind is Kind.STRUCT:
        return [None if value is None else _struct(value, doris) for value in values]
    flat = pa.array(values)
    if doris.kind is Kind.DATETIME and len(flat) and not pa.types.is_null(flat.type):
        from beam_doris.emulator.load.convert import round_timestamps

        return list(round_timestamps(_wall_clock(flat), doris))
    if doris.kind in (Kind.DECIMAL, Kind.DECIMALV2) and doris.precision > 38:
        return [None if value is None else plain_decimal(value) for value in values]
    if doris.kind in (Kind.JSON, Kind.VARIANT, Kind.IPV6, Kind.LARGEINT):
        from beam_doris.emulator.load.convert import convert

        return list(convert(pa.array(values, pa.string()), doris).array)
    return values


def _struct(value: Mapping[str, Any], doris: DorisType) -> dict[str, Any]:
    fields = zip(value.values(), doris.names, doris.children, strict=True)
    return {name: _python([item], child)[0] for item, name, child in fields}
