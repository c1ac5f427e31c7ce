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
"""Commits and aborts against peers in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from beam_doris.client.contracts import LoadState
from beam_doris.client.deadline import Deadline
from beam_doris.client.transactions import Transactions
from beam_doris.errors import (
    AuthError,
    CommitFailedError,
    CommitUnknownError,
    ConfigError,
    DeadlineExceeded,
    LoadError,
    TransactionExpiredError,
)
from beam_doris.options.connection import Timeouts
from tests.unit.load_peers import Cluster
from tests.unit.scripted_peers import Answer


def transactions(cluster: Cluster, **changes: object) -> Transactions:
    return Transactions(
        cluster.connection(**changes),
        transport=cluster.network,
        retry=cluster.retry(),
        clock=cluster.clock,
    )


def refusal(text: str, status: str = "ANALYSIS_ERROR") -> Answer:
    return Answer(content={"status": status, "msg": text})


def test_a_commit_makes_the_load_visible() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    outcome = transactions(cluster).commit("test", load.id, "a")
    assert load.state == "VISIBLE"
    assert not outcome.already
    sent = cluster.network.log[-1]
    assert sent.path.startswith("/api/test/_stream_load_2pc")
    assert sent.headers["txn_id"] == str(load.id)
    assert sent.headers["content-length"] == "0"


def test_a_commit_may_name_the_label_alone() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    transactions(cluster).commit("test", None, "a")
    assert load.state == "VISIBLE"
    with pytest.raises(ConfigError, match="neither"):
        transactions(cluster).commit("test", None, None)


def test_committing_again_is_success() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    client = transactions(cluster)
    client.commit("test", load.id, "a")
    outcome = client.commit("test", load.id, "a")
    assert outcome.already
    assert outcome.state is LoadState.VISIBLE


@pytest.mark.parametrize(
    "text",
    [
        "errCode = 2, detailMessage = transaction [7] is already COMMITTED, not pre-committed.",
        "TStatus: errCode = 2, detailMessage = transaction [7] is already visible, not "
        "pre-committed.",
        "(10.0.0.9)[ANALYSIS_ERROR]TStatus: errCode = 2, detailMessage = transaction [7] is "
        "already committed, not pre-committed.",
    ],
)
def test_committed_already_is_success_in_all_wordings(text: str) -> None:
    cluster = Cluster()
    cluster.fail_at("be.commit", refusal(text))
    assert transactions(cluster).commit("test", 7, "a").already


def test_an_aborted_transaction_is_a_loud_loss_with_the_reason() -> None:
    cluster = Cluster()
    load = cluster.add("a", "ABORTED")
    load.reason = "pre-commit timeout"
    with pytest.raises(TransactionExpiredError, match="pre-commit timeout") as caught:
        transactions(cluster).commit("test", load.id, "a")
    assert caught.value.where["label"] == "a"
    assert caught.value.where["txn_id"] == load.id


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("VISIBLE", None),
        ("COMMITTED", None),
        ("ABORTED", TransactionExpiredError),
        ("UNKNOWN", CommitUnknownError),
    ],
)
def test_not_found_is_decided_by_the_label(
    state: str, error: type[CommitFailedError] | type[CommitUnknownError] | None
) -> None:
    cluster = Cluster()
    cluster.fail_at("fe.state", state)
    if error is None:
        assert transactions(cluster).commit("test", 7, "a").already
    else:
        with pytest.raises(error):
            transactions(cluster).commit("test", 7, "a")


def test_not_found_without_a_label_is_undecidable() -> None:
    with pytest.raises(CommitUnknownError, match="12 hours"):
        transactions(Cluster()).commit("test", 7)


@pytest.mark.parametrize("label", ["a", None])
def test_a_lost_answer_is_asked_for_and_found_done(label: str | None) -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    cluster.fail_at("be.commit", Answer(lost=True))
    assert transactions(cluster).commit("test", load.id, label).already


def test_a_lost_request_is_sent_again() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    cluster.fail_at("be.commit", Answer(status=503))
    outcome = transactions(cluster).commit("test", load.id, "a")
    assert not outcome.already
    assert load.state == "VISIBLE"


def test_an_unknown_wording_is_settled_by_the_label() -> None:
    cluster = Cluster()
    cluster.add("a", "VISIBLE")
    cluster.fail_at("be.commit", refusal("la transaction est faite"))
    assert transactions(cluster).commit("test", 7, "a").already


def test_a_refusal_for_good_leaves_the_load_pre_committed() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    cluster.fail_at(
        "be.commit",
        refusal("transaction [7] check schema compatibility failed, partial update can't commit"),
    )
    with pytest.raises(CommitFailedError, match="schema compatibility"):
        transactions(cluster).commit("test", load.id, "a")
    assert load.state == "PRECOMMITTED"


def test_a_load_that_is_not_pre_committed_yet_is_waited_for() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PREPARE")
    cluster.fail_at("fe.state", "PREPARE", "PREPARE")

    def settle(seconds: float) -> None:
        cluster.clock.now += seconds
        if len(cluster.network.requests(path_part="get_load_state")) == 2:
            load.state = "PRECOMMITTED"

    client = transactions(cluster)
    object.__setattr__(client.retry, "sleep", settle)
    client.commit("test", load.id, "a")
    assert load.state == "VISIBLE"


def test_a_wrong_password_is_an_auth_error() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    with pytest.raises(AuthError):
        transactions(cluster, password="wrong").commit("test", load.id, "a")
    assert load.state == "PRECOMMITTED"


def test_a_commit_that_cannot_be_sent_is_unknown_at_its_deadline() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    cluster.network.down |= {"fe1:8030", "fe2:8030"}
    started = cluster.clock.now
    with pytest.raises(CommitUnknownError):
        transactions(cluster).commit(
            "test", load.id, "a", deadline=Deadline.after(20, cluster.clock)
        )
    assert cluster.clock.now - started <= 21


def test_a_server_that_hangs_ends_at_the_deadline() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    cluster.fail_at("be.commit", *[Answer(hang=True)] * 9)
    timeouts = Timeouts(connect=timedelta(seconds=1), read=timedelta(seconds=4))
    started = cluster.clock.now
    with pytest.raises(CommitUnknownError):
        transactions(cluster, timeouts=timeouts).commit("test", load.id, "a")
    assert cluster.clock.now - started <= 11


def test_an_abort_drops_the_load_once() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    client = transactions(cluster)
    assert client.abort("test", load.id, "a")
    assert load.state == "ABORTED"
    assert not client.abort("test", load.id, "a")
    assert not client.abort("test", 999)


@pytest.mark.parametrize("state", ["COMMITTED", "VISIBLE"])
def test_what_is_committed_cannot_be_aborted(state: str) -> None:
    cluster = Cluster()
    load = cluster.add("a", state)
    with pytest.raises(LoadError, match="cannot be aborted"):
        transactions(cluster).abort("test", load.id)


def test_an_abort_whose_answer_is_lost_is_repeated() -> None:
    cluster = Cluster()
    load = cluster.add("a", "PRECOMMITTED")
    cluster.fail_at("be.abort", Answer(lost=True))
    transactions(cluster).abort("test", load.id)
    assert load.state == "ABORTED"


def test_waiting_for_visibility() -> None:
    cluster = Cluster()
    cluster.add("a", "COMMITTED")
    cluster.fail_at("fe.state", "COMMITTED", "COMMITTED", "VISIBLE")
    client = transactions(cluster)
    deadline = Deadline.after(5, cluster.clock)
    assert client.wait_visible("test", "a", deadline=deadline) is LoadState.VISIBLE
    with pytest.raises(DeadlineExceeded, match="COMMITTED but not visible"):
        client.wait_visible("test", "a", deadline=deadline)
    with pytest.raises(CommitUnknownError):
        client.wait_visible("test", "never", deadline=Deadline.after(5, cluster.clock))
