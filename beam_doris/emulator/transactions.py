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
"""Load transactions: labels, two-phase commit, expiry and retention (P 2.3, 2.4, 3)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from beam_doris.emulator import catalog_store
from beam_doris.emulator.catalog import Catalog, Database, Table
from beam_doris.emulator.clock import Clock
from beam_doris.emulator.errors import (
    LabelAlreadyUsed,
    TooManyRunning,
    TransactionError,
    UnknownDatabase,
)
from beam_doris.emulator.faults import FaultPlan
from beam_doris.emulator.ids import Numbers
from beam_doris.emulator.labels import check_label
from beam_doris.emulator.storage import Storage
from beam_doris.emulator.transaction import (
    Transaction,
    TransactionLimits,
    TransactionState,
    check_abortable,
    check_committable,
    label_not_found,
    not_found,
)
from beam_doris.emulator.transaction_records import TransactionRecords

__all__ = [
    "Transaction",
    "TransactionLimits",
    "TransactionParts",
    "TransactionState",
    "Transactions",
]

#: the class has a method of the name ``list``
Found = list[Transaction]
Ids = list[int]

EXPIRED = "timeout by txn manager"
RESTARTED = "coordinate BE restart"


@dataclass(slots=True, kw_only=True)
class TransactionParts:
    """What the transactions work with."""

    cursor: Callable[[], AbstractContextManager[Any]]
    catalog: Catalog
    storage: Storage
    numbers: Numbers
    clock: Clock
    faults: FaultPlan


class Transactions:
    """All transactions of the cluster. Thread-safe.

    Lock order: the write lock of a database, then the lock of this object. A state is changed
    under both when rows go with it, and durably before it can be seen.
    """

    def __init__(self, parts: TransactionParts, limits: TransactionLimits) -> None:
        self.limits = limits
        self._parts = parts
        self._lock = threading.RLock()
        self._records = TransactionRecords()
        self._held: dict[int, tuple[float, Transaction]] = {}
        self._quotas: dict[int, int] = {}
        self._timers: list[threading.Timer] = []
        self._closed = False

    def recover(self) -> None:
        """Take over what an earlier process left: decided work is finished, lost loads abort."""
        with self._parts.cursor() as cursor:
            stored = [
                Transaction.from_json(definition)
                for _, definition in catalog_store.load_transactions(cursor)
            ]
            unfinished = {txn.id for txn in stored if not txn.state.final}
            self._parts.storage.recover(cursor, unfinished)
        for transaction in sorted(stored, key=lambda txn: (txn.finished_at or 0.0, txn.id)):
            self._remember(transaction)
        for transaction in stored:
            if transaction.state is TransactionState.COMMITTED:
                self._publish(transaction)
            elif transaction.state is TransactionState.PREPARE:
                self._abort(transaction, RESTARTED)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()

    # ------------------------------------------------------------------ life of a load

    def begin(
        self,
        db: str,
        table_ids: Sequence[int],
        label: str,
        *,
        timeout: float | None = None,
        source: str = "BACKEND_STREAMING",
    ) -> Transaction:
        """Begin a load.

        Raises:
            UnknownDatabase, LabelFormat, LabelAlreadyUsed, TooManyRunning.
        """
        self.tick()
        database = self._parts.catalog.database(db)
        check_label(label)
        self._fault("txn.begin", db=db, label=label)
        with self._lock:
            for other in self._records.labelled(database.id, label):
                if other.state is not TransactionState.ABORTED:
                    raise LabelAlreadyUsed(label, other.id, other.job_status)
            running = self._records.running_count(database.id)
            limit = self._quotas.get(database.id, self.limits.max_running)
            if running >= limit:
                raise TooManyRunning(database.id, running, limit)
            transaction = Transaction(
                id=self._parts.numbers.take("txn"),
                db=db,
                database_id=database.id,
                label=label,
                state=TransactionState.PREPARE,
                table_ids=tuple(table_ids),
                source=source,
                timeout=self.limits.default_timeout if timeout is None else timeout,
                prepared_at=self._parts.clock.now(),
            )
            self._save(transaction)
            self._remember(transaction)
            return transaction

    def precommit(self, txn_id: int) -> Transaction:
        """The body of a two-phase load is in: PREPARE -> PRECOMMITTED, durable on return.

        Raises:
            TransactionError: it has been aborted meanwhile.
        """
        self.tick()
        with self._lock:
            transaction = self._running_load(txn_id)
            self._fault("txn.precommit", db=transaction.db, label=transaction.label)
            after = replace(
                transaction,
                state=TransactionState.PRECOMMITTED,
                precommitted_at=self._parts.clock.now(),
            )
            self._save(after)
            self._remember(after)
            return after

    def finish(self, txn_id: int) -> Transaction:
        """Commit and publish a one-phase load: PREPARE -> COMMITTED -> VISIBLE.

        The state of the result is COMMITTED when a fault holds the publish back: the caller
        then reports Publish Timeout.

        Raises:
            TransactionError: it has been aborted meanwhile, or a table was dropped.
        """
        self.tick()
        transaction = self._running_load(txn_id)
        with self._parts.catalog.write_lock(transaction.db):
            transaction = self._running_load(txn_id)
            self._check_tables(transaction)
            return self._commit(transaction)

    def _check_tables(self, transaction: Transaction) -> None:
        """A dropped table cannot be committed to; the abort still works (P 3.1)."""
        for table_id in transaction.table_ids:
            if self._parts.catalog.table_by_id(table_id) is None:
                raise TransactionError(f"unknown table, tableId={table_id}")

    def fail(self, txn_id: int, reason: str) -> None:
        """The load failed: -> ABORTED. Nothing happens when it is over already."""
        transaction = self.get(txn_id)
        if transaction is not None:
            self._abort(transaction, reason)

    def _running_load(self, txn_id: int) -> Transaction:
        transaction = self.get(txn_id)
        if transaction is None:
            raise not_found(txn_id)
        if transaction.state is TransactionState.ABORTED:
            raise TransactionError(
                f"transaction [{txn_id}] is already aborted. abort reason: {transaction.reason}"
            )
        if transaction.state is not TransactionState.PREPARE:
            raise TransactionError(
                f"transaction [{txn_id}] is already {transaction.state.value.lower()}"
            )
        return transaction

    # ------------------------------------------------------------------ two-phase commit

    def commit_precommitted(
        self, db: str, *, txn_id: int | None = None, label: str | None = None
    ) -> Transaction:
        """Commit a pre-committed load, by id or by label (P 3.1).

        Raises:
            TransactionError: with the texts of P 3.1.
        """
        self.tick()
        database = self._database(db)
        with self._parts.catalog.write_lock(db):
            transaction = self._pick(database, txn_id, label, (TransactionState.PRECOMMITTED,))
            check_committable(transaction)
            self._check_tables(transaction)
            return self._commit(transaction)

    def abort(
        self,
        db: str,
        *,
        txn_id: int | None = None,
        label: str | None = None,
        reason: str = "User Abort",
    ) -> Transaction:
        """Abort a load that is not committed, by id or by label (P 3.1).

        Raises:
            TransactionError: with the texts of P 3.1.
        """
        self.tick()
        database = self._database(db)
        with self._parts.catalog.write_lock(db):
            transaction = self._pick(
                database,
                txn_id,
                label,
                (TransactionState.PRECOMMITTED, TransactionState.PREPARE),
            )
            check_abortable(transaction)
            self._fault("txn.abort", db=db, label=transaction.label)
            self._abort(transaction, reason)
            return self.get(transaction.id) or transaction

    def _database(self, db: str) -> Database:
        try:
            return self._parts.catalog.database(db)
        except UnknownDatabase:
            raise TransactionError(f"unknown database, database={db}") from None

    def _pick(
        self,
        database: Database,
        txn_id: int | None,
        label: str | None,
        states: Sequence[TransactionState],
    ) -> Transaction:
        """The transaction meant. A label counts only among those in the given states."""
        with self._lock:
            if txn_id is not None:
                transaction = self._records.get(txn_id)
                if transaction is None or transaction.database_id != database.id:
                    raise not_found(txn_id)
                return transaction
            for transaction in self._records.labelled(database.id, label or ""):
                if transaction.state in states:
                    return transaction
            raise label_not_found(label or "")

    # ------------------------------------------------------------------ questions

    def get(self, txn_id: int) -> Transaction | None:
        with self._lock:
            return self._records.get(txn_id)

    def load_state(self, db: str, label: str) -> str:
        """The state of the newest transaction of a label, or UNKNOWN. Raises UnknownDatabase."""
        found = self.find(db, label=label)
        return found[0].state.value if found else "UNKNOWN"

    def find(self, db: str, *, txn_id: int | None = None, label: str | None = None) -> Found:
        """Transactions of that id or label, newest first. Raises UnknownDatabase."""
        self.tick()
        database = self._parts.catalog.database(db)
        with self._lock:
            if txn_id is not None:
                transaction = self._records.get(txn_id)
                mine = transaction is not None and transaction.database_id == database.id
                return [transaction] if transaction is not None and mine else []
            return self._records.labelled(database.id, label or "")

    def list(self, db: str) -> Found:
        """All that are still remembered, newest first. Raises UnknownDatabase."""
        self.tick()
        database = self._parts.catalog.database(db)
        with self._lock:
            mine = self._records.of_database(database.id)
        return sorted(mine, key=lambda txn: txn.id, reverse=True)

    def running(self, db: str) -> int:
        """How many count against the limit."""
        database = self._parts.catalog.database(db)
        with self._lock:
            return self._records.running_count(database.id)

    def set_quota(self, db: str, limit: int) -> None:
        """ALTER DATABASE .. SET TRANSACTION QUOTA."""
        database = self._parts.catalog.database(db)
        with self._lock:
            self._quotas[database.id] = limit

    # ------------------------------------------------------------------ time

    def tick(self) -> None:
        """Do what is due by the clock: publish held commits, expire loads, forget old labels."""
        now = self._parts.clock.now()
        with self._lock:
            # the sort is stable: what is due at one moment is published as it was committed
            held = sorted(self._held.values(), key=lambda item: item[0])
            due = [transaction for moment, transaction in held if moment <= now]
            expired = [txn for txn in self._records.running() if self._deadline(txn) <= now]
        for transaction in due:
            self._publish(transaction)
        for transaction in expired:
            self._abort(transaction, EXPIRED)
        self._purge(now)

    def _deadline(self, transaction: Transaction) -> float:
        if transaction.state is TransactionState.PREPARE:
            return transaction.prepared_at + transaction.timeout
        if transaction.state is TransactionState.PRECOMMITTED:
            return (transaction.precommitted_at or 0.0) + self.limits.precommit_timeout
        return float("inf")

    def _purge(self, now: float) -> None:
        with self._lock:
            gone = self._records.outdated(now, self.limits)
            if not gone:
                return
            with self._parts.cursor() as cursor:
                catalog_store.delete_transactions(cursor, [txn.id for txn in gone])
            for transaction in gone:
                self._forget(transaction)

    # ------------------------------------------------------------------ changes of state

    def _commit(self, transaction: Transaction) -> Transaction:
        """Decide, and publish unless a fault holds it. The caller has the write lock."""
        self._fault("txn.commit", db=transaction.db, label=transaction.label)
        now = self._parts.clock.now()
        committed = replace(transaction, state=TransactionState.COMMITTED, committed_at=now)
        until = self._hold_until(committed, now)
        if until is None:
            return self._publish(committed)
        with self._lock:
            self._save(committed)
            self._remember(committed)
            self._held[committed.id] = (until, committed)
            timer = threading.Timer(max(0.0, until - now) + 0.01, self._on_timer)
            timer.daemon = True
            self._timers = [*(old for old in self._timers if old.is_alive()), timer]
        timer.start()
        return committed

    def _hold_until(self, transaction: Transaction, now: float) -> float | None:
        """A held publish also delays those behind it on the same tables (P 3.3)."""
        rule = self._parts.faults.fire(
            "txn.publish", db=transaction.db, label=transaction.label, txn_id=transaction.id
        )
        until = None
        if rule is not None and rule.action == "hold":
            until = now + float(rule.args.get("seconds", 1.0))
        with self._lock:
            for moment, other in self._held.values():
                if set(other.table_ids) & set(transaction.table_ids):
                    until = moment if until is None else max(until, moment)
        return until

    def _on_timer(self) -> None:
        if not self._closed:
            self.tick()

    def _publish(self, transaction: Transaction) -> Transaction:
        """COMMITTED -> VISIBLE with all of its rows, in one DuckDB transaction."""
        with self._parts.storage.write(transaction.db) as cursor:
            with self._lock:
                known = self._records.get(transaction.id)
                if known is None or known.state.final:
                    return known or transaction
            tables = self._parts.storage.publish_staged(
                cursor, transaction.id, transaction.table_ids
            )
            after = replace(
                transaction,
                state=TransactionState.VISIBLE,
                finished_at=self._parts.clock.now(),
            )
            catalog_store.save_transaction(cursor, after.id, after.to_json())
            cursor.execute("COMMIT")
            self._published(after, tables)
            return after

    def _published(self, after: Transaction, tables: Sequence[Table]) -> None:
        with self._lock:
            self._parts.catalog.replace(tables)
            self._parts.storage.forget(after.id)
            self._held.pop(after.id, None)
            self._remember(after)

    def _abort(self, transaction: Transaction, reason: str) -> None:
        """-> ABORTED with the staged rows dropped, unless it is decided by now."""
        with self._parts.storage.write(transaction.db) as cursor, self._lock:
            known = self.get(transaction.id)
            if known is None or known.state not in (
                TransactionState.PREPARE,
                TransactionState.PRECOMMITTED,
            ):
                return
            after = replace(
                known,
                state=TransactionState.ABORTED,
                reason=reason,
                finished_at=self._parts.clock.now(),
            )
            self._parts.storage.drop_staged(cursor, after.id)
            catalog_store.save_transaction(cursor, after.id, after.to_json())
            cursor.execute("COMMIT")
            self._parts.storage.forget(after.id)
            self._remember(after)

    def drop_database(self, cursor: Any, database: Database) -> Ids:
        """Forget the transactions of a database that is dropped by the caller's transaction."""
        with self._lock:
            mine = self._records.of_database(database.id)
        for transaction in mine:
            self._parts.storage.drop_staged(cursor, transaction.id)
        catalog_store.delete_transactions(cursor, [txn.id for txn in mine])
        return [txn.id for txn in mine]

    def database_dropped(self, txn_ids: Sequence[int]) -> None:
        """The drop is durable."""
        with self._lock:
            for txn_id in txn_ids:
                transaction = self._records.get(txn_id)
                if transaction is not None:
                    self._parts.storage.forget(txn_id)
                    self._forget(transaction)

    # ------------------------------------------------------------------ records

    def _remember(self, transaction: Transaction) -> None:
        with self._lock:
            self._records.remember(transaction)

    def _forget(self, transaction: Transaction) -> None:
        with self._lock:
            self._held.pop(transaction.id, None)
            self._records.forget(transaction)

    def _save(self, transaction: Transaction) -> None:
        with self._parts.cursor() as cursor:
            cursor.execute("BEGIN")
            catalog_store.save_transaction(cursor, transaction.id, transaction.to_json())
            cursor.execute("COMMIT")

    def _fault(self, point: str, **facts: Any) -> None:
        """The action ``error`` refuses the step with a message."""
        rule = self._parts.faults.fire(point, **facts)
        if rule is not None and rule.action == "error":
            raise TransactionError(str(rule.args.get("message", "injected fault")))
