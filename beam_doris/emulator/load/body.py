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
"""Bodies as a stream of plain bytes: decompression, blocks of whole lines, a file-like view."""

from __future__ import annotations

import bz2
import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pyarrow as pa

from beam_doris.emulator.load.chunk import CHUNK_BYTES
from beam_doris.emulator.load.failure import LoadFailure

READ_BYTES = 1 << 20


class ByteSource(Protocol):
    """Something that gives bytes in order, empty at the end."""

    def read(self, size: int = READ_BYTES) -> bytes:
        """At most that many bytes."""


class _Members:
    """Decompresses a chain of compressed members, as gzip and bzip2 files may be."""

    def __init__(self, source: ByteSource, start: Callable[[], Any]) -> None:
        self._source = source
        self._start = start
        self._decoder = start()
        self._begun = False
        self._pending = b""

    def read(self, size: int = READ_BYTES) -> bytes:
        while True:
            if self._decoder.eof:
                rest = self._decoder.unused_data
                self._decoder, self._begun, self._pending = self._start(), False, rest
            data = self._pending
            if not data and getattr(self._decoder, "needs_input", True):
                data = self._source.read(READ_BYTES)
                if not data:
                    if self._begun:
                        raise LoadFailure("the compressed body ends early")
                    return b""
            self._begun = True
            try:
                out: bytes = self._decoder.decompress(data, size)
            except (zlib.error, OSError, EOFError, ValueError) as error:
                raise LoadFailure(f"decompressing the body failed: {error}") from error
            # zlib gives back what it had no room for, bz2 keeps it
            self._pending = getattr(self._decoder, "unconsumed_tail", b"")
            if out:
                return out


class AsFile(io.RawIOBase):
    """A byte source as a readable file for Arrow."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self._source = source
        self._buffer = b""
        self._at = 0

    def readable(self) -> bool:
        return True

    def at_end(self) -> bool:
        """Whether no byte is left; reads ahead if need be."""
        if self._at >= len(self._buffer):
            self._buffer, self._at = self._source.read(READ_BYTES), 0
        return not self._buffer

    def read(self, size: int | None = -1) -> bytes:
        """Exactly ``size`` bytes unless the source ends before."""
        pieces = []
        left = size if size is not None and size >= 0 else 1 << 62
        while left > 0 and not self.at_end():
            piece = self._buffer[self._at : self._at + left]
            self._at += len(piece)
            left -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)


def decompressed(source: ByteSource, compression: str) -> ByteSource:
    """The source without its compression."""
    if not compression:
        return source
    if compression == "gz":
        return _Members(source, lambda: zlib.decompressobj(31))
    if compression == "deflate":
        return _Members(source, zlib.decompressobj)
    if compression == "bz2":
        return _Members(source, bz2.BZ2Decompressor)
    return _Lz4(source)


class _Lz4:
    def __init__(self, source: ByteSource) -> None:
        file = AsFile(source)
        self._empty = file.at_end()
        self._stream = None if self._empty else pa.CompressedInputStream(file, "lz4")

    def read(self, size: int = READ_BYTES) -> bytes:
        if self._stream is None:
            return b""
        try:
            data: bytes = self._stream.read(size)
        except (OSError, pa.ArrowInvalid) as error:
            raise LoadFailure(f"decompressing the body failed: {error}") from error
        return data


def line_blocks(source: ByteSource, delimiter: bytes, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Blocks of whole lines of about that size; the last one may lack its delimiter."""
    pieces: list[bytes] = []
    held = 0
    while data := source.read(READ_BYTES):
        pieces.append(data)
        held += len(data)
        if held < size:
            continue
        block = b"".join(pieces)
        cut = block.rfind(delimiter)
        if cut < 0:
            # a line longer than a block: look again when twice as much has come
            pieces, size = [block], held * 2
            continue
        cut += len(delimiter)
        yield block[:cut]
        pieces, held, size = [block[cut:]], len(block) - cut, CHUNK_BYTES
    if held:
        yield b"".join(pieces)
