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
"""Prism as it is started here, and as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.runners import prism
from tests.runners.platforms import LONG
from tests.runners.prism import BINARY, ROOT, PrismServer, why_not
from tests.runners.worker_pool import WorkerPool

_DEMO_SECONDS = 300
needs_prism = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def _listens_on(pid: int) -> set[str]:
    connections = psutil.Process(pid).net_connections("tcp")
    # gRPC binds an IPv6 socket to the mapped address
    return {
        each.laddr.ip.removeprefix("::ffff:")
        for each in connections
        if each.status == psutil.CONN_LISTEN
    }


@needs_prism
def test_prism_listens_on_the_loopback_interface_only_and_is_ended(tmp_path: Path) -> None:
    with PrismServer(tmp_path / "log") as server:
        pid = server.pid
        assert _listens_on(pid) == {"127.0.0.1"}
    assert not psutil.pid_exists(pid)


@LONG
def test_the_worker_pool_listens_on_the_loopback_interface_only_and_is_ended(
    tmp_path: Path,
) -> None:
    with WorkerPool(tmp_path / "log") as pool:
        pid = pool.pid
        assert _listens_on(pid) == {"127.0.0.1"}
    assert not psutil.pid_exists(pid)


def test_without_go_and_without_the_binary_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prism, "BINARY", tmp_path / "prism")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Go, which is not here" in (why_not() or "")
    monkeypatch.setattr(sys, "argv", ["prism"])
    assert prism.main() == 2
    monkeypatch.setattr(sys, "argv", ["prism", "--if-possible"])
    assert prism.main() == 0
    assert capsys.readouterr().err.count("Go is not installed") == 2


@LONG
@needs_prism
@pytest.mark.timeout(_DEMO_SECONDS + 60)
def test_the_demo_is_right_on_prism(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.quickstart", "--runner=PrismRunner"]
    done = subprocess.run(
        [*command, f"--prism_location={BINARY}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=_DEMO_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    figures = json.loads((tmp_path / "build" / "demo.json").read_text("utf-8"))
    assert figures["verified"] is True
