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
"""Splittable DoFns on every runner: initial splits, self-checkpoints, splits by the runner."""

from __future__ import annotations

import apache_beam as beam
import pytest

from tests.beam.endless import Stream
from tests.runners import stages
from tests.runners.diary import Diary
from tests.runners.platforms import Platform, Runners, on, on_all


def _claim(pipeline: beam.Pipeline, diary: Diary, claims: beam.DoFn, until: int) -> list[int]:
    """The numbers that came out."""
    _ = (
        pipeline
        | beam.Create([until])
        | beam.ParDo(claims)
        | beam.Reshuffle()
        | beam.ParDo(stages.Note(diary, "out"))
    )
    pipeline.run().wait_until_finish()
    return sorted(map(int, diary.of("out")))


@on_all
def test_a_splittable_dofn_that_runs_to_its_end_loses_nothing(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    claims = stages.Claims(diary)
    assert _claim(runners.pipeline(platform), diary, claims, 200) == list(range(200))


@on(Platform.IN_MEMORY, Platform.PRISM)
def test_a_self_checkpoint_is_continued_in_a_later_bundle(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    claims = stages.Claims(diary, per_attempt=20)
    assert _claim(runners.pipeline(platform), diary, claims, 200) == list(range(200))
    assert diary.of("attempt") == [str(begin) for begin in range(0, 200, 20)]


@on(Platform.THREADS, Platform.PROCESSES)
def test_what_a_self_checkpoint_leaves_is_lost_with_two_direct_workers(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    claims = stages.Claims(diary, per_attempt=20)
    # no error: the pipeline is done, nine tenths of the elements are missing
    assert _claim(runners.pipeline(platform), diary, claims, 200) == list(range(20))
    assert diary.of("attempt") == ["0"]


@pytest.mark.parametrize("per_attempt", [0, 20], ids=["to its end", "self-checkpoint"])
def test_the_old_direct_runner_runs_no_splittable_dofn_of_offsets(
    runners: Runners, diary: Diary, per_attempt: int
) -> None:
    claims = stages.Claims(diary, per_attempt=per_attempt)
    with pytest.raises(ValueError, match="OffsetRestrictionTracker is not done"):
        _claim(runners.pipeline(Platform.BUNDLE_BASED), diary, claims, 200)
    assert diary.of("out") == []


@on(Platform.IN_MEMORY, Platform.PRISM)
def test_an_unbounded_source_runs_to_its_end(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    pipeline = runners.pipeline(platform, streaming=True)
    assert _claim(pipeline, diary, Stream(per_bundle=20), 100) == list(range(100))


@on(Platform.IN_MEMORY, Platform.PRISM)
def test_only_prism_splits_what_makes_slow_progress(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    claims = stages.Claims(diary, pause=0.25)
    assert _claim(runners.pipeline(platform), diary, claims, 6) == list(range(6))
    assert (len(diary.of("attempt")) > 1) == (platform is Platform.PRISM)
