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
"""The frontend's Flight SQL port (P 6)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from beam_doris.emulator.engine import Engine
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.flight import metadata
from beam_doris.emulator.flight.backend import (
    NoHandshake,
    Served,
    location,
    shut_down,
    statement_handle,
)
from beam_doris.emulator.flight.login import SessionMiddlewareFactory
from beam_doris.emulator.flight.messages import (
    Command,
    MalformedMessage,
    bytes_field,
    pack,
    session_errors,
    session_options,
    session_options_result,
    unpack,
    varint_field,
)
from beam_doris.emulator.flight.sessions import FlightSession, Sessions
from beam_doris.emulator.flight.statements import Laid, Statements
from beam_doris.emulator.flight.tickets import Tickets
from beam_doris.emulator.sql.directory import SessionDirectory
from beam_doris.emulator.sql.executor import Session

logger = logging.getLogger(__name__)

MOST_SESSIONS = 1024  #: qe_max_connection

_SESSION = "session"
_CLOSED = 1  #: CloseSessionResult.CLOSED
_INVALID_NAME, _INVALID_VALUE = 1, 2  #: SetSessionOptionsResult.ErrorValue
_UPDATE_COUNT_UNKNOWN = -1


def _command(data: bytes) -> Command:
    try:
        return unpack(data)
    except (MalformedMessage, UnicodeDecodeError) as error:
        raise pa.ArrowInvalid(f"the command is malformed: {error}") from error


def _failed(error: EmulatorError) -> flight.FlightInternalError:
    """A statement's failure as the producer words it (P 6.2)."""
    return flight.FlightInternalError(
        "get flight info statement failed, errCode = 2, detailMessage = "
        f"{error.message}, error code: ERR_UNKNOWN_ERROR, error msg: {error.message}"
    )


class FrontendFlightServer(flight.FlightServerBase):
    """Logs in, executes, and names the endpoints that hold the rows."""

    def __init__(
        self,
        engine: Engine,
        tickets: Tickets,
        directory: SessionDirectory,
        *,
        port: int = 0,
        most_sessions: int = MOST_SESSIONS,
    ) -> None:
        self._engine = engine
        self._tickets = tickets
        self._sessions = Sessions(engine.clock.now, most_sessions, directory, tickets.drop_session)
        self._directory = directory
        self._statements = Statements(engine, tickets)
        self._served = Served(engine.faults)
        super().__init__(
            location("127.0.0.1", port),
            auth_handler=NoHandshake(),
            middleware={_SESSION: SessionMiddlewareFactory(self._sessions, self._login)},
        )

    def stop(self) -> None:
        shut_down(self, self._served.stopping)
        self._sessions.close_all()

    def get_flight_info(
        self, context: Any, descriptor: flight.FlightDescriptor
    ) -> flight.FlightInfo:
        session = _session(context)
        command = _command(descriptor.command)
        if command.name == "CommandStatementQuery":
            self._served.before("flight.info", user=session.user)
            laid = self._execute(session, command.message.text(1))
        elif command.name == "CommandPreparedStatementQuery":
            self._served.before("flight.info", user=session.user)
            laid = self._execute_prepared(session, command.message.raw(1))
        else:
            table = metadata.answer(self._engine, command)
            if table is None:
                raise NotImplementedError(f"{command.name} is not implemented")
            laid = self._statements.serve_local(session, table)
        endpoints = [
            flight.FlightEndpoint(share.ticket, [location(share.host, share.port)])
            for share in laid.shares
        ]
        return flight.FlightInfo(laid.schema, descriptor, endpoints, -1, -1)

    def do_get(self, context: Any, ticket: flight.Ticket) -> flight.GeneratorStream:
        after = self._served.before("flight.get", backend="fe", user=_session(context).user)
        stream = self._tickets.take(statement_handle(ticket.ticket))
        if stream is None:
            raise pa.ArrowKeyError("the result of this ticket is not here: unknown or already read")
        return self._served.send(stream, after)

    def do_action(self, context: Any, action: flight.Action) -> Iterator[bytes]:
        session = _session(context)
        body = action.body.to_pybytes()
        if action.type == "CreatePreparedStatement":
            yield self._prepare(session, _command(body).message.text(1))
        elif action.type == "ClosePreparedStatement":
            session.prepared.pop(_command(body).message.raw(1), None)
            session.bound.pop(_command(body).message.raw(1), None)
        elif action.type == "CloseSession":
            self._sessions.close(session.token)
            yield varint_field(1, _CLOSED)
        elif action.type == "SetSessionOptions":
            yield self._set_options(session, body)
        elif action.type == "GetSessionOptions":
            yield session_options_result(sorted(self._options(session).items()))
        else:
            raise NotImplementedError(f"the action {action.type} is not implemented")

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        session = _session(context)
        command = _command(descriptor.command)
        handle = command.message.raw(1)
        if command.name == "CommandPreparedStatementUpdate":
            self._execute_prepared(session, handle)
            writer.write(varint_field(1, _UPDATE_COUNT_UNKNOWN))
        elif command.name == "CommandPreparedStatementQuery":
            self._bind(session, handle, reader.read_all())
        else:
            raise NotImplementedError(f"{command.name} is not implemented")

    def list_actions(self, _context: Any) -> list[tuple[str, str]]:
        return [
            ("CreatePreparedStatement", "prepare a statement"),
            ("ClosePreparedStatement", "forget a prepared statement"),
            ("CloseSession", "end the session of the token"),
            ("SetSessionOptions", "set catalog, schema and variables"),
            ("GetSessionOptions", "read catalog, schema and variables"),
        ]

    def _login(self, name: str, password: str) -> FlightSession | None:
        user = self._engine.users.check_plain(name, password)
        if user is None:
            return None
        return self._sessions.open(
            name,
            lambda number: Session(
                self._engine, user, connection_id=number, directory=self._directory
            ),
        )

    def _execute(self, session: FlightSession, sql: str, parameters: tuple[Any, ...] = ()) -> Laid:
        try:
            return self._statements.run(session, sql, parameters)
        except EmulatorError as error:
            raise _failed(error) from error

    def _prepare(self, session: FlightSession, sql: str) -> bytes:
        """Accepted unseen, with a placeholder for its schema; executing tells (P 6.3)."""
        handle = f"{session.token}:{uuid.uuid4()}".encode()
        session.prepared[handle] = sql
        placeholder = pa.schema([("ResultMeta", pa.utf8())])
        return pack(
            "ActionCreatePreparedStatementResult",
            bytes_field(1, handle),
            bytes_field(2, placeholder.serialize().to_pybytes()),
            bytes_field(3, pa.schema([]).serialize().to_pybytes()),
        )

    def _execute_prepared(self, session: FlightSession, handle: bytes) -> Laid:
        sql = session.prepared.get(handle)
        if sql is None:
            raise pa.ArrowKeyError(
                "the prepared statement is not known: closed or of another session"
            )
        return self._execute(session, sql, session.bound.get(handle, ()))

    def _bind(self, session: FlightSession, handle: bytes, parameters: pa.Table) -> None:
        if handle not in session.prepared:
            raise pa.ArrowKeyError(
                "the prepared statement is not known: closed or of another session"
            )
        if parameters.num_rows > 1:
            raise NotImplementedError("only one row of parameters can be bound")
        if parameters.num_rows == 1:
            session.bound[handle] = tuple(column[0].as_py() for column in parameters.columns)

    def _set_options(self, session: FlightSession, body: bytes) -> bytes:
        errors: list[tuple[str, int]] = []
        for name, value in session_options(body).items():
            try:
                if name == "schema" and value:
                    session.sql.use(value)
                elif name == "catalog":
                    if value not in ("internal", None, ""):
                        errors.append((name, _INVALID_VALUE))
                elif not name.replace("_", "").isalnum():
                    errors.append((name, _INVALID_NAME))
                else:
                    text = "DEFAULT" if value is None else "'" + value.replace("'", "''") + "'"
                    session.sql.execute(f"SET {name} = {text}")
            except EmulatorError as error:
                logger.info("the session option %s was refused: %s", name, error.message)
                errors.append((name, _INVALID_VALUE))
        return session_errors(errors)

    def _options(self, session: FlightSession) -> dict[str, str]:
        options = {name: value for name, value, *_ in session.sql.state.variables.rows()}
        return {**options, "catalog": "internal", "schema": session.sql.database or ""}


def _session(context: Any) -> FlightSession:
    session: FlightSession = context.get_middleware(_SESSION).session
    return session
