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
"""The protobuf of Flight SQL, read and written by hand.

Only the handful of messages of P 6 is needed, so a dependency on a protobuf runtime and generated
classes would weigh more than the wire format itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

TYPE_URL = "type.googleapis.com/"
SQL_PACKAGE = "arrow.flight.protocol.sql."

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

WireValue = int | bytes


class MalformedMessage(ValueError):
    """The bytes are no protobuf message."""


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise MalformedMessage("a varint does not end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _write_varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass(frozen=True, slots=True)
class Message:
    """The fields of one message by number, in the order they came."""

    fields: dict[int, list[WireValue]] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> Message:
        """Split a message into its fields; nested messages stay bytes."""
        fields: dict[int, list[WireValue]] = {}
        at = 0
        while at < len(data):
            key, at = _read_varint(data, at)
            number, kind = key >> 3, key & 7
            value: WireValue
            if kind == _VARINT:
                value, at = _read_varint(data, at)
            else:
                if kind == _BYTES:
                    size, at = _read_varint(data, at)
                elif kind in (_FIXED64, _FIXED32):
                    size = 8 if kind == _FIXED64 else 4
                else:
                    raise MalformedMessage(f"wire type {kind} of field {number} is unknown")
                if at + size > len(data):
                    raise MalformedMessage(f"field {number} is cut short")
                value = bytes(data[at : at + size])
                at += size
            fields.setdefault(number, []).append(value)
        return cls(fields)

    def raw(self, number: int) -> bytes:
        """The last value of a bytes field, empty when it is absent."""
        value = self.fields.get(number, [b""])[-1]
        if not isinstance(value, bytes):
            raise MalformedMessage(f"field {number} is not length-delimited")
        return value

    def text(self, number: int) -> str:
        return self.raw(number).decode("utf-8")

    def optional_text(self, number: int) -> str | None:
        return self.text(number) if number in self.fields else None

    def number(self, number: int) -> int:
        value = self.fields.get(number, [0])[-1]
        if not isinstance(value, int):
            raise MalformedMessage(f"field {number} is not a varint")
        return value

    def all_raw(self, number: int) -> list[bytes]:
        return [value for value in self.fields.get(number, []) if isinstance(value, bytes)]

    def numbers(self, number: int) -> list[int]:
        """A repeated varint field, packed or not."""
        found: list[int] = []
        for value in self.fields.get(number, []):
            if isinstance(value, int):
                found.append(value)
                continue
            at = 0
            while at < len(value):
                one, at = _read_varint(value, at)
                found.append(one)
        return found


def bytes_field(number: int, value: bytes | str) -> bytes:
    """A length-delimited field."""
    data = value.encode("utf-8") if isinstance(value, str) else value
    return _write_varint(number << 3 | _BYTES) + _write_varint(len(data)) + data


def varint_field(number: int, value: int) -> bytes:
    """An integer, bool or enum field."""
    return _write_varint(number << 3 | _VARINT) + _write_varint(value)


@dataclass(frozen=True, slots=True)
class Command:
    """An unpacked ``Any``: the message's short name and its fields."""

    name: str
    message: Message


def unpack(data: bytes) -> Command:
    """Read an ``Any``; the name comes without URL and package."""
    envelope = Message.parse(data)
    url = envelope.text(1)
    if not url:
        raise MalformedMessage("not a google.protobuf.Any: it names no type")
    return Command(url.rsplit("/", 1)[-1].rsplit(".", 1)[-1], Message.parse(envelope.raw(2)))


def pack(name: str, *fields: bytes) -> bytes:
    """Wrap a Flight SQL message into an ``Any``."""
    return bytes_field(1, f"{TYPE_URL}{SQL_PACKAGE}{name}") + bytes_field(2, b"".join(fields))


def session_option(message: Message) -> str | None:
    """The text of a ``SessionOptionValue``; None when it is unset."""
    fields = message.fields
    if 1 in fields:
        return message.text(1)
    if 2 in fields:
        return "true" if message.number(2) else "false"
    if 3 in fields:
        return str(struct.unpack("<q", message.raw(3))[0])
    if 4 in fields:
        return repr(struct.unpack("<d", message.raw(4))[0])
    if 5 in fields:
        values = Message.parse(message.raw(5)).all_raw(1)
        return ",".join(value.decode("utf-8") for value in values)
    return None


def session_options(data: bytes) -> dict[str, str | None]:
    """The map of a ``SetSessionOptionsRequest``."""
    options: dict[str, str | None] = {}
    for entry in Message.parse(data).all_raw(1):
        pair = Message.parse(entry)
        options[pair.text(1)] = session_option(Message.parse(pair.raw(2)))
    return options


def session_options_result(options: Iterable[tuple[str, str]]) -> bytes:
    """A ``GetSessionOptionsResult`` of texts."""
    return b"".join(
        bytes_field(1, bytes_field(1, name) + bytes_field(2, bytes_field(1, value)))
        for name, value in options
    )


def session_errors(errors: Iterable[tuple[str, int]]) -> bytes:
    """A ``SetSessionOptionsResult``: the options that failed, with their error codes."""
    return b"".join(
        bytes_field(1, bytes_field(1, name) + bytes_field(2, varint_field(1, code)))
        for name, code in errors
    )
