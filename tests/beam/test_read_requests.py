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
"""What can be asked for: queries, views, partitions, limits, templates, many requests at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.value_provider import StaticValueProvider, ValueProvider
from apache_beam.testing.util import assert_that, equal_to, is_empty

from beam_doris import ConfigError, ReadFromDoris, ReadOptions, col
from beam_doris.beam_support.deferred import DeferredConnection
from beam_doris.errors import NotFoundError
from beam_doris.options.table_id import TableId
from beam_doris.read.request import ReadRequest
from beam_doris.read.source import ReadAllFromDoris
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import parse_type
from tests.beam.cluster import Cluster, pipeline

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

ROWS = 400
PROTOCOLS = ["flight", "thrift"]


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A table of two partitions, a view of it, and an empty table."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE asked")
    for name in ("events", "nothing"):
        cluster.sql(
            f"CREATE TABLE asked.{name} (id INT NOT NULL, day DATE NOT NULL, name VARCHAR(20)) "
            "DUPLICATE KEY(id) PARTITION BY RANGE(day) ("
            "PARTITION january VALUES LESS THAN ('2024-02-01'), "
            "PARTITION february VALUES LESS THAN ('2024-03-01')) "
            'DISTRIBUTED BY HASH(id) BUCKETS 4 PROPERTIES ("replication_num" = "2")'
        )
    values = ", ".join(f"({i}, '2024-0{1 + i % 2}-05', 'n{i}')" for i in range(ROWS))
    cluster.sql(f"INSERT INTO asked.events VALUES {values}")
    cluster.sql("CREATE VIEW asked.doubled AS SELECT id * 2 AS twice, name FROM asked.events")
    return cluster


def read(cluster: Cluster, protocol: str = "auto", **more: Any) -> ReadFromDoris:
    """A read by tuples."""
    tuning = more.pop("tuning", {})
    options = ReadOptions(protocol=protocol, **tuning)
    arguments = {"table": "asked.events", "output": "tuple", "options": options, **more}
    if "query" in arguments:
        del arguments["table"]
    return ReadFromDoris(cluster.doris, **arguments)


class AtRunTime(ValueProvider):  # type: ignore[misc, unused-ignore]
    """A template's argument: known on a worker, an error before."""

    running = False

    def __init__(self, value: Any) -> None:
        self._value = value

    def is_accessible(self) -> bool:
        """As a runner says it."""
        return AtRunTime.running

    def get(self) -> Any:
        """The value."""
        assert AtRunTime.running, "get() was called while the pipeline was built"
        return self._value


@pytest.fixture
def template() -> Iterator[type[AtRunTime]]:
    """Value providers that are not known until the test says that the pipeline runs."""
    AtRunTime.running = False
    yield AtRunTime
    AtRunTime.running = False


# ----------------------------------------------------------------------------- queries and views


def test_any_query_is_read(cluster: Cluster) -> None:
    sql = (
        "WITH e AS (SELECT id % 3 AS third, count(*) AS n FROM asked.events GROUP BY id % 3) "
        "SELECT third, n FROM e WHERE third > 0 ORDER BY third DESC LIMIT 5;"
    )
    with pipeline() as p:
        assert_that(p | read(cluster, query=sql), equal_to([(1, 133), (2, 133)]))


def test_the_rows_of_a_query_have_a_schema(cluster: Cluster) -> None:
    with pipeline() as p:
        rows = p | read(cluster, query="SELECT id, name FROM asked.events", output="row")
        assert [name for name, _ in rows.element_type._fields] == ["id", "name"]
        count = rows | beam.Map(lambda row: (row.id, row.name))
        assert_that(count, equal_to([(i, f"n{i}") for i in range(ROWS)]))


def test_a_query_without_rows_gives_an_empty_typed_result(cluster: Cluster) -> None:
    with pipeline() as p:
        rows = p | read(cluster, query="SELECT id FROM asked.events WHERE id < 0", output="row")
        assert [name for name, _ in rows.element_type._fields] == ["id"]
        assert_that(rows, is_empty())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DROP TABLE asked.events", "not a SELECT"),
        ("SELECT nope FROM asked.events", "refuses the query"),
        ("SELECT 1 FROM asked.missing", "refuses the query"),
        (" ", "query is a SELECT"),
    ],
)
def test_a_wrong_query_is_found_at_construction(cluster: Cluster, query: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(cluster, query=query)


def test_a_query_cannot_be_a_snapshot(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="Thrift"), pipeline() as p:
        p | read(cluster, query="SELECT 1 AS a", tuning={"consistency": "snapshot"})


def test_table_and_query_exclude_each_other(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="either table= or query="):
        ReadFromDoris(cluster.doris)
    with pytest.raises(ConfigError) as failure:
        ReadFromDoris(cluster.doris, query="SELECT 1", columns=["a"], filter="a > 1", limit=1)
    assert len(failure.value.problems) == 3


def test_a_view_is_read_with_columns_and_filter(cluster: Cluster) -> None:
    with pipeline() as p:
        rows = p | read(cluster, table="asked.doubled", columns=["twice"], filter="twice < 10")
        assert_that(rows, equal_to([(i,) for i in (0, 2, 4, 6, 8)]))
    with pytest.raises(ConfigError, match="refuses the read"):
        read(cluster, table="asked.doubled", filter="nope < 10")
    with pytest.raises(ConfigError, match="nmae"):
        read(cluster, table="asked.doubled", filter=col("nmae") > 1)


def test_a_view_is_a_table_with_a_schema(cluster: Cluster) -> None:
    with pipeline() as p:
        rows = p | read(cluster, table="asked.doubled", output="row", filter="twice = 6")
        assert_that(rows | beam.Map(lambda row: (row.twice, row.name)), equal_to([(6, "n3")]))


# ---------------------------------------------------------------------------- partitions, limits


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_partitions_narrow_the_read(cluster: Cluster, protocol: str) -> None:
    with pipeline() as p:
        rows = p | read(cluster, protocol, partitions=["february"], columns=["id"])
        assert_that(rows, equal_to([(i,) for i in range(1, ROWS, 2)]))


def test_an_unknown_partition_is_found_at_construction(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="nope"):
        read(cluster, partitions=["nope"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_limit_counts_over_all_splits(cluster: Cluster, protocol: str) -> None:
    limit = 37
    with pipeline(direct_num_workers=2, direct_running_mode="multi_threading") as p:
        rows = p | read(cluster, protocol, columns=["id"], limit=limit)
        distinct = rows | beam.Distinct() | "A" >> beam.combiners.Count.Globally()
        assert_that(distinct, equal_to([limit]))
        count = rows | "B" >> beam.combiners.Count.Globally()
        assert_that(count, equal_to([limit]), label="all")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_limit_counts_the_rows_that_pass_the_filter(cluster: Cluster, protocol: str) -> None:
    with pipeline() as p:
        rows = p | read(
            cluster, protocol, columns=["id"], limit=9, filter=col("id") >= 395, partitions=None
        )
        assert_that(rows, equal_to([(i,) for i in range(395, 400)]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("more", [{}, {"limit": 3}, {"partitions": ["january"]}])
def test_an_empty_table_gives_an_empty_typed_result(
    cluster: Cluster, protocol: str, more: dict[str, Any]
) -> None:
    with pipeline() as p:
        rows = p | read(cluster, protocol, table="asked.nothing", output="row", **more)
        assert [name for name, _ in rows.element_type._fields] == ["id", "day", "name"]
        assert_that(rows, is_empty())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_fully_pruned_table_gives_an_empty_typed_result(cluster: Cluster, protocol: str) -> None:
    with pipeline() as p:
        rows = p | read(cluster, protocol, output="row", filter="day > '2030-01-01'")
        assert [name for name, _ in rows.element_type._fields] == ["id", "day", "name"]
        assert_that(rows, is_empty())


# ------------------------------------------------------------------------------ many requests


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_element_is_a_read(cluster: Cluster, protocol: str) -> None:
    requests: list[Any] = [
        {"table": "asked.events", "columns": ["id"], "filter": "id < 3"},
        ReadRequest(table="asked.events", columns=["id"], filter=col("id") == 77),
        {"table": "asked.events", "columns": ["id"], "limit": 5, "filter": "id > 200"},
        {"table": "asked.nothing", "columns": ["id"]},
    ]
    with pipeline() as p:
        rows = (
            p
            | beam.Create(requests, reshuffle=False)
            | ReadAllFromDoris(cluster.doris, options=ReadOptions(protocol=protocol))
        )
        small = rows | beam.Filter(lambda row: row["id"] < 200)
        assert_that(small, equal_to([{"id": i} for i in (0, 1, 2, 77)]))
        large = rows | beam.Filter(lambda row: row["id"] > 200) | beam.combiners.Count.Globally()
        assert_that(large, equal_to([5]), label="limited")


def test_requests_may_be_queries_and_come_in_windows(cluster: Cluster) -> None:
    with pipeline() as p:
        rows = (
            p
            | beam.Create([{"query": f"SELECT {i} AS n"} for i in range(3)], reshuffle=False)
            | beam.Map(lambda one: beam.window.TimestampedValue(one, 100))
            | beam.WindowInto(beam.window.FixedWindows(10))
            | ReadAllFromDoris(cluster.doris)
        )
        assert_that(rows, equal_to([{"n": 0}, {"n": 1}, {"n": 2}]))


def test_requests_of_one_schema_give_rows(cluster: Cluster) -> None:
    schema = read(cluster).schema
    with pipeline() as p:
        rows = (
            p
            | beam.Create([{"table": "asked.events", "filter": "id = 4"}], reshuffle=False)
            | ReadAllFromDoris(cluster.doris, output="row", schema=schema)
        )
        assert_that(rows | beam.Map(lambda row: (row.id, row.name)), equal_to([(4, "n4")]))


@pytest.mark.parametrize(
    ("element", "words"),
    [
        ("asked.events", "no read request"),
        ({"tabel": "asked.events"}, "there is no 'tabel'"),
        ({"table": "asked.events", "limit": 0}, "limit is a positive int"),
    ],
)
def test_a_wrong_request_fails_with_its_reason(cluster: Cluster, element: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words), pipeline() as p:
        p | beam.Create([element], reshuffle=False) | ReadAllFromDoris(cluster.doris)


def test_a_request_for_a_table_that_is_not_there_is_typed(cluster: Cluster) -> None:
    missing = beam.Create([{"table": "asked.missing"}], reshuffle=False)
    with pytest.raises(NotFoundError), pipeline() as p:
        p | missing | ReadAllFromDoris(cluster.doris)


# ----------------------------------------------------------------------------------- templates


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_argument_may_come_at_run_time(
    cluster: Cluster, protocol: str, template: type[AtRunTime]
) -> None:
    doris = DeferredConnection(
        fenodes=template(f"127.0.0.1:{cluster.ready['fe_http']}"),
        username=template("root"),
        password=template(""),
    )
    p = pipeline()
    rows = p | ReadFromDoris(
        doris,
        table=template("asked.events"),
        columns=template(["name", "id"]),
        filter=template("id < 6"),
        partitions=template(["january"]),
        limit=template(10),
        output="dict",
        options=ReadOptions(protocol=protocol),
    )
    assert_that(rows, equal_to([{"name": f"n{i}", "id": i} for i in (0, 2, 4)]))
    template.running = True
    p.run().wait_until_finish()


def test_a_template_with_a_schema_gives_rows(cluster: Cluster, template: type[AtRunTime]) -> None:
    columns = [("id", "INT"), ("name", "VARCHAR(20)")]
    schema = TableSchema(
        table=TableId("asked", "events"),
        columns=tuple(Column(name=name, type=parse_type(kind)) for name, kind in columns),
    )
    p = pipeline()
    rows = p | ReadFromDoris(
        cluster.doris, table=template("asked.events"), filter="id = 7", schema=schema
    )
    assert_that(rows | beam.Map(lambda row: (row.id, row.name)), equal_to([(7, "n7")]))
    template.running = True
    p.run().wait_until_finish()


def test_a_template_s_query_comes_at_run_time(cluster: Cluster, template: type[AtRunTime]) -> None:
    p = pipeline()
    rows = p | ReadFromDoris(cluster.doris, query=template("SELECT 5 AS n"), output="arrow")
    assert rows.element_type is pa.RecordBatch
    assert_that(rows | beam.Map(lambda batch: batch.to_pylist()), equal_to([[{"n": 5}]]))
    template.running = True
    p.run().wait_until_finish()


def test_a_static_value_is_checked_when_the_pipeline_is_built(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="evnts"):
        read(cluster, table=StaticValueProvider(str, "asked.evnts"))


def test_a_deferred_row_output_needs_a_schema(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="needs the schema"):
        ReadFromDoris(cluster.doris, table=AtRunTime("asked.events"))


def test_a_wrong_value_of_a_template_fails_on_the_worker(
    cluster: Cluster, template: type[AtRunTime]
) -> None:
    p = pipeline()
    p | ReadFromDoris(cluster.doris, table=template("events"), output="dict")
    template.running = True
    with pytest.raises(ConfigError, match=r"database\.table"):
        p.run()


def test_the_display_data_shows_neither_secret_nor_deferred_value(cluster: Cluster) -> None:
    shown = read(cluster, table="asked.events", limit=3).display_data()
    assert shown["table"] == "asked.events"
    assert shown["limit"] == 3
    deferred = ReadFromDoris(
        DeferredConnection(fenodes=AtRunTime("x:1"), username="root", password="hunter2"),
        table=AtRunTime("asked.events"),
        output="dict",
    )
    assert "hunter2" not in repr(deferred.display_data())
    assert deferred.display_data()["fenodes"] == "at run time"
