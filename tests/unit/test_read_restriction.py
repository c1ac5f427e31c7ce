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

import random

from apache_beam.io.restriction_trackers import OffsetRange
from hypothesis import given
from hypothesis import strategies as st

from beam_doris.read.plan import ScanTask
from beam_doris.read.restriction import TabletRestrictions


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


@given(tablets=st.integers(1, 60), seed=st.integers(0, 10**9))
def test_splits_by_the_runner_lose_and_double_nothing(tablets: int, seed: int) -> None:
    luck = random.Random(seed)
    provider = TabletRestrictions()
    pending = [OffsetRange(0, tablets)]
    read: list[int] = []
    while pending:
        restriction = pending.pop(luck.randrange(len(pending)))
        tracker = provider.create_tracker(restriction)
        position = restriction.start
        while True:
            if luck.random() < 0.3:
                cut = tracker.try_split(luck.random())
                if cut is not None:
                    pending.append(cut[1])
            if not tracker.try_claim(position):
                break
            read.append(position)
            position += 1
        tracker.check_done()
    assert sorted(read) == list(range(tablets))
