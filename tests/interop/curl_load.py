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
"""curl as the stream load manual uses it, and loads that must be refused in Doris' own words."""

from __future__ import annotations

import gzip
import json
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.interop import mariadb
from tests.interop.bench import ONE_REPLICA, same
from tests.interop.cells import Sheet
from tests.interop.cluster import Cluster
from tests.interop.places import BUILD

Scenario = Callable[["Curl"], "str | None"]


@dataclass(frozen=True)
class Curl:
    """The emulator seen through curl."""

    cluster: Cluster

    def put(
        self,
        path: str,
        headers: dict[str, str],
        body: bytes | None = None,
        *,
        base: str = "",
        options: tuple[str, ...] = ("--location-trusted", "-u", "root:"),
    ) -> dict[str, Any]:
        """One PUT; the JSON of the last answer."""
        command = ["curl", "-sS", "--max-time", "60", *options, "-X", "PUT"]
        for name, value in headers.items():
            command += ["-H", f"{name}: {value}" if value else f"{name}:"]
        if body is not None:
            file = body_file(body)
            command += ["-T", str(file)]
        command.append((base or self.cluster.url) + path)
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode:
            raise AssertionError(f"curl exit {done.returncode}: {done.stderr.strip()}")
        reply = json.loads(done.stdout)
        assert isinstance(reply, dict)
        return reply

    def load(self, table: str, body: bytes, /, **headers: str) -> dict[str, Any]:
        """The manual's form; underscores of a header's name stay underscores."""
        return self.put(f"/api/curl/{table}/_stream_load", {**EXPECT, **headers}, body)

    def loaded(self, table: str, body: bytes, rows: int, /, **headers: str) -> dict[str, Any]:
        reply = self.load(table, body, **headers)
        if reply.get("Status") != "Success" or reply.get("NumberLoadedRows") != rows:
            raise AssertionError(f"not loaded: {reply}")
        return reply

    def finish(self, operation: str, *, base: str = "", **headers: str) -> dict[str, Any]:
        """The two-phase endpoint."""
        return self.put(
            "/api/curl/_stream_load_2pc", {**headers, "txn_operation": operation}, base=base
        )

    def sql(self, text: str) -> list[mariadb.Row]:
        return mariadb.query(self.cluster.mysql_port, text)

    def fresh(self) -> None:
        self.sql(
            "DROP DATABASE IF EXISTS curl FORCE; CREATE DATABASE curl;"
            "CREATE TABLE curl.t (k INT, v VARCHAR(50), n INT) DUPLICATE KEY(k)"
            f" DISTRIBUTED BY HASH(k) BUCKETS 2 {ONE_REPLICA};"
            "CREATE TABLE curl.u (k INT, v VARCHAR(50), n INT) UNIQUE KEY(k)"
            f" DISTRIBUTED BY HASH(k) BUCKETS 2 {ONE_REPLICA}"
        )


EXPECT = {"Expect": "100-continue"}


def body_file(content: bytes) -> Path:
    folder = BUILD / "data"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "curl.body"
    path.write_bytes(content)
    return path


def new_label() -> str:
    return f"curl_{uuid.uuid4().hex}"


def version() -> str:
    done = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def run_all(cluster: Cluster, sheet: Sheet, refused: tuple[tuple[str, Scenario], ...]) -> None:
    curl = Curl(cluster)
    found = version()
    for name, body in (*_GOOD, *refused):
        sheet.run("curl", found, name, partial(_scenario, curl, body))


def _scenario(curl: Curl, body: Callable[[Curl], str | None]) -> str | None:
    curl.fresh()
    return body(curl)


# --- the manual's forms


def _csv(curl: Curl) -> None:
    label = new_label()
    reply = curl.loaded("t", b"1,a,10\n2,\\N,\n", 2, label=label, column_separator=",")
    assert reply["Label"] == label
    assert reply["TwoPhaseCommit"] == "false"
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "10"), ("2", "NULL", "NULL")])


def _csv_columns(curl: Curl) -> None:
    curl.loaded(
        *("t", b"a|1|5\nb|2|6\nc|3|7\n", 2),
        column_separator="|",
        columns="v,k,tmp,n=tmp*2",
        where="k < 3",
    )
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "10"), ("2", "b", "12")])


def _csv_enclosed(curl: Curl) -> None:
    body = b'1,"a,\\"b\\"",10\n'
    curl.loaded(
        *("t", body, 1), column_separator=",", enclose='"', escape="\\", trim_double_quotes="true"
    )
    same(curl.sql("SELECT * FROM curl.t"), [("1", 'a,"b"', "10")])


def _csv_gzip(curl: Curl) -> None:
    curl.loaded("t", gzip.compress(b"1,a,10\n"), 1, column_separator=",", compress_type="gz")
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "10")])


def _json_lines(curl: Curl) -> None:
    body = '{"k": 1, "v": "中", "n": null}\n{"k": 2, "v": "b", "other": 5}\n'.encode()
    curl.loaded("t", body, 2, format="json", read_json_by_line="true")
    same(curl.sql("SELECT * FROM curl.t"), [("1", "中", "NULL"), ("2", "b", "NULL")])


def _json_array(curl: Curl) -> None:
    body = b'[{"a": {"id": 1}, "b": "x"}, {"a": {"id": 2}, "b": "y"}]'
    curl.loaded(
        *("t", body, 2),
        format="json",
        strip_outer_array="true",
        jsonpaths='["$.a.id", "$.b"]',
        columns="k,v",
    )
    same(curl.sql("SELECT k, v FROM curl.t"), [("1", "x"), ("2", "y")])


def _chunked(curl: Curl) -> None:
    """curl streams standard input: the length is not known."""
    script = (
        "printf '1,a,1\\n2,b,2\\n' | curl -sS --max-time 60 --location-trusted -u root:"
        " -H 'Expect: 100-continue' -H 'column_separator: ,' -T -"
        f" {curl.cluster.url}/api/curl/t/_stream_load"
    )
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=90, check=True
    )
    assert json.loads(done.stdout)["Status"] == "Success", done.stdout
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "1"), ("2", "b", "2")])


def _delete(curl: Curl) -> None:
    curl.loaded("u", b"1,a,1\n2,b,2\n3,c,3\n", 3, column_separator=",")
    curl.loaded("u", b"1,a,1\n", 1, column_separator=",", merge_type="DELETE")
    curl.loaded(
        *("u", b"2,b,9\n3,cc,4\n", 2), column_separator=",", merge_type="MERGE", delete="n = 9"
    )
    same(curl.sql("SELECT * FROM curl.u"), [("3", "cc", "4")])


def _filtered(curl: Curl) -> str:
    body = b"1,a,1\nx,b,2\n"
    headers = {"column_separator": ",", "strict_mode": "true"}
    reply = curl.load("t", body, **headers)
    if reply["Status"] != "Fail" or "too many filtered rows" not in reply["Message"]:
        raise AssertionError(f"{reply}")
    reply = curl.load("t", body, max_filter_ratio="0.6", **headers)
    assert reply["Status"] == "Success", reply
    assert (reply["NumberLoadedRows"], reply["NumberFilteredRows"]) == (1, 1), reply
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "30", str(reply["ErrorURL"])],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "x" in done.stdout, done.stdout
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "1")])
    return done.stdout.strip()[:160]


def _two_phase(curl: Curl) -> str:
    first = curl.loaded("t", b"1,a,1\n", 1, column_separator=",", two_phase_commit="true")
    second = curl.loaded(
        *("t", b"2,b,2\n", 1), column_separator=",", two_phase_commit="true", label=new_label()
    )
    third = curl.loaded("t", b"3,c,3\n", 1, column_separator=",", two_phase_commit="true")
    same(curl.sql("SELECT * FROM curl.t"), [])
    done = curl.finish("commit", txn_id=str(first["TxnId"]))
    assert done["status"] == "Success", done
    by_label = curl.finish("commit", label=str(second["Label"]))
    assert by_label["status"] == "Success", by_label
    gone = curl.finish("abort", txn_id=str(third["TxnId"]))
    assert gone["status"] == "Success", gone
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "1"), ("2", "b", "2")])
    return f"{done['msg']} | {by_label['msg']} | {gone['msg']}"


def _group_commit(curl: Curl) -> None:
    reply = curl.loaded("t", b"1,a,1\n", 1, column_separator=",", group_commit="sync_mode")
    assert reply["GroupCommit"] is True, reply
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "1")])


def _straight_to_backend(curl: Curl) -> None:
    reply = curl.put(
        "/api/curl/t/_stream_load",
        {**EXPECT, "column_separator": ","},
        b"1,a,1\n",
        base=f"http://127.0.0.1:{curl.cluster.backend_port}",
    )
    assert reply["Status"] == "Success", reply
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "1")])


_GOOD: tuple[tuple[str, Callable[[Curl], str | None]], ...] = (
    ("csv", _csv),
    ("csv columns and where", _csv_columns),
    ("csv enclosed", _csv_enclosed),
    ("csv gzip", _csv_gzip),
    ("json lines", _json_lines),
    ("json array with jsonpaths", _json_array),
    ("chunked from standard input", _chunked),
    ("merge and delete", _delete),
    ("filtered rows and ErrorURL", _filtered),
    ("two-phase commit", _two_phase),
    ("group commit", _group_commit),
    ("straight to a backend", _straight_to_backend),
)
