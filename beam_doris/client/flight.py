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
"""Reading query results over Arrow Flight SQL (P 6).

A query is executed by GetFlightInfo, and its rows are fetched once from each endpoint, which may
be other nodes; what is lost on the way cannot be fetched again, only queried again (trap 44). A
session counts against the user's connections until it is closed, so it always is.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Generator, Iterator
from queue import Empty, Queue
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.flight as pf

from beam_doris.client.batch_queue import BatchQueue
from beam_doris.client.contracts import FlightOptions
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.flight_errors import flight_errors
from beam_doris.client.flight_sql import endpoint_node, statement_query, tablet_query
from beam_doris.client.flight_stalls import StallGuard, begun
from beam_doris.client.frontend import Frontend
from beam_doris.client.nodes import NodeRing
from beam_doris.client.sql_nodes import flight_nodes
from beam_doris.errors import (
    ConnectError,
    DeadlineExceeded,
    DorisError,
    NotFoundError,
    ProtocolError,
)
from beam_doris.options.connection import DorisConnection, Node

__all__ = ["FlightSession", "tablet_query"]

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0


class FlightSession:
    """One Flight SQL session on a frontend; used by one thread at a time.

    Args:
        connection: Addresses, credentials, timeouts; the Flight port is asked for if not given.
        options: How results are fetched.
        frontend: To ask for the Flight port; one of its own by default.
        clock: Monotonic seconds.

    Example:
        >>> with FlightSession(connection) as session:
        ...     for batch in session.query("SELECT * FROM test.student"):
        ...         print(batch.num_rows)
    """

    def __init__(
        self,
        connection: DorisConnection,
        options: FlightOptions | None = None,
        *,
        frontend: Frontend | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.connection = connection
        self.options = options or FlightOptions()
        self._frontend = frontend
        self._clock = clock
        self._ring: NodeRing | None = None
        self._node: Node | None = None
        self._client: pf.FlightClient | None = None
        self._token: tuple[bytes, bytes] | None = None
        # of the other nodes that rows came from: a connection that is warm is faster than a new one
        self._peers: dict[Node, pf.FlightClient] = {}
        self._peers_lock = threading.Lock()

    def query(self, sql: str, *, deadline: Deadline | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a query, as the batches come over the wire.

        The result is a generator: exhaust it or close it; the session stays open for another query.

        Args:
            sql: Any statement that returns rows, or one that returns none, such as SET.
            deadline: For the query as a whole; the query timeout by default.

        Raises:
            AuthError: user or password were refused.
            QueryError: the server refused the statement.
            ConnectError: a node is gone; rows may have come out before.
            DeadlineExceeded: not in time.
        """
        deadline = deadline or Deadline.after(self.connection.timeouts.query, self._clock)
        endpoints = list(self._info(sql, deadline).endpoints)
        if self.options.parallel and len(endpoints) > 1:
            yield from _Parallel(self, endpoints, deadline).batches()
            return
        for endpoint in endpoints:
            yield from self.fetch(endpoint, deadline)

    def schema(self, sql: str, *, deadline: Deadline | None = None) -> pa.Schema:
        """The columns of a query's rows, which are not fetched; the query is executed all the same.

        Raises:
            QueryError: the server refused the statement.
        """
        deadline = deadline or Deadline.after(self.connection.timeouts.query, self._clock)
        info = self._info(sql, deadline)
        found = info.schema
        for endpoint in info.endpoints:
            for _ in self.fetch(endpoint, deadline):
                pass
        return found

    def _info(self, sql: str, deadline: Deadline) -> Any:
        self._open(deadline)
        assert self._client is not None
        assert self._node is not None
        descriptor = pf.FlightDescriptor.for_command(statement_query(sql))
        stall = self.options.stall
        within = deadline if stall is None else deadline.within(stall)
        with flight_errors(self._node, "query"):
            return self._client.get_flight_info(descriptor, self._call(within, token=True))

    def fetch(
        self, endpoint: Any, deadline: Deadline, stop: threading.Event | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of one endpoint, from the first of its locations that answers."""
        assert self._client is not None
        assert self._node is not None
        locations = [location.uri.decode() for location in endpoint.locations]
        nodes = [endpoint_node(uri, self._node, self.connection) for uri in locations] or [None]
        failure: ConnectError | None = None
        for node in nodes:
            started = False
            try:
                for batch in self._rows(endpoint.ticket, node, deadline, stop):
                    started = True
                    yield batch
            except ConnectError as error:
                self._forget(node)
                if started:
                    raise
                failure = error
            else:
                return
        assert failure is not None
        raise failure

    def _rows(
        self, ticket: Any, node: Node | None, deadline: Deadline, stop: threading.Event | None
    ) -> Iterator[pa.RecordBatch]:
        assert self._client is not None
        assert self._node is not None
        peer = node or self._node
        with contextlib.ExitStack() as stack:
            client = self._client if node is None else self._peer(node)
            with flight_errors(peer, "rows"):
                # a backend asks for no credentials, so it is not told any (P 6.2)
                call = self._call(deadline, token=node is None)
                reader = begun(lambda: client.do_get(ticket, call), peer, self.options.stall)
            stack.callback(_cancel, reader)
            guard = stack.enter_context(StallGuard(reader, peer, self.options.stall, self._clock))
            while stop is None or not stop.is_set():
                with guard.watched(), flight_errors(peer, "rows"):
                    try:
                        chunk = reader.read_chunk()
                    except StopIteration:
                        return
                if chunk.data is not None and chunk.data.num_rows:
                    yield chunk.data

    def _peer(self, node: Node) -> pf.FlightClient:
        with self._peers_lock:
            if node not in self._peers:
                self._peers[node] = self._connect(node)
            return self._peers[node]

    def _forget(self, node: Node | None) -> None:
        with self._peers_lock:
            client = None if node is None else self._peers.pop(node, None)
        if client is not None:
            client.close()

    # -- session

    def _open(self, deadline: Deadline) -> None:
        if self._client is not None:
            return
        ring = self._nodes(deadline)
        failure: DorisError | None = None
        timeouts = self.connection.timeouts
        for node in ring.candidates():
            client = self._connect(node)
            try:
                wait = deadline.within(timeouts.connect + timeouts.read)
                self._token = self._login(client, node, wait)
            except (ConnectError, DeadlineExceeded) as error:
                client.close()
                ring.failed(node)
                logger.info("frontend %s does not answer: %s", node, error.message)
                failure = error
                deadline.check("connecting over Arrow Flight", host=node)
            except BaseException:
                client.close()
                raise
            else:
                ring.succeeded(node)
                self._client, self._node = client, node
                break
        else:
            assert failure is not None
            raise failure
        if self.options.parallel:
            self._switch_on_parallel(deadline)

    def _login(
        self, client: pf.FlightClient, node: Node, deadline: Deadline
    ) -> tuple[bytes, bytes]:
        user, password = self.connection.credentials()
        options = pf.FlightCallOptions(timeout=deadline.cap(3600.0, "connecting"))
        with flight_errors(node, "login"):
            token = client.authenticate_basic_token(user, password, options)
        if not token or not token[1]:
            raise ProtocolError("a login without a token", host=node)
        return bytes(token[0]), bytes(token[1])

    def _switch_on_parallel(self, deadline: Deadline) -> None:
        try:
            for _ in self.query("SET enable_parallel_result_sink = true", deadline=deadline):
                pass
        except DorisError as error:
            if error.retryable:
                raise
            logger.info("%s gives one endpoint per query: %s", self._node, error.message)

    def _connect(self, node: Node) -> pf.FlightClient:
        return pf.FlightClient(
            f"grpc+tcp://{node}",
            generic_options=[("grpc.max_receive_message_length", self.options.max_message_bytes)],
        )

    def _call(self, deadline: Deadline, *, token: bool) -> pf.FlightCallOptions:
        headers = [self._token] if token and self._token else []
        return pf.FlightCallOptions(timeout=deadline.cap(1e6, "a Flight call"), headers=headers)

    def _nodes(self, deadline: Deadline | None = None) -> NodeRing:
        if self._ring is None:
            nodes = self._discover(deadline)
            if not nodes:
                raise NotFoundError(
                    "no frontend offers Arrow Flight",
                    hint="switch it on (arrow_flight_sql_port), give flight_port, or read by Thrift",
                )
            self._ring = NodeRing(nodes, clock=self._clock)
        return self._ring

    def _discover(self, deadline: Deadline | None) -> tuple[Node, ...]:
        if self._frontend is not None:
            return flight_nodes(self.connection, self._frontend, deadline)
        with Frontend(self.connection, clock=self._clock) as frontend:
            return flight_nodes(self.connection, frontend, deadline)

    def close(self) -> None:
        """Ends the session on the server, then the connection; never raises for the network."""
        for node in list(self._peers):
            self._forget(node)
        client, self._client = self._client, None
        if client is None:
            return
        options = pf.FlightCallOptions(
            timeout=_CLOSE_SECONDS, headers=[self._token] if self._token else []
        )
        try:
            with contextlib.suppress(pa.ArrowException, OSError):
                list(client.do_action(pf.Action("CloseSession", b""), options))
        finally:
            client.close()

    def __enter__(self) -> FlightSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<FlightSession {'on ' + str(self._node) if self._client else 'not open'}>"


def _cancel(reader: Any) -> None:
    with contextlib.suppress(pa.ArrowException, OSError):
        reader.cancel()


class _End:
    """How a fetching thread ended."""

    def __init__(self, error: DorisError | None) -> None:
        self.error = error


class _Parallel:
    """Several endpoints fetched at once, through a queue that is bounded in batches and bytes."""

    def __init__(self, session: FlightSession, endpoints: list[Any], deadline: Deadline) -> None:
        options = session.options
        workers = min(options.max_parallel, len(endpoints))
        self._session = session
        self._deadline = deadline
        self._stop = threading.Event()
        self._todo: Queue[Any] = Queue()
        for endpoint in endpoints:
            self._todo.put(endpoint)
        self._ready: BatchQueue[_End] = BatchQueue(
            workers * options.prefetch_batches, options.prefetch_bytes
        )
        self._threads = [
            threading.Thread(target=self._work, name=f"flight-{number}", daemon=True)
            for number in range(workers)
        ]

    def batches(self) -> Iterator[pa.RecordBatch]:
        for thread in self._threads:
            thread.start()
        running = len(self._threads)
        try:
            while running:
                item = self._ready.take(self._deadline.cap(60.0, "the query"))
                if item is None:
                    continue
                if isinstance(item, _End):
                    if item.error is not None:
                        raise item.error
                    running -= 1
                else:
                    yield item
        finally:
            self._stop.set()
            self._ready.stop()
            for thread in self._threads:
                thread.join(timeout=_CLOSE_SECONDS)

    def _work(self) -> None:
        # what ends a thread in any other way than these two must not look like the end of the rows
        outcome: DorisError | None = ProtocolError("a thread that fetched rows ended unexpectedly")
        try:
            while not self._stop.is_set():
                try:
                    endpoint = self._todo.get_nowait()
                except Empty:
                    break
                self._fetch(endpoint)
            outcome = None
        except DorisError as error:
            outcome = error
        finally:
            self._ready.end(_End(outcome))

    def _fetch(self, endpoint: Any) -> None:
        rows = self._session.fetch(endpoint, self._deadline, self._stop)
        with contextlib.closing(rows) as batches:
            for batch in batches:
                if not self._ready.put(batch):
                    return
