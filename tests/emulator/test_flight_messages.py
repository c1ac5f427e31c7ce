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
"""The protobuf of Flight SQL against bytes made by the protobuf rules themselves (P 6.2)."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_doris.emulator.flight.messages import (
    MalformedMessage,
    Message,
    bytes_field,
    pack,
    session_options,
    unpack,
    varint_field,
)
from beam_doris.emulator.flight.spool import deal


def test_a_statement_query_is_read_from_its_bytes() -> None:
    url = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    value = b"\x0a\x08SELECT 1"
    command = unpack(b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(value)]) + value)
    assert command.name == "CommandStatementQuery"
    assert command.message.text(1) == "SELECT 1"
    assert command.message.optional_text(2) is None


def test_negative_numbers_take_ten_bytes() -> None:
    assert varint_field(1, -1) == b"\x08" + b"\xff" * 9 + b"\x01"


def test_repeated_numbers_are_read_packed_or_not() -> None:
    packed = bytes_field(1, b"\x01\x80\x01")
    assert Message.parse(packed).numbers(1) == [1, 128]
    assert Message.parse(varint_field(1, 1) + varint_field(1, 128)).numbers(1) == [1, 128]


def test_unknown_fixed_fields_are_skipped() -> None:
    data = b"\x19" + bytes(8) + b"\x25" + bytes(4) + bytes_field(1, "x")
    assert Message.parse(data).text(1) == "x"


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x0b", b"\x80" * 11, b"\x08", b"\x19\x00"])
def test_broken_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Message.parse(data)


def test_something_else_than_any_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="names no type"):
        unpack(b"")


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=2**64 - 1))
def test_what_is_written_is_read_back(data: bytes, number: int) -> None:
    command = unpack(pack("X", bytes_field(3, data), varint_field(4, number)))
    assert (command.name, command.message.raw(3)) == ("X", data)
    assert command.message.number(4) == number


def test_session_options_of_every_kind_become_text() -> None:
    def entry(name: str, value: bytes) -> bytes:
        return bytes_field(1, bytes_field(1, name) + bytes_field(2, value))

    body = (
        entry("a", bytes_field(1, "text"))
        + entry("b", varint_field(2, 1))
        + entry("c", b"\x19" + (7).to_bytes(8, "little"))
        + entry("d", b"")
    )
    assert session_options(body) == {"a": "text", "b": "true", "c": "7", "d": None}


def test_a_result_is_dealt_whole_to_its_parts() -> None:
    batch = pa.record_batch([pa.array(range(10))], names=["k"])
    streams = deal(batch.schema, [batch.slice(at, 2) for at in range(0, 10, 2)], 3)
    parts = [
        [value for one in stream.batches for value in one.column(0).to_pylist()]
        for stream in streams
    ]
    assert parts == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5]]
    for stream in streams:
        stream.close()
