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
"""Decides how a request is read: which tablets, by which protocol, in which splits."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.contracts import FlightOptions, QueryPlan
from beam_doris.client.flight import FlightSession
from beam_doris.client.flight_sql import tablet_query
from beam_doris.client.frontend import Frontend
from beam_doris.client.table_facts import TableFacts, table_facts
from beam_doris.errors import ConfigError, DorisError, QueryError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.read.columns import selected_schema, statement_schema
from beam_doris.read.plan import ScanPlan, ScanTask, TabletMap
from beam_doris.read.request import ReadContext, ReadRequest
from beam_doris.schema.table_schema import TableModel, TableSchema

# Initial splits that a small table gets at least, where it has so many tablets.
_SPLITS_PER_BACKEND = 4

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the tasks that carry it out."""

    plan: ScanPlan
    tasks: tuple[ScanTask, ...]


class Planner:
    """Plans requests on one cluster; made where it is used.

    Args:
        context: Where and how is read.
    """

    def __init__(self, context: ReadContext) -> None:
        self._options = context.options
        self._connection = context.cluster()
        self._schema = context.schema
        self._frontend = shared_client(Frontend, self._connection)

    @property
    def connection(self) -> DorisConnection:
        """The cluster."""
        return self._connection

    def plan(self, request: ReadRequest) -> Planned:
        """Plans now: the versions that a snapshot sees are pinned here.

        Raises:
            ConfigError: what is asked for cannot be read in the way asked for.
            NotFoundError, QueryError: table, columns, filter or query are refused.
        """
        if request.query is not None or not request.table.is_internal:
            return self._statement(request)
        facts = table_facts(self._frontend, request.table)
        if facts.is_view:
            return self._statement(request)
        protocol = self.protocol()
        if request.limit is not None and protocol is ReadProtocol.FLIGHT:
            return self._statement(request)
        return self._tablets(request, protocol, facts)

    def protocol(self) -> ReadProtocol:
        """The protocol by which tablets are read."""
        wanted = self._options.chosen_protocol
        if self._options.is_snapshot:
            return ReadProtocol.THRIFT
        if wanted is not ReadProtocol.AUTO:
            return wanted
        return ReadProtocol.FLIGHT if self._flight_is_offered() else ReadProtocol.THRIFT

    def _flight_is_offered(self) -> bool:
        if self._connection.flight_port is not None:
            return True
        try:
            listed = self._frontend.known_frontends()
        except DorisError as error:
            # listing frontends may need a right that reading does not
            _log.info("reading by Thrift: the frontends cannot be listed (%s)", error.message)
            return False
        return any(node.alive and node.flight_port for node in listed)

    # -- by tablets

    def _tablets(self, request: ReadRequest, protocol: ReadProtocol, facts: TableFacts) -> Planned:
        schema = self._schema
        if schema is None:
            full = self._frontend.schema(request.table)
            schema = selected_schema(full, request.columns)
        try:
            found = tablet_plan(self._frontend, request, schema.names)
        except QueryError as error:
            if self._must_be_tablets or not (
                schema.model is TableModel.UNKNOWN or request.partitions
            ):
                raise
            _log.info("%s is read by one statement: %s", request.table, error.message)
            return self._statement(request)
        tablets = TabletMap.spread(found)
        _log.info(
            "%s: %d tablets on %d backends, by %s",
            request.table,
            len(tablets),
            len(tablets.groups),
            protocol.value,
        )
        plan = ScanPlan(
            request=request,
            protocol=protocol,
            schema=schema,
            opaque=found.opaque if protocol is ReadProtocol.THRIFT else None,
            tablets=tablets,
        )
        rows = max(1, (facts.rows or 0) // max(1, len(tablets)))
        if request.limit is not None:
            one = ScanTask(-1, 1, 1, min(request.limit, rows * len(tablets)))
            return Planned(plan, (one,) if tablets.groups else ())
        length = split_length(self._options, facts, len(tablets), len(tablets.groups))
        tasks = tuple(
            ScanTask(number, len(group.tablets), length, rows)
            for number, group in enumerate(tablets.groups)
        )
        return Planned(plan, tasks)

    @property
    def _must_be_tablets(self) -> bool:
        return self._options.is_snapshot or self._options.chosen_protocol is ReadProtocol.THRIFT

    # -- by one statement

    def _statement(self, request: ReadRequest) -> Planned:
        if self._must_be_tablets:
            raise ConfigError(
                f"{request} has no tablets and cannot be read over Thrift",
                table=request.subject,
                hint='leave protocol and consistency at "auto" and "latest": it is read by Flight',
            )
        schema = self._schema or self.describe(request)
        statement = request.query or read_statement(request, schema.names)
        plan = ScanPlan(
            request=request, protocol=ReadProtocol.FLIGHT, schema=schema, statement=statement
        )
        return Planned(plan, (ScanTask(-1, 1, 1, request.limit or 1),))

    def describe(self, request: ReadRequest, *, filtered: bool = False) -> TableSchema:
        """The columns that a view, an external table or a query has, as Flight sends them."""
        if request.query is not None:
            probe = f"SELECT * FROM (\n{request.query}\n) AS q LIMIT 0"
        else:
            condition = request.filter if filtered else None
            probe = tablet_query(request.table, request.columns or (), (), condition, 0)
        options = FlightOptions(max_message_bytes=self._options.flight_message_bytes)
        with FlightSession(self._connection, options, frontend=self._frontend) as session:
            return statement_schema(request.subject, session.schema(probe))


def read_statement(request: ReadRequest, columns: tuple[str, ...]) -> str:
    """The one statement that reads a whole table."""
    return tablet_query(
        request.table,
        columns,
        filter=request.filter,
        limit=request.limit,
        partitions=request.partitions or (),
    )


def tablet_plan(frontend: Frontend, request: ReadRequest, columns: tuple[str, ...]) -> QueryPlan:
    """Asks for the tablets of a table and the versions of now."""
    if request.partitions:
        return frontend.plan(request.table, columns, request.filter, partitions=request.partitions)
    return frontend.plan(request.table, columns, request.filter)


def split_length(options: ReadOptions, facts: TableFacts, tablets: int, backends: int) -> int:
    """How many tablets an initial split has.

    By the table's size where it is known, but with some splits for every backend.
    """
    if options.tablets_per_split is not None:
        return options.tablets_per_split
    fitting = []
    if facts.rows:
        fitting.append(options.split_rows * tablets // facts.rows)
    if facts.bytes:
        fitting.append(options.split_bytes * tablets // facts.bytes)
    if not fitting:
        return 1
    busy = tablets // max(1, backends * _SPLITS_PER_BACKEND)
    return max(1, min(*fitting, busy))
