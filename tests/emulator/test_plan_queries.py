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
"""Query plans: refusals, pruning, pinned versions, the opaque text (P 1.5)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from beam_doris.emulator.catalog import Distribution, PartitionBy
from beam_doris.emulator.plan_cookie import PlanCookie, PlanError, decode, encode
from beam_doris.emulator.table_spec import ColumnSpec, PartitionSpec, TableSpec
from beam_doris.emulator.types import parse_type
from tests.emulator.load_cluster import LoadCluster, cluster


@pytest.fixture
def doris() -> Iterator[LoadCluster]:
    with cluster(backends=3) as running:
        partitioned(running, "RANGE", "INT", [("p1", "10"), ("p2", "20"), ("p3", None)])
        yield running


def partitioned(
    doris: LoadCluster, kind: str, column: str, bounds: list[tuple[str, Any]], buckets: int = 2
) -> None:
    """Table t(k, v) partitioned by k."""
    partitions = [
        PartitionSpec(name=name, less_than=(bound,))
        if kind == "RANGE"
        else PartitionSpec(name=name, values=tuple((item,) for item in bound))
        for name, bound in bounds
    ]
    doris.engine.create_table(
        TableSpec(
            database="d",
            name="t",
            columns=(
                ColumnSpec(name="k", type=parse_type(column)),
                ColumnSpec(name="v", type=parse_type("VARCHAR(20)")),
            ),
            partition_by=PartitionBy(kind=kind, columns=("k",)),
            partitions=tuple(partitions),
            distribution=Distribution(kind="HASH", columns=("v",), buckets=buckets),
            properties={"replication_num": "2"},
        )
    )


def plan(doris: LoadCluster, sql: str) -> Any:
    body = json.dumps({"sql": sql}).encode()
    return doris.request("POST", "/api/d/t/_query_plan", body).json["data"]


def reached(doris: LoadCluster, where: str) -> set[str]:
    """Names of the partitions that a plan with this condition reads."""
    data = plan(doris, f"select k from d.t where {where}")
    assert data["status"] == 200, data
    table = doris.engine.catalog.table("d", "t")
    found = {table.partition_of(int(tablet)) for tablet in data["partitions"]}
    return {partition.name for partition in found if partition is not None}


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("k < 10", {"p1"}),
        ("k <= 10", {"p1", "p2"}),
        ("(k >= 10) and (k < 20)", {"p2"}),
        ("10 > k", {"p1"}),
        ("k between 5 and 9", {"p1"}),
        ("k in (1, 25)", {"p1", "p3"}),
        ("k = 3 or k > 100", {"p1", "p3"}),
        ("k is null", {"p1"}),
        ("k > -5 and v = 'x'", {"p1", "p2", "p3"}),
        ("not (k < 10)", {"p1", "p2", "p3"}),
        ("k + 1 < 10", {"p1", "p2", "p3"}),
        ("1 = 0", set()),
        ("k < 10 and 1 = 1", {"p1"}),
        ("k < 10.5", {"p1", "p2", "p3"}),
    ],
)
def test_ranges_are_pruned_on_the_safe_side(
    doris: LoadCluster, where: str, wanted: set[str]
) -> None:
    assert reached(doris, where) == wanted


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("k = 'a'", {"p1"}),
        ("k in ('b', 'c')", {"p1", "p2"}),
        ("k > 'b'", {"p2"}),
        ("k = 'zzz'", set()),
    ],
)
def test_lists_are_pruned(where: str, wanted: set[str]) -> None:
    with cluster() as doris:
        doris.engine.backends  # noqa: B018 - the cluster has one backend only
        partitions = [("p1", ["a", "b"]), ("p2", ["c"])]
        doris.engine.create_table(
            TableSpec(
                database="d",
                name="t",
                columns=(
                    ColumnSpec(name="k", type=parse_type("VARCHAR(9)"), nullable=False),
                    ColumnSpec(name="v", type=parse_type("INT")),
                ),
                partition_by=PartitionBy(kind="LIST", columns=("k",)),
                partitions=tuple(
                    PartitionSpec(name=name, values=tuple((item,) for item in items))
                    for name, items in partitions
                ),
                distribution=Distribution(kind="HASH", columns=("v",), buckets=2),
                properties={"replication_num": "1"},
            )
        )
        assert reached(doris, where) == wanted


def test_an_equal_distribution_column_leaves_one_bucket_that_holds_the_row(
    doris: LoadCluster,
) -> None:
    doris.load(b"".join(b"%d\tname%d\n" % (n, n) for n in range(30)))
    data = plan(doris, "select k, v from d.t where v = 'name7'")
    assert len(data["partitions"]) == 3, "one bucket of each partition"
    table = doris.engine.catalog.table("d", "t")
    tablets = [int(tablet) for tablet in data["partitions"]]
    visible = doris.engine.storage.visible_sql(table, tablets=tablets)
    with doris.engine.cursor() as cursor:
        found = cursor.sql(f"SELECT k FROM ({visible}) WHERE v = 'name7'").fetchall()
    assert found == [(7,)]


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("delete from d.t", "Select statement needed, but found [delete from d.t ]"),
        ("select x.k from d.t x", "must not embed another statement"),
        ("select k from d.t, d.u", "must have only one table"),
        ("select k from d.t where k in (select k from d.t)", "must not embed another"),
        ("select k from d.u", "request [ d.t]and sql [d.u]"),
        ("select k from d.t limit 3", "only support single table filter-prune-scan"),
        ("select count(*) from d.t", "only support single table filter-prune-scan"),
        ("select k from d.t union all select k from d.t", "only support single table"),
        ("selec k", ""),
    ],
)
def test_other_statements_are_refused_inside_of_data(
    doris: LoadCluster, sql: str, text: str
) -> None:
    data = plan(doris, sql)
    assert data["status"] == 400
    assert text in data["exception"]


def test_an_unknown_column_is_another_kind_of_refusal(doris: LoadCluster) -> None:
    data = plan(doris, "select nothing from d.t")
    assert data["status"] == "1"
    assert "nothing" in data["exception"]


def test_a_plan_pins_the_version_of_its_moment(doris: LoadCluster) -> None:
    before = plan(doris, "select k from d.t where k < 10")
    doris.load(b"1\ta\n")
    after = plan(doris, "select k from d.t where k < 10")
    versions = [{p["version"] for p in data["partitions"].values()} for data in (before, after)]
    assert [len(found) for found in versions] == [1, 1]
    assert max(versions[0]) < max(versions[1])
    pinned = decode(before["opaqued_query_plan"]).tablets
    assert set(pinned.values()) == versions[0]


def test_the_order_of_replicas_varies_and_the_dead_are_left_out(doris: LoadCluster) -> None:
    def firsts() -> set[tuple[str, ...]]:
        data = plan(doris, "select k from d.t")
        return {tuple(place["routings"]) for place in data["partitions"].values()}

    orders = set().union(*(firsts() for _ in range(20)))
    assert any(tuple(reversed(order)) in orders for order in orders)
    doris.engine.backends[0].alive = False
    dead = f"127.0.0.1:{doris.engine.backends[0].be_port}"
    assert all(dead not in order for order in firsts())


def test_a_changed_plan_is_noticed() -> None:
    cookie = PlanCookie(table_id=7, columns=("k",), filter_sql="(k > 1)", tablets={1: 2, 3: 4})
    text = encode(cookie)
    assert decode(text) == cookie
    raw = bytearray(base64.b64decode(text))
    raw[-1] ^= 1
    for broken in (base64.b64encode(raw).decode(), "!!", "", base64.b64encode(b"EDP1").decode()):
        with pytest.raises(PlanError):
            decode(broken)


def test_ten_thousand_tablets_are_planned_in_time() -> None:
    with cluster(backends=3) as doris:
        bounds = [(f"p{n}", str(n)) for n in range(1, 101)]
        partitioned(doris, "RANGE", "INT", bounds, buckets=100)
        begin = time.monotonic()
        data = plan(doris, "select k, v from d.t where k < 1000 and v like 'a%'")
        assert time.monotonic() - begin < 2.0
    assert len(data["partitions"]) == 10_000
