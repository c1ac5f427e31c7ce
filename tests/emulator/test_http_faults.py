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
"""The fault plan over HTTP, and the admin path (reference of the emulator, architecture)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from beam_doris.emulator.faults import Rule
from tests.emulator.load_cluster import ROOT, LoadCluster, Wire, cluster

LOAD_PATH = "/api/d/t/_stream_load"


@pytest.fixture
def doris() -> Iterator[LoadCluster]:
    with cluster(backends=2) as running:
        running.table("k INT")
        yield running


def broken(doris: LoadCluster, body: bytes = b"1\n", **headers: str) -> None:
    """A load whose connection ends without an answer."""
    with pytest.raises((OSError, IndexError)):
        doris.load(body, headers)


def test_a_status_and_body_of_choice(doris: LoadCluster) -> None:
    doris.engine.faults.add(
        Rule(point="fe.load", action="status", args={"status": 503, "body": {"a": 1}}, count=1)
    )
    answer = doris.request("PUT", LOAD_PATH, b"", {"Expect": "x"})
    assert (answer.status, answer.json) == (503, {"a": 1})
    assert doris.request("PUT", LOAD_PATH, b"", {"Expect": "x"}).status == 307


def test_a_reset_before_the_body_commits_nothing(doris: LoadCluster) -> None:
    doris.engine.faults.add(Rule(point="be.load.headers", action="reset", count=1))
    broken(doris, label="one")
    assert doris.engine.transactions.load_state("d", "one") == "UNKNOWN"


def test_a_reset_within_the_body_aborts(doris: LoadCluster) -> None:
    doris.engine.faults.add(
        Rule(point="be.load.body", action="reset", args={"bytes": 4}, match={"label": "one"})
    )
    broken(doris, b"1\n2\n3\n", label="one")
    assert doris.engine.transactions.load_state("d", "one") == "ABORTED"
    assert doris.rows() == []


def test_a_reset_after_the_commit_hides_a_success(doris: LoadCluster) -> None:
    doris.engine.faults.add(Rule(point="be.load.after_commit", action="reset"))
    broken(doris, label="one")
    assert doris.engine.transactions.load_state("d", "one") == "VISIBLE"
    assert doris.rows() == [(1,)]


def test_half_a_response_after_the_commit(doris: LoadCluster) -> None:
    doris.engine.faults.add(
        Rule(point="be.load.after_commit", action="half_response", args={"bytes": 7})
    )
    with Wire(doris.backends[0].port) as wire:
        wire.head("PUT", LOAD_PATH, {"Authorization": ROOT, "Content-Length": "2"})
        wire.socket.sendall(b"1\n")
        answer = wire.answer()
    assert len(answer.body) == 7 < int(answer.headers["content-length"])
    assert doris.rows() == [(1,)]


def test_too_many_versions_fails_a_load_and_frees_its_label(doris: LoadCluster) -> None:
    doris.engine.faults.add(
        Rule(point="be.load.before_commit", action="too_many_versions", count=1)
    )
    reply = doris.load(b"1\n", {"label": "one"})
    assert reply["Status"] == "Fail"
    assert "E-235" in reply["Message"]
    assert doris.load(b"1\n", {"label": "one"})["Status"] == "Success"


def test_a_publish_that_is_late_is_committed_and_says_so(doris: LoadCluster) -> None:
    doris.engine.faults.add(Rule(point="txn.publish", action="hold", args={"seconds": 30}, count=1))
    reply = doris.load(b"1\n", {"label": "one"})
    assert reply["Status"] == "Publish Timeout"
    assert reply["NumberLoadedRows"] == 1
    assert doris.engine.transactions.load_state("d", "one") == "COMMITTED"
    assert doris.rows() == []
    doris.admin("POST", "clock", {"advance": 31})
    assert doris.rows() == [(1,)]


def test_an_action_that_is_not_there_is_told(doris: LoadCluster) -> None:
    doris.engine.faults.add(Rule(point="fe.load", action="explode"))
    answer = doris.request("PUT", LOAD_PATH, b"", {"Expect": "x"})
    assert answer.status == 500
    assert b"explode" in answer.body


def test_a_wrong_redirect(doris: LoadCluster) -> None:
    doris.engine.faults.add(
        Rule(point="fe.load", action="redirect", args={"location": "http://192.0.2.1:1/x"})
    )
    answer = doris.request("PUT", LOAD_PATH, b"", {"Expect": "x"})
    assert answer.headers["location"] == "http://192.0.2.1:1/x"


def test_a_lost_answer_of_a_commit(doris: LoadCluster) -> None:
    txn_id = doris.load(b"1\n", {"two_phase_commit": "true"})["TxnId"]
    doris.engine.faults.add(Rule(point="be.2pc.reply", action="reset", count=1))
    with pytest.raises((OSError, IndexError)):
        doris.second_phase("commit", txn_id=txn_id)
    assert "already visible" in doris.second_phase("commit", txn_id=txn_id)["msg"]


def test_a_killed_backend_closes_its_port(doris: LoadCluster) -> None:
    doris.engine.faults.add(Rule(point="be.load.before_commit", action="kill_backend"))
    broken(doris, label="one")
    assert not doris.engine.backends[0].alive
    end = time.monotonic() + 10
    while doris.engine.transactions.load_state("d", "one") != "ABORTED":
        assert time.monotonic() < end, "the load of a dead backend is given up"
        time.sleep(0.02)
    with pytest.raises(OSError):
        Wire(doris.backends[0].port)


def test_rules_come_and_go_over_the_admin_path(doris: LoadCluster) -> None:
    rule: dict[str, Any] = {
        "point": "fe.load",
        "action": "close",
        "match": {"table": "t"},
        "nth": 1,
    }
    rule_id = doris.admin("POST", "faults", rule)["id"]
    (shown,) = doris.admin("GET", "faults")["rules"]
    assert (shown["id"], shown["nth"], shown["match"]) == (rule_id, 1, {"table": "t"})
    with pytest.raises((OSError, IndexError)):
        doris.request("PUT", LOAD_PATH, b"", {"Expect": "x"})
    (fired,) = doris.admin("GET", "faults")["fired"]
    assert fired["facts"]["table"] == "t"
    assert doris.admin("DELETE", f"faults/{rule_id}") == {"removed": True}
    assert doris.admin("GET", "faults")["rules"] == []


def test_a_rule_with_unknown_keys_is_refused(doris: LoadCluster) -> None:
    body = json.dumps({"point": "fe.load", "action": "close", "when": 1}).encode()
    answer = doris.request("POST", "/_emulator/faults", body)
    assert answer.status == 400
    assert "when" in answer.json["error"]


def test_the_clock_moves_and_expires_what_is_pre_committed(doris: LoadCluster) -> None:
    reply = doris.load(b"1\n", {"two_phase_commit": "true", "label": "one"})
    assert reply["Status"] == "Success"
    before = doris.admin("GET", "clock")["now"]
    assert doris.admin("POST", "clock", {"advance": 3601})["now"] == before + 3601
    assert doris.engine.transactions.load_state("d", "one") == "ABORTED"


def test_backends_die_and_come_back_over_the_admin_path(doris: LoadCluster) -> None:
    first = doris.engine.backends[0].id
    doris.admin("POST", f"backends/{first}", {"alive": False})
    rows = doris.admin("GET", "backends")["backends"]
    assert [row["alive"] for row in rows] == [False, True]
    doris.admin("POST", f"backends/{first}", {"alive": True})
    assert doris.engine.backends[0].alive


def test_compaction_makes_older_versions_unreadable(doris: LoadCluster) -> None:
    doris.load(b"1\n")
    assert doris.admin("POST", "compact", {"db": "d", "table": "t"}) == {"ok": True}
    assert doris.rows() == [(1,)]
    assert doris.request("GET", "/_emulator/nothing", auth=None).status == 404
