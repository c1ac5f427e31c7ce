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
"""A pool of Python workers in a process of its own, for `--environment_type=EXTERNAL`.

    python -m tests.runners.worker_pool PORT

starts a worker, as a thread, for every job that asks for one. It is Beam's pool, but listens on
the loopback interface only; killing the process kills its workers.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor

from tests.runners.prism import ROOT, await_port, end, free_port

_START_SECONDS = 60
_LIFE_SECONDS = 900


def serve(port: int) -> None:
    """Serves until it is killed; for a quarter of an hour if nobody does."""
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(
        BeamFnExternalWorkerPoolServicer(use_process=False), server
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    threading.Event().wait(_LIFE_SECONDS)
    server.stop(0)


class WorkerPool:
    """The pool's process.

    Args:
        log: The file that gets what the workers say.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """For `--environment_config`."""
        return f"localhost:{self._port}"

    @property
    def pid(self) -> int:
        """Of the pool, and of all of its workers."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> WorkerPool:
        command = [sys.executable, "-m", "tests.runners.worker_pool", str(self._port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            await_port(self._process, self._port, _START_SECONDS)
        except BaseException:
            end(self._process)
            raise
        return self

    def kill(self) -> None:
        """Ends pool and workers without any warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_START_SECONDS)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end(self._process)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
