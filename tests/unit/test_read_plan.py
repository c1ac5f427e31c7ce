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
"""Plans of large tables: quick to make, small on the wire, fair to the backends."""

from __future__ import annotations

import pickle
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_doris.beam_support.client_pool import drop_clients, lend
from beam_doris.client.contracts import FrontendInfo, QueryPlan, QueryRows, TabletPlan
from beam_doris.client.frontend import Frontend
from beam_doris.client.query_plan import parse_plan
from beam_doris.client.table_facts import TableFacts, table_facts
from beam_doris.errors import ConfigError, QueryError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.options.table_id import TableId
from beam_doris.read.plan import ScanPlan, TabletMap
from beam_doris.read.planner import Planner, split_length
from beam_doris.read.request import ReadContext, ReadRequest
from beam_doris.read.restriction import ScanTaskCoder, TabletRangeCoder, TabletRestrictions
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import parse_type

TABLE = TableId("test", "student")
DORIS = DorisConnection(fenodes="127.0.0.1:1", username="root", password="", flight_port=2)
SCHEMA = TableSchema(table=TABLE, columns=(Column(name="id", type=parse_type("INT")),))
TABLETS = 100_000
BACKENDS = 60


def answer(tablets: int, backends: int) -> dict[str, Any]:
    """What a frontend says of a table with three replicas of each tablet, as JSON has it."""
    luck = random.Random(7)
    hosts = [f"backend-{number:03d}.cluster.example:9060" for number in range(backends)]
    first = 1_718_000_000_000
    return {
        "partitions": {
            str(first + 2 * number): {"routings": luck.sample(hosts, 3), "version": 5}
            for number in range(tablets)
        },
        "opaqued_query_plan": "plan",
    }


class Server:
    """A frontend that answers from memory."""

    def __init__(self, tablets: int, *, rows: int = 0, size: int = 0, kind: str = "") -> None:
        self._data = answer(tablets, BACKENDS)
        self._rows = {"TABLE_TYPE": kind, "TABLE_ROWS": rows, "DATA_LENGTH": size}

    def query(self, sql: str, database: str | None = None) -> QueryRows:
        """The table's facts."""
        assert "information_schema.tables" in sql
        return QueryRows(columns=tuple(self._rows), rows=(tuple(self._rows.values()),))

    def plan(self, table: TableId, columns: tuple[str, ...], filter: str | None) -> QueryPlan:
        """The tablets."""
        return parse_plan(table, columns, filter, self._data)

    def count(self, table: TableId) -> int:
        """Not known."""
        raise QueryError("no such call")

    def known_frontends(self) -> tuple[FrontendInfo, ...]:
        """None that can be listed."""
        return ()


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    drop_clients()
    yield
    drop_clients()


def planner(server: Any, **options: Any) -> Planner:
    """A planner of Thrift reads that asks this server."""
    lend(Frontend, DORIS, server)
    tuning = ReadOptions(**{"protocol": ReadProtocol.THRIFT, **options})
    return Planner(ReadContext(connection=DORIS, options=tuning, schema=SCHEMA))


def test_a_hundred_thousand_tablets_are_planned_in_seconds_into_a_megabyte() -> None:
    server = Server(TABLETS)
    # what it takes of this process: the machine may have other things to do
    started = time.process_time()
    planned = planner(server, tablets_per_split=1).plan(ReadRequest(table=TABLE))
    provider, tasks, ranges = TabletRestrictions(), ScanTaskCoder(), TabletRangeCoder()
    size = count = 0
    for task in planned.tasks:
        encoded = len(tasks.encode(task))
        for restriction in provider.split(task, provider.initial_restriction(task)):
            size += encoded + len(ranges.encode(restriction))
            count += 1
    seconds = time.process_time() - started
    assert count == TABLETS
    assert size <= 1_000_000
    assert seconds < 5
    # the plan itself travels once: ids as differences, hosts by number
    assert len(pickle.dumps(planned.plan)) < 800_000


def test_the_tablets_of_a_plan_are_each_read_once_and_spread_evenly() -> None:
    server = Server(6_000)
    tablets = planner(server).plan(ReadRequest(table=TABLE)).plan.tablets
    read = [tablet for group in tablets.groups for tablet in group.tablets]
    assert sorted(read) == sorted(int(one) for one in server._data["partitions"])
    loads = [len(group.tablets) for group in tablets.groups]
    assert len(loads) == BACKENDS
    assert max(loads) - min(loads) <= 2
    for group in tablets.groups:
        for replicas in group.replicas:
            assert group.host in tablets.replica_sets[replicas]


@given(
    tablets=st.lists(
        st.tuples(
            st.integers(1, 2**50), st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3)
        ),
        unique_by=lambda one: one[0],
        max_size=40,
    )
)
def test_the_map_of_tablets_survives_its_journey(tablets: list[tuple[int, set[str]]]) -> None:
    plan = QueryPlan(
        table=TABLE,
        columns=("id",),
        filter=None,
        tablets=tuple(TabletPlan(one, tuple(sorted(hosts)), 1) for one, hosts in tablets),
        opaque="",
    )
    spread = TabletMap.spread(plan)
    assert pickle.loads(pickle.dumps(spread)) == spread
    assert len(spread) == len(tablets)


@pytest.mark.parametrize(
    ("options", "facts", "tablets", "length"),
    [
        ({"tablets_per_split": 7}, TableFacts(rows=10**9), 1000, 7),
        ({}, TableFacts(), 1000, 1),
        ({"split_rows": 1000}, TableFacts(rows=100_000), 1000, 10),
        ({"split_bytes": 1 << 20}, TableFacts(bytes=500 << 20), 1000, 2),
        ({"split_rows": 1000, "split_bytes": 1 << 20}, TableFacts(rows=50_000, bytes=1), 1000, 20),
        # a small table is divided all the same, so that every backend has something to do
        ({}, TableFacts(rows=10), 1000, 25),
        ({}, TableFacts(rows=10**12), 1000, 1),
        ({}, TableFacts(rows=10), 3, 1),
    ],
)
def test_splits_are_as_long_as_rows_and_bytes_say(
    options: dict[str, Any], facts: TableFacts, tablets: int, length: int
) -> None:
    assert split_length(ReadOptions(**options), facts, tablets, 10) == length


def test_the_size_of_a_split_is_told_in_rows() -> None:
    server = Server(120, rows=120_000)
    planned = planner(server, split_rows=2_000).plan(ReadRequest(table=TABLE))
    assert {task.rows for task in planned.tasks} == {1000}
    task = planned.tasks[0]
    provider = TabletRestrictions()
    whole = provider.initial_restriction(task)
    assert provider.restriction_size(task, whole) == 1000 * task.tablets


def test_a_view_and_an_external_table_are_read_by_one_statement() -> None:
    view = planner(Server(0, kind="VIEW"), protocol="flight")
    request = ReadRequest(table=TABLE, columns=["id"], filter="id > 3", limit=2)
    planned = view.plan(request)
    assert planned.plan.statement is not None
    assert planned.plan.statement.startswith("SELECT `id` FROM `test`.`student` WHERE ((id > 3)")
    assert planned.plan.statement.endswith("LIMIT 2")
    assert [task.tablets for task in planned.tasks] == [1]
    drop_clients()
    away = planner(Server(0), protocol="flight").plan(ReadRequest(table="hive.sales.orders"))
    assert away.plan.statement == "SELECT `id` FROM `hive`.`sales`.`orders`"
    assert away.plan.protocol is ReadProtocol.FLIGHT


@pytest.mark.parametrize("table", ["hive.sales.orders", "test.student"])
@pytest.mark.parametrize("options", [{"protocol": "thrift"}, {"consistency": "snapshot"}])
def test_what_has_no_tablets_is_never_read_over_thrift(table: str, options: Any) -> None:
    options = {"protocol": "auto", **options}
    with pytest.raises(ConfigError, match="Thrift"):
        planner(Server(0, kind="VIEW"), **options).plan(ReadRequest(table=table))


@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        ({"protocol": "auto"}, ReadProtocol.FLIGHT),
        ({"protocol": "auto", "consistency": "snapshot"}, ReadProtocol.THRIFT),
        ({"protocol": "thrift"}, ReadProtocol.THRIFT),
        ({"protocol": "flight"}, ReadProtocol.FLIGHT),
    ],
)
def test_a_snapshot_is_read_over_thrift(options: Any, protocol: ReadProtocol) -> None:
    planned = planner(Server(3), **options).plan(ReadRequest(table=TABLE))
    assert planned.plan.protocol is protocol
    assert (planned.plan.opaque is None) == (protocol is ReadProtocol.FLIGHT)


def test_facts_that_are_not_told_stay_unknown() -> None:
    server: Any = Server(0, rows=0, size=0)
    assert table_facts(server, TABLE) == TableFacts()
    server = Server(0, rows=12, size=300)
    assert table_facts(server, TABLE) == TableFacts(rows=12, bytes=300)


def test_a_plan_without_tablets_has_no_tasks() -> None:
    planned = planner(Server(0)).plan(ReadRequest(table=TABLE))
    assert planned.tasks == ()
    assert isinstance(planned.plan, ScanPlan)
