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
"""Statements over the MySQL protocol: small results, DDL, lookups."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import pymysql
from pymysql.constants import FIELD_TYPE

from beam_doris.client.byte_stream import (
    Bytes,
    ByteStream,
    ConnectionLost,
    Connector,
    SocketConnector,
)
from beam_doris.client.contracts import QueryRows
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.frontend import Frontend
from beam_doris.client.nodes import NodeRing
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.server_messages import cleaned, error_of
from beam_doris.client.sql_nodes import sql_nodes
from beam_doris.errors import (
    AuthError,
    ConnectError,
    DeadlineExceeded,
    DorisError,
    NotFoundError,
    OutcomeUnknownError,
    QueryError,
)
from beam_doris.options.connection import DorisConnection, Node

logger = logging.getLogger(__name__)

Parameters = Sequence[object] | Mapping[str, object]

_TYPE_NAMES: dict[object, str] = {
    value: name for name, value in vars(FIELD_TYPE).items() if isinstance(value, int)
}
_KINDS: dict[int, type[DorisError]] = {
    1044: AuthError,
    1045: AuthError,
    1142: AuthError,
    1227: AuthError,
    1049: NotFoundError,
    1051: NotFoundError,
    1054: NotFoundError,
    1146: NotFoundError,
}
_LOST = frozenset({2003, 2006, 2013, 2055})


class SqlClient:
    """One SQL session; used by one thread at a time, connected when first needed.

    The frontends are taken from `jdbc_url` or `query_port`, else asked for. A statement that only
    reads is repeated on another frontend when the connection breaks; any other never is.

    Args:
        connection: Addresses, credentials, timeouts, retries.
        database: The session's database.
        frontend: To ask for the SQL port; one of its own by default.
        transport: How connections are made; sockets by default.
        retry: How often and how fast to repeat.
        clock: Monotonic seconds.

    Example:
        >>> with SqlClient(connection) as sql:
        ...     rows = sql.query("SELECT name FROM test.student WHERE id = %s", [1]).rows
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        database: str | None = None,
        frontend: Frontend | None = None,
        transport: Connector | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.connection = connection
        self._database = database
        self._frontend = frontend
        self._transport = transport
        self._connect = transport or SocketConnector(connection.timeouts.query.total_seconds())
        self._retry = retry or RetryPolicy(retries=connection.retries)
        self._clock = clock
        self._ring: NodeRing | None = None
        self._session: _Session | None = None

    def query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        deadline: Deadline | None = None,
    ) -> QueryRows:
        """Runs a statement that reads, and returns all of its rows.

        Args:
            sql: The statement, with `%s` or `%(name)s` for parameters.
            parameters: Their values, escaped by the client.
            deadline: For the statement with its repetitions; the query timeout by default.

        Raises:
            QueryError: the server refused it.
        """
        deadline = self._default(deadline)
        return self._retry.call(
            lambda _attempt: self._run(sql, parameters, deadline), deadline, "query"
        )

    def execute(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        deadline: Deadline | None = None,
    ) -> int:
        """Runs a statement that changes something.

        Returns:
            The number of rows it changed, as far as the server tells.

        Raises:
            QueryError: the server refused it.
            OutcomeUnknownError: the answer was lost; it may have been executed.
        """
        deadline = self._default(deadline)
        session = self._retry.call(lambda _attempt: self._opened(deadline), deadline, "connect")
        try:
            return self._run(sql, parameters, deadline).affected
        except (ConnectionLost, DeadlineExceeded) as error:
            raise OutcomeUnknownError(
                "the answer to a statement was lost; it may have been executed",
                host=session.node,
                cause=error,
            ) from error

    def _run(self, sql: str, parameters: Parameters | None, deadline: Deadline) -> QueryRows:
        session = self._opened(deadline)
        try:
            return session.run(sql, parameters, deadline)
        except (ConnectError, DeadlineExceeded):
            # half an answer may be left on the wire
            self.close_session()
            raise

    def _opened(self, deadline: Deadline) -> _Session:
        if self._session is not None and self._session.stale:
            self.close_session()
        if self._session is None:
            self._session = self._open(deadline)
        return self._session

    def _open(self, deadline: Deadline) -> _Session:
        ring = self._nodes(deadline)
        failure: ConnectError | None = None
        timeout = self.connection.timeouts.connect.total_seconds()
        for node in ring.candidates():
            try:
                stream = self._connect(node, tls=False, timeout=timeout, deadline=deadline)
                session = _Session(stream, node, self.connection, self._database, deadline)
            except ConnectError as error:
                logger.info("frontend %s does not answer: %s", node, error.message)
                ring.failed(node)
                failure = error
            else:
                ring.succeeded(node)
                return session
        assert failure is not None
        raise failure

    def _nodes(self, deadline: Deadline | None = None) -> NodeRing:
        if self._ring is None:
            nodes = self._discover(deadline)
            if not nodes:
                raise NotFoundError(
                    "the SQL port of the frontends is not known",
                    hint="give jdbc_url or query_port (9030 by default)",
                )
            self._ring = NodeRing(nodes, clock=self._clock)
        return self._ring

    def _discover(self, deadline: Deadline | None) -> tuple[Node, ...]:
        if self.connection.sql_nodes:
            return self.connection.sql_nodes
        if self._frontend is not None:
            return sql_nodes(self.connection, self._frontend, deadline)
        with Frontend(self.connection, transport=self._transport, clock=self._clock) as frontend:
            return sql_nodes(self.connection, frontend, deadline)

    def _default(self, deadline: Deadline | None) -> Deadline:
        return deadline or Deadline.after(self.connection.timeouts.query, self._clock)

    def close_session(self) -> None:
        """Ends the session; the next statement begins another."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def close(self) -> None:
        """Ends the session."""
        self.close_session()

    def __enter__(self) -> SqlClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SqlClient of {self._session.node if self._session else 'no frontend yet'}>"


class _Session:
    """One authenticated connection."""

    def __init__(
        self,
        stream: ByteStream,
        node: Node,
        connection: DorisConnection,
        database: str | None,
        deadline: Deadline,
    ) -> None:
        self.node = node
        self._stream = stream
        self._socket = _StreamSocket(stream, node, deadline)
        user, password = connection.credentials()
        try:
            with _mapped(node):
                self._mysql = pymysql.connections.Connection(
                    user=user,
                    password=password,
                    host=node.host,
                    port=node.port,
                    database=database,
                    charset="utf8mb4",
                    autocommit=True,
                    defer_connect=True,
                )
                self._mysql.connect(self._socket)  # type: ignore[arg-type]
        except BaseException:
            stream.close()
            raise

    @property
    def stale(self) -> bool:
        """Whether the server hung up while the session was idle."""
        return self._stream.readable(0)

    def run(self, sql: str, parameters: Parameters | None, deadline: Deadline) -> QueryRows:
        self._socket.deadline = deadline
        with _mapped(self.node), self._mysql.cursor() as cursor:
            cursor.execute(sql, parameters)
            if not cursor.description:
                return QueryRows(affected=max(0, cursor.rowcount))
            return QueryRows(
                columns=tuple(column[0] for column in cursor.description),
                types=tuple(_TYPE_NAMES.get(column[1], "") for column in cursor.description),
                rows=tuple(cursor.fetchall()),
                affected=max(0, cursor.rowcount),
                scales=tuple(int(column[5] or 0) for column in cursor.description),
            )

    def close(self) -> None:
        self._socket.deadline = self._socket.deadline.within(0.5)
        with contextlib.suppress(pymysql.MySQLError, DorisError, OSError, ValueError):
            self._mysql.close()
        self._stream.close()


@contextlib.contextmanager
def _mapped(node: Node) -> Iterator[None]:
    """Turns the library's errors into ours; those of the byte stream pass as they are."""
    try:
        yield
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else None
        text = str(error.args[1] if len(error.args) > 1 else error)
        if code in _LOST:
            raise ConnectionLost(f"{node} hung up", host=node, cause=cleaned(text)) from error
        mapped = error_of(text, _KINDS.get(code or 0, QueryError), "statement refused", host=node)
        if isinstance(mapped, QueryError):
            mapped.code = code
        raise mapped from error
    except (ValueError, TypeError, KeyError, IndexError) as error:
        # parameters that do not fit the statement, or values without a literal form
        raise QueryError(
            "the statement could not be put together", host=node, cause=type(error).__name__
        ) from error


class _StreamSocket:
    """The part of a socket that the MySQL library uses, on a byte stream with deadlines."""

    def __init__(self, stream: ByteStream, node: Node, deadline: Deadline) -> None:
        self.deadline = deadline
        self._stream = stream
        self._node = node

    def settimeout(self, seconds: float | None) -> None:
        """The deadline alone counts."""

    def setsockopt(self, *_: Any) -> None:
        """Set already where the connection was made."""

    def sendall(self, data: Bytes) -> None:
        self._stream.send(data, self.deadline)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_RawReader(self))

    def receive(self, limit: int) -> bytes:
        return self._stream.receive(limit, self.deadline)

    def close(self) -> None:
        self._stream.close()


class _RawReader(io.RawIOBase):
    def __init__(self, sock: _StreamSocket) -> None:
        super().__init__()
        self._socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._socket.receive(len(buffer))
        buffer[: len(data)] = data
        return len(data)
