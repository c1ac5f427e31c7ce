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
"""Starting and stopping canned peers."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any

from beam_doris.options.connection import DorisConnection


class Peers:
    """The canned peers in a process of their own.

    Args:
        arguments: Of the program, such as `tablet_rows=1000`.

    Example:
        >>> with Peers(tablet_rows=1000, tablets=12) as peers:
        ...     doris = peers.connection()
    """

    def __init__(self, **arguments: int) -> None:
        self._command = [sys.executable, "-m", "benchmarks.canned"]
        for name, value in arguments.items():
            self._command += ["--" + name.replace("_", "-"), str(value)]
        self._process: subprocess.Popen[str] | None = None
        self.ready: dict[str, Any] = {}

    def connection(self) -> DorisConnection:
        """A connection to the canned frontend."""
        return DorisConnection(
            fenodes=f"127.0.0.1:{self.ready['http']}",
            username="root",
            password="",
            flight_port=self.ready["flight"],
        )

    def __enter__(self) -> Peers:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the canned peers did not start")
        self.ready = json.loads(line)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
