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
"""The whole surface between the clients and the network: connect, send, receive, close.

Two protocols, small enough that a test can script them, and their implementation on sockets.
Every call that can wait takes a `Deadline`, and no foreign exception leaves this module.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Iterator
from typing import Protocol

from beam_doris.client.deadline import Deadline
from beam_doris.errors import ConnectError, DeadlineExceeded
from beam_doris.options.connection import Node

Bytes = bytes | bytearray | memoryview


class ConnectionLost(ConnectError):
    """The peer hung up or the network failed in the middle of an exchange."""


class ByteStream(Protocol):
    """A connection to one node."""

    def send(self, data: Bytes, deadline: Deadline) -> None:
        """Sends everything, or raises `ConnectionLost` or `DeadlineExceeded`."""

    def receive(self, limit: int, deadline: Deadline) -> bytes:
        """At least one byte, or b"" when the peer has ended."""

    def readable(self, seconds: float) -> bool:
        """Whether something (bytes or the end) arrives within the time."""

    def close(self) -> None:
        """Closes; never raises, may be called again."""


class Connector(Protocol):
    """Makes connections."""

    def __call__(self, node: Node, *, tls: bool, timeout: float, deadline: Deadline) -> ByteStream:
        """A new connection.

        Raises:
            ConnectError: the node does not accept one.
            DeadlineExceeded: it did not within the deadline.
        """


class SocketStream:
    """A TCP connection, with TLS or without.

    Args:
        sock: The connected socket, owned by this object from now on.
        node: The peer, for messages.
        idle_timeout: How long a single send or receive may stand still.
    """

    def __init__(self, sock: socket.socket, node: Node, idle_timeout: float) -> None:
        self._sock = sock
        self._node = node
        self._idle_timeout = idle_timeout
        self._tls = isinstance(sock, ssl.SSLSocket)

    def send(self, data: Bytes, deadline: Deadline) -> None:
        view = memoryview(data).cast("B")
        with self._mapped("sending", deadline):
            while view:
                # one piece at a time: a socket's timeout bounds a whole sendall, however much
                # progress it makes
                self._sock.settimeout(deadline.cap(self._idle_timeout, "sending"))
                view = view[self._sock.send(view) :]

    def receive(self, limit: int, deadline: Deadline) -> bytes:
        with self._mapped("waiting for an answer", deadline):
            self._sock.settimeout(deadline.cap(self._idle_timeout, "waiting for an answer"))
            return self._sock.recv(limit)

    def receive_into(self, view: memoryview, deadline: Deadline) -> int:
        """As `receive`, into memory that is there already; how much came."""
        with self._mapped("waiting for an answer", deadline):
            self._sock.settimeout(deadline.cap(self._idle_timeout, "waiting for an answer"))
            return self._sock.recv_into(view)

    def readable(self, seconds: float) -> bool:
        if self._tls:
            # what arrives may be the TLS layer's own (session tickets): only buffered data counts
            return bool(getattr(self._sock, "pending", lambda: 0)())
        try:
            ready, _, _ = select.select([self._sock], [], [], seconds)
        except (OSError, ValueError):
            return True
        return bool(ready)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.close()

    @contextlib.contextmanager
    def _mapped(self, what: str, deadline: Deadline) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            deadline.check(what, host=self._node)
            raise ConnectionLost(
                f"{self._node} stood still for {self._idle_timeout:g} s while {what}",
                host=self._node,
                cause=error,
            ) from error
        except (OSError, ValueError) as error:
            raise ConnectionLost(
                f"the connection to {self._node} broke while {what}", host=self._node, cause=error
            ) from error


class SocketConnector:
    """Makes `SocketStream`s.

    Args:
        idle_timeout: How long a single send or receive may stand still, in seconds.
        context: Settings of TLS; the platform's trusted authorities by default.
    """

    def __init__(self, idle_timeout: float, context: ssl.SSLContext | None = None) -> None:
        self._idle_timeout = idle_timeout
        self._context = context

    def __call__(self, node: Node, *, tls: bool, timeout: float, deadline: Deadline) -> ByteStream:
        wait = deadline.cap(timeout, "connecting")
        try:
            sock = socket.create_connection((node.host, node.port), timeout=wait)
        except (OSError, UnicodeError) as error:
            if isinstance(error, TimeoutError) and deadline.expired:
                raise DeadlineExceeded(
                    f"{node} did not accept a connection in time", host=node
                ) from error
            raise ConnectError(
                f"cannot connect to {node}",
                host=node,
                cause=error,
                hint="check host and port, and that the node is up",
            ) from error
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                context = self._context or ssl.create_default_context()
                sock.settimeout(deadline.cap(timeout, "connecting"))
                sock = context.wrap_socket(sock, server_hostname=node.host)
        except (OSError, ValueError) as error:
            sock.close()
            raise ConnectError(f"no TLS connection to {node}", host=node, cause=error) from error
        return SocketStream(sock, node, self._idle_timeout)
