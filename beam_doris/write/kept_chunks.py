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
"""The chunks of an open load, kept until its fate is known: in memory, then in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from beam_doris.schema.python_values import to_dicts
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import OnRowError, RawLines, WriteJob
from beam_doris.write.row_buffer import line_delimiter
from beam_doris.write.stored import pack_chunk, unpack_chunk


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where a chunk stands in the file."""

    offset: int
    length: int


class KeptChunks:
    """Chunks by the positions of their rows.

    Args:
        memory_bytes: Chunks beyond that go to a temporary file, which is gone with this object.
        delimiter: What ends each raw line.
    """

    def __init__(self, memory_bytes: int, delimiter: bytes = b"\n") -> None:
        self._room = memory_bytes
        self._delimiter = delimiter
        self._entries: list[tuple[int, int, Chunk | _Stored]] = []
        self._file: IO[bytes] | None = None
        self._end = 0
        self.rows = 0
        self.can_be_cut = True
        """Whether every row can be told from the next; not so where a raw line holds several."""

    def add(self, chunk: Chunk) -> None:
        """Keeps one more chunk."""
        if isinstance(chunk, RawLines):
            count, size = chunk.rows, len(chunk.body)
            self.can_be_cut &= chunk.body.count(self._delimiter) == count
        else:
            count, size = chunk.num_rows, chunk.nbytes
        kept: Chunk | _Stored = chunk
        if size > self._room:
            kept = self._store(chunk)
        else:
            self._room -= size
        self._entries.append((self.rows, self.rows + count, kept))
        self.rows += count

    def between(self, start: int, end: int) -> Iterator[Chunk]:
        """The rows from `start` to before `end`."""
        for first, last, kept in self._entries:
            if last <= start or first >= end:
                continue
            chunk = self._load(kept) if isinstance(kept, _Stored) else kept
            yield self._cut(chunk, max(start - first, 0), min(end, last) - first)

    def values(self, start: int, end: int) -> list[Any]:
        """The same rows as dicts, or as lines without their delimiters."""
        found: list[Any] = []
        for chunk in self.between(start, end):
            if isinstance(chunk, RawLines):
                found += chunk.body.split(self._delimiter)[:-1] if self.can_be_cut else [chunk.body]
            else:
                found += to_dicts(chunk)
        return found

    def close(self) -> None:
        """Forgets everything."""
        self._entries = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def _cut(self, chunk: Chunk, start: int, end: int) -> Chunk:
        if not isinstance(chunk, RawLines):
            return chunk.slice(start, end - start)
        if start == 0 and end == chunk.rows:
            return chunk
        lines = chunk.body.split(self._delimiter)[start:end]
        return RawLines(b"".join(line + self._delimiter for line in lines), len(lines))

    def _store(self, chunk: Chunk) -> _Stored:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="beam-doris-")  # noqa: SIM115  (see close)
        packed = pack_chunk(chunk)
        stored = _Stored(self._end, len(packed))
        self._file.seek(self._end)
        self._file.write(packed)
        self._end += len(packed)
        return stored

    def _load(self, stored: _Stored) -> Chunk:
        assert self._file is not None
        self._file.seek(stored.offset)
        return unpack_chunk(self._file.read(stored.length))


def keeper_for(job: WriteJob) -> KeptChunks | None:
    """What keeps the chunks of a load; None where a refused row fails the pipeline anyway."""
    if job.on_row_error is not OnRowError.DEAD_LETTER:
        return None
    return KeptChunks(job.options.bad_rows.memory_bytes, line_delimiter(job))
