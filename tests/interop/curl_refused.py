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
"""Loads that must be refused, by curl, in Doris' own words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from tests.interop.bench import same
from tests.interop.curl_load import EXPECT, Curl, body_file, new_label

LABEL_USED = re.compile(r"Label \[(.*)\] has already been used, relate to txn \[(\d+)\]")


def _needs(reply: dict[str, Any], key: str, *words: str) -> str:
    text = str(reply.get(key))
    missing = [word for word in words if word not in text]
    if missing:
        raise AssertionError(f"{missing} not in {reply}")
    return text


def _nothing_arrived(curl: Curl) -> None:
    same(curl.sql("SELECT * FROM curl.t"), [])


def _no_expect(curl: Curl) -> str:
    reply = curl.put(
        "/api/curl/t/_stream_load", {"Expect": "", "column_separator": ","}, b"1,a,1\n"
    )
    _needs(reply, "status", "FAILED")
    _nothing_arrived(curl)
    return _needs(reply, "msg", "There is no 100-continue header")


def _auth_lost(curl: Curl) -> str:
    """The redirect is followed by hand without the header, as libraries do on a port change."""
    headers = ["-H", "Expect: 100-continue", "-H", "column_separator: ,"]
    first = subprocess.run(
        [
            *("curl", "-sS", "--max-time", "30", "-u", "root:", "-o", "/dev/null", "-X", "PUT"),
            *(*headers, "-T", str(body_file(b"1,a,1\n")), "-w", "%{http_code} %header{location}"),
            f"{curl.cluster.url}/api/curl/t/_stream_load",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    status, location = first.stdout.split(" ", 1)
    assert status == "307", first.stdout
    parts = urlsplit(location)
    assert parts.username == "root", f"no user info in {location}"
    reply = curl.put(
        parts.path,
        {**EXPECT, "column_separator": ","},
        b"1,a,1\n",
        base=f"http://{parts.hostname}:{parts.port}",
        options=(),
    )
    _needs(reply, "Status", "Fail")
    _nothing_arrived(curl)
    return _needs(reply, "Message", "no valid Basic authorization")


def _wrong_password(curl: Curl) -> str:
    reply = curl.put(
        "/api/curl/t/_stream_load",
        {**EXPECT, "column_separator": ","},
        b"1,a,1\n",
        options=("--location-trusted", "-u", "root:wrong"),
    )
    text = str(reply)
    if "Access denied" not in text:
        raise AssertionError(text)
    _nothing_arrived(curl)
    return text[:200]


def _label_twice(curl: Curl) -> str:
    label = new_label()
    headers = {"column_separator": ",", "two_phase_commit": "true", "label": label}
    first = curl.loaded("t", b"1,a,1\n", 1, **headers)
    second = curl.load("t", b"1,a,1\n", **headers)
    assert second["TxnId"] == -1, second
    _needs(second, "Status", "Label Already Exists")
    _needs(second, "ExistingJobStatus", "PRECOMMITTED")
    match = LABEL_USED.search(second["Message"])
    assert match is not None, second
    assert match.groups() == (label, str(first["TxnId"])), second
    done = curl.finish("commit", txn_id=str(first["TxnId"]))
    assert done["status"] == "Success", done
    third = curl.load("t", b"1,a,1\n", **headers)
    _needs(third, "ExistingJobStatus", "FINISHED")
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "1")])
    return str(second["Message"])


def _arrow(*names: str) -> bytes:
    arrays = {"k": pa.array([1], pa.int32()), "v": pa.array(["a"]), "n": pa.array([7], pa.int32())}
    batch = pa.RecordBatch.from_arrays([arrays[name] for name in names], names=list(names))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    body = sink.getvalue().to_pybytes()
    assert isinstance(body, bytes)
    return body


def _arrow_order(curl: Curl) -> str:
    reply = curl.load("t", _arrow("k", "n", "v"), format="arrow", columns="k,v,n")
    _needs(reply, "Status", "Fail")
    words = _needs(reply, "Message", "Column name mismatch: expected v, got n")
    _nothing_arrived(curl)
    curl.loaded("t", _arrow("k", "v", "n"), 1, format="arrow", columns="k,v,n")
    same(curl.sql("SELECT * FROM curl.t"), [("1", "a", "7")])
    return words


def _expired(curl: Curl) -> str:
    reply = curl.loaded("t", b"1,a,1\n", 1, column_separator=",", two_phase_commit="true")
    curl.cluster.admin("clock", {"advance": 3700})
    done = curl.finish("commit", txn_id=str(reply["TxnId"]))
    if done["status"] == "Success":
        raise AssertionError(f"{done}")
    _nothing_arrived(curl)
    return _needs(done, "msg", f"transaction [{reply['TxnId']}] is already aborted. abort reason:")


def _bad_operation(curl: Curl) -> str:
    reply = curl.loaded("t", b"1,a,1\n", 1, column_separator=",", two_phase_commit="true")
    done = curl.finish("COMMITT", txn_id=str(reply["TxnId"]))
    words = _needs(done, "msg", "transaction operation should be", "commit", "abort")
    _nothing_arrived(curl)
    return words


def _unknown_transaction(curl: Curl) -> str:
    done = curl.finish("commit", txn_id="987654321")
    return _needs(done, "msg", "transaction [987654321] not found")


def _committed_twice(curl: Curl) -> str:
    reply = curl.loaded("t", b"1,a,1\n", 1, column_separator=",", two_phase_commit="true")
    number = str(reply["TxnId"])
    assert curl.finish("commit", txn_id=number)["status"] == "Success"
    twice = curl.finish("commit", txn_id=number)
    words = _needs(twice, "msg", f"transaction [{number}] is already visible, not pre-committed.")
    abort = curl.finish("abort", txn_id=number)
    _needs(abort, "msg", f"transaction [{number}] is already VISIBLE, could not abort.")
    return words


def _unknown_format(curl: Curl) -> str:
    reply = curl.load("t", b"1,a,1\n", format="xml")
    _needs(reply, "Status", "Fail")
    return _needs(reply, "Message", "unknown data format, format=xml")


def _bad_label(curl: Curl) -> str:
    reply = curl.load("t", b"1,a,1\n", label="not.a.label", column_separator=",")
    _needs(reply, "Status", "Fail")
    return _needs(reply, "Message", "Label format error", "not.a.label")


def _label_and_group_commit(curl: Curl) -> str:
    reply = curl.load(
        "t", b"1,a,1\n", label=new_label(), column_separator=",", group_commit="sync_mode"
    )
    _needs(reply, "Status", "Fail")
    return _needs(reply, "Message", "label and group_commit can't be set at the same time")


REFUSED: tuple[tuple[str, Callable[[Curl], str | None]], ...] = (
    ("refused: no Expect header", _no_expect),
    ("refused: auth lost on the 307", _auth_lost),
    ("refused: wrong password", _wrong_password),
    ("refused: label used twice under 2PC", _label_twice),
    ("refused: wrong Arrow column order", _arrow_order),
    ("refused: commit after expiry", _expired),
    ("refused: bad operation", _bad_operation),
    ("refused: unknown transaction", _unknown_transaction),
    ("refused: committed twice", _committed_twice),
    ("refused: unknown format", _unknown_format),
    ("refused: bad label", _bad_label),
    ("refused: label with group commit", _label_and_group_commit),
)
