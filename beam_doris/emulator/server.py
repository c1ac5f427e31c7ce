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
"""The whole emulated cluster: one engine, a frontend, and backends on ports of their own."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from beam_doris.emulator.clock import Clock, SystemClock
from beam_doris.emulator.engine import Backend, Engine
from beam_doris.emulator.faults import FaultPlan
from beam_doris.emulator.flight.backend import BackendFlightServer
from beam_doris.emulator.flight.frontend import FrontendFlightServer
from beam_doris.emulator.flight.tickets import Tickets
from beam_doris.emulator.http.backend import BackendHttp
from beam_doris.emulator.http.frontend import FrontendHttp
from beam_doris.emulator.mysql.server import MySqlServer
from beam_doris.emulator.profile import DEFAULT_PROFILE, Profile
from beam_doris.emulator.scan.contexts import ScanContexts
from beam_doris.emulator.scan.tablets import TabletSource
from beam_doris.emulator.sql.executor import prepare_engine
from beam_doris.emulator.thrift_server import ThriftServer

HOST = "127.0.0.1"
USER = "root"

Address = tuple[str, int]


class _Server(Protocol):
    port: int

    def stop(self) -> None: ...


class BackendNode:
    """One backend's three ports. It can die and come back on the same ports."""

    def __init__(
        self, engine: Engine, backend: Backend, tickets: Tickets, ports: Mapping[str, int]
    ) -> None:
        self._engine = engine
        self._tickets = tickets
        self.backend = backend
        self._index = engine.backends.index(backend)
        self._running: list[_Server] = []
        self._lock = threading.Lock()
        self._ports = dict(ports)

    def start(self) -> None:
        """Bind the ports, the first time any free ones unless they were given."""
        with self._lock:
            if not self._running:
                self._start()

    def _start(self) -> None:
        engine, index, ports = self._engine, self._index, self._ports
        contexts = ScanContexts(TabletSource(engine, self.backend), engine.clock.now)
        with ExitStack() as undo:
            http = BackendHttp(engine, self.backend, port=ports.get("http", 0), on_death=self.stop)
            undo.callback(http.stop)
            thrift = ThriftServer(
                contexts,
                engine.faults,
                index=index,
                port=ports.get("thrift", 0),
                on_death=self.stop,
            )
            undo.callback(thrift.stop)
            flight = BackendFlightServer(
                self._tickets,
                engine.faults,
                index=index,
                port=ports.get("flight", 0),
                on_death=self.stop,
            )
            undo.callback(flight.stop)
            http.start()
            thrift.start()
            undo.pop_all()
        self._running = [http, thrift, flight]
        self._ports = {"http": http.port, "thrift": thrift.port, "flight": flight.port}
        self.backend.http_port = http.port
        self.backend.be_port = thrift.port
        self.backend.flight_port = flight.port
        self.backend.alive = True

    def stop(self) -> None:
        """Close the ports; the cluster's rows stay."""
        self.backend.alive = False
        with self._lock:
            running, self._running = self._running, []
        for server in running:
            server.stop()

    @property
    def ports(self) -> dict[str, int]:
        return dict(self._ports)


class Emulator:
    """A Doris cluster in this process, on 127.0.0.1.

    Args:
        data: directory of the data; None keeps everything in memory.
        backends: number of backends.
        profile: server generation, by name ("4.0") or itself.
        seed: of row order, batch sizes, replicas; None picks one, told by `seed`.
        password: of root.
        clock: the cluster's time; None: the machine's, which a test can move ahead.
        ports: the ready line of an earlier run, to get the same ports again; None: free ones.

    Example:
        >>> with Emulator(backends=2) as doris:  # doctest: +SKIP
        ...     print(doris.fe_http)
    """

    def __init__(
        self,
        *,
        data: Path | None = None,
        backends: int = 1,
        profile: str | Profile | None = None,
        seed: int | None = None,
        password: str = "",
        clock: Clock | None = None,
        ports: Mapping[str, Any] | None = None,
    ) -> None:
        if backends < 1:
            raise ValueError("a cluster needs at least one backend")
        self._data = data
        self._count = backends
        named = DEFAULT_PROFILE if profile is None else profile
        self.profile = Profile.named(named) if isinstance(named, str) else named
        self.seed = secrets.randbits(32) if seed is None else seed
        self._password = password
        self.clock: Clock = clock or SystemClock()
        self._wanted: Mapping[str, Any] = ports or {}
        self._stack: ExitStack | None = None
        self._engine: Engine | None = None
        self._nodes: list[BackendNode] = []

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Emulator:
        """Open the data and all ports."""
        if self._stack is not None:
            raise RuntimeError("the emulator runs already")
        with ExitStack() as stack:
            engine = Engine(
                path=self._data,
                backends=self._count,
                profile=self.profile,
                clock=self.clock,
                seed=self.seed,
            )
            stack.callback(engine.close)
            prepare_engine(engine)
            if self._password:
                engine.users.create(USER, self._password)
            self._engine = engine
            self._open_ports(engine, stack)
            self._stack = stack.pop_all()
        return self

    def _open_ports(self, engine: Engine, stack: ExitStack) -> None:
        tickets = Tickets()
        stack.callback(tickets.close)
        wanted: Sequence[Mapping[str, int]] = self._wanted.get("backends", ())
        self._nodes = [
            BackendNode(engine, backend, tickets, wanted[at] if at < len(wanted) else {})
            for at, backend in enumerate(engine.backends)
        ]
        for node in self._nodes:
            node.start()
            stack.callback(node.stop)
        frontend = engine.frontend
        mysql = MySqlServer(engine, HOST, self._wanted.get("fe_mysql", 0))
        stack.callback(mysql.stop)
        frontend.query_port = mysql.port
        flight = FrontendFlightServer(
            engine, tickets, mysql.directory, port=self._wanted.get("fe_flight", 0)
        )
        stack.callback(flight.stop)
        frontend.flight_port = flight.port
        http = FrontendHttp(engine, port=self._wanted.get("fe_http", 0), control=self)
        stack.callback(http.stop)
        frontend.http_port = http.port
        mysql.start()
        http.start()

    def stop(self) -> None:
        """Close every port and the data; a second stop does nothing."""
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    @property
    def engine(self) -> Engine:
        """The running engine."""
        if self._engine is None:
            raise RuntimeError("the emulator has not been started")
        return self._engine

    @property
    def faults(self) -> FaultPlan:
        """How the cluster is told to misbehave."""
        return self.engine.faults

    @property
    def ready(self) -> dict[str, Any]:
        """What the ready line of the program says: every port, and who may log in."""
        frontend = self.engine.frontend
        return {
            "fe_http": frontend.http_port,
            "fe_mysql": frontend.query_port,
            "fe_flight": frontend.flight_port,
            "backends": [node.ports for node in self._nodes],
            "user": USER,
            "password": self._password,
            "version": self.profile.version.rpartition("-")[2],
            "seed": self.seed,
        }

    @property
    def fe_http(self) -> Address:
        return HOST, self.engine.frontend.http_port

    @property
    def fe_mysql(self) -> Address:
        return HOST, self.engine.frontend.query_port

    @property
    def fe_flight(self) -> Address:
        return HOST, self.engine.frontend.flight_port

    @property
    def be_http(self) -> list[Address]:
        return [(HOST, node.ports["http"]) for node in self._nodes]

    @property
    def be_thrift(self) -> list[Address]:
        return [(HOST, node.ports["thrift"]) for node in self._nodes]

    @property
    def be_flight(self) -> list[Address]:
        return [(HOST, node.ports["flight"]) for node in self._nodes]

    def stop_backend(self, index: int) -> None:
        """A backend dies: its ports close, its open loads and scans are lost."""
        self._nodes[index].stop()

    def start_backend(self, index: int) -> None:
        """It comes back on the same ports."""
        self._nodes[index].start()
