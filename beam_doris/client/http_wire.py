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
"""HTTP/1.1 over a byte stream: one request at a time, its body pushed piece by piece.

Small on purpose. Stream load needs two things that general HTTP libraries do not give: really
waiting for `100 Continue` before a body leaves, and noticing an answer that arrives while the body
is still being sent (P 2.1, trap 2). Both also keep every wait inside one deadline.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from beam_doris.client.byte_stream import Bytes, ByteStream, ConnectionLost
from beam_doris.client.deadline import Deadline
from beam_doris.errors import ConfigError, ProtocolError
from beam_doris.options.connection import Node

_MAX_HEAD = 64 << 10
_RECEIVE = 64 << 10
_SMALL_CHUNK = 16 << 10
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: .*)?")
_GRACE = 1.0  # seconds to pick up an answer that preceded a reset


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """One answer. Header names are in lower case; of repeated headers the last counts.

    A body that was longer than what was wanted of it is `truncated`.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    truncated: bool = False
    node: Node

    @property
    def text(self) -> str:
        """The body as text; what is no UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> object:
        """The body as JSON.

        Raises:
            ProtocolError: it is none.
        """
        try:
            # control characters inside texts do occur in answers
            return json.loads(self.text, strict=False)
        except ValueError as error:
            raise ProtocolError(
                f"the answer (HTTP {self.status}) is not JSON", host=self.node, cause=error
            ) from error


def request_head(method: str, path: str, node: Node, headers: Mapping[str, str]) -> bytes:
    """The first lines of a request; header values are UTF-8 (trap 9).

    Raises:
        ConfigError: a header name or value that cannot be sent.
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {node}"]
    problems = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            problems.append(f"header name {name!r} cannot be sent")
        elif any(char in value for char in "\r\n\0"):
            problems.append(
                f"the value of header {name!r} holds a line break or NUL; "
                "write separators as escapes such as \\x01"
            )
        else:
            lines.append(f"{name}: {value}")
    if problems:
        raise ConfigError(problems, subject="request headers")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


class _Reader:
    """Buffered reading of lines and bodies, everything bounded."""

    def __init__(self, stream: ByteStream, node: Node) -> None:
        self._stream = stream
        self._node = node
        self._buffer = bytearray()

    @property
    def buffered(self) -> bool:
        return bool(self._buffer)

    def _more(self, deadline: Deadline) -> bool:
        data = self._stream.receive(_RECEIVE, deadline)
        self._buffer += data
        return bool(data)

    def _ended(self, where: str) -> ConnectionLost:
        return ConnectionLost(f"{self._node} hung up {where}", host=self._node)

    def line(self, deadline: Deadline, where: str) -> bytes:
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end]).rstrip(b"\r")
                del self._buffer[: end + 1]
                return line
            if len(self._buffer) > _MAX_HEAD:
                raise ProtocolError("a line of the answer is too long", host=self._node)
            if not self._more(deadline):
                raise self._ended(where)

    def exactly(self, size: int, deadline: Deadline) -> bytes:
        while len(self._buffer) < size:
            if not self._more(deadline):
                raise self._ended("in the middle of its answer")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def to_the_end(self, limit: int, deadline: Deadline) -> bytes:
        while len(self._buffer) <= limit and self._more(deadline):
            pass
        data = bytes(self._buffer)
        self._buffer.clear()
        return data


class HttpConnection:
    """One connection, used for one exchange after the other; not thread-safe.

    Args:
        stream: The connection's bytes, owned by this object from now on.
        node: The peer.
        max_bytes: Largest body accepted in an answer.
    """

    truncates = False
    """Whether of a larger body the beginning is enough."""

    def __init__(self, stream: ByteStream, node: Node, *, max_bytes: int = 64 << 20) -> None:
        self.node = node
        self.reusable = False
        self._stream = stream
        self._reader = _Reader(stream, node)
        self.max_bytes = max_bytes
        self._early: tuple[int, dict[str, str]] | None = None
        self._method = ""
        self._chunked = False

    # -- sending

    def start(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        deadline: Deadline,
        *,
        body: bytes = b"",
    ) -> None:
        """Sends the head of a request, with a small body if there is one."""
        self.reusable = False
        self._early = None
        self._method = method
        self._chunked = headers.get("Transfer-Encoding") == "chunked"
        self._stream.send(request_head(method, path, self.node, headers) + body, deadline)

    def answered(self, wait: float, deadline: Deadline) -> bool:
        """Whether the final answer is there already, although the body was not sent whole.

        Args:
            wait: Seconds to wait for a word of the peer: `100 Continue` ends the wait too.
            deadline: For reading the answer's head.
        """
        if self._early is not None:
            return True
        if not self._reader.buffered and not self._stream.readable(wait):
            return False
        status, headers = self._head(deadline)
        if status < 200:
            return False
        self._early = (status, headers)
        return True

    def send(self, data: Bytes, deadline: Deadline) -> None:
        """Sends a piece of the body, framed as the head announced."""
        view = memoryview(data).cast("B")
        if not self._chunked:
            self._stream.send(view, deadline)
        elif len(view) > _SMALL_CHUNK:
            self._stream.send(b"%x\r\n" % len(view), deadline)
            self._stream.send(view, deadline)
            self._stream.send(b"\r\n", deadline)
        elif view:
            self._stream.send(b"%x\r\n" % len(view) + bytes(view) + b"\r\n", deadline)

    def end_body(self, deadline: Deadline) -> None:
        """Says that the body is complete."""
        if self._chunked:
            self._stream.send(b"0\r\n\r\n", deadline)

    # -- receiving

    def answer(self, deadline: Deadline) -> HttpReply:
        """The final answer."""
        while self._early is None:
            status, headers = self._head(deadline)
            if status >= 200:
                self._early = (status, headers)
        status, headers = self._early
        self._early = None
        body, framed, truncated = self._body(status, headers, deadline)
        self.reusable = framed and headers.get("connection", "").lower() != "close"
        return HttpReply(
            status=status, headers=headers, body=body, truncated=truncated, node=self.node
        )

    def rescued_answer(self, deadline: Deadline) -> HttpReply | None:
        """The answer that a peer sent before it cut the connection, if it got through."""
        try:
            return self.answer(deadline.within(_GRACE))
        except (ConnectionLost, ProtocolError):
            return None

    def _head(self, deadline: Deadline) -> tuple[int, dict[str, str]]:
        first = self._reader.line(deadline, "without an answer")
        match = _STATUS_LINE.fullmatch(first)
        if match is None:
            raise ProtocolError("the answer is not HTTP", host=self.node)
        headers: dict[str, str] = {}
        size = len(first)
        while line := self._reader.line(deadline, "in the middle of its answer"):
            size += len(line)
            if size > _MAX_HEAD:
                raise ProtocolError("the head of the answer is too long", host=self.node)
            name, _, value = line.decode("utf-8", "replace").partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(match[1]), headers

    def _body(
        self, status: int, headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[bytes, bool, bool]:
        """The body, whether another answer can follow it, and whether it was cut."""
        if self._method == "HEAD" or status in (204, 304):
            return b"", True, False
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked_body(deadline)
        length = headers.get("content-length")
        if length is None:
            data = self._reader.to_the_end(self.max_bytes, deadline)
            cut = self._too_large(len(data))
            return data[: self.max_bytes], False, cut
        if not length.isdigit():
            raise ProtocolError("the answer has an unreadable length", host=self.node)
        cut = self._too_large(int(length))
        return self._reader.exactly(min(int(length), self.max_bytes), deadline), not cut, cut

    def _chunked_body(self, deadline: Deadline) -> tuple[bytes, bool, bool]:
        pieces = bytearray()
        while True:
            line = self._reader.line(deadline, "in the middle of its answer")
            try:
                size = int(line.split(b";")[0].strip(), 16)
            except ValueError:
                raise ProtocolError("the answer has an unreadable chunk", host=self.node) from None
            if size == 0:
                while self._reader.line(deadline, "in the middle of its answer"):
                    pass
                return bytes(pieces), True, False
            if self._too_large(len(pieces) + size):
                pieces += self._reader.exactly(self.max_bytes - len(pieces), deadline)
                return bytes(pieces), False, True
            pieces += self._reader.exactly(size, deadline)
            self._reader.exactly(2, deadline)

    def _too_large(self, size: int) -> bool:
        if size > self.max_bytes and not self.truncates:
            raise ProtocolError(f"the answer is larger than {self.max_bytes} bytes", host=self.node)
        return size > self.max_bytes

    # -- life

    @property
    def stale(self) -> bool:
        """Whether an idle connection was closed by the peer (or has unasked bytes waiting)."""
        return self._reader.buffered or self._stream.readable(0)

    def close(self) -> None:
        """Closes the connection."""
        self.reusable = False
        self._stream.close()
