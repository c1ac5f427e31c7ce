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
"""Random histories of a UNIQUE table against a model of what must be seen at every version (P 4.1)."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from beam_doris.emulator.catalog import KeysModel
from beam_doris.emulator.clock import SystemClock
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.faults import Rule
from tests.emulator.core_cluster import DB, Cluster, col, table_spec

#: key -> (sequence, value a, value b, deleted)
Model = dict["int | None", "tuple[int | None, int | None, int | None, bool]"]


class History:
    """Loads into the engine and into the model alike."""

    def __init__(self, seed: int, *, with_sequence: bool) -> None:
        self.luck = random.Random(seed)
        self.with_sequence = with_sequence
        self.cluster = Cluster(backends=1)
        properties = {"function_column.sequence_type": "int"} if with_sequence else {}
        self.cluster.create(
            "t",
            [col("k", "INT"), col("a", "INT"), col("b", "INT")],
            model=KeysModel.UNIQUE_KEYS,
            properties=properties,
        )
        self.model: Model = {}
        self.seen: list[tuple[dict[int, int], list[tuple[object, ...]]]] = []

    def visible(self) -> list[tuple[object, ...]]:
        rows = [(k, a, b) for k, (_, a, b, deleted) in self.model.items() if not deleted]
        return sorted(rows, key=lambda row: (row[0] is None, row[0] or 0))

    def step(self) -> None:
        if self.luck.random() < 0.15:
            self._delete()
        else:
            self._load(partial=self.luck.random() < 0.3)
        versions = {p.id: p.version for p in self.cluster.table().partitions}
        self.seen.append((versions, self.visible()))
        assert self.cluster.rows() == self.visible()

    def _delete(self) -> None:
        limit = self.luck.randrange(12)
        self.cluster.engine.storage.delete_where(self.cluster.table(), f"k >= {limit}")
        for key, (sequence, a, b, deleted) in list(self.model.items()):
            if key is None or key < limit or deleted:
                continue
            if self.with_sequence:
                self.model[key] = (sequence, a, b, True)
            else:
                del self.model[key]

    def _load(self, *, partial: bool) -> None:
        rows = []
        for order in range(self.luck.randrange(1, 8)):
            key = self.luck.choice([None, *range(12)])
            value, sequence = self.luck.randrange(100), self.luck.choice([None, *range(9)])
            rows.append((order, key, value, sequence, self.luck.random() < 0.2))
        selects = []
        for order, key, value, sequence, deleted in rows:
            items = [f"{'NULL' if key is None else key}::INT AS k", f"{value} AS a"]
            if not partial:
                items.append(f"{value + 1} AS b")
            if self.with_sequence:
                items.append(f"{'NULL' if sequence is None else sequence}::INT AS __seq")
            items += [f"{order} AS __ord", f"{deleted} AS __del"]
            selects.append(f"SELECT {', '.join(items)}")
        more: dict[str, Any] = {"partial_columns": ["k", "a"]} if partial else {}
        self.cluster.load(" UNION ALL ".join(selects), **more)
        self._apply(rows, partial=partial)

    def _apply(
        self, rows: list[tuple[int, int | None, int, int | None, bool]], *, partial: bool
    ) -> None:
        def rank(sequence: int | None) -> int:
            return -1 if sequence is None or not self.with_sequence else sequence

        winners: dict[int | None, tuple[int, int | None, int, int | None, bool]] = {}
        for row in rows:
            best = winners.get(row[1])
            if best is None or rank(row[3]) >= rank(best[3]):
                winners[row[1]] = row
        for key, (_, value, sequence_given, deleted) in (
            (key, (row[0], row[2], row[3], row[4])) for key, row in winners.items()
        ):
            sequence = sequence_given if self.with_sequence else None
            old = self.model.get(key)
            if old is not None and rank(sequence) < rank(old[0]):
                continue
            b: int | None = value + 1
            if partial:
                b = old[2] if old is not None and not old[3] else None
            self.model[key] = (sequence, value, b, deleted)


@pytest.mark.parametrize("with_sequence", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_version_of_a_random_history_is_exact(seed: int, with_sequence: bool) -> None:
    history = History(seed, with_sequence=with_sequence)
    try:
        for _ in range(25):
            history.step()
        for versions, rows in history.seen:
            assert history.cluster.rows(versions=versions) == rows
        history.cluster.engine.storage.compact(history.cluster.table())
        assert history.cluster.rows() == history.visible()
        history.step()
    finally:
        history.cluster.close()


def test_held_publish_comes_by_itself_on_the_machines_clock() -> None:
    engine = Engine(clock=SystemClock())
    try:
        engine.create_database(DB)
        table = engine.create_table(table_spec("t", [col("k", "INT")]))
        engine.faults.add(Rule(point="txn.publish", action="hold", args={"seconds": 0.3}, count=1))
        txn = engine.transactions.begin(DB, (table.id,), "late")
        engine.transactions.finish(txn.id)
        found = engine.transactions.get(txn.id)
        assert found is not None
        assert found.state.value == "COMMITTED"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            # get() does not ask the clock: only the timer can have moved the state
            found = engine.transactions.get(txn.id)
            if found is not None and found.state.value == "VISIBLE":
                return
            time.sleep(0.05)
        pytest.fail("the held publish never came")
    finally:
        engine.close()
