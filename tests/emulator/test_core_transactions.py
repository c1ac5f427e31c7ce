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
"""Labels, states and messages of load transactions, and what time does to them (P 2.4, 3)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from beam_doris.emulator.catalog import KeysModel
from beam_doris.emulator.errors import (
    EmulatorError,
    LabelAlreadyUsed,
    LabelFormat,
    TooManyRunning,
    TransactionError,
    TransactionNotFound,
    UnknownDatabase,
)
from beam_doris.emulator.faults import Rule
from beam_doris.emulator.transactions import TransactionLimits, TransactionState
from tests.emulator.core_cluster import DB, Cluster, col, values

# what the Flink connector searches for (P 3.2)
COMMITTED = r"transaction \[(\d+)\] is already \b(COMMITTED|committed|VISIBLE|visible)\b, not pre-committed."
DECIDED = r"transaction \[(\d+)\] is already|transaction \[(\d+)\] not found"
USED = r"Label \[(.*)\] has already been used, relate to txn \[(\d+)\]"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    cluster.create("t", [col("k", "INT"), col("v", "STRING")])
    yield cluster
    cluster.close()


def limited(**limits: float) -> Cluster:
    cluster = Cluster(limits=TransactionLimits(**limits))  # type: ignore[arg-type]
    cluster.create("t", [col("k", "INT"), col("v", "STRING")])
    return cluster


def refusal(action: object, *args: object, **more: object) -> str:
    assert callable(action)
    with pytest.raises(TransactionError) as caught:
        action(*args, **more)
    return caught.value.message


def test_precommitted_rows_appear_with_the_commit(cluster: Cluster) -> None:
    txn = cluster.prepare(values("k, v", "1, 'a'"))
    assert cluster.rows() == []
    assert cluster.engine.transactions.load_state(DB, txn.label) == "PRECOMMITTED"
    done = cluster.engine.transactions.commit_precommitted(DB, txn_id=txn.id)
    assert done.state is TransactionState.VISIBLE
    assert cluster.rows() == [(1, "a")]
    assert cluster.engine.transactions.load_state(DB, txn.label) == "VISIBLE"


def test_commit_by_label(cluster: Cluster) -> None:
    cluster.prepare(values("k, v", "1, 'a'"), label="one")
    cluster.engine.transactions.commit_precommitted(DB, label="one")
    assert cluster.rows() == [(1, "a")]


def test_commit_of_a_visible_transaction(cluster: Cluster) -> None:
    txn = cluster.prepare(values("k, v", "1, 'a'"))
    commit = cluster.engine.transactions.commit_precommitted
    commit(DB, txn_id=txn.id)
    message = refusal(commit, DB, txn_id=txn.id)
    assert message == f"transaction [{txn.id}] is already visible, not pre-committed."
    assert re.search(COMMITTED, message)
    assert cluster.rows() == [(1, "a")]


def test_commit_of_a_load_that_still_runs(cluster: Cluster) -> None:
    txn = cluster.begin()
    message = refusal(cluster.engine.transactions.commit_precommitted, DB, txn_id=txn.id)
    assert message == f"transaction [{txn.id}] is prepare, not pre-committed."


def test_commit_and_abort_of_an_aborted_transaction(cluster: Cluster) -> None:
    txn = cluster.prepare(values("k, v", "1, 'a'"))
    transactions = cluster.engine.transactions
    transactions.abort(DB, txn_id=txn.id, reason="because")
    name = f"transaction [{txn.id}] is already aborted"
    assert refusal(transactions.commit_precommitted, DB, txn_id=txn.id) == (
        f"{name}. abort reason: because"
    )
    message = refusal(transactions.abort, DB, txn_id=txn.id)
    assert message == f"{name}, abort reason: because"
    assert re.search(DECIDED, message)
    assert cluster.rows() == []


def test_abort_of_a_visible_transaction(cluster: Cluster) -> None:
    txn = cluster.prepare(values("k, v", "1, 'a'"))
    cluster.engine.transactions.commit_precommitted(DB, txn_id=txn.id)
    message = refusal(cluster.engine.transactions.abort, DB, txn_id=txn.id)
    assert message == f"transaction [{txn.id}] is already VISIBLE, could not abort."


def test_abort_of_a_load_that_still_runs_stops_it(cluster: Cluster) -> None:
    txn = cluster.begin(label="running")
    cluster.append(txn, values("k, v", "1, 'a'"))
    cluster.engine.transactions.abort(DB, label="running")
    stager = cluster.engine.storage.stager
    assert "aborted" in refusal(cluster.engine.transactions.precommit, txn.id)
    assert "aborted" in refusal(cluster.engine.transactions.finish, txn.id)
    assert callable(stager)
    assert cluster.sql("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'stg%'") == [
        (0,)
    ], "an abort leaves no staged rows behind"


def test_stager_of_an_aborted_transaction_takes_no_rows(cluster: Cluster) -> None:
    txn = cluster.begin()
    stager = cluster.engine.storage.stager(txn.id, cluster.table())
    cluster.engine.transactions.abort(DB, txn_id=txn.id)
    with cluster.engine.cursor() as cursor, pytest.raises(TransactionError, match="aborted"):
        stager.append(cursor, values("k, v", "1, 'a'"))


@pytest.mark.parametrize("operation", ["commit_precommitted", "abort"])
def test_unknown_id_label_and_database(cluster: Cluster, operation: str) -> None:
    action = getattr(cluster.engine.transactions, operation)
    message = refusal(action, DB, txn_id=77)
    assert message == "transaction [77] not found"
    with pytest.raises(TransactionNotFound, match=r"Transaction \[never\] not found"):
        action(DB, label="never")
    assert refusal(action, "nodb", txn_id=1) == "unknown database, database=nodb"


def test_transaction_belongs_to_its_database(cluster: Cluster) -> None:
    cluster.engine.create_database("other")
    txn = cluster.prepare(values("k, v", "1, 'a'"))
    message = refusal(cluster.engine.transactions.commit_precommitted, "other", txn_id=txn.id)
    assert message == f"transaction [{txn.id}] not found"
    assert cluster.engine.transactions.load_state("other", txn.label) == "UNKNOWN"


def test_label_in_use_names_the_transaction_and_its_state(cluster: Cluster) -> None:
    transactions = cluster.engine.transactions
    txn = cluster.begin(label="x")
    states = []
    for step in (None, transactions.precommit, None):
        if step is not None:
            step(txn.id)
        with pytest.raises(LabelAlreadyUsed) as caught:
            cluster.begin(label="x")
        states.append(caught.value.status)
        found = re.search(USED, caught.value.message)
        assert found is not None
        assert (found[1], int(found[2])) == ("x", txn.id)
    transactions.commit_precommitted(DB, txn_id=txn.id)
    with pytest.raises(LabelAlreadyUsed) as caught:
        cluster.begin(label="x")
    assert [*states, caught.value.status] == [
        "RUNNING",
        "PRECOMMITTED",
        "PRECOMMITTED",
        "FINISHED",
    ]


def test_aborted_and_failed_labels_are_free(cluster: Cluster) -> None:
    first = cluster.begin(label="x")
    cluster.engine.transactions.fail(first.id, "too many filtered rows")
    assert cluster.engine.transactions.load_state(DB, "x") == "ABORTED"
    second = cluster.prepare(values("k, v", "1, 'a'"), label="x")
    assert second.id > first.id
    cluster.engine.transactions.abort(DB, label="x")
    third = cluster.prepare(values("k, v", "3, 'c'"), label="x")
    cluster.engine.transactions.commit_precommitted(DB, label="x")
    assert cluster.rows() == [(3, "c")]
    found = cluster.engine.transactions.find(DB, label="x")
    assert [txn.id for txn in found] == [third.id, second.id, first.id]


@pytest.mark.parametrize("label", ["two words", "", "a.b", "x" * 129, "ä", "a\n"])
def test_label_outside_the_grammar(cluster: Cluster, label: str) -> None:
    with pytest.raises(LabelFormat) as caught:
        cluster.engine.transactions.begin(DB, (1,), label)
    assert caught.value.message == (
        f"Label format error. regex: ^[-_A-Za-z0-9:]{{1,128}}$, label: {label}"
    )


def test_longest_label_is_taken(cluster: Cluster) -> None:
    label = "a-_:9" + "x" * 123
    assert cluster.begin(label=label).label == label


def test_begin_in_an_unknown_database(cluster: Cluster) -> None:
    with pytest.raises(UnknownDatabase, match="Unknown database 'nodb'"):
        cluster.engine.transactions.begin("nodb", (1,), "l")


def test_later_commit_wins_on_a_unique_table(cluster: Cluster) -> None:
    cluster.create("u", [col("k", "INT"), col("v", "STRING")], model=KeysModel.UNIQUE_KEYS)
    first = cluster.prepare(values("k, v", "1, 'first'"), "u")
    second = cluster.prepare(values("k, v", "1, 'second'"), "u")
    for txn in (second, first):
        cluster.engine.transactions.commit_precommitted(DB, txn_id=txn.id)
    assert cluster.rows("u") == [(1, "first")]


def test_two_tables_of_one_transaction_become_visible_together(cluster: Cluster) -> None:
    cluster.create("u", [col("k", "INT")])
    tables = (cluster.table("t"), cluster.table("u"))
    txn = cluster.engine.transactions.begin(DB, tuple(table.id for table in tables), "both")
    cluster.append(txn, "SELECT i AS k, 'x' AS v, i AS __ord FROM range(20000) r(i)", "t")
    cluster.append(txn, "SELECT i AS k, i AS __ord FROM range(20000) r(i)", "u")
    counts = " UNION ALL ".join(
        f"SELECT count(*) FROM ({cluster.engine.storage.visible_sql(table)})" for table in tables
    )
    seen = set()
    done = threading.Event()

    def finish() -> None:
        cluster.engine.transactions.finish(txn.id)
        done.set()

    worker = threading.Thread(target=finish)
    worker.start()
    while not done.is_set():
        seen.add(tuple(cluster.sql(counts)))
    worker.join(timeout=30)
    seen.add(tuple(cluster.sql(counts)))
    assert seen <= {((0,), (0,)), ((20000,), (20000,))}
    assert ((20000,), (20000,)) in seen


def test_schema_change_between_precommit_and_commit(cluster: Cluster) -> None:
    from beam_doris.emulator.table_spec import AddColumns

    txn = cluster.prepare(values("k, v", "1, 'a'"))
    cluster.engine.alter(cluster.table(), AddColumns(columns=(col("more", "INT", default="5"),)))
    cluster.engine.transactions.commit_precommitted(DB, txn_id=txn.id)
    assert cluster.rows() == [(1, "a", 5)]


def test_dropped_table_can_be_aborted_but_not_committed(cluster: Cluster) -> None:
    txn = cluster.prepare(values("k, v", "1, 'a'"))
    cluster.engine.drop_table(DB, "t")
    message = refusal(cluster.engine.transactions.commit_precommitted, DB, txn_id=txn.id)
    assert message.startswith("unknown table")
    after = cluster.engine.transactions.abort(DB, txn_id=txn.id)
    assert after.state is TransactionState.ABORTED


def test_precommitted_transaction_expires(cluster: Cluster) -> None:
    txn = cluster.prepare(values("k, v", "1, 'a'"))
    cluster.clock.advance(3599)
    assert cluster.engine.transactions.load_state(DB, txn.label) == "PRECOMMITTED"
    cluster.clock.advance(1)
    message = refusal(cluster.engine.transactions.commit_precommitted, DB, txn_id=txn.id)
    assert message == (
        f"transaction [{txn.id}] is already aborted. abort reason: timeout by txn manager"
    )
    assert cluster.rows() == []


def test_running_load_expires_by_its_own_timeout(cluster: Cluster) -> None:
    txn = cluster.engine.transactions.begin(DB, (cluster.table().id,), "slow", timeout=10)
    cluster.clock.advance(10)
    assert cluster.engine.transactions.load_state(DB, "slow") == "ABORTED"
    assert "timeout by txn manager" in refusal(cluster.engine.transactions.finish, txn.id)


def test_finished_labels_are_forgotten_with_age(cluster: Cluster) -> None:
    cluster.prepare(values("k, v", "1, 'a'"), label="x")
    txn = cluster.engine.transactions.commit_precommitted(DB, label="x")
    cluster.clock.advance(43_199)
    with pytest.raises(LabelAlreadyUsed):
        cluster.begin(label="x")
    cluster.clock.advance(1)
    assert cluster.engine.transactions.load_state(DB, "x") == "UNKNOWN"
    message = refusal(cluster.engine.transactions.commit_precommitted, DB, txn_id=txn.id)
    assert message == f"transaction [{txn.id}] not found"
    cluster.begin(label="x")
    assert cluster.rows() == [(1, "a")], "the rows stay when the label goes"


def test_only_so_many_finished_labels_are_kept() -> None:
    cluster = limited(label_num_threshold=3)
    try:
        cluster.prepare(values("k, v", "0, 'p'"), label="waiting")
        for number in range(5):
            cluster.begin(label=f"f{number}")
            cluster.engine.transactions.abort(DB, label=f"f{number}")
            cluster.clock.advance(1)
        states = [cluster.engine.transactions.load_state(DB, f"f{number}") for number in range(5)]
        assert states == ["UNKNOWN"] * 2 + ["ABORTED"] * 3
        assert cluster.engine.transactions.load_state(DB, "waiting") == "PRECOMMITTED"
    finally:
        cluster.close()


def test_running_transactions_are_limited_for_each_database() -> None:
    cluster = limited(max_running=2)
    try:
        first = cluster.prepare(values("k, v", "1, 'a'"))
        cluster.begin()
        with pytest.raises(TooManyRunning) as caught:
            cluster.begin()
        database = cluster.engine.catalog.database(DB)
        assert caught.value.message == (
            f"current running txns on db {database.id} is 2, larger than limit 2"
        )
        cluster.engine.create_database("other")
        cluster.engine.transactions.begin("other", (), "free")
        cluster.engine.transactions.commit_precommitted(DB, txn_id=first.id)
        cluster.begin()
    finally:
        cluster.close()


def test_held_publish_is_committed_first_and_visible_later(cluster: Cluster) -> None:
    cluster.engine.faults.add(
        Rule(point="txn.publish", action="hold", count=1, args={"seconds": 300})
    )
    txn = cluster.begin(label="late")
    cluster.append(txn, values("k, v", "1, 'a'"))
    assert cluster.engine.transactions.finish(txn.id).state is TransactionState.COMMITTED
    assert cluster.rows() == []
    message = refusal(cluster.engine.transactions.abort, DB, txn_id=txn.id)
    assert message == f"transaction [{txn.id}] is already COMMITTED, could not abort."
    message = refusal(cluster.engine.transactions.commit_precommitted, DB, txn_id=txn.id)
    assert message == f"transaction [{txn.id}] is already committed, not pre-committed."
    behind = cluster.begin()
    cluster.append(behind, values("k, v", "2, 'b'"))
    state = cluster.engine.transactions.finish(behind.id).state
    assert state is TransactionState.COMMITTED, "publishes of one table keep their order"
    cluster.clock.advance(300)
    assert cluster.rows() == [(1, "a"), (2, "b")]
    assert cluster.engine.transactions.load_state(DB, "late") == "VISIBLE"


@pytest.mark.parametrize("point", ["txn.begin", "txn.precommit", "txn.commit", "txn.abort"])
def test_injected_error_leaves_the_transaction_as_it_was(cluster: Cluster, point: str) -> None:
    cluster.engine.faults.add(
        Rule(point=point, action="error", count=1, args={"message": "injected"})
    )
    transactions = cluster.engine.transactions

    def life(label: str) -> str:
        txn = cluster.begin(label=label)
        cluster.append(txn, values("k, v", "1, 'a'"))
        transactions.precommit(txn.id)
        if point == "txn.abort":
            transactions.abort(DB, txn_id=txn.id)
        else:
            transactions.commit_precommitted(DB, txn_id=txn.id)
        return transactions.load_state(DB, label)

    with pytest.raises(EmulatorError, match="injected"):
        life("first")
    expected = {
        "txn.begin": "UNKNOWN",
        "txn.precommit": "PREPARE",
        "txn.commit": "PRECOMMITTED",
        "txn.abort": "PRECOMMITTED",
    }
    assert transactions.load_state(DB, "first") == expected[point]
    assert cluster.rows() == []
    assert life("second") == ("ABORTED" if point == "txn.abort" else "VISIBLE")


def test_empty_transaction_commits_and_raises_the_version(cluster: Cluster) -> None:
    before = cluster.table().partitions[0].version
    txn = cluster.begin()
    cluster.engine.transactions.precommit(txn.id)
    cluster.engine.transactions.commit_precommitted(DB, txn_id=txn.id)
    assert cluster.table().partitions[0].version == before + 1
    assert cluster.rows() == []


def test_concurrent_loads_and_commits_lose_nothing(cluster: Cluster) -> None:
    cluster.create("u", [col("k", "INT"), col("v", "INT")], model=KeysModel.UNIQUE_KEYS)
    problems: list[Exception] = []

    def work(worker: int) -> None:
        try:
            for turn in range(6):
                source = f"SELECT i::INT AS k, {worker} AS v, i AS __ord FROM range(500) r(i)"
                txn = cluster.engine.transactions.begin(
                    DB, (cluster.table("u").id,), f"w{worker}_{turn}"
                )
                cluster.append(txn, source, "u")
                if turn % 2:
                    cluster.engine.transactions.finish(txn.id)
                else:
                    cluster.engine.transactions.precommit(txn.id)
                    cluster.engine.transactions.commit_precommitted(DB, txn_id=txn.id)
        except Exception as error:  # noqa: BLE001 - told to the main thread
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert problems == []
    rows = cluster.rows("u")
    assert len(rows) == 500
    assert len({value for _, value in rows}) == 1, "each commit replaced every row"
    assert cluster.table("u").partitions[0].version == 1 + 30
