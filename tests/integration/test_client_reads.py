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
"""Plans, scans, Flight and SQL against a cluster that misbehaves."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from beam_doris.client.contracts import FlightOptions, QueryPlan, ScanOptions, TabletGroup
from beam_doris.client.deadline import Deadline
from beam_doris.client.flight import FlightSession, tablet_query
from beam_doris.client.frontend import Frontend
from beam_doris.client.query_plan import choose_backends
from beam_doris.client.scanner import ThriftScanner
from beam_doris.client.sql import SqlClient
from beam_doris.emulator import Emulator, Rule
from beam_doris.errors import (
    AuthError,
    ConnectError,
    DeadlineExceeded,
    DorisError,
    LabelConflictError,
    NotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    QueryError,
    SnapshotExpiredError,
    TransactionExpiredError,
)
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import TableModel
from tests.integration.client_tables import Bench, bench_on, connection_to, lines

ROWS = 3000


@pytest.fixture(scope="module")
def filled(emulator: Emulator) -> Iterator[Bench]:
    made = bench_on(emulator, replicas=2)
    made.loader.load(made.request("fill", two_phase=False), lines(*range(ROWS)))
    yield made
    made.close()


@pytest.fixture
def bench(filled: Bench) -> Iterator[Bench]:
    yield filled
    filled.emulator.faults.clear()


def scan(
    bench: Bench, group: TabletGroup, plan: QueryPlan, *, backend: str | None = None
) -> list[int]:
    scanner = ThriftScanner(bench.connection)
    return [
        value
        for batch in scanner.scan(group, bench.table, plan.opaque, backend=backend)
        for value in batch.column(batch.schema.get_field_index("id")).to_pylist()
    ]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ------------------------------------------------------------------------------------ frontends


def test_the_cluster_tells_its_nodes(bench: Bench) -> None:
    bench.frontend.ping()
    assert {backend.node.port for backend in bench.frontend.backends()} == {
        port for _, port in bench.emulator.be_http
    }
    (found,) = bench.frontend.frontends()
    assert found.query_port == bench.emulator.fe_mysql[1]
    assert found.flight_port == bench.emulator.fe_flight[1]


def test_a_schema_tells_all_that_create_table_said(emulator: Emulator) -> None:
    made = bench_on(
        emulator,
        "id BIGINT NOT NULL AUTO_INCREMENT, name VARCHAR(30) NOT NULL DEFAULT 'x' COMMENT 'who', "
        "price DECIMAL(20, 3), tags ARRAY<VARCHAR(9)>, at DATETIME(3), m MAP<STRING, INT>",
        model=lambda: "UNIQUE KEY(id)",
    )
    try:
        schema = made.frontend.schema(made.table)
    finally:
        made.close()
    assert schema.model is TableModel.UNIQUE
    shown = {column.name: column.type.shown() for column in schema.columns}
    assert shown == {
        "id": "bigint",
        "name": "varchar(30)",
        "price": "decimal(20,3)",
        "tags": "array<varchar(9)>",
        "at": "datetime(3)",
        "m": "map<text,int>",
    }
    key, name = schema.columns[:2]
    assert (key.key, key.nullable, key.auto_increment) == (True, False, True)
    assert (name.key, name.nullable, name.default, name.comment) == (False, False, "x", "who")


@pytest.mark.parametrize("name", ["{db}.nope", "nope.student"])
def test_unknown_names_are_not_found(bench: Bench, name: str) -> None:
    table = TableId.parse(name.format(db=bench.table.database))
    for call in (
        lambda: bench.frontend.schema(table),
        lambda: bench.frontend.count(table),
        lambda: bench.frontend.plan(table, ["id"]),
        lambda: bench.sql.query(f"SELECT * FROM {table.sql()}"),
    ):
        with pytest.raises(NotFoundError, match="nope"):
            call()


def test_a_plan_of_what_cannot_be_planned_is_refused(bench: Bench) -> None:
    with pytest.raises(NotFoundError, match="nope"):
        bench.frontend.plan(bench.table, ["nope"])
    with pytest.raises(QueryError):
        bench.frontend.plan(bench.table, ["id"], "id > 1) LIMIT 5 -- ")


def test_a_wrong_password_is_an_auth_error_on_every_port(bench: Bench) -> None:
    wrong = connection_to(bench.emulator, password="wrong")
    with Frontend(wrong) as frontend, pytest.raises(AuthError):
        frontend.schema(bench.table)
    with SqlClient(wrong, frontend=bench.frontend) as sql, pytest.raises(AuthError):
        sql.query("SELECT 1")
    with FlightSession(wrong, frontend=bench.frontend) as session, pytest.raises(AuthError):
        list(session.query("SELECT 1"))


# --------------------------------------------------------------------------------------- thrift


@pytest.mark.parametrize("per_group", [1, 4])
def test_a_scan_reads_every_row_once(bench: Bench, per_group: int) -> None:
    plan = bench.frontend.plan(bench.table, ["id", "name"])
    groups = choose_backends(plan, tablets_per_group=per_group)
    read = [value for group in groups for value in scan(bench, group, plan)]
    assert sorted(read) == list(range(ROWS))


def test_a_filter_and_an_empty_plan(bench: Bench) -> None:
    plan = bench.frontend.plan(bench.table, ["id"], "id < 10 OR name = 'n77' -- and so on")
    read = [value for group in choose_backends(plan) for value in scan(bench, group, plan)]
    assert sorted(read) == [*range(10), 77]
    nothing = bench.frontend.plan(bench.table, ["id"], "id < 0")
    assert [v for group in choose_backends(nothing) for v in scan(bench, group, nothing)] == []


def test_another_replica_reads_the_same(bench: Bench) -> None:
    plan = bench.frontend.plan(bench.table, ["id"])
    group = choose_backends(plan)[0]
    assert group.alternatives
    other = scan(bench, group, plan, backend=group.alternatives[0])
    assert sorted(other) == sorted(scan(bench, group, plan))


def test_a_plan_keeps_its_versions(emulator: Emulator) -> None:
    made = bench_on(emulator)
    try:
        made.loader.load(made.request("one", two_phase=False), lines(*range(100)))
        plan = made.frontend.plan(made.table, ["id"])
        made.loader.load(made.request("two", two_phase=False), lines(*range(100, 200)))
        groups = choose_backends(plan, tablets_per_group=100)
        assert sorted(v for group in groups for v in scan(made, group, plan)) == list(range(100))
        made.emulator.engine.storage.compact(
            made.emulator.engine.catalog.table(made.table.database, made.table.table)
        )
        with pytest.raises(SnapshotExpiredError):
            [scan(made, group, plan) for group in groups]
    finally:
        made.close()


@pytest.mark.parametrize("point", ["scan.open", "scan.next"])
@pytest.mark.parametrize("action", ["reset", "close", "half_response", "reset_after"])
def test_a_scan_that_breaks_fails_and_is_never_continued(
    bench: Bench, point: str, action: str
) -> None:
    plan = bench.frontend.plan(bench.table, ["id"])
    group = choose_backends(plan)[0]
    bench.emulator.faults.add(Rule(point=point, action=action, count=1))
    with pytest.raises(ConnectError):
        scan(bench, group, plan)
    assert bench.fired(point) == 1
    assert scan(bench, group, plan)


def test_a_scan_with_a_status_is_a_typed_error(bench: Bench) -> None:
    plan = bench.frontend.plan(bench.table, ["id"])
    group = choose_backends(plan)[0]
    for code, kind in ((31, NotFoundError), (45, SnapshotExpiredError), (99, QueryError)):
        bench.emulator.faults.add(
            Rule(point="scan.next", action="status", args={"code": code, "message": "x"}, count=1)
        )
        with pytest.raises(kind):
            scan(bench, group, plan)
    gone = TabletGroup(backend=group.backend, tablets=(1,))
    with pytest.raises(NotFoundError):
        scan(bench, gone, plan)


@pytest.mark.parametrize("point", ["scan.open", "scan.next", "scan.close"])
def test_a_scan_that_hangs_ends_within_a_second_of_its_deadline(bench: Bench, point: str) -> None:
    plan = bench.frontend.plan(bench.table, ["id"])
    group = choose_backends(plan)[0]
    bench.emulator.faults.add(Rule(point=point, action="hang", args={"seconds": 4}, count=1))
    scanner = ThriftScanner(bench.connection)
    options = ScanOptions(query_timeout=timedelta(seconds=1))
    started = time.monotonic()
    try:
        for _ in scanner.scan(group, bench.table, plan.opaque, options):
            pass
    except DeadlineExceeded:
        assert point != "scan.close"
    assert time.monotonic() - started < 2.1
    assert bench.fired(point) == 1


def test_a_scan_given_up_early_leaves_no_context(bench: Bench) -> None:
    plan = bench.frontend.plan(bench.table, ["id"])
    group = choose_backends(plan, tablets_per_group=9)[0]
    batches = ThriftScanner(bench.connection).scan(
        group, bench.table, plan.opaque, ScanOptions(batch_rows=10)
    )
    next(iter(batches))
    bench.emulator.faults.add(Rule(point="scan.close", action="delay", args={"seconds": 0}))
    batches.close()  # type: ignore[attr-defined]
    assert bench.fired("scan.close") == 1


def test_the_http_port_of_a_backend_is_no_scan_port(bench: Bench) -> None:
    plan = bench.frontend.plan(bench.table, ["id"])
    host, port = bench.emulator.be_http[0]
    group = TabletGroup(backend=f"{host}:{port}", tablets=(1,))
    with pytest.raises((ProtocolError, ConnectError)):
        scan(bench, group, plan)


# --------------------------------------------------------------------------------------- flight


@pytest.mark.parametrize("parallel", [False, True])
def test_flight_reads_every_row_once(bench: Bench, parallel: bool) -> None:
    plan = bench.frontend.plan(bench.table, ["id"])
    with FlightSession(
        bench.connection, FlightOptions(parallel=parallel), frontend=bench.frontend
    ) as session:
        read = [
            value
            for group in choose_backends(plan, tablets_per_group=2)
            for batch in session.query(tablet_query(bench.table, ["id"], group.tablets))
            for value in batch.column(0).to_pylist()
        ]
    assert sorted(read) == list(range(ROWS))


def test_flight_with_a_known_port_a_filter_and_a_limit(bench: Bench) -> None:
    connection = connection_to(bench.emulator, flight_port=bench.emulator.fe_flight[1])
    with FlightSession(connection) as session:
        sql = tablet_query(bench.table, ["id"], filter="id < 10 OR id = 77 -- so", limit=5)
        assert sum(batch.num_rows for batch in session.query(sql)) == 5
        assert list(session.query(tablet_query(bench.table, ["id"], filter="id < 0"))) == []


def test_flight_says_what_is_wrong_with_a_query(bench: Bench) -> None:
    with FlightSession(bench.connection, frontend=bench.frontend) as session:
        for sql, kind in (
            ("SELECT nope FROM " + bench.table.sql(), NotFoundError),
            ("SELECT 1 FROM nope.nope", NotFoundError),
            ("SELEKT", QueryError),
        ):
            with pytest.raises(kind):
                list(session.query(sql))
        assert sum(batch.num_rows for batch in session.query("SELECT 1")) == 1


def test_a_closed_session_is_closed_on_the_server(bench: Bench) -> None:
    session = FlightSession(bench.connection, frontend=bench.frontend)
    list(session.query("SELECT 1"))
    client, token = session._client, session._token
    assert client is not None
    session.close()
    session.close()
    stolen = FlightSession(bench.connection, frontend=bench.frontend)
    stolen._nodes()
    with stolen:
        list(stolen.query("SELECT 1"))
        stolen._token = token
        with pytest.raises(AuthError):
            list(stolen.query("SELECT 1"))


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(
    ("point", "action", "args", "kind"),
    [
        ("flight.info", "reset", {}, ConnectError),
        ("flight.get", "reset", {}, ConnectError),
        ("flight.get", "half_response", {}, ConnectError),
        ("flight.info", "status", {"code": "internal", "message": "boom"}, QueryError),
        ("flight.get", "status", {"code": "unauthenticated", "message": "x"}, AuthError),
    ],
)
def test_flight_that_breaks_is_a_typed_error(
    bench: Bench,
    parallel: bool,
    point: str,
    action: str,
    args: dict[str, object],
    kind: type[DorisError],
) -> None:
    with FlightSession(
        bench.connection, FlightOptions(parallel=parallel), frontend=bench.frontend
    ) as session:
        list(session.query("SELECT 1"))
        bench.emulator.faults.add(Rule(point=point, action=action, args=args))
        with pytest.raises(kind) as caught:
            list(session.query(tablet_query(bench.table, ["id"])))
        bench.emulator.faults.clear()
    assert caught.value.host is not None


@pytest.mark.parametrize("point", ["flight.info", "flight.get"])
@pytest.mark.parametrize("parallel", [False, True])
def test_flight_that_hangs_ends_within_a_second_of_its_deadline(
    bench: Bench, point: str, parallel: bool
) -> None:
    with FlightSession(
        bench.connection, FlightOptions(parallel=parallel), frontend=bench.frontend
    ) as session:
        list(session.query("SELECT 1"))
        bench.emulator.faults.add(Rule(point=point, action="hang", args={"seconds": 3}))
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            list(session.query(tablet_query(bench.table, ["id"]), deadline=Deadline.after(1)))
        assert time.monotonic() - started < 2
        bench.emulator.faults.clear()


@pytest.mark.parametrize("parallel", [False, True])
def test_a_flight_query_given_up_early_leaves_the_session_usable(
    bench: Bench, parallel: bool
) -> None:
    with FlightSession(
        bench.connection, FlightOptions(parallel=parallel), frontend=bench.frontend
    ) as session:
        rows = session.query(tablet_query(bench.table, ["id"]))
        next(iter(rows))
        rows.close()  # type: ignore[attr-defined]
        assert sum(batch.num_rows for batch in session.query("SELECT 1")) == 1


def test_flight_passes_over_a_dead_frontend(bench: Bench) -> None:
    host, port = bench.emulator.fe_flight
    connection = connection_to(bench.emulator)
    session = FlightSession(connection, frontend=bench.frontend)
    from beam_doris.client.nodes import NodeRing
    from beam_doris.options.connection import Node

    session._ring = NodeRing(
        [Node("127.0.0.1", closed_port()), Node(host, port)], clock=time.monotonic, start=0
    )
    with session:
        assert sum(batch.num_rows for batch in session.query("SELECT 1")) == 1


# ------------------------------------------------------------------------------------------ SQL


def test_parameters_are_escaped(bench: Bench) -> None:
    nasty = ["it's", 'say "x"', "back\\slash", "%s", "ünï 🎉", "a\nb", "'; DROP TABLE x; -- "]
    for text in nasty:
        assert bench.sql.query("SELECT %s AS a", [text]).rows == ((text,),)
    row = bench.sql.query("SELECT %(n)s + 1 AS a, %(t)s AS b", {"n": 41, "t": None})
    assert row.columns == ("a", "b")
    assert row.rows[0][1] is None


def test_statements_say_how_much_they_changed(bench: Bench) -> None:
    name = f"t_{uuid.uuid4().hex[:8]}"
    table = f"`{bench.table.database}`.`{name}`"
    bench.sql.execute(
        f"CREATE TABLE {table} (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 "
        "PROPERTIES ('replication_num' = '1')"
    )
    assert bench.sql.execute(f"INSERT INTO {table} VALUES (1, 2), (3, 4)") == 2
    with pytest.raises(QueryError):
        bench.sql.execute("CREATE TABLE nonsense")
    with pytest.raises(QueryError):
        bench.sql.query("SELECT %s, %s", [1])


def test_a_query_survives_a_lost_connection_and_a_change_does_not_repeat(bench: Bench) -> None:
    bench.sql.query("SELECT 1")
    bench.emulator.faults.add(Rule(point="mysql.query", action="rst", nth=1))
    assert bench.sql.query("SELECT 5 AS a").scalar() == 5
    bench.emulator.faults.clear()
    bench.emulator.faults.add(Rule(point="mysql.query", action="rst"))
    with pytest.raises(OutcomeUnknownError):
        bench.sql.execute(f"TRUNCATE TABLE {bench.table.database}.nope")
    assert bench.fired("mysql.query") == 1


def test_a_query_that_hangs_ends_within_a_second_of_its_deadline(bench: Bench) -> None:
    bench.sql.query("SELECT 1")
    bench.emulator.faults.add(Rule(point="mysql.query", action="hang", args={"seconds": 3}))
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        bench.sql.query("SELECT 1", deadline=Deadline.after(1))
    assert time.monotonic() - started < 2
    bench.emulator.faults.clear()
    assert bench.sql.query("SELECT 1").scalar() == 1


def test_sql_over_known_addresses_and_none(bench: Bench) -> None:
    host, port = bench.emulator.fe_mysql
    url = f"jdbc:mysql://{host}:{closed_port()},{host}:{port}/x"
    with SqlClient(connection_to(bench.emulator, jdbc_url=url)) as sql:
        assert sql.query("SELECT 1").scalar() == 1
    with (
        SqlClient(connection_to(bench.emulator, query_port=closed_port(), retries=0)) as sql,
        pytest.raises(ConnectError),
    ):
        sql.query("SELECT 1")


# ------------------------------------------------------------------------------------- frontends


@pytest.mark.parametrize("action", ["reset", "close", "half_response", "hang"])
def test_a_frontend_that_fails_once_is_asked_again(bench: Bench, action: str) -> None:
    rule = Rule(
        point="fe.request",
        action=action,
        match={"method": "GET"},
        args={"seconds": 6} if action == "hang" else {},
        count=1,
    )
    bench.emulator.faults.add(rule)
    assert bench.frontend.count(bench.table) >= 0
    assert bench.fired("fe.request") == 1


# ----------------------------------------------------------------------------------- generations


@pytest.mark.parametrize("profile", ["4.0", "3.0", "2.1", "2.0"])
def test_every_server_generation_is_understood(profile: str) -> None:
    with Emulator(backends=2, seed=3, profile=profile) as cluster:
        made = bench_on(cluster, "id INT, price DECIMAL(20, 3), tags ARRAY<INT>")
        try:
            schema = made.frontend.schema(made.table)
            assert [column.type.shown() for column in schema.columns] == [
                "int",
                "decimal(20,3)",
                "array<int>",
            ]
            assert schema.model is TableModel.DUPLICATE
            commit = made.loader.transactions.commit
            database = made.table.database
            result = made.loader.load(made.request("first"), b'{"id":1}\n{"id":2}\n')
            assert not commit(database, result.txn_id, "first").already
            assert commit(database, result.txn_id, "first").already
            late = made.loader.load(made.request("late"), b'{"id":3}\n')
            made.advance(3700)
            with pytest.raises(TransactionExpiredError):
                commit(database, late.txn_id, "late")
            with pytest.raises(LabelConflictError) as caught:
                made.loader.load(made.request("first"), b'{"id":4}\n')
            assert caught.value.txn_id == result.txn_id
            plan = made.frontend.plan(made.table, ["id"])
            scanned = [v for group in choose_backends(plan) for v in scan(made, group, plan)]
            assert sorted(scanned) == [1, 2]
            with FlightSession(made.connection, frontend=made.frontend) as session:
                found = session.query(tablet_query(made.table, ["id"]))
                assert sum(batch.num_rows for batch in found) == 2
        finally:
            made.close()
