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
"""Arrow bodies: one complete IPC stream a batch, one after the other (P 4.4).

The column order is the load's, exactly. Types are those that the server's readers accept for the
target column: LARGEINT, IPV4, IPV6, JSON and VARIANT travel as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from beam_doris.codec.encoder import check_columns, columns_header
from beam_doris.codec.text_columns import plain_text
from beam_doris.options.writing import LoadFormat
from beam_doris.schema.arrow_types import doris_type_of
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import DorisType, Kind


class ArrowStreamEncoder:
    """Encodes batches as Arrow IPC streams.

    Args:
        columns: What the batches carry, in order.
    """

    load_format = LoadFormat.ARROW

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]

    def headers(self) -> Mapping[str, str]:
        """The stream-load headers that go with the body."""
        return {"format": "arrow", "columns": columns_header(self._names)}

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """One batch as a complete IPC stream; nothing for a batch without rows."""
        if not batch.num_rows:
            return b""
        check_columns(batch, self._names)
        arrays = [
            _loadable(column, doris_type_of(field), field)
            for column, field in zip(batch.columns, batch.schema, strict=True)
        ]
        loadable = pa.RecordBatch.from_arrays(arrays, names=self._names)
        return ipc_stream(loadable)


def ipc_stream(batch: pa.RecordBatch) -> bytes:
    """A batch as a complete IPC stream, by one copy of its columns.

    Arrow's own sink in memory would copy them as often as it grows, and once more to bytes.
    """
    pieces = _Pieces()
    with pa.ipc.new_stream(pa.PythonFile(pieces, "w"), batch.schema) as writer:
        writer.write_batch(batch)
    return b"".join(pieces.written)


class _Pieces:
    """A file that keeps what is written to it, uncopied: Arrow hands over its own buffers."""

    closed = False

    def __init__(self) -> None:
        self.written: list[Any] = []

    def write(self, piece: Any) -> int:
        self.written.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Nothing."""


def _loadable(column: pa.Array, doris: DorisType, field: pa.Field) -> pa.Array:
    if doris.kind is Kind.LARGEINT:
        return plain_text(column, field)
    if doris.kind is Kind.NULL:
        return column.cast(pa.string())
    if not _holds_largeint(doris):
        return column
    # a server reads a nested LARGEINT, as any, from text
    mask = column.is_null() if column.null_count else None
    if column.offset:
        column = pa.concat_arrays([column])
    if doris.kind is Kind.ARRAY:
        values = _loadable(column.values, doris.children[0], field)
        return pa.ListArray.from_arrays(column.offsets, values, mask=mask)
    if doris.kind is Kind.MAP:
        keys = _loadable(column.keys, doris.children[0], field)
        items = _loadable(column.items, doris.children[1], field)
        target = pa.map_(keys.type, items.type)
        return pa.MapArray.from_arrays(column.offsets, keys, items, target, mask=mask)
    children = [
        _loadable(child, child_type, field)
        for child, child_type in zip(column.flatten(), doris.children, strict=True)
    ]
    return pa.StructArray.from_arrays(children, names=list(doris.names), mask=mask)


def _holds_largeint(doris: DorisType) -> bool:
    return doris.kind is Kind.LARGEINT or any(map(_holds_largeint, doris.children))
