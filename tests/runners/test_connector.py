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
"""Reads and writes of the connector on every runner that can be had."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pytest
from apache_beam.io.restriction_trackers import OffsetRestrictionTracker
from apache_beam.runners.runner import PipelineState
from apache_beam.testing.util import assert_that, equal_to

from beam_doris import ReadFromDoris, ReadOptions, ReadProtocol, WriteOptions, WriteToDoris
from beam_doris.emulator import Rule
from beam_doris.options.delivery import StreamBuffer
from tests.beam.cluster import Cluster
from tests.beam.endless import Stream
from tests.runners import stages
from tests.runners.diary import Diary
from tests.runners.platforms import LONG, Platform, Runners, on_all
from tests.runners.worker_pool import WorkerPool

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

ROWS = 1_200
TABLETS = 12
ALL_ROWS = [(i, f"name {i}") for i in range(ROWS)]
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A table to read, of twelve tablets."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE runners")
    _create(cluster, "source")
    values = ", ".join(f"({i}, 'name {i}')" for i in range(ROWS))
    cluster.sql(f"INSERT INTO runners.source VALUES {values}")
    return cluster


def _create(cluster: Cluster, name: str) -> str:
    cluster.sql(
        f"CREATE TABLE runners.{name} (id BIGINT NOT NULL, name VARCHAR(64)) "
        f"DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS {TABLETS} "
        'PROPERTIES ("replication_num" = "3")'
    )
    return f"runners.{name}"


@pytest.fixture
def target(cluster: Cluster) -> Iterator[str]:
    """An empty table of the test's own. Its rows may double: it has no unique key."""
    name = f"target_{next(_NUMBERS)}"
    yield _create(cluster, name)
    cluster.sql(f"DROP TABLE runners.{name}")


@pytest.fixture
def faults(cluster: Cluster) -> Iterator[Any]:
    """The cluster's fault plan, emptied in the end."""
    plan = cluster.emulator.faults
    yield plan
    plan.clear()


def _source(cluster: Cluster, **options: Any) -> ReadFromDoris:
    tuned = ReadOptions(**{"protocol": ReadProtocol.THRIFT, "tablets_per_split": 1, **options})
    return ReadFromDoris(cluster.doris, table="runners.source", output="tuple", options=tuned)


def _ids(cluster: Cluster, table: str) -> list[int]:
    return [int(row[0]) for row in cluster.sql(f"SELECT id FROM {table} ORDER BY id")]


def _row(number: int) -> dict[str, Any]:
    return {"id": number, "name": f"name {number}"}


@on_all
def test_a_read_in_splits_gives_every_row_once(
    runners: Runners, platform: Platform, cluster: Cluster
) -> None:
    with runners.pipeline(platform) as pipeline:
        assert_that(pipeline | _source(cluster), equal_to(ALL_ROWS))


def test_a_read_by_flight_on_prism_gives_every_row_once(runners: Runners, cluster: Cluster) -> None:
    with runners.pipeline(Platform.PRISM) as pipeline:
        rows = pipeline | _source(cluster, protocol=ReadProtocol.FLIGHT)
        assert_that(rows, equal_to(ALL_ROWS))


def test_prism_splits_a_slow_read_between_tablets_and_loses_no_row(
    runners: Runners, cluster: Cluster, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    split: list[Any] = []
    try_split = OffsetRestrictionTracker.try_split

    def watched(tracker: Any, fraction: float) -> Any:
        answer = try_split(tracker, fraction)
        if answer is not None:
            split.append(answer)
        return answer

    monkeypatch.setattr(OffsetRestrictionTracker, "try_split", watched)
    faults.add(Rule(point="scan.open", action="delay", args={"seconds": 0.3}))
    with runners.pipeline(Platform.PRISM) as pipeline:
        rows = pipeline | _source(cluster, tablets_per_split=TABLETS)
        assert_that(rows, equal_to(ALL_ROWS))
    assert split


@on_all
def test_a_bounded_write_is_exact(
    runners: Runners, platform: Platform, cluster: Cluster, target: str
) -> None:
    with runners.pipeline(platform) as pipeline:
        result = (
            pipeline
            | beam.Create(range(ROWS))
            | beam.Reshuffle()
            | beam.Map(_row).with_output_types(dict[str, Any])
            | WriteToDoris(cluster.doris, table=target, label_prefix=platform.name)
        )
        rows = result.committed_loads | beam.Map(lambda load: load.rows) | beam.CombineGlobally(sum)
        assert_that(rows, equal_to([ROWS]))
    assert _ids(cluster, target) == list(range(ROWS))


def test_an_unbounded_write_is_exact(runners: Runners, cluster: Cluster, target: str) -> None:
    options = WriteOptions(stream=StreamBuffer(max_rows=40, interval=timedelta(milliseconds=500)))
    with runners.pipeline(Platform.IN_MEMORY, streaming=True) as pipeline:
        _ = (
            pipeline
            | beam.Create([200])
            | beam.ParDo(Stream(per_bundle=20)).with_output_types(int)
            | beam.Map(_row).with_output_types(dict[str, Any])
            | WriteToDoris(cluster.doris, table=target, label_prefix="unbounded", options=options)
        )
    assert _ids(cluster, target) == list(range(200))


def test_a_write_that_fails_on_prism_leaves_nothing_behind(
    runners: Runners, cluster: Cluster, target: str, faults: Any
) -> None:
    faults.add(Rule(point="be.load.before_commit", action="fail", args={"message": "disk broken"}))
    pipeline = runners.pipeline(Platform.PRISM)
    _ = (
        pipeline
        | beam.Create(range(ROWS))
        | beam.Map(_row).with_output_types(dict[str, Any])
        | WriteToDoris(cluster.doris, table=target, label_prefix="broken")
    )
    with pytest.raises(Exception, match="disk broken"):
        pipeline.run().wait_until_finish()
    assert _ids(cluster, target) == []


def test_beside_a_timer_on_plain_direct_runner_the_commit_stage_commits(
    runners: Runners, cluster: Cluster, target: str, diary: Diary
) -> None:
    with runners.pipeline(Platform.DIRECT) as pipeline:
        numbers = pipeline | beam.Create(range(ROWS)) | beam.ParDo(stages.WhichRunner(diary))
        _ = (
            numbers
            | beam.Map(lambda number: ("k", number)).with_output_types(tuple[str, int])
            | beam.ParDo(stages.Later())
        )
        _ = (
            numbers
            | "rows" >> beam.Map(_row).with_output_types(dict[str, Any])
            | WriteToDoris(cluster.doris, table=target, label_prefix="timer")
        )
    assert set(diary.of("runner")) == {"BundleBasedDirectRunner"}
    assert _ids(cluster, target) == list(range(ROWS))


@LONG
def test_workers_in_a_process_of_their_own_read_and_write(
    runners: Runners, cluster: Cluster, target: str, worker_pool: WorkerPool
) -> None:
    with runners.pipeline(
        Platform.PRISM, environment_type="EXTERNAL", environment_config=worker_pool.address
    ) as pipeline:
        _ = (
            pipeline
            | _source(cluster)
            | beam.Map(lambda row: _row(row[0])).with_output_types(dict[str, Any])
            | WriteToDoris(cluster.doris, table=target, label_prefix="pool")
        )
    assert _ids(cluster, target) == list(range(ROWS))


def test_a_killed_worker_fails_the_job_and_the_next_run_is_exact(
    runners: Runners, cluster: Cluster, target: str, worker_pool: WorkerPool, faults: Any
) -> None:
    def write(pipeline: beam.Pipeline) -> Any:
        _ = (
            pipeline
            | beam.Create(range(ROWS))
            | beam.Map(_row).with_output_types(dict[str, Any])
            | WriteToDoris(cluster.doris, table=target, label_prefix="killed")
        )
        return pipeline.run()

    # the load is pre-committed on the server, and its worker never hears of it
    faults.add(Rule(point="be.load.after_commit", action="hang", args={"seconds": 5}))
    result = write(
        runners.pipeline(
            Platform.PRISM, environment_type="EXTERNAL", environment_config=worker_pool.address
        )
    )
    deadline = time.monotonic() + 30
    while not faults.fired() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert faults.fired()
    worker_pool.kill()
    with pytest.raises(RuntimeError, match="SDK worker disconnected"):
        result.wait_until_finish(duration=20_000)
    assert result.state == PipelineState.FAILED
    assert _ids(cluster, target) == []
    faults.clear()
    assert write(runners.pipeline(Platform.PRISM)).wait_until_finish() == PipelineState.DONE
    assert _ids(cluster, target) == list(range(ROWS))
