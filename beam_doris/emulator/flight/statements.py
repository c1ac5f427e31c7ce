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
"""Runs the statements of Flight sessions and lays their results out for fetching (P 6.2)."""

from __future__ import annotations

import base64
import itertools
import random
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from beam_doris.emulator.engine import Backend, Engine
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.flight.messages import bytes_field, pack
from beam_doris.emulator.flight.sessions import FlightSession
from beam_doris.emulator.flight.spool import deal
from beam_doris.emulator.flight.tickets import Stream, Tickets
from beam_doris.emulator.scan.disorder import Disorder
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.wire_arrow import UnreadableType, WireColumn, WireEncoder, WireForms

_ORDERED = re.compile(r"\border\s+by\b", re.IGNORECASE)
BATCH_ROWS = 4096 * 8  #: arrow_flight_result_sink_buffer_size_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One endpoint of a result: where it is served and what ticket it takes."""

    host: str
    port: int
    ticket: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """A result that waits to be fetched."""

    schema: pa.Schema
    shares: tuple[Share, ...]


class Statements:
    """Executes SQL and puts results under tickets."""

    def __init__(self, engine: Engine, tickets: Tickets) -> None:
        self._engine = engine
        self._tickets = tickets
        self._number = itertools.count(1)

    def run(self, session: FlightSession, sql: str, parameters: tuple[Any, ...] = ()) -> Laid:
        """Execute a statement now; raises `EmulatorError`."""
        with session.lock:
            session.entry.doing("Query", sql, session.sql.database)
            *before, last = session.sql.split(sql)
            for statement in before:
                if session.sql.execute(statement).kind == "rows":
                    raise EmulatorError("only the last of several statements may return rows")
            result = session.sql.execute(last, parameters or None)
            if result.kind != "rows":
                # A statement without rows answers with one cell that says so.
                return self._local(session, Result.table(["StatusResult"], [["0"]]))
            if result.query is None:
                return self._local(session, result)
            return self._distributed(session, sql, result)

    def serve_local(self, session: FlightSession, table: pa.Table) -> Laid:
        """Put rows that the frontend made itself under a ticket."""
        stream = Stream(schema=table.schema, batches=iter(table.to_batches()), close=_nothing)
        handle = f"{session.token}:{self._query_id()}".encode()
        self._tickets.put(handle, session.token, stream)
        frontend = self._engine.frontend
        share = Share(host=frontend.host, port=frontend.flight_port, ticket=_ticket(handle))
        return Laid(schema=table.schema, shares=(share,))

    def _local(self, session: FlightSession, result: Result) -> Laid:
        return self.serve_local(session, result.batches().read_all())

    def _distributed(self, session: FlightSession, sql: str, result: Result) -> Laid:
        columns = [WireColumn(name=one.name, type=one.type) for one in result.columns]
        forms = WireForms.of(self._engine.profile.arrow, session_zone(session))
        try:
            encoder = WireEncoder(columns, forms)
        except UnreadableType as error:
            raise EmulatorError(str(error)) from error
        disorder = Disorder(self._engine.random.getrandbits(63))
        source: Iterator[pa.RecordBatch] = iter(result.batches())
        if not _ORDERED.search(sql):
            source = disorder.shuffled(source)
        wire = disorder.cut(map(encoder.encode, source), BATCH_ROWS, empty=False)
        alive = [backend for backend in self._engine.backends if backend.alive]
        if not alive:
            raise EmulatorError("No backend available as scan node, please check the status")
        random.Random(self._engine.random.getrandbits(63)).shuffle(alive)
        if parallel(session) and len(alive) > 1:
            streams = deal(encoder.schema, wire, len(alive))
        else:
            alive = alive[:1]
            streams = [_started(encoder.schema, wire)]
        shares = [
            self._share(session, sql, backend, stream)
            for backend, stream in zip(alive, streams, strict=True)
        ]
        return Laid(schema=encoder.schema, shares=tuple(shares))

    def _share(self, session: FlightSession, sql: str, backend: Backend, stream: Stream) -> Share:
        text = base64.b64encode(sql.encode()).decode("ascii")
        handle = f"{self._query_id()}&{backend.host}&{backend.be_port}&{text}".encode()
        self._tickets.put(handle, session.token, stream)
        return Share(host=backend.host, port=backend.flight_port, ticket=_ticket(handle))

    def _query_id(self) -> str:
        return f"{self._engine.random.getrandbits(63):x}-{next(self._number):x}"


def _ticket(handle: bytes) -> bytes:
    return pack("TicketStatementQuery", bytes_field(1, handle))


def _nothing() -> None:
    """Close of rows in memory."""


def _started(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Stream:
    """A stream whose query runs already: its first error shows at once, as in Doris."""
    first = list(itertools.islice(batches, 1))

    def rest() -> Generator[pa.RecordBatch, None, None]:
        yield from first
        yield from batches

    running = rest()
    return Stream(schema=schema, batches=running, close=running.close)


def session_zone(session: FlightSession) -> str:
    """The zone of the session; CST is China's, as in Doris."""
    zone = session.sql.state.variables.get("time_zone")
    return "Asia/Shanghai" if zone.upper() in ("CST", "PRC") else zone


def parallel(session: FlightSession) -> bool:
    """Whether the session asked for several endpoints."""
    try:
        return bool(session.sql.state.variables.flag("enable_parallel_result_sink"))
    except EmulatorError:
        return False
