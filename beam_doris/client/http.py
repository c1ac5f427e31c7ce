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
"""HTTP to the nodes of one cluster: pooled connections, credentials, redirects by hand.

A redirect is never followed blindly. Its address is read, its user info dropped, its host mapped
and checked against the hosts of the cluster, and only then are the credentials from the
configuration sent there, with the very same headers (P 1.3, 2.1; traps 1 and 2). A library that
follows a 307 by itself loses the credentials at the changed port, or the part of the body that the
first hop has swallowed, under an HTTP 200.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Mapping
from types import TracebackType

from beam_doris.client.byte_stream import Connector, SocketConnector
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.envelopes import denies
from beam_doris.client.http_wire import HttpReply
from beam_doris.client.nodes import HostPolicy
from beam_doris.client.push_connection import PushConnection
from beam_doris.client.requests_transport import RequestsTransport
from beam_doris.client.urls import Target, redact_url
from beam_doris.errors import ConfigError, ProtocolError
from beam_doris.options.connection import DorisConnection, Node

logger = logging.getLogger(__name__)

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS = 3


class HttpClient:
    """Exchanges with the frontends and backends of one cluster; safe to share between threads.

    Args:
        connection: Addresses, credentials, timeouts.
        transport: How connections are made; sockets by default.
        hosts: Which hosts may be redirected to; by default the configured ones.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        transport: Connector | None = None,
        hosts: HostPolicy | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.connection = connection
        self.hosts = hosts or HostPolicy(connection)
        self.clock = clock
        self._connect = transport or SocketConnector(connection.timeouts.read.total_seconds())
        self._rest = RequestsTransport(
            self._connect, connection.timeouts.connect.total_seconds(), clock
        )
        self._authorization: str | None = None

    # -- one exchange

    def request(
        self,
        method: str,
        node: Node,
        path: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        authorize: bool = True,
        tls: bool = False,
        max_bytes: int = 64 << 20,
        truncate: bool = False,
    ) -> HttpReply:
        """One request with a small body; redirects within the cluster are followed.

        An answer larger than `max_bytes` is cut there with `truncate`, else refused.

        Raises:
            ConnectError: the node could not be reached, or hung up (`ConnectionLost`).
            DeadlineExceeded: no answer in time.
            ProtocolError: the answer is not HTTP, too large, or redirects to a stranger.
        """
        target = Target(node=node, path=path, tls=tls)
        for _ in range(_MAX_HOPS):
            reply = self._exchange(
                method,
                target,
                headers,
                authorize=authorize,
                body=body,
                deadline=deadline,
                max_bytes=max_bytes,
                truncate=truncate,
            )
            if reply.status not in REDIRECTS:
                return reply
            target = self.redirected(reply, target)
        raise ProtocolError("too many redirects", host=node)

    def ask_the_way(
        self, method: str, target: Target, headers: Mapping[str, str], deadline: Deadline
    ) -> Target | HttpReply:
        """Where a node sends a request without its body: the target, or its answer instead."""
        reply = self._exchange(method, target, headers, deadline=deadline)
        return self.redirected(reply, target) if reply.status in REDIRECTS else reply

    def _exchange(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str] | None,
        *,
        deadline: Deadline,
        authorize: bool = True,
        body: bytes = b"",
        max_bytes: int = 1 << 20,
        truncate: bool = False,
    ) -> HttpReply:
        """One request to one node; once more if it was refused and the password has changed."""
        renewable = authorize
        while True:
            given = self.authorization if authorize else ""
            reply = self._rest.exchange(
                method,
                target,
                self.headers(headers, authorize=authorize),
                body,
                deadline=deadline,
                max_bytes=max_bytes,
                truncate=truncate,
            )
            if not (renewable and denies(reply) and self.renewed(given)):
                return reply
            renewable = False
            logger.info("%s refused the credentials; asking again with fresh ones", target.node)

    def headers(
        self, headers: Mapping[str, str] | None = None, *, authorize: bool = True
    ) -> dict[str, str]:
        """Headers with the credentials added."""
        sent = dict(headers or {})
        if authorize:
            sent["Authorization"] = self.authorization
        return sent

    def redirected(self, reply: HttpReply, asked: Target) -> Target:
        """Where a redirect may lead.

        Raises:
            ProtocolError: no address, a stranger's, or one without TLS after one with it.
        """
        location = reply.headers.get("location")
        if not location:
            raise ProtocolError(
                f"a redirect (HTTP {reply.status}) without an address", host=asked.node
            )
        target = Target.parse(location)
        if asked.tls and not target.tls:
            raise ProtocolError(
                f"refused a redirect from TLS to plain HTTP at {target.node}", host=asked.node
            )
        node = self.hosts.check(target.node, asked.node)
        logger.debug("%s redirects to %s", asked.node, redact_url(location))
        return Target(node=node, path=target.path, tls=target.tls)

    # -- connections

    def dedicated(
        self, target: Target, deadline: Deadline, *, max_bytes: int = 1 << 20
    ) -> PushConnection:
        """A fresh connection for pushing one body, to be closed by the caller."""
        stream = self._connect(
            target.node,
            tls=target.tls,
            timeout=self.connection.timeouts.connect.total_seconds(),
            deadline=deadline,
        )
        return PushConnection(stream, target.node, deadline, max_bytes=max_bytes)

    @property
    def authorization(self) -> str:
        """The credentials as a header's value; the password is read once, until it is refused."""
        known = self._authorization
        if known is None:
            # P 1.2: UTF-8; split at the first colon by the server
            pair = ":".join(self.connection.credentials()).encode("utf-8")
            known = self._authorization = "Basic " + base64.b64encode(pair).decode("ascii")
        return known

    def renewed(self, refused: str) -> bool:
        """Whether there are other credentials than those refused: the password is read again."""
        if self._authorization == refused:
            self._authorization = None
        try:
            return self.authorization != refused
        except ConfigError:
            return False  # the place that it was kept in is gone: the refusal says more

    # -- life

    def close(self) -> None:
        """Closes the idle connections; those in use are closed after their exchange."""
        self._rest.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        frontends = ", ".join(str(node) for node in self.connection.frontends)
        return f"<HttpClient of {frontends}>"
