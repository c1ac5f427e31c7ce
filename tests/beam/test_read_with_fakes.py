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
"""The read graph on FnApiRunner, against tablets kept in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.testing.util import assert_that, equal_to, is_empty
from apache_beam.transforms import environments

from beam_doris.beam_support.client_pool import lend
from beam_doris.client.frontend import Frontend
from beam_doris.client.scanner import ThriftScanner
from beam_doris.errors import ConfigError, ConnectError, TransientError
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.read.source import ReadFromDoris
from tests.beam.fakes import STUDENT, FakeFrontend, FakeScanner, connection

DORIS = connection()
IDS = [tablet * 100 + i for tablet in range(100, 104) for i in range(10)]


@pytest.fixture
def frontend() -> FakeFrontend:
    """The frontend that every transform of a test asks."""
    return FakeFrontend()


@pytest.fixture
def scanner(frontend: FakeFrontend) -> FakeScanner:
    """Takes the place of every client of the read path."""
    fake = FakeScanner()
    lend(Frontend, DORIS, frontend)
    lend(ThriftScanner, DORIS, fake)
    return fake


def source(**arguments: Any) -> ReadFromDoris:
    """A read of test.student by Thrift."""
    options = ReadOptions(protocol=ReadProtocol.THRIFT)
    return ReadFromDoris(DORIS, **{"table": "test.student", "options": options, **arguments})


def pipeline(**options: Any) -> beam.Pipeline:
    """A pipeline on the runner under test."""
    return beam.Pipeline(runner=fn_runner.FnApiRunner(), options=PipelineOptions(**options))


def test_dicts_carry_the_selected_columns_in_order(scanner: FakeScanner) -> None:
    with pipeline() as p:
        rows = p | source(output="dict", columns=["id", "name"])
        assert_that(rows, equal_to([{"id": i, "name": f"n{i}"} for i in IDS]))


def test_tuples_carry_the_columns_in_the_order_asked_for(scanner: FakeScanner) -> None:
    with pipeline() as p:
        rows = p | source(output="tuple", columns=["name", "id"])
        assert_that(rows, equal_to([(f"n{i}", i) for i in IDS]))


def test_rows_have_a_schema_and_survive_a_shuffle(scanner: FakeScanner) -> None:
    with pipeline() as p:
        rows = p | source()
        assert [name for name, _ in rows.element_type._fields] == ["id", "name", "age"]
        values = rows | beam.Reshuffle() | beam.Map(lambda row: (row.id, row.name, row.age))
        assert_that(values, equal_to([(i, f"n{i}", i % 7) for i in IDS]))


def test_arrow_batches_are_normalized(scanner: FakeScanner) -> None:
    with pipeline() as p:
        batches = p | source(output="arrow")
        assert batches.element_type is pa.RecordBatch
        names = batches | beam.Map(lambda batch: (tuple(batch.schema.names), batch.num_rows))
        assert_that(names, equal_to([(("id", "name", "age"), 5)] * 8))


def test_an_empty_plan_gives_an_empty_typed_result(
    scanner: FakeScanner, frontend: FakeFrontend
) -> None:
    frontend.tablets = 0
    with pipeline() as p:
        rows = p | source()
        assert [name for name, _ in rows.element_type._fields] == ["id", "name", "age"]
        assert_that(rows, is_empty())
    assert scanner.scans == []


@pytest.mark.parametrize("per_split", [1, 2, 3, 100])
def test_every_tablet_is_read_once_however_it_is_split(
    scanner: FakeScanner, frontend: FakeFrontend, per_split: int
) -> None:
    frontend.tablets = 37
    options = ReadOptions(protocol=ReadProtocol.THRIFT, tablets_per_split=per_split)
    with pipeline() as p:
        count = p | source(output="dict", options=options) | beam.combiners.Count.Globally()
        assert_that(count, equal_to([370]))
    read = sorted(tablet for _, tablets in scanner.scans for tablet in tablets)
    assert read == list(range(100, 137))


def test_two_workers_read_every_row_once(scanner: FakeScanner, frontend: FakeFrontend) -> None:
    frontend.tablets = 20
    with pipeline(direct_num_workers=2, direct_running_mode="multi_threading") as p:
        ids = p | source(output="tuple", columns=["id"])
        assert_that(ids, equal_to([(t * 100 + i,) for t in range(100, 120) for i in range(10)]))


def test_a_tablet_of_which_nothing_was_emitted_is_read_again_elsewhere(
    scanner: FakeScanner,
) -> None:
    scanner.failures = {102: [0]}
    with pipeline() as p:
        rows = p | source(output="tuple", columns=["id"])
        assert_that(rows, equal_to([(i,) for i in IDS]))
    backends = [backend for backend, tablets in scanner.scans if 102 in tablets]
    assert len(backends) == len(set(backends)) == 2


def test_a_tablet_of_which_rows_were_emitted_fails_the_bundle(scanner: FakeScanner) -> None:
    scanner.failures = {102: [1]}
    with pytest.raises(TransientError, match="broke off"), pipeline() as p:
        p | source(output="tuple", columns=["id"])
    assert len([1 for _, tablets in scanner.scans if 102 in tablets]) == 1


def test_a_tablet_that_no_replica_serves_fails_after_its_retries(scanner: FakeScanner) -> None:
    scanner.failures = {102: [0] * 10}
    with pytest.raises(ConnectError, match="hung up"), pipeline() as p:
        p | source(output="dict")
    assert len([1 for _, tablets in scanner.scans if 102 in tablets]) == DORIS.retries + 1


def test_without_validation_the_schema_is_asked_for_when_it_runs(scanner: FakeScanner) -> None:
    with pipeline() as p:
        transform = source(output="dict", columns=["id"], validate=False)
        assert transform.schema is None
        assert_that(p | transform, equal_to([{"id": i} for i in IDS]))


# --------------------------------------------------------------- found when the pipeline is built


def test_a_row_output_needs_the_schema_when_the_pipeline_is_built() -> None:
    with pytest.raises(ConfigError, match="needs the schema"):
        source(validate=False)
    assert source(validate=False, schema=STUDENT, columns=["id"]).schema == STUDENT.select(["id"])


def test_all_problems_of_the_arguments_come_together() -> None:
    with pytest.raises(ConfigError) as failure:
        source(table="student", output="rows", columns=[], filter=" ")
    text = "\n".join(failure.value.problems)
    for words in ("names no database", "output 'rows'", "columns is empty", "filter is empty"):
        assert words in text


def test_unknown_columns_are_found_at_construction_together(scanner: FakeScanner) -> None:
    with pytest.raises(ConfigError) as failure:
        source(columns=["id", "nmae", "agee"])
    assert len(failure.value.problems) == 2
    assert "did you mean 'name'?" in str(failure.value)


def test_an_unknown_table_is_found_at_construction(scanner: FakeScanner) -> None:
    with pytest.raises(ConfigError, match="Unknown table"):
        source(table="test.nothing")


def test_a_frontend_that_cannot_be_reached_is_named_with_advice() -> None:
    with pytest.raises(ConnectError) as failure:
        source()
    assert "127.0.0.1:1" in str(failure.value)
    assert "validate=False" in str(failure.value)


def test_the_protocol_is_flight_where_it_is_offered(frontend: FakeFrontend) -> None:
    from beam_doris.read.planning import PlanFn

    lend(Frontend, DORIS, frontend)
    for offered, expected in ((True, ReadProtocol.FLIGHT), (False, ReadProtocol.THRIFT)):
        frontend.flight = offered
        read = source(options=ReadOptions())
        outputs: list[Any] = list(PlanFn(read._context, read._request).process(b""))
        plan = outputs[-1].value
        assert plan.protocol is expected
        assert (plan.opaque is None) == offered


def test_splits_by_the_runner_cut_between_tablets(
    scanner: FakeScanner, frontend: FakeFrontend
) -> None:
    frontend.tablets = 60
    scanner.seconds = 0.01
    residuals: list[int] = []

    def manager(elements: int) -> Iterator[Any]:
        for fraction in (0.5, 0.2, 0.0, 0.7) if elements else ():
            time.sleep(0.05)
            result = yield fraction
            residuals.append(0 if result is None else len(result.residual_roots))

    # splits happen only where the worker is a server of its own, though in this process
    runner = fn_runner.FnApiRunner(
        default_environment=environments.EmbeddedPythonGrpcEnvironment.default()
    )
    options = ReadOptions(protocol=ReadProtocol.THRIFT, tablets_per_split=30)
    with fn_runner.split_manager("ReadFromDoris/Scan", manager), beam.Pipeline(runner) as p:
        ids = p | source(output="tuple", columns=["id"], options=options)
        assert_that(ids, equal_to([(t * 100 + i,) for t in range(100, 160) for i in range(10)]))
    assert sum(residuals) > 0
    read = [tablet for _, tablets in scanner.scans for tablet in tablets]
    assert sorted(read) == list(range(100, 160))


def test_the_splits_of_a_test_run_leave_residuals_and_every_row_once(
    scanner: FakeScanner, frontend: FakeFrontend
) -> None:
    frontend.tablets = 60
    scanner.seconds = 0.01
    splits = {
        "ReadFromDoris/Scan": {"timings": [0.02, 0.05, 0.1], "fractions": [0.5, 0.5, 0.5]},
    }
    # splits happen only where the worker is a server of its own, though in this process
    runner = fn_runner.FnApiRunner(
        default_environment=environments.EmbeddedPythonGrpcEnvironment.default()
    )
    options = PipelineOptions(direct_test_splits=splits)
    tuning = ReadOptions(protocol=ReadProtocol.THRIFT, tablets_per_split=20, spool_tablet=True)
    p = beam.Pipeline(runner, options=options)
    ids = p | source(output="tuple", columns=["id"], options=tuning)
    assert_that(ids, equal_to([(t * 100 + i,) for t in range(100, 160) for i in range(10)]))
    result = p.run()
    result.wait_until_finish()
    counters = {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == "beam_doris"
    }
    # three initial splits, and what the runner cut off
    assert counters["splits_read"] > 3
    assert counters["tablets_read"] == 60
