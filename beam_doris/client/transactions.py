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
"""The second phase: committing and aborting what was pre-committed (P 3.1 to 3.4)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from beam_doris.client.byte_stream import ConnectionLost, Connector
from beam_doris.client.commit_reply import CommitReply, parse_commit_reply
from beam_doris.client.contracts import CommitOutcome, LoadState
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.envelopes import check_status
from beam_doris.client.frontend import Frontend
from beam_doris.client.load_state import (
    AnswerLost,
    Decision,
    Event,
    Goal,
    LoadCycle,
    NotFound,
    Refused,
    Reported,
    Sent,
    Succeeded,
)
from beam_doris.client.nodes import NodeRing
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.server_messages import cleaned, error_of
from beam_doris.client.urls import path_of
from beam_doris.errors import (
    AuthError,
    CommitFailedError,
    CommitUnknownError,
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    DorisError,
    LoadError,
    ServerBusy,
    TransactionExpiredError,
)
from beam_doris.options.connection import DorisConnection

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    database: str
    txn_id: int | None
    label: str | None

    def where(self, host: object | None = None) -> dict[str, Any]:
        return {
            "table": f"{self.database}.*",
            "label": self.label,
            "txn_id": self.txn_id,
            "host": host,
        }

    def __str__(self) -> str:
        return f"transaction {self.txn_id}" if self.txn_id is not None else f"load {self.label}"


class Transactions:
    """Commits and aborts; safe to share between threads.

    A commit may go through any node, not only the one of the load. It is idempotent: repeating it
    for what is committed already is success.

    Args:
        connection: Addresses, credentials, timeouts, retries.
        frontend: To ask for states; one of its own by default.
        transport: How connections are made; sockets by default.
        retry: How often and how fast to repeat.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        frontend: Frontend | None = None,
        transport: Connector | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.connection = connection
        self.frontend = frontend or Frontend(connection, transport=transport, clock=clock)
        self._owns_frontend = frontend is None
        self.retry = retry or RetryPolicy(retries=max(3, connection.retries))
        fixed = connection.backends
        self._ring = NodeRing(fixed, clock=clock) if fixed else self.frontend.ring

    # -- commit

    def commit(
        self,
        database: str,
        txn_id: int | None,
        label: str | None = None,
        *,
        deadline: Deadline | None = None,
    ) -> CommitOutcome:
        """Makes a pre-committed load visible, or finds that it is.

        Args:
            database: The database of the load.
            txn_id: Its transaction; None to name it by its label alone.
            label: Its label. Without it, a transaction that the server has forgotten cannot be
                told from one that never was.
            deadline: For the commit with all its repetitions and questions.

        Raises:
            TransactionExpiredError: it was aborted; the rows of the load are not visible.
            CommitFailedError: the server refuses it for good; it stays pre-committed.
            CommitUnknownError: it cannot be found out, or not within the deadline.
        """
        subject = _subject(database, txn_id, label)
        deadline = self.frontend.default_deadline(deadline)
        cycle = LoadCycle(Goal.COMMIT)
        refusal: DorisError | None = None
        attempt = 0
        decision = Decision.SEND
        reason = ""
        while True:
            if decision is Decision.SEND:
                if refusal is not None and not refusal.retryable:
                    raise refusal
                if attempt and not self._pause(attempt, deadline, refusal):
                    self._give_up(subject, refusal)
                attempt += 1
                cycle.apply(Sent())
                event, refusal, reason = self._commit_once(subject, deadline)
                if isinstance(refusal, AuthError) and not cycle.in_doubt:
                    raise refusal
                decision = cycle.apply(event)
            elif decision in (Decision.ASK, Decision.POLL):
                if decision is Decision.POLL and not self._nap(deadline):
                    self._give_up(subject, refusal)
                decision = cycle.apply(Reported(self._state(subject, deadline)))
            elif decision in (Decision.DONE, Decision.ADOPT):
                return CommitOutcome(
                    database=database,
                    txn_id=txn_id,
                    label=label,
                    state=cycle.state,
                    already=decision is Decision.ADOPT,
                )
            else:
                self._raise_lost(decision, subject, reason)

    def _commit_once(
        self, subject: _Subject, deadline: Deadline
    ) -> tuple[Event, DorisError | None, str]:
        """One attempt: the event, the error if it failed, and the server's reason."""
        try:
            saying = self._operate(subject, "commit", deadline)
        except (ConnectionLost, DeadlineExceeded) as error:
            return self._lost(subject), error, ""
        except (ConnectError, ServerBusy) as error:
            # HTTP 5xx may come from a proxy in front of a node that went on working
            lost = isinstance(error, ServerBusy)
            return (self._lost(subject) if lost else Refused(retryable=True)), error, ""
        if saying.done:
            logger.info("committed %s (label %s)", subject, subject.label)
            return Succeeded(subject.txn_id), None, ""
        if not saying.known:
            refusal = error_of(
                saying.message,
                CommitFailedError,
                f"commit of {subject} refused",
                **subject.where(saying.host),
            )
            return Refused(retryable=refusal.retryable), refusal, ""
        if saying.state is None:
            return NotFound(), None, ""
        return Reported(saying.state), None, saying.reason

    def _lost(self, subject: _Subject) -> Event:
        # a commit by id may simply be repeated when there is no label to ask for
        return Refused(retryable=True) if subject.label is None else AnswerLost()

    def _raise_lost(self, decision: Decision, subject: _Subject, reason: str) -> NoReturn:
        if decision is Decision.EXPIRED:
            if not reason:
                record = self._record(subject)
                reason = record or "no reason told"
            raise TransactionExpiredError(
                f"{subject} was aborted before its commit ({reason}); its rows are not visible",
                hint="commit sooner than the server's pre-commit expiry "
                "(stream_load_default_precommit_timeout_second, 1 hour by default), and load "
                "the rows again",
                **subject.where(),
            )
        raise CommitUnknownError(
            f"the server does not know {subject} (any more): it was committed and forgotten, or "
            "never there",
            hint="finished loads are forgotten after 12 hours, or when 2,000 newer ones of the "
            "database exist: compare the table with the source",
            **subject.where(),
        )

    def _give_up(self, subject: _Subject, refusal: DorisError | None) -> NoReturn:
        raise CommitUnknownError(
            f"{subject} could not be committed within the deadline",
            cause=refusal,
            hint="commit it again: that is idempotent until the server aborts it",
            **subject.where(refusal.host if refusal else None),
        ) from refusal

    def _record(self, subject: _Subject) -> str:
        try:
            record = self.frontend.transaction(
                subject.database, label=subject.label, txn_id=subject.txn_id
            )
        except DorisError:
            return ""
        return cleaned(record.reason) if record else ""

    # -- abort

    def abort(
        self,
        database: str,
        txn_id: int | None,
        label: str | None = None,
        *,
        deadline: Deadline | None = None,
    ) -> bool:
        """Drops a load that is not committed yet.

        Returns:
            False when there was nothing to drop: it is aborted already, or not known.

        Raises:
            LoadError: it is committed and cannot be undone.
        """
        subject = _subject(database, txn_id, label)
        deadline = self.frontend.default_deadline(deadline)
        attempt = 0
        while True:
            try:
                saying = self._operate(subject, "abort", deadline)
            except (ConnectError, ServerBusy) as error:
                attempt += 1
                if attempt > self.retry.retries or not self._pause(attempt, deadline, error):
                    raise
                continue
            if saying.done:
                logger.info("aborted %s (label %s)", subject, subject.label)
                return True
            if saying.known and saying.state in (None, LoadState.ABORTED):
                return False
            if saying.known and saying.state is not None and saying.state.is_committed:
                raise LoadError(
                    f"{subject} is committed and cannot be aborted", **subject.where(saying.host)
                )
            raise error_of(
                saying.message,
                LoadError,
                f"abort of {subject} refused",
                **subject.where(saying.host),
            )

    # -- states

    def resolve(self, database: str, label: str, *, deadline: Deadline | None = None) -> LoadState:
        """The state of a label."""
        return self.frontend.load_state(database, label, deadline=deadline)

    def wait_visible(self, database: str, label: str, *, deadline: Deadline) -> LoadState:
        """Waits until a committed load can be read.

        Raises:
            DeadlineExceeded: it is not visible within the deadline.
            TransactionExpiredError: it was aborted.
            CommitUnknownError: the server does not know the label.
        """
        subject = _subject(database, None, label)
        while True:
            state = self.resolve(database, label, deadline=deadline)
            if state is LoadState.VISIBLE:
                return state
            if state is LoadState.ABORTED:
                self._raise_lost(Decision.EXPIRED, subject, "")
            if state is LoadState.UNKNOWN:
                self._raise_lost(Decision.UNDECIDABLE, subject, "")
            if not self._nap(deadline):
                raise DeadlineExceeded(
                    f"load {label} is {state.name} but not visible within the deadline",
                    label=label,
                    hint="an earlier load of the same partition may be stuck in publishing",
                )

    def _state(self, subject: _Subject, deadline: Deadline) -> LoadState:
        try:
            if subject.label is not None:
                return self.frontend.load_state(subject.database, subject.label, deadline=deadline)
            record = self.frontend.transaction(
                subject.database, txn_id=subject.txn_id, deadline=deadline
            )
            return record.state if record else LoadState.UNKNOWN
        except DorisError as error:
            raise CommitUnknownError(
                f"the state of {subject} cannot be asked for",
                cause=error,
                hint="commit it again: that is idempotent until the server aborts it",
                **subject.where(error.host),
            ) from error

    # -- how

    def _operate(self, subject: _Subject, operation: str, deadline: Deadline) -> CommitReply:
        headers = self.connection.load_route.headers()
        headers |= {"Expect": "100-continue", "txn_operation": operation}
        if subject.txn_id is not None:
            headers["txn_id"] = str(subject.txn_id)
        elif subject.label is not None:
            headers["label"] = subject.label
        path = path_of("api", subject.database, "_stream_load_2pc")
        failure: ConnectError | None = None
        for node in self._ring.candidates():
            try:
                reply = self.frontend.http.request(
                    "PUT", node, path, headers=headers, deadline=deadline
                )
                check_status(reply, f"{operation} of {subject}", **subject.where(node))
            except (ConnectionLost, ServerBusy):
                self._ring.failed(node)
                raise
            except ConnectError as error:
                self._ring.failed(node)
                failure = error
            else:
                self._ring.succeeded(node)
                return parse_commit_reply(reply, f"{operation} of {subject}")
        assert failure is not None
        raise failure

    def _pause(self, attempt: int, deadline: Deadline, error: DorisError | None) -> bool:
        return self.retry.wait(attempt, deadline, busy=isinstance(error, ServerBusy))

    def _nap(self, deadline: Deadline) -> bool:
        if deadline.remaining() <= _POLL_SECONDS:
            return False
        self.retry.sleep(_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Closes what was opened here."""
        if self._owns_frontend:
            self.frontend.close()

    def __enter__(self) -> Transactions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _subject(database: str, txn_id: int | None, label: str | None) -> _Subject:
    if txn_id is None and not label:
        raise ConfigError("neither a transaction id nor a label", subject="transaction")
    return _Subject(database=database, txn_id=txn_id, label=label)
