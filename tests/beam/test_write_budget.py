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
"""Loads that wait for their commit never fill the server's limits without a word."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_doris.beam_support.client_pool import lend
from beam_doris.client.contracts import LoadRequest, LoadState
from beam_doris.client.frontend import Frontend
from beam_doris.client.stream_load import StreamLoader
from beam_doris.client.transactions import Transactions
from beam_doris.errors import TooManyTransactionsError, TransactionBudgetError
from beam_doris.options.delivery import TransactionBudget
from beam_doris.options.writing import WriteOptions
from beam_doris.write.budget import WAITING
from beam_doris.write.sink import WriteToDoris
from tests.beam.fakes import FakeCluster, FakeFrontend, FakeLoad, connection

DORIS = connection()


class LimitedCluster(FakeCluster):
    """Has so many transactions and no more."""

    limit = 10**6

    def open(self, request: LoadRequest) -> FakeLoad:
        """Begins a load where there is room; else says at once that there is none."""
        running = [load for load in self.loads.values() if load.state is LoadState.PRECOMMITTED]
        if len(running) >= self.limit:
            assert not request.await_slot
            raise TooManyTransactionsError("current running txns on db 1 is 3, larger than limit 3")
        return super().open(request)


@pytest.fixture
def cluster() -> LimitedCluster:
    """Takes the place of every client of the write path."""
    fake = LimitedCluster()
    lend(Frontend, DORIS, FakeFrontend())
    lend(StreamLoader, DORIS, fake)
    lend(Transactions, DORIS, fake)
    return fake


def write(rows: int, budget: TransactionBudget, **more: Any) -> None:
    """Loads of five rows each."""
    options = WriteOptions(max_load_bytes=100, batch_rows=5, budget=budget)
    with beam.Pipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        elements = pipeline | beam.Create([{"id": i} for i in range(rows)], reshuffle=False)
        elements | WriteToDoris(
            DORIS, table="test.student", label_prefix="job", options=options, **more
        )


def test_half_of_the_servers_limit_is_the_most_that_a_bundle_leaves_uncommitted(
    cluster: LimitedCluster,
) -> None:
    with pytest.raises(TransactionBudgetError) as failure:
        write(200, TransactionBudget(max_running=8))
    assert "max_load_bytes" in str(failure.value)
    assert len(cluster.loads) == 4
    assert set(cluster.states()) == {LoadState.ABORTED}


def test_within_the_budget_everything_is_committed(cluster: LimitedCluster) -> None:
    write(200, TransactionBudget(max_running=1000))
    assert len(cluster.loads) > 4
    assert set(cluster.states()) == {LoadState.VISIBLE}


def test_a_server_without_a_free_transaction_is_not_waited_for_when_ours_stand_behind(
    cluster: LimitedCluster,
) -> None:
    cluster.limit = 3
    with pytest.raises(TransactionBudgetError) as failure:
        write(200, TransactionBudget(max_running=1000))
    assert "TRANSACTION QUOTA" in str(failure.value)
    assert set(cluster.states()) == {LoadState.ABORTED}


def test_a_load_that_waits_too_long_fails_before_the_server_drops_it(
    cluster: LimitedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FakeLoad.finish

    def slow(self: FakeLoad) -> Any:
        result = original(self)
        time.sleep(0.05)
        return result

    monkeypatch.setattr(FakeLoad, "finish", slow)
    with pytest.raises(TransactionBudgetError) as failure:
        write(500, TransactionBudget(precommit_expiry=timedelta(milliseconds=200)))
    assert "precommit_expiry" in str(failure.value)


def test_all_or_nothing_commits_after_everything_and_forgets_what_waited(
    cluster: LimitedCluster,
) -> None:
    write(100, TransactionBudget(), all_or_nothing=True, run_id=None)
    assert set(cluster.states()) == {LoadState.VISIBLE}
    labels = list(cluster.loads)
    assert len(cluster.commits) == len(labels)
    run_id = labels[0].split("_")[2]
    assert WAITING.of_run(run_id) == (0, None)


def test_all_or_nothing_commits_nothing_when_a_load_fails(cluster: LimitedCluster) -> None:
    rows = [{"id": i} for i in range(40)]
    pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner())
    good = pipeline | "good" >> beam.Create(rows, reshuffle=False)
    bad = pipeline | "bad" >> beam.Create(rows, reshuffle=True) | beam.Map(_explode)
    sink = WriteToDoris(
        DORIS,
        table="test.student",
        label_prefix="job",
        options=WriteOptions(max_load_bytes=100, batch_rows=5),
        all_or_nothing=True,
    )
    (good, bad) | beam.Flatten() | sink
    with pytest.raises(Exception, match="boom"):
        pipeline.run()
    assert cluster.commits == []


def _explode(row: dict[str, Any]) -> dict[str, Any]:
    if row["id"] == 39:
        raise RuntimeError("boom")
    return row
