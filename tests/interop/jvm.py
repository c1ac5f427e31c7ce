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
"""Starting our Java program, one process a scenario."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop import jars

Row = tuple["str | None", ...]

# Flink and Arrow reach into these packages of the platform
_OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
    "java.base/sun.net.util",
    "java.base/sun.nio.ch",
)


class ScenarioFailed(AssertionError):
    """The Java program ended with an error; its output is in the log."""


@dataclass(frozen=True)
class Output:
    """What the program printed."""

    rows: list[Row]
    measured: dict[str, Any]


def _command(connector: str, scenario: str, arguments: Mapping[str, object]) -> list[str]:
    classes = jars.compiled(connector)
    path = ":".join([str(classes), *map(str, jars.classpath(connector))])
    command = ["java", "-Xmx1500m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4"]
    command += [f"--add-opens={name}=ALL-UNNAMED" for name in _OPENS]
    command += ["-Dorg.slf4j.simpleLogger.showDateTime=true"]
    command += ["-Dorg.slf4j.simpleLogger.log.org.apache.flink=warn"]
    command += ["-cp", path, "interop.Main", scenario]
    return command + [f"{key}={value}" for key, value in arguments.items()]


def run(
    connector: str,
    scenario: str,
    arguments: Mapping[str, object],
    *,
    log: Path,
    seconds: float = 180.0,
) -> Output:
    """Run to the end; raises ScenarioFailed with the first cause found in the log."""
    with started(connector, scenario, arguments, log=log) as process:
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ScenarioFailed(f"no end within {seconds:.0f} s, see {log.name}") from None
    if status:
        raise ScenarioFailed(f"{_cause(log)} (see {log.name})")
    return output(log)


@contextmanager
def started(
    connector: str, scenario: str, arguments: Mapping[str, object], *, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A running program, whose process is gone when the block ends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            _command(connector, scenario, arguments),
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, as a machine that loses its power."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)


def output(log: Path) -> Output:
    rows: list[Row] = []
    measured: dict[str, Any] = {}
    for line in log.read_text("utf-8", errors="replace").splitlines():
        if line.startswith("ROW "):
            rows.append(tuple(json.loads(line[4:])))
        elif line.startswith("MEASURED "):
            measured = json.loads(line[9:])
    return Output(rows=rows, measured=measured)


def _cause(log: Path) -> str:
    """The innermost cause printed last: the true reason rather than its wrappers."""
    causes = [
        line.strip()
        for line in log.read_text("utf-8", errors="replace").splitlines()
        if line.startswith("Caused by: ") or (line.startswith(("java.", "org.")) and ":" in line)
    ]
    return causes[-1][:400] if causes else "no cause in the log"


def wait_for(condition: Any, *, seconds: float, what: str) -> Any:
    """Poll until the condition is truthy; its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
