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
"""The emulator as a program: prints one ready line, runs until it is told to stop."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beam_doris.emulator.profile import DEFAULT_PROFILE, PROFILES
from beam_doris.emulator.server import Emulator

_STOP_SECONDS = 20.0  #: a stop that takes longer is cut short


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m beam_doris.emulator",
        description="A stand-in for a Doris cluster on 127.0.0.1. Prints one JSON line when ready.",
    )
    parser.add_argument("--data", type=Path, help="directory of the data; default: in memory")
    parser.add_argument("--backends", type=int, default=1, help="number of backends (1)")
    parser.add_argument(
        "--profile",
        choices=sorted(PROFILES),
        default=DEFAULT_PROFILE.name,
        help=f"server generation ({DEFAULT_PROFILE.name})",
    )
    parser.add_argument("--seed", type=int, help="of row order, batch sizes and replicas")
    parser.add_argument("--password", default="", help="of root (empty)")
    for name in ("fe-http", "fe-mysql", "fe-flight"):
        parser.add_argument(f"--{name}-port", type=int, default=0, help="default: a free one")
    for name in ("http", "thrift", "flight"):
        parser.add_argument(
            f"--be-{name}-ports",
            type=_ports,
            default=[],
            metavar="PORT,...",
            help="one for each backend; default: free ones",
        )
    parser.add_argument(
        "--until-eof", action="store_true", help="stop when standard input ends, as with its owner"
    )
    parser.add_argument("--verbose", action="store_true", help="log to standard error")
    return parser.parse_args(argv)


def _ports(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _wanted(options: argparse.Namespace) -> dict[str, Any]:
    nodes: list[dict[str, int]] = [{} for _ in range(options.backends)]
    for name in ("http", "thrift", "flight"):
        for node, port in zip(nodes, getattr(options, f"be_{name}_ports"), strict=False):
            node[name] = port
    return {
        "fe_http": options.fe_http_port,
        "fe_mysql": options.fe_mysql_port,
        "fe_flight": options.fe_flight_port,
        "backends": nodes,
    }


class _StopRequest:
    """Waits for a signal, or for the end of standard input.

    A signal may reach any thread, also one of a native library, and Python's own handlers run only
    once the main thread wakes. The byte that the interpreter writes for every signal wakes it.
    """

    def __init__(self, *, until_eof: bool) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        if until_eof:
            threading.Thread(target=self._at_eof, name="until-eof", daemon=True).start()

    def wait(self) -> None:
        self._reader.recv(1)

    def _at_eof(self) -> None:
        # Not through sys.stdin, whose lock would be held when the interpreter ends.
        while os.read(0, 4096):
            pass
        self._writer.send(b"\0")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    options = _arguments(argv)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    request = _StopRequest(until_eof=options.until_eof)
    emulator = Emulator(
        data=options.data,
        backends=options.backends,
        profile=options.profile,
        seed=options.seed,
        password=options.password,
        ports=_wanted(options),
    )
    with emulator:
        print(json.dumps(emulator.ready), flush=True)
        request.wait()
        # Whatever a client still holds open must not keep the program.
        guard = threading.Timer(_STOP_SECONDS, os._exit, (1,))
        guard.daemon = True
        guard.start()
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads of native libraries may wait for clients that never leave.
    os._exit(code)
