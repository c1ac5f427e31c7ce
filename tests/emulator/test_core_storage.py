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
"""What tables keep, and what readers of each version see (P 1.5, 4.1)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from beam_doris.emulator.catalog import Distribution, KeysModel, PartitionBy
from beam_doris.emulator.errors import LoadRefused, VersionMerged
from beam_doris.emulator.table_spec import PartitionSpec
from tests.emulator.core_cluster import Cluster, col, values

UNIQUE = KeysModel.UNIQUE_KEYS
MONTHS = PartitionBy(kind="RANGE", columns=("d",), auto_expression="date_trunc(`d`, 'month')")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(backends=3)
    yield cluster
    cluster.close()


def versions(cluster: Cluster, name: str = "t") -> dict[int, int]:
    return {partition.id: partition.version for partition in cluster.table(name).partitions}


def test_duplicate_table_keeps_identical_rows(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT"), col("v", "STRING")])
    cluster.load(values("k, v", "1, 'a'", "1, 'a'"))
    cluster.load(values("k, v", "1, 'a'"))
    assert cluster.rows() == [(1, "a")] * 3


def test_unique_table_keeps_the_newest_row_as_a_whole(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT"), col("v", "STRING")], model=UNIQUE)
    cluster.load(values("k, v", "1, 'a'", "1, 'b'", "NULL, 'n'"))
    assert cluster.rows() == [(1, "b"), (None, "n")]
    cluster.load(values("k, v", "1, NULL", "NULL, 'm'"))
    assert cluster.rows() == [(1, None), (None, "m")], "NULL keys are equal to each other"


def test_largest_sequence_wins_within_and_across_loads(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("s", "INT"), col("v", "STRING")],
        model=UNIQUE,
        properties={"function_column.sequence_col": "s"},
    )
    cluster.load(values("k, s, v", "1, 1, 'a'", "1, 9, 'c'", "1, 5, 'b'"))
    assert cluster.rows() == [(1, 9, "c")]
    cluster.load(values("k, s, v", "1, 8, 'late'"))
    assert cluster.rows() == [(1, 9, "c")]
    cluster.load(values("k, s, v", "1, 9, 'equal'"))
    assert cluster.rows() == [(1, 9, "equal")], "an equal sequence that arrives later wins"


def test_smaller_sequence_loses_against_a_deleted_row(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("v", "INT")],
        model=UNIQUE,
        properties={"function_column.sequence_type": "bigint"},
    )
    cluster.load("SELECT 1 AS k, 1 AS v, 0 AS __ord, 10 AS __seq")
    cluster.load("SELECT 1 AS k, 0 AS __ord, 20 AS __seq, TRUE AS __del")
    cluster.load("SELECT 1 AS k, 2 AS v, 0 AS __ord, 15 AS __seq")
    assert cluster.rows() == []
    cluster.load("SELECT 1 AS k, 3 AS v, 0 AS __ord, 25 AS __seq")
    assert cluster.rows() == [(1, 3)]


def test_full_row_load_must_name_the_sequence(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("v", "INT")],
        model=UNIQUE,
        properties={"function_column.sequence_col": "v"},
    )
    with pytest.raises(LoadRefused, match="need to specify the sequence column"):
        cluster.load("SELECT 1 AS k, 0 AS __ord")


def test_delete_sign_removes_the_key(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT"), col("v", "STRING", nullable=False)], model=UNIQUE)
    cluster.load(values("k, v", "1, 'a'", "2, 'b'"))
    cluster.load("SELECT 2 AS k, 0 AS __ord, TRUE AS __del")
    assert cluster.rows(hidden=True) == [(1, "a", 0, 2)]


def test_aggregate_table_folds_on_read(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [
            col("k", "INT"),
            col("s", "DECIMAL(10, 2)", aggregation="SUM"),
            col("a", "VARCHAR(9)", aggregation="MAX"),
            col("i", "INT", aggregation="MIN"),
            col("r", "INT", aggregation="REPLACE"),
            col("n", "INT", aggregation="REPLACE_IF_NOT_NULL"),
            col("b", "BITMAP", aggregation="BITMAP_UNION"),
        ],
        model=KeysModel.AGG_KEYS,
    )
    cluster.load("SELECT 0 k, 1.25 s, 'a' a, 1 i, 1 r, 1 n, [3]::UBIGINT[] b, 0 __ord")
    cluster.load("SELECT 0 k, 2.25 s, '' a, 2 i, 2 r, 2 n, [1, 3]::UBIGINT[] b, 0 __ord")
    cluster.load("SELECT 0 k, 0 __ord")
    ((k, s, a, i, r, n, b),) = cluster.rows()
    assert (k, str(s), a, i, r, n, b) == (0, "3.50", "a", 1, None, 2, [1, 3])


@pytest.mark.parametrize("model", [KeysModel.DUP_KEYS, UNIQUE])
def test_read_of_an_older_version_is_exact_until_compaction(
    cluster: Cluster, model: KeysModel
) -> None:
    cluster.create("t", [col("k", "INT"), col("v", "INT")], model=model)
    seen = []
    for number in range(5):
        rows = ", ".join(f"({key}, {number}, {key})" for key in range(number, number + 4))
        cluster.load(f"SELECT * FROM (VALUES {rows}) x(k, v, __ord)")
        seen.append((versions(cluster), cluster.rows()))
    cluster.engine.storage.delete_where(cluster.table(), "k >= 6")
    seen.append((versions(cluster), cluster.rows()))
    assert all(cluster.rows(versions=pinned) == rows for pinned, rows in seen)
    assert len({str(rows) for _, rows in seen}) == 6
    cluster.engine.storage.compact(cluster.table())
    assert cluster.rows(versions=seen[-1][0]) == seen[-1][1]
    with pytest.raises(VersionMerged):
        cluster.rows(versions=seen[0][0])


def test_tablets_split_the_rows_without_overlap(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("v", "INT")],
        distribution=Distribution(kind="HASH", columns=("k",), buckets=8),
    )
    cluster.load("SELECT i::INT AS k, i AS v, i AS __ord FROM range(1000) r(i)")
    parts = [cluster.rows(tablets=[tablet.id]) for tablet in cluster.table().tablets()]
    assert sorted(row for rows in parts for row in rows) == cluster.rows()
    assert all(parts), "a thousand keys reach every one of eight buckets"
    bucket = cluster.engine.storage.bucket_sql(cluster.table(), lambda name: f'"{name}"')
    tablets = list(cluster.table().tablets())
    for tablet, rows in zip(tablets, parts, strict=True):
        source = cluster.engine.storage.visible_sql(cluster.table(), tablets=[tablet.id])
        assert cluster.sql(f"SELECT DISTINCT {bucket} FROM ({source})") == [(tablet.bucket,)], rows


def test_random_distribution_spreads_equal_rows(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT")], distribution=Distribution(kind="RANDOM", buckets=4))
    cluster.load("SELECT 7 AS k, i AS __ord FROM range(100) r(i)")
    assert sorted(cluster.engine.storage.tablet_rows(cluster.table()).values()) == [25] * 4


def test_null_in_a_not_null_column_is_refused_by_row(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT", nullable=False), col("v", "INT")])
    result = cluster.load(values("k, v", "1, 1", "NULL, 2", "3, NULL"))
    assert result.loaded == 2
    ((row, reason),) = result.rejected
    assert row == 1
    assert "column_name[k], null value for not null column" in reason
    assert cluster.rows() == [(1, 1), (3, None)]


def test_left_out_columns_take_defaults(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [
            col("k", "INT"),
            col("n", "INT", default="10"),
            col("e", "VARCHAR(8)", default=""),
            col("i", "IPV4", default="10.0.0.1"),
            col("at", "DATETIME(3)", default="CURRENT_TIMESTAMP(3)", default_is_function=True),
            col("x", "BIGINT"),
        ],
    )
    cluster.load("SELECT 1 AS k, 0 AS __ord")
    ((k, n, e, i, at, x),) = cluster.rows()
    assert (k, n, e, i, x) == (1, 10, "", (10 << 24) + 1, None)
    assert str(at) == "2023-11-14 22:13:20", "the default asks the emulator's clock"


def test_not_null_column_without_default_must_be_given(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT"), col("v", "INT", nullable=False)])
    with pytest.raises(LoadRefused, match="has no default value, column=v"):
        cluster.load("SELECT 1 AS k, 0 AS __ord")


def test_unknown_source_column_is_refused(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT")])
    with pytest.raises(LoadRefused, match="unknown reference column, column=zz"):
        cluster.load("SELECT 1 AS k, 2 AS zz, 0 AS __ord")


def test_generated_column_is_computed(cluster: Cluster) -> None:
    cluster.create("t", [col("a", "INT"), col("b", "INT"), col("c", "INT", generated="a + b")])
    cluster.load(values("a, b", "2, 3"))
    assert cluster.rows() == [(2, 3, 5)]


def test_auto_increment_numbers_rows_without_a_number(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("id", "BIGINT", nullable=False, auto_increment=1), col("v", "INT")],
        model=UNIQUE,
    )
    cluster.load(values("v", "5", "6"))
    cluster.load("SELECT 5 AS v, NULL AS id, 0 AS __ord")
    ids = [row[0] for row in cluster.rows()]
    assert len(set(ids)) == 3
    assert min(ids) >= 1


def test_partial_update_keeps_the_other_columns(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("a", "INT"), col("b", "STRING"), col("c", "INT", default="7")],
        model=UNIQUE,
    )
    cluster.load(values("k, a, b, c", "1, 10, 'x', 1", "2, 20, 'y', 2"))
    cluster.load(values("k, a", "1, 11", "5, 50"), partial_columns=["k", "a"])
    assert cluster.rows() == [(1, 11, "x", 1), (2, 20, "y", 2), (5, 50, None, 7)]


def test_partial_update_sees_what_was_committed_after_it_was_staged(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT"), col("a", "INT"), col("b", "INT")], model=UNIQUE)
    cluster.load(values("k, a, b", "1, 1, 1"))
    txn = cluster.begin()
    cluster.append(txn, values("k, a", "1, 2"), partial_columns=["k", "a"])
    cluster.load(values("k, a, b", "1, 8, 9"))
    cluster.engine.transactions.finish(txn.id)
    assert cluster.rows() == [(1, 2, 9)]


def test_partial_update_may_leave_out_the_sequence(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("a", "INT"), col("seq", "INT")],
        model=UNIQUE,
        properties={"function_column.sequence_col": "seq"},
    )
    cluster.load(values("k, a, seq", "1, 10, 5"))
    cluster.load(values("k, a", "1, 11"), partial_columns=["k", "a"])
    assert cluster.rows() == [(1, 11, 5)]
    cluster.load(values("k, a, seq", "1, 12, 4"))
    assert cluster.rows() == [(1, 11, 5)]


def test_partial_update_needs_merge_on_write(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("a", "INT")],
        model=UNIQUE,
        properties={"enable_unique_key_merge_on_write": "false"},
    )
    with pytest.raises(LoadRefused, match="Only unique key merge on write support partial update"):
        cluster.load(values("k, a", "1, 1"), partial_columns=["k", "a"])


def test_partial_update_of_a_new_key_needs_values_for_not_null_columns(cluster: Cluster) -> None:
    cluster.create(
        "t", [col("k", "INT"), col("a", "INT"), col("b", "INT", nullable=False)], model=UNIQUE
    )
    cluster.load(values("k, a, b", "1, 1, 1"))
    cluster.load(values("k, a", "1, 2"), partial_columns=["k", "a"])
    with pytest.raises(LoadRefused, match="`b` should have default value or be nullable"):
        cluster.load(values("k, a", "2, 2"), partial_columns=["k", "a"])
    assert cluster.rows() == [(1, 2, 1)]


def test_range_partition_takes_its_lower_bound_only(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("d", "DATE"), col("v", "INT")],
        partition_by=PartitionBy(kind="RANGE", columns=("d",)),
        partitions=[
            PartitionSpec(name="p1", less_than=("2020-02-01",)),
            PartitionSpec(name="p2", lower=("2020-02-01",), upper=("2020-03-01",)),
        ],
    )
    result = cluster.load(
        values(
            "d, v",
            "DATE '2020-01-31', 1",
            "DATE '2020-02-01', 2",
            "DATE '2020-03-01', 3",
            "NULL, 4",
        )
    )
    assert [row[1] for row in cluster.rows(partitions=["p1"])] == [1, 4], "NULL is the smallest"
    assert [row[1] for row in cluster.rows(partitions=["P2"])] == [2]
    ((number, reason),) = result.rejected
    assert number == 2
    assert reason.startswith("no partition for this tuple")


def test_range_partitions_over_two_columns(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("a", "INT"), col("b", "INT")],
        partition_by=PartitionBy(kind="RANGE", columns=("a", "b")),
        partitions=[
            PartitionSpec(name="p1", less_than=("10", "5")),
            PartitionSpec(name="p2", less_than=("10", None)),
            PartitionSpec(name="p3", less_than=("20",)),
            PartitionSpec(name="p4", less_than=(None, None)),
        ],
    )
    cluster.load(
        values("a, b", "9, 99", "10, 4", "10, 5", "10, 999", "11, 0", "19, 9", "20, 0", "99, 99")
    )
    found = {name: cluster.rows(partitions=[name]) for name in ("p1", "p2", "p3", "p4")}
    assert found == {
        "p1": [(9, 99), (10, 4)],
        "p2": [(10, 5), (10, 999)],
        "p3": [(11, 0), (19, 9)],
        "p4": [(20, 0), (99, 99)],
    }


def test_load_restricted_to_partitions_refuses_the_rest(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT")],
        partition_by=PartitionBy(kind="RANGE", columns=("k",)),
        partitions=[
            PartitionSpec(name="p1", less_than=("10",)),
            PartitionSpec(name="p2", less_than=("20",)),
        ],
    )
    before = versions(cluster)
    result = cluster.load(values("k", "1", "11"), partitions=["p1"])
    assert (result.loaded, [number for number, _ in result.rejected]) == (1, [1])
    p1, p2 = cluster.table().partitions
    assert (p1.version, p2.version) == (before[p1.id] + 1, before[p2.id])


def test_list_partition_without_values_takes_the_rest(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("v", "INT")],
        partition_by=PartitionBy(kind="LIST", columns=("k",)),
        partitions=[
            PartitionSpec(name="p1", values=(("1",), ("2",))),
            PartitionSpec(name="pn", values=((None,),)),
            PartitionSpec(name="rest"),
        ],
    )
    cluster.load(values("k, v", "1, 0", "NULL, 1", "9, 2"))
    names = ("p1", "pn", "rest")
    assert [cluster.rows(partitions=[name]) for name in names] == [[(1, 0)], [(None, 1)], [(9, 2)]]


def test_auto_range_partitions_are_made_by_the_rows(cluster: Cluster) -> None:
    cluster.create("t", [col("d", "DATE", nullable=False), col("v", "INT")], partition_by=MONTHS)
    assert cluster.table().partitions == ()
    days = ("DATE '2022-11-14', 1", "DATE '2022-12-15', 2", "DATE '2022-12-16', 3")
    cluster.load(values("d, v", *days))
    cluster.load(values("d, v", *days))
    names = [partition.name for partition in cluster.table().partitions]
    assert names == ["p20221101000000", "p20221201000000"]
    assert len(cluster.rows(partitions=["p20221201000000"])) == 4


def test_auto_list_partitions_are_made_by_the_rows(cluster: Cluster) -> None:
    by = PartitionBy(kind="LIST", columns=("c",), auto_expression="`c`")
    cluster.create("t", [col("c", "VARCHAR(9)"), col("v", "INT")], partition_by=by)
    cluster.load(values("c, v", "'it''s', 1", "'b', 2", "NULL, 3", "'b', 4"))
    assert len(cluster.table().partitions) == 3
    assert len(cluster.rows()) == 4


def test_parts_of_one_load_keep_their_order(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT"), col("v", "INT")], model=UNIQUE)
    txn = cluster.begin()
    for number in range(3):
        cluster.append(txn, values("k, v", f"1, {number}"))
    cluster.engine.transactions.finish(txn.id)
    assert cluster.rows() == [(1, 2)]


def test_delete_where_works_on_earlier_rows_only(cluster: Cluster) -> None:
    cluster.create("t", [col("k", "INT"), col("v", "INT")])
    cluster.load(values("k, v", "1, 10", "2, 20"))
    assert cluster.engine.storage.delete_where(cluster.table(), '"k" = 1') == 1
    cluster.load(values("k, v", "1, 11"))
    assert cluster.rows() == [(1, 11), (2, 20)]


def test_delete_where_leaves_the_sequence_behind(cluster: Cluster) -> None:
    cluster.create(
        "t",
        [col("k", "INT"), col("s", "INT")],
        model=UNIQUE,
        properties={"function_column.sequence_col": "s"},
    )
    cluster.load(values("k, s", "1, 10"))
    cluster.engine.storage.delete_where(cluster.table(), "k = 1")
    cluster.load(values("k, s", "1, 9"))
    assert cluster.rows() == []
    cluster.load(values("k, s", "1, 10"))
    assert cluster.rows() == [(1, 10)]


def test_full_size_load_takes_about_a_second(cluster: Cluster) -> None:
    numbers = [col(f"n{number}", "BIGINT") for number in range(12)]
    texts = [col(f"s{number}", "VARCHAR(20)") for number in range(6)]
    cluster.create("t", [col("id", "BIGINT"), *numbers, *texts], model=UNIQUE)
    items = [f"i * {number} AS n{number}" for number in range(12)]
    items += [f"'text' || i % {number + 7} AS s{number}" for number in range(6)]
    source = f"SELECT i AS id, {', '.join(items)}, i AS __ord FROM range(336776) r(i)"
    cluster.load(source)
    started = time.monotonic()
    assert cluster.load(source).loaded == 336_776
    assert time.monotonic() - started < 5, "an upsert of every row; the limit is for a busy machine"
    assert cluster.engine.storage.row_count(cluster.table()) == 336_776


def test_ten_thousand_tablets_are_made_and_pruned_quickly(cluster: Cluster) -> None:
    started = time.monotonic()
    cluster.create(
        "t",
        [col("k", "INT")],
        partition_by=PartitionBy(kind="RANGE", columns=("k",)),
        partitions=[
            PartitionSpec(name=f"p{number}", less_than=(str(number * 10),))
            for number in range(1, 101)
        ],
        distribution=Distribution(kind="HASH", columns=("k",), buckets=100),
    )
    cluster.load("SELECT i::INT AS k, i AS __ord FROM range(1000) r(i)")
    tablets = list(cluster.table().tablets())
    assert len({tablet.id for tablet in tablets}) == 10_000
    assert all(tablet.id > 0 and len(tablet.backend_ids) == 1 for tablet in tablets)
    found = sum(
        len(cluster.rows(tablets=[tablet.id for tablet in tablets[first::10]]))
        for first in range(10)
    )
    assert found == 1000
    assert time.monotonic() - started < 10
