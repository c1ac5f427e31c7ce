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
"""The emulator as a program of its own, started, killed and restarted by tests."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import IO, Any

READY_SECONDS = 60.0
STOP_SECONDS = 30.0


class EmulatorProcess:
    """`python -m beam_doris.emulator` as a child.

    Args:
        data: directory of the data; without it a restart begins empty.
        backends: number of backends.
        profile: server generation; None: the newest.
        seed: of everything left to luck.
        arguments: more arguments of the program.

    Example:
        >>> with EmulatorProcess(data=folder, backends=3) as doris:  # doctest: +SKIP
        ...     doris.kill()
        ...     doris.restart()
    """

    def __init__(
        self,
        *,
        data: Path | None = None,
        backends: int = 1,
        profile: str | None = None,
        seed: int | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        # Its standard input ends with this process, so that it cannot outlive a killed test run.
        self._command = [sys.executable, "-m", "beam_doris.emulator", "--until-eof"]
        self._command += ["--backends", str(backends)]
        for name, value in (("data", data), ("profile", profile), ("seed", seed)):
            if value is not None:
                self._command += [f"--{name}", str(value)]
        self._command += arguments
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[str] | None = None
        self._ready: dict[str, Any] = {}

    def __enter__(self) -> EmulatorProcess:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self.kill()

    @property
    def ready(self) -> dict[str, Any]:
        """The ready line of the running program."""
        return self._ready

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> EmulatorProcess:
        """Start the program and wait for its ready line; the second time on the same ports."""
        if self._process is not None:
            raise RuntimeError("the emulator runs already")
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by kill
        self._process = subprocess.Popen(
            [*self._command, *self._same_ports()],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            stdin=subprocess.PIPE,
            text=True,
        )
        try:
            self._ready = json.loads(self._first_line(self._process))
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Ask the program to stop; its exit status."""
        process = self._process
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the program at once, as a crash does (SIGKILL)."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(STOP_SECONDS)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        errors, self._errors = self._errors, None
        if errors is not None:
            errors.close()

    def restart(self) -> EmulatorProcess:
        """Start again on the same data and the same ports, after `kill` or `stop`."""
        self.kill()
        return self.start()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the emulator does not run")
        return self._process

    def _same_ports(self) -> list[str]:
        if not self._ready:
            return []
        arguments = []
        for name in ("fe_http", "fe_mysql", "fe_flight"):
            arguments += [f"--{name.replace('_', '-')}-port", str(self._ready[name])]
        for name in ("http", "thrift", "flight"):
            ports = ",".join(str(node[name]) for node in self._ready["backends"])
            arguments += [f"--be-{name}-ports", ports]
        return arguments

    def _first_line(self, process: subprocess.Popen[str]) -> str:
        lines: Queue[str] = Queue()
        stdout = process.stdout
        assert stdout is not None
        reader = threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True)
        reader.start()
        try:
            line = lines.get(timeout=READY_SECONDS)
        except Empty:
            line = ""
        if not line.startswith("{"):
            raise RuntimeError(f"the emulator did not become ready: {self._complaint()}")
        return line

    def _complaint(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        return self._errors.read()[-4000:]
