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
"""The frontend's MySQL port."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from typing import TYPE_CHECKING

from beam_doris.emulator.mysql.connection import ClientConnection
from beam_doris.emulator.sql.directory import SessionDirectory
from beam_doris.emulator.sql.executor import prepare_engine

if TYPE_CHECKING:
    from beam_doris.emulator.engine import Engine

_ACCEPT_SECONDS = 0.5


class MySqlServer:
    """Listens on one port and serves every connection in a thread of its own.

    The port is bound on construction, so that it can be told to others before ``start``.

    Example:
        >>> server = MySqlServer(engine, "127.0.0.1")  # doctest: +SKIP
        >>> server.start()  # doctest: +SKIP
    """

    def __init__(self, engine: Engine, host: str = "127.0.0.1", port: int = 0) -> None:
        prepare_engine(engine)
        self._engine = engine
        self._listener = socket.create_server((host, port), backlog=128)
        self._listener.settimeout(_ACCEPT_SECONDS)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.directory = SessionDirectory()
        self._ids = itertools.count(1)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._open: dict[int, tuple[socket.socket, threading.Thread]] = {}

    def start(self) -> None:
        """Begin to accept."""
        self._thread = threading.Thread(target=self._accept, name="mysql-accept", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection, and wait for their threads."""
        self._stopping.set()
        self._listener.close()
        with self._lock:
            connections = list(self._open.values())
        for client, _ in connections:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for _, thread in connections:
            thread.join(timeout=5.0)
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            number = next(self._ids)
            thread = threading.Thread(
                target=self._serve, args=(client, address[0], number), name=f"mysql-{number}"
            )
            thread.daemon = True
            with self._lock:
                self._open[number] = (client, thread)
                # started under the lock: a stop joins only threads that run
                thread.start()

    def _serve(self, client: socket.socket, host: str, number: int) -> None:
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ClientConnection(self._engine, client, host, number, self.directory).run()
        except (OSError, ConnectionError, ValueError):
            # the client went away or does not speak the protocol: nobody is left to tell
            pass
        finally:
            self.directory.remove(number)
            with self._lock:
                self._open.pop(number, None)
            client.close()
