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
"""Which runner plain `DirectRunner` chooses, and what is lost on the old one."""

from __future__ import annotations

import apache_beam as beam
import pytest

from tests.runners import stages
from tests.runners.diary import Diary
from tests.runners.platforms import Platform, Runners, on


def _with_timer(elements: beam.PCollection) -> beam.PCollection:
    return (
        elements
        | beam.Map(lambda number: ("k", number)).with_output_types(tuple[str, int])
        | beam.ParDo(stages.Later())
    )


def test_without_a_timer_the_sdk_harness_runs_the_pipeline(runners: Runners, diary: Diary) -> None:
    pipeline = runners.pipeline(Platform.DIRECT)
    _ = (
        pipeline
        | beam.Create([1, 2, 3])
        | beam.ParDo(stages.WhichRunner(diary))
        | beam.ParDo(stages.Finalize(diary))
    )
    pipeline.run().wait_until_finish()
    assert set(diary.of("runner")) == {"SDK harness"}
    assert diary.of("finalized") == ["3"]


def test_with_a_timer_the_old_runner_runs_it_and_calls_no_finalizer(
    runners: Runners, diary: Diary
) -> None:
    pipeline = runners.pipeline(Platform.DIRECT)
    elements = (
        pipeline
        | beam.Create([1, 2, 3])
        | beam.ParDo(stages.WhichRunner(diary))
        | beam.ParDo(stages.Finalize(diary))
    )
    _ = _with_timer(elements) | beam.ParDo(stages.Note(diary, "out"))
    pipeline.run().wait_until_finish()
    assert set(diary.of("runner")) == {"BundleBasedDirectRunner"}
    assert sorted(diary.of("out")) == ["1", "2", "3"]
    assert diary.of("finalized") == []


def test_with_a_timer_no_splittable_dofn_runs(runners: Runners, diary: Diary) -> None:
    pipeline = runners.pipeline(Platform.DIRECT)
    numbers = pipeline | beam.Create([20]) | beam.ParDo(stages.Claims(diary))
    _ = _with_timer(numbers) | beam.ParDo(stages.Note(diary, "out"))
    with pytest.raises(ValueError, match="OffsetRestrictionTracker is not done"):
        pipeline.run().wait_until_finish()
    assert diary.of("out") == []


def test_with_a_timer_no_shuffle_behind_it_runs(runners: Runners, diary: Diary) -> None:
    pipeline = runners.pipeline(Platform.DIRECT)
    late = _with_timer(pipeline | beam.Create(range(20)))
    _ = late | beam.Reshuffle() | beam.ParDo(stages.Note(diary, "out"))
    # the old runner holds no watermark for the timer: the shuffle is over when it fires
    with pytest.raises(AssertionError):
        pipeline.run().wait_until_finish()
    assert diary.of("out") == []


@on(Platform.IN_MEMORY, Platform.PRISM)
def test_runners_that_are_named_run_timers_beside_splittable_dofns(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    pipeline = runners.pipeline(platform)
    numbers = pipeline | beam.Create([20]) | beam.ParDo(stages.Claims(diary))
    _ = _with_timer(numbers) | beam.ParDo(stages.Note(diary, "out"))
    pipeline.run().wait_until_finish()
    assert sorted(map(int, diary.of("out"))) == list(range(20))
