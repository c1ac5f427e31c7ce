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
"""Scans deal rows, batches and columns differently each time, and lose none (P 5.3)."""

from __future__ import annotations

import pyarrow as pa

from beam_doris.emulator.scan.disorder import Disorder


def batches(count: int, rows: int) -> list[pa.RecordBatch]:
    whole = pa.record_batch([pa.array(range(count * rows))], names=["k"])
    return [whole.slice(at * rows, rows) for at in range(count)]


def values(found: list[pa.RecordBatch]) -> list[int]:
    return [value for batch in found for value in batch.column(0).to_pylist()]


def test_all_rows_come_in_another_order() -> None:
    found = values(list(Disorder(1).shuffled(batches(10, 100))))
    assert sorted(found) == list(range(1000))
    assert found != list(range(1000))
    assert found[:100] != sorted(found[:100])


def test_the_same_seed_gives_the_same_order() -> None:
    assert values(list(Disorder(7).shuffled(batches(10, 100)))) == values(
        list(Disorder(7).shuffled(batches(10, 100)))
    )


def test_batches_overtake_each_other() -> None:
    firsts = [min(values([one])) for one in Disorder(3).shuffled(batches(10, 5))]
    assert firsts != sorted(firsts)


def test_few_batches_are_held_back() -> None:
    taken = 0

    def counted() -> object:
        nonlocal taken
        for batch in batches(20, 5):
            taken += 1
            yield batch

    next(Disorder(1).shuffled(counted()))  # type: ignore[arg-type]
    assert taken <= 4


def test_batches_are_cut_at_random_up_to_the_limit() -> None:
    cut = list(Disorder(5).cut(batches(20, 1000), 64))
    sizes = {batch.num_rows for batch in cut}
    assert max(sizes) == 64
    assert len(sizes) > 20
    assert 0 in sizes
    assert values(cut) == list(range(20_000))


def test_no_empty_batches_when_they_are_not_wanted() -> None:
    cut = Disorder(5).cut(batches(20, 1000), 64, empty=False)
    assert all(batch.num_rows for batch in cut)


def test_a_single_row_limit_works() -> None:
    assert [one.num_rows for one in Disorder(5).cut(batches(1, 3), 1, empty=False)] == [1, 1, 1]


def test_columns_are_permuted() -> None:
    orders = {tuple(Disorder(seed).columns(3)) for seed in range(50)}
    assert len(orders) == 6
