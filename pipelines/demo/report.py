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
"""Progress while the demo works, and what it took in the end."""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

MIB = 1024 * 1024
_TICK_SECONDS = 0.1
_LINE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the demo."""

    name: str
    rows: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Its speed."""
        return self.rows / self.seconds if self.seconds else 0.0


class Counter:
    """Rows of the stage at work, counted by the pipeline itself (it runs in this process)."""

    rows = 0


class Report:
    """Collects stages and the peak of memory; prints a line whenever there is news.

    Args:
        server: The process id of the emulator, if it was started here.
    """

    def __init__(self, server: int | None) -> None:
        self.stages: list[Stage] = []
        self.peak = 0
        self.server_peak = 0
        self._own = psutil.Process()
        self._server = None if server is None else psutil.Process(server)
        self._stop = threading.Event()
        self._current: tuple[str, float] | None = None
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Report:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    @contextmanager
    def stage(self, name: str) -> Iterator[list[int]]:
        """Times one step and prints its beginning, its course and its end.

        The step appends how many rows it moved to the list that it is given.
        """
        print(f"  ... {name}", flush=True)
        Counter.rows = 0
        started = time.monotonic()
        self._current = (name, started)
        moved: list[int] = []
        try:
            yield moved
        finally:
            self._current = None
        stage = Stage(name, sum(moved), time.monotonic() - started)
        self.stages.append(stage)
        print(
            f"   ok {name}: {stage.rows:,} rows in {stage.seconds:.2f} s "
            f"({stage.rows_per_second:,.0f} rows/s)",
            flush=True,
        )

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(_TICK_SECONDS):
            self.peak = max(self.peak, self._own.memory_info().rss)
            self._watch_server()
            current = self._current
            now = time.monotonic()
            if current is not None and now - max(last, current[1]) >= _LINE_SECONDS:
                last = now
                print(
                    f"      {now - current[1]:5.1f} s  {Counter.rows:>9,} rows  "
                    f"{self._own.memory_info().rss / MIB:,.0f} MiB",
                    flush=True,
                )

    def _watch_server(self) -> None:
        if self._server is None:
            return
        try:
            self.server_peak = max(self.server_peak, self._server.memory_info().rss)
        except psutil.NoSuchProcess:
            self._server = None

    @property
    def seconds(self) -> float:
        """All stages together."""
        return sum(stage.seconds for stage in self.stages)

    def table(self) -> str:
        """The stages as a table of text."""
        width = max(len(stage.name) for stage in self.stages)
        lines = [f"{'stage':<{width}}  {'rows':>9}  {'seconds':>8}  {'rows/s':>9}"]
        lines.append("-" * len(lines[0]))
        lines += [
            f"{stage.name:<{width}}  {stage.rows:>9,}  {stage.seconds:>8.2f}  "
            f"{stage.rows_per_second:>9,.0f}"
            for stage in self.stages
        ]
        lines.append("-" * len(lines[0]))
        lines.append(f"{'together':<{width}}  {'':>9}  {self.seconds:>8.2f}")
        return "\n".join(lines)

    def memory(self) -> str:
        """The peaks of both processes."""
        own = f"peak memory: pipelines {self.peak / MIB:,.0f} MiB"
        return f"{own}, emulator {self.server_peak / MIB:,.0f} MiB" if self.server_peak else own

    def write(self, path: Path, tables: dict[str, int], verified: bool) -> None:
        """The same as JSON."""
        content: dict[str, Any] = {
            "stages": [asdict(stage) for stage in self.stages],
            "tables": tables,
            "verified": verified,
            "seconds": self.seconds,
            "peak_rss_mib": round(self.peak / MIB, 1),
            "server_peak_rss_mib": round(self.server_peak / MIB, 1),
            "cores": os.cpu_count(),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("beam-doris", "apache-beam", "pyarrow")},
            },
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
