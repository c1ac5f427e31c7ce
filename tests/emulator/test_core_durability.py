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
"""What a kill -9 leaves: decided work as a whole, undecided work invisible and still decidable (P 3.3)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beam_doris.emulator.catalog import Distribution, PartitionBy
from beam_doris.emulator.errors import LabelAlreadyUsed, TransactionError
from beam_doris.emulator.table_spec import AddColumns, PartitionSpec, RenameColumn
from tests.emulator.core_cluster import DB, Cluster, col, values

SCRIPT = """
import json, sys, time
from pathlib import Path
from beam_doris.emulator.catalog import KeysModel
from beam_doris.emulator.faults import Rule
from tests.emulator.core_cluster import Cluster, col, values

cluster = Cluster(path=Path(sys.argv[1]))
cluster.create("t", [col("k", "INT"), col("v", "STRING")], model=KeysModel.UNIQUE_KEYS)
cluster.load(values("k, v", "1, 'old'"))
waiting = cluster.prepare("SELECT i::INT AS k, 'new' AS v, i AS __ord FROM range(1000) r(i)",
                          label="waiting")
running = cluster.begin(label="running")
cluster.append(running, values("k, v", "5000, 'lost'"))
aborted = cluster.prepare(values("k, v", "6000, 'gone'"), label="aborted")
cluster.engine.transactions.abort("test", txn_id=aborted.id)
cluster.create("held", [col("k", "INT")])
cluster.engine.faults.add(Rule(point="txn.publish", action="hold", args={"seconds": 3600}))
held = cluster.begin("held", label="held")
cluster.append(held, "SELECT 1 AS k, 0 AS __ord", "held")
cluster.engine.transactions.finish(held.id)
tablets = [tablet.id for tablet in cluster.table("t").tablets()]
print(json.dumps({"waiting": waiting.id, "running": running.id, "tablets": tablets}), flush=True)
time.sleep(60)
"""


def killed(path: Path) -> dict[str, object]:
    """Run the script and kill it where it stands."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()
    result = json.loads(line)
    assert isinstance(result, dict)
    return result


@pytest.fixture
def left(tmp_path: Path) -> dict[str, object]:
    return {"path": tmp_path, **killed(tmp_path)}


def reopened(left: dict[str, object]) -> Cluster:
    path = left["path"]
    assert isinstance(path, Path)
    return Cluster(path=path)


def test_kill_leaves_decided_work_and_keeps_the_rest_decidable(left: dict[str, object]) -> None:
    cluster = reopened(left)
    transactions = cluster.engine.transactions
    try:
        assert cluster.rows() == [(1, "old")]
        assert transactions.load_state(DB, "waiting") == "PRECOMMITTED"
        assert transactions.load_state(DB, "running") == "ABORTED"
        assert transactions.load_state(DB, "aborted") == "ABORTED"
        assert transactions.load_state(DB, "held") == "VISIBLE", "committed work is finished"
        assert cluster.rows("held") == [(1,)]
        with pytest.raises(TransactionError, match="coordinate BE restart"):
            transactions.commit_precommitted(DB, txn_id=int(str(left["running"])))
        transactions.commit_precommitted(DB, txn_id=int(str(left["waiting"])))
        assert len(cluster.rows()) == 1000
        assert cluster.rows()[1] == (1, "new")
        with pytest.raises(LabelAlreadyUsed):
            cluster.begin(label="waiting")
    finally:
        cluster.close()


def test_killed_cluster_keeps_tablets_and_never_repeats_a_number(left: dict[str, object]) -> None:
    cluster = reopened(left)
    try:
        tablets = [tablet.id for tablet in cluster.table("t").tablets()]
        assert tablets == left["tablets"]
        fresh = cluster.create("u", [col("k", "INT")])
        assert not {tablet.id for tablet in fresh.tablets()} & set(tablets)
        assert cluster.begin("u").id > int(str(left["running"])) + 1
    finally:
        cluster.close()


def test_kill_leaves_no_staged_rows_of_undecidable_loads(left: dict[str, object]) -> None:
    cluster = reopened(left)
    try:
        staged = cluster.sql("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'stg%'")
        assert staged == [(f"stg{left['waiting']}_{cluster.table('t').id}",)]
        cluster.engine.transactions.abort(DB, label="waiting")
        assert cluster.rows() == [(1, "old")]
    finally:
        cluster.close()


def test_every_part_of_a_table_survives_a_restart(tmp_path: Path) -> None:
    cluster = Cluster(path=tmp_path, backends=3)
    cluster.create(
        "t",
        [
            col("d", "DATE", nullable=False, comment="it's a day"),
            col("n", "STRUCT<a:INT,b:ARRAY<DECIMAL(10,2)>>"),
            col("v", "VARCHAR(9)", default="x", nullable=False),
        ],
        partition_by=PartitionBy(
            kind="RANGE", columns=("d",), auto_expression="date_trunc(`d`, 'month')"
        ),
        partitions=[PartitionSpec(name="old", less_than=("2000-01-01",))],
        distribution=Distribution(kind="HASH", columns=("v",), buckets=7),
        properties={"replication_num": "2"},
    )
    cluster.load(values("d", "DATE '2022-01-05'", "DATE '1999-01-01'"))
    cluster.engine.alter(cluster.table(), AddColumns(columns=(col("w", "INT", default="3"),)))
    cluster.engine.alter(cluster.table(), RenameColumn(old="v", new="renamed"))
    before, rows = cluster.table(), cluster.rows()
    cluster.close()
    again = Cluster(path=tmp_path, backends=3)
    try:
        assert again.table() == before
        assert again.rows() == rows
        again.load(values("d", "DATE '2022-01-06'"))
        assert len(again.rows(partitions=["p20220101000000"])) == 2
    finally:
        again.close()


def test_retention_reaches_over_a_restart(tmp_path: Path) -> None:
    cluster = Cluster(path=tmp_path)
    cluster.create("t", [col("k", "INT")])
    cluster.prepare("SELECT 1 AS k, 0 AS __ord", label="x")
    cluster.engine.transactions.commit_precommitted(DB, label="x")
    cluster.prepare("SELECT 2 AS k, 0 AS __ord", label="y")
    cluster.close()
    again = Cluster(path=tmp_path)
    try:
        again.clock.advance(3_600)
        assert again.engine.transactions.load_state(DB, "y") == "ABORTED"
        assert again.engine.transactions.load_state(DB, "x") == "VISIBLE"
        again.clock.advance(43_200)
        assert again.engine.transactions.load_state(DB, "x") == "UNKNOWN"
    finally:
        again.close()


def test_dropped_database_is_gone_after_a_restart(tmp_path: Path) -> None:
    cluster = Cluster(path=tmp_path)
    cluster.create("t", [col("k", "INT")])
    cluster.prepare("SELECT 1 AS k, 0 AS __ord", label="x")
    cluster.engine.drop_database(DB)
    cluster.close()
    again = Cluster(path=tmp_path)
    try:
        assert again.engine.catalog.tables(DB) == []
        assert again.engine.transactions.load_state(DB, "x") == "UNKNOWN"
        assert again.sql("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main'") == [
            (0,)
        ]
    finally:
        again.close()


def test_users_survive_a_restart(tmp_path: Path) -> None:
    cluster = Cluster(path=tmp_path)
    users = cluster.engine.users
    users.create("loader", "secret")
    users.grant("loader", DB, ["LOAD_PRIV"])
    users.create("gone")
    users.drop("gone")
    users.drop("admin")
    cluster.close()
    again = Cluster(path=tmp_path)
    try:
        users = again.engine.users
        assert users.names() == ["loader", "root"]
        assert users.check_plain("loader", "wrong") is None
        loader = users.check_plain("loader", "secret")
        assert loader is not None
        assert loader.may("LOAD_PRIV", DB, "t")
        assert not loader.may("SELECT_PRIV", DB, "t")
        assert not loader.may("LOAD_PRIV", "other", "t")
    finally:
        again.close()
