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
"""What version 1 wrote into the runner's state and its shuffles stays readable."""

from __future__ import annotations

import base64

import pyarrow as pa
import pytest

from beam_doris.errors import ProtocolError
from beam_doris.write.job import RawLines
from beam_doris.write.stored import (
    BufferState,
    BufferStateCoder,
    CommitState,
    CommitStateCoder,
    pack_chunk,
    rows_in,
    unpack_chunk,
)
from beam_doris.write.token import LoadToken, LoadTokenCoder

TOKEN = LoadToken(
    catalog="internal",
    database="d",
    table="t",
    label="L",
    txn_id=7,
    run_id="r",
    sequence=3,
    rows=5,
    bytes=60,
    loaded_at=1.5,
    seconds=0.25,
    shard=1,
)
TOKEN_1 = (
    b'\x01{"bytes":60,"catalog":"internal","database":"d","label":"L","loaded_at":1.5,"rows":5,'
    b'"run_id":"r","seconds":0.25,"sequence":3,"shard":1,"table":"t","txn_id":7}'
)
TOKEN_1_WITHOUT_SHARD = TOKEN_1.replace(b'"shard":1,', b"")
BUFFER_1 = b'\x01{"bytes": 99, "rows": 2, "sequence": 4}'
COMMIT_1 = (
    b'\x01{"last_label": "L", "next": 4, "pending": ["'
    + TOKEN_1.replace(b'"', b'\\"').replace(b"\x01", b"\\u0001")
    + b'"]}'
)
LINES_1 = b"\x01R\x00\x00\x00\x00\x00\x02a\nb\n"
BATCH_1 = base64.b64decode(
    "AUEAAAAAAAL/////qAAAABAAAAAAAAoADAAGAAUACAAKAAAAAAEEAAwAAAAIAAgAAAAEAAgAAAAEAAAAAgAAAEQA"
    "AAAEAAAA1P///wAAAQUQAAAAHAAAAAQAAAAAAAAABAAAAG5hbWUAAAAABAAEAAQAAAAQABQACAAGAAcADAAAABAA"
    "EAAAAAAAAQIQAAAAHAAAAAQAAAAAAAAAAgAAAGlkAAAIAAwACAAHAAgAAAAAAAABIAAAAP/////IAAAAFAAAAAAA"
    "AAAMABYABgAFAAgADAAMAAAAAAMEABgAAAAoAAAAAAAAAAAACgAYAAwABAAIAAoAAABsAAAAEAAAAAIAAAAAAAAA"
    "AAAAAAUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIAAAAAAAAAAgAAAAAAAAAAQAAAAAAAAAQAAAAAAAAAAwA"
    "AAAAAAAAIAAAAAAAAAABAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAAAAAAAAAAIAAAAAAAAAAQAAAAAAAAABAAAA"
    "AgAAAAEAAAAAAAAAAAAAAAEAAAABAAAAAAAAAGEAAAAAAAAA/////wAAAAA="
)
BATCH = pa.record_batch({"id": pa.array([1, 2], pa.int32()), "name": ["a", None]})


def test_tokens_of_version_1_are_read() -> None:
    assert LoadTokenCoder().decode(TOKEN_1) == TOKEN
    assert LoadTokenCoder().decode(TOKEN_1_WITHOUT_SHARD).shard == 0


def test_states_of_version_1_are_read() -> None:
    assert BufferStateCoder().decode(BUFFER_1) == BufferState(sequence=4, rows=2, bytes=99)
    expected = CommitState(next=4, last_label="L", pending=(TOKEN,))
    assert CommitStateCoder().decode(COMMIT_1) == expected


def test_chunks_of_version_1_are_read() -> None:
    assert rows_in(LINES_1) == rows_in(BATCH_1) == 2
    assert unpack_chunk(LINES_1) == RawLines(b"a\nb\n", 2)
    assert BATCH.equals(unpack_chunk(BATCH_1))


def test_what_is_written_now_is_read_again() -> None:
    assert LoadTokenCoder().decode(LoadTokenCoder().encode(TOKEN)) == TOKEN
    state = CommitState(next=9, last_label="x", pending=(TOKEN, TOKEN))
    assert CommitStateCoder().decode(CommitStateCoder().encode(state)) == state
    assert BATCH.equals(unpack_chunk(pack_chunk(BATCH)))
    lines = RawLines(bytes(range(256)) + b"\n", 1)
    assert unpack_chunk(pack_chunk(lines)) == lines


def test_a_later_version_is_refused_with_advice() -> None:
    for decode, known in (
        (LoadTokenCoder().decode, TOKEN_1),
        (BufferStateCoder().decode, BUFFER_1),
        (CommitStateCoder().decode, COMMIT_1),
        (unpack_chunk, LINES_1),
        (rows_in, BATCH_1),
    ):
        with pytest.raises(ProtocolError, match="later version"):
            decode(b"\x63" + known[1:])
