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
"""A threaded HTTP/1.1 server with the socket in reach, so that it can misbehave on demand."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable

from beam_doris.emulator.http.message import (
    BadRequest,
    BodyBroken,
    Request,
    Response,
    read_request,
    text_response,
)

logger = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
SEND_SECONDS = 60.0
LINGER_SECONDS = 1.0
LINGER_BYTES = 1 << 20
STOP_SECONDS = 5.0


class DropConnection(Exception):
    """End the connection without an answer; ``reset`` sends an RST instead of a FIN."""

    def __init__(self, *, reset: bool = True) -> None:
        super().__init__("the connection is dropped")
        self.reset = reset


Handler = Callable[[Request], Response]


class HttpServer:
    """Listens on one port, a thread a connection; can be stopped and started again on it."""

    def __init__(self, handler: Handler, *, host: str, port: int, name: str) -> None:
        self._handler = handler
        self._host = host
        self._name = name
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._acceptor: threading.Thread | None = None
        self._listener: socket.socket | None = self._listen(port)
        self.port: int = self._listener.getsockname()[1]
        self.stopping = threading.Event()

    def start(self) -> None:
        """Accept connections; after a stop the same port is bound again."""
        with self._lock:
            if self._acceptor is not None:
                return
            if self._listener is None:
                self._listener = self._listen(self.port)
            self.stopping.clear()
            self._acceptor = threading.Thread(
                target=self._accept, args=(self._listener,), name=self._name, daemon=True
            )
            self._acceptor.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        self.stopping.set()
        with self._lock:
            acceptor, self._acceptor = self._acceptor, None
            listener, self._listener = self._listener, None
            connections = dict(self._connections)
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in (*connections.values(), acceptor):
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server((self._host, port), backlog=512)

    def _accept(self, listener: socket.socket) -> None:
        while not self.stopping.is_set():
            try:
                connection, address = listener.accept()
            except OSError:
                return
            thread = threading.Thread(
                target=self._serve,
                args=(connection, str(address[0])),
                name=f"{self._name}-{address[1]}",
                daemon=True,
            )
            with self._lock:
                self._connections[connection] = thread
                # started under the lock: a stop joins only threads that run
                thread.start()

    def _serve(self, connection: socket.socket, peer: str) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb", buffering=1 << 18) as stream:
                going = True
                while going and not self.stopping.is_set():
                    connection.settimeout(IDLE_SECONDS)
                    going = self._one_request(connection, stream, peer)
        except DropConnection as drop:
            if drop.reset:
                with contextlib.suppress(OSError):
                    connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
        except (OSError, BodyBroken):
            logger.debug("%s: the connection of %s ended", self._name, peer)
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            with contextlib.suppress(OSError):
                connection.close()

    def _one_request(self, connection: socket.socket, stream: object, peer: str) -> bool:
        try:
            request = read_request(stream, connection, peer)  # type: ignore[arg-type]
        except BadRequest as error:
            connection.sendall(
                text_response(str(error), status=400).encode(head_only=False, close=True)
            )
            return False
        if request is None:
            return False
        try:
            response = self._handler(request)
        except (DropConnection, BodyBroken):
            raise
        except BadRequest as error:
            response = text_response(str(error), status=400)
        except Exception:
            logger.exception("%s: %s %s failed", self._name, request.method, request.path)
            response = text_response("internal error of the emulator", status=500)
        return self._answer(connection, request, response)

    def _answer(self, connection: socket.socket, request: Request, response: Response) -> bool:
        unread = not request.body.ended
        wants_close = request.headers.get("connection").lower() == "close"
        close = unread or wants_close or response.close or response.keep_bytes is not None
        wire = response.encode(head_only=request.method == "HEAD", close=close)
        connection.settimeout(SEND_SECONDS)
        connection.sendall(wire)
        if unread and not request.body.failed:
            self._linger(connection)
        return not close

    def _linger(self, connection: socket.socket) -> None:
        """Let the client read the answer although it still sends: closing at once would reset.

        Only for a moment and a few bytes: a client that streams on meets a closed connection, as
        it does with a real backend (P 2.1).
        """
        deadline = time.monotonic() + LINGER_SECONDS
        left = LINGER_BYTES
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while left > 0 and (wait := deadline - time.monotonic()) > 0:
                connection.settimeout(wait)
                data = connection.recv(65536)
                if not data:
                    return
                left -= len(data)
