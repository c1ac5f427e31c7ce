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
"""The table of what was proved: one cell for each client, version and scenario."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.interop.places import BUILD


@dataclass(frozen=True)
class Cell:
    client: str
    version: str
    scenario: str
    passed: bool
    note: str


class Skipped(Exception):
    """The scenario does not exist for this version of the client; no cell is written."""


@dataclass
class Sheet:
    """Runs scenarios and keeps their outcome; a failure's stack trace is saved under build/."""

    only: str = ""
    cells: list[Cell] = field(default_factory=list)

    def run(self, client: str, version: str, scenario: str, body: Callable[[], str | None]) -> None:
        """Run one scenario; what it returns is the note of the cell."""
        if self.only and self.only not in f"{client} {version} {scenario}":
            return
        begin = time.monotonic()
        try:
            note, passed = body() or "", True
        except Skipped:
            return
        except Exception as error:  # noqa: BLE001 - every outcome becomes a cell
            trace = BUILD / f"{client}-{version}-{scenario}.trace".replace(" ", "_").replace(
                "/", "_"
            )
            trace.parent.mkdir(parents=True, exist_ok=True)
            trace.write_text(traceback.format_exc(), "utf-8")
            reason = str(error).strip() or type(error).__name__
            note, passed = f"{reason[:600]} [trace: build/interop/{trace.name}]", False
        self.cells.append(Cell(client, version, scenario, passed, note))
        word = "ok  " if passed else "FAIL"
        seconds = time.monotonic() - begin
        line = f"{word} {client} {version} {scenario} ({seconds:.1f} s)"
        sys.stdout.write(f"{line} {note}\n" if note else f"{line}\n")
        sys.stdout.flush()

    @property
    def failed(self) -> list[Cell]:
        return [cell for cell in self.cells if not cell.passed]

    def write(self, path: Path, *, note: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"note": note, "cells": [asdict(cell) for cell in self.cells]}
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
