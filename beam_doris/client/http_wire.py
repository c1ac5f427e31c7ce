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
"""What both HTTP transports share: answers, headers, and a byte stream in the shape of a socket.

Parsing is the standard library's; it reads from a file whose every byte is waited for within the
deadline of the exchange, so that a peer that sends a byte a second cannot hold anybody up.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from beam_doris.client.byte_stream import Bytes, ByteStream, ConnectionLost
from beam_doris.client.deadline import Deadline
from beam_doris.errors import ConfigError, ProtocolError
from beam_doris.options.connection import Node

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PORT_HINT = "check the port: a frontend's HTTP port is usually 8030, a backend's 8040"
_MAX_LINE = 64 << 10
_RECEIVE = 64 << 10
_READ = 1 << 20
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d(?!\d)")


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


def wire_headers(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Headers of a request as they are sent: values are UTF-8 (trap 9).

    Raises:
        ConfigError: a name or value that cannot be sent.
    """
    problems = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            problems.append(f"header name {name!r} cannot be sent")
        elif any(char in value for char in "\r\n\0"):
            problems.append(
                f"the value of header {name!r} holds a line break or NUL; "
                "write separators as escapes such as \\x01"
            )
    if problems:
        raise ConfigError(problems, subject="request headers")
    # blanks around a value are no part of it
    return {name: value.strip(" \t").encode("utf-8") for name, value in headers.items()}


def read_headers(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers of an answer, which the libraries read as Latin-1 although they are UTF-8."""
    return {
        name.lower(): value.strip().encode("latin-1", "replace").decode("utf-8", "replace")
        for name, value in items
    }


def read_body(
    read: Callable[[int], bytes], length: int | None, limit: int, *, truncate: bool, node: Node
) -> tuple[bytes, bool]:
    """The body of an answer up to a limit, and whether it was cut there.

    Args:
        read: Reads at most so many bytes; b"" at the end.
        length: What the head says.
        limit: In bytes.
        truncate: Whether of a larger body the beginning is enough.
        node: The peer.

    Raises:
        ProtocolError: the body is larger.
    """
    if length is not None and length > limit and not truncate:
        raise ProtocolError(f"the answer is larger than {limit} bytes", host=node)
    pieces: list[bytes] = []
    size = 0
    while size <= limit and (piece := read(min(_READ, limit + 1 - size))):
        pieces.append(piece)
        size += len(piece)
        if size == length:
            break
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if size <= limit:
        return body, False
    if not truncate:
        raise ProtocolError(f"the answer is larger than {limit} bytes", host=node)
    return body[:limit], True


class StreamSocket:
    """A `ByteStream` in the shape of a socket, as far as `http.client` uses one.

    Args:
        stream: The connection's bytes, owned by this object from now on.
        node: The peer.
        deadline: For everything, until it is replaced.
    """

    def __init__(self, stream: ByteStream, node: Node, deadline: Deadline) -> None:
        self.node = node
        self.deadline = deadline
        self.may_end = False
        """Whether the answer may end with the connection; the peer is lost otherwise."""
        self._stream = stream
        self._ahead = b""
        self._files = 0
        self._closed = False

    # -- as http.client sees it

    def sendall(self, data: Bytes) -> None:
        """Sends everything."""
        self._stream.send(data, self.deadline)

    def settimeout(self, seconds: float | None) -> None:
        """Does nothing: the deadline bounds every wait."""

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002
        """What the peer sends; the stream is closed with the last of socket and files."""
        self._files += 1
        return io.BufferedReader(_Incoming(self), _RECEIVE)

    def recv_into(self, target: memoryview) -> int:
        """At least one byte, or 0 at an end that is in order."""
        if self._ahead:
            data, self._ahead = self._ahead[: len(target)], self._ahead[len(target) :]
        else:
            data = self._stream.receive(min(len(target), _RECEIVE), self.deadline)
            if not data and not self.may_end:
                raise self._lost("in the middle of its answer")
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Closes the stream, unless a file is open on it: then that closes it."""
        self._closed = True
        self._let_go()

    def file_closed(self) -> None:
        """One of the files has been closed."""
        self._files -= 1
        self._let_go()

    def _let_go(self) -> None:
        if self._closed and self._files <= 0:
            self._stream.close()

    # -- what a socket cannot

    def readable(self, seconds: float) -> bool:
        """Whether something (bytes or the end) arrives within the time."""
        return bool(self._ahead) or self._stream.readable(seconds)

    def skip_interim(self) -> bool:
        """Passes over an interim answer (1xx) if that is what comes next.

        Returns:
            False when the final answer comes next.

        Raises:
            ConnectionLost: nothing comes.
        """
        if not _INTERIM.match(self._line()):
            return False
        while line := self._line():
            self._ahead = self._ahead[len(line) :]
            if line in (b"\r\n", b"\n"):
                break
        return True

    def _line(self) -> bytes:
        while (end := self._ahead.find(b"\n")) < 0:
            if len(self._ahead) > _MAX_LINE:
                raise ProtocolError("a line of the answer is too long", host=self.node)
            data = self._stream.receive(_RECEIVE, self.deadline)
            if not data:
                raise self._lost("without an answer")
            self._ahead += data
        return self._ahead[: end + 1]

    def _lost(self, where: str) -> ConnectionLost:
        return ConnectionLost(f"{self.node} hung up {where}", host=self.node)


class _Incoming(io.RawIOBase):
    """The file behind `StreamSocket.makefile`."""

    def __init__(self, sock: StreamSocket) -> None:
        super().__init__()
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._sock.recv_into(memoryview(buffer).cast("B"))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._sock.file_closed()
