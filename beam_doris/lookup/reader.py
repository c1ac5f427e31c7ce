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
"""Asks the server for the rows of many keys."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.contracts import FlightOptions
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.flight import FlightSession
from beam_doris.client.frontend import Frontend
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.sql import SqlClient
from beam_doris.errors import DorisError, NotFoundError, ProtocolError
from beam_doris.lookup.cache import Rows
from beam_doris.lookup.cells import cell_reader, needs_flight
from beam_doris.lookup.grouping import grouped
from beam_doris.lookup.query import Statement, select
from beam_doris.lookup.spec import LookupSpec
from beam_doris.options.table_id import TableId
from beam_doris.schema.arrow_normalize import normalize
from beam_doris.schema.python_values import to_tuples
from beam_doris.schema.table_schema import TableSchema

_SessionT = TypeVar("_SessionT", SqlClient, FlightSession)
_log = logging.getLogger(__name__)
_QUERY = TableId("lookup", "query")


class LookupReader:
    """Finds the rows of keys, over sessions that are kept open between queries.

    Safe to share between threads: each query borrows a session.

    Args:
        spec: The lookup.
        clock: Monotonic seconds.
    """

    def __init__(self, spec: LookupSpec, clock: Clock = time.monotonic) -> None:
        self._spec = spec
        self._clock = clock
        self._form = spec.keys
        self._columns = spec.selected
        self._names = [column.name for column in self._columns]
        self._readers = [cell_reader(column) for column in self._columns]
        self._always_flight = any(needs_flight(column.type) for column in self._columns)
        self._flight_missing = False
        options = spec.options
        self._retry = RetryPolicy(retries=options.retries)
        self._sql: _Sessions[SqlClient] = _Sessions()
        self._flight: _Sessions[FlightSession] = _Sessions()

    def fetch(self, keys: Sequence[Any]) -> dict[Any, Rows]:
        """The rows of every key; keys without one have an empty tuple.

        Repeats what may be repeated, on the next frontend, inside one deadline.

        Args:
            keys: Canonical keys, none twice.

        Raises:
            DorisError: the query failed for good, or too often, or in time.
        """
        options = self._spec.options
        deadline = Deadline.after(options.deadline, self._clock)
        statement = select(self._spec.source, self._names, keys, self._form)

        def attempt(_: int) -> list[tuple[Any, ...]]:
            return self._rows(statement, len(keys), deadline.within(options.attempt_timeout))

        try:
            rows = self._retry.call(attempt, deadline, "lookup")
        except DorisError as error:
            error.table = error.table or self._spec.table
            raise
        found = grouped(self._spec, rows)
        return {key: found.get(key, ()) for key in keys}

    def by_flight(self, keys: int) -> bool:
        """Whether a query for so many keys goes over Arrow Flight."""
        if self._always_flight:
            return True
        return keys > self._spec.options.flight_above and not self._flight_missing

    def close(self) -> None:
        """Ends all sessions that are not in use; those in use end when they are given back."""
        self._sql.close()
        self._flight.close()

    # -- one attempt

    def _rows(self, statement: Statement, keys: int, deadline: Deadline) -> list[tuple[Any, ...]]:
        if self.by_flight(keys):
            try:
                return self._flight_rows(statement, deadline)
            except NotFoundError as error:
                if self._always_flight or "Flight" not in error.message:
                    raise
                _log.info("large lookups go over the MySQL protocol: %s", error.message)
                self._flight_missing = True
        return self._sql_rows(statement, deadline)

    def _sql_rows(self, statement: Statement, deadline: Deadline) -> list[tuple[Any, ...]]:
        with self._sql.borrowed(self._sql_session) as session:
            cells = session.query(statement.sql, statement.parameters, deadline=deadline)
        if len(cells.columns) != len(self._columns):
            raise ProtocolError("a lookup returned other columns than those asked for")
        columns = [
            list(map(reader, column))
            for reader, column in zip(self._readers, zip(*cells.rows), strict=False)  # noqa: B905
        ]
        return list(zip(*columns))  # noqa: B905  (hot path)

    def _flight_rows(self, statement: Statement, deadline: Deadline) -> list[tuple[Any, ...]]:
        schema = TableSchema(table=self._table, columns=self._columns)
        rows: list[tuple[Any, ...]] = []
        with (
            self._flight.borrowed(self._flight_session) as session,
            contextlib.closing(session.query(statement.rendered(), deadline=deadline)) as batches,  # type: ignore[type-var]
        ):
            for batch in batches:
                rows.extend(to_tuples(normalize(batch, schema)))
        return rows

    @property
    def _table(self) -> TableId:
        source = self._spec.source
        return source if isinstance(source, TableId) else _QUERY

    def _sql_session(self) -> SqlClient:
        connection = self._spec.connection
        return SqlClient(
            connection,
            frontend=shared_client(Frontend, connection),
            retry=RetryPolicy(retries=0),
            clock=self._clock,
        )

    def _flight_session(self) -> FlightSession:
        connection = self._spec.connection
        return FlightSession(
            connection,
            FlightOptions(parallel=False),
            frontend=shared_client(Frontend, connection),
            clock=self._clock,
        )


class _Sessions(Generic[_SessionT]):
    """Sessions that wait for the next query; a broken one reconnects by itself or is dropped."""

    def __init__(self) -> None:
        self._idle: list[_SessionT] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def borrowed(self, make: Any) -> Iterator[_SessionT]:
        with self._lock:
            self._closed = False
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = make()
        try:
            yield session
        except BaseException:
            session.close()
            # its ring knows which frontend to leave alone, so the session object is kept
            self._give_back(session)
            raise
        self._give_back(session)

    def _give_back(self, session: _SessionT) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(session)
                return
        session.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
            self._closed = True
        for session in idle:
            session.close()
