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
"""Runs the conformance kit against the emulator and compares with what is expected to fail.

`python -m tests.emulator.conformance [--only PATTERN] [--profile NAME]` writes
build/conformance.json. The kit lies at $DORIS_CONFORMANCE, or in shared/conformance beside the
checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beam_doris.emulator.process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = ROOT / "tests" / "conformance-expected.txt"
OUTPUT = ROOT / "build" / "conformance.json"
RUN_SECONDS = 1800.0
BACKENDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The outcome of one case."""

    name: str
    passed: bool
    sure: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every case of a run, against the list of expected failures."""

    cells: tuple[Cell, ...]
    expected: dict[str, str]

    @property
    def counted(self) -> list[Cell]:
        """The cases whose truth is proven."""
        return [cell for cell in self.cells if cell.sure]

    @property
    def unexpected_failures(self) -> list[Cell]:
        return [cell for cell in self.counted if not cell.passed and cell.name not in self.expected]

    @property
    def unexpected_passes(self) -> list[Cell]:
        return [cell for cell in self.counted if cell.passed and cell.name in self.expected]

    def summary(self) -> str:
        """Counts by area, then whatever nobody expected."""
        lines = []
        for area in sorted({cell.name.partition(".")[0] for cell in self.counted}):
            mine = [cell for cell in self.counted if cell.name.startswith(area + ".")]
            lines.append(f"{area:20} {sum(cell.passed for cell in mine):4} of {len(mine)}")
        passed = sum(cell.passed for cell in self.counted)
        lines.append(f"{'all':20} {passed:4} of {len(self.counted)}")
        lines += [
            f"unexpected failure: {one.name}: {one.detail}" for one in self.unexpected_failures
        ]
        lines += [f"unexpected pass: {one.name}" for one in self.unexpected_passes]
        return "\n".join(lines)


def kit() -> Path | None:
    """The kit's program, None when it is not at hand."""
    given = os.environ.get("DORIS_CONFORMANCE")
    folder = Path(given) if given else ROOT.parent / "shared" / "conformance"
    program = folder / "run.py"
    return program if program.is_file() else None


def expected_failures() -> dict[str, str]:
    """Cases that are known to fail, with the reason."""
    found: dict[str, str] = {}
    for line in EXPECTED.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.strip().partition(" ")
            found[name] = reason.strip()
    return found


def run(program: Path, *, only: str | None = None, profile: str | None = None) -> Report:
    """Start an emulator, run the kit against it, and read what it found."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmulatorProcess(backends=BACKENDS, profile=profile) as emulator,
    ):
        ready, out = Path(folder) / "ready.json", Path(folder) / "out.json"
        ready.write_text(json.dumps(emulator.ready) + "\n", "utf-8")
        command = [sys.executable, str(program), "--target", str(ready), "--json", str(out)]
        if only:
            command += ["--only", only]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )
        if not out.exists():
            raise RuntimeError(f"the kit ended without a result: {done.stdout}{done.stderr}")
        cells = json.loads(out.read_text("utf-8"))["cells"]
    return Report(
        cells=tuple(
            Cell(
                name=f"{cell['area']}.{cell['case']}",
                passed=cell["passed"],
                sure=cell["sure"],
                detail=cell["expected_or_error"],
            )
            for cell in cells
        ),
        expected=expected_failures(),
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the conformance kit against the emulator.")
    parser.add_argument("--only", help="part of, or a glob over, area.case")
    parser.add_argument("--profile", help="server generation")
    options = parser.parse_args(argv)
    program = kit()
    if program is None:
        sys.stderr.write("the conformance kit is not here: set DORIS_CONFORMANCE to its folder\n")
        return 2
    report = run(program, only=options.only, profile=options.profile)
    OUTPUT.parent.mkdir(exist_ok=True)
    cells = [
        {"case": cell.name, "passed": cell.passed, "sure": cell.sure, "detail": cell.detail}
        for cell in report.cells
    ]
    OUTPUT.write_text(json.dumps({"cells": cells}, indent=1, ensure_ascii=False) + "\n", "utf-8")
    sys.stdout.write(report.summary() + "\n")
    return 1 if report.unexpected_failures or report.unexpected_passes else 0


if __name__ == "__main__":
    sys.exit(main())
