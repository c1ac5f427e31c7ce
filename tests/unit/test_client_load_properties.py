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
"""Random misfortune: whatever fails, a load is in once, or not at all, or said to be unknown."""

from __future__ import annotations

import pickle
import random
from datetime import timedelta

import pytest

from beam_doris.client.contracts import LoadRequest, LoadResult, LoadState
from beam_doris.client.deadline import Deadline
from beam_doris.client.load_upload import LostAnswer
from beam_doris.client.transactions import Transactions
from beam_doris.errors import (
    CommitUnknownError,
    DorisError,
    LoadUnknownError,
    OutcomeUnknownError,
    TransactionExpiredError,
)
from beam_doris.options.table_id import TableId
from tests.unit.load_peers import Cluster
from tests.unit.scripted_peers import Answer, CutBody

BODY = b'{"id":1}\n' * 3000
POINTS = ("fe.load", "be.head", "be.body", "be.refuse", "be.answer", "fe.state", "be.abort")


def misfortune(dice: random.Random, point: str) -> Answer | CutBody | str:
    if point == "be.body":
        return CutBody(after=dice.randrange(1, len(BODY)))
    if point == "be.refuse":
        return dice.choice(
            ["err=-235", "[INTERNAL_ERROR]cancelled: boom", "too many filtered rows"]
        )
    if point == "fe.state":
        return dice.choice([Answer(lost=True), Answer(status=503), Answer(torn=True, content={})])
    bad = [
        Answer(lost=True),
        Answer(hang=True),
        Answer(status=502),
        Answer(torn=True, content={"Status": "Success"}),
        Answer(content=b"<html>"),
    ]
    return dice.choice(bad if point.startswith("be") else bad[:3])


def troubled(dice: random.Random) -> Cluster:
    cluster = Cluster()
    for point in POINTS:
        for _ in range(dice.choice([0] * 12 + [1, 1, 1, 2, 5])):
            cluster.fail_at(point, misfortune(dice, point))
    if dice.random() < 0.3:
        cluster.faults["be.cut.state"] = ["PREPARE"]
    if dice.random() < 0.2:
        cluster.network.down.add(dice.choice(["fe1:8030", "be1:8040"]))
    return cluster


def run(cluster: Cluster, dice: random.Random, *, two_phase: bool) -> LoadResult:
    request = LoadRequest(
        table=TableId("test", "student"),
        label="job_1",
        two_phase=two_phase,
        deadline=timedelta(seconds=dice.choice([5, 60, 600])),
        replay_bytes=dice.choice([100, 1 << 20]),
    )
    loader = cluster.loader()
    if dice.random() < 0.5:
        return loader.load(request, [BODY[:5000], BODY[5000:]])
    with loader.open(request) as load:
        for start in range(0, len(BODY), 4096):
            load.write(BODY[start : start + 4096])
        return load.finish()


@pytest.mark.parametrize("part", range(2))
def test_in_two_phases_only_a_result_holds_a_whole_body_and_nothing_is_ever_visible(
    part: int,
) -> None:
    reached = 0
    for seed in range(part * 150, part * 150 + 150):
        dice = random.Random(seed)
        cluster = troubled(dice)
        started = cluster.clock.now
        outcome: LoadResult | DorisError
        try:
            outcome = run(cluster, dice, two_phase=True)
        except DorisError as error:
            outcome = error
        assert not isinstance(outcome, OutcomeUnknownError), f"seed {seed}: {outcome!r}"
        assert cluster.clock.now - started <= 601, f"seed {seed}"
        held = [each for each in cluster.transactions if each.state == "PRECOMMITTED"]
        assert all(each.state not in ("COMMITTED", "VISIBLE") for each in cluster.transactions)
        if isinstance(outcome, LoadResult):
            reached += 1
            assert [each.body for each in held] == [BODY], f"seed {seed}"
            assert outcome.state is LoadState.PRECOMMITTED
            assert outcome.txn_id in (None, held[0].id), f"seed {seed}"
    assert reached > 40


@pytest.mark.parametrize("part", range(2))
def test_in_one_phase_a_load_is_in_once_or_not_at_all_or_unknown(part: int) -> None:
    reached = unknown = 0
    for seed in range(part * 150, part * 150 + 150):
        dice = random.Random(seed)
        cluster = troubled(dice)
        outcome: LoadResult | DorisError
        try:
            outcome = run(cluster, dice, two_phase=False)
        except DorisError as error:
            outcome = error
        visible = [each.body for each in cluster.transactions if each.state == "VISIBLE"]
        if isinstance(outcome, LoadResult):
            reached += 1
            assert visible == [BODY], f"seed {seed}"
        elif isinstance(outcome, LoadUnknownError):
            unknown += 1
            assert visible in ([], [BODY]), f"seed {seed}"
        else:
            assert visible == [], f"seed {seed}: {outcome!r}"
        assert not cluster.network.requests(path_part="2pc")
    assert reached > 40
    assert unknown > 3


def test_a_commit_is_done_or_lost_or_unknown_and_never_pretends() -> None:
    for seed in range(300):
        dice = random.Random(seed)
        cluster = Cluster()
        state = dice.choice(["PRECOMMITTED"] * 4 + ["ABORTED", "VISIBLE", "PREPARE"])
        load = cluster.add("job_1", state, BODY)
        for point in ("be.commit", "fe.state"):
            for _ in range(dice.choice([0, 1, 2, 6])):
                lost = Answer(lost=True)
                cluster.fail_at(point, dice.choice([lost, Answer(status=503), Answer(hang=True)]))
        client = Transactions(
            cluster.connection(),
            transport=cluster.network,
            retry=cluster.retry(),
            clock=cluster.clock,
        )
        deadline = Deadline.after(dice.choice([1, 30, 300]), cluster.clock)
        label = dice.choice(["job_1", None])
        try:
            client.commit("test", load.id, label, deadline=deadline)
        except TransactionExpiredError:
            assert state == "ABORTED", f"seed {seed}"
        except CommitUnknownError:
            pass
        else:
            assert load.state == "VISIBLE", f"seed {seed}"


def test_errors_of_a_load_survive_pickling() -> None:
    error = LostAnswer("gone", complete=True, table="d.t", label="l", host="be:1", cause="x")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.complete, copy.label, str(copy)) == (True, "l", str(error))
