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
"""What chunks and tokens carry survives the runner's state."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from beam_doris import errors
from beam_doris.options.table_id import TableId
from beam_doris.write.chunks import keys_of, stamped, table_of
from beam_doris.write.encoding import HEADERS_KEY
from beam_doris.write.job import WriteJob
from beam_doris.write.sharding import split_by_shard
from beam_doris.write.stored import pack_chunk, unpack_chunk
from beam_doris.write.token import LoadToken, LoadTokenCoder, chained

BATCH = pa.record_batch({"k": pa.array([1, 2, 3, 4], pa.int32()), "v": pa.array(list("abcd"))})
TOKEN = LoadToken(
    catalog="internal",
    database="d",
    table="t",
    label="l0",
    txn_id=1,
    run_id="r",
    sequence=0,
    rows=2,
    bytes=9,
    loaded_at=1.0,
    seconds=0.5,
)


def test_what_is_stamped_on_a_batch_survives_cuts_shards_and_state() -> None:
    table = TableId("a.b", "c`d")
    chunk = stamped(BATCH, table=table, keys=["k"], headers={"partial_columns": "true"})
    assert isinstance(chunk, pa.RecordBatch)
    parts = [part for _, part in split_by_shard(chunk, ["k"], 2)]
    for part in (chunk.slice(1, 2), *parts, *(unpack_chunk(pack_chunk(p)) for p in parts)):
        # the job is asked only where the rows do not say
        assert table_of(WriteJob.__new__(WriteJob), part) == table
        assert keys_of(part) == ("k",)
        assert json.loads(part.schema.metadata[HEADERS_KEY]) == {"partial_columns": "true"}


def test_tokens_that_follow_each_other_travel_as_one() -> None:
    others = [replace(TOKEN, label=f"l{i}", txn_id=None) for i in (1, 2, 3)]
    chain = chained([chained([TOKEN, others[0]]), chained(others[1:])])
    coder = LoadTokenCoder()
    assert coder.decode(coder.encode(chain)) == chain
    assert chain.parts() == (TOKEN, *others)


def test_tokens_of_the_first_version_are_read() -> None:
    stored = (
        b'\x01{"bytes":9,"catalog":"internal","database":"d","label":"l0","loaded_at":1.0,'
        b'"rows":2,"run_id":"r","seconds":0.5,"sequence":0,"shard":0,"table":"t","txn_id":1}'
    )
    assert LoadTokenCoder().decode(stored) == TOKEN


def test_every_error_is_in_the_page_about_troubles() -> None:
    page = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    named = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.DorisError)
    ]
    assert [name for name in named if f"`{name}`" not in page and name != "DorisError"] == []
