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
"""How many loads may wait for their commit, and for how long.

The server allows a number of running transactions per database and drops what waits too long. A
load that waits for a free transaction while our own commits stand behind it waits for ever: then
it has to fail at once, and say which knob to turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from beam_doris.errors import DorisError, TooManyTransactionsError, TransactionBudgetError
from beam_doris.write.job import WriteJob
from beam_doris.write.token import LoadToken

_FEWER = (
    "make fewer and larger loads (WriteOptions.max_load_bytes), or raise the limit on the server "
    "(max_running_txn_num_per_db, or ALTER DATABASE ... SET TRANSACTION QUOTA) and say so in "
    "TransactionBudget(max_running=...)"
)
_SOONER = (
    "let bundles or the whole run be shorter, or raise stream_load_default_precommit_timeout_second "
    "on the frontends and say so in TransactionBudget(precommit_expiry=...)"
)


class WaitingLoads:
    """Loads of this process that nothing commits before the whole run is loaded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, dict[str, float]] = {}

    def add(self, token: LoadToken) -> None:
        """A load that waits from now on."""
        with self._lock:
            loads = self._since.setdefault(token.run_id, {})
            for part in token.parts():
                loads[part.label] = part.loaded_at

    def settled(self, token: LoadToken) -> None:
        """It is committed."""
        with self._lock:
            loads = self._since.get(token.run_id, {})
            loads.pop(token.label, None)
            if not loads:
                self._since.pop(token.run_id, None)

    def of_run(self, run_id: str) -> tuple[int, float | None]:
        """How many there are, and since when the oldest waits."""
        with self._lock:
            loads = self._since.get(run_id, {})
            return len(loads), min(loads.values(), default=None)


WAITING = WaitingLoads()


def check_budget(job: WriteJob, own: Sequence[LoadToken], opened: int) -> bool:
    """Checks before another load is begun.

    Args:
        job: With the budget.
        own: What the bundle has loaded; it is committed after the bundle at the earliest.
        opened: Loads that the bundle has open.

    Returns:
        Whether it makes sense to wait for a free transaction: nothing of ours stands behind it.

    Raises:
        TransactionBudgetError: too many loads wait for their commit, or one for too long.
    """
    budget = job.options.budget
    others, oldest = WAITING.of_run(job.run_id)
    mine = sum(len(token.parts()) for token in own)
    since = [token.loaded_at for token in own] + ([] if oldest is None else [oldest])
    waiting = mine + others
    if waiting + opened >= budget.max_uncommitted and waiting:
        raise TransactionBudgetError(
            f"{waiting + opened} loads wait for their commit, which only comes later; that is "
            f"{budget.share:.0%} of the {budget.max_running} transactions the database allows",
            table=job.table,
            hint=_FEWER,
        )
    age = time.time() - min(since) if since else 0.0
    if age >= budget.max_age.total_seconds():
        raise TransactionBudgetError(
            f"a load has waited {age:.0f} s for its commit, which only comes later; that is "
            f"{budget.share:.0%} of the time after which the server drops it",
            table=job.table,
            hint=_SOONER,
        )
    return not waiting


def over_budget(job: WriteJob, error: TooManyTransactionsError) -> DorisError:
    """The error for a server that has no transaction left while our commits stand behind."""
    return TransactionBudgetError(
        f"the database allows no further transaction, and loads of this run hold some that are "
        f"committed only later: {error.message}",
        table=job.table,
        host=error.host,
        hint=_FEWER,
        cause=error,
    )
