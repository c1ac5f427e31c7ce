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
"""One load transaction: its states (P 3.3) and what Doris says of them (P 3.1)."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

from beam_doris.emulator.errors import TransactionError, TransactionNotFound


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
    """FE limits (P 3.4), in seconds and counts. A negative ``label_num_threshold`` is no limit."""

    label_keep_seconds: float = 43_200.0
    label_num_threshold: int = 2_000
    precommit_timeout: float = 3_600.0
    max_running: int = 1_000
    default_timeout: float = 259_200.0

    def __post_init__(self) -> None:
        if self.max_running < 1:
            raise ValueError("max_running must be at least 1")
        if min(self.label_keep_seconds, self.precommit_timeout, self.default_timeout) <= 0:
            raise ValueError("times must be positive")


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

    def to_json(self) -> dict[str, Any]:
        stored = asdict(self)
        stored["state"] = self.state.value
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Transaction:
        return cls(
            **{
                **stored,
                "state": TransactionState(stored["state"]),
                "table_ids": tuple(stored["table_ids"]),
            }
        )


def not_found(txn_id: int) -> TransactionNotFound:
    return TransactionNotFound(f"transaction [{txn_id}] not found")


def label_not_found(label: str) -> TransactionNotFound:
    return TransactionNotFound(f"Transaction [{label}] not found")


def check_committable(transaction: Transaction) -> None:
    """Raises TransactionError unless a two-phase commit may go on (P 3.1)."""
    name = f"transaction [{transaction.id}]"
    state = transaction.state
    if state is TransactionState.PREPARE:
        raise TransactionError(f"{name} is prepare, not pre-committed.")
    if state in (TransactionState.COMMITTED, TransactionState.VISIBLE):
        raise TransactionError(f"{name} is already {state.value.lower()}, not pre-committed.")
    if state is TransactionState.ABORTED:
        raise TransactionError(f"{name} is already aborted. abort reason: {transaction.reason}")


def check_abortable(transaction: Transaction) -> None:
    """Raises TransactionError unless an abort may go on (P 3.1)."""
    name = f"transaction [{transaction.id}]"
    state = transaction.state
    if state in (TransactionState.COMMITTED, TransactionState.VISIBLE):
        raise TransactionError(f"{name} is already {state.value}, could not abort.")
    if state is TransactionState.ABORTED:
        raise TransactionError(f"{name} is already aborted, abort reason: {transaction.reason}")
