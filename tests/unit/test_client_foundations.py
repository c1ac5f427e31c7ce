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
"""Deadlines, retries, node rings, labels, addresses, messages."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from beam_doris.client.contracts import QueryRows
from beam_doris.client.deadline import Deadline
from beam_doris.client.labels import MAX_LABEL, is_legal, load_label, new_nonce, new_run_id
from beam_doris.client.nodes import HostPolicy, NodeRing
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.server_messages import cleaned, error_of
from beam_doris.client.urls import Target, path_of, redact_url
from beam_doris.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    DorisError,
    NotFoundError,
    ProtocolError,
    QueryError,
    ServerBusy,
    SnapshotExpiredError,
    TooManyTransactionsError,
)
from beam_doris.options.connection import DorisConnection, Node
from beam_doris.options.table_id import TableId
from tests.unit.scripted_peers import FakeClock

# -------------------------------------------------------------------------------- deadlines


def test_a_deadline_caps_every_wait_and_then_refuses() -> None:
    clock = FakeClock()
    deadline = Deadline.after(timedelta(seconds=10), clock)
    assert deadline.cap(60) == 10
    clock.now += 7
    assert deadline.cap(60) == pytest.approx(3)
    assert deadline.elapsed == pytest.approx(7)
    clock.now += 4
    assert deadline.expired
    assert deadline.remaining() == 0
    with pytest.raises(DeadlineExceeded, match="connecting"):
        deadline.cap(1, "connecting")


def test_a_part_never_ends_after_the_whole() -> None:
    clock = FakeClock()
    deadline = Deadline.after(10, clock)
    assert deadline.within(3).remaining() == pytest.approx(3)
    assert deadline.within(30).remaining() == pytest.approx(10)


# ---------------------------------------------------------------------------------- retries


def policy(clock: FakeClock, **changes: int) -> RetryPolicy:
    return RetryPolicy(random=random.Random(1), sleep=clock.sleep, **changes)


def test_only_retryable_errors_are_repeated_and_only_so_often() -> None:
    clock = FakeClock()
    attempts: list[int] = []

    def fail(attempt: int) -> None:
        attempts.append(attempt)
        raise ConnectError("gone")

    with pytest.raises(ConnectError):
        policy(clock).call(fail, Deadline.after(1000, clock), "work")
    assert attempts == [0, 1, 2, 3]

    def refuse(_attempt: int) -> None:
        attempts.append(-1)
        raise QueryError("no")

    with pytest.raises(QueryError):
        policy(clock).call(refuse, Deadline.after(1000, clock), "work")
    assert attempts.count(-1) == 1


def test_pauses_have_full_jitter_and_a_ceiling() -> None:
    drawn = RetryPolicy(random=random.Random(3))
    pauses = [drawn.pause_before(attempt) for attempt in range(1, 40) for _ in range(50)]
    assert max(pauses) <= 10
    assert min(pauses) < 0.05
    busy = [drawn.pause_before(1, busy=True) for _ in range(200)]
    assert 0.2 < max(busy) <= 1.0


def test_no_pause_reaches_beyond_the_deadline() -> None:
    clock = FakeClock()
    deadline = Deadline.after(0.5, clock)
    attempts = 0

    def fail(_attempt: int) -> None:
        nonlocal attempts
        attempts += 1
        raise ServerBusy("later")

    with pytest.raises(ServerBusy):
        RetryPolicy(retries=1000, random=random.Random(2), sleep=clock.sleep).call(
            fail, deadline, "work"
        )
    assert not deadline.expired
    assert attempts >= 1


# ------------------------------------------------------------------------------------ nodes

NODES = [Node("a", 1), Node("b", 1), Node("c", 1)]


def test_a_ring_asks_in_turn_and_lets_failures_rest_longer_and_longer() -> None:
    clock = FakeClock()
    ring = NodeRing(NODES, clock=clock, start=0)
    assert [ring.next().host for _ in range(4)] == ["a", "b", "c", "a"]
    ring.failed(NODES[1])
    assert [node.host for node in ring.candidates()] == ["c", "a", "b"]
    assert "b:1 resting" in repr(ring)
    clock.now += 1.5
    assert "resting" not in repr(ring)
    ring.failed(NODES[1])
    clock.now += 1.5
    assert "b:1 resting" in repr(ring)
    ring.succeeded(NODES[1])
    assert "resting" not in repr(ring)


def test_a_ring_of_failures_still_gives_the_one_that_rested_longest() -> None:
    clock = FakeClock()
    ring = NodeRing(NODES, clock=clock, start=0)
    for node in NODES:
        ring.failed(node)
        clock.now += 0.1
    assert next(ring.candidates()) == NODES[0]
    with pytest.raises(ConfigError):
        NodeRing([], clock=clock)


def test_the_host_policy_knows_the_clusters_hosts_only() -> None:
    asked: list[int] = []

    def discover() -> list[str]:
        asked.append(1)
        return ["10.1.1.1"]

    connection = DorisConnection(
        fenodes="fe:8030",
        benodes="be:8040",
        username="u",
        password="",
        host_map={"172.16.0.1": "outside", "inner:8040": "outer:18040"},
    )
    hosts = HostPolicy(connection, discover)
    for host in ("fe", "FE", "be", "172.16.0.1", "outside", "inner", "outer"):
        assert hosts.allows(host)
    assert not asked
    assert hosts.allows("10.1.1.1")
    assert not hosts.allows("evil.example")
    assert hosts.check(Node("inner", 8040), Node("fe", 8030)) == Node("outer", 18040)
    with pytest.raises(ProtocolError, match=r"evil\.example"):
        hosts.check(Node("evil.example", 8040), Node("fe", 8030))


# ----------------------------------------------------------------------------------- labels


def test_labels_keep_tables_apart_that_look_alike() -> None:
    one = load_label("p", TableId("a", "b_c"), "run", 1)
    other = load_label("p", TableId("a_b", "c"), "run", 1)
    assert one != other
    assert one == load_label("p", TableId("a", "b_c"), "run", 1)
    assert is_legal(one)


@pytest.mark.parametrize("prefix", ["", "job-1", "días/1 ü", "x" * 500, "訂單", "a.b", "a/b"])
def test_labels_are_legal_for_every_prefix(prefix: str) -> None:
    label = load_label(prefix, TableId("db", "t" * 200), new_run_id(), 17, 99_999, new_nonce())
    assert is_legal(label)
    assert len(label) <= MAX_LABEL


def test_different_prefixes_never_become_one() -> None:
    prefixes = ["a.b", "a/b", "a-b", "x" * 200, "x" * 201, "訂單", "訂貨"]
    labels = {load_label(prefix, TableId("d", "t"), "r", 1) for prefix in prefixes}
    assert len(labels) == len(prefixes)


def test_parts_that_no_label_may_hold_are_refused() -> None:
    with pytest.raises(ConfigError):
        load_label("p", TableId("d", "t"), "run id")
    with pytest.raises(ConfigError):
        load_label("p" * 40, TableId("d", "t"), "r" * 110)


# -------------------------------------------------------------------------------- addresses


def test_user_info_never_survives() -> None:
    target = Target.parse("http://root:p%40ss@10.0.0.1:8040/api/d/t/_stream_load?x=1")
    assert target.node == Node("10.0.0.1", 8040)
    assert target.path == "/api/d/t/_stream_load?x=1"
    assert Target.parse("https://[::1]:8050/x").tls
    assert Target.parse("http://h/x").node.port == 80
    text = redact_url("at http://u:p@h:1/x and https://:@k:2")
    assert text == "at http://h:1/x and https://k:2"


@pytest.mark.parametrize(
    "url", ["", "/x", "ftp://h/x", "http://", "http://h:99999/", "http://h/a b"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ProtocolError):
        Target.parse(url)


def test_paths_are_encoded() -> None:
    assert path_of("api", "d/b", "tä?") == "/api/d%2Fb/t%C3%A4%3F"


# --------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Access denied for user 'x'@'1.2.3.4' (using password: YES)", AuthError),
        ("errCode = 2, detailMessage = Unknown database 'nope'", NotFoundError),
        ("errCode = 2, detailMessage = Unknown table 'nope'", NotFoundError),
        ("unknown database, database=nope", NotFoundError),
        ("Unknown column 'x' in 'table list'", NotFoundError),
        ("tablet_id: 77 not found", NotFoundError),
        ("err=-235", ServerBusy),
        (
            "[E-235]failed to init rowset builder. version count: 2001, exceed limit: 2000",
            ServerBusy,
        ),
        ("current running txns on db 10 is 100, larger than limit 100", TooManyTransactionsError),
        ("Have not get FE Master heartbeat yet", ServerBusy),
        ("[MEM_LIMIT_EXCEEDED]Process memory not enough", ServerBusy),
        ("success replica num 1 < quorum replica num 2", ServerBusy),
        ("err=[E-230]version already merged", SnapshotExpiredError),
        ("tablet 1-2355 is broken", QueryError),
        ("mismatched input", QueryError),
    ],
)
def test_the_servers_words_have_types(text: str, kind: type[DorisError]) -> None:
    error = error_of(text, QueryError, "it", table="d.t")
    assert type(error) is kind
    assert error.table == "d.t"


def test_messages_are_one_short_line_without_rows() -> None:
    text = "bad\n row at http://u:p@h/x;  src line [1,secret-cell]"
    assert cleaned(text) == "bad row at http://h/x"
    assert len(cleaned("x" * 5000)) < 1100


def test_rows_by_name() -> None:
    rows = QueryRows(columns=("a", "b"), rows=((1, 2), (3, 4)))
    assert list(rows.dicts()) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert rows.scalar() == 1
    assert QueryRows().scalar() is None
