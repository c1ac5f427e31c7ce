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
"""What the matrix runs on: an emulated cluster that can be killed, proxies, and child processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from beam_doris.emulator.process import EmulatorProcess
from tests.crash.points import Kind
from tests.crash.program import Order, main
from tests.fixtures.tcp_proxy import TcpProxy

DATABASE = "crash"
_LIFE_SECONDS = 90.0


@dataclass(slots=True)
class Life:
    """What became of one process.

    Args:
        pid: Its id.
        exit: Its status; negative for a signal.
        sprung: Whether the trap was reached.
        notes: What was done to it, or to the emulator.
    """

    pid: int
    exit: int
    sprung: bool
    notes: list[str] = field(default_factory=list)


class Rig:
    """One cluster for many cells.

    Args:
        prism: A Prism binary, for cells that run on it.
    """

    def __init__(self, prism: str | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="crash-"))
        self._stack = contextlib.ExitStack()
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self.emulator = self._stack.enter_context(
            EmulatorProcess(data=self._folder / "data", backends=2, seed=1)
        )
        ready = self.emulator.ready
        self._frontend = self._stack.enter_context(TcpProxy(ready["fe_http"]))
        self._backends = [
            self._stack.enter_context(TcpProxy(node["http"])) for node in ready["backends"]
        ]
        self._tables = 0
        self.endpoint = ""
        if prism:
            self.endpoint = self._start_prism(prism)
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["tests.crash.program"])
        self.sql(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")

    def close(self) -> None:
        """Ends everything that was started."""
        self._stack.close()

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- tables

    def new_table(self) -> str:
        """An empty table that keeps every row it gets."""
        self._tables += 1
        name = f"{DATABASE}.t{self._tables}"
        self.sql(
            f"CREATE TABLE {name} (id INT NOT NULL, name VARCHAR(40), value DOUBLE) "
            "DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2 "
            'PROPERTIES ("replication_num" = "1")'
        )
        return name

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Everything that is visible."""
        return self.sql(f"SELECT id, name, value FROM {table} ORDER BY id, name, value")

    def lingering(self) -> int:
        """Loads that wait for a commit."""
        return len(
            self.sql(f"SHOW TRANSACTION FROM {DATABASE} WHERE transactionstatus = 'PRECOMMITTED'")
        )

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs a statement by pymysql, past the proxies."""
        connection = pymysql.connect(
            host="127.0.0.1",
            port=self.emulator.ready["fe_mysql"],
            user="root",
            autocommit=True,
            read_timeout=20,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    # -- processes

    def order(self, **what: Any) -> Order:
        """An order with this rig's addresses and a folder of its own."""
        folder = tempfile.mkdtemp(dir=self._folder)
        return Order(
            frontend=self._frontend.port,
            backends=tuple(proxy.port for proxy in self._backends),
            endpoint=self.endpoint if what["runner"] == "PrismRunner" else "",
            folder=folder,
            **what,
        )

    def run(self, order: Order) -> Life:
        """Runs a process to its end, and does on the way what its trap asks for."""
        child = self._processes.Process(target=main, args=(order,))
        child.start()
        assert child.pid is not None
        life = Life(pid=child.pid, exit=0, sprung=False)
        reached = Path(order.folder) / "reached"
        end = time.monotonic() + _LIFE_SECONDS
        try:
            while child.is_alive():
                if time.monotonic() > end:
                    life.notes.append("did not end")
                    break
                if not life.sprung and reached.exists():
                    life.sprung = True
                    self._do(order, life)
                child.join(0.01)
            life.sprung |= reached.exists()
        finally:
            if child.is_alive():
                child.kill()
            child.join(10)
        life.exit = child.exitcode if child.exitcode is not None else 99
        if order.kind is Kind.KILL and life.sprung:
            life.notes.append(f"signal {-life.exit} to pipeline process {life.pid}")
        return life

    def log(self, order: Order) -> str:
        """What the process had to say, at its end."""
        log = Path(order.folder) / "log"
        return log.read_text()[-3000:] if log.exists() else ""

    def _do(self, order: Order, life: Life) -> None:
        if order.kind is Kind.SERVER:
            pid = self.emulator.pid
            self.emulator.kill()
            life.notes.append(f"signal 9 to emulator process {pid}")
            self.emulator.restart()
        elif order.kind is Kind.CUT:
            count = sum(proxy.cut() for proxy in (self._frontend, *self._backends))
            life.notes.append(f"{count} connections reset")
        (Path(order.folder) / "go").touch()

    def _start_prism(self, binary: str) -> str:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [binary, "--job_port", str(port), "--serve_http=false", "--log_level", "error"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self._folder)},
        )
        self._stack.callback(process.wait, 10)
        self._stack.callback(process.kill)
        for _ in _patiently(10):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return f"localhost:{port}"
        raise RuntimeError("Prism does not listen")


def _patiently(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)
