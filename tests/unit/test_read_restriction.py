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
"""Splits of tablet lists: whatever a runner cuts, every tablet is read once."""

from __future__ import annotations

import os
import random

from apache_beam.io.restriction_trackers import OffsetRange
from hypothesis import given
from hypothesis import strategies as st

from beam_doris.read.plan import ScanTask
from beam_doris.read.restriction import ScanTaskCoder, TabletRangeCoder, TabletRestrictions

SEQUENCES = int(os.environ.get("BEAM_DORIS_SPLIT_SEQUENCES", "10000"))


@given(tablets=st.integers(1, 200), per_split=st.integers(1, 50))
def test_the_initial_splits_cover_every_tablet_once(tablets: int, per_split: int) -> None:
    task = ScanTask(0, tablets, per_split, 7)
    provider = TabletRestrictions()
    whole = provider.initial_restriction(task)
    splits = list(provider.split(task, whole))
    covered = [position for split in splits for position in range(split.start, split.stop)]
    assert covered == list(range(tablets))
    assert all(split.size() <= per_split for split in splits)
    sizes = [provider.restriction_size(task, split) for split in splits]
    assert sum(sizes) == provider.restriction_size(task, whole) == 7 * tablets


def test_ten_thousand_random_sequences_of_splits_lose_and_double_nothing() -> None:
    luck = random.Random(20240211)
    provider = TabletRestrictions()
    splits = 0
    for _ in range(SEQUENCES):
        tablets = luck.randint(1, 24)
        # a worker claims several tablets before it reads them
        stretch = luck.randint(1, 4)
        pending = [OffsetRange(0, tablets)]
        read: list[int] = []
        while pending:
            restriction = pending.pop(luck.randrange(len(pending)))
            tracker = provider.create_tracker(restriction)
            position = restriction.start
            more = True
            while more:
                if luck.random() < 0.3:
                    cut = tracker.try_split(luck.choice((0.0, 0.2, 0.5, 0.9, 1.0, luck.random())))
                    if cut is not None:
                        primary, residual = cut
                        assert primary.stop == residual.start
                        pending.append(residual)
                        splits += 1
                for _ in range(stretch):
                    more = tracker.try_claim(position)
                    if not more:
                        break
                    read.append(position)
                    position += 1
            tracker.check_done()
        assert sorted(read) == list(range(tablets))
    assert splits > SEQUENCES


def test_progress_moves_from_nothing_to_everything() -> None:
    task = ScanTask(0, 10, 10, 1)
    provider = TabletRestrictions()
    tracker = provider.create_tracker(provider.initial_restriction(task))
    done = []
    for position in range(10):
        assert tracker.try_claim(position)
        done.append(tracker.current_progress().fraction_completed)
    assert done == sorted(done)
    assert done[0] < 0.2
    assert done[-1] >= 0.9
    assert tracker.is_bounded()


@given(
    start=st.integers(0, 2**40),
    length=st.integers(0, 2**40),
    numbers=st.tuples(
        st.integers(-1, 2**20), st.integers(0, 2**20), st.integers(1, 2**20), st.integers(0, 2**50)
    ),
)
def test_the_coders_are_exact(start: int, length: int, numbers: tuple[int, int, int, int]) -> None:
    ranges, tasks = TabletRangeCoder(), ScanTaskCoder()
    restriction = OffsetRange(start, start + length)
    assert ranges.decode(ranges.encode(restriction)) == restriction
    assert tasks.decode(tasks.encode(ScanTask(*numbers))) == ScanTask(*numbers)
