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
"""Requests and responses: headers, bodies that are read as a stream, and what is sent back."""

from __future__ import annotations

import json
import socket
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAX_LINE = 65536
MAX_HEADERS = 500
_REASONS = {
    100: "Continue",
    200: "OK",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    417: "Expectation Failed",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class BadRequest(Exception):
    """What arrived is not HTTP that this server takes."""


class BodyBroken(Exception):
    """The body ended early, was malformed, or nothing of it came in time."""


class Headers:
    """Header fields by case-insensitive name; of repeated fields the last one counts."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._last = {name.lower(): value for name, value in pairs}

    def get(self, name: str, default: str = "") -> str:
        """The value of a field without outer blanks, or the default."""
        value = self._last.get(name.lower())
        return default if value is None else value

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._last

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)


class Body:
    """The bytes of a request, read once and in order, never held as a whole.

    The first read answers a pending ``Expect`` with ``100 Continue``: a handler that replies
    without reading refuses the body before the client has sent it.
    """

    def __init__(
        self, stream: BinaryIO, connection: socket.socket, *, length: int | None, expects: bool
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._chunked = length is None
        self._left = length or 0
        self._expects = expects
        self._ended = length == 0
        self.received = 0
        self.failed = False

    @property
    def ended(self) -> bool:
        """Whether every byte has been read."""
        return self._ended

    @property
    def asked_for(self) -> bool:
        """Whether the client was told to send (or needed no telling)."""
        return not self._expects

    def allow(self) -> None:
        """Tell a client that waits for it to go on."""
        if self._expects:
            self._expects = False
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def idle_timeout(self, seconds: float) -> None:
        """How long one read may wait for bytes."""
        self._connection.settimeout(seconds)

    def read(self, size: int = 65536) -> bytes:
        """At most ``size`` bytes, empty at the end of the body."""
        if self._ended:
            return b""
        try:
            self.allow()
            data = self._read_chunked(size) if self._chunked else self._read_plain(size)
        except (OSError, ValueError) as error:
            self.failed = True
            raise BodyBroken(f"reading the body failed: {error}") from error
        self.received += len(data)
        return data

    def read_all(self, limit: int) -> bytes:
        """The whole body of a small request."""
        pieces, size = [], 0
        while data := self.read():
            size += len(data)
            if size > limit:
                raise BadRequest(f"a body of more than {limit} bytes")
            pieces.append(data)
        return b"".join(pieces)

    def _read_plain(self, size: int) -> bytes:
        data: bytes = self._stream.read1(min(size, self._left))  # type: ignore[attr-defined]
        if not data:
            raise ValueError("receive body don't equal with body bytes")
        self._left -= len(data)
        self._ended = self._left == 0
        return data

    def _read_chunked(self, size: int) -> bytes:
        if not self._left:
            line = self._stream.readline(MAX_LINE)
            if not line.endswith(b"\n"):
                raise ValueError("the body ended within a chunk header")
            self._left = int(line.split(b";")[0].strip(), 16)
            if not self._left:
                while self._stream.readline(MAX_LINE).strip():
                    pass
                self._ended = True
                return b""
        data: bytes = self._stream.read1(min(size, self._left))  # type: ignore[attr-defined]
        if not data:
            raise ValueError("the body ended within a chunk")
        self._left -= len(data)
        if not self._left and self._stream.readline(MAX_LINE).strip():
            raise ValueError("a chunk is longer than announced")
        return data


@dataclass(frozen=True)
class Request:
    """One request; ``segments`` are the decoded parts of its path."""

    method: str
    target: str
    path: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Headers
    body: Body
    peer: str

    @property
    def raw_query(self) -> str:
        """The query string as it was sent."""
        return self.target.partition("?")[2]


@dataclass(frozen=True)
class Response:
    """An answer; faults may cut it short or slow it down."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
    keep_bytes: int | None = field(default=None)

    def encode(self, *, head_only: bool, close: bool) -> bytes:
        """The bytes on the wire."""
        reason = _REASONS.get(self.status, "Unknown")
        lines = [
            f"HTTP/1.1 {self.status} {reason}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Connection: {'close' if close else 'keep-alive'}",
        ]
        head = "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n"
        wire = head if head_only else head + self.body
        return wire if self.keep_bytes is None else wire[: len(head) + self.keep_bytes]


def json_response(value: Any, *, status: int = 200, pretty: bool = False) -> Response:
    """A JSON answer; the backend's replies are indented and end in a newline (P 2.1)."""
    if pretty:
        text = json.dumps(value, ensure_ascii=False, indent=4) + "\n"
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return Response(status=status, body=text.encode("utf-8"))


def text_response(text: str, *, status: int = 200) -> Response:
    """A plain text answer."""
    return Response(
        status=status, body=text.encode("utf-8", "replace"), content_type="text/plain;charset=utf-8"
    )


def read_request(stream: BinaryIO, connection: socket.socket, peer: str) -> Request | None:
    """Read the head of the next request; None when the client has closed."""
    line = stream.readline(MAX_LINE)
    while line in (b"\r\n", b"\n"):
        line = stream.readline(MAX_LINE)
    if not line:
        return None
    parts = _text(line).split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest("not an HTTP/1.1 request line")
    method, target = parts[0], parts[1]
    headers = _read_headers(stream)
    split = urllib.parse.urlsplit(target)
    path = split.path or "/"
    segments = tuple(urllib.parse.unquote(part) for part in path.split("/") if part)
    query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
    body = Body(
        stream,
        connection,
        length=_body_length(headers),
        expects=headers.get("expect").lower() == "100-continue",
    )
    return Request(method, target, path, segments, query, headers, body, peer)


def _body_length(headers: Headers) -> int | None:
    """The number of body bytes, None when they come in chunks."""
    if headers.get("transfer-encoding").lower() == "chunked":
        return None
    text = headers.get("content-length", "0").strip()
    if not text.isdigit():
        raise BadRequest(f"Content-Length {text!r} is not a number")
    return int(text)


def _read_headers(stream: BinaryIO) -> Headers:
    pairs: list[tuple[str, str]] = []
    while True:
        line = stream.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            raise BadRequest("the head ended early")
        if line in (b"\r\n", b"\n"):
            return Headers(pairs)
        if len(pairs) >= MAX_HEADERS:
            raise BadRequest("too many header fields")
        name, colon, value = _text(line).partition(":")
        if not colon or not name.strip():
            raise BadRequest("a header line without a name")
        pairs.append((name.strip(), value.strip()))


def _text(line: bytes) -> str:
    line = line.rstrip(b"\r\n")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
