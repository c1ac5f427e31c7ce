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
"""The automaton of a load against a model of the server that forgets, expires and loses answers."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    Refused,
    Reported,
    Sent,
    Succeeded,
)

# steps in all; more by the environment
STEPS = int(os.environ.get("BEAM_DORIS_MODEL_STEPS", "4000"))
_PER_EXAMPLE = 40
_ENDED = (Decision.DONE, Decision.ADOPT)


@dataclass
class Transaction:
    """One, as the server knows it."""

    label: str
    state: LoadState
    body: str


@dataclass
class Server:
    """What the other side does, whatever the client believes.

    Args:
        dice: Decides what goes wrong.
    """

    dice: random.Random
    transactions: list[Transaction] = field(default_factory=list)
    visible: list[str] = field(default_factory=list)

    def find(self, label: str) -> Transaction | None:
        """The newest under a label."""
        return next((txn for txn in reversed(self.transactions) if txn.label == label), None)

    def load(self, label: str, body: str, two_phase: bool) -> Event:
        """A load; its answer may be lost before or after it took effect."""
        if self.dice.random() < 0.2:
            return AnswerLost()
        if self.dice.random() < 0.1:
            return Refused(retryable=True)
        known = self.find(label)
        event: Event
        if known is not None and known.state is not LoadState.ABORTED:
            words = {LoadState.LOADING: "RUNNING", LoadState.PRECOMMITTED: "PRECOMMITTED"}
            event = LabelTaken(words.get(known.state, "FINISHED"), 1)
        else:
            state = LoadState.PRECOMMITTED if two_phase else LoadState.VISIBLE
            self.transactions.append(Transaction(label, state, body))
            if not two_phase:
                self.visible.append(body)
            event = Succeeded(1)
        return AnswerLost() if self.dice.random() < 0.3 else event

    def commit(self, label: str) -> Event:
        """A commit; the same may befall it."""
        if self.dice.random() < 0.2:
            return AnswerLost()
        known = self.find(label)
        event: Event
        if known is None:
            event = NotFound()
        elif known.state is LoadState.PRECOMMITTED:
            known.state = LoadState.VISIBLE
            self.visible.append(known.body)
            event = Succeeded(1)
        else:
            event = Reported(known.state)
        return AnswerLost() if self.dice.random() < 0.3 else event

    def state(self, label: str) -> LoadState:
        """What it says of a label."""
        known = self.find(label)
        return LoadState.UNKNOWN if known is None else known.state

    def abort(self, label: str) -> None:
        """Drops what is not committed."""
        known = self.find(label)
        if known is not None and known.state in (LoadState.PRECOMMITTED, LoadState.LOADING):
            known.state = LoadState.ABORTED

    def time_goes_by(self, forgets: bool) -> None:
        """What waits may expire; what is finished may be forgotten, the oldest first."""
        for txn in self.transactions:
            if txn.state is LoadState.PRECOMMITTED and self.dice.random() < 0.1:
                txn.state = LoadState.ABORTED
        finished = [txn for txn in self.transactions if txn.state.name in ("VISIBLE", "ABORTED")]
        if forgets and finished and self.dice.random() < 0.1:
            self.transactions.remove(finished[0])


def drive(server: Server, goal: Goal, label: str, body: str, *, forgets: bool) -> Decision:
    """Does what the automaton says until it ends, or gives up."""
    cycle = LoadCycle(goal)
    decision = Decision.SEND
    for _ in range(_PER_EXAMPLE):
        server.time_goes_by(forgets)
        if decision is Decision.SEND:
            cycle.apply(Sent())
            if goal is Goal.COMMIT:
                decision = cycle.apply(server.commit(label))
            else:
                decision = cycle.apply(server.load(label, body, goal is Goal.PRECOMMIT))
        elif decision is Decision.ASK:
            decision = cycle.apply(Reported(server.state(label)))
        elif decision is Decision.POLL:
            if goal is Goal.PRECOMMIT:
                server.abort(label)
                decision = cycle.apply(AbortDone())
            else:
                decision = cycle.apply(Reported(server.state(label)))
        else:
            return decision
    return Decision.POLL


def _seeds(steps: int) -> int:
    return max(20, steps // _PER_EXAMPLE)


@given(st.integers(0, 2**32))
@settings(max_examples=_seeds(STEPS), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_phases_make_rows_visible_once_or_say_what_became_of_them(seed: int) -> None:
    server = Server(random.Random(seed))
    loaded = drive(server, Goal.PRECOMMIT, "a", "rows", forgets=False)
    assert server.visible == []  # nothing shows before a commit
    if loaded not in _ENDED:
        return
    forgets = random.Random(seed + 1).random() < 0.5
    ended = drive(server, Goal.COMMIT, "a", "rows", forgets=forgets)
    assert len(server.visible) <= 1
    if ended in _ENDED:
        assert server.visible == ["rows"]
    if ended is Decision.EXPIRED:
        assert server.visible == []
    if ended is Decision.UNDECIDABLE:
        assert forgets  # only a server that forgets makes it undecidable


@given(st.integers(0, 2**32))
@settings(max_examples=_seeds(STEPS), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_one_phase_loads_a_body_once_or_not_at_all(seed: int) -> None:
    server = Server(random.Random(seed))
    ended = drive(server, Goal.ONE_PHASE, "a", "rows", forgets=False)
    assert len(server.visible) <= 1
    if ended in _ENDED:
        assert server.visible == ["rows"]


@pytest.mark.parametrize("seed", range(200))
def test_of_two_attempts_of_a_unit_at_once_one_becomes_visible(seed: int) -> None:
    dice = random.Random(seed)
    server = Server(dice)
    attempts = ["first", "zombie"]
    dice.shuffle(attempts)
    ended = {name: drive(server, Goal.PRECOMMIT, name, name, forgets=False) for name in attempts}
    # the runner made one of them durable: only its token is committed
    durable = attempts[dice.randrange(2)]
    if ended[durable] in _ENDED:
        outcome = drive(server, Goal.COMMIT, durable, durable, forgets=False)
        assert server.visible == ([durable] if outcome in _ENDED else server.visible)
        # the zombie loads once more, late, and is never committed
        drive(server, Goal.PRECOMMIT, "late", "late", forgets=False)
    assert set(server.visible) <= {durable}
    assert len(server.visible) <= 1


@pytest.mark.parametrize("seed", range(200))
def test_of_two_attempts_under_one_label_of_content_one_loads(seed: int) -> None:
    server = Server(random.Random(seed))
    first = drive(server, Goal.ONE_PHASE, "unit", "rows", forgets=False)
    second = drive(server, Goal.ONE_PHASE, "unit", "rows", forgets=False)
    assert len(server.visible) <= 1
    if first in _ENDED or second in _ENDED:
        assert server.visible == ["rows"]
