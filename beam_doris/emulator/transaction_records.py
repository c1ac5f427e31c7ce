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
"""The transactions that are remembered, by id, label and state."""

from __future__ import annotations

from collections.abc import Iterator

from beam_doris.emulator.transaction import Transaction, TransactionLimits


class TransactionRecords:
    """Indexes over transactions. Not thread-safe: the owner holds its lock around each call."""

    def __init__(self) -> None:
        self._all: dict[int, Transaction] = {}
        self._by_label: dict[tuple[int, str], list[int]] = {}
        self._running: dict[int, set[int]] = {}
        #: ids in the order in which they finished, for each database
        self._finished: dict[int, dict[int, None]] = {}

    def get(self, txn_id: int) -> Transaction | None:
        return self._all.get(txn_id)

    def of_database(self, database_id: int) -> list[Transaction]:
        return [txn for txn in self._all.values() if txn.database_id == database_id]

    def labelled(self, database_id: int, label: str) -> list[Transaction]:
        """Transactions of a label, newest first."""
        ids = self._by_label.get((database_id, label), ())
        return [self._all[txn_id] for txn_id in sorted(ids, reverse=True)]

    def running_count(self, database_id: int) -> int:
        """How many count against the limit of a database."""
        return len(self._running.get(database_id, ()))

    def running(self) -> Iterator[Transaction]:
        for ids in self._running.values():
            for txn_id in ids:
                yield self._all[txn_id]

    def outdated(self, now: float, limits: TransactionLimits) -> list[Transaction]:
        """Finished transactions to forget, by age and by number for each database (P 3.4)."""
        keep = limits.label_num_threshold
        gone = []
        for mine in self._finished.values():
            surplus = len(mine) - keep if keep >= 0 else 0
            for place, txn_id in enumerate(mine):
                transaction = self._all[txn_id]
                young = (transaction.finished_at or 0.0) + limits.label_keep_seconds > now
                if place >= surplus and young:
                    break
                gone.append(transaction)
        return gone

    def remember(self, transaction: Transaction) -> None:
        """Add a transaction, or its new state."""
        known = transaction.id in self._all
        self._all[transaction.id] = transaction
        if not known:
            key = (transaction.database_id, transaction.label)
            self._by_label.setdefault(key, []).append(transaction.id)
        running = self._running.setdefault(transaction.database_id, set())
        if transaction.state.final:
            running.discard(transaction.id)
            self._finished.setdefault(transaction.database_id, {})[transaction.id] = None
        else:
            running.add(transaction.id)

    def forget(self, transaction: Transaction) -> None:
        del self._all[transaction.id]
        self._running.get(transaction.database_id, set()).discard(transaction.id)
        self._finished.get(transaction.database_id, {}).pop(transaction.id, None)
        key = (transaction.database_id, transaction.label)
        self._by_label[key].remove(transaction.id)
        if not self._by_label[key]:
            del self._by_label[key]
