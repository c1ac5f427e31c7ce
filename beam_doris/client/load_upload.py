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
"""One attempt to send one load: find a backend, send the head, then the body, read the answer.

Two steps, because a frontend does not read the body (P 2.1): an empty PUT with all the load's
headers brings the 307; then the same headers go to the backend that it names, and the body follows
when that backend has said `100 Continue`, which it does after it has begun the transaction. What
is wrong with the headers is thus known before any byte of the body has left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from beam_doris.client.byte_stream import Bytes, ConnectionLost
from beam_doris.client.contracts import LoadRequest
from beam_doris.client.deadline import Deadline
from beam_doris.client.frontend import Frontend
from beam_doris.client.http_wire import HttpReply
from beam_doris.client.load_reply import LoadReply
from beam_doris.client.nodes import NodeRing
from beam_doris.client.push_connection import PushConnection
from beam_doris.client.urls import Target, path_of
from beam_doris.errors import (
    ConnectError,
    DeadlineExceeded,
    DorisError,
    OutcomeUnknownError,
    ProtocolError,
    ServerBusy,
)
from beam_doris.options.connection import LoadRoute, Node

logger = logging.getLogger(__name__)

_PIECE = 1 << 20
_CONTINUE_WAIT = 1.0  # seconds for "100 Continue"; a peer that never says it gets the body anyway
_BACKENDS_FRESH = 30.0  # seconds that a list of backends is believed


class Refusal(Exception):
    """A frontend answered a load by itself; carries its answer to the caller."""

    def __init__(self, reply: HttpReply) -> None:
        super().__init__("refused by the frontend")
        self.reply = reply


class Router:
    """Finds the backend for the next attempt; safe to share between threads.

    By configuration: fixed backends, else the frontends' redirect, else the list of backends.
    """

    def __init__(self, frontend: Frontend) -> None:
        self._frontend = frontend
        self._connection = frontend.connection
        self._clock = frontend.http.clock
        self._lock = threading.Lock()
        self._backends: NodeRing | None = None
        self._listed_at = 0.0
        if self._connection.backends:
            self._backends = NodeRing(self._connection.backends, clock=self._clock)

    def locate(self, path: str, headers: Mapping[str, str], deadline: Deadline) -> Target:
        """The backend to send the body to.

        Raises:
            Refusal: the frontend did not redirect.
            ConnectError: no frontend could be reached.
        """
        if self._connection.backends or not self._connection.auto_redirect:
            return Target(node=self._ring(deadline).next(), path=path, tls=False)
        failure: ConnectError | None = None
        for node in self._frontend.ring.candidates():
            try:
                target = self._redirect_of(
                    Target(node=node, path=path, tls=False), headers, deadline
                )
            except ConnectError as error:
                logger.info("frontend %s does not answer: %s", node, error.message)
                self._frontend.ring.failed(node)
                failure = error
                deadline.check("finding a backend", host=node)
            else:
                self._frontend.ring.succeeded(node)
                return target
        assert failure is not None
        raise failure

    def _redirect_of(self, asked: Target, headers: Mapping[str, str], deadline: Deadline) -> Target:
        way = self._frontend.http.ask_the_way("PUT", asked, headers, deadline)
        if isinstance(way, Target):
            return way
        raise Refusal(way)

    def failed(self, node: Node) -> None:
        """The backend did not take the load."""
        with self._lock:
            if self._backends is not None:
                self._backends.failed(node)

    def succeeded(self, node: Node) -> None:
        """The backend answered."""
        with self._lock:
            if self._backends is not None:
                self._backends.succeeded(node)

    def _ring(self, deadline: Deadline) -> NodeRing:
        with self._lock:
            ring = self._backends
            fresh = self._connection.backends or self._clock() - self._listed_at < _BACKENDS_FRESH
        if ring is not None and fresh:
            return ring
        nodes = tuple(
            self._connection.mapped(backend.node)
            for backend in self._frontend.backends(deadline=deadline)
        )
        if not nodes:
            raise ServerBusy("no backend is alive", hint="check SHOW BACKENDS")
        with self._lock:
            self._listed_at = self._clock()
            if self._backends is None or set(self._backends.nodes) != set(nodes):
                self._backends = NodeRing(nodes, clock=self._clock)
            return self._backends


class LostAnswer(OutcomeUnknownError):
    """The attempt may or may not have reached its goal.

    Args:
        complete: Whether the whole body had been sent: only then can it have.
    """

    def __init__(self, message: str, *, complete: bool = False, **where: object) -> None:
        super().__init__(message, **where)  # type: ignore[arg-type]
        self.complete = complete


class Upload:
    """A load on its way to one backend; used by one thread.

    Args:
        connection: A connection whose request head has been sent, owned from now on.
        request: The load.
        deadline: For everything.
    """

    def __init__(
        self, connection: PushConnection, request: LoadRequest, deadline: Deadline
    ) -> None:
        self.node = connection.node
        self._connection = connection
        self._request = request
        self._deadline = deadline
        self._failure: DorisError | None = None
        self._answered = False
        self._complete = False

    @property
    def answered(self) -> bool:
        """Whether the backend has answered before the end of the body."""
        return self._answered

    @property
    def complete(self) -> bool:
        """Whether the whole body was sent."""
        return self._complete

    def await_continue(self) -> None:
        """Waits for the backend to want the body, or to answer already."""
        try:
            self._answered = self._connection.answered(
                min(_CONTINUE_WAIT, self._deadline.remaining()), self._deadline
            )
        except (ConnectionLost, DeadlineExceeded, ProtocolError) as error:
            self._failure = error

    def send(self, chunk: Bytes) -> bool:
        """Sends a piece of the body.

        Returns:
            False when sending more is pointless: the backend has answered, or is gone. `finish`
            tells which.
        """
        view = memoryview(chunk).cast("B")
        for start in range(0, len(view), _PIECE):
            if self._answered or self._failure is not None:
                return False
            try:
                if self._connection.answered(0.0, self._deadline):
                    self._answered = True
                    return False
                self._connection.send(view[start : start + _PIECE], self._deadline)
            except (ConnectionLost, DeadlineExceeded, ProtocolError) as error:
                self._failure = error
                return False
        return self._failure is None and not self._answered

    def finish(self) -> LoadReply:
        """Ends the body, reads the answer and closes the connection.

        Raises:
            LostAnswer: there is no answer that can be read.
            AuthError: a 401 or 403.
        """
        try:
            if self._failure is None and not self._answered:
                self._connection.end_body(self._deadline)
                self._complete = True
            if self._failure is not None:
                rescued = self._rescued()
                if rescued is None:
                    raise self._failure
                return LoadReply.parse(rescued)
            return LoadReply.parse(self._connection.answer(self._deadline))
        except (ConnectionLost, DeadlineExceeded, ProtocolError, ServerBusy) as error:
            # an HTTP 5xx may come from a proxy, with the backend going on behind it
            raise LostAnswer(
                "the answer of a stream load was lost",
                complete=self._complete,
                table=self._request.table,
                label=self._request.label,
                host=self.node,
                cause=error,
            ) from error
        finally:
            self._connection.close()

    def _rescued(self) -> HttpReply | None:
        if isinstance(self._failure, ConnectionLost) and not self._deadline.expired:
            return self._connection.rescued_answer(self._deadline)
        return None

    def fail(self, error: DorisError) -> None:
        """Takes note that the head could not be sent whole."""
        self._failure = error

    def close(self) -> None:
        """Cuts the connection: a body that has not ended can never be loaded."""
        self._connection.close()


def load_path(request: LoadRequest) -> str:
    """The path of a load, the same on frontends and backends."""
    return path_of("api", request.table.database, request.table.table, "_stream_load")


def load_headers(request: LoadRequest, route: LoadRoute) -> dict[str, str]:
    """All headers of a load but the body's length and the credentials."""
    names = {name.lower() for name in request.headers}
    headers = {"Expect": "100-continue"}
    # what the user says of one load counts more
    headers.update((name, value) for name, value in route.headers().items() if name not in names)
    if request.label is not None:
        headers["label"] = request.label
    if request.two_phase:
        headers["two_phase_commit"] = "true"
    if request.gzip:
        headers["compress_type"] = "gz"
    if "timeout" not in names:
        # the server gives up when we do: no transaction outlives its client by long
        seconds = int(request.deadline.total_seconds()) + 1
        headers["timeout"] = str(max(1, min(259200, seconds)))
    headers.update(request.headers)
    return headers


def begin_upload(
    router: Router,
    frontend: Frontend,
    request: LoadRequest,
    length: int | None,
    deadline: Deadline,
) -> Upload:
    """Starts an attempt.

    Args:
        router: Finds the backend.
        frontend: Whose HTTP client is used.
        request: The load.
        length: Of the body; None when it is not known yet.
        deadline: For the whole load.

    Raises:
        Refusal: a frontend answered the load by itself.
        ConnectError: nothing was sent to any backend.
    """
    path = load_path(request)
    headers = load_headers(request, frontend.connection.load_route)
    target = router.locate(path, headers, deadline)
    framing = (
        {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    )
    try:
        connection = frontend.http.dedicated(target, deadline)
    except ConnectError:
        router.failed(target.node)
        raise
    upload = Upload(connection, request, deadline)
    try:
        sent = frontend.http.headers({**headers, **framing})
        connection.start("PUT", target.path, sent, deadline)
    except (ConnectionLost, DeadlineExceeded) as error:
        upload.fail(error)
        return upload
    except BaseException:
        connection.close()
        raise
    upload.await_continue()
    return upload
