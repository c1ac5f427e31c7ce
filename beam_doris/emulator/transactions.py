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
"""Load transactions: labels, states, two-phase commit, expiry and retention (P 2.3, 2.4, 3)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class TransactionState(enum.Enum):
    """States of P 3.3."""

    PREPARE = "PREPARE"
    PRECOMMITTED = "PRECOMMITTED"
    COMMITTED = "COMMITTED"
    VISIBLE = "VISIBLE"
    ABORTED = "ABORTED"

    @property
    def final(self) -> bool:
        return self in (TransactionState.VISIBLE, TransactionState.ABORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionLimits:
    """FE limits (P 3.4), in seconds and counts."""

    label_keep_seconds: float = 43_200.0
    label_num_threshold: int = 2_000
    precommit_timeout: float = 3_600.0
    max_running: int = 1_000
    default_timeout: float = 259_200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One transaction as it was at some moment. Times are seconds since the epoch or None."""

    id: int
    db: str
    database_id: int
    label: str
    state: TransactionState
    table_ids: tuple[int, ...]
    source: str
    timeout: float
    prepared_at: float
    precommitted_at: float | None = None
    committed_at: float | None = None
    finished_at: float | None = None
    reason: str = ""
    coordinator: str = "BE: 127.0.0.1"

    @property
    def job_status(self) -> str:
        """What a stream load reports as ExistingJobStatus (P 2.3)."""
        return {
            TransactionState.PREPARE: "RUNNING",
            TransactionState.PRECOMMITTED: "PRECOMMITTED",
            TransactionState.ABORTED: "CANCELLED",
        }.get(self.state, "FINISHED")


class Transactions:
    """All transactions of the cluster."""

    limits: TransactionLimits

    def begin(
        self,
        db: str,
        table_ids: tuple[int, ...],
        label: str,
        *,
        timeout: float | None = None,
        source: str = "BACKEND_STREAMING",
    ) -> Transaction:
        """Begin. Raises UnknownDatabase, LabelFormat, LabelAlreadyUsed, TooManyRunning."""
        raise AssertionError("skeleton")

    def get(self, txn_id: int) -> Transaction | None:
        raise AssertionError("skeleton")

    def precommit(self, txn_id: int) -> Transaction:
        """The body of a two-phase load is in: PREPARE -> PRECOMMITTED, durable on return."""
        raise AssertionError("skeleton")

    def finish(self, txn_id: int) -> Transaction:
        """Commit and publish a one-phase load: PREPARE -> COMMITTED -> VISIBLE.

        The state of the result is COMMITTED when a fault holds the publish back: the caller
        then reports Publish Timeout.
        """
        raise AssertionError("skeleton")

    def fail(self, txn_id: int, reason: str) -> None:
        """The load failed: -> ABORTED. No error when it is aborted already."""
        raise AssertionError("skeleton")

    def commit_precommitted(
        self, db: str, *, txn_id: int | None = None, label: str | None = None
    ) -> Transaction:
        """The commit of P 3.1. Raises TransactionError with the texts there, UnknownDatabase
        as ``unknown database, database=<db>``."""
        raise AssertionError("skeleton")

    def abort(
        self,
        db: str,
        *,
        txn_id: int | None = None,
        label: str | None = None,
        reason: str = "user abort",
    ) -> Transaction:
        """The abort of P 3.1."""
        raise AssertionError("skeleton")

    def load_state(self, db: str, label: str) -> str:
        """PREPARE, PRECOMMITTED, COMMITTED, VISIBLE, ABORTED or UNKNOWN (P 1.10)."""
        raise AssertionError("skeleton")

    def find(
        self, db: str, *, txn_id: int | None = None, label: str | None = None
    ) -> list[Transaction]:
        """Transactions of that id or label, newest first."""
        raise AssertionError("skeleton")

    def list(self, db: str) -> list[Transaction]:
        """All that are still remembered, newest first."""
        raise AssertionError("skeleton")

    def tick(self) -> None:
        """Do what is due by the clock: expire, publish held commits, forget old labels."""
        raise AssertionError("skeleton")
