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
"""The write graph on FnApiRunner, against loads kept in memory."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.testing.util import assert_that, equal_to

from beam_doris.beam_support.client_pool import lend
from beam_doris.client.contracts import LoadState
from beam_doris.client.frontend import Frontend
from beam_doris.client.stream_load import StreamLoader
from beam_doris.client.transactions import Transactions
from beam_doris.errors import (
    ConfigError,
    LoadError,
    RowEncodingError,
    TransactionExpiredError,
    TransientError,
)
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.write.sink import WriteToDoris
from tests.beam.fakes import FakeCluster, FakeFrontend, column, connection

DORIS = connection()


class Pupil(NamedTuple):
    """An element that is no row of the table."""

    name: str
    grade: int


class Student(NamedTuple):
    """An element with names."""

    id: int
    name: str
    age: int


@pytest.fixture
def frontend() -> FakeFrontend:
    """The frontend that every transform of a test asks."""
    return FakeFrontend()


@pytest.fixture
def cluster(frontend: FakeFrontend) -> FakeCluster:
    """Takes the place of every client of the write path."""
    fake = FakeCluster()
    lend(Frontend, DORIS, frontend)
    lend(StreamLoader, DORIS, fake)
    lend(Transactions, DORIS, fake)
    return fake


def sink(**arguments: Any) -> WriteToDoris:
    """A write of test.student."""
    return WriteToDoris(DORIS, **{"table": "test.student", "label_prefix": "job", **arguments})


def run(elements: list[Any], **arguments: Any) -> list[Any]:
    """Writes elements; returns the committed loads."""
    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        result = pipeline | beam.Create(elements, reshuffle=False) | UNTYPED | sink(**arguments)
        kept: list[Any] = []
        _KEPT[id(kept)] = kept
        result.committed_loads | beam.Map(_keep, id(kept))
    return _KEPT.pop(id(kept))


_KEPT: dict[int, list[Any]] = {}
UNTYPED = beam.Map(lambda element: element).with_output_types(Any)


def _keep(load: Any, key: int) -> None:
    _KEPT[key].append(load)


def rows_of(cluster: FakeCluster) -> list[dict[str, Any]]:
    """The visible rows of JSON loads."""
    lines = cluster.visible().decode().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda row: row["id"])


EXPECTED = [{"id": 1, "name": "Ann", "age": 30}, {"id": 2, "name": None, "age": None}]


@pytest.mark.parametrize(
    ("elements", "arguments"),
    [
        ([{"id": 1, "name": "Ann", "age": 30}, {"id": 2}], {}),
        ([{"age": 30, "name": "Ann", "id": 1}, {"id": 2, "age": None}], {}),
        ([Student(1, "Ann", 30), {"id": 2}], {}),
        ([beam.Row(id=1, name="Ann", age=30), beam.Row(id=2, name=None, age=None)], {}),
        ([(30, 1, "Ann"), (None, 2, None)], {"columns": ["age", "id", "name"]}),
        ([pa.record_batch({"name": ["Ann", None], "id": [1, 2], "age": [30, None]})], {}),
        ([pa.table({"name": ["Ann", None], "id": [1, 2], "age": [30, None]})], {}),
        (['{"id":1,"name":"Ann","age":30}', b'{"id":2,"name":null,"age":null}\n'], {}),
    ],
)
def test_every_kind_of_element_becomes_the_same_rows(
    cluster: FakeCluster, elements: list[Any], arguments: dict[str, Any]
) -> None:
    loads = run(elements, **arguments)
    assert rows_of(cluster) == EXPECTED
    assert sum(load.rows for load in loads) == 2
    assert set(cluster.states()) == {LoadState.VISIBLE}


def test_a_label_carries_prefix_and_run_and_is_never_used_twice(cluster: FakeCluster) -> None:
    rows = [{"id": i} for i in range(50)]
    transform = sink(options=WriteOptions(max_load_bytes=100, batch_rows=5))
    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        pipeline | beam.Create(rows, reshuffle=False) | transform
    assert len(cluster.loads) > 1
    assert all(label.startswith("job_") for label in cluster.loads)
    assert all(f"_{transform.run_id}_" in label for label in cluster.loads)
    assert [row["id"] for row in rows_of(cluster)] == list(range(50))


def test_a_load_is_committed_early_and_confirmed_by_the_commit_stage(
    cluster: FakeCluster,
) -> None:
    (load,) = run([{"id": 1}])
    assert cluster.commits == [load.label, load.label]
    assert load.already


def test_an_early_commit_that_fails_is_made_up_for(cluster: FakeCluster) -> None:
    cluster.fail_commit.append(TransientError("no node answers"))
    (load,) = run([{"id": 1}])
    assert not load.already
    assert cluster.states() == [LoadState.VISIBLE]


def test_an_expired_load_fails_the_pipeline_with_its_rows_and_label(cluster: FakeCluster) -> None:
    expired = "transaction [1000] is already aborted"
    cluster.fail_commit += [TransactionExpiredError(expired), TransactionExpiredError(expired)]
    with pytest.raises(TransactionExpiredError) as failure:
        run([{"id": 1}, {"id": 2}])
    assert failure.value.rows == 2
    assert failure.value.table == "test.student"


def test_no_elements_make_no_load(cluster: FakeCluster) -> None:
    assert run([]) == []
    assert cluster.loads == {}


def test_a_failing_load_commits_nothing(cluster: FakeCluster) -> None:
    cluster.fail_finish = LoadError("too many filtered rows")
    with pytest.raises(LoadError):
        run([{"id": 1}])
    assert cluster.states() == [LoadState.ABORTED]
    assert cluster.commits == []


def test_what_a_failing_bundle_loaded_is_aborted(cluster: FakeCluster) -> None:
    options = WriteOptions(max_load_bytes=100, batch_rows=5)
    rows: list[Any] = [{"id": i} for i in range(40)] + [{"id": "x"}]
    with pytest.raises(RowEncodingError):
        run(rows, options=options)
    assert len(cluster.states()) > 1
    assert set(cluster.states()) == {LoadState.ABORTED}
    assert cluster.commits == []


@pytest.mark.parametrize(
    ("element", "words"),
    [
        (None, "a NoneType, not a row"),
        ({}, "empty"),
        ("", "empty"),
        ((), "empty"),
        (7, "a int, not a row"),
        ({"id": "seven"}, "column 'id'"),
        ({"id": 2**40}, "column 'id'"),
        ({"id": None}, "NOT NULL"),
        ({"name": "x"}, "column 'id' is NOT NULL and has no default"),
        ({"ID": 1}, "differs from the table's 'id' only by case"),
        ({"id": 1, "nmae": "x"}, "did you mean 'name'?"),
        ((1, 2), "columns="),
        (pa.record_batch({"id": [1], "age": ["old"]}), "column 'age'"),
        ({"id": 1, "name": "é" * 129}, "258 bytes, longer than VARCHAR(256)"),
        (pa.record_batch({"id": [1], "name": ["x" * 300]}), "column 'name'"),
    ],
)
def test_an_element_that_is_no_row_fails_loudly_or_leaves_as_data(
    cluster: FakeCluster, element: Any, words: str
) -> None:
    with pytest.raises(RowEncodingError) as failure:
        run([element])
    assert words in str(failure.value)
    assert "test.student" in str(failure.value)
    assert "dead_letter" in str(failure.value)
    assert cluster.commits == []
    cluster.loads.clear()
    good = {"id": 5, "name": "e", "age": 5}
    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        result = (
            pipeline
            | beam.Create([good, element, good | {"id": 6}], reshuffle=False)
            | UNTYPED
            | sink(on_row_error="dead_letter")
        )
        reasons = result.failed_rows | beam.Map(lambda row: (row.table, words in row.reason))
        assert_that(reasons, equal_to([("test.student", True)]))
    assert [row["id"] for row in rows_of(cluster)] == [5, 6]


def test_no_error_quotes_the_row(cluster: FakeCluster) -> None:
    with pytest.raises(RowEncodingError) as failure:
        run([{"id": 1, "name": 7777777}])
    assert "7777777" not in str(failure.value)


@pytest.mark.parametrize("load_format", list(LoadFormat))
def test_the_headers_say_what_the_body_is(cluster: FakeCluster, load_format: LoadFormat) -> None:
    options = WriteOptions(load_format=load_format, load_properties={"Strict_Mode": "true"})
    run([{"id": 1}], options=options)
    (load,) = cluster.loads.values()
    assert load.request.headers["format"] == load_format.value
    assert load.request.headers["columns"] == "`id`,`name`,`age`"
    assert load.request.headers["strict_mode"] == "true"
    assert load.request.two_phase


def test_a_column_with_a_default_is_left_to_the_server(
    cluster: FakeCluster, frontend: FakeFrontend
) -> None:
    from dataclasses import replace

    schema = frontend.schemas["test.student"]
    extra = (column("level", "INT", default="3"), column("no", "BIGINT", auto_increment=True))
    frontend.schemas["test.student"] = replace(schema, columns=(*schema.columns, *extra))
    run([{"id": 1}, {"id": 2, "level": None}])
    columns = sorted(load.request.headers["columns"] for load in cluster.loads.values())
    assert columns == ["`id`,`name`,`age`", "`id`,`name`,`age`,`level`"]


def test_windows_upstream_do_not_matter(cluster: FakeCluster) -> None:
    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        timed = (
            pipeline
            | beam.Create([1, 2, 3])
            | beam.Map(lambda i: beam.window.TimestampedValue({"id": i}, i * 100))
            | beam.WindowInto(beam.window.FixedWindows(10))
        )
        timed | sink()
    assert [row["id"] for row in rows_of(cluster)] == [1, 2, 3]


# --------------------------------------------------------------- found when the pipeline is built


def test_all_problems_of_the_arguments_come_together() -> None:
    with pytest.raises(ConfigError) as failure:
        WriteToDoris(
            DORIS,
            table="student",
            label_prefix="no spaces",
            columns=[],
            run_id="no spaces",
            on_row_error="ignore",
        )
    text = "\n".join(failure.value.problems)
    for words in ("names no database", "label_prefix", "columns is empty", "run_id", "ignore"):
        assert words in text


def test_an_unknown_table_is_found_at_construction(cluster: FakeCluster) -> None:
    with pytest.raises(ConfigError, match="Unknown table"):
        sink(table="test.nothing")


def test_wrong_columns_are_found_at_construction_together(
    cluster: FakeCluster, frontend: FakeFrontend
) -> None:
    from dataclasses import replace

    schema = frontend.schemas["test.student"]
    extra = (
        column("sum", "INT", generated="id + age"),
        column("no", "BIGINT", auto_increment=True),
        column("must", "INT", nullable=False),
    )
    frontend.schemas["test.student"] = replace(schema, columns=(*schema.columns, *extra))
    with pytest.raises(ConfigError) as failure:
        sink(columns=["ID", "nmae", "sum", "no"])
    text = "\n".join(failure.value.problems)
    for words in ("only by case", "unknown column 'nmae'", "generated", "AUTO_INCREMENT", "'must'"):
        assert words in text


def test_wrong_fields_of_a_typed_collection_are_found_when_it_is_applied(
    cluster: FakeCluster,
) -> None:
    pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner())
    pupils = pipeline | beam.Create([Pupil("Ann", 3)]).with_output_types(Pupil)
    with pytest.raises(ConfigError) as failure:
        pupils | sink()
    text = "\n".join(failure.value.problems)
    assert "unknown column 'grade'" in text
    assert "'id' is NOT NULL" in text


@pytest.mark.parametrize("wrong", [int, float, set[int], list[str]])
def test_elements_of_a_wrong_type_are_refused_when_it_is_applied(
    cluster: FakeCluster, wrong: Any
) -> None:
    pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner())
    elements = pipeline | beam.Create([]) | beam.Map(lambda x: x).with_output_types(wrong)
    with pytest.raises(ConfigError, match="cannot be written"):
        elements | sink()


def test_tuples_need_columns_of_their_length(cluster: FakeCluster) -> None:
    pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner())
    pairs = pipeline | beam.Create([(1, "a")])
    with pytest.raises(ConfigError, match="pass columns="):
        pairs | "a" >> sink()
    with pytest.raises(ConfigError, match="tuples of 2 for 3 columns"):
        pairs | "b" >> sink(columns=["id", "name", "age"])


def test_the_display_data_shows_no_secret() -> None:
    from dataclasses import replace as copy

    from beam_doris.options.secrets import Secret

    doris = copy(DORIS, password=Secret.of("hunter2"))
    transform = WriteToDoris(doris, table="test.student", label_prefix="job", validate=False)
    assert "hunter2" not in repr(transform.display_data())
    assert transform.display_data()["table"] == "test.student"


def test_failed_rows_survive_a_shuffle_with_their_element(cluster: FakeCluster) -> None:
    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        result = pipeline | beam.Create([{"id": "x"}]) | sink(on_row_error="dead_letter")
        failed = result.failed_rows | beam.Reshuffle()
        parts = failed | beam.Map(lambda row: (row.table, row.label, row.column, row.row))
        assert_that(parts, equal_to([("test.student", None, "id", {"id": "x"})]))


def test_without_validation_the_workers_ask_for_the_table(
    cluster: FakeCluster, frontend: FakeFrontend
) -> None:
    assert run([{"id": 1}], validate=False)
    with pytest.raises(RowEncodingError, match="unknown column"):
        run([{"no": 1}], validate=False)
