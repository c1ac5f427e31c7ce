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
"""The automaton of a load's life, without any I/O."""

from __future__ import annotations

import random

import pytest

from beam_doris.client.contracts import LoadState
from beam_doris.client.load_state import (
    AbortDone,
    AnswerLost,
    Decision,
    Event,
    Goal,
    LabelTaken,
    LoadCycle,
    NotFound,
    PublishTimedOut,
    Refused,
    Reported,
    Sent,
    Succeeded,
)
from beam_doris.errors import ProtocolError

EVENTS: list[Event] = [
    Sent(),
    Succeeded(7),
    PublishTimedOut(7),
    LabelTaken("RUNNING", 8),
    LabelTaken("PRECOMMITTED", 8),
    LabelTaken("FINISHED", 8),
    Refused(retryable=True),
    Refused(retryable=False),
    AnswerLost(),
    AbortDone(),
    NotFound(),
    *[Reported(state) for state in LoadState],
]


def decisions(goal: Goal, *events: Event) -> tuple[Decision, LoadState]:
    cycle = LoadCycle(goal)
    decision = Decision.WAIT
    for event in events:
        decision = cycle.apply(event)
    return decision, cycle.state


@pytest.mark.parametrize(
    ("reported", "decision"),
    [
        (LoadState.UNKNOWN, Decision.SEND),
        (LoadState.LOADING, Decision.POLL),
        (LoadState.PRECOMMITTED, Decision.ADOPT),
        (LoadState.COMMITTED, Decision.CONFLICT),
        (LoadState.VISIBLE, Decision.CONFLICT),
        (LoadState.ABORTED, Decision.SEND),
    ],
)
def test_in_two_phases_a_lost_answer_is_settled_by_the_reported_state(
    reported: LoadState, decision: Decision
) -> None:
    found, state = decisions(Goal.PRECOMMIT, Sent(), AnswerLost(), Reported(reported))
    assert found is decision
    assert state is reported


@pytest.mark.parametrize(
    ("reported", "decision"),
    [
        (LoadState.UNKNOWN, Decision.SEND),
        (LoadState.LOADING, Decision.POLL),
        (LoadState.PRECOMMITTED, Decision.CONFLICT),
        (LoadState.COMMITTED, Decision.ADOPT),
        (LoadState.VISIBLE, Decision.ADOPT),
        (LoadState.ABORTED, Decision.SEND),
    ],
)
def test_in_one_phase_a_lost_answer_is_settled_by_the_reported_state(
    reported: LoadState, decision: Decision
) -> None:
    assert decisions(Goal.ONE_PHASE, Sent(), AnswerLost(), Reported(reported))[0] is decision


@pytest.mark.parametrize("status", ["RUNNING", "PRECOMMITTED", "FINISHED"])
def test_in_two_phases_a_taken_label_is_foreign_unless_an_answer_was_lost(status: str) -> None:
    assert decisions(Goal.PRECOMMIT, Sent(), LabelTaken(status))[0] is Decision.CONFLICT
    own = decisions(
        Goal.PRECOMMIT,
        Sent(),
        AnswerLost(),
        Reported(LoadState.UNKNOWN),
        Sent(),
        LabelTaken(status, 9),
    )
    expected = {
        "RUNNING": Decision.POLL,
        "PRECOMMITTED": Decision.ADOPT,
        "FINISHED": Decision.CONFLICT,
    }
    assert own[0] is expected[status]


def test_a_refusal_frees_the_label() -> None:
    for goal in (Goal.PRECOMMIT, Goal.ONE_PHASE):
        assert decisions(goal, Sent(), Refused(retryable=True)) == (
            Decision.SEND,
            LoadState.ABORTED,
        )
        assert decisions(goal, Sent(), Refused(retryable=False)) == (
            Decision.FAIL,
            LoadState.ABORTED,
        )


def test_a_publish_timeout_is_never_undone() -> None:
    cycle = LoadCycle(Goal.ONE_PHASE)
    cycle.apply(Sent())
    assert cycle.apply(PublishTimedOut(3)) is Decision.ASK
    assert cycle.apply(Reported(LoadState.UNKNOWN)) is Decision.POLL
    with pytest.raises(ProtocolError, match="cannot happen"):
        cycle.apply(Reported(LoadState.ABORTED))
    assert cycle.state is LoadState.COMMITTED
    assert cycle.apply(Reported(LoadState.VISIBLE)) is Decision.DONE


@pytest.mark.parametrize(
    ("events", "decision"),
    [
        ([Succeeded()], Decision.DONE),
        ([Reported(LoadState.COMMITTED)], Decision.ADOPT),
        ([Reported(LoadState.VISIBLE)], Decision.ADOPT),
        ([Reported(LoadState.ABORTED)], Decision.EXPIRED),
        ([NotFound()], Decision.ASK),
        ([NotFound(), Reported(LoadState.UNKNOWN)], Decision.UNDECIDABLE),
        ([NotFound(), Reported(LoadState.VISIBLE)], Decision.ADOPT),
        ([AnswerLost(), Reported(LoadState.PRECOMMITTED)], Decision.SEND),
        ([AnswerLost(), Reported(LoadState.ABORTED)], Decision.EXPIRED),
        ([Refused(retryable=True)], Decision.SEND),
        ([Refused(retryable=False)], Decision.ASK),
    ],
)
def test_the_second_phase_decides(events: list[Event], decision: Decision) -> None:
    assert decisions(Goal.COMMIT, Sent(), *events)[0] is decision


def test_random_walks_never_leave_a_done_load_and_never_send_what_may_be_committed() -> None:
    walk = random.Random(5)
    for _ in range(3000):
        goal = walk.choice(list(Goal))
        cycle = LoadCycle(goal)
        for _ in range(20):
            before = cycle.state
            try:
                decision = cycle.apply(walk.choice(EVENTS))
            except ProtocolError:
                assert cycle.state is before
                continue
            if decision is Decision.SEND:
                assert not cycle.state.is_committed
            if decision is Decision.DONE and goal is Goal.PRECOMMIT:
                assert cycle.state is LoadState.PRECOMMITTED
            if before is LoadState.VISIBLE:
                raise AssertionError("something happened to a visible load")
            if before is LoadState.COMMITTED:
                assert cycle.state.is_committed


def test_a_cycle_shows_its_state() -> None:
    cycle = LoadCycle(Goal.PRECOMMIT)
    cycle.apply(Sent())
    cycle.apply(AnswerLost())
    assert repr(cycle) == "<LoadCycle to pre-commit: UNKNOWN in doubt>"
