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
"""`python -m tests.crash`: the crash matrix, and the mutants that it has to notice."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.crash.matrix import UNSTABLE, Cell, Outcome, cells, run_cell
from tests.crash.points import Kind, Point
from tests.crash.rig import Rig

OUT = Path("build/crash.json")


def cell(mode: str, again: str, point: Point, kind: Kind) -> Cell:
    """A bounded cell on FnApiRunner."""
    return Cell(
        runner="FnApiRunner", mode=mode, again=again, unbounded=False, point=point, kind=kind
    )


# where each mutant has to be noticed; without it the same cells pass
MUTANT_CELLS = {
    "new label per HTTP retry": (cell("plain", "same", Point.ANSWER_LOST, Kind.CUT), range(1)),
    "LOAD aborts a foreign pre-commit": (
        cell("two-phase", "same", Point.AFTER_PRECOMMIT, Kind.KILL),
        range(1, 2),
    ),
    "FINISHED taken as done without digest": (UNSTABLE, range(1, 2)),
    "lost answer taken for success": (cell("plain", "same", Point.BODY_50, Kind.CUT), range(1)),
}


def say(line: str) -> None:
    """Shows one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def record(done: Cell, outcome: Outcome) -> dict[str, object]:
    """A cell as it is written down."""
    return {
        "runner": done.runner,
        "mode": done.mode,
        "input": "unbounded" if done.unbounded else "bounded",
        "again": done.again,
        "kill_point": done.point.value,
        "kind": done.kind.value,
        "promise": done.promise,
        "seeds": outcome.seeds,
        "sprung": outcome.sprung,
        "lost": outcome.lost,
        "duplicated": outcome.duplicated,
        "unexplained": outcome.unexplained,
        "lingering": outcome.lingering,
        "evidence": outcome.evidence + outcome.complaints,
        "passed": outcome.passed,
    }


def run_matrix(seeds: int, every: int, runners: tuple[str, ...], prism: str | None) -> bool:
    """Runs every n-th cell and adds it to the result; whether all passed."""
    kept = json.loads(OUT.read_text())["cells"] if OUT.exists() else []
    records = [item for item in kept if item["runner"] not in runners]
    with Rig(prism) as rig:
        for number, one in enumerate(cells(runners)):
            if number % every:
                continue
            outcome = run_cell(rig, one, range(seeds))
            records.append(record(one, outcome))
            verdict = "passed" if outcome.passed else "FAILED"
            say(
                f"{verdict}  {one.runner} {one.mode} "
                f"{'unbounded' if one.unbounded else 'bounded'}/{one.again} "
                f"{one.point.value} / {one.kind.value}: lost {outcome.lost}, "
                f"duplicated {outcome.duplicated} ({outcome.unexplained} unexplained)"
            )
            OUT.parent.mkdir(exist_ok=True)
            OUT.write_text(json.dumps({"cells": records}, indent=1))
    failed = [item for item in records if not item["passed"]]
    say(f"{len(records) - len(failed)} of {len(records)} cells passed -> {OUT}")
    return not failed


def run_mutants() -> bool:
    """Whether every mutant is noticed by its cell, which passes without it."""
    good = True
    with Rig() as rig:
        for name, (where, seeds) in MUTANT_CELLS.items():
            sound = run_cell(rig, where, seeds)
            hurt = run_cell(rig, where, seeds, mutant=name)
            noticed = sound.passed and not hurt.passed
            good &= noticed
            say(
                f"{'noticed' if noticed else 'SURVIVED'}  {name}: lost {hurt.lost}, unexplained "
                f"{hurt.unexplained}, complaints {len(hurt.complaints)}; without it "
                f"{'passed' if sound.passed else sound}"
            )
    return good


def main() -> int:
    """Runs what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="tests.crash")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="only every n-th cell")
    parser.add_argument("--prism", help="a Prism binary, for cells that run on it")
    parser.add_argument("--runner", help="only this one; results of others are kept")
    parser.add_argument("--mutants", action="store_true", help="run the mutants instead")
    arguments = parser.parse_args()
    if arguments.mutants:
        return 0 if run_mutants() else 1
    runners = ("FnApiRunner", "PrismRunner") if arguments.prism else ("FnApiRunner",)
    if arguments.runner:
        runners = (arguments.runner,)
    return 0 if run_matrix(arguments.seeds, arguments.every, runners, arguments.prism) else 1


if __name__ == "__main__":
    sys.exit(main())
