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
"""Prints `docs/guarantees.md`: `python -m beam_doris.write.guarantee_document [crash.json]`.

The table is the one that the code decides by; what was run is counted from the result of
`make test-crash`.
"""

from __future__ import annotations

import collections
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beam_doris.options.writing import BatchLoad, GroupCommit, PlainLoad, TwoPhaseCommit
from beam_doris.write.guarantees import GUARANTEES, Level, Setting

RESULTS = Path("docs/results/crash.json")
_MODES = (TwoPhaseCommit, PlainLoad, BatchLoad, GroupCommit)
_NAMES = {"two-phase": TwoPhaseCommit, "plain": PlainLoad, "batch": BatchLoad, "group": GroupCommit}
_HEAD = """# Guarantees

What a write promises depends on its mode and on what its runner makes durable. `WriteToDoris`
decides by the table below, logs the cell that applies when it is applied to a collection, and
refuses to be built where the cell says so.

*Exactly once* means: a row of the input is visible once when the pipeline has ended well, whatever
failed on the way; what a failed attempt loaded never becomes visible. It holds within the server's
memory: a load that waits longer than an hour for its commit is dropped by the server
(`stream_load_default_precommit_timeout_second`), and the pipeline then fails with
`TransactionExpiredError`. Finished loads are forgotten after 12 hours or 2,000 newer loads of the
database; a commit that is repeated after that fails with `CommitUnknownError`.
"""
_RUN_AGAIN = """## Running a failed pipeline again

FnApiRunner, DirectRunner and Prism keep nothing when their process ends. Started again, a pipeline
is a new run: what the failed one had committed stays, and its rows are there twice. With
`run_id="..."` a bounded pipeline can be repeated: loads carry labels that follow from the run, the
shard, their number and a 64-bit digest of their bytes, so that a repetition takes over what was
loaded and commits what was not. That rests on two things: the repetition reads the same rows in
the same order, and it comes before the server has forgotten the labels. If the order differs, rows
may be there twice, and none is lost.
"""


def render(results: Path | None = None) -> str:
    """The whole page as Markdown."""
    counted = _counted(results) if results is not None and results.exists() else {}
    parts = [_HEAD, "## Mode by runner\n", _table(counted), "## What each cell rests on\n"]
    for mode in _MODES:
        parts.append(f"### {mode.__name__}\n")
        by_reason: dict[tuple[Level, str], list[str]] = collections.defaultdict(list)
        for setting, cell in GUARANTEES[mode].items():
            by_reason[(cell.level, cell.why)].append(setting.value)
        for (level, why), settings in by_reason.items():
            parts.append(f"- **{level.value}** on {'; '.join(settings)}: {why}.")
        parts.append("")
    parts.append(_RUN_AGAIN)
    parts.append(_evidence(results, counted))
    return "\n".join(parts)


_Counted = dict[tuple[type, Setting], tuple[int, int]]


def _table(counted: _Counted) -> str:
    lines = [
        "| Runner | " + " | ".join(mode.__name__ for mode in _MODES) + " |",
        "| --- " * (len(_MODES) + 1) + "|",
    ]
    for setting in Setting:
        cells = [setting.value]
        for mode in _MODES:
            level = GUARANTEES[mode][setting].level
            cells.append(level.value + _proof(level, counted.get((mode, setting))))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _proof(level: Level, run: tuple[int, int] | None) -> str:
    if level is Level.REFUSED:
        return " ([test](../tests/unit/test_write_delivery.py))"
    if run is None:
        return " (by the runner's contract, not run)"
    return f" ([{run[0]} of {run[1]} crash cells](../tests/crash/matrix.py))"


def _counted(results: Path) -> _Counted:
    counted: dict[tuple[type, Setting], list[int]] = collections.defaultdict(lambda: [0, 0])
    for cell in _cells(results):
        place = counted[(_NAMES[cell["mode"]], _setting(cell))]
        place[0] += bool(cell["passed"])
        place[1] += 1
    return {key: (passed, total) for key, (passed, total) in counted.items()}


def _setting(cell: dict[str, Any]) -> Setting:
    streaming = cell["input"] == "unbounded"
    if cell["runner"] == "PrismRunner":
        return Setting.PRISM_STREAM if streaming else Setting.PRISM_BATCH
    return Setting.LOCAL_STREAM if streaming else Setting.LOCAL_BATCH


def _cells(results: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(results.read_text("utf-8"))["cells"]
    return cells


def _evidence(results: Path | None, counted: _Counted) -> str:
    lines = ["## What was run\n"]
    if not counted or results is None:
        lines.append("Nothing yet: run `make test-crash`.")
        return "\n".join(lines) + "\n"
    cells = _cells(results)
    lost = sum(cell["lost"] for cell in cells)
    unexplained = sum(cell["unexplained"] for cell in cells)
    lines.append(
        f"`make test-crash` hurt pipelines in {len(cells)} ways (where x how): {lost} rows were "
        f"lost, {unexplained} were there twice without the promise saying so. Each cell is one "
        "kill point (before PUT, mid-body, body sent and answer lost, after pre-commit, token "
        "emitted, before commit, commit sent and answer lost, after commit) and one kind "
        "(exception, `kill -9` of the pipeline's process, stall beyond the deadline, `kill -9` "
        "and restart of the emulated cluster, connections cut by a proxy). The table was a "
        "DUPLICATE KEY table, read row by row through the MySQL port. "
        "`make test-crash-mutants` shows that faults put into the writer are noticed.\n"
    )
    lines.append("| Mode | Input | Run again with | Cells | Passed | Rows lost | Rows twice |")
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = collections.defaultdict(list)
    for cell in cells:
        again = "the same run id" if cell["again"] == "same" else "a new run"
        groups[(cell["runner"], cell["mode"], cell["input"], again)].append(cell)
    for (runner, mode, kind, again), members in groups.items():
        passed = sum(bool(cell["passed"]) for cell in members)
        lines.append(
            f"| {mode}, {runner} | {kind} | {again} | {len(members)} | {passed} | "
            f"{sum(cell['lost'] for cell in members)} | "
            f"{sum(cell['duplicated'] for cell in members)} |"
        )
    lines.append(
        "\nFlink, Spark and Dataflow were not run: their cells say what follows from the runner's "
        "contract, and the tests hold the graphs that they would be given."
    )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Writes the page to the standard output."""
    sys.stdout.write(render(Path(arguments[0]) if arguments else RESULTS))


if __name__ == "__main__":
    main(sys.argv[1:])
