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
"""The binary protocol of prepared statements: parameters in, rows out."""

from __future__ import annotations

import decimal
import re
import struct
from collections.abc import Callable, Sequence

from beam_doris.emulator.mysql.packets import Cursor, lenenc_text
from beam_doris.emulator.types import DorisType, Kind

TYPE_DECIMAL = 0x00
TYPE_TINY = 0x01
TYPE_SHORT = 0x02
TYPE_LONG = 0x03
TYPE_FLOAT = 0x04
TYPE_DOUBLE = 0x05
TYPE_NULL = 0x06
TYPE_TIMESTAMP = 0x07
TYPE_LONGLONG = 0x08
TYPE_INT24 = 0x09
TYPE_DATE = 0x0A
TYPE_TIME = 0x0B
TYPE_DATETIME = 0x0C
TYPE_YEAR = 0x0D
TYPE_NEWDECIMAL = 0xF6
TYPE_VAR_STRING = 0xFD
TYPE_STRING = 0xFE

Parameter = int | float | str | bytes | decimal.Decimal | None

_INTEGERS = {
    TYPE_TINY: 1,
    TYPE_SHORT: 2,
    TYPE_YEAR: 2,
    TYPE_LONG: 4,
    TYPE_INT24: 4,
    TYPE_LONGLONG: 8,
}


def _moment(cursor: Cursor) -> str:
    """A DATE or DATETIME parameter as text; a zero-length one is the zero date."""
    size = cursor.uint(1)
    raw = Cursor(cursor.take(size))
    if not size:
        return "0000-00-00 00:00:00"
    text = f"{raw.uint(2):04d}-{raw.uint(1):02d}-{raw.uint(1):02d}"
    if size >= 7:
        text += f" {raw.uint(1):02d}:{raw.uint(1):02d}:{raw.uint(1):02d}"
    if size >= 11:
        text += f".{raw.uint(4):06d}"
    return text


def _time(cursor: Cursor) -> str:
    size = cursor.uint(1)
    raw = Cursor(cursor.take(size))
    if not size:
        return "00:00:00"
    negative = raw.uint(1)
    days, hours, minutes, seconds = raw.uint(4), raw.uint(1), raw.uint(1), raw.uint(1)
    text = f"{'-' if negative else ''}{days * 24 + hours:02d}:{minutes:02d}:{seconds:02d}"
    return text + (f".{raw.uint(4):06d}" if size >= 12 else "")


def _parameter(cursor: Cursor, code: int, unsigned: bool) -> Parameter:
    if code in _INTEGERS:
        return int.from_bytes(cursor.take(_INTEGERS[code]), "little", signed=not unsigned)
    if code == TYPE_FLOAT:
        # the shortest text of the float, not its value as a double
        value = struct.unpack("<f", cursor.take(4))[0]
        return float(f"{value:.9g}")
    if code == TYPE_DOUBLE:
        return float(struct.unpack("<d", cursor.take(8))[0])
    if code in (TYPE_DATE, TYPE_DATETIME, TYPE_TIMESTAMP):
        return _moment(cursor)
    if code == TYPE_TIME:
        return _time(cursor)
    raw = cursor.lenenc_bytes()
    if code in (TYPE_DECIMAL, TYPE_NEWDECIMAL):
        return decimal.Decimal(raw.decode("ascii"))
    return raw.decode("utf-8", "surrogateescape")


def parameters(
    cursor: Cursor,
    count: int,
    known_types: Sequence[tuple[int, bool]],
    long_data: dict[int, bytes],
) -> tuple[list[Parameter], list[tuple[int, bool]]]:
    """The values of COM_STMT_EXECUTE and their types, which the next execute may leave out."""
    if not count:
        return [], []
    nulls = cursor.take((count + 7) // 8)
    types = list(known_types)
    if cursor.uint(1):
        types = [(cursor.uint(1), bool(cursor.uint(1) & 0x80)) for _ in range(count)]
    if len(types) != count:
        raise ValueError("the types of the parameters are missing")
    values: list[Parameter] = []
    for index, (code, unsigned) in enumerate(types):
        if index in long_data:
            values.append(long_data[index].decode("utf-8", "surrogateescape"))
        elif nulls[index // 8] >> index % 8 & 1 or code == TYPE_NULL:
            values.append(None)
        else:
            values.append(_parameter(cursor, code, unsigned))
    return values, types


_DATETIME = re.compile(r"(\d+)-(\d+)-(\d+)(?:[ T](\d+):(\d+):(\d+)(?:\.(\d+))?)?")


def _encode_moment(text: str) -> bytes:
    match = _DATETIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date: {text!r}")
    year, month, day = (int(part) for part in match.groups()[:3])
    head = struct.pack("<HBB", year, month, day)
    if match.group(4) is None:
        return b"\x04" + head
    hour, minute, second = (int(part) for part in match.groups()[3:6])
    micros = int((match.group(7) or "0").ljust(6, "0"))
    if micros:
        return b"\x0b" + head + struct.pack("<BBBI", hour, minute, second, micros)
    return b"\x07" + head + struct.pack("<BBB", hour, minute, second)


def _packer(layout: str) -> Callable[[str], bytes]:
    pack = struct.Struct(layout).pack

    def encode(text: str) -> bytes:
        return pack(int(text))

    return encode


def _encode_float(text: str) -> bytes:
    return struct.pack("<f", float(text))


def _encode_double(text: str) -> bytes:
    return struct.pack("<d", float(text))


_ENCODERS: dict[Kind, Callable[[str], bytes]] = {
    Kind.BOOLEAN: _packer("<b"),
    Kind.TINYINT: _packer("<b"),
    Kind.SMALLINT: _packer("<h"),
    Kind.INT: _packer("<i"),
    Kind.BIGINT: _packer("<q"),
    Kind.FLOAT: _encode_float,
    Kind.DOUBLE: _encode_double,
    Kind.DATE: _encode_moment,
    Kind.DATETIME: _encode_moment,
}


def binary_rows(types: Sequence[DorisType], columns: Sequence[Sequence[str | None]]) -> list[bytes]:
    """Payloads of binary rows, from one batch of text columns."""
    encoders = [_ENCODERS.get(kind.kind, lenenc_text) for kind in types]
    bitmap_size = (len(types) + 9) // 8
    rows: list[bytes] = []
    for cells in zip(*columns):  # noqa: B905 - columns of one batch
        nulls = bytearray(bitmap_size)
        parts: list[bytes] = []
        for index, cell in enumerate(cells):
            if cell is None:
                nulls[(index + 2) // 8] |= 1 << (index + 2) % 8
            else:
                parts.append(encoders[index](cell))
        rows.append(b"\x00" + bytes(nulls) + b"".join(parts))
    return rows
