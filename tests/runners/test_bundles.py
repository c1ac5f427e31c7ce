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
"""How many elements a bundle has by default, and when the next stage begins."""

from __future__ import annotations

import apache_beam as beam

from tests.runners import stages
from tests.runners.diary import Diary
from tests.runners.platforms import Platform, Runners, on_all


@on_all
def test_a_stage_gets_all_of_its_input_in_one_bundle_a_worker(
    runners: Runners, platform: Platform, diary: Diary
) -> None:
    pipeline = runners.pipeline(platform)
    _ = (
        pipeline
        | beam.Create(range(2_000))
        | "break" >> beam.Reshuffle()
        | "first" >> beam.ParDo(stages.Size(diary, "first"))
        | "break again" >> beam.Reshuffle()
        | "second" >> beam.ParDo(stages.Size(diary, "second"))
    )
    pipeline.run().wait_until_finish()
    for stage in ("first", "second"):
        sizes = sorted(map(int, diary.of(stage)))
        assert len([size for size in sizes if size]) == platform.workers
        assert sum(sizes) == 2_000
    # a token cannot be committed before every load of its stage is done
    assert {line.split(" ")[0] for line in diary.lines[: platform.workers]} == {"first"}
