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
"""``python -m tests.runners.prism``: builds Beam's Prism runner into the cache.

The module comes from the Go proxy at a pinned version; Go checks it against its checksum database,
and this script against the sum below. One line differs from the released source: Prism would
listen on every interface, the tests want the loopback one only.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

VERSION = "v2.77.0"
MODULE = "github.com/apache/beam/sdks/v2"
SUM = "h1:RsC61pHEvtySEHAURQyP/+CVOJm/hy5hewuG9JF0+Ow="
ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = ROOT / ".cache" / "prism" / VERSION / "prism"
_LISTENER = Path("go/pkg/beam/runners/prism/internal/jobservices/server.go")
_EVERYWHERE = 'net.Listen("tcp", fmt.Sprintf(":%d", port))'
_LOOPBACK = 'net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))'
_DOWNLOAD_SECONDS = 600
_BUILD_SECONDS = 1800
_START_SECONDS = 30
_STOP_SECONDS = 10


class PrismUnavailable(RuntimeError):
    """There is no Go, or the module cannot be had, or it is not the pinned one."""


def why_not() -> str | None:
    """Why Prism cannot be started; None when it can."""
    if BINARY.exists():
        return None
    how = (
        "make test-runners builds it"
        if shutil.which("go")
        else "it is built by Go, which is not here"
    )
    return f"Prism {VERSION} is not in the cache: {how}"


def build() -> Path:
    """The binary, built if it is not in the cache."""
    if BINARY.exists():
        return BINARY
    if not shutil.which("go"):
        raise PrismUnavailable("Go is not installed")
    source = _download()
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BINARY.parent) as folder:
        copy = Path(folder) / "source"
        shutil.copytree(source / "go", copy / "go", copy_function=shutil.copyfile)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(source / name, copy / name)
        _listen_on_loopback(copy / _LISTENER)
        made = Path(folder) / "prism"
        command = ["go", "build", "-buildvcs=false", "-o", str(made)]
        _run([*command, "./go/cmd/prism"], copy, _BUILD_SECONDS)
        made.replace(BINARY)
    return BINARY


def _download() -> Path:
    asked = ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    with tempfile.TemporaryDirectory() as outside_of_modules:
        found: dict[str, Any] = json.loads(_run(asked, Path(outside_of_modules), _DOWNLOAD_SECONDS))
    if found["Sum"] != SUM:
        raise PrismUnavailable(f"{MODULE} {VERSION} has the sum {found['Sum']}, pinned is {SUM}")
    return Path(found["Dir"])


def _listen_on_loopback(path: Path) -> None:
    text = path.read_text("utf-8")
    if text.count(_EVERYWHERE) != 1:
        raise PrismUnavailable(f"{_LISTENER} does not listen where it did")
    path.chmod(0o644)
    path.write_text(text.replace(_EVERYWHERE, _LOOPBACK), "utf-8")


def _run(command: list[str], folder: Path, seconds: int) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        raise PrismUnavailable(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(process: subprocess.Popen[bytes], port: int, seconds: float) -> None:
    """Waits until a process listens.

    Raises:
        RuntimeError: it ended, or does not listen in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen after {seconds:g} s")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends one process that we started, gently if it lets us."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)


class PrismServer:
    """A Prism job server in a process of its own; runs many jobs, one after the other or at once.

    Args:
        log: The file that gets what it says.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """For `--job_endpoint`."""
        return f"localhost:{self._port}"

    @property
    def pid(self) -> int:
        """Of the server."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> PrismServer:
        command = [str(BINARY), f"--job_port={self._port}", "--serve_http=false"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            await_port(self._process, self._port, _START_SECONDS)
        except BaseException:
            end(self._process)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end(self._process)


def main() -> int:
    """Builds it; 0 also where it cannot be had, if `--if-possible` is given."""
    try:
        sys.stdout.write(f"{os.path.relpath(build())}\n")
    except (PrismUnavailable, OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"Prism cannot be built: {error}\n")
        return 0 if "--if-possible" in sys.argv[1:] else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
