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
"""A request whose body is pushed piece by piece, on a connection of its own.

Stream load needs two things that general HTTP libraries do not give: really waiting for
`100 Continue` before a body leaves, and noticing an answer that arrives while the body is still
being sent (P 2.1, trap 2). Writing heads and reading answers is the standard library's job.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator, Mapping
from typing import cast

from beam_doris.client.byte_stream import Bytes, ByteStream, ConnectionLost
from beam_doris.client.deadline import Deadline
from beam_doris.client.http_wire import (
    PORT_HINT,
    HttpReply,
    StreamSocket,
    read_body,
    read_headers,
    wire_headers,
)
from beam_doris.errors import ProtocolError
from beam_doris.options.connection import Node

_SMALL_CHUNK = 16 << 10
_GRACE = 1.0  # seconds to pick up an answer that preceded a reset


class PushConnection:
    """One connection for one exchange; not thread-safe.

    Args:
        stream: The connection's bytes, owned by this object from now on.
        node: The peer.
        deadline: For everything that is not given another one.
        max_bytes: Largest body accepted in the answer.
    """

    def __init__(
        self, stream: ByteStream, node: Node, deadline: Deadline, *, max_bytes: int = 1 << 20
    ) -> None:
        self.node = node
        self._stream = stream
        self._socket = StreamSocket(stream, node, deadline)
        self._max_bytes = max_bytes
        self._http = http.client.HTTPConnection(node.host, node.port)
        self._http.sock = cast(socket.socket, self._socket)
        self._final = False
        self._chunked = False

    # -- sending

    def start(self, method: str, path: str, headers: Mapping[str, str], deadline: Deadline) -> None:
        """Sends the head of the request."""
        sent = wire_headers(headers)
        self._chunked = headers.get("Transfer-Encoding") == "chunked"
        with self._parsing(deadline):
            self._http.putrequest(method, path)
            for name, value in sent.items():
                self._http.putheader(name, value)
            self._http.endheaders()

    def answered(self, wait: float, deadline: Deadline) -> bool:
        """Whether the final answer is there already, although the body was not sent whole.

        Args:
            wait: Seconds to wait for a word of the peer: `100 Continue` ends the wait too.
            deadline: For reading what the peer began to say.
        """
        if self._final:
            return True
        if not self._socket.readable(wait):
            return False
        self._socket.deadline = deadline
        self._final = not self._socket.skip_interim()
        return self._final

    def send(self, data: Bytes, deadline: Deadline) -> None:
        """Sends a piece of the body, framed as the head announced."""
        self._socket.deadline = deadline
        view = memoryview(data).cast("B")
        if not self._chunked:
            self._socket.sendall(view)
        elif len(view) > _SMALL_CHUNK:
            self._socket.sendall(b"%x\r\n" % len(view))
            self._socket.sendall(view)
            self._socket.sendall(b"\r\n")
        elif view:
            self._socket.sendall(b"%x\r\n" % len(view) + bytes(view) + b"\r\n")

    def end_body(self, deadline: Deadline) -> None:
        """Says that the body is complete."""
        if self._chunked:
            self._socket.deadline = deadline
            self._socket.sendall(b"0\r\n\r\n")

    # -- receiving

    def answer(self, deadline: Deadline) -> HttpReply:
        """The final answer.

        Raises:
            ConnectionLost: the peer hung up before its end.
            DeadlineExceeded: it did not come in time.
            ProtocolError: it is not HTTP, or too large.
        """
        with self._parsing(deadline):
            while not self._final:
                self._final = not self._socket.skip_interim()
            response = self._http.getresponse()
            headers = read_headers(response.getheaders())
            if response.length is None and not response.chunked:
                if "content-length" in headers:
                    raise ProtocolError("the answer has an unreadable length", host=self.node)
                self._socket.may_end = True
            body, _ = read_body(
                response.read, response.length, self._max_bytes, truncate=False, node=self.node
            )
        return HttpReply(status=response.status, headers=headers, body=body, node=self.node)

    def rescued_answer(self, deadline: Deadline) -> HttpReply | None:
        """The answer that a peer sent before it cut the connection, if it got through."""
        try:
            return self.answer(deadline.within(_GRACE))
        except (ConnectionLost, ProtocolError):
            return None

    @contextlib.contextmanager
    def _parsing(self, deadline: Deadline) -> Iterator[None]:
        self._socket.deadline = deadline
        try:
            yield
        except (http.client.HTTPException, UnicodeError) as error:
            # what could not be read may be long: only its kind is told
            raise ProtocolError(
                "the exchange is not HTTP",
                host=self.node,
                hint=PORT_HINT,
                cause=type(error).__name__,
            ) from None

    def close(self) -> None:
        """Closes the connection; never raises, may be called again."""
        self._http.close()
        self._stream.close()
