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
"""When runners call bundle finalizers, and what becomes of errors in them."""

from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.runners.runner import PipelineState

from tests.runners import stages
from tests.runners.diary import Diary
from tests.runners.platforms import Platform, Runners, on, on_all


def _run(pipeline: beam.Pipeline, finalize: stages.Finalize, after: beam.DoFn) -> str:
    _ = (
        pipeline
        | beam.Create([("k", number) for number in range(6)])
        | beam.Reshuffle()
        | beam.ParDo(finalize)
        | beam.GroupByKey()
        | beam.ParDo(after)
    )
    result = pipeline.run()
    return str(result.wait_until_finish())


@on_all
def test_a_finalizer_is_called_after_its_bundle_and_before_later_stages(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    state = _run(
        runners.pipeline(platform), stages.Finalize(diary), stages.Note(diary, "downstream")
    )
    assert state == PipelineState.DONE
    words = [line.split(" ")[0] for line in diary.lines]
    bundles = platform.workers
    assert words.count("finalized") == bundles
    assert words[0] == "bundle"
    assert set(words[: 2 * bundles]) == {"bundle", "finalized"}
    assert words[2 * bundles] == "downstream"
    assert sum(map(int, diary.of("finalized"))) == 6


@on_all
def test_an_error_in_a_finalizer_reaches_nobody(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    state = _run(
        runners.pipeline(platform),
        stages.Finalize(diary, fails=True),
        stages.Note(diary, "downstream"),
    )
    assert state == PipelineState.DONE
    assert sum(map(int, diary.of("finalized"))) == 6


@on_all
def test_a_finalizer_is_not_taken_back_when_a_later_stage_fails(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    with pytest.raises(Exception, match="refused"):
        _run(runners.pipeline(platform), stages.Finalize(diary), stages.FailsAlways())
    assert sum(map(int, diary.of("finalized"))) == 6


@on(Platform.IN_MEMORY, Platform.PRISM)
def test_a_finalizer_that_is_declared_and_not_registered_does_no_harm(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    state = _run(
        runners.pipeline(platform),
        stages.Finalize(diary, registers=False),
        stages.Note(diary, "downstream"),
    )
    assert state == PipelineState.DONE
    assert len(diary.of("downstream")) == 1
