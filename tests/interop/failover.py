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
"""The Java sink is killed and restored from its checkpoint: is the content exact?

Each scenario kills the process (SIGKILL) at another moment of a two-phase commit, restarts it from
the newest complete checkpoint and compares every row.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from tests.interop import jvm
from tests.interop.bench import Bench
from tests.interop.flink_write import load_state
from tests.interop.places import BUILD

ROWS = 900
PER_SECOND = 100
TABLE = "test.failover"
KILL_AT = 3  # checkpoint


class _Run:
    """One scenario: a table, a label prefix, a folder of checkpoints."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench = bench
        self.name = name
        self.prefix = bench.prefix()
        self.folder = BUILD / "checkpoints" / f"{bench.version}-{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        bench.fresh(
            f"CREATE TABLE {TABLE} (id BIGINT, v VARCHAR(50)) DUPLICATE KEY(id)"
            " DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES ('replication_num' = '1')"
        )

    def arguments(self, **extra: object) -> dict[str, object]:
        return {
            "fenodes": self.bench.cluster.fenodes,
            "table": TABLE,
            "prefix": self.prefix,
            "checkpoints": self.folder.as_uri(),
            "rows": ROWS,
            "per_second": PER_SECOND,
            **extra,
        }

    def label(self, checkpoint: int, subtask: int = 0) -> str:
        return f"{self.prefix}_{TABLE.replace('.', '_')}_{subtask}_{checkpoint}"

    def state(self, checkpoint: int, subtask: int = 0) -> str:
        return load_state(self.bench.cluster, "test", self.label(checkpoint, subtask))

    def complete(self, checkpoint: int) -> Path | None:
        found = list(self.folder.glob(f"*/chk-{checkpoint}/_metadata"))
        return found[0].parent if found else None

    def newest(self) -> Path:
        folders = [path.parent for path in self.folder.glob("*/chk-*/_metadata")]
        return max(folders, key=lambda path: int(path.name.split("-")[1]))

    def transaction(self, checkpoint: int, subtask: int = 0) -> str:
        label = self.label(checkpoint, subtask)
        rows = self.bench.sql(f"SHOW TRANSACTION FROM test WHERE LABEL = '{label}'")
        return rows[-1][0]

    def wait(
        self, process: subprocess.Popen[bytes], checkpoint: int, state: str, subtask: int = 0
    ) -> None:
        def reached() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"ended before {state}: see {self.log('first').name}")
            return self.state(checkpoint, subtask) == state

        jvm.wait_for(reached, seconds=60, what=f"label {checkpoint} {state}")

    def log(self, part: str) -> Path:
        return self.bench.log(f"{self.name}-{part}")

    def restore(self, **extra: object) -> Path:
        newest = self.newest()
        jvm.run(
            self.bench.version,
            "failover",
            self.arguments(restore=newest.as_uri(), **extra),
            log=self.log("second"),
        )
        return newest

    def exact(self) -> None:
        found = self.bench.sql(
            "SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id),"
            f" SUM(IF(v = CONCAT('value', id), 1, 0)) FROM {TABLE}"
        )
        expected = [(str(ROWS), str(ROWS), "0", str(ROWS - 1), str(ROWS))]
        if found != expected:
            raise AssertionError(f"found {found}, expected {expected}")

    def status(self, transaction: str) -> str:
        rows = self.bench.sql(f"SHOW TRANSACTION FROM test WHERE ID = {transaction}")
        return rows[0][3]

    def nothing_lingers(self) -> None:
        lingering = [
            (n, subtask)
            for n in range(1, 60)
            for subtask in range(2)
            if self.state(n, subtask) in {"PREPARE", "PRECOMMITTED"}
        ]
        if lingering:
            raise AssertionError(f"transactions linger for checkpoints {lingering}")


def killed_after_precommit(bench: Bench) -> str:
    """The writer has pre-committed, the checkpoint never completes: the data must come again."""
    run = _Run(bench, "killed_after_precommit")
    with jvm.started(
        bench.version, "failover", run.arguments(block_at=KILL_AT), log=run.log("first")
    ) as process:
        run.wait(process, KILL_AT, "PRECOMMITTED")
        time.sleep(0.5)
        assert run.complete(KILL_AT) is None
        lingering = run.transaction(KILL_AT)
        jvm.kill(process)
    newest = run.restore()
    run.exact()
    if run.status(lingering) != "ABORTED":
        raise AssertionError(f"transaction {lingering} is {run.status(lingering)}")
    run.nothing_lingers()
    return f"restored from {newest.name}; transaction {lingering} was aborted by the new process"


def two_writers_killed(bench: Bench) -> str:
    """As before with two writers: each restored one cleans up after itself."""
    run = _Run(bench, "two_writers_killed")
    with jvm.started(
        bench.version,
        "failover",
        run.arguments(block_at=KILL_AT, parallelism=2),
        log=run.log("first"),
    ) as process:
        for subtask in range(2):
            run.wait(process, KILL_AT, "PRECOMMITTED", subtask)
        time.sleep(0.5)
        assert run.complete(KILL_AT) is None
        lingering = [run.transaction(KILL_AT, subtask) for subtask in range(2)]
        jvm.kill(process)
    newest = run.restore(parallelism=2)
    run.exact()
    states = [run.status(transaction) for transaction in lingering]
    if states != ["ABORTED", "ABORTED"]:
        raise AssertionError(f"transactions {lingering} are {states}")
    run.nothing_lingers()
    return f"restored from {newest.name}; transactions {lingering} were aborted"


def killed_before_commit(bench: Bench) -> str:
    """The checkpoint is complete, its commit never reached the server: restore must commit it."""
    run = _Run(bench, "killed_before_commit")
    with jvm.started(bench.version, "failover", run.arguments(), log=run.log("first")) as process:
        run.wait(process, KILL_AT - 1, "VISIBLE")
        lost = {"point": "be.2pc.headers", "action": "hang", "match": {"operation": "commit"}}
        bench.cluster.admin("faults", lost)
        try:
            run.wait(process, KILL_AT, "PRECOMMITTED")
            folder = jvm.wait_for(
                lambda: run.complete(KILL_AT), seconds=30, what="complete checkpoint"
            )
            time.sleep(0.5)
            pending = run.transaction(KILL_AT)
            if run.status(pending) != "PRECOMMITTED":
                raise AssertionError(f"transaction {pending} is {run.status(pending)}")
            jvm.kill(process)
        finally:
            bench.cluster.admin("faults", method="DELETE")
    assert run.newest() == folder
    run.restore()
    run.exact()
    if run.status(pending) != "VISIBLE":
        raise AssertionError(f"transaction {pending} is {run.status(pending)}")
    run.nothing_lingers()
    return f"restored from {folder.name}; transaction {pending} was committed by the new process"


def killed_after_commit(bench: Bench) -> str:
    """Committed, then killed: the restored committer is told so and goes on."""
    run = _Run(bench, "killed_after_commit")
    with jvm.started(bench.version, "failover", run.arguments(), log=run.log("first")) as process:
        run.wait(process, KILL_AT, "VISIBLE")
        jvm.kill(process)
    newest = run.restore()
    run.exact()
    run.nothing_lingers()
    return f"restored from {newest.name}"


def killed_while_loading(bench: Bench) -> str:
    """Killed in the middle of a body: that load must leave nothing behind."""
    run = _Run(bench, "killed_while_loading")
    with jvm.started(bench.version, "failover", run.arguments(), log=run.log("first")) as process:
        run.wait(process, KILL_AT - 1, "VISIBLE")
        run.wait(process, KILL_AT, "PREPARE")
        open_load = run.transaction(KILL_AT)
        jvm.kill(process)
    newest = run.restore()
    run.exact()
    if run.status(open_load) != "ABORTED":
        raise AssertionError(f"transaction {open_load} is {run.status(open_load)}")
    run.nothing_lingers()
    return f"restored from {newest.name}; transaction {open_load} was aborted"
