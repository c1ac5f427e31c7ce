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
"""Faults that are put into the code on purpose; the matrix has to notice each of them."""

from __future__ import annotations

from typing import Any

from beam_doris.client import load_settlement, load_upload
from beam_doris.client.contracts import LoadState
from beam_doris.client.labels import load_label, new_nonce
from beam_doris.client.load_state import Decision
from beam_doris.write import one_phase, repeatable


def new_label_per_retry() -> None:
    """Every HTTP attempt of a load in one phase takes a label of its own."""
    upload: Any = load_upload
    original = upload.load_headers

    def changed(request: Any, *more: Any) -> dict[str, str]:
        headers: dict[str, str] = original(request, *more)
        if request.label is not None and not request.two_phase:
            headers["label"] = f"{request.label}_{new_nonce()}"
        return headers

    upload.load_headers = changed

    # and so nothing is found under the label that was asked for: the load is sent again
    settlement: Any = load_settlement.Settlement
    settlement._check_success = lambda self, reply: None


def abort_of_a_foreign_precommit() -> None:
    """A load that meets another attempt's pre-committed load aborts it."""
    original: Any = repeatable._precommit_once

    def changed(job: Any, loader: Any, chunks: Any, what: Any, report: Any) -> Any:
        prefix = f"{job.label_prefix}_"
        records = loader.frontend.query(
            f"SHOW TRANSACTION FROM `{job.table.database}` WHERE transactionstatus = 'PRECOMMITTED'",
            job.table.database,
        )
        for record in records.dicts():
            if str(record["Label"]).startswith(prefix):
                loader.transactions.abort(
                    job.table.database, int(str(record["TransactionId"])), str(record["Label"])
                )
        return original(job, loader, chunks, what, report)

    repeatable._precommit_once = changed


def finished_without_digest() -> None:
    """A unit's label does not say which bytes it holds: FINISHED is taken as done."""

    def changed(job: Any, pieces: Any, unit: Any, place: str) -> str:
        return load_label(job.label_prefix, job.table, job.run_id, unit.shard, unit.sequence)

    one_phase._label = changed


def success_of_a_lost_answer() -> None:
    """A lost answer to a load is taken for its success."""

    def changed(self: Any) -> Any:
        self._cycle.state = LoadState.VISIBLE
        return Decision.ADOPT

    load_settlement.Settlement._ask = changed  # type: ignore[method-assign]


MUTANTS = {
    "new label per HTTP retry": new_label_per_retry,
    "LOAD aborts a foreign pre-commit": abort_of_a_foreign_precommit,
    "FINISHED taken as done without digest": finished_without_digest,
    "lost answer taken for success": success_of_a_lost_answer,
}


def install(name: str) -> None:
    """Puts one fault into this process."""
    MUTANTS[name]()
