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
"""Loads over real sockets: atomic outcome, labels, two phases, bodies of any size (P 2, 3)."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pyarrow as pa
import pytest

from beam_doris.emulator.catalog import KeysModel
from beam_doris.emulator.users import LOAD
from tests.emulator.load_cluster import ROOT, LoadCluster, Wire, cluster

COMMA = {"column_separator": ","}
PATH = "/api/d/t/_stream_load"


@pytest.fixture
def doris() -> Iterator[LoadCluster]:
    with cluster(backends=2) as running:
        yield running


def start(doris: LoadCluster, headers: dict[str, str], backend: int = 0) -> Wire:
    """A chunked load whose body is still to come."""
    wire = Wire(doris.backends[backend].port)
    wire.head(
        "PUT",
        PATH,
        {
            "Authorization": ROOT,
            "Expect": "100-continue",
            "Transfer-Encoding": "chunked",
            **COMMA,
            **headers,
        },
    )
    return wire


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_a_load_begins_with_its_headers_and_ends_with_its_body(doris: LoadCluster) -> None:
    doris.table("k INT;v STRING")
    with start(doris, {"label": "one"}) as wire:
        assert wire.answer().status == 100
        assert doris.engine.transactions.load_state("d", "one") == "PREPARE"
        wire.socket.sendall(chunk(b"1,a\n2,") + chunk(b"b\n") + b"0\r\n\r\n")
        reply = wire.answer().json
    assert (reply["Status"], reply["NumberLoadedRows"], reply["LoadBytes"]) == ("Success", 2, 8)
    assert doris.rows() == [(1, "a"), (2, "b")]


def test_a_body_that_breaks_off_frees_its_label_and_leaves_no_row(doris: LoadCluster) -> None:
    doris.table("k INT;v STRING")
    with start(doris, {"label": "one"}) as wire:
        assert wire.answer().status == 100
        wire.socket.sendall(chunk(b"1,a\n"))
    deadline = threading.Event()
    for _ in range(100):
        if doris.engine.transactions.load_state("d", "one") == "ABORTED":
            break
        deadline.wait(0.05)
    assert doris.engine.transactions.load_state("d", "one") == "ABORTED"
    assert doris.rows() == []
    assert doris.load(b"2,b\n", {**COMMA, "label": "one"})["Status"] == "Success"


def test_a_refused_header_is_answered_before_the_body_is_asked_for(doris: LoadCluster) -> None:
    doris.table("k INT;v STRING")
    with start(doris, {"format": "txt", "label": "one"}) as wire:
        reply = wire.answer()
    assert reply.status == 200
    assert reply.json["Message"] == "[INTERNAL_ERROR]unknown data format, format=txt"
    assert reply.json["TxnId"] == -1
    assert doris.engine.transactions.load_state("d", "one") == "UNKNOWN"


def test_a_label_in_use_is_refused_before_the_body_with_the_id_in_the_message_only(
    doris: LoadCluster,
) -> None:
    doris.table("k INT;v STRING")
    first = doris.load(b"1,a\n", {**COMMA, "label": "one"})
    with start(doris, {"label": "one"}, backend=1) as wire:
        reply = wire.answer().json
    assert reply["Status"] == "Label Already Exists"
    assert reply["ExistingJobStatus"] == "FINISHED"
    assert reply["TxnId"] == -1
    assert reply["Message"].endswith(
        f"Label [one] has already been used, relate to txn [{first['TxnId']}]"
    )


def test_both_or_no_length_are_refused(doris: LoadCluster) -> None:
    doris.table("k INT;v STRING")
    neither = doris.request("PUT", PATH, None, COMMA, backend=0).json
    assert "please set content_length or transfer-encoding=chunked" in neither["Message"]
    both = {**COMMA, "Content-Length": "4", "Transfer-Encoding": "chunked"}
    assert (
        "please do not set both" in doris.request("PUT", PATH, b"", both, backend=0).json["Message"]
    )


def test_a_precommitted_load_is_committed_by_another_backend_and_only_once(
    doris: LoadCluster,
) -> None:
    doris.table("k INT;v STRING")
    reply = doris.load(b"1,a\n", {**COMMA, "two_phase_commit": "true"}, backend=1)
    assert reply["TwoPhaseCommit"] == "true"
    assert reply["CommitAndPublishTimeMs"] == 0
    assert doris.rows() == []
    txn_id = reply["TxnId"]
    assert doris.second_phase("commit", txn_id=txn_id) == {
        "status": "Success",
        "msg": f"transaction [{txn_id}] commit successfully.",
    }
    assert doris.rows() == [(1, "a")]
    again = doris.second_phase("commit", txn_id=txn_id)
    assert again["status"] == "ANALYSIS_ERROR"
    assert f"transaction [{txn_id}] is already visible, not pre-committed." in again["msg"]


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"txn_id": "x", "txn_operation": "commit"}, "convert txn_id [x] failed"),
        ({"txn_id": "1", "txn_operation": "COMMIT"}, "should be 'commit' or 'abort'"),
        ({"txn_operation": "commit"}, "transaction id and label are empty"),
    ],
)
def test_a_malformed_second_phase_is_refused(
    doris: LoadCluster, headers: dict[str, str], text: str
) -> None:
    reply = doris.request("PUT", "/api/d/_stream_load_2pc", b"", headers, backend=0).json
    assert reply["status"] == "INVALID_ARGUMENT"
    assert text in reply["msg"]


def test_only_the_exact_word_true_means_two_phases(doris: LoadCluster) -> None:
    doris.table("k INT;v STRING")
    assert doris.load(b"1,a\n", {**COMMA, "two_phase_commit": "TRUE"})["TwoPhaseCommit"] == "false"
    assert doris.rows() == [(1, "a")]


def test_the_error_log_shows_reason_and_line_of_every_kind_of_bad_row(doris: LoadCluster) -> None:
    doris.table("k INT;v TINYINT;w VARCHAR(3)", not_null=["k"])
    body = b"1,x,abc\n\\N,1,abc\n3,1,abcd\n4\n5,5,abc\n"
    reply = doris.load(body, {**COMMA, "strict_mode": "true", "max_filter_ratio": "0.8"})
    assert (reply["NumberLoadedRows"], reply["NumberFilteredRows"]) == (1, 4)
    log = doris.request("GET", reply["ErrorURL"].split("/", 3)[3].join(["/", ""]), backend=0)
    text = log.body.decode()
    assert "src value is x. src line [1,x,abc]" in text
    assert "column(k) values is null while columns is not nullable. src line [\\N,1,abc]" in text
    assert "column_name[w], the length of input is too long" in text
    assert "actual column number in csv file is  less than" in text
    assert reply["FirstErrorMsg"] in text


def test_an_over_long_text_is_cut_by_no_profile_that_does_not_say_so(doris: LoadCluster) -> None:
    doris.table("k INT;v VARCHAR(3)")
    assert doris.load("1,ééé\n".encode(), COMMA)["Status"] == "Fail"
    assert doris.load("1,éx\n".encode(), COMMA)["Status"] == "Success"


def test_delete_signs_need_no_values_beside_the_key(doris: LoadCluster) -> None:
    doris.table("k INT;v INT", model=KeysModel.UNIQUE_KEYS, not_null=["k", "v"])
    doris.load(b"1,1\n2,2\n", COMMA)
    reply = doris.load(b"1,\\N,1\n", {**COMMA, "columns": "k,v,__DORIS_DELETE_SIGN__"})
    assert reply["Status"] == "Success", reply
    assert doris.rows() == [(2, 2)]


def test_the_delete_sign_may_be_computed(doris: LoadCluster) -> None:
    doris.table("k INT;v STRING", model=KeysModel.UNIQUE_KEYS)
    doris.load(b"1,a\n2,b\n", COMMA)
    columns = "k,v,op,__DORIS_DELETE_SIGN__=if(op='D',1,0)"
    reply = doris.load(b"1,x,D\n2,y,U\n", {**COMMA, "columns": columns})
    assert reply["Status"] == "Success", reply
    assert doris.rows() == [(2, "y")]


def test_sequence_and_expressions_reach_the_store(doris: LoadCluster) -> None:
    doris.table(
        "k INT;v STRING",
        model=KeysModel.UNIQUE_KEYS,
        properties={"function_column.sequence_type": "bigint"},
    )
    head = {**COMMA, "columns": "k,v,s", "function_column.sequence_col": "s"}
    doris.load(b"1,new,9\n1,old,3\n", head)
    assert doris.rows() == [(1, "new")]


def test_wide_values_survive_expressions(doris: LoadCluster) -> None:
    doris.table("k INT;v LARGEINT")
    number = "170141183460469231731687303715884105727"
    doris.load(f"1,{number}\n".encode(), {**COMMA, "columns": "k,x,v=cast(x as largeint)"})
    assert doris.rows() == [(1, int(number))]


def test_a_load_that_fails_midway_is_answered_when_its_body_has_ended(doris: LoadCluster) -> None:
    doris.table("k INT;v STRING")
    with start(doris, {"format": "arrow", "label": "one"}) as wire:
        assert wire.answer().status == 100
        wire.socket.sendall(chunk(b"no arrow stream at all " * 4000) * 20)
        wire.socket.sendall(b"0\r\n\r\n")
        reply = wire.answer().json
    assert reply["Status"] == "Fail"
    assert reply["LoadBytes"] == 23 * 4000 * 20
    assert doris.engine.transactions.load_state("d", "one") == "ABORTED"


def test_a_grant_on_the_table_is_enough_for_both_phases(doris: LoadCluster) -> None:
    doris.table("k INT")
    doris.table("k INT", name="other")
    for user, scope in (("mine", "d.t"), ("yours", "d.other")):
        doris.engine.users.create(user)
        doris.engine.users.grant(user, scope, [LOAD])
    mine, yours = (
        "Basic " + base64.b64encode(f"{user}:".encode()).decode() for user in ("mine", "yours")
    )
    txn_id = doris.load(b"1\n", {"two_phase_commit": "true"}, auth=mine)["TxnId"]
    headers = {"txn_id": str(txn_id), "txn_operation": "commit"}

    def commit(auth: str) -> Any:
        path = "/api/d/_stream_load_2pc"
        return doris.request("PUT", path, b"", headers, backend=0, auth=auth).json

    assert "Access denied" in commit(yours)["msg"]
    assert commit(mine)["status"] == "Success"


def test_group_commit_names_a_label_of_its_own(doris: LoadCluster) -> None:
    doris.table("k INT")
    reply = doris.load(b"1\n", {"group_commit": "sync_mode"})
    assert reply["GroupCommit"] is True
    assert reply["Label"].startswith("group_commit_")
    assert not {"TwoPhaseCommit", "BeginTxnTimeMs", "CommitAndPublishTimeMs"} & set(reply)
    quiet = doris.load(b"2\n", {"group_commit": "sync_mode", "two_phase_commit": "true"})
    assert quiet["TwoPhaseCommit"] == "true"


def test_the_reply_has_its_keys_in_order(doris: LoadCluster) -> None:
    doris.table("k TINYINT")
    head = {"strict_mode": "true", "max_filter_ratio": "1", "comment": "c"}
    assert list(doris.load(b"1\nx\n", head)) == [
        "TxnId",
        "Label",
        "Comment",
        "TwoPhaseCommit",
        "Status",
        "Message",
        "NumberTotalRows",
        "NumberLoadedRows",
        "NumberFilteredRows",
        "NumberUnselectedRows",
        "LoadBytes",
        "LoadTimeMs",
        "BeginTxnTimeMs",
        "StreamLoadPutTimeMs",
        "ReadDataTimeMs",
        "WriteDataTimeMs",
        "ReceiveDataTimeMs",
        "CommitAndPublishTimeMs",
        "ErrorURL",
        "FirstErrorMsg",
    ]


def test_a_load_by_sql_filters_and_computes_over_its_fields(doris: LoadCluster) -> None:
    doris.table("k INT;c1 STRING")
    sql = (
        'insert into d.t (k, c1) select c2 + 1, upper(c1) from http_stream("format"="csv", '
        '"column_separator"=",") where c2 > 1'
    )
    answer = doris.request("PUT", "/api/_http_stream", b"a,1\nb,2\nc,3\n", {"sql": sql}, backend=0)
    reply = answer.json
    assert (reply["NumberLoadedRows"], reply["NumberUnselectedRows"]) == (2, 1)
    assert doris.rows() == [(3, "B"), (4, "C")]


def test_texts_within_nested_arrow_values_are_read_as_their_types(doris: LoadCluster) -> None:
    doris.table("k INT;v ARRAY<IPV6>;w ARRAY<JSON>")
    table = pa.table(
        {
            "k": pa.array([1], pa.int32()),
            "v": pa.array([["::2", None]]),
            "w": pa.array([['{"a" : 1}']]),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    reply = doris.load(sink.getvalue().to_pybytes(), {"format": "arrow"})
    assert reply["Status"] == "Success", reply
    assert doris.rows() == [(1, [2, None], ['{"a":1}'])]


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"max_filter_ratio": "2"}, "Invalid max_filter_ratio"),
        ({"timeout": "0"}, "timeout"),
        ({"exec_mem_limit": "2G"}, "Invalid mem limit format, 2G"),
        ({"skip_lines": "-1"}, "skip_lines"),
        ({"columns": "k,k"}, "Duplicate column: k"),
        ({"columns": "k,v=nothing+1"}, "reference=nothing"),
        ({"columns": "k,(v"}, "Syntax error in columns"),
        ({"format": "json", "jsonpaths": "{"}, "Invalid json path"),
        ({"format": "json", "jsonpaths": '["k"]'}, "Invalid json path"),
        ({"compress_type": "lzo"}, "can't decompress lzo"),
        ({"merge_type": "DELETE"}, "only supported in unique tables"),
        ({"partial_columns": "true"}, "Only unique key merge on write"),
        ({"hidden_columns": "x"}, "too many filtered rows"),
    ],
)
def test_wrong_headers_are_named(doris: LoadCluster, headers: dict[str, str], text: str) -> None:
    doris.table("k INT;v INT")
    reply = doris.load(b"1,2\n", {**COMMA, **headers, "label": "one"})
    assert reply["Status"] == "Fail"
    assert text in reply["Message"]
    assert doris.load(b"1,2\n", {**COMMA, "label": "one"})["Status"] == "Success"


def test_a_load_may_be_far_larger_than_the_memory_it_takes(doris: LoadCluster) -> None:
    doris.table("k BIGINT;v STRING")
    block = b"".join(b"%d,%s\n" % (n, b"x" * 90) for n in range(10_000))
    process = psutil.Process()
    # rows that the condition drops are read and converted, yet not kept by the store
    with start(doris, {"where": "k < 0"}) as wire:
        assert wire.answer().status == 100
        wire.socket.sendall(chunk(block) * 20)
        before = process.memory_info().rss
        peak = 0
        for _ in range(300):
            wire.socket.sendall(chunk(block))
            peak = max(peak, process.memory_info().rss)
        wire.socket.sendall(b"0\r\n\r\n")
        reply = wire.answer().json
    assert reply["LoadBytes"] == 320 * len(block) > 300_000_000
    assert reply["NumberUnselectedRows"] == 3_200_000
    assert peak - before < 200_000_000, f"{(peak - before) / 1e6:.0f} MB more"
