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
"""Small exchanges by `requests`, over our own byte streams.

Pooling, writing requests and reading answers are the libraries' job. Connecting and waiting stay
ours, because a timeout of `requests` bounds one read and not an exchange: a peer that sends a byte
a second would never run into it. So the connections of the pool are `ByteStream`s, and each of
their waits asks the deadline of the exchange. Errors of the libraries do not leave this module.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import BaseHTTPResponse, HTTPResponse

from beam_doris.client.byte_stream import ConnectionLost, Connector
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.http_wire import (
    PORT_HINT,
    HttpReply,
    StreamSocket,
    read_body,
    read_headers,
    wire_headers,
)
from beam_doris.client.urls import Target
from beam_doris.errors import ConfigError, ProtocolError
from beam_doris.options.connection import Node

_MAX_IDLE = 32  # connections kept per node
_IDLE_SECONDS = 20.0  # shorter than servers keep theirs, so that few are found closed

_deadline: ContextVar[Deadline] = ContextVar("_deadline")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """How nodes are connected to."""

    connect: Connector
    timeout: float
    clock: Clock


class _Connection(HTTPConnection):
    """A connection of the pool whose socket is a byte stream."""

    def __init__(self, host: str, *, target: Target, link: _Link, **options: Any) -> None:
        super().__init__(host, **options)
        self._target = target
        self._link = link
        self._used_at = 0.0

    @property
    def _stream_socket(self) -> StreamSocket | None:
        return cast("StreamSocket | None", self.sock)

    def connect(self) -> None:
        target, deadline = self._target, _deadline.get()
        stream = self._link.connect(
            target.node, tls=target.tls, timeout=self._link.timeout, deadline=deadline
        )
        self.sock = cast(socket.socket, StreamSocket(stream, target.node, deadline))

    def request(self, *arguments: Any, **options: Any) -> None:
        sock = self._stream_socket
        if sock is not None:
            sock.deadline = _deadline.get()
            sock.may_end = False
        super().request(*arguments, **options)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as its base
        sock = self._stream_socket
        assert sock is not None
        while sock.skip_interim():
            pass
        response = super().getresponse()
        self._used_at = self._link.clock()
        if response.length_remaining is None and not response.chunked:
            if "content-length" in response.headers:
                raise ProtocolError("the answer has an unreadable length", host=sock.node)
            sock.may_end = True
        return response

    @property
    def is_connected(self) -> bool:
        sock = self._stream_socket
        # idle for too long, closed by the peer, or with unasked bytes waiting
        fresh = self._link.clock() - self._used_at < _IDLE_SECONDS
        return sock is not None and fresh and not sock.readable(0)


class _Pool(HTTPConnectionPool):
    """Connections to one node, with TLS or without: that is the byte stream's matter."""

    ConnectionCls = _Connection


class _Exchange(requests.PreparedRequest):
    """A request that knows its node and how long it may take."""

    target: Target
    deadline: Deadline


class _Adapter(HTTPAdapter):
    """Sends over pools of byte streams."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link
        self._pools: dict[tuple[Node, bool], _Pool] = {}
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        assert isinstance(request, _Exchange)
        token = _deadline.set(request.deadline)
        try:
            answer: BaseHTTPResponse = self._pool(request.target).urlopen(
                request.method or "",
                request.path_url,
                body=cast(bytes, request.body),
                headers=cast("dict[str, str]", request.headers),
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        finally:
            _deadline.reset(token)
        return self.build_response(request, answer)

    def _pool(self, target: Target) -> _Pool:
        key = (target.node, target.tls)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                host, port = target.node.host, target.node.port
                pool = _Pool(host, port, maxsize=_MAX_IDLE, link=self._link, target=target)
                self._pools[key] = pool
            return pool

    def close(self) -> None:
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()
        super().close()


class _Session(requests.Session):
    """A session that does not even look where a redirect leads."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


class RequestsTransport:
    """Small exchanges with kept connections; safe to share between threads.

    Args:
        connect: Makes connections.
        timeout: For a connection to be made, in seconds.
        clock: Monotonic seconds.
    """

    def __init__(self, connect: Connector, timeout: float, clock: Clock) -> None:
        self._adapter = _Adapter(_Link(connect=connect, timeout=timeout, clock=clock))
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)
        self._closed = False

    def exchange(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        body: bytes,
        *,
        deadline: Deadline,
        max_bytes: int,
        truncate: bool,
    ) -> HttpReply:
        """One request and its answer, whatever it is.

        Raises:
            ConnectError: the node could not be reached, or hung up (`ConnectionLost`).
            DeadlineExceeded: no answer in time.
            ProtocolError: the answer is not HTTP, or too large.
        """
        request = _Exchange()
        request.target, request.deadline = target, deadline
        with _mapped(target.node):
            scheme = "https" if target.tls else "http"
            request.prepare(
                method=method,
                url=f"{scheme}://{target.node}{target.path}",
                headers=wire_headers(headers),
                data=body or None,
            )
            try:
                with self._session.send(
                    request, stream=True, allow_redirects=False, verify=True, cert=None, proxies={}
                ) as response:
                    return _reply(response, target.node, max_bytes, truncate)
            finally:
                if self._closed:
                    self._adapter.close()

    def close(self) -> None:
        """Closes the idle connections; those in use are closed after their exchange."""
        self._closed = True
        self._session.close()


def _reply(response: requests.Response, node: Node, max_bytes: int, truncate: bool) -> HttpReply:
    raw: HTTPResponse = response.raw
    body, truncated = read_body(
        lambda size: raw.read(size, decode_content=False),
        raw.length_remaining,
        max_bytes,
        truncate=truncate,
        node=node,
    )
    return HttpReply(
        status=response.status_code,
        headers=read_headers(raw.headers.iteritems()),
        body=body,
        truncated=truncated,
        node=node,
    )


@contextlib.contextmanager
def _mapped(node: Node) -> Iterator[None]:
    """Turns errors of the libraries into ours; our own pass through them untouched."""
    try:
        yield
    except urllib3.exceptions.ClosedPoolError:
        raise ConnectionLost("the client was closed", host=node) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader) as error:
        raise ConfigError(f"no request to {node} can be written: {error}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
        # what could not be read may be long: only its kind is told
        raise ProtocolError(
            "the exchange is not HTTP", host=node, hint=PORT_HINT, cause=type(error).__name__
        ) from None
