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
"""What a frontend can be asked over HTTP: schemas, plans, states, nodes, small queries."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote as percent

import orjson

from beam_doris.client.byte_stream import ConnectionLost, Connector
from beam_doris.client.contracts import (
    BackendInfo,
    FrontendInfo,
    LoadState,
    QueryPlan,
    QueryRows,
)
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.envelopes import unwrap, unwrap_status
from beam_doris.client.flight_sql import tablet_query
from beam_doris.client.http import HttpClient
from beam_doris.client.http_wire import HttpReply
from beam_doris.client.node_lists import backends_of, frontends_of
from beam_doris.client.nodes import HostPolicy, NodeRing
from beam_doris.client.query_plan import parse_plan
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.statements import (
    TransactionRecord,
    only_reads,
    query_rows_of,
    sql_text,
    transaction_of,
)
from beam_doris.client.table_schemas import schema_of, sequence_column
from beam_doris.client.urls import path_of
from beam_doris.errors import (
    AuthError,
    ConnectError,
    DeadlineExceeded,
    NotFoundError,
    OutcomeUnknownError,
    PermanentError,
    ProtocolError,
    QueryError,
    ServerBusy,
    TransientError,
)
from beam_doris.options.connection import DorisConnection, Node
from beam_doris.options.table_id import TableId, quote
from beam_doris.schema.table_schema import TableSchema

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_MAX_ANSWER = 512 << 20  # the plan of a table with a million tablets
_NAMESPACE = "default_cluster"
_LIST_FRESH = 30.0  # seconds that a list of frontends is believed


class Frontend:
    """The frontends of one cluster, asked in turn; safe to share between threads.

    Any frontend answers any call. One that cannot be reached is left alone for a while, and calls
    that change nothing go to the next.

    Args:
        connection: Addresses, credentials, timeouts, retries.
        transport: How connections are made; sockets by default.
        retry: How calls are repeated when no frontend could answer.
        clock: Monotonic seconds.

    Example:
        >>> with Frontend(connection) as frontend:
        ...     print(frontend.schema(TableId.parse("test.student")).names)
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        transport: Connector | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.connection = connection
        self.hosts = HostPolicy(connection, self._backend_hosts)
        self.http = HttpClient(connection, transport=transport, hosts=self.hosts, clock=clock)
        self.retry = retry or RetryPolicy(retries=connection.retries)
        self.ring = NodeRing(connection.frontends, clock=clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._listed: tuple[float, tuple[FrontendInfo, ...]] = (0.0, ())

    # -- tables

    def schema(self, table: TableId, *, deadline: Deadline | None = None) -> TableSchema:
        """The table's model and columns, with full types, nullability, keys and defaults.

        Raises:
            NotFoundError: no such database or table.
            AuthError: it may not be read.
        """
        deadline = self.default_deadline(deadline)
        what = f"schema of {table}"
        reply = self._get(self._table_path(table, "_schema"), deadline, what)
        rest = unwrap_status(reply, what, table=table)
        full = self._optional(f"SHOW FULL COLUMNS FROM {table.sql()}", table, deadline)
        create = self._optional(f"SHOW CREATE TABLE {table.sql()}", table, deadline)
        return schema_of(table, rest, full, create)

    def create_statement(self, table: TableId, *, deadline: Deadline | None = None) -> str:
        """What SHOW CREATE TABLE says."""
        rows = self.query(f"SHOW CREATE TABLE {table.sql()}", table.database, deadline=deadline)
        return str(rows.rows[0][1]) if rows.rows else ""

    def sequence_column(self, table: TableId, *, deadline: Deadline | None = None) -> str | None:
        """The column that decides between rows of equal keys; None without."""
        return sequence_column(self.create_statement(table, deadline=deadline))

    def plan(
        self,
        table: TableId,
        columns: Sequence[str],
        filter: str | None = None,
        *,
        partitions: Sequence[str] = (),
        deadline: Deadline | None = None,
    ) -> QueryPlan:
        """The tablets that hold matching rows, with pinned versions and the opaque plan.

        Args:
            table: A table of the internal catalog.
            columns: The columns to read, in order.
            filter: A predicate in Doris' SQL, without WHERE.
            partitions: Names of partitions; none for all.
            deadline: For the call with its repetitions.

        Raises:
            NotFoundError: no such database, table or column.
            QueryError: the server does not accept the statement.
        """
        deadline = self.default_deadline(deadline)
        what = f"query plan of {table}"
        body = orjson.dumps({"sql": plan_statement(table, columns, filter, partitions)})
        path = path_of("api", table.database, table.table, "_query_plan")
        reply = self._ask(
            lambda node: self.http.request(
                "POST",
                node,
                path,
                headers={"Content-Type": "application/json"},
                body=body,
                deadline=deadline,
                max_bytes=_MAX_ANSWER,
            ),
            deadline,
            what,
        )
        data = unwrap_status(reply, what, table=table)
        return parse_plan(table, tuple(columns), filter, data, host=reply.node)

    def count(self, table: TableId, *, deadline: Deadline | None = None) -> int:
        """About how many rows the table has; the server's own figure lags behind loads."""
        deadline = self.default_deadline(deadline)
        what = f"row count of {table}"
        data = unwrap_status(
            self._get(self._table_path(table, "_count"), deadline, what), what, table=table
        )
        try:
            return int(data["size"])
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"{what}: no size in the answer", table=table) from error

    # -- loads

    def load_state(
        self, database: str, label: str, *, deadline: Deadline | None = None
    ) -> LoadState:
        """The state of the newest transaction under a label; needs no special right (P 1.10)."""
        deadline = self.default_deadline(deadline)
        what = f"state of label {label}"
        path = path_of("api", database, "get_load_state") + f"?label={percent(label, safe='')}"
        data = unwrap(self._get(path, deadline, what), what, label=label)
        try:
            return LoadState(str(data).upper())
        except ValueError:
            raise ProtocolError(f"{what}: an unknown answer", label=label) from None

    def transaction(
        self,
        database: str,
        *,
        label: str | None = None,
        txn_id: int | None = None,
        deadline: Deadline | None = None,
    ) -> TransactionRecord | None:
        """A transaction by id or label; None when there is none or it may not be seen."""
        if txn_id is not None:
            condition = f"id = {int(txn_id)}"
        else:
            condition = f"label = '{sql_text(label or '')}'"
        try:
            rows = self.query(
                f"SHOW TRANSACTION FROM {quote(database)} WHERE {condition}",
                database,
                deadline=deadline,
            )
        except PermanentError as error:
            logger.debug("SHOW TRANSACTION told nothing: %s", error.message)
            return None
        records = [transaction_of(row) for row in rows.dicts()]
        return max(records, key=lambda record: record.txn_id, default=None)

    # -- the cluster

    def backends(
        self, alive_only: bool = True, *, deadline: Deadline | None = None
    ) -> tuple[BackendInfo, ...]:
        """The backends' HTTP addresses; what they are called inside the cluster."""
        deadline = self.default_deadline(deadline)
        what = "list of backends"
        path = "/api/backends?is_alive=true" if alive_only else "/api/backends"
        found = backends_of(unwrap(self._get(path, deadline, what), what))
        self.hosts.learn(backend.host for backend in found)
        return tuple(backend for backend in found if backend.alive or not alive_only)

    def frontends(self, *, deadline: Deadline | None = None) -> tuple[FrontendInfo, ...]:
        """The frontends with their SQL and Flight ports.

        Raises:
            AuthError: the user may not list them by any of the two ways.
        """
        deadline = self.default_deadline(deadline)
        try:
            return frontends_of(self.query("SHOW FRONTENDS", deadline=deadline).dicts())
        except (AuthError, QueryError, NotFoundError) as refused:
            what = "list of frontends"
            reply = self._get("/rest/v2/manager/node/frontends", deadline, what)
            try:
                return frontends_of(unwrap(reply, what))
            except (AuthError, QueryError):
                raise refused from None

    def known_frontends(self, *, deadline: Deadline | None = None) -> tuple[FrontendInfo, ...]:
        """As `frontends`, from an answer that is at most half a minute old."""
        with self._lock:
            listed_at, listed = self._listed
            if listed and self._clock() - listed_at < _LIST_FRESH:
                return listed
        found = self.frontends(deadline=deadline)
        with self._lock:
            self._listed = (self._clock(), found)
        return found

    def ping(self, *, deadline: Deadline | None = None) -> None:
        """Returns when some frontend says that it is ready."""
        deadline = self.default_deadline(deadline)
        what = "readiness"

        def ask(node: Node) -> HttpReply:
            reply = self.http.request(
                "GET", node, "/api/bootstrap", deadline=deadline, authorize=False
            )
            try:
                unwrap(reply, what)
            except QueryError as error:
                raise ServerBusy(error.message, host=node) from error
            return reply

        self._ask(ask, deadline, what)

    # -- statements

    def query(
        self,
        sql: str,
        database: str | None = None,
        *,
        limit: int | None = None,
        catalog: str = _NAMESPACE,
        deadline: Deadline | None = None,
    ) -> QueryRows:
        """Runs one small statement (P 1.9); the server returns 1,000 rows unless told otherwise.

        A statement that reads is repeated after a lost answer, any other is not.

        Raises:
            QueryError: the server refused it.
            OutcomeUnknownError: it changes something, and the answer was lost.
        """
        deadline = self.default_deadline(deadline)
        body: dict[str, object] = {"stmt": sql}
        if limit is not None:
            body["limit"] = limit
        path = path_of("api", "query", catalog, database or "information_schema")
        reply = self._ask(
            lambda node: self.http.request(
                "POST",
                node,
                path,
                headers={"Content-Type": "application/json"},
                body=orjson.dumps(body),
                deadline=deadline,
                max_bytes=_MAX_ANSWER,
            ),
            deadline,
            "statement",
            repeatable=only_reads(sql),
        )
        return query_rows_of(unwrap(reply, "statement refused"))

    # -- how

    def default_deadline(self, deadline: Deadline | None) -> Deadline:
        """The given deadline, or one that lets two slow nodes be asked."""
        if deadline is not None:
            return deadline
        timeouts = self.connection.timeouts
        return Deadline.after(2 * (timeouts.connect + timeouts.read), self._clock)

    def _table_path(self, table: TableId, action: str) -> str:
        parts = [table.database, table.table, action]
        if not table.is_internal:
            parts.insert(0, table.catalog)
        return path_of("api", *parts)

    def _get(self, path: str, deadline: Deadline, what: str) -> HttpReply:
        return self._ask(
            lambda node: self.http.request(
                "GET", node, path, deadline=deadline, max_bytes=_MAX_ANSWER
            ),
            deadline,
            what,
        )

    def _ask(
        self,
        call: Callable[[Node], _T],
        deadline: Deadline,
        what: str,
        *,
        repeatable: bool = True,
    ) -> _T:
        """Calls one frontend after the other until one answers."""

        def around(_attempt: int) -> _T:
            failure: TransientError | None = None
            for node in self.ring.candidates():
                try:
                    result = call(node)
                except (ConnectError, ServerBusy, DeadlineExceeded) as error:
                    self.ring.failed(node)
                    if not repeatable and isinstance(error, (ConnectionLost, DeadlineExceeded)):
                        raise OutcomeUnknownError(
                            f"the answer to a {what} was lost; it may have been executed",
                            host=node,
                            cause=error,
                        ) from error
                    logger.info("frontend %s does not answer: %s", node, error.message)
                    failure = error
                    if deadline.expired:
                        raise
                else:
                    self.ring.succeeded(node)
                    return result
            assert failure is not None
            raise failure

        return self.retry.call(around, deadline, what)

    def _optional(self, sql: str, table: TableId, deadline: Deadline) -> QueryRows | None:
        """A statement whose answer only adds detail: older servers may refuse it."""
        catalog = _NAMESPACE if table.is_internal else table.catalog
        try:
            return self.query(sql, table.database, catalog=catalog, deadline=deadline)
        except PermanentError as error:
            logger.debug("no details of %s: %s", table, error.message)
            return None

    def _backend_hosts(self) -> list[str]:
        try:
            return [backend.host for backend in self.backends(alive_only=False)]
        except (PermanentError, ConnectError, ServerBusy) as error:
            logger.warning("the hosts of the backends are not known: %s", error.message)
            return []

    def close(self) -> None:
        """Closes idle connections."""
        self.http.close()

    def __enter__(self) -> Frontend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Frontend {self.ring!r}>"


def plan_statement(
    table: TableId, columns: Sequence[str], filter: str | None, partitions: Sequence[str] = ()
) -> str:
    """The only kind of statement that `_query_plan` accepts (P 1.5)."""
    return tablet_query(table, columns, filter=filter, partitions=partitions)
