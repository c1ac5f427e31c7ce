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
"""What frontends answer, in every form of success and failure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from beam_doris.client.contracts import LoadState, QueryPlan, TabletPlan
from beam_doris.client.frontend import Frontend, plan_statement
from beam_doris.client.node_lists import backends_of, frontends_of
from beam_doris.client.query_plan import choose_backends, parse_plan
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.sql_nodes import flight_nodes, sql_nodes
from beam_doris.client.table_schemas import column_lines, sequence_column
from beam_doris.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    DorisError,
    NotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    QueryError,
    ServerBusy,
)
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import TableModel
from tests.unit.scripted_peers import Answer, Network, Request

TABLE = TableId("test", "student")
Answers = Callable[[Request], Answer]


def ok(data: object) -> Answer:
    return Answer(content={"msg": "success", "code": 0, "data": data, "count": 0})


def frontend(answers: Answers, *, fenodes: str = "fe:8030") -> tuple[Frontend, Network]:
    network = Network()

    def peer(request: Request) -> Answer | None:
        if request.body is None and request.headers.get("content-length", "0") != "0":
            return None
        return answers(request)

    connection = DorisConnection(fenodes=fenodes, username="root", password="")
    for node in connection.frontends:
        network.peers[str(node)] = peer
    retry = RetryPolicy(retries=3, sleep=network.clock.sleep)
    return Frontend(connection, transport=network, retry=retry, clock=network.clock), network


def result_set(names: list[str], *rows: list[object]) -> Answer:
    meta = [{"name": name, "type": "VARCHAR"} for name in names]
    return ok({"type": "result_set", "meta": meta, "data": list(rows), "status": {}, "time": 1})


# ---------------------------------------------------------------------------------- schema

SHOW_NAMES = [
    "Field",
    "Type",
    "Collation",
    "Null",
    "Key",
    "Default",
    "Extra",
    "Privileges",
    "Comment",
]
CREATE = """CREATE TABLE `student` (
  `id` bigint NOT NULL AUTO_INCREMENT(1) COMMENT 'AUTO_INCREMENT is a word here too',
  `name` varchar(30) NULL DEFAULT "x" COMMENT 'GENERATED ALWAYS AS (nothing)',
  `tags` array<int> NULL,
  `twice` int GENERATED ALWAYS AS ((`age` * (2))) NULL
) ENGINE=OLAP
UNIQUE KEY(`id`)
PROPERTIES ("function_column.sequence_col" = "name")"""


def student(request: Request) -> Answer:
    if request.path.endswith("/_schema"):
        properties = [
            {"name": "id", "type": "BIGINT", "comment": "", "aggregation_type": ""},
            {"name": "name", "type": "VARCHAR", "comment": "who", "aggregation_type": "REPLACE"},
            {"name": "tags", "type": "ARRAY", "comment": "", "aggregation_type": "NONE"},
            {"name": "twice", "type": "INT", "comment": "", "aggregation_type": ""},
        ]
        return ok({"status": 200, "keysType": "UNIQUE_KEYS", "properties": properties})
    statement = json.loads(request.body or b"{}")["stmt"]
    if statement.startswith("SHOW FULL COLUMNS"):
        return result_set(
            SHOW_NAMES,
            ["id", "bigint", "", "NO", "YES", None, "AUTO_INCREMENT", "", ""],
            ["name", "varchar(30)", "", "YES", "NO", "x", "REPLACE", "", "who"],
            ["tags", "array<int>", "", "YES", "NO", None, "", "", ""],
            ["twice", "int", "", "YES", "NO", None, "STORED GENERATED", "", ""],
        )
    return result_set(["Table", "Create Table"], ["student", CREATE])


def test_a_schema_is_put_together_from_three_answers() -> None:
    schema = frontend(student)[0].schema(TABLE)
    assert schema.model is TableModel.UNIQUE
    assert schema.names == ("id", "name", "tags", "twice")
    key, name, tags, twice = schema.columns
    assert (key.key, key.nullable, key.auto_increment) == (True, False, True)
    assert (name.key, name.nullable, name.default, name.comment) == (False, True, "x", "who")
    assert name.aggregation == "REPLACE"
    assert not name.auto_increment
    assert name.generated is None
    assert tags.type.shown() == "array<int>"
    assert tags.aggregation is None
    assert twice.generated == "(`age` * (2))"
    assert sequence_column(CREATE) == "name"
    assert frontend(student)[0].sequence_column(TABLE) == "name"


def test_a_schema_needs_only_the_first_answer() -> None:
    def bare(request: Request) -> Answer:
        if request.path.endswith("/_schema"):
            properties = [{"name": "d", "type": "DECIMAL64", "precision": "10", "scale": "2"}]
            return ok({"status": 200, "properties": properties})
        return Answer(content={"msg": "Error", "code": 1, "data": "Unsupported statement type"})

    schema = frontend(bare)[0].schema(TABLE)
    assert schema.model is TableModel.UNKNOWN
    assert schema.columns[0].type.sql() == "DECIMAL(10, 2)"
    assert schema.columns[0].nullable


def test_a_new_server_tells_nested_types_by_itself() -> None:
    def newest(request: Request) -> Answer:
        if request.path.endswith("/_schema"):
            told = {
                "name": "m",
                "type": "MAP",
                "type_sql": "map<varchar(20),int>",
                "type_desc": {"x": 1},
                "is_nullable": "No",
                "is_key": "No",
            }
            return ok({"status": 200, "keysType": "DUP_KEYS", "properties": [told]})
        return Answer(content={"msg": "Error", "code": 1, "data": "no"})

    column = frontend(newest)[0].schema(TABLE).columns[0]
    assert column.type.is_nested
    assert not column.nullable
    assert column.key is False


def test_three_part_names_go_to_the_catalog() -> None:
    client, network = frontend(student)
    client.schema(TableId("test", "student", "hive"))
    assert network.log[0].path == "/api/hive/test/student/_schema"
    assert "/api/query/hive/test" in network.log[1].path


def test_column_lines_know_backticks() -> None:
    assert column_lines("  `a``b` int NULL,\n) ENGINE")["a`b"] == "int NULL,"


# -------------------------------------------------------------------------------- failures

NO_DATABASE = "Unknown database 'nope'"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (
            Answer(content={"msg": "Error", "code": 1, "data": NO_DATABASE, "count": 0}),
            NotFoundError,
        ),
        (Answer(content={"msg": "Unauthorized", "code": 401, "data": "whatever"}), AuthError),
        (Answer(content={"msg": "Bad Request", "code": 403, "data": "malformed json"}), QueryError),
        (Answer(content={"msg": "Internal Error", "code": 500, "data": "boom"}), QueryError),
        (ok("Access denied; you need (at least one of) the SELECT privilege(s)"), AuthError),
        (ok({"status": 400, "exception": "Select statement needed, but found [x]"}), QueryError),
        (ok({"status": "1", "exception": "Unknown table 'x'"}), NotFoundError),
        (ok({"status": 200, "exception": "odd"}), QueryError),
        (ok(None), QueryError),
        (Answer(content={"status": "FAILED", "msg": "No table selected."}), QueryError),
        (Answer(status=401), AuthError),
        (Answer(status=404), ProtocolError),
        (Answer(content=b"<html>"), ProtocolError),
        (Answer(status=503), ServerBusy),
    ],
)
def test_every_form_of_failure_has_its_type(answer: Answer, kind: type[DorisError]) -> None:
    client, _ = frontend(lambda request: answer)
    with pytest.raises(kind) as caught:
        client.plan(TABLE, ["id"])
    assert type(caught.value) is kind
    assert caught.value.host == "fe:8030"


def test_a_dead_frontend_is_passed_over_and_all_dead_are_a_connect_error() -> None:
    client, network = frontend(lambda request: ok("VISIBLE"), fenodes="a:1,b:1,c:1")
    network.down |= {"a:1", "b:1"}
    for _ in range(4):
        assert client.load_state("test", "l") is LoadState.VISIBLE
    assert not network.clock.pauses
    network.down.add("c:1")
    network.clock.now += 60  # kept connections are too old by now
    with pytest.raises(ConnectError):
        client.load_state("test", "l")
    assert len(network.clock.pauses) == 3


def test_a_lost_answer_is_asked_for_again_when_nothing_was_changed() -> None:
    answers = [Answer(lost=True), ok("PREPARE")]
    client, _ = frontend(lambda request: answers.pop(0))
    assert client.load_state("test", "a b/ü") is LoadState.LOADING


def test_a_statement_that_changes_something_is_never_repeated() -> None:
    client, network = frontend(lambda request: Answer(lost=True))
    with pytest.raises(OutcomeUnknownError, match="may have been executed"):
        client.query("CREATE DATABASE x")
    assert len(network.log) == 1
    with pytest.raises(ConnectError):
        client.query(" select 1")
    assert len(network.log) == 5


def test_a_frontend_that_is_not_ready_is_waited_for() -> None:
    answers = [Answer(content={"msg": "Error", "code": 1, "data": "not ready"}), ok({})]
    client, network = frontend(lambda request: answers.pop(0))
    client.ping()
    assert len(network.log) == 2
    assert "authorization" not in network.log[0].headers


def test_an_unknown_load_state_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        frontend(lambda request: ok("MAYBE"))[0].load_state("test", "l")


# ----------------------------------------------------------------------------------- plans


def test_the_statement_of_a_plan_is_quoted_and_sent_as_json() -> None:
    client, network = frontend(
        lambda request: ok({"status": 200, "partitions": {}, "opaqued_query_plan": "x"})
    )
    plan = client.plan(TABLE, ["id", 'a"`b'], 'name = "O\'Neil\\" OR 1 = 1 -- x')
    sent = json.loads(network.log[0].body or b"")["sql"]
    assert sent == (
        'SELECT `id`, `a"``b` FROM `test`.`student` WHERE (name = "O\'Neil\\" OR 1 = 1 -- x\n)'
    )
    assert plan.tablets == ()
    assert plan_statement(TABLE, [], "  ") == "SELECT * FROM `test`.`student`"


def plan_of(tablets: dict[str, list[str]]) -> QueryPlan:
    data = {
        "status": 200,
        "opaqued_query_plan": "b64",
        "partitions": {
            key: {"routings": routings, "version": 5, "versionHash": 0, "schemaHash": 1}
            for key, routings in tablets.items()
        },
    }
    return parse_plan(TABLE, ("id",), None, data)


def test_every_tablet_is_read_once_and_replicas_share_the_load() -> None:
    replicas = ["a:9060", "b:9060", "c:9060"]
    plan = plan_of({str(number): replicas for number in range(12)})
    groups = choose_backends(plan)
    assert sorted(tablet for group in groups for tablet in group.tablets) == list(range(12))
    counts = {name: sum(group.backend == name for group in groups) for name in replicas}
    assert set(counts.values()) == {4}
    assert [group.backend for group in groups[:3]] == replicas
    assert groups[0].alternatives == ("b:9060", "c:9060")


def test_tablets_with_one_replica_choose_first() -> None:
    plan = plan_of({"1": ["a:1", "b:1"], "2": ["a:1"], "3": ["a:1", "b:1"], "4": ["a:1"]})
    groups = choose_backends(plan, tablets_per_group=2)
    assert {group.backend: group.tablets for group in groups} == {"a:1": (2, 4), "b:1": (1, 3)}
    assert {group.backend: group.alternatives for group in groups} == {
        "a:1": (),
        "b:1": ("a:1",),
    }


def test_a_backend_that_failed_is_avoided_where_it_can_be() -> None:
    plan = plan_of({"1": ["a:1", "b:1"], "2": ["a:1"]})
    groups = choose_backends(plan, excluded=["a:1"])
    assert {group.tablets: group.backend for group in groups} == {(1,): "b:1", (2,): "a:1"}
    with pytest.raises(ConfigError):
        choose_backends(plan, tablets_per_group=0)


def test_a_tablet_without_a_live_replica_is_named() -> None:
    with pytest.raises(ProtocolError, match="tablet 2 has no replica"):
        plan_of({"1": ["a:1"], "2": []})


def test_a_hundred_thousand_tablets_are_planned_in_seconds() -> None:
    data = {
        "status": 200,
        "opaqued_query_plan": "b64",
        "partitions": {
            str(number): {
                "routings": [f"be{number % 7}:9060", f"be{number % 5 + 7}:9060"],
                "version": 2,
            }
            for number in range(100_000)
        },
    }
    started = time.monotonic()
    plan = parse_plan(TABLE, ("id",), None, data)
    groups = choose_backends(plan, tablets_per_group=16)
    assert time.monotonic() - started < 5
    assert sum(len(group.tablets) for group in groups) == 100_000
    assert plan.tablets[7] == TabletPlan(7, ("be0:9060", "be9:9060"), 2)


# ----------------------------------------------------------------------------------- nodes


def test_frontends_are_read_in_all_spellings() -> None:
    new = {
        "Host": "h1",
        "HttpPort": "8030",
        "QueryPort": "9030",
        "ArrowFlightSqlPort": "-1",
        "IsMaster": "true",
        "Alive": "true",
        "Version": "doris-3",
    }
    old = {
        "IP": "10.0.0.1",
        "HostName": "",
        "HttpPort": "8030",
        "QueryPort": "9030",
        "Alive": "false",
    }
    first, second = frontends_of([new, old])
    assert (first.host, first.flight_port, first.is_master) == ("h1", None, True)
    assert (second.host, second.alive, second.flight_port) == ("10.0.0.1", False, None)
    table = {"column_names": ["Host", "HttpPort", "arrowflightsqlport"], "rows": [["h", "1", "2"]]}
    assert frontends_of(table)[0].flight_port == 2
    for broken in ([{"Host": "h"}], 5, {"rows": [["h"]], "columnNames": []}):
        with pytest.raises(ProtocolError):
            frontends_of(broken)


def test_backends_that_are_dead_are_left_out() -> None:
    listed = {
        "backends": [{"ip": "a", "http_port": 1, "is_alive": False}, {"ip": "b", "http_port": "2"}]
    }
    assert [each.alive for each in backends_of(listed)] == [False, True]
    client, _ = frontend(lambda request: ok(listed))
    assert [each.host for each in client.backends()] == ["b"]
    assert len(client.backends(alive_only=False)) == 2
    with pytest.raises(ProtocolError):
        backends_of({"backends": [{"ip": "a"}]})


def test_frontends_come_from_the_node_manager_when_the_statement_is_refused() -> None:
    def answers(request: Request) -> Answer:
        if "/rest/v2/" in request.path:
            return ok({"columnNames": ["Host", "HttpPort", "QueryPort"], "rows": [["h", "1", "2"]]})
        return Answer(content={"msg": "Error", "code": 1, "data": "Access denied; you need ADMIN"})

    assert frontend(answers)[0].frontends()[0].query_port == 2


def test_transactions_are_found_by_label_and_refusals_mean_not_told() -> None:
    names = ["TransactionId", "Label", "TransactionStatus", "Reason"]
    client, network = frontend(
        lambda request: result_set(
            names, ["5", "l", "ABORTED", "x"], ["9", "l", "PRECOMMITTED", ""]
        )
    )
    record = client.transaction("test", label="l'x")
    assert record is not None
    assert (record.txn_id, record.state) == (9, LoadState.PRECOMMITTED)
    assert "label = 'l''x'" in json.loads(network.log[0].body or b"")["stmt"]
    refused = frontend(lambda request: Answer(content={"msg": "Error", "code": 1, "data": "no"}))[0]
    assert refused.transaction("test", txn_id=5) is None


def test_a_count() -> None:
    assert frontend(lambda request: ok({"status": 200, "size": 42}))[0].count(TABLE) == 42
    with pytest.raises(ProtocolError):
        frontend(lambda request: ok({"status": 200}))[0].count(TABLE)


def test_the_list_of_frontends_is_believed_for_a_while() -> None:
    names = ["Host", "HttpPort", "QueryPort", "ArrowFlightSqlPort", "Alive"]
    client, network = frontend(
        lambda request: result_set(
            names, ["inner", "1", "2", "3", "true"], ["x", "1", "2", "3", "no"]
        )
    )
    connection = client.connection
    for _ in range(3):
        assert [str(node) for node in sql_nodes(connection, client)] == ["inner:2", "fe:2"]
        assert [str(node) for node in flight_nodes(connection, client)] == ["inner:3", "fe:3"]
    assert len(network.log) == 1
    network.clock.now += 31
    sql_nodes(connection, client)
    assert len(network.log) == 2


def test_ports_that_are_not_told_are_not_known() -> None:
    client, _ = frontend(lambda request: Answer(content={"msg": "Error", "code": 1, "data": "no"}))
    assert flight_nodes(client.connection, client) == ()
    known = DorisConnection(fenodes="a:1,b:1", username="u", password="", flight_port=5)
    assert [str(node) for node in flight_nodes(known, client)] == ["a:5", "b:5"]
