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
"""Spreads rows over shards by their key columns, so that rows of one key keep their order.

The hash is computed over whole columns, not row by row, is the same in every process, and does not
depend on where in a batch a row stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_U64 = np.uint64
_NULL = _U64(0x9E3779B97F4A7C15)
_PRIME = _U64(0x100000001B3)
_MIX_1 = _U64(0xBF58476D1CE4E5B9)
_MIX_2 = _U64(0x94D049BB133111EB)


def split_by_shard(
    batch: pa.RecordBatch, keys: Sequence[str], shards: int
) -> list[tuple[int, pa.RecordBatch]]:
    """The rows of a batch by shard, in their order.

    Args:
        batch: The rows.
        keys: The columns that decide; those that the batch does not have are passed over. Without
            any, the whole batch goes to shard 0.
        shards: How many shards there are.
    """
    present = [name for name in keys if name in batch.schema.names]
    if shards == 1 or not present or not batch.num_rows:
        return [(0, batch)] if batch.num_rows else []
    chosen = hash_rows([batch.column(name) for name in present]) % _U64(shards)
    parts = []
    for shard in range(shards):
        rows = np.flatnonzero(chosen == _U64(shard))
        if len(rows):
            whole = len(rows) == batch.num_rows
            parts.append((shard, batch if whole else batch.take(pa.array(rows))))
    return parts


def hash_rows(columns: Sequence[pa.Array]) -> Any:
    """A 64-bit hash of every row, as a NumPy array."""
    total = np.zeros(len(columns[0]), _U64)
    for column in columns:
        total = _mixed(total * _PRIME ^ _hash_column(column))
    return total


def _hash_column(column: pa.Array) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _hash_column(column.cast(kind.value_type))
    if pa.types.is_boolean(kind):
        words = _words(column.cast(pa.uint8()), np.uint8, 1)
    elif pa.types.is_decimal(kind):
        words = _words(column, np.uint64, kind.bit_width // 64)
    elif pa.types.is_floating(kind):
        # the two zeros are equal
        words = _words(pc.add(column.cast(pa.float64()), 0.0), np.uint64, 1)
    elif _is_fixed(kind):
        words = _words(column, np.dtype(f"u{kind.bit_width // 8}"), 1)
    else:
        return _hash_texts(column)
    total = np.zeros(len(column), _U64)
    for position in range(words.shape[1]):
        total = _mixed(total ^ words[:, position])
    return _with_nulls(column, total)


def _is_fixed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_temporal(kind)) and kind.bit_width in (
        8,
        16,
        32,
        64,
    )


def _words(column: pa.Array, kind: Any, width: int) -> Any:
    """The values of a fixed-width column as unsigned words, one row a line."""
    data = np.frombuffer(column.buffers()[1], kind)
    rows = data[column.offset * width : (column.offset + len(column)) * width]
    return rows.reshape(len(column), width).astype(_U64)


def _hash_texts(column: pa.Array) -> Any:
    """A polynomial over the bytes of each value, by one running sum over the whole column."""
    binary = column.type in (pa.binary(), pa.large_binary())
    texts = column if binary else column.cast(pa.large_string())
    values = texts.cast(pa.large_binary())
    offsets = np.frombuffer(values.buffers()[1], np.int64)
    offsets = offsets[values.offset : values.offset + len(values) + 1]
    lengths = np.diff(offsets)
    if values.buffers()[2] is None or not lengths.any():
        return _with_nulls(column, _mixed(lengths.astype(_U64)))
    data = np.frombuffer(values.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    starts = offsets[:-1] - offsets[0]
    place = np.arange(len(data)) - np.repeat(starts, lengths)
    weighted = (data.astype(_U64) + _U64(1)) * _powers(int(lengths.max()))[place]
    sums = np.concatenate([np.zeros(1, _U64), np.cumsum(weighted, dtype=_U64)])
    return _with_nulls(column, _mixed(sums[starts + lengths] - sums[starts]))


def _powers(count: int) -> Any:
    powers = np.full(count, _PRIME)
    powers[0] = _U64(1)
    return np.multiply.accumulate(powers)


def _with_nulls(column: pa.Array, hashes: Any) -> Any:
    if not column.null_count:
        return hashes
    return np.where(pc.is_null(column).to_numpy(zero_copy_only=False), _NULL, hashes)


def _mixed(words: Any) -> Any:
    """Spreads every bit over the whole word."""
    words = (words ^ (words >> _U64(30))) * _MIX_1
    words = (words ^ (words >> _U64(27))) * _MIX_2
    return words ^ (words >> _U64(31))
