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
"""Writing to the emulated cluster; what is there afterwards is asked by pymysql, not by us."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_doris import ConfigError, LoadFormat, ReadFromDoris, WriteOptions, WriteToDoris
from beam_doris.emulator import Rule
from beam_doris.errors import AuthError, ConnectError, LoadError, TransactionExpiredError
from beam_doris.write import commit_fn, graph
from beam_doris.write.load_fn import LoadFn
from tests.beam.cluster import Cluster, pipeline

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator


class Person(NamedTuple):
    """An element with names."""

    id: int
    name: str | None
    score: float | None


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A cluster with a database of its own."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE writing")
    return cluster


@pytest.fixture
def table(cluster: Cluster) -> Iterator[str]:
    """An empty table that keeps every row it gets, so that nothing twice can hide."""
    cluster.sql(
        "CREATE TABLE writing.people (id INT NOT NULL, name VARCHAR(100), score DOUBLE) "
        "DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 3 "
        'PROPERTIES ("replication_num" = "3")'
    )
    yield "writing.people"
    cluster.emulator.faults.clear()
    cluster.sql("DROP TABLE writing.people")


def sink(cluster: Cluster, table: str, **more: Any) -> WriteToDoris:
    """A write of the people."""
    return WriteToDoris(cluster.doris, **{"table": table, "label_prefix": "t", **more})


def content(cluster: Cluster, table: str) -> list[tuple[Any, ...]]:
    """Every row that is visible, each as often as it is there."""
    return cluster.sql(f"SELECT id, name, score FROM {table} ORDER BY id, name")


HARD = 'tab\there, "quotes", comma, \\N and \\ and Zoë 🦆'
PEOPLE = [(1, "Ann", 1.5), (2, None, None), (3, HARD, -0.25)]


def elements(form: str, load_format: LoadFormat) -> list[Any]:
    """The people as each kind of element."""
    if form == "dict":
        return [dict(zip(("id", "name", "score"), row, strict=True)) for row in PEOPLE]
    if form == "named":
        return [Person(*row) for row in PEOPLE]
    if form == "row":
        return [beam.Row(id=i, name=n, score=s) for i, n, s in PEOPLE]
    if form == "batch":
        columns = list(zip(*PEOPLE, strict=True))
        names = ["id", "name", "score"]
        return [pa.RecordBatch.from_arrays([pa.array(c) for c in columns], names=names)]
    if form == "table":
        return [pa.Table.from_batches(elements("batch", load_format))]
    return list(PEOPLE)


@pytest.mark.parametrize("load_format", list(LoadFormat))
@pytest.mark.parametrize("form", ["dict", "named", "row", "tuple", "batch", "table"])
def test_every_element_in_every_format_arrives_exactly(
    cluster: Cluster, table: str, form: str, load_format: LoadFormat
) -> None:
    columns = ["id", "name", "score"] if form == "tuple" else None
    with pipeline() as p:
        (
            p
            | beam.Create(elements(form, load_format))
            | sink(cluster, table, columns=columns, options=WriteOptions(load_format=load_format))
        )
    assert content(cluster, table) == PEOPLE


@pytest.mark.parametrize("as_bytes", [False, True])
def test_raw_json_lines_arrive(cluster: Cluster, table: str, as_bytes: bool) -> None:
    dicts = elements("dict", LoadFormat.JSON)
    lines: list[Any] = [json.dumps(row) for row in dicts]
    if as_bytes:
        lines = [line.encode() for line in lines]
    with pipeline() as p:
        p | beam.Create(lines) | sink(cluster, table)
    assert content(cluster, table) == PEOPLE


def test_raw_csv_lines_arrive(cluster: Cluster, table: str) -> None:
    options = WriteOptions(
        load_format=LoadFormat.CSV, load_properties={"column_separator": "\\x01"}
    )
    with pipeline() as p:
        lines = p | beam.Create(["1\x01Ann\x011.5\n", "2\x01\\N\x01\\N"])
        lines | sink(cluster, table, options=options)
    assert content(cluster, table) == PEOPLE[:2]


@pytest.mark.parametrize("load_format", [LoadFormat.JSON, LoadFormat.CSV])
def test_compressed_bodies_arrive(cluster: Cluster, table: str, load_format: LoadFormat) -> None:
    options = WriteOptions(load_format=load_format, compress=True)
    with pipeline() as p:
        p | beam.Create(elements("dict", load_format)) | sink(cluster, table, options=options)
    assert content(cluster, table) == PEOPLE


def numbers(count: int) -> list[dict[str, Any]]:
    """Rows that can be told apart."""
    return [{"id": i, "name": f"n{i}", "score": i / 4} for i in range(count)]


def test_many_loads_of_one_bundle_lose_and_double_nothing(cluster: Cluster, table: str) -> None:
    options = WriteOptions(max_load_bytes=20_000, batch_rows=100)
    with pipeline() as p:
        result = p | beam.Create(numbers(5_000)) | sink(cluster, table, options=options)
        loads = result.committed_loads | beam.combiners.ToList()
        checked = loads | beam.Map(
            lambda loads: (
                len(loads) > 5,
                sum(x.rows for x in loads),
                len({x.label for x in loads}) == len(loads),
            )
        )
        assert_that(checked, equal_to([(True, 5_000, True)]))
    assert content(cluster, table) == [(i, f"n{i}", i / 4) for i in range(5_000)]


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_two_workers_lose_and_double_nothing(cluster: Cluster, table: str, mode: str) -> None:
    with pipeline(direct_num_workers=2, direct_running_mode=mode) as p:
        p | beam.Create(numbers(2_000)) | beam.Reshuffle() | sink(cluster, table)
    assert content(cluster, table) == [(i, f"n{i}", i / 4) for i in range(2_000)]


def test_the_plain_direct_runner_writes_too(cluster: Cluster, table: str) -> None:
    with beam.Pipeline("DirectRunner") as p:
        p | beam.Create(numbers(10)) | sink(cluster, table)
    assert len(content(cluster, table)) == 10


def test_what_was_read_can_be_written_as_it_is(cluster: Cluster, table: str) -> None:
    with pipeline() as p:
        p | beam.Create(numbers(100)) | sink(cluster, table)
    cluster.sql("CREATE TABLE writing.copy LIKE writing.people")
    for output in ("row", "dict", "arrow"):
        cluster.sql("TRUNCATE TABLE writing.copy")
        with pipeline() as p:
            (
                p
                | ReadFromDoris(cluster.doris, table=table, output=output)
                | sink(cluster, "writing.copy")
            )
        assert content(cluster, "writing.copy") == content(cluster, table)


NESTED = (
    1,
    [1, None],
    {"a": "x", "b": None},
    {"n": 1, "tags": ["t"]},
    -(2**127),
    Decimal("12345678901234567890123456789012345.678"),
    datetime.datetime(2024, 2, 29, 23, 59, 59, 999999),
    datetime.date(9999, 12, 31),
)


@pytest.mark.parametrize("output", ["row", "dict", "tuple", "arrow"])
@pytest.mark.parametrize("load_format", list(LoadFormat))
def test_nested_and_wide_values_are_copied_exactly(
    cluster: Cluster, output: str, load_format: LoadFormat
) -> None:
    columns = (
        "id INT NOT NULL, a ARRAY<INT>, m MAP<STRING, STRING>, s STRUCT<n:INT, tags:ARRAY<STRING>>, "
        "big LARGEINT, dec DECIMAL(38, 3), at DATETIME(6), day DATE"
    )
    for name in ("source", "target"):
        cluster.sql(f"DROP TABLE IF EXISTS writing.{name}")
        cluster.sql(
            f"CREATE TABLE writing.{name} ({columns}) DUPLICATE KEY(id) "
            'DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ("replication_num" = "1")'
        )
    names = ["id", "a", "m", "s", "big", "dec", "at", "day"]
    nulls = (2, *[None] * 7)
    with pipeline() as p:
        p | beam.Create([NESTED, nulls]) | sink(cluster, "writing.source", columns=names)
    with pipeline() as p:
        rows = p | ReadFromDoris(cluster.doris, table="writing.source", output=output)
        declared = names if output == "tuple" else None
        options = WriteOptions(load_format=load_format)
        rows | sink(cluster, "writing.target", columns=declared, options=options)
    with pipeline() as p:
        copied = p | ReadFromDoris(cluster.doris, table="writing.target", output="tuple")
        assert_that(copied, equal_to([NESTED, nulls]))
    query = "SELECT * FROM writing.{} ORDER BY id"
    assert cluster.sql(query.format("target")) == cluster.sql(query.format("source"))


def test_expressions_make_bitmaps_of_what_elements_carry(cluster: Cluster) -> None:
    cluster.sql(
        "CREATE TABLE writing.visits (day INT, users BITMAP BITMAP_UNION NOT NULL) "
        "AGGREGATE KEY(day) DISTRIBUTED BY HASH(day) BUCKETS 1 "
        'PROPERTIES ("replication_num" = "1")'
    )
    options = WriteOptions(load_properties={"columns": "day, user, users = to_bitmap(user)"})
    visits = [{"day": day, "user": user} for day in (1, 2) for user in range(day * 3)] * 2
    with pipeline() as p:
        p | beam.Create(visits) | sink(cluster, "writing.visits", options=options)
    counted = cluster.sql("SELECT day, bitmap_count(users) FROM writing.visits ORDER BY day")
    assert counted == [(1, 3), (2, 6)]


# ------------------------------------------------------------------------------- what goes wrong


def test_rows_appear_only_when_they_are_committed(cluster: Cluster, table: str) -> None:
    class Boom(Exception):
        pass

    def explode(row: dict[str, Any]) -> dict[str, Any]:
        if row["id"] == 900:
            raise Boom
        return row

    options = WriteOptions(max_load_bytes=5_000, batch_rows=50)
    with pytest.raises(Exception, match="Boom"), pipeline() as p:
        (
            p
            | beam.Create(numbers(1_000), reshuffle=False)
            | beam.Map(explode)
            | sink(cluster, table, options=options)
        )
    assert content(cluster, table) == []
    states = {row[0] for row in transaction_states(cluster)}
    assert "ABORTED" in states
    assert not states & {"PREPARE", "PRECOMMITTED"}


def transaction_states(cluster: Cluster) -> list[tuple[Any, ...]]:
    """The states of all transactions of the database."""
    engine = cluster.emulator.engine
    return [(txn.state.name,) for txn in engine.transactions.list("writing")]


def test_a_lost_answer_to_a_load_doubles_nothing(cluster: Cluster, table: str) -> None:
    cluster.emulator.faults.add(Rule(point="be.load.after_commit", action="reset", count=1))
    with pipeline() as p:
        p | beam.Create(numbers(100)) | sink(cluster, table)
    assert len(cluster.emulator.faults.fired()) == 1
    assert content(cluster, table) == [(i, f"n{i}", i / 4) for i in range(100)]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("point", ["be.2pc.headers", "be.2pc.reply"])
def test_lost_requests_and_answers_of_a_commit_double_nothing(
    cluster: Cluster, table: str, point: str, count: int
) -> None:
    cluster.emulator.faults.add(Rule(point=point, action="reset", count=count))
    with pipeline() as p:
        p | beam.Create(numbers(100)) | sink(cluster, table)
    assert cluster.emulator.faults.fired()
    assert content(cluster, table) == [(i, f"n{i}", i / 4) for i in range(100)]


def test_a_body_cut_in_the_middle_is_sent_again(cluster: Cluster, table: str) -> None:
    cluster.emulator.faults.add(
        Rule(point="be.load.body", action="reset", count=1, args={"bytes": 1_000})
    )
    with pipeline() as p:
        p | beam.Create(numbers(2_000)) | sink(cluster, table)
    assert len(cluster.emulator.faults.fired()) == 1
    assert content(cluster, table) == [(i, f"n{i}", i / 4) for i in range(2_000)]


def test_a_load_that_expired_before_its_commit_fails_the_pipeline(
    cluster: Cluster, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # without the early commit, and with an hour between the load and its commit
    monkeypatch.setattr(graph, "EarlyCommittingLoadFn", LoadFn)
    clock: Any = cluster.emulator.clock
    original = commit_fn.commit_token

    def too_late(connection: Any, token: Any) -> Any:
        clock.advance(4_000)
        return original(connection, token)

    monkeypatch.setattr(commit_fn, "commit_token", too_late)
    with pytest.raises(TransactionExpiredError) as failure, pipeline() as p:
        p | beam.Create(numbers(7)) | sink(cluster, table)
    assert failure.value.rows == 7
    assert failure.value.table == table
    assert content(cluster, table) == []


def test_rows_that_the_server_refuses_fail_the_load(cluster: Cluster, table: str) -> None:
    options = WriteOptions(load_format=LoadFormat.CSV)
    with pytest.raises(LoadError) as failure, pipeline() as p:
        p | beam.Create(["not-a-number\tx\t1"]) | sink(cluster, table, options=options)
    assert failure.value.table == table
    assert failure.value.label is not None
    assert "not-a-number" not in str(failure.value)
    assert "the server says: 1 x " in str(failure.value)
    assert content(cluster, table) == []


# --------------------------------------------------------------- found when the pipeline is built


def test_everything_wrong_with_the_columns_comes_together(cluster: Cluster, table: str) -> None:
    with pytest.raises(ConfigError) as failure:
        sink(cluster, table, columns=["NAME", "scor"])
    text = "\n".join(failure.value.problems)
    for words in ("only by case", "did you mean 'score'?", "'id' is NOT NULL"):
        assert words in text


def test_generated_and_auto_increment_columns_are_refused(cluster: Cluster) -> None:
    cluster.sql(
        "CREATE TABLE writing.filled (id BIGINT NOT NULL AUTO_INCREMENT, a INT, "
        "twice INT AS (a * 2)) UNIQUE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 "
        'PROPERTIES ("replication_num" = "1")'
    )
    with pytest.raises(ConfigError) as failure:
        sink(cluster, "writing.filled", columns=["id", "a", "twice"])
    text = "\n".join(failure.value.problems)
    assert "AUTO_INCREMENT" in text
    assert "generated" in text


def test_an_unknown_table_is_named(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"writing\.nobody"):
        sink(cluster, "writing.nobody")


def test_a_wrong_password_is_an_error_of_its_own(cluster: Cluster, table: str) -> None:
    with pytest.raises(AuthError) as failure:
        WriteToDoris(cluster.connection(password="wrong7"), table=table, label_prefix="t")
    assert "wrong7" not in str(failure.value)


def test_an_unreachable_frontend_is_named_with_advice() -> None:
    from tests.beam.fakes import connection

    with pytest.raises(ConnectError, match="validate=False"):
        WriteToDoris(connection(9), table="writing.people", label_prefix="t")
