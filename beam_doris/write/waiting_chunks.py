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
"""Chunks of many tables that wait for their loads, within one budget."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from beam_doris.write.chunks import bytes_of_chunk
from beam_doris.write.encoding import Chunk

_KeyT = TypeVar("_KeyT", bound=Hashable)


class WaitingChunks(Generic[_KeyT]):
    """Chunks by key; those of the largest key leave first.

    Args:
        max_bytes: What may wait.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._chunks: dict[_KeyT, list[Chunk]] = {}
        self._sizes: dict[_KeyT, int] = {}
        self.bytes = 0

    def add(self, key: _KeyT, chunk: Chunk) -> list[Chunk]:
        """Takes one more; returns what has to leave for it."""
        size = bytes_of_chunk(chunk)
        self._chunks.setdefault(key, []).append(chunk)
        self._sizes[key] = self._sizes.get(key, 0) + size
        self.bytes += size
        leaving: list[Chunk] = []
        while self.bytes > self._max_bytes and self._chunks:
            leaving += self.take(max(self._sizes, key=self._sizes.__getitem__))
        return leaving

    def take(self, key: _KeyT) -> list[Chunk]:
        """All chunks of a key."""
        self.bytes -= self._sizes.pop(key, 0)
        return self._chunks.pop(key, [])

    def waiting(self) -> list[_KeyT]:
        """The keys, in the order of their first chunks."""
        return list(self._chunks)
