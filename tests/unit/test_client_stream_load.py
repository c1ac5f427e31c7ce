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
"""Stream load against peers in memory: what is sent, and how every loss is settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from beam_doris.client.contracts import LoadRequest, LoadState
from beam_doris.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    DorisError,
    LabelConflictError,
    LoadError,
    LoadUnknownError,
    ProtocolError,
    RejectedRowsError,
    ServerBusy,
    TransientError,
)
from beam_doris.options.connection import LoadRoute, RedirectPolicy
from beam_doris.options.secrets import Secret
from beam_doris.options.table_id import TableId
from tests.unit.load_peers import PASSWORD, Cluster
from tests.unit.scripted_peers import Answer, CutBody

BODY = b'{"id":1}\n' * 1000


def request(
    label: str | None = "job_1",
    *,
    two_phase: bool = True,
    deadline: float = 60,
    headers: dict[str, str] | None = None,
    replay_bytes: int = 1 << 20,
) -> LoadRequest:
    return LoadRequest(
        table=TableId("test", "student"),
        label=label,
        two_phase=two_phase,
        headers={"format": "json", "columns": "`id`,`größe`"} if headers is None else headers,
        deadline=timedelta(seconds=deadline),
        replay_bytes=replay_bytes,
    )


def test_a_load_goes_to_the_frontend_without_body_and_to_the_backend_with_the_same_headers() -> (
    None
):
    cluster = Cluster()
    result = cluster.loader().load(request(), BODY)
    first, second = cluster.network.requests(path_part="_stream_load")
    assert str(first.node) in ("fe1:8030", "fe2:8030")
    assert str(second.node) in ("be1:8040", "be2:8040")
    assert first.body is None
    assert first.headers["content-length"] == "0"
    assert second.body == BODY
    assert second.headers["content-length"] == str(len(BODY))
    for name in ("expect", "label", "two_phase_commit", "format", "columns", "authorization"):
        assert first.headers[name] == second.headers[name]
    assert second.headers["columns"] == "`id`,`größe`"
    assert result.state is LoadState.PRECOMMITTED
    assert (result.txn_id, result.rows_total, result.rows_filtered) == (101, 3, 1)
    assert result.load_bytes == len(BODY)
    assert not result.adopted


def test_a_pushed_body_is_chunked_and_arrives_whole() -> None:
    cluster = Cluster()
    with cluster.loader().open(request()) as load:
        for start in range(0, len(BODY), 700):
            load.write(BODY[start : start + 700])
        load.write(b"")
        load.write(b"x" * 70_000)
        assert load.bytes_written == len(BODY) + 70_000
        result = load.finish()
    sent = cluster.network.requests("be1:8040") + cluster.network.requests("be2:8040")
    assert [each.body for each in sent] == [BODY + b"x" * 70_000]
    assert "content-length" not in sent[0].headers
    assert result.load_bytes == len(BODY) + 70_000


def test_one_phase_success_is_visible() -> None:
    cluster = Cluster()
    result = cluster.loader().load(request(two_phase=False), BODY)
    assert result.state is LoadState.VISIBLE
    assert "two_phase_commit" not in cluster.network.log[-1].headers


def test_a_redirect_to_a_stranger_is_refused_before_credentials_leave() -> None:
    cluster = Cluster(location="http://root:x@evil.example:8040/api/test/student/_stream_load")
    seen: list[object] = []
    cluster.network.peers["evil.example:8040"] = lambda each: seen.append(each) or None  # type: ignore[func-returns-value]
    with pytest.raises(ProtocolError, match=r"evil\.example:8040.*not a host"):
        cluster.loader().load(request(), BODY)
    assert not seen


def test_an_answer_lost_after_the_pre_commit_is_adopted_not_loaded_again() -> None:
    cluster = Cluster()
    cluster.fail_at("be.answer", Answer(lost=True))
    result = cluster.loader().load(request(), BODY)
    assert result.adopted
    assert result.state is LoadState.PRECOMMITTED
    assert result.txn_id == cluster.with_label("job_1")[0].id
    assert len(cluster.transactions) == 1


@pytest.mark.parametrize(
    "answer", [Answer(torn=True, content={"Status": "Success"}), Answer(status=502)]
)
def test_a_torn_answer_and_a_proxys_error_are_lost_answers(answer: Answer) -> None:
    cluster = Cluster()
    cluster.fail_at("be.answer", answer)
    result = cluster.loader().load(request(), BODY)
    assert result.adopted
    assert len(cluster.transactions) == 1


def test_a_connection_cut_in_the_body_is_sent_again_under_the_same_label() -> None:
    cluster = Cluster()
    cluster.fail_at("be.body", CutBody(after=4000))
    result = cluster.loader().load(request(), BODY)
    assert result.attempts == 2
    assert not result.adopted
    assert [each.state for each in cluster.with_label("job_1")] == ["ABORTED", "PRECOMMITTED"]
    assert cluster.with_label("job_1")[-1].body == BODY


def test_a_pushed_body_is_replayed_when_the_connection_is_cut() -> None:
    cluster = Cluster()
    cluster.fail_at("be.body", CutBody(after=4000))
    with cluster.loader().open(request()) as load:
        for start in range(0, len(BODY), 1000):
            load.write(BODY[start : start + 1000])
        result = load.finish()
    assert result.attempts == 2
    assert cluster.with_label("job_1")[-1].body == BODY


def test_a_body_too_large_to_replay_fails_as_transient_with_nothing_left_behind() -> None:
    cluster = Cluster()
    cluster.fail_at("be.body", CutBody(after=4000))
    load = cluster.loader().open(request(replay_bytes=2000))
    for _ in range(4):
        load.write(BODY[:1000])
    with pytest.raises(TransientError, match="replay_bytes"):
        load.finish()
    assert cluster.state_of("job_1") == "ABORTED"
    with pytest.raises(ConfigError, match="ended"):
        load.write(b"x")


def test_a_cut_load_that_still_hangs_on_the_server_is_aborted_and_sent_again() -> None:
    cluster = Cluster()
    cluster.fail_at("be.body", CutBody(after=4000))
    cluster.faults["be.cut.state"] = ["PREPARE"]
    result = cluster.loader().load(request(), BODY)
    assert [each.state for each in cluster.with_label("job_1")] == ["ABORTED", "PRECOMMITTED"]
    assert result.attempts == 2


def test_an_unknown_label_after_a_lost_answer_is_sent_again() -> None:
    cluster = Cluster()
    cluster.fail_at("be.head", Answer(lost=True))
    result = cluster.loader().load(request(), BODY)
    assert result.attempts == 2
    assert [each.state for each in cluster.transactions] == ["PRECOMMITTED"]


def test_leaving_an_open_load_aborts_its_own_transaction() -> None:
    cluster = Cluster()
    with cluster.loader() as loader, loader.open(request()) as load:
        load.write(b"some")
    assert cluster.state_of("job_1") == "ABORTED"
    assert cluster.network.open_connections == 0


def test_another_loads_label_is_a_conflict_and_left_alone() -> None:
    cluster = Cluster()
    other = cluster.add("job_1", "PRECOMMITTED")
    with pytest.raises(LabelConflictError) as caught:
        cluster.loader().load(request(), BODY)
    assert other.state == "PRECOMMITTED"
    assert caught.value.existing_status == "PRECOMMITTED"
    assert caught.value.txn_id == other.id
    assert not cluster.network.requests(path_part="2pc")


def test_an_open_load_under_another_loads_label_leaves_it_alone() -> None:
    cluster = Cluster()
    other = cluster.add("job_1", "PREPARE")
    load = cluster.loader().open(request())
    load.abort()
    assert other.state == "PREPARE"


@pytest.mark.parametrize("state", ["COMMITTED", "VISIBLE"])
def test_in_one_phase_a_finished_label_is_success(state: str) -> None:
    cluster = Cluster()
    cluster.add("job_1", state)
    result = cluster.loader().load(request(two_phase=False), BODY)
    assert result.adopted
    assert result.state.is_committed
    assert len(cluster.transactions) == 1


def test_in_one_phase_an_open_load_under_a_finished_label_takes_no_more_bytes() -> None:
    cluster = Cluster()
    cluster.add("job_1", "VISIBLE")
    with cluster.loader().open(request(two_phase=False)) as load:
        load.write(BODY)
        load.write(BODY)
        assert load.finish().adopted
    assert len(cluster.transactions) == 1


def test_in_one_phase_a_running_label_is_waited_for_and_never_aborted() -> None:
    cluster = Cluster()
    other = cluster.add("job_1", "PREPARE")
    cluster.fail_at("fe.state", "PREPARE", "PREPARE", "VISIBLE")
    result = cluster.loader().load(request(two_phase=False), BODY)
    assert result.adopted
    assert other.state == "PREPARE"
    assert not cluster.network.requests(path_part="2pc")


def test_in_one_phase_a_load_that_runs_beyond_the_deadline_is_an_unknown_outcome() -> None:
    cluster = Cluster()
    cluster.add("job_1", "PREPARE")
    started = cluster.clock.now
    with pytest.raises(LoadUnknownError, match="not known"):
        cluster.loader().load(request(two_phase=False, deadline=10), BODY)
    assert cluster.clock.now - started <= 11
    assert not cluster.network.requests(path_part="2pc")


def test_a_publish_timeout_is_verified_by_the_label() -> None:
    cluster = Cluster(publishes_late=True)
    result = cluster.loader().load(request(two_phase=False), BODY)
    assert result.state is LoadState.COMMITTED
    assert len(cluster.network.requests(path_part="get_load_state")) == 1
    assert len(cluster.transactions) == 1


def test_a_publish_timeout_that_cannot_be_verified_is_an_unknown_outcome() -> None:
    cluster = Cluster(publishes_late=True)
    cluster.fail_at("fe.state", *["UNKNOWN"] * 1000)
    with pytest.raises(LoadUnknownError):
        cluster.loader().load(request(two_phase=False, deadline=10), BODY)


@pytest.mark.parametrize(
    "message",
    [
        "[INTERNAL_ERROR]cancelled: tablet error: err=[E-235]failed to init rowset builder. "
        "version count: 2001, exceed limit: 2000, tablet: 77",
        "[ANALYSIS_ERROR]TStatus: errCode = 2, detailMessage = current running txns on db 7 is "
        "100, larger than limit 100",
        "[INTERNAL_ERROR]insert table student is blocked on schema change",
    ],
)
def test_an_overloaded_server_is_asked_again_with_growing_pauses(message: str) -> None:
    cluster = Cluster()
    cluster.fail_at("be.refuse", *[message] * 6)
    result = cluster.loader().load(request(deadline=600), BODY)
    assert result.attempts == 7  # more than the retries: overload is waited for
    assert len(cluster.clock.pauses) >= 6


def test_an_overload_that_lasts_ends_at_the_deadline_as_busy() -> None:
    cluster = Cluster()
    cluster.fail_at("be.refuse", *["err=-235"] * 1000)
    started = cluster.clock.now
    with pytest.raises(ServerBusy, match="-235"):
        cluster.loader().load(request(deadline=20), BODY)
    assert cluster.clock.now - started <= 21


def test_filtered_rows_are_a_typed_error_that_does_not_quote_them() -> None:
    cluster = Cluster()
    cluster.fail_at(
        "be.head",
        Answer(
            content={
                "TxnId": 5,
                "Status": "Fail",
                "Message": "[DATA_QUALITY_ERROR]too many filtered rows",
                "NumberTotalRows": 10,
                "NumberFilteredRows": 2,
                "ErrorURL": "http://10.0.0.1:8040/api/_load_error_log?file=x",
                "FirstErrorMsg": "column(id) value is null: secret-cell",
            }
        ),
    )
    with pytest.raises(RejectedRowsError) as caught:
        cluster.loader().load(request(), BODY)
    error = caught.value
    assert (error.total_rows, error.filtered_rows) == (10, 2)
    assert error.error_url is not None
    assert error.first_error is not None
    assert "secret-cell" not in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(content={"status": "FAILED", "msg": "No table selected."}), LoadError),
        (
            Answer(content={"code": 401, "msg": "Unauthorized", "data": "Access denied for user"}),
            AuthError,
        ),
        (Answer(content={"status": "FAILED", "msg": "Access denied; you need LOAD"}), AuthError),
        (Answer(status=401), AuthError),
        (Answer(content={"Status": "Success", "TxnId": 3, "Message": "OK"}), ProtocolError),
        (Answer(status=307), ProtocolError),
        (Answer(content=b"<html>not doris</html>"), ProtocolError),
    ],
)
def test_what_a_frontend_answers_by_itself_is_a_typed_error(
    answer: Answer, kind: type[DorisError]
) -> None:
    cluster = Cluster()
    cluster.fail_at("fe.load", answer)
    with pytest.raises(kind) as caught:
        cluster.loader().load(request(), BODY)
    assert not caught.value.retryable
    assert not cluster.network.requests("be1:8040", "_stream_load?")


def test_a_frontend_without_backends_is_asked_again() -> None:
    cluster = Cluster()
    busy = Answer(content={"status": "FAILED", "msg": "No backend load available, policy: x"})
    cluster.fail_at("fe.load", busy, busy)
    assert cluster.loader().load(request(), BODY).attempts == 1
    assert len(cluster.clock.pauses) == 2


def test_a_dead_frontend_is_passed_over_without_a_pause() -> None:
    cluster = Cluster()
    cluster.network.down.add("fe1:8030")
    loader = cluster.loader()
    for number in range(3):
        loader.load(request(f"job_{number}"), BODY)
    assert not cluster.clock.pauses


def test_a_dead_backend_is_tried_again_through_the_frontend() -> None:
    cluster = Cluster()
    cluster.network.down.add("be2:8040")
    result = cluster.loader().load(request(), BODY)
    assert result.host == "be1:8040"


def test_a_changed_password_is_read_again_when_a_backend_refuses_the_old_one() -> None:
    passwords = iter(["old", PASSWORD])
    cluster = Cluster()
    loader = cluster.loader(benodes="be1:8040", password=Secret.call(lambda: next(passwords)))
    result = loader.load(replace(request(), retries=0), BODY)
    assert (result.attempts, cluster.state_of("job_1")) == (2, "PRECOMMITTED")


@pytest.mark.parametrize("refusal", [Answer(status=401), None])
def test_a_wrong_password_is_not_tried_again(refusal: Answer | None) -> None:
    cluster = Cluster()
    if refusal is not None:
        cluster.fail_at("be.head", refusal, refusal)
    loader = cluster.loader(benodes="be1:8040", password=Secret.of("wrong"))
    with pytest.raises(AuthError):
        loader.load(request(), BODY)
    assert len(cluster.network.requests("be1:8040", "/_stream_load")) == 1


@pytest.mark.parametrize("retries", [0, 2])
def test_a_load_may_say_how_often_it_is_repeated(retries: int) -> None:
    cluster = Cluster()
    cluster.network.down.update(("fe1:8030", "fe2:8030"))
    with pytest.raises(ConnectError, match=f"after {retries + 1} attempts"):
        cluster.loader().load(replace(request(), retries=retries), BODY)


def test_loads_and_commits_say_which_backend_is_to_take_them() -> None:
    cluster = Cluster()
    route = LoadRoute(compute_group="größe", redirect_policy=RedirectPolicy.PUBLIC_PRIVATE)
    loader = cluster.loader(load_route=route)
    loader.load(request(headers={"redirect-policy": "direct"}), BODY)
    loader.transactions.commit("test", None, "job_1")
    loads = cluster.network.requests(path_part="/_stream_load")
    assert len(loads) == 4
    for sent in loads:
        assert sent.headers["cloud_cluster"] == sent.headers["compute_group"] == "größe"
        own = "_2pc" not in sent.path
        assert sent.headers["redirect-policy"] == ("direct" if own else "public-private")


@pytest.mark.parametrize("wrong", [{"compute_group": " "}, {"redirect_policy": "direct"}])
def test_a_route_that_cannot_be_sent_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        LoadRoute(**wrong)  # type: ignore[arg-type]


def test_nothing_reachable_is_a_connect_error_after_the_retries() -> None:
    cluster = Cluster()
    cluster.network.down |= {"fe1:8030", "fe2:8030"}
    with pytest.raises(ConnectError, match="nothing of it is visible"):
        cluster.loader().load(request(), BODY)
    assert len(cluster.clock.pauses) == 3


def test_fixed_backends_are_used_in_turn_without_a_frontend() -> None:
    cluster = Cluster()
    loader = cluster.loader(benodes="be1:8040,be2:8040")
    hosts = {loader.load(request(f"job_{number}"), BODY).host for number in range(4)}
    assert hosts == {"be1:8040", "be2:8040"}
    assert not cluster.network.requests("fe1:8030") + cluster.network.requests("fe2:8030")


def test_without_auto_redirect_the_listed_backends_are_used() -> None:
    cluster = Cluster()
    loader = cluster.loader(auto_redirect=False)
    hosts = {loader.load(request(f"job_{number}"), BODY).host for number in range(4)}
    assert hosts == {"be1:8040", "be2:8040"}
    assert len(cluster.network.requests(path_part="/api/backends")) == 1


@pytest.mark.parametrize("point", ["fe.load", "be.head", "be.answer"])
def test_a_peer_that_hangs_holds_nothing_beyond_the_deadline(point: str) -> None:
    cluster = Cluster()
    cluster.fail_at(point, *[Answer(hang=True)] * 100)
    started = cluster.clock.now
    with pytest.raises(DeadlineExceeded):
        cluster.loader().load(request(deadline=30), BODY)
    assert cluster.clock.now - started <= 31
    assert cluster.state_of("job_1") in ("UNKNOWN", "ABORTED")


def test_in_one_phase_a_hang_is_an_unknown_outcome() -> None:
    cluster = Cluster()
    cluster.fail_at("be.answer", Answer(hang=True))
    with pytest.raises(LoadUnknownError):
        cluster.loader().load(request(two_phase=False, deadline=30), BODY)


def test_group_commit_sends_no_label_and_cannot_settle_a_lost_answer() -> None:
    cluster = Cluster()
    grouped = request(None, two_phase=False, headers={"group_commit": "sync_mode"})
    assert cluster.loader().load(grouped, BODY).state is LoadState.COMMITTED
    assert "label" not in cluster.network.log[-1].headers
    cluster.transactions.clear()
    cluster.fail_at("be.answer", Answer(lost=True))
    with pytest.raises(LoadUnknownError, match="without a label"):
        cluster.loader().load(grouped, BODY)


def test_a_commit_although_only_a_pre_commit_was_asked_for_is_a_protocol_error() -> None:
    cluster = Cluster()
    cluster.fail_at(
        "be.answer",
        Answer(
            content={"TxnId": 9, "Status": "Success", "Message": "OK", "TwoPhaseCommit": "false"}
        ),
    )
    with pytest.raises(ProtocolError, match="committed at once"):
        cluster.loader().load(request(), BODY)


def test_contradictory_requests_name_all_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        LoadRequest(
            table=TableId("d", "t", "hive"),
            label="x",
            headers={"group_commit": "async_mode", "Label": "y"},
        )
    assert len(caught.value.problems) == 4


def test_a_header_with_a_line_break_cannot_be_smuggled_in() -> None:
    cluster = Cluster()
    with pytest.raises(ConfigError, match="line break"):
        cluster.loader().load(request(headers={"where": "a = 1\r\nlabel: x"}), BODY)


def test_no_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    cluster = Cluster()
    cluster.fail_at("be.answer", Answer(lost=True))
    loader = cluster.loader()
    loader.load(request(), BODY)
    with pytest.raises(LabelConflictError) as caught:
        cluster.loader().load(request(), BODY)
    shown = f"{loader!r} {loader.frontend!r} {loader.frontend.http!r} {caught.value} {caplog.text}"
    assert PASSWORD not in shown
    assert "p%40ss" not in shown
