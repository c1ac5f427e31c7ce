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
"""The HTTP server and the frontend's endpoints (P 1, 2.1)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from beam_doris.emulator.users import LOAD
from tests.emulator.load_cluster import ROOT, LoadCluster, Wire, cluster

LOAD_PATH = "/api/d/t/_stream_load"
EXPECT = {"Expect": "100-continue", "Content-Length": "5"}


@pytest.fixture
def doris() -> Iterator[LoadCluster]:
    with cluster(backends=3) as running:
        running.table("k INT;v DECIMAL(12,3);a ARRAY<INT>", not_null=["k"])
        yield running


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_the_frontend_redirects_without_asking_for_the_body(doris: LoadCluster) -> None:
    with Wire(doris.frontend.port) as wire:
        wire.head("PUT", LOAD_PATH, {"Authorization": ROOT, **EXPECT})
        answer = wire.answer()
    assert answer.status == 307
    port = answer.headers["location"].split(":")[3].split("/")[0]
    assert answer.headers["location"] == f"http://root:@127.0.0.1:{port}{LOAD_PATH}"


def test_redirects_take_turns_among_living_backends(doris: LoadCluster) -> None:
    doris.engine.backends[1].alive = False
    wanted = {doris.backends[0].port, doris.backends[2].port}
    found = set()
    for _ in range(4):
        answer = doris.request("PUT", LOAD_PATH, b"", {"Expect": "100-continue"})
        found.add(int(answer.headers["location"].split(":")[3].split("/")[0]))
    assert found == wanted


def test_no_living_backend_is_a_failure_in_the_load_envelope(doris: LoadCluster) -> None:
    for backend in doris.engine.backends:
        backend.alive = False
    answer = doris.request("PUT", LOAD_PATH, b"", {"Expect": "100-continue"})
    assert answer.status == 200
    assert answer.json["status"] == "FAILED"
    assert answer.json["msg"].startswith("No backend load available")


def test_user_info_is_escaped_and_the_query_kept(doris: LoadCluster) -> None:
    doris.engine.users.create("u", "p@:/ü")
    doris.engine.users.grant("u", "d", [LOAD])
    headers = {"Expect": "100-continue"}
    answer = doris.request("PUT", f"{LOAD_PATH}?a=1", b"", headers, auth=basic("u", "p@:/ü"))
    assert answer.headers["location"].startswith("http://u:p%40%3A%2F%C3%BC@127.0.0.1:")
    assert answer.headers["location"].endswith(f"{LOAD_PATH}?a=1")


def test_an_older_frontend_ends_the_location_with_a_question_mark() -> None:
    with cluster(profile="2.1") as doris:
        answer = doris.request("PUT", LOAD_PATH, b"", {"Expect": "100-continue"})
    assert answer.headers["location"].endswith("_stream_load?")


@pytest.mark.parametrize(
    ("path", "headers", "message"),
    [
        (LOAD_PATH, {}, "There is no 100-continue header"),
        (LOAD_PATH, {"group_commit": "x"}, "Header `group_commit` can only be"),
        (LOAD_PATH, {"Expect": "x", "redirect-policy": "public"}, "public endpoint is null"),
        ("/api/d/_stream_load_2pc", {"txn_operation": "commit"}, "No transaction id or label"),
        ("/api/d/_stream_load_2pc", {"txn_id": "1"}, "No transaction operation"),
    ],
)
def test_what_the_frontend_refuses_of_a_load(
    doris: LoadCluster, path: str, headers: dict[str, str], message: str
) -> None:
    answer = doris.request("PUT", path, b"", headers)
    assert answer.status == 200
    assert answer.json["status"] == "FAILED"
    assert message in answer.json["msg"]


def test_a_load_without_the_privilege_is_failed_not_unauthorized(doris: LoadCluster) -> None:
    doris.engine.users.create("u", "p")
    answer = doris.request("PUT", LOAD_PATH, b"", {"Expect": "x"}, auth=basic("u", "p"))
    assert answer.json["status"] == "FAILED"
    assert "Access denied; you need" in answer.json["msg"]
    reply = doris.load(b"1\n", auth=basic("u", "p"))
    assert reply["Status"] == "Fail"
    assert "Access denied; you need" in reply["Message"]


@pytest.mark.parametrize(
    ("auth", "text"),
    [
        (None, "Need auth information."),
        ("Basic x", "Need auth information."),
        (basic("root", "no"), "Access denied for user 'root'@'127.0.0.1' (using password: YES)"),
    ],
)
def test_bad_credentials_are_401_inside_of_200(
    doris: LoadCluster, auth: str | None, text: str
) -> None:
    answer = doris.request("GET", "/api/d/t/_schema", auth=auth)
    assert answer.status == 200
    assert answer.json == {"msg": "Unauthorized", "code": 401, "data": text, "count": 0}


def test_a_backend_without_authorization_fails_the_load(doris: LoadCluster) -> None:
    reply = doris.request("PUT", LOAD_PATH, b"1\n", backend=0, auth=None).json
    assert (reply["Status"], reply["TxnId"]) == ("Fail", -1)
    assert "no valid Basic authorization" in reply["Message"]


def test_the_schema_tells_types_precision_and_keys(doris: LoadCluster) -> None:
    data = doris.request("GET", "/api/d/t/_schema").json["data"]
    assert data["keysType"] == "DUP_KEYS"
    key, value, array = data["properties"]
    assert (key["type"], key["is_nullable"]) == ("INT", "No")
    assert (value["type"], value["precision"], value["scale"]) == ("DECIMAL64", "12", "3")
    assert array["type"] == "ARRAY"
    assert "precision" not in array


def test_an_older_schema_has_texts_only() -> None:
    with cluster(profile="2.1") as doris:
        doris.table("k INT;j JSON")
        rows = doris.request("GET", "/api/d/t/_schema").json["data"]["properties"]
    assert all(isinstance(value, str) for row in rows for value in row.values())
    assert "is_key" not in rows[0]


def test_dead_backends_are_listed_only_when_all_are_asked_for(doris: LoadCluster) -> None:
    doris.engine.backends[0].alive = False

    def listed(path: str) -> list[Any]:
        return [row["is_alive"] for row in doris.request("GET", path).json["data"]["backends"]]

    assert listed("/api/backends") == [False, True, True]
    assert listed("/api/backends?is_alive=true") == [True, True]


def test_the_count_is_of_visible_rows(doris: LoadCluster) -> None:
    doris.load(b"1\t1.5\t[1,2]\n2\t\\N\t\\N\n")
    data = doris.request("GET", "/api/d/t/_count").json["data"]
    assert data == {"status": 200, "size": 2}


def test_a_connection_serves_many_requests_and_a_head_has_no_body(doris: LoadCluster) -> None:
    with Wire(doris.frontend.port) as wire:
        wire.head("GET", "/api/bootstrap", {})
        assert wire.answer().json["code"] == 0
        wire.head("HEAD", "/", {})
        assert wire.answer(bodiless=True).status == 200
        wire.head("GET", "/api/health", {})
        assert wire.answer().json["data"]["online_backend_num"] == 3


def test_an_unknown_path_is_404(doris: LoadCluster) -> None:
    assert doris.request("GET", "/nothing/here").status == 404
    assert doris.request("GET", "/nothing/here", backend=0).status == 404


def test_garbage_is_answered_with_400(doris: LoadCluster) -> None:
    with Wire(doris.frontend.port) as wire:
        wire.socket.sendall(b"hello\r\n\r\n")
        assert wire.answer().status == 400


def test_a_stopped_backend_comes_back_on_its_port(doris: LoadCluster) -> None:
    server = doris.backends[0]
    port = server.port
    server.stop()
    with pytest.raises(OSError):
        Wire(port)
    server.start()
    assert doris.request("GET", "/", backend=0).status == 200
    assert server.port == port


def test_stopping_breaks_an_open_load_off(doris: LoadCluster) -> None:
    with Wire(doris.backends[0].port) as wire:
        wire.head("PUT", LOAD_PATH, {"Authorization": ROOT, "label": "one", **EXPECT})
        assert wire.answer().status == 100
        doris.backends[0].stop()
        assert wire.stream.read() == b""
    assert doris.engine.transactions.load_state("d", "one") == "ABORTED"
