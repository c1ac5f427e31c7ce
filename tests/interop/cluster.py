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
"""The emulator as a process of its own, as a foreign client meets it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.places import BUILD, ROOT

_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Cluster:
    """Ports of a running emulator; everything is on 127.0.0.1."""

    ready: dict[str, Any]

    @property
    def http_port(self) -> int:
        return int(self.ready["fe_http"])

    @property
    def mysql_port(self) -> int:
        return int(self.ready["fe_mysql"])

    @property
    def flight_port(self) -> int:
        return int(self.ready["fe_flight"])

    @property
    def backend_port(self) -> int:
        return int(self.ready["backends"][0]["http"])

    @property
    def fenodes(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def url(self) -> str:
        return f"http://{self.fenodes}"

    def admin(self, path: str, body: dict[str, Any] | None = None, *, method: str = "POST") -> Any:
        """Clock and fault plan of the emulator."""
        request = urllib.request.Request(
            f"{self.url}/_emulator/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read() or b"null")


@contextmanager
def running(*, backends: int = 3, options: tuple[str, ...] = (), log: str) -> Iterator[Cluster]:
    """Start an emulator, wait for its ready line, stop it at the end."""
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "beam_doris.emulator",
        "--backends",
        str(backends),
        "--until-eof",
    ]
    command += options
    with (BUILD / log).open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=file,
            stdin=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )
        try:
            yield Cluster(_ready(process, BUILD / log))
            if process.poll() is not None:
                raise RuntimeError(f"the emulator ended by itself: {process.returncode}")
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(15)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        readable, _, _ = select.select([process.stdout], [], [], 0.5)
        if readable:
            line = process.stdout.readline()
            if line.strip().startswith(b"{"):
                ready = json.loads(line)
                assert isinstance(ready, dict)
                return ready
            if not line:
                break
    tail = log.read_text("utf-8", errors="replace")[-2000:]
    raise RuntimeError(f"the emulator did not come up:\n{tail}")
