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
"""Settling a load: from the outcome of an attempt to a result, another attempt, or an error.

The automaton of `load_state` says what is to be done; this module does it: asks for the state of
the label, waits, aborts what hangs, pauses before the next attempt, and gives up in time.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from beam_doris.client.contracts import LoadRequest, LoadResult, LoadState
from beam_doris.client.deadline import Deadline
from beam_doris.client.http_wire import HttpReply
from beam_doris.client.load_reply import LoadReply, LoadStatus, conflict_of, failure_of
from beam_doris.client.load_state import (
    AbortDone,
    AnswerLost,
    Decision,
    Event,
    Goal,
    LabelTaken,
    LoadCycle,
    PublishTimedOut,
    Refused,
    Reported,
    Sent,
    Succeeded,
)
from beam_doris.client.load_upload import LostAnswer
from beam_doris.errors import (
    AuthError,
    ConnectError,
    DeadlineExceeded,
    DorisError,
    LoadError,
    LoadUnknownError,
    ProtocolError,
    QueryError,
    ServerBusy,
    TooManyTransactionsError,
    TransientError,
)

if TYPE_CHECKING:
    from beam_doris.client.stream_load import StreamLoader

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.3
_CUT_GRACE = 2.0  # seconds for a backend to notice that a body was cut off
_RESERVE = 0.25  # of the whole time, kept for aborting and sending again


class Settlement:
    """The knowledge about one load, over all its attempts."""

    def __init__(self, loader: StreamLoader, request: LoadRequest, deadline: Deadline) -> None:
        self._loader = loader
        self._request = request
        self._deadline = deadline
        self._cycle = LoadCycle(Goal.PRECOMMIT if request.two_phase else Goal.ONE_PHASE)
        self._attempts = 0
        self._pauses = 0
        self._retries = loader.retry.retries if request.retries is None else request.retries
        self._authorization = ""
        self._renewed = False
        self._last_reply: LoadReply | None = None
        self._last_failure: DorisError | None = None
        self._poll_until: Deadline | None = None
        self._reserve = min(10.0, deadline.remaining() * _RESERVE)

    # -- before an answer

    def sent(self) -> None:
        """An attempt is on its way."""
        self._attempts += 1
        self._authorization = self._loader.frontend.http.authorization
        self._cycle.apply(Sent())

    def not_begun(self, error: TransientError) -> None:
        """No backend could be reached: pauses, or raises when nothing is left to try."""
        self._pause_after(error)

    def refused_by_frontend(self, reply: HttpReply) -> None:
        """A frontend answered by itself: pauses if it may redirect later, else raises."""
        where: dict[str, Any] = {
            "table": self._request.table,
            "label": self._request.label,
            "host": reply.node,
        }
        try:
            answer = LoadReply.parse(reply)
        except ServerBusy as error:
            self.not_begun(error)
            return
        except QueryError as error:
            raise LoadError(error.message, hint=error.hint, **where) from error
        # it was a backend: it has taken the empty body for the load
        self.sent()
        self._cycle.apply(AnswerLost())
        raise ProtocolError(
            f"the frontend answered a load by itself ({answer.status.value})",
            hint="is it a backend's address? backends go into benodes",
            **where,
        )

    # -- after one

    def settle(self, outcome: LoadReply | LostAnswer | AuthError) -> LoadResult | None:
        """What follows from the outcome of an attempt.

        Returns:
            The result, or None when the body is to be sent again.

        Raises:
            DorisError: it cannot be loaded, or not in time.
        """
        decision = self._cycle.apply(self._event(outcome))
        while True:
            if decision in (Decision.DONE, Decision.ADOPT):
                return self._result(adopted=decision is Decision.ADOPT)
            if decision is Decision.SEND:
                if not isinstance(self._last_failure, AuthError):
                    self._pause_after(self._last_failure)
                return None
            if decision is Decision.ASK:
                decision = self._ask()
            elif decision is Decision.POLL:
                decision = self._poll()
            elif decision is Decision.CONFLICT:
                status = self._last_reply.existing_status if self._last_reply else ""
                raise conflict_of(self._last_reply, self._request, status or self._cycle.state.name)
            else:
                assert self._last_failure is not None
                raise self._last_failure

    def _event(self, outcome: LoadReply | LostAnswer | AuthError) -> Event:
        self._poll_until = None
        if isinstance(outcome, AuthError):
            return self._denied(outcome)
        if isinstance(outcome, LostAnswer):
            self._last_failure = outcome
            logger.info("lost the answer to load %s: %s", self._request.label, outcome.cause)
            if self._request.group_commit:
                raise self._unknown("a load without a label cannot be asked for") from outcome
            if not outcome.complete:
                # cut off in the middle it cannot be loaded: no need to wait for it to end
                self._poll_until = self._deadline.within(_CUT_GRACE)
            return AnswerLost()
        self._last_reply = outcome
        if outcome.status is LoadStatus.SUCCESS:
            self._check_success(outcome)
            return Succeeded(outcome.txn_id)
        if outcome.status is LoadStatus.PUBLISH_TIMEOUT:
            return PublishTimedOut(outcome.txn_id)
        if outcome.status is LoadStatus.LABEL_EXISTS:
            self._last_failure = conflict_of(outcome, self._request, outcome.existing_status)
            return LabelTaken(outcome.existing_status, outcome.existing_txn_id)
        self._last_failure = failure_of(outcome, self._request)
        if isinstance(self._last_failure, AuthError):
            return self._denied(self._last_failure)
        return Refused(retryable=self._last_failure.retryable)

    def _denied(self, error: AuthError) -> Refused:
        """Refused before any transaction began: once more if the password has been changed."""
        self._last_failure = error
        fresh = not self._renewed and self._loader.frontend.http.renewed(self._authorization)
        self._renewed = True
        return Refused(retryable=fresh)

    def _check_success(self, reply: LoadReply) -> None:
        problem = None
        if self._request.two_phase and reply.two_phase is False:
            problem = "the backend committed at once what was only to be pre-committed"
        elif self._request.two_phase and reply.txn_id is None:
            problem = "a pre-committed load has no transaction id"
        elif self._request.label is not None and reply.label not in (None, self._request.label):
            problem = "the answer is about another label"
        if problem:
            raise ProtocolError(problem, **self._where(reply))

    # -- asking

    def _ask(self) -> Decision:
        assert self._request.label is not None
        try:
            state = self._loader.frontend.load_state(
                self._request.table.database, self._request.label, deadline=self._deadline
            )
        except DorisError as error:
            raise self._unsettled("the state of the label cannot be asked for", error) from error
        logger.info("load %s is %s", self._request.label, state.name)
        return self._cycle.apply(Reported(state))

    def _poll(self) -> Decision:
        limit = self._poll_until or self._deadline
        reserve = 0.0 if self._poll_until else self._reserve
        if limit.remaining() - reserve > _POLL_SECONDS:
            self._loader.retry.sleep(_POLL_SECONDS)
            return self._ask()
        if self._cycle.goal is Goal.ONE_PHASE:
            if self._deadline.remaining() > _POLL_SECONDS:
                self._loader.retry.sleep(_POLL_SECONDS)
                return self._ask()
            raise self._unsettled("the load is still running at its deadline", self._last_failure)
        return self._abort_own()

    def _abort_own(self) -> Decision:
        """Ends our own load that hangs; whichever state the server found it in."""
        logger.warning("aborting load %s, which hangs", self._request.label)
        try:
            self._loader.transactions.abort(
                self._request.table.database,
                None,
                self._request.label,
                deadline=self._deadline,
            )
        except DorisError as error:
            raise self._unsettled("a load that hangs could not be aborted", error) from error
        return self._cycle.apply(AbortDone())

    def _unsettled(self, why: str, error: DorisError | None) -> DorisError:
        """The error of a load that could not be settled in time.

        In two phases nothing of it can become visible: that is only a delay. In one phase it is an
        unknown outcome.
        """
        if not self._request.two_phase:
            return self._unknown(why, error)
        if error is not None and not isinstance(error, TransientError) and error.host:
            why = f"{why}: {error.message}"
        return DeadlineExceeded(
            f"the load was not settled in time: {why}",
            cause=error,
            hint="nothing of it is visible; it is aborted or expires by itself",
            **self._where(self._last_reply),
        )

    def _unknown(self, why: str, error: DorisError | None = None) -> LoadUnknownError:
        return LoadUnknownError(
            f"whether the load was committed is not known: {why}",
            cause=error,
            hint="ask for the state of the label before loading the rows again",
            **self._where(self._last_reply),
        )

    # -- pausing

    def _pause_after(self, error: DorisError | None) -> None:
        """Waits before the next attempt, or raises the failure when there is none."""
        self._last_failure = error or self._last_failure
        if isinstance(error, TooManyTransactionsError) and not self._request.await_slot:
            raise error
        self._pauses += 1
        busy = isinstance(self._last_failure, ServerBusy)
        # an overloaded server is waited for until the deadline, other failures only so often
        if not busy and self._pauses > self._retries:
            raise self.failure(f"gave up after {self._pauses} attempts")
        if not self._loader.retry.wait(self._pauses, self._deadline, busy=busy):
            raise self.failure("no time is left for another attempt")

    def failure(self, why: str) -> DorisError:
        """The error of a load of which surely nothing is visible and which is not tried again."""
        last = self._last_failure
        if isinstance(last, TransientError) and not isinstance(last, ConnectError):
            return last
        return ConnectError(
            f"the load failed and nothing of it is visible: {why}",
            cause=last,
            hint="load the rows again, under a new label in two-phase mode",
            **self._where(self._last_reply, last),
        )

    def note(self, reply: LoadReply) -> None:
        """Takes note of the answer to an attempt that is given up anyway."""
        self._cycle.apply(self._event(reply))

    # -- the end

    def _result(self, *, adopted: bool) -> LoadResult:
        reply = self._last_reply
        told = reply if reply and reply.status is not LoadStatus.LABEL_EXISTS else None
        label = self._request.label or (reply.label if reply else None) or ""
        txn_id = self._cycle.txn_id
        if txn_id is None and adopted and self._request.two_phase:
            txn_id = self._find_transaction(label)
        return LoadResult(
            table=self._request.table,
            label=label,
            txn_id=txn_id,
            # a group is committed and published by the server in its own time
            state=LoadState.COMMITTED if self._request.group_commit else self._cycle.state,
            rows_total=told.rows_total if told else None,
            rows_loaded=told.rows_loaded if told else None,
            rows_filtered=told.rows_filtered if told else None,
            rows_unselected=told.rows_unselected if told else None,
            adopted=adopted,
            attempts=self._attempts,
            host=reply.host if reply else None,
            server_times=told.times if told else {},
            error_url=told.error_url if told else None,
        )

    def finished(self, result: LoadResult, load_bytes: int) -> LoadResult:
        """The result with what only the end knows."""
        result = replace(result, load_bytes=load_bytes, seconds=self._deadline.elapsed)
        logger.info(
            "loaded %d bytes into %s: label %s, transaction %s, %s%s, %.3f s",
            load_bytes,
            result.table,
            result.label,
            result.txn_id,
            result.state.name,
            " (adopted)" if result.adopted else "",
            result.seconds,
        )
        return result

    def _find_transaction(self, label: str) -> int | None:
        """The id behind our label; without it, the label itself names the transaction."""
        try:
            record = self._loader.frontend.transaction(
                self._request.table.database,
                label=label,
                deadline=self._deadline.within(self._reserve),
            )
        except DorisError as error:
            logger.debug("the id of load %s is not told: %s", label, error.message)
            return None
        if record is None or record.label != label:
            return None
        return record.txn_id if record.state is LoadState.PRECOMMITTED else None

    def clear_up(self, seconds: float) -> None:
        """Aborts our own load, if it may be there, in a short time of its own.

        What cannot be reached now expires on the server by itself.
        """
        settled = self._cycle.state in (LoadState.ABORTED, LoadState.COMMITTED, LoadState.VISIBLE)
        if not self._request.two_phase or not self._attempts or settled:
            return
        if self._cycle.state is LoadState.UNKNOWN and not self._cycle.in_doubt:
            return  # the label is another load's
        try:
            self._loader.transactions.abort(
                self._request.table.database,
                self._cycle.txn_id,
                self._request.label,
                deadline=Deadline.after(seconds, self._loader.clock),
            )
        except DorisError as error:
            logger.info(
                "load %s could not be aborted and will expire: %s",
                self._request.label,
                error.message,
            )

    def _where(self, reply: LoadReply | None, error: DorisError | None = None) -> dict[str, Any]:
        return {
            "table": self._request.table,
            "label": self._request.label,
            "txn_id": self._cycle.txn_id,
            "host": (reply.host if reply else None) or (error.host if error else None),
        }
