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
"""The cells of the crash matrix: what is done, what has to hold, and whether it did."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.crash.points import Kind, Point
from tests.crash.program import ROWS, row
from tests.crash.rig import Life, Rig

_LOAD_SECONDS = {Kind.STALL: 2.0, Kind.SERVER: 8.0}
_PREFERRED = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way to be hurt.

    Args:
        runner: The runner.
        mode: The mode.
        again: What is run after a failure: the `same` run id, or `another`.
        unbounded: Whether the input is a stream.
        point: Where it is hurt.
        kind: How.
        unstable: Whether the repetition sees the rows in another order.
    """

    runner: str
    mode: str
    again: str
    unbounded: bool
    point: Point
    kind: Kind
    unstable: bool = False

    @property
    def promise(self) -> str:
        """What the documents say about it."""
        if self.mode in ("two-phase", "plain") and self.again == "same":
            if self.unstable:
                return "at least once: the repetition sees its input in another order"
            return "exactly once"
        if self.mode == "two-phase":
            return "exactly once in a run; a new run does not know what the failed one committed"
        return "at least once"


@dataclass(slots=True)
class Outcome:
    """What became of a cell, over its seeds."""

    lost: int = 0
    duplicated: int = 0
    unexplained: int = 0
    lingering: int = 0
    seeds: int = 0
    sprung: int = 0
    evidence: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Nothing is lost, and nothing is there twice that is not explained by the promise."""
        return not self.lost and not self.unexplained and not self.complaints


EXPECTED = [tuple(row(number).values()) for number in range(ROWS)]


def cells(runners: tuple[str, ...]) -> Iterator[Cell]:
    """The whole matrix."""
    for runner in runners:
        for mode, again, unbounded in (
            ("two-phase", "same", False),
            ("two-phase", "another", False),
            ("two-phase", "another", True),
            ("plain", "same", False),
            ("batch", "another", False),
            ("group", "another", False),
        ):
            stateful = unbounded or mode == "plain" or again == "same"
            if stateful and runner == "PrismRunner":
                continue  # refused: Prism loses state
            for point in Point:
                if point.needs_tokens and mode != "two-phase":
                    continue
                for kind in Kind:
                    yield Cell(
                        runner=runner,
                        mode=mode,
                        again=again,
                        unbounded=unbounded,
                        point=point,
                        kind=kind,
                    )
    yield UNSTABLE


UNSTABLE = Cell(
    runner="FnApiRunner",
    mode="plain",
    again="same",
    unbounded=False,
    point=Point.AFTER_PRECOMMIT,
    kind=Kind.KILL,
    unstable=True,
)


def run_cell(rig: Rig, cell: Cell, seeds: range, mutant: str | None = None) -> Outcome:
    """Hurts a pipeline once a seed, lets it be run again, and compares what is there."""
    outcome = Outcome()
    for seed in seeds:
        _run_once(rig, cell, seed, mutant, outcome)
        outcome.seeds += 1
    return outcome


def _run_once(rig: Rig, cell: Cell, seed: int, mutant: str | None, outcome: Outcome) -> None:
    table = rig.new_table()
    before = rig.lingering()
    same: dict[str, Any] = {
        "table": table,
        "mode": cell.mode,
        "runner": cell.runner,
        "unbounded": cell.unbounded,
        "load_seconds": _LOAD_SECONDS.get(cell.kind, _PREFERRED),
        "mutant": mutant,
    }
    run_id = f"run{seed}" if cell.again == "same" else None
    nth = 1 if cell.point.value.startswith("mid-body") else 1 + seed % 3
    order = rig.order(run_id=run_id, point=cell.point, kind=cell.kind, nth=nth, **same)
    first = rig.run(order)
    outcome.sprung += first.sprung
    _note(outcome, seed, first)
    after_first = _surplus(rig.rows(table))
    if first.exit == 0:
        _judge(outcome, after_first, allowed=_allowed(cell, after_first, None))
        return
    if after_first.extra and cell.mode in ("two-phase", "plain"):
        outcome.complaints.append(f"seed {seed}: a single run doubled {after_first.extra} rows")
    # what the failed attempt left is no excuse: the next one comes at once
    again = rig.order(run_id=run_id, point=None, kind=None, nth=1, backwards=cell.unstable, **same)
    second = rig.run(again)
    outcome.evidence.append(f"seed {seed}: run again as {second.pid}, exit {second.exit}")
    if second.exit:
        outcome.complaints.append(f"seed {seed}: the repetition failed: {rig.log(again)[-600:]}")
    after = _surplus(rig.rows(table))
    _judge(outcome, after, allowed=_allowed(cell, after, after_first))
    outcome.lingering += max(0, rig.lingering() - before)


@dataclass(frozen=True, slots=True)
class Surplus:
    """Rows beside those that should be there once."""

    there: int
    missing: int
    extra: int
    foreign: int


def _surplus(rows: list[tuple[Any, ...]]) -> Surplus:
    found = collections.Counter(rows)
    expected = set(EXPECTED)
    return Surplus(
        there=sum(1 for item in expected if found[item]),
        missing=sum(1 for item in expected if not found[item]),
        extra=sum(count - 1 for item, count in found.items() if item in expected),
        foreign=sum(count for item, count in found.items() if item not in expected),
    )


def _allowed(cell: Cell, after: Surplus, first: Surplus | None) -> int:
    """How many rows may be there twice, and not one more."""
    if cell.promise == "exactly once":
        return 0
    if cell.mode == "two-phase" and not cell.unstable:
        # a new run doubles exactly what the failed one had committed
        return 0 if first is None else first.there
    return ROWS * 3 if after.extra else 0


def _judge(outcome: Outcome, after: Surplus, allowed: int) -> None:
    outcome.lost += after.missing
    outcome.duplicated += after.extra
    outcome.unexplained += max(0, after.extra - allowed) + after.foreign


def _note(outcome: Outcome, seed: int, life: Life) -> None:
    what = "; ".join(life.notes) or ("the trap was not reached" if not life.sprung else "hurt")
    outcome.evidence.append(f"seed {seed}: pid {life.pid}, exit {life.exit}: {what}")
