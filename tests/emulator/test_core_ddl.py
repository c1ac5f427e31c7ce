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
"""Which tables can be made and changed, and in which words the rest is refused (P 8.3, 8.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from beam_doris.emulator.catalog import Distribution, KeysModel, PartitionBy
from beam_doris.emulator.errors import (
    DatabaseExists,
    DatabaseMissing,
    DdlError,
    EmulatorError,
    TableExists,
    UnknownTable,
)
from beam_doris.emulator.table_spec import (
    AddColumns,
    AddPartition,
    ColumnSpec,
    DropColumn,
    DropPartition,
    ModifyColumn,
    ModifyComment,
    PartitionSpec,
    RenameColumn,
    RenamePartition,
    RenameTable,
    ReorderColumns,
    SetProperties,
    TableChange,
)
from tests.emulator.core_cluster import DB, Cluster, col, table_spec, values

UNIQUE, AGG, DUP = KeysModel.UNIQUE_KEYS, KeysModel.AGG_KEYS, KeysModel.DUP_KEYS
RANGE_K = PartitionBy(kind="RANGE", columns=("k",))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(backends=3)
    yield cluster
    cluster.close()


def keys(cluster: Cluster, columns: list[ColumnSpec], **more: Any) -> list[str]:
    table = cluster.create("t", columns, model=None, **more)
    return [column.name for column in table.key_columns]


def test_leading_columns_become_the_key_of_a_table_without_one(cluster: Cluster) -> None:
    columns = [col("k1", "INT"), col("k2", "INT"), col("k3", "INT"), col("v", "INT")]
    assert keys(cluster, columns) == ["k1", "k2", "k3"]
    assert cluster.table().model is DUP


def test_implied_key_stops_before_text_and_after_varchar(cluster: Cluster) -> None:
    columns = [col("id", "INT"), col("name", "STRING"), col("day", "DATE")]
    assert keys(cluster, columns) == ["id"]
    cluster.engine.drop_table(DB, "t")
    columns = [col("id", "INT"), col("name", "VARCHAR(9)"), col("day", "DATE")]
    assert keys(cluster, columns) == ["id", "name"]


def test_table_without_distribution_is_random(cluster: Cluster) -> None:
    spec = table_spec("t", [col("k", "INT")])
    table = cluster.engine.create_table(
        type(spec)(database=DB, name="t", columns=spec.columns, properties={"replication_num": "1"})
    )
    assert (table.distribution.kind, table.distribution.auto_buckets) == ("RANDOM", True)


K, V = col("k", "INT"), col("v", "INT")
REFUSED: list[tuple[str, list[ColumnSpec], dict[str, Any]]] = [
    ("Key columns should be a ordered prefix of the schema", [V, K], {"keys": ["k"]}),
    (
        "Key columns should be a ordered prefix of the schema",
        [col("a", "INT"), col("b", "INT")],
        {"keys": ["b", "a"]},
    ),
    ("Key column[nowhere] doesn't exist", [K, V], {"keys": ["k", "nowhere"]}),
    (
        "String Type should not be used in key column[k1]",
        [col("k1", "STRING"), V],
        {"model": UNIQUE},
    ),
    ("Float or double can not used as a key", [col("k", "DOUBLE"), V], {"model": UNIQUE}),
    (
        "Distribution column[v] is not key column",
        [K, V],
        {"model": UNIQUE, "distribution": Distribution(kind="HASH", columns=("v",), buckets=1)},
    ),
    (
        "Floating point type column can not be distribution column",
        [K, col("v", "FLOAT")],
        {"distribution": Distribution(kind="HASH", columns=("v",), buckets=1)},
    ),
    (
        "Distribution column(x) doesn't exist",
        [K, V],
        {"distribution": Distribution(kind="HASH", columns=("x",), buckets=1)},
    ),
    (
        "Create unique keys table should not contain random distribution desc",
        [K, V],
        {"model": UNIQUE, "distribution": Distribution(kind="RANDOM", buckets=1)},
    ),
    ("Unknown properties: {abc=false}", [K], {"properties": {"abc": "false"}}),
    (
        "Failed to find enough backend, please check the replication num",
        [K],
        {"properties": {"replication_num": "4"}},
    ),
    (
        "Failed to find enough backend",
        [K],
        {"properties": {"replication_allocation": "tag.location.default: 4"}},
    ),
    ("Duplicate column name 'K'", [K, col("K", "INT")], {}),
    ("column name can't start with '__DORIS_'", [K, col("__DORIS_X", "INT")], {}),
    ("Invalid number format: x", [K, col("v", "INT", default="x")], {}),
    ("Number out of range[300]", [K, col("v", "TINYINT", default="300")], {}),
    ("v should set aggregation type", [K, V], {"model": AGG}),
    (
        "Aggregate type SUM is not compatible with primitive type varchar(3)",
        [K, col("v", "VARCHAR(3)", aggregation="SUM")],
        {"model": AGG},
    ),
    ("not allowed in unique table", [K, col("v", "INT", aggregation="SUM")], {"model": UNIQUE}),
    (
        "The specified sequence column[s] not exists",
        [K, V],
        {"model": UNIQUE, "properties": {"function_column.sequence_col": "s"}},
    ),
    (
        "Sequence type only support integer types and date types",
        [K, col("s", "STRING")],
        {"model": UNIQUE, "properties": {"function_column.sequence_col": "s"}},
    ),
    (
        "Duplicate partition name p",
        [K],
        {
            "partition_by": RANGE_K,
            "partitions": [
                PartitionSpec(name="p", less_than=("1",)),
                PartitionSpec(name="p", less_than=("2",)),
            ],
        },
    ),
    (
        "is intersected with range",
        [K],
        {
            "partition_by": RANGE_K,
            "partitions": [
                PartitionSpec(name="p", lower=("1",), upper=("10",)),
                PartitionSpec(name="q", lower=("5",), upper=("20",)),
            ],
        },
    ),
    (
        "partition column must be KEY column",
        [K, V],
        {"model": UNIQUE, "partition_by": PartitionBy(kind="RANGE", columns=("v",))},
    ),
    (
        "AUTO RANGE PARTITION doesn't support NULL column",
        [col("k", "DATE")],
        {
            "partition_by": PartitionBy(
                kind="RANGE", columns=("k",), auto_expression="date_trunc(k, 'day')"
            )
        },
    ),
    ("Invalid expression of generated column 'v'", [K, col("v", "INT", generated="x + 1")], {}),
]


@pytest.mark.parametrize(("message", "columns", "more"), REFUSED)
def test_create_table_refuses(
    cluster: Cluster, message: str, columns: list[ColumnSpec], more: dict[str, Any]
) -> None:
    with pytest.raises(DdlError) as caught:
        cluster.create("t", columns, **more)
    assert message in caught.value.message
    assert cluster.engine.catalog.tables(DB) == [], "a refused CREATE TABLE leaves no table"
    cluster.create("t", [K, V])


def test_default_replication_needs_three_backends() -> None:
    spec = table_spec("t", [K])
    bare = type(spec)(database=DB, name="t", columns=spec.columns)
    for backends, fits in ((2, False), (3, True)):
        cluster = Cluster(backends=backends)
        try:
            if fits:
                tablet = next(cluster.engine.create_table(bare).tablets())
                assert len(set(tablet.backend_ids)) == 3
            else:
                with pytest.raises(DdlError, match="replication num: 3"):
                    cluster.engine.create_table(bare)
        finally:
            cluster.close()


def test_replicas_spread_over_the_backends(cluster: Cluster) -> None:
    table = cluster.create(
        "t", [K], distribution=Distribution(kind="HASH", columns=("k",), buckets=6)
    )
    homes = [tablet.backend_ids for tablet in table.tablets()]
    assert sorted(homes) == sorted([(b.id,) for b in cluster.engine.backends] * 2)


def test_names_met_twice_or_never(cluster: Cluster) -> None:
    cluster.create("t", [K])
    with pytest.raises(TableExists, match="Table 't' already exists"):
        cluster.create("t", [K])
    with pytest.raises(UnknownTable, match="Unknown table 'nowhere'"):
        cluster.engine.drop_table(DB, "nowhere")
    cluster.engine.drop_table(DB, "nowhere", if_exists=True)
    with pytest.raises(DatabaseExists, match="Can't create database 'test'; database exists"):
        cluster.engine.create_database(DB)
    with pytest.raises(DatabaseMissing, match="Can't drop database 'x'; database doesn't exist"):
        cluster.engine.drop_database("x")
    cluster.engine.create_database("TEST")
    names = [database.name for database in cluster.engine.catalog.databases()]
    assert names == ["TEST", "test"], "database names are case-sensitive"


def test_truncate_keeps_partitions_and_gives_new_tablets(cluster: Cluster) -> None:
    parts = [PartitionSpec(name=f"p{n}", less_than=(str(n * 10),)) for n in (1, 2)]
    before = cluster.create("t", [K, V], partition_by=RANGE_K, partitions=parts)
    cluster.load(values("k, v", "1, 1", "11, 2"))
    after = cluster.engine.truncate(before, ["p1"])
    assert cluster.rows() == [(11, 2)]
    assert [partition.name for partition in after.partitions] == ["p1", "p2"]
    assert not {t.id for t in before.partitions[0].tablets} & {t.id for t in after.tablets()}
    assert after.partitions[1].tablets == before.partitions[1].tablets
    cluster.engine.truncate(after)
    assert cluster.rows() == []
    cluster.load(values("k, v", "12, 1"))
    assert cluster.rows(partitions=["p2"]) == [(12, 1)]


def test_truncate_takes_the_rows_of_a_waiting_load(cluster: Cluster) -> None:
    cluster.create("t", [K, V])
    txn = cluster.prepare(values("k, v", "1, 1"))
    cluster.engine.truncate(cluster.table())
    cluster.engine.transactions.commit_precommitted(DB, txn_id=txn.id)
    assert cluster.rows() == []


def test_added_column_gets_its_place_and_fills_old_rows(cluster: Cluster) -> None:
    table = cluster.create("t", [K, V])
    cluster.load(values("k, v", "1, 2"))
    change = AddColumns(columns=(col("n", "INT", default="7"),), after="k")
    table = cluster.engine.alter(table, change)
    table = cluster.engine.alter(
        table, AddColumns(columns=(col("x", "STRING"), col("z", "INT", nullable=False)))
    )
    assert [column.name for column in table.columns] == ["k", "n", "v", "x", "z"]
    assert cluster.rows() == [(1, 7, 2, None, 0)]


def test_column_added_to_an_aggregate_table_is_folded(cluster: Cluster) -> None:
    table = cluster.create("t", [K, col("s", "BIGINT", aggregation="SUM")], model=AGG)
    cluster.load(values("k, s", "1, 1"))
    cluster.engine.alter(
        table, AddColumns(columns=(col("m", "INT", aggregation="MAX", default="1"),))
    )
    cluster.load(values("k, s, m", "1, 1, 5"))
    assert cluster.rows() == [(1, 2, 5)]


def test_dropped_column_is_gone_and_can_come_back_empty(cluster: Cluster) -> None:
    table = cluster.create("t", [K, V, col("w", "INT")], model=UNIQUE)
    cluster.load(values("k, v, w", "1, 2, 3"))
    table = cluster.engine.alter(table, DropColumn(name="V"))
    assert cluster.rows() == [(1, 3)]
    cluster.engine.alter(table, AddColumns(columns=(V,)))
    assert cluster.rows() == [(1, 3, None)]


def test_renamed_column_keeps_its_data_and_its_uses(cluster: Cluster) -> None:
    table = cluster.create(
        "t", [K, V], model=UNIQUE, properties={"function_column.sequence_col": "v"}
    )
    cluster.load(values("k, v", "1, 2"))
    table = cluster.engine.alter(table, RenameColumn(old="v", new="w"))
    table = cluster.engine.alter(table, RenameColumn(old="k", new="key"))
    assert table.distribution.columns == ("key",)
    cluster.load(values("key, w", "1, 1"))
    assert cluster.rows() == [(1, 2)], "the renamed column still is the sequence"


def test_widened_column_takes_larger_values(cluster: Cluster) -> None:
    table = cluster.create("t", [K, V, col("s", "VARCHAR(3)")])
    cluster.load(values("k, v, s", "1, 2147483647, 'abc'"))
    table = cluster.engine.alter(table, ModifyColumn(column=col("v", "BIGINT")))
    table = cluster.engine.alter(table, ModifyColumn(column=col("s", "VARCHAR(30)")))
    cluster.load(values("k, v, s", "2, 2147483648, 'abcdef'"))
    assert cluster.rows() == [(1, 2147483647, "abc"), (2, 2147483648, "abcdef")]
    assert table.column("v").type.shown() == "bigint"


ALTER_REFUSED: list[tuple[str, TableChange]] = [
    ("Can not change BOOLEAN to INT", ModifyColumn(column=col("b", "INT"))),
    ("Can not change INT to SMALLINT", ModifyColumn(column=col("v", "SMALLINT"))),
    ("Shorten type length is prohibited", ModifyColumn(column=col("s", "VARCHAR(2)"))),
    ("Can not modify distribution column[k]", ModifyColumn(column=col("k", "BIGINT"))),
    ("Column[x] does not exists", ModifyColumn(column=col("x", "INT"))),
    (
        "Can not change from nullable to non-nullable",
        ModifyColumn(column=col("v", "INT", nullable=False)),
    ),
    ("Can not add column which already exists", AddColumns(columns=(col("V", "INT"),))),
    ("Column[x] does not exists", AddColumns(columns=(col("n", "INT"),), after="x")),
    ("Invalid column order", AddColumns(columns=(col("n", "INT"),), first=True)),
    ("Column does not exists: x", DropColumn(name="x")),
    ("Can not drop key column in Unique data model table", DropColumn(name="k2")),
    ("Distribution column[k] cannot be dropped", DropColumn(name="k")),
    ("Column name[s] is already used", RenameColumn(old="v", new="s")),
    ("Column[x] does not exists", RenameColumn(old="x", new="y")),
    ("Table name[other] is already used", RenameTable(name="other")),
    ("Unknown table property: [abc=1]", SetProperties(properties={"abc": "1"})),
    (
        "Only support adding partition to range and list partitioned table",
        AddPartition(partition=PartitionSpec(name="p", less_than=("1",))),
    ),
    ("Reorder stmt should contains all columns", ReorderColumns(names=("k",))),
]


@pytest.mark.parametrize(("message", "change"), ALTER_REFUSED)
def test_alter_refuses(cluster: Cluster, message: str, change: TableChange) -> None:
    columns = [K, col("k2", "INT"), V, col("b", "BOOLEAN"), col("s", "VARCHAR(3)")]
    before = cluster.create("t", columns, model=UNIQUE, keys=["k", "k2"])
    cluster.create("other", [K])
    with pytest.raises(EmulatorError) as caught:
        cluster.engine.alter(before, change)
    assert message in caught.value.message
    assert cluster.table() == before


def test_partitions_are_added_renamed_and_dropped(cluster: Cluster) -> None:
    table = cluster.create("t", [K, V], partition_by=RANGE_K)
    for number in (1, 2):
        spec = PartitionSpec(name=f"p{number}", less_than=(str(number * 10),))
        table = cluster.engine.alter(table, AddPartition(partition=spec))
    cluster.load(values("k, v", "1, 1", "11, 2"))
    table = cluster.engine.alter(table, RenamePartition(old="p2", new="second"))
    assert cluster.rows(partitions=["second"]) == [(11, 2)]
    overlap = PartitionSpec(name="x", lower=("5",), upper=("6",))
    with pytest.raises(DdlError, match="is intersected with range"):
        cluster.engine.alter(table, AddPartition(partition=overlap))
    table = cluster.engine.alter(table, DropPartition(name="p1"))
    assert cluster.rows() == [(11, 2)]
    with pytest.raises(DdlError, match="Error in list of partitions to p1"):
        cluster.engine.alter(table, DropPartition(name="p1"))
    assert cluster.engine.alter(table, DropPartition(name="p1", if_exists=True)) == table


def test_table_is_renamed_with_its_rows(cluster: Cluster) -> None:
    table = cluster.create("t", [K])
    cluster.load(values("k", "1"))
    cluster.engine.alter(table, RenameTable(name="u"))
    assert cluster.rows("u") == [(1,)]
    assert not cluster.engine.catalog.has_table(DB, "t")


def test_comments_properties_and_order_change(cluster: Cluster) -> None:
    table = cluster.create("t", [K, V, col("w", "INT")])
    cluster.load(values("k, v, w", "1, 2, 3"))
    table = cluster.engine.alter(table, ModifyComment(comment="a table"))
    table = cluster.engine.alter(table, ModifyComment(comment="a column", column="V"))
    table = cluster.engine.alter(table, SetProperties(properties={"group_commit_interval_ms": "9"}))
    table = cluster.engine.alter(table, ReorderColumns(names=("k", "w", "v")))
    assert (table.comment, table.column("v").comment) == ("a table", "a column")
    assert table.properties["group_commit_interval_ms"] == "9"
    assert cluster.rows() == [(1, 3, 2)]


def test_drop_database_takes_tables_labels_and_rows(cluster: Cluster) -> None:
    cluster.create("t", [K])
    cluster.prepare(values("k", "1"), label="x")
    cluster.engine.drop_database(DB)
    cluster.engine.create_database(DB)
    assert cluster.engine.catalog.tables(DB) == []
    assert cluster.engine.transactions.load_state(DB, "x") == "UNKNOWN"
    assert cluster.sql("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main'") == [(0,)]
