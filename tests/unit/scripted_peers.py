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
"""A network in memory: peers are functions from requests to answers, time is a number."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from beam_doris.client.byte_stream import Bytes, ConnectionLost
from beam_doris.client.deadline import Deadline
from beam_doris.errors import ConnectError, DeadlineExceeded
from beam_doris.options.connection import Node


class FakeClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class Request:
    """What a peer received. The body is None while only the head is there."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    node: Node


@dataclass
class Answer:
    """What a peer does: answer, and how badly."""

    status: int = 200
    content: object = None
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False
    """Hang up instead of answering."""
    hang: bool = False
    """Never answer."""
    torn: bool = False
    """Hang up in the middle of the answer."""

    def wire(self) -> bytes:
        if isinstance(self.content, bytes):
            body = self.content
        elif self.content is None:
            body = b""
        else:
            body = json.dumps(self.content).encode()
        lines = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        data = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        return data[: len(data) - max(1, len(body) // 2)] if self.torn else data


@dataclass
class CutBody:
    """Let the connection break after so many bytes of the body."""

    after: int


Handler = Callable[[Request], "Answer | CutBody | None"]


class Network:
    """All peers, by node; what is not there refuses connections."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.peers: dict[str, Handler] = {}
        self.log: list[Request] = []
        self.connections = 0
        self.open_connections = 0
        self.down: set[str] = set()

    def __call__(self, node: Node, *, tls: bool, timeout: float, deadline: Deadline) -> PeerStream:
        handler = self.peers.get(str(node))
        if handler is None or str(node) in self.down:
            raise ConnectError(f"cannot connect to {node}", host=node)
        self.connections += 1
        self.open_connections += 1
        return PeerStream(self, node, handler)

    def requests(self, node: str | None = None, path_part: str = "") -> list[Request]:
        return [
            request
            for request in self.log
            if (node is None or str(request.node) == node) and path_part in request.path
        ]


class PeerStream:
    """The client's end of a connection to a peer."""

    def __init__(self, network: Network, node: Node, handler: Handler) -> None:
        self._network = network
        self._node = node
        self._handler = handler
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._ended = False
        self._closed = False
        self._hangs = False
        self._request: Request | None = None
        self._cut: int | None = None
        self._done = False
        self._deaf = False

    def send(self, data: Bytes, deadline: Deadline) -> None:
        deadline.check("sending")
        if self._ended:
            raise ConnectionLost(f"{self._node} hung up", host=self._node)
        if not self._deaf:
            self._incoming += data
            self._advance()

    def receive(self, limit: int, deadline: Deadline) -> bytes:
        if self._outgoing:
            data = bytes(self._outgoing[:limit])
            del self._outgoing[:limit]
            return data
        if self._ended:
            return b""
        self._network.clock.now += deadline.remaining()
        raise DeadlineExceeded("waiting for an answer", host=self._node)

    def readable(self, seconds: float) -> bool:
        if self._outgoing or self._ended:
            return True
        self._network.clock.now += seconds
        return False

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._network.open_connections -= 1

    # -- the peer's end

    def _advance(self) -> None:
        if self._request is None or self._done:
            self._read_head()
        if self._request is not None and not self._done:
            self._read_body()

    def _read_head(self) -> None:
        end = self._incoming.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self._incoming[:end].decode().split("\r\n")
        del self._incoming[: end + 4]
        method, path, _ = lines[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self._request = Request(method, path, headers, None, self._node)
        self._done = False
        self._network.log.append(self._request)
        first = self._handler(self._request)
        if isinstance(first, CutBody):
            self._cut = first.after
        elif first is not None:
            self._answer(first)
            # a body that is not wanted any more is not listened to
            self._deaf = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
            return
        if "expect" in headers:
            self._outgoing += b"HTTP/1.1 100 Continue\r\n\r\n"

    def _read_body(self) -> None:
        assert self._request is not None
        if self._cut is not None and len(self._incoming) >= self._cut:
            self._ended = True
            return
        body = _whole_body(self._request.headers, self._incoming)
        if body is None:
            return
        self._request.body = body
        second = self._handler(self._request)
        assert isinstance(second, Answer), (
            f"no answer to {self._request.method} {self._request.path}"
        )
        self._answer(second)

    def _answer(self, answer: Answer) -> None:
        self._done = True
        if answer.lost:
            self._ended = True
        elif not answer.hang:
            self._outgoing += answer.wire()
            self._ended = answer.torn


def _whole_body(headers: dict[str, str], data: bytearray) -> bytes | None:
    if headers.get("transfer-encoding") != "chunked":
        length = int(headers.get("content-length", "0"))
        if len(data) < length:
            return None
        whole = bytes(data[:length])
        del data[:length]
        return whole
    if not data.endswith(b"0\r\n\r\n"):
        return None
    body = bytearray()
    rest = bytes(data)
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body.extend(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    data.clear()
    return bytes(body)
