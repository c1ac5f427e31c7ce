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
"""Packets of the MySQL protocol: framing, integers of variable length, the fixed answers."""

from __future__ import annotations

import enum
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

MAX_PAYLOAD = (1 << 24) - 1
FLUSH_BYTES = 1 << 17
CHARSET_UTF8 = 33
CHARSET_BINARY = 63


class Capability(enum.IntFlag):
    LONG_PASSWORD = 0x00000001
    FOUND_ROWS = 0x00000002
    LONG_FLAG = 0x00000004
    CONNECT_WITH_DB = 0x00000008
    IGNORE_SPACE = 0x00000100
    PROTOCOL_41 = 0x00000200
    INTERACTIVE = 0x00000400
    SSL = 0x00000800
    TRANSACTIONS = 0x00002000
    SECURE_CONNECTION = 0x00008000
    MULTI_STATEMENTS = 0x00010000
    MULTI_RESULTS = 0x00020000
    PS_MULTI_RESULTS = 0x00040000
    PLUGIN_AUTH = 0x00080000
    CONNECT_ATTRS = 0x00100000
    PLUGIN_AUTH_LENENC = 0x00200000
    DEPRECATE_EOF = 0x01000000


SERVER_CAPABILITIES = (
    Capability.LONG_PASSWORD
    | Capability.FOUND_ROWS
    | Capability.LONG_FLAG
    | Capability.CONNECT_WITH_DB
    | Capability.IGNORE_SPACE
    | Capability.PROTOCOL_41
    | Capability.INTERACTIVE
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.MULTI_STATEMENTS
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.PLUGIN_AUTH
    | Capability.CONNECT_ATTRS
    | Capability.PLUGIN_AUTH_LENENC
    | Capability.DEPRECATE_EOF
)

STATUS_AUTOCOMMIT = 0x0002
STATUS_MORE_RESULTS = 0x0008


def lenenc_int(value: int) -> bytes:
    if value < 251:
        return bytes((value,))
    if value < 1 << 16:
        return b"\xfc" + struct.pack("<H", value)
    if value < 1 << 24:
        return b"\xfd" + struct.pack("<I", value)[:3]
    return b"\xfe" + struct.pack("<Q", value)


def lenenc_bytes(data: bytes) -> bytes:
    return lenenc_int(len(data)) + data


def lenenc_text(text: str) -> bytes:
    return lenenc_bytes(text.encode("utf-8", "surrogateescape"))


class Cursor:
    """Reads the fields of one received packet."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        if size < 0 or size > self.left:
            raise ValueError("a packet ends too early")
        part = self.data[self.at : self.at + size]
        self.at += size
        return part

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def terminated(self) -> bytes:
        """Up to a zero byte, or to the end."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            return self.take(self.left)
        part = self.data[self.at : end]
        self.at = end + 1
        return part

    def lenenc(self) -> int:
        first = self.uint(1)
        if first < 251:
            return first
        sizes = {0xFC: 2, 0xFD: 3, 0xFE: 8}
        if first not in sizes:
            raise ValueError("not a length")
        return self.uint(sizes[first])

    def lenenc_bytes(self) -> bytes:
        return self.take(self.lenenc())


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDefinition:
    """What a result set says about one column."""

    name: str
    type_code: int
    length: int
    decimals: int
    charset: int = CHARSET_UTF8
    flags: int = 0
    database: str = ""
    table: str = ""

    def payload(self) -> bytes:
        return b"".join(
            (
                lenenc_text("def"),
                lenenc_text(self.database),
                lenenc_text(self.table),
                lenenc_text(self.table),
                lenenc_text(self.name),
                lenenc_text(self.name),
                b"\x0c",
                struct.pack(
                    "<HIBHBH",
                    self.charset,
                    self.length,
                    self.type_code,
                    self.flags,
                    self.decimals,
                    0,
                ),
            )
        )


class PacketStream:
    """One connection's packets; writing is buffered until ``flush``."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sequence = 0
        self._out = bytearray()

    def new_command(self) -> None:
        self._sequence = 0

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing:
            part = self._socket.recv(min(missing, 1 << 20))
            if not part:
                raise ConnectionError("the client is gone")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def read(self) -> bytes:
        """The payload of the next packet; payloads of 16 MiB and more are put together."""
        parts: list[bytes] = []
        while True:
            head = self._exactly(4)
            size = int.from_bytes(head[:3], "little")
            self._sequence = (head[3] + 1) & 0xFF
            parts.append(self._exactly(size))
            if size < MAX_PAYLOAD:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, payload: bytes) -> None:
        out = self._out
        if len(payload) < MAX_PAYLOAD:
            out += len(payload).to_bytes(3, "little")
            out.append(self._sequence)
            out += payload
            self._sequence = (self._sequence + 1) & 0xFF
        else:
            for start in range(0, len(payload) + 1, MAX_PAYLOAD):
                part = payload[start : start + MAX_PAYLOAD]
                out += len(part).to_bytes(3, "little")
                out.append(self._sequence)
                out += part
                self._sequence = (self._sequence + 1) & 0xFF
        if len(out) > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._out:
            data, self._out = self._out, bytearray()
            self._socket.sendall(data)


def ok_packet(
    affected: int, status: int, info: str = "", *, header: int = 0, deprecate_eof: bool = False
) -> bytes:
    """An OK packet.

    The info text is length-encoded, as Doris and MySQL itself send it although the protocol's
    description says it runs to the end of the packet (MysqlOkPacket); libmariadb calls anything
    else a malformed packet. For a client that deprecates EOF packets an empty one is sent too.
    """
    tail = lenenc_text(info) if info or deprecate_eof else b""
    head = bytes((header,)) + lenenc_int(affected) + lenenc_int(0)
    return head + struct.pack("<HH", status, 0) + tail


def eof_packet(status: int) -> bytes:
    return b"\xfe" + struct.pack("<HH", 0, status)


def error_packet(code: int, sqlstate: str, message: str) -> bytes:
    head = struct.pack("<BH", 0xFF, code) + b"#" + sqlstate.encode("ascii")[:5].ljust(5, b"0")
    return head + message.encode("utf-8", "surrogateescape")


def handshake_packet(connection_id: int, salt: bytes, version: str) -> bytes:
    """The first packet, protocol version 10 with mysql_native_password."""
    flags = int(SERVER_CAPABILITIES)
    return b"".join(
        (
            b"\x0a",
            version.encode("ascii"),
            b"\0",
            struct.pack("<I", connection_id),
            salt[:8],
            b"\0",
            struct.pack("<H", flags & 0xFFFF),
            bytes((CHARSET_UTF8,)),
            struct.pack("<H", STATUS_AUTOCOMMIT),
            struct.pack("<H", flags >> 16),
            bytes((len(salt) + 1,)),
            b"\0" * 10,
            salt[8:],
            b"\0",
            b"mysql_native_password\0",
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRequest:
    """What the client answers to the handshake."""

    capabilities: Capability
    user: str
    response: bytes
    database: str | None
    plugin: str | None

    @classmethod
    def parse(cls, payload: bytes) -> LoginRequest:
        cursor = Cursor(payload)
        flags = Capability(cursor.uint(4) & 0x7FFFFFFF)
        if not flags & Capability.PROTOCOL_41:
            raise ValueError("only protocol 4.1 is spoken")
        cursor.take(4 + 1 + 23)
        user = cursor.terminated().decode("utf-8", "replace")
        if flags & Capability.PLUGIN_AUTH_LENENC:
            response = cursor.lenenc_bytes()
        elif flags & Capability.SECURE_CONNECTION:
            response = cursor.take(cursor.uint(1))
        else:
            response = cursor.terminated()
        database = None
        if flags & Capability.CONNECT_WITH_DB:
            database = cursor.terminated().decode("utf-8", "replace") or None
        plugin = None
        if flags & Capability.PLUGIN_AUTH and cursor.left:
            plugin = cursor.terminated().decode("utf-8", "replace")
        return cls(
            capabilities=flags,
            user=user,
            response=response.rstrip(b"\0") if len(response) == 1 else response,
            database=database,
            plugin=plugin,
        )


def text_rows(columns: Sequence[Sequence[str | None]]) -> list[bytes]:
    """Payloads of text rows, from one batch of columns."""
    encoded: list[list[bytes]] = []
    for column in columns:
        cells: list[bytes] = []
        add = cells.append
        for value in column:
            if value is None:
                add(b"\xfb")
            else:
                raw = value.encode("utf-8", "surrogateescape")
                size = len(raw)
                add((bytes((size,)) if size < 251 else lenenc_int(size)) + raw)
        encoded.append(cells)
    if len(encoded) == 1:
        return encoded[0]
    return [b"".join(cells) for cells in zip(*encoded)]  # noqa: B905 - columns of one batch
