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
"""Many tables in one sink; tables that are created or emptied, against the emulator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_doris.errors import ConfigError, RowEncodingError
from beam_doris.options.many_tables import ManyTables
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    LoadFormat,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
    WriteOptions,
)
from beam_doris.write.destinations import Routed
from beam_doris.write.sink import WriteToDoris
from beam_doris.write.table_setup import CreateTable
from tests.beam.cluster import Cluster, pipeline
from tests.beam.collecting import collect, collected

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

# the whole form has 1,000
TABLES = int(os.environ.get("BEAM_DORIS_TABLES", "25"))
ONE = 'DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES ("replication_num" = "1")'


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A cluster with databases of its own."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE many")
    cluster.sql("CREATE DATABASE other")
    return cluster


@pytest.fixture
def tables(cluster: Cluster) -> Iterator[list[str]]:
    """Tables whose names would be one label if dots became underscores."""
    names = ["many.a_b", "many.a", "other.a_b"]
    for name in names:
        cluster.sql(f"CREATE TABLE {name} (id INT NOT NULL, v STRING) DUPLICATE KEY(id) {ONE}")
    yield names
    for name in names:
        cluster.sql(f"DROP TABLE {name}")


def sink(cluster: Cluster, table: Any, **more: Any) -> WriteToDoris:
    """A write."""
    return WriteToDoris(cluster.doris, **{"table": table, "label_prefix": "m", **more})


def content(cluster: Cluster, table: str) -> list[tuple[Any, ...]]:
    """Every row that is visible, each as often as it is there."""
    return cluster.sql(f"SELECT * FROM {table} ORDER BY id")


MODES: list[WriteMode] = [TwoPhaseCommit(), PlainLoad(), BatchLoad(), GroupCommit("sync")]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: type(mode).__name__)
def test_elements_carry_their_tables_in_every_mode(
    cluster: Cluster, tables: list[str], mode: WriteMode
) -> None:
    elements = [Routed(tables[i % 3], {"id": i, "v": f"v{i}"}) for i in range(300)]
    with pipeline() as p:
        written = p | beam.Create(elements) | sink(cluster, None, mode=mode)
        collect(written.committed_loads | beam.Map(lambda load: (load.table, load.label)))
    for place, table in enumerate(tables):
        expected = [(i, f"v{i}") for i in range(300) if i % 3 == place]
        assert content(cluster, table) == expected
    loads = collected()
    assert {table for table, _ in loads} == set(tables)
    if not isinstance(mode, GroupCommit):
        assert len({label for _, label in loads}) == len(loads)


def test_a_callable_names_the_table(cluster: Cluster, tables: list[str]) -> None:
    rows = [{"id": i, "v": "x"} for i in range(6)]
    with pipeline() as p:
        p | beam.Create(rows) | sink(cluster, lambda row: ["many.a", "other.a_b"][row["id"] % 2])
    assert [row[0] for row in content(cluster, "many.a")] == [0, 2, 4]
    assert [row[0] for row in content(cluster, "other.a_b")] == [1, 3, 5]


@pytest.mark.parametrize("form", ["dict", "row", "tuple"])
def test_a_template_is_filled_from_fields_that_are_not_columns(
    cluster: Cluster, tables: list[str], form: str
) -> None:
    rows: list[Any] = [("a", 1, "x"), ("a_b", 2, "y")]
    names = ["t", "id", "v"]
    if form != "tuple":
        rows = [dict(zip(names, row, strict=True)) for row in rows]
    if form == "row":
        rows = [beam.Row(**row) for row in rows]
    columns = names if form == "tuple" else None
    with pipeline() as p:
        p | beam.Create(rows) | sink(cluster, "many.{t}", columns=columns)
    assert content(cluster, "many.a") == [(1, "x")]
    assert content(cluster, "many.a_b") == [(2, "y")]
    assert content(cluster, "other.a_b") == []


def test_a_value_never_escapes_into_another_database(cluster: Cluster, tables: list[str]) -> None:
    row = {"t": "x`.`a", "id": 1, "v": "x"}
    with pytest.raises(RowEncodingError, match="no table"), pipeline() as p:
        p | beam.Create([row]) | sink(cluster, "other.{t}")


def test_raw_lines_carry_their_tables_as_in_the_manual(cluster: Cluster, tables: list[str]) -> None:
    options = WriteOptions(load_format=LoadFormat.CSV, load_properties={"column_separator": ","})
    elements = [Routed("many.a", "1,David"), Routed("many.a_b", b"2,Jack\n")]
    with pipeline() as p:
        p | beam.Create(elements) | sink(cluster, None, options=options)
    assert content(cluster, "many.a") == [(1, "David")]
    assert content(cluster, "many.a_b") == [(2, "Jack")]


def test_batches_carry_their_tables(cluster: Cluster, tables: list[str]) -> None:
    batch = pa.record_batch({"id": pa.array([1, 2], pa.int32()), "v": pa.array(["x", None])})
    with pipeline() as p:
        p | beam.Create([Routed("many.a", batch)]) | sink(cluster, None)
    assert content(cluster, "many.a") == [(1, "x"), (2, None)]


def test_what_goes_to_no_table_leaves_with_its_reason(cluster: Cluster, tables: list[str]) -> None:
    elements: list[Any] = [
        Routed("many.nobody", {"id": 1}),
        Routed("nodatabase", {"id": 2}),
        Routed("hive.many.a", {"id": 3}),
        {"id": 4},
        Routed("many.a", {"id": "five"}),
        Routed("many.a", {"id": 6, "v": "x"}),
    ]
    with pipeline() as p:
        written = p | beam.Create(elements) | sink(cluster, None, on_row_error="dead_letter")
        collect(written.failed_rows | beam.Map(lambda r: (r.row["id"], r.table, r.reason)))
    out = {found[0]: found[1:] for found in collected()}
    assert content(cluster, "many.a") == [(6, "x")]
    assert set(out) == {1, 2, 3, 4, "five"}
    assert [out[i][0] for i in (1, 2, 4)] == ["many.nobody", "nodatabase", "*.*"]
    assert "no table" in out[1][1]
    assert "names no database" in out[2][1]
    assert "catalog" in out[3][1]
    assert "carries no table" in out[4][1]
    assert out["five"][0] == "many.a"


def test_an_unknown_table_fails_the_pipeline_where_nobody_takes_its_rows(
    cluster: Cluster, tables: list[str]
) -> None:
    elements = [Routed("many.nobody", {"id": 1}), Routed("many.a", {"id": 1})]
    with pytest.raises(RowEncodingError, match="no table") as failure, pipeline() as p:
        p | beam.Create(elements) | sink(cluster, None)
    assert failure.value.table == "many.nobody"
    assert content(cluster, "many.a") == []


def test_refused_rows_of_one_table_do_not_hold_up_the_others(cluster: Cluster) -> None:
    for name in ("p1", "p2"):
        cluster.sql(
            f"CREATE TABLE many.{name} (id INT NOT NULL) DUPLICATE KEY(id) PARTITION BY RANGE(id) "
            f'(PARTITION p VALUES LESS THAN ("10")) {ONE}'
        )
    elements = [Routed(f"many.p{1 + i % 2}", {"id": i}) for i in range(12)]
    with pipeline() as p:
        written = p | beam.Create(elements) | sink(cluster, None, on_row_error="dead_letter")
        out = written.failed_rows | beam.Map(lambda r: (r.table, r.row["id"]))
        assert_that(out, equal_to([("many.p1", 10), ("many.p2", 11)]))
    assert [row[0] for row in content(cluster, "many.p1")] == [0, 2, 4, 6, 8]
    assert [row[0] for row in content(cluster, "many.p2")] == [1, 3, 5, 7, 9]


def test_many_tables_share_one_sink(cluster: Cluster) -> None:
    for i in range(TABLES):
        cluster.sql(f"CREATE TABLE many.t{i} (id INT, v STRING) DUPLICATE KEY(id) {ONE}")
    rows = [{"n": i % TABLES, "id": i, "v": "x" * 20} for i in range(TABLES * 20)]
    p = pipeline()
    created = p | beam.Create(rows, reshuffle=False)
    written = created | sink(cluster, "many.t{n}")
    collect(written.committed_loads | beam.Map(lambda load: (load.table, load.rows)))
    p.run().wait_until_finish()
    # one load each: rows wait for each other
    assert sorted(collected()) == sorted((f"many.t{i}", 20) for i in range(TABLES))
    counted = [
        cluster.sql(f"SELECT COUNT(*), SUM(id % {TABLES}) FROM many.t{i}")[0] for i in range(TABLES)
    ]
    assert [(int(rows), int(own)) for rows, own in counted] == [(20, 20 * i) for i in range(TABLES)]


@pytest.mark.parametrize("mode", [TwoPhaseCommit(), BatchLoad()], ids=lambda m: type(m).__name__)
def test_a_small_budget_makes_more_loads_and_loses_nothing(
    cluster: Cluster, tables: list[str], mode: WriteMode
) -> None:
    options = WriteOptions(
        mode=mode, batch_rows=64, many_tables=ManyTables(max_bytes=2_000, max_open_loads=1)
    )
    elements = [Routed(tables[i % 3], {"id": i, "v": "y" * 30}) for i in range(1_500)]
    with pipeline() as p:
        created = p | beam.Create(elements, reshuffle=False)
        written = created | sink(cluster, None, options=options)
        collect(written.committed_loads | beam.Map(lambda load: load.table))
    assert len(collected()) > 6
    for place, table in enumerate(tables):
        assert [row[0] for row in content(cluster, table)] == list(range(place, 1_500, 3))


def test_partial_rows_of_many_tables_keep_their_order(cluster: Cluster) -> None:
    for name in ("u1", "u2"):
        cluster.sql(f"CREATE TABLE many.{name} (id INT, a INT, b INT) UNIQUE KEY(id) {ONE}")
    elements = []
    for i in range(30):
        row = {"id": i % 2, "a": i} if i % 3 else {"id": i % 2, "a": -i, "b": i}
        elements.append(Routed(f"many.u{1 + i % 5 % 2}", row))
    expected: dict[str, dict[int, list[Any]]] = {"many.u1": {}, "many.u2": {}}
    for element in elements:
        kept = expected[str(element.table)].setdefault(element.row["id"], [None, None])
        kept[0] = element.row["a"]
        kept[1] = element.row.get("b", kept[1])
    with pipeline() as p:
        created = p | beam.Create(elements, reshuffle=False)
        created | sink(cluster, None, partial_columns=True)
    for table, rows in expected.items():
        assert {r[0]: list(r[1:]) for r in content(cluster, table)} == rows


# ---------------------------------------------------------------------------- created, emptied

TEMPLATE = CreateTable(
    columns={"id": "INT NOT NULL", "day": "DATE NOT NULL", "v": "STRING"},
    keys=["id", "day"],
    model="UNIQUE",
    distributed_by=["id"],
    buckets=2,
    partition_by='RANGE(day) (PARTITION p VALUES LESS THAN ("2030-01-01"))',
    properties={"replication_num": "1", "enable_unique_key_merge_on_write": "true"},
    comment="made by a test",
)
ROWS = [{"id": i % 3, "day": "2024-01-02", "v": f"v{i}"} for i in range(5)]


@pytest.mark.parametrize("validate", [True, False])
def test_a_missing_table_is_created_and_one_that_is_there_is_kept(
    cluster: Cluster, validate: bool
) -> None:
    name = f"many.made{int(validate)}"
    for _ in range(2):
        with pipeline() as p:
            created = p | beam.Create(ROWS, reshuffle=False)
            created | sink(cluster, name, create=TEMPLATE, validate=validate)
    assert [(row[0], row[2]) for row in content(cluster, name)] == [(0, "v3"), (1, "v4"), (2, "v2")]
    statement = cluster.sql(f"SHOW CREATE TABLE {name}")[0][1]
    for words in ("UNIQUE KEY(`id`, `day`)", "BUCKETS 2", "PARTITION BY RANGE", "made by a test"):
        assert words in statement


def test_many_missing_tables_are_created(cluster: Cluster) -> None:
    rows = [{"n": i % 3, **row} for i, row in enumerate(ROWS)]
    with pipeline() as p:
        p | beam.Create(rows) | sink(cluster, "many.new_{n}", create=TEMPLATE)
    assert sum(len(content(cluster, f"many.new_{n}")) for n in range(3)) == 5 - 2


def test_without_a_template_a_missing_table_is_refused_when_built(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"many\.missing"):
        sink(cluster, "many.missing")


def test_truncate_replaces_the_rows_of_a_table(cluster: Cluster, tables: list[str]) -> None:
    for start in (0, 100):
        with pipeline() as p:
            rows = p | beam.Create([{"id": start + i, "v": "x"} for i in range(3)])
            rows | sink(cluster, "many.a", write_disposition="truncate")
    assert [row[0] for row in content(cluster, "many.a")] == [100, 101, 102]


def test_truncate_empties_a_table_even_if_no_row_comes(cluster: Cluster, tables: list[str]) -> None:
    cluster.sql("INSERT INTO many.a VALUES (1, 'old')")
    with pipeline() as p:
        nothing = p | beam.Create([{"id": 1, "v": "x"}]) | beam.Filter(lambda row: False)
        nothing | sink(cluster, "many.a", write_disposition="truncate")
    assert content(cluster, "many.a") == []


def test_what_cannot_be_is_refused_when_built(cluster: Cluster, tables: list[str]) -> None:
    with pytest.raises(ConfigError, match="for one table"):
        sink(cluster, None, write_disposition="truncate")
    with pytest.raises(ConfigError, match="not one of 'append', 'truncate'"):
        sink(cluster, "many.a", write_disposition="replace")
    with pytest.raises(ConfigError, match="not the name of a field"):
        sink(cluster, "many.{a.b}")
    with pytest.raises(ConfigError, match="not 3"):
        sink(cluster, 3)
    with pytest.raises(ConfigError) as failure:
        CreateTable(columns={"a": "INT"}, keys=["b"], model="HEAP", comment='say "x"')
    assert len(failure.value.problems) == 4
