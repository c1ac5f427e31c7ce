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
"""Rows are spread over shards by their keys, completely, evenly, and always in the same way."""

from __future__ import annotations

import datetime
import decimal
import math
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_doris.write.sharding import hash_rows, split_by_shard

VALUES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.bool_(), [True, False, None]),
    (pa.int8(), [-1, 0, 1, None]),
    (pa.int32(), [-(2**31), 0, 7, None]),
    (pa.int64(), [-(2**63), 2**63 - 1, None]),
    (pa.float64(), [0.5, math.inf, None]),
    (pa.decimal128(27, 9), [decimal.Decimal("1.5"), decimal.Decimal(-2), None]),
    (pa.decimal256(60, 2), [decimal.Decimal("1.50"), None]),
    (pa.date32(), [datetime.date(2024, 2, 29), None]),
    (pa.timestamp("us"), [datetime.datetime(2024, 2, 29, 1, 2, 3), None]),
    (pa.string(), ["", "a", "b", "ab", "ba", "a\0", "é", None]),
    (pa.large_string(), ["", "x", None]),
    (pa.binary(), [b"", b"\0", b"\0\0", None]),
]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=str)
def test_different_values_have_different_hashes_and_equal_ones_equal(
    kind: pa.DataType, values: list[Any]
) -> None:
    hashes = hash_rows([pa.array(values + values, kind)])
    assert list(hashes[: len(values)]) == list(hashes[len(values) :])
    assert len(set(hashes.tolist())) == len(values)


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=str)
def test_a_hash_does_not_depend_on_where_the_row_stands(
    kind: pa.DataType, values: list[Any]
) -> None:
    whole = pa.array(values * 5, kind)
    part = whole.slice(3, len(values))
    assert list(hash_rows([part])) == list(hash_rows([whole]))[3 : 3 + len(values)]


def test_a_hash_is_the_same_in_every_process_and_version() -> None:
    columns = [pa.array([1, 2, None], pa.int32()), pa.array(["a", "b", None])]
    assert [int(value) for value in hash_rows(columns)] == KNOWN


KNOWN = [17912186782995689367, 15854235877147416280, 16459451420739075515]


def test_the_zeros_are_one_key() -> None:
    hashes = hash_rows([pa.array([0.0, -0.0])])
    assert hashes[0] == hashes[1]


@given(
    st.lists(st.tuples(st.integers(0, 50), st.text(max_size=5)), max_size=200),
    st.integers(1, 7),
)
@settings(max_examples=100, deadline=None)
def test_no_row_is_lost_and_rows_of_a_key_keep_their_order(
    rows: list[tuple[int, str]], shards: int
) -> None:
    batch = pa.record_batch(
        {
            "id": pa.array([row[0] for row in rows], pa.int32()),
            "name": pa.array([row[1] for row in rows], pa.string()),
            "at": pa.array(range(len(rows)), pa.int64()),
        }
    )
    parts = split_by_shard(batch, ["id", "name"], shards)
    assert len({shard for shard, _ in parts}) == len(parts)
    assert all(0 <= shard < shards and part.num_rows for shard, part in parts)
    seen = sorted(number for _, part in parts for number in part.column("at").to_pylist())
    assert seen == list(range(len(rows)))
    shard_of: dict[tuple[int, str], int] = {}
    for shard, part in parts:
        order = part.column("at").to_pylist()
        assert order == sorted(order)
        keys = zip(part.column("id").to_pylist(), part.column("name").to_pylist(), strict=True)
        for key in keys:
            assert shard_of.setdefault(key, shard) == shard


def test_keys_spread_evenly() -> None:
    batch = pa.record_batch({"id": pa.array(range(100_000), pa.int64())})
    sizes = [part.num_rows for _, part in split_by_shard(batch, ["id"], 8)]
    assert len(sizes) == 8
    assert max(sizes) < 1.1 * min(sizes)


def test_without_keys_a_batch_is_one_shard() -> None:
    batch = pa.record_batch({"id": [1, 2]})
    assert split_by_shard(batch, [], 4) == [(0, batch)]
    assert split_by_shard(batch, ["other"], 4) == [(0, batch)]
    assert split_by_shard(batch.slice(0, 0), ["id"], 4) == []


def test_hashing_is_done_by_column_not_by_row() -> None:
    # counted, not timed: a loop over rows calls as often as there are rows
    assert _calls(10_000) == _calls(100)


def _calls(rows: int) -> int:
    """How many functions are called to hash so many rows."""
    columns = [pa.array(np.arange(rows)), pa.array([f"key-{i}" for i in range(rows)])]
    hash_rows(columns)  # whatever is done once only is done here
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        hash_rows(columns)
    finally:
        sys.setprofile(before)
    return counted
