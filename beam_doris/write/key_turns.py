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
"""Keeps rows of equal keys in order although they carry different columns.

A load has one set of columns, so rows with other columns go to another load. Where both hold a
row of the same key, the later row must not be overtaken: what came before ends its turn, and is
committed before the next turn begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from beam_doris.options.table_id import TableId
from beam_doris.write.chunks import columns_of_chunk, keys_of, table_of
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import RawLines, WriteJob
from beam_doris.write.sharding import hash_rows

_MAX_KEYS = 1 << 20


class RowTurns:
    """Watches single rows.

    Args:
        keys: The key columns.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._shapes: dict[tuple[Any, ...], Any] = {}

    def begins(self, row: Mapping[str, Any], shape: Any) -> bool:
        """Whether a row has to wait for those before it; it is taken note of in any case."""
        key = tuple(_hashable(row.get(name)) for name in self._keys)
        known = self._shapes.get(key, shape)
        begins = known != shape or len(self._shapes) >= _MAX_KEYS
        if begins:
            self._shapes = {}
        self._shapes[key] = shape
        return begins

    def clear(self) -> None:
        """A turn has ended for another reason."""
        self._shapes = {}


class ChunkTurns:
    """Watches chunks, by hashes of their keys: a collision costs a load, never an order."""

    def __init__(self, job: WriteJob) -> None:
        self._job = job
        self._seen: dict[TableId, dict[tuple[str, ...] | None, list[Any]]] = {}
        self._count = 0

    def begins(self, chunk: Chunk) -> bool:
        """Whether a chunk has to wait for those before it; it is taken note of in any case."""
        keys = keys_of(chunk)
        if not keys or isinstance(chunk, RawLines):
            return False
        present = [chunk.column(name) for name in keys if name in chunk.schema.names]
        if not present:
            return False
        hashes = hash_rows(present)
        table, columns = table_of(self._job, chunk), columns_of_chunk(chunk)
        seen = self._seen.setdefault(table, {})
        begins = self._count > _MAX_KEYS or any(
            np.isin(hashes, np.concatenate(others)).any()
            for other, others in seen.items()
            if other != columns
        )
        if begins:
            self._count -= sum(len(hashed) for others in seen.values() for hashed in others)
            seen.clear()
        seen.setdefault(columns, []).append(hashes)
        self._count += len(hashes)
        return begins


def turns_of(job: WriteJob, chunks: Iterable[Chunk]) -> list[list[Chunk]]:
    """Chunks in their order, cut where one has to wait for those before it."""
    watch = ChunkTurns(job)
    turns: list[list[Chunk]] = []
    for chunk in chunks:
        if watch.begins(chunk) or not turns:
            turns.append([])
        turns[-1].append(chunk)
    return turns


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value
