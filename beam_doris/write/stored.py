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
"""What a write leaves in the runner's state, and how it is written there.

Every form begins with its version. A pipeline that is updated, or restored from a savepoint, reads
what an earlier version wrote: the bytes of each version stay in the tests.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from apache_beam import coders

from beam_doris.beam_support.coders import ArrowRecordBatchCoder
from beam_doris.errors import ProtocolError
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import RawLines
from beam_doris.write.token import LoadToken, LoadTokenCoder

CHUNK_VERSION = 1
_ARROW, _RAW = b"A", b"R"
_HEAD = struct.Struct(">BcxxI")  # eight bytes, so that what follows keeps its alignment
_BATCHES = ArrowRecordBatchCoder()


def pack_chunk(chunk: Chunk) -> bytes:
    """A chunk as bytes: version, kind, rows, then an Arrow stream or raw lines."""
    if isinstance(chunk, RawLines):
        return _HEAD.pack(CHUNK_VERSION, _RAW, chunk.rows) + chunk.body
    return _HEAD.pack(CHUNK_VERSION, _ARROW, chunk.num_rows) + _BATCHES.encode(chunk)


def rows_in(packed: bytes) -> int:
    """How many rows a packed chunk holds, without unpacking it."""
    version, _, rows = _HEAD.unpack_from(packed)
    _check_version(version, CHUNK_VERSION, "buffered rows")
    return int(rows)


def unpack_chunk(packed: bytes) -> Chunk:
    """The chunk.

    Raises:
        ProtocolError: it was written by a later version.
    """
    version, kind, rows = _HEAD.unpack_from(packed)
    _check_version(version, CHUNK_VERSION, "buffered rows")
    if kind == _RAW:
        return RawLines(packed[_HEAD.size :], rows)
    return _BATCHES.decode(pa.py_buffer(packed)[_HEAD.size :])


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferState:
    """What is known of a buffer beside its chunks.

    Args:
        sequence: The number of its next load.
        rows: Rows in it.
        bytes: Bytes of its packed chunks.
    """

    sequence: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitState:
    """What was committed of one shard.

    Args:
        next: The sequence that is to be committed next.
        last_label: The label of the one before.
        pending: Tokens of later sequences that came too early.
    """

    next: int = 0
    last_label: str = ""
    pending: tuple[LoadToken, ...] = ()


class BufferStateCoder(coders.Coder):
    """A version byte, then JSON with names."""

    VERSION = 1

    def encode(self, value: BufferState) -> bytes:
        """The version and the fields."""
        return bytes([self.VERSION]) + json.dumps(asdict(value), sort_keys=True).encode()

    def decode(self, encoded: bytes) -> BufferState:
        """The state."""
        return BufferState(**_fields(encoded, self.VERSION, "the state of a buffer"))

    def is_deterministic(self) -> bool:
        """Equal states are equal bytes."""
        return True


class CommitStateCoder(coders.Coder):
    """A version byte, then JSON with names; tokens as their own coder writes them."""

    VERSION = 1
    _tokens = LoadTokenCoder()

    def encode(self, value: CommitState) -> bytes:
        """The version and the fields."""
        fields = {
            "next": value.next,
            "last_label": value.last_label,
            "pending": [self._tokens.encode(token).decode("latin-1") for token in value.pending],
        }
        return bytes([self.VERSION]) + json.dumps(fields, sort_keys=True).encode()

    def decode(self, encoded: bytes) -> CommitState:
        """The state."""
        fields = _fields(encoded, self.VERSION, "the state of a commit stage")
        pending = fields.pop("pending", ())
        return CommitState(
            **fields,
            pending=tuple(self._tokens.decode(text.encode("latin-1")) for text in pending),
        )

    def is_deterministic(self) -> bool:
        """Equal states are equal bytes."""
        return True


def _fields(encoded: bytes, version: int, what: str) -> dict[str, Any]:
    _check_version(encoded[0] if encoded else 255, version, what)
    fields: dict[str, Any] = json.loads(encoded[1:])
    return fields


def _check_version(found: int, known: int, what: str) -> None:
    if found > known:
        raise ProtocolError(
            f"{what} was written by a later version of beam_doris",
            hint="restore the pipeline with the version that wrote it",
        )
