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
"""Frontend and backend over HTTP: plans, redirects, and a drain for stream loads."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Mapping

_SINK = 1 << 20
_UNKNOWN = b'{"msg": "not canned", "code": 1, "data": null}'


class CannedHttp:
    """One port; every connection has a thread.

    Args:
        answers: JSON bodies by the last part of the path, for GET and POST.
        redirect: Where a PUT without a body is sent; None for a backend.
    """

    def __init__(self, answers: Mapping[str, bytes], redirect: int | None = None) -> None:
        self._answers = dict(answers)
        self._redirect = redirect
        self._ids = itertools.count(1)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        """Accepts connections until the process ends."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            peer, _ = self._listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        drain = _Drain(peer)
        with peer:
            try:
                while self._exchange(peer, drain):
                    pass
            except OSError:
                return

    def _exchange(self, peer: socket.socket, drain: _Drain) -> bool:
        head = drain.head()
        if head is None:
            return False
        method, path, headers = head
        if method == "PUT" and self._redirect is not None and "_stream_load_2pc" not in path:
            # as a frontend: answered without a look at the body, and hung up (P 2.1)
            where = f"http://127.0.0.1:{self._redirect}{path}"
            peer.sendall(_response("307 Temporary Redirect", b"", f"Location: {where}\r\n"))
            return headers.get("content-length", "") == "0"
        if headers.get("expect", "").lower() == "100-continue":
            peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        size = drain.body(headers)
        if method == "PUT":
            peer.sendall(_response("200 OK", self._loaded(path, headers, size)))
        else:
            name = path.partition("?")[0].rpartition("/")[2]
            peer.sendall(_response("200 OK", self._answers.get(name, _UNKNOWN)))
        return True

    def _loaded(self, path: str, headers: Mapping[str, str], size: int) -> bytes:
        if "_stream_load_2pc" in path:
            return b'{"status":"Success","msg":"transaction committed"}'
        return json.dumps(
            {
                "TxnId": next(self._ids),
                "Label": headers.get("label", ""),
                "TwoPhaseCommit": headers.get("two_phase_commit", "false"),
                "Status": "Success",
                "Message": "OK",
                "LoadBytes": size,
            }
        ).encode()


def _response(status: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


class _Drain:
    """Reads heads, and throws bodies away at the speed of the socket."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._ahead = b""
        self._sink = bytearray(_SINK)

    def head(self) -> tuple[str, str, dict[str, str]] | None:
        """Method, path and headers of the next request; None at the end."""
        while b"\r\n\r\n" not in self._ahead:
            if not self._more():
                return None
        text, _, self._ahead = self._ahead.partition(b"\r\n\r\n")
        first, *lines = text.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        return method, path, {name.strip().lower(): value.strip() for name, _, value in pairs}

    def body(self, headers: Mapping[str, str]) -> int:
        """Swallows a body; its length."""
        if headers.get("transfer-encoding", "").lower() != "chunked":
            length = int(headers.get("content-length", "0"))
            self._skip(length)
            return length
        total = 0
        while True:
            size = int(self._line().partition(b";")[0], 16)
            self._skip(size + 2)
            if not size:
                return total
            total += size

    def _line(self) -> bytes:
        while b"\r\n" not in self._ahead:
            if not self._more():
                raise ConnectionError("the peer hung up in a chunk's head")
        line, _, self._ahead = self._ahead.partition(b"\r\n")
        return line

    def _more(self) -> bool:
        data = self._peer.recv(4096)
        self._ahead += data
        return bool(data)

    def _skip(self, size: int) -> None:
        known = min(size, len(self._ahead))
        self._ahead, size = self._ahead[known:], size - known
        while size:
            got = self._peer.recv_into(self._sink, min(size, _SINK))
            if not got:
                raise ConnectionError("the peer hung up in a body")
            size -= got
