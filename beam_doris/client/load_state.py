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
"""The life of a load as a table: what is known, what came to pass, what to do next. No I/O.

Theory of operation
-------------------

A load is known to both sides by its label. The server's side of its life is

    UNKNOWN -> LOADING -> PRECOMMITTED -> COMMITTED -> VISIBLE
                  |             |
                  +-------------+--> ABORTED        (which frees the label at once)

where a load in one phase skips PRECOMMITTED. The client never sees this directly. It sees answers,
which can be lost, and it may ask for the state of a label, which is also just an answer about a
moment ago. So the client's `state` is what it *knows*, and UNKNOWN means "not known (any more)".

Three goals share the life, and each has a table of its own:

* PRECOMMIT, the load of two-phase mode. Nothing becomes visible by it, whatever happens: only its
  result, handed to a commit, does. The label carries a nonce, so a load that was seen under it
  after a lost answer is our own and is adopted, and one that hangs may be aborted. A label that is
  taken although no answer was ever lost belongs to somebody else: that is a conflict, and the other
  load is left alone.
* ONE_PHASE. The label is a function of the content, so a finished load under it *is* ours, whoever
  sent it. It never takes a second label and never aborts what runs under its own: a request that
  hangs may begin after we asked, and then exactly one of the two wins the label.
* COMMIT, the second phase. Committed or visible already is success. Aborted is a loss, told
  loudly. `Not found` means purged after success, or never there: the label decides, and where not
  even that is known any more the outcome is undecidable, an error of its own.

An event that a table does not list cannot happen if both sides keep the protocol: it raises
`ProtocolError` and changes nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from beam_doris.client.contracts import LoadState
from beam_doris.errors import ProtocolError


class Goal(enum.Enum):
    """What is to be reached."""

    PRECOMMIT = "pre-commit"
    ONE_PHASE = "load in one phase"
    COMMIT = "commit"


class Decision(enum.Enum):
    """What to do next."""

    WAIT = "wait for the answer"
    SEND = "send (again), under the same label"
    ASK = "ask for the state of the label"
    POLL = "it is still running: ask again a little later; when time is up, see the goal"
    DONE = "done"
    ADOPT = "done: found, after an answer had been lost"
    CONFLICT = "the label is another load's"
    FAIL = "refused for good"
    EXPIRED = "aborted before its commit: the rows are lost"
    UNDECIDABLE = "it cannot be found out"


# -------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Sent:
    """The request is on its way."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The server said success, of the phase that was asked for."""

    txn_id: int | None = None


@dataclass(frozen=True, slots=True)
class PublishTimedOut:
    """The server said: committed, visible later."""

    txn_id: int | None = None


@dataclass(frozen=True, slots=True)
class LabelTaken:
    """The server said that the label exists already.

    Args:
        status: RUNNING, PRECOMMITTED or FINISHED.
        txn_id: The transaction that holds it.
    """

    status: str
    txn_id: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused and undid everything.

    Args:
        retryable: It may accept the same request later.
    """

    retryable: bool


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The request may have arrived; its answer did not."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The answer to a question for the state."""

    state: LoadState


@dataclass(frozen=True, slots=True)
class AbortDone:
    """Our own abort was accepted, or found nothing to abort."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """The server does not know the transaction (any more)."""


Event = (
    Sent
    | Succeeded
    | PublishTimedOut
    | LabelTaken
    | Refused
    | AnswerLost
    | Reported
    | AbortDone
    | NotFound
)


# -------------------------------------------------------------------------------------- tables


class _Signal(enum.Enum):
    """An event with the part of its content that decides."""

    SENT = enum.auto()
    SUCCESS = enum.auto()
    PUBLISH_LATE = enum.auto()
    BUSY = enum.auto()
    REFUSED = enum.auto()
    LOST = enum.auto()
    FOREIGN = enum.auto()
    TAKEN_RUNNING = enum.auto()
    TAKEN_PRECOMMITTED = enum.auto()
    TAKEN_FINISHED = enum.auto()
    SAYS_UNKNOWN = enum.auto()
    SAYS_LOADING = enum.auto()
    SAYS_PRECOMMITTED = enum.auto()
    SAYS_COMMITTED = enum.auto()
    SAYS_VISIBLE = enum.auto()
    SAYS_ABORTED = enum.auto()
    ABORT_DONE = enum.auto()
    NOT_FOUND = enum.auto()


_Row = Mapping[_Signal, tuple[LoadState, Decision]]
_Table = Mapping[LoadState, _Row]

_U, _L, _P = LoadState.UNKNOWN, LoadState.LOADING, LoadState.PRECOMMITTED
_C, _V, _A = LoadState.COMMITTED, LoadState.VISIBLE, LoadState.ABORTED
_S, _D = _Signal, Decision

_PRECOMMIT_ASKED: _Row = {
    _S.SAYS_UNKNOWN: (_U, _D.SEND),
    _S.SAYS_LOADING: (_L, _D.POLL),
    _S.SAYS_PRECOMMITTED: (_P, _D.ADOPT),
    _S.SAYS_COMMITTED: (_C, _D.CONFLICT),
    _S.SAYS_VISIBLE: (_V, _D.CONFLICT),
    _S.SAYS_ABORTED: (_A, _D.SEND),
    _S.ABORT_DONE: (_A, _D.SEND),
}
_PRECOMMIT: _Table = {
    _U: {_S.SENT: (_L, _D.WAIT), **_PRECOMMIT_ASKED},
    _L: {
        _S.SENT: (_L, _D.WAIT),
        _S.SUCCESS: (_P, _D.DONE),
        _S.PUBLISH_LATE: (_U, _D.ASK),
        _S.BUSY: (_A, _D.SEND),
        _S.REFUSED: (_A, _D.FAIL),
        _S.LOST: (_U, _D.ASK),
        _S.FOREIGN: (_U, _D.CONFLICT),
        _S.TAKEN_RUNNING: (_L, _D.POLL),
        _S.TAKEN_PRECOMMITTED: (_P, _D.ADOPT),
        _S.TAKEN_FINISHED: (_C, _D.CONFLICT),
        **_PRECOMMIT_ASKED,
    },
    _A: {_S.SENT: (_L, _D.WAIT)},
}

_ONE_PHASE_ASKED: _Row = {
    _S.SAYS_UNKNOWN: (_U, _D.SEND),
    _S.SAYS_LOADING: (_L, _D.POLL),
    _S.SAYS_PRECOMMITTED: (_P, _D.CONFLICT),
    _S.SAYS_COMMITTED: (_C, _D.ADOPT),
    _S.SAYS_VISIBLE: (_V, _D.ADOPT),
    _S.SAYS_ABORTED: (_A, _D.SEND),
}
_ONE_PHASE: _Table = {
    _U: {_S.SENT: (_L, _D.WAIT), **_ONE_PHASE_ASKED},
    _L: {
        _S.SENT: (_L, _D.WAIT),
        _S.SUCCESS: (_V, _D.DONE),
        _S.PUBLISH_LATE: (_C, _D.ASK),
        _S.BUSY: (_A, _D.SEND),
        _S.REFUSED: (_A, _D.FAIL),
        _S.LOST: (_U, _D.ASK),
        _S.TAKEN_RUNNING: (_L, _D.POLL),
        _S.TAKEN_PRECOMMITTED: (_P, _D.CONFLICT),
        _S.TAKEN_FINISHED: (_C, _D.ADOPT),
        **_ONE_PHASE_ASKED,
    },
    # a publish timeout is being verified: another frontend may lag behind, but never undo it
    _C: {
        _S.SAYS_UNKNOWN: (_C, _D.POLL),
        _S.SAYS_LOADING: (_C, _D.POLL),
        _S.SAYS_COMMITTED: (_C, _D.DONE),
        _S.SAYS_VISIBLE: (_V, _D.DONE),
    },
    _A: {_S.SENT: (_L, _D.WAIT)},
}

_COMMIT_ASKED: _Row = {
    _S.SAYS_UNKNOWN: (_U, _D.UNDECIDABLE),
    _S.SAYS_LOADING: (_L, _D.POLL),
    _S.SAYS_PRECOMMITTED: (_P, _D.SEND),
    _S.SAYS_COMMITTED: (_C, _D.ADOPT),
    _S.SAYS_VISIBLE: (_V, _D.ADOPT),
    _S.SAYS_ABORTED: (_A, _D.EXPIRED),
}
_COMMIT: _Table = {
    _P: {
        _S.SENT: (_P, _D.WAIT),
        _S.SUCCESS: (_C, _D.DONE),
        _S.NOT_FOUND: (_U, _D.ASK),
        _S.LOST: (_U, _D.ASK),
        _S.BUSY: (_P, _D.SEND),
        _S.REFUSED: (_P, _D.ASK),
        **_COMMIT_ASKED,
    },
    _U: _COMMIT_ASKED,
    _L: _COMMIT_ASKED,
}

_TABLES: Mapping[Goal, _Table] = {
    Goal.PRECOMMIT: _PRECOMMIT,
    Goal.ONE_PHASE: _ONE_PHASE,
    Goal.COMMIT: _COMMIT,
}
_TAKEN = {
    "RUNNING": _S.TAKEN_RUNNING,
    "PRECOMMITTED": _S.TAKEN_PRECOMMITTED,
    "FINISHED": _S.TAKEN_FINISHED,
}
_SAYS = {
    _U: _S.SAYS_UNKNOWN,
    _L: _S.SAYS_LOADING,
    _P: _S.SAYS_PRECOMMITTED,
    _C: _S.SAYS_COMMITTED,
    _V: _S.SAYS_VISIBLE,
    _A: _S.SAYS_ABORTED,
}


class LoadCycle:
    """One load on its way to one goal.

    Args:
        goal: The goal.

    Example:
        >>> cycle = LoadCycle(Goal.PRECOMMIT)
        >>> cycle.apply(Sent()), cycle.apply(AnswerLost())
        (<Decision.WAIT: 'wait for the answer'>, <Decision.ASK: 'ask for the state of the label'>)
        >>> cycle.apply(Reported(LoadState.PRECOMMITTED)).name, cycle.state.name
        ('ADOPT', 'PRECOMMITTED')
    """

    __slots__ = ("goal", "in_doubt", "state", "txn_id")

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.state = LoadState.PRECOMMITTED if goal is Goal.COMMIT else LoadState.UNKNOWN
        self.txn_id: int | None = None
        self.in_doubt = False
        """Whether an answer was lost: what exists under the label may be our own."""

    def apply(self, event: Event) -> Decision:
        """Takes note of an event and says what to do next.

        Raises:
            ProtocolError: the event cannot happen in this state.
        """
        signal = self._signal(event)
        found = _TABLES[self.goal].get(self.state, {}).get(signal)
        if found is None:
            raise ProtocolError(
                f"{signal.name.lower().replace('_', ' ')} cannot happen to a load that is "
                f"{self.state.name} ({self.goal.value})"
            )
        self.state, decision = found
        if isinstance(event, AnswerLost):
            self.in_doubt = True
        elif isinstance(event, (Succeeded, PublishTimedOut, LabelTaken)):
            self.txn_id = event.txn_id
        return decision

    def _signal(self, event: Event) -> _Signal:
        if isinstance(event, Reported):
            return _SAYS[event.state]
        if isinstance(event, LabelTaken):
            if self.goal is Goal.PRECOMMIT and not self.in_doubt:
                return _Signal.FOREIGN
            return _TAKEN.get(event.status.upper(), _Signal.TAKEN_RUNNING)
        if isinstance(event, Refused):
            return _Signal.BUSY if event.retryable else _Signal.REFUSED
        return _PLAIN[type(event)]

    def __repr__(self) -> str:
        doubt = " in doubt" if self.in_doubt else ""
        return f"<LoadCycle to {self.goal.value}: {self.state.name}{doubt}>"


_PLAIN: Mapping[type, _Signal] = {
    Sent: _Signal.SENT,
    Succeeded: _Signal.SUCCESS,
    PublishTimedOut: _Signal.PUBLISH_LATE,
    AnswerLost: _Signal.LOST,
    AbortDone: _Signal.ABORT_DONE,
    NotFound: _Signal.NOT_FOUND,
}
