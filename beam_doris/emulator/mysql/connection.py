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
"""One client of the MySQL port: login, then commands until it leaves."""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.faults import Rule
from beam_doris.emulator.mysql.binary import Parameter, binary_rows, parameters
from beam_doris.emulator.mysql.columns import definition
from beam_doris.emulator.mysql.packets import (
    STATUS_AUTOCOMMIT,
    STATUS_MORE_RESULTS,
    Capability,
    Cursor,
    LoginRequest,
    PacketStream,
    eof_packet,
    error_packet,
    handshake_packet,
    lenenc_int,
    ok_packet,
    text_rows,
)
from beam_doris.emulator.sql.directory import SessionDirectory, SessionEntry
from beam_doris.emulator.sql.executor import VERSION, Session
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.sql.tokens import TokenKind, tokenize
from beam_doris.emulator.users import User

if TYPE_CHECKING:
    from beam_doris.emulator.engine import Engine

LOGIN_SECONDS = 15.0
IDLE_SECONDS = 28_800.0
HANG_SECONDS = 60.0
ER_ACCESS_DENIED = 1045
ER_UNKNOWN_COMMAND = 1047
ER_UNKNOWN_STATEMENT = 1243
_GO_ON = ("slow", "delay")  #: fault actions after which the statement runs


@dataclass(slots=True)
class PreparedStatement:
    """A statement of COM_STMT_PREPARE."""

    sql: str
    count: int
    types: list[tuple[int, bool]] = field(default_factory=list)
    long_data: dict[int, bytes] = field(default_factory=dict)


class ClientConnection:
    """Runs the protocol on an accepted socket."""

    def __init__(
        self,
        engine: Engine,
        client: socket.socket,
        host: str,
        number: int,
        directory: SessionDirectory,
    ) -> None:
        self._engine = engine
        self._socket = client
        self._host = host
        self._number = number
        self._directory = directory
        self._stream = PacketStream(client)
        self._capabilities = Capability(0)
        self._session: Session | None = None
        self._entry = SessionEntry(number, "unauthenticated user", host, self._hang_up)
        self._statements: dict[int, PreparedStatement] = {}
        self._next_statement = 1
        self._closed = threading.Event()

    def _hang_up(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def session(self) -> Session:
        if self._session is None:
            raise ConnectionError("nobody has logged in")
        return self._session

    def run(self) -> None:
        """Serve until the client leaves."""
        self._socket.settimeout(LOGIN_SECONDS)
        if not self._login():
            return
        self._directory.add(self._entry)
        self._socket.settimeout(IDLE_SECONDS)
        while not self._closed.is_set():
            self._stream.new_command()
            packet = self._stream.read()
            if not packet or packet[0] == 0x01:
                return
            self._command(packet[0], packet[1:])
            self._stream.flush()
            self._entry.doing("Sleep", database=self.session.database)

    # -- login

    def _login(self) -> bool:
        salt = bytes(secrets.choice(range(1, 128)) for _ in range(20))
        self._stream.write(handshake_packet(self._number, salt, VERSION))
        self._stream.flush()
        try:
            request = LoginRequest.parse(self._stream.read())
        except ValueError as error:
            self._refuse(1043, "08S01", f"Bad handshake: {error}")
            return False
        response = request.response
        if request.plugin is not None and request.plugin != "mysql_native_password":
            self._stream.write(b"\xfemysql_native_password\0" + salt + b"\0")
            self._stream.flush()
            response = self._stream.read()
        self._capabilities = request.capabilities
        name = request.user.rpartition(":")[2].split("@", 1)[0]
        user = self._engine.users.check_native(name, salt, response)
        if user is None:
            given = "YES" if response else "NO"
            self._refuse(
                ER_ACCESS_DENIED,
                "28000",
                f"Access denied for user '{name}'@'{self._host}' (using password: {given})",
            )
            return False
        return self._open(user, request.database)

    def _open(self, user: User, database: str | None) -> bool:
        session = Session(self._engine, user, connection_id=self._number, directory=self._directory)
        if database is not None:
            try:
                session.use(database)
            except EmulatorError as error:
                self._refuse(error.code, error.sqlstate, error.message)
                return False
        self._session = session
        self._entry.user = user.name
        self._entry.database = session.database
        self._ok()
        self._stream.flush()
        return True

    def _refuse(self, code: int, sqlstate: str, message: str) -> None:
        self._stream.write(error_packet(code, sqlstate, message))
        self._stream.flush()

    # -- commands

    def _command(self, code: int, body: bytes) -> None:
        handlers: dict[int, Callable[[bytes], None]] = {
            0x02: self._init_db,
            0x03: self._query,
            0x04: self._field_list,
            0x0E: self._ping,
            0x16: self._prepare,
            0x17: self._execute,
            0x18: self._send_long_data,
            0x19: self._close_statement,
            0x1A: self._reset_statement,
            0x1B: self._set_option,
            0x1F: self._reset_connection,
        }
        handler = handlers.get(code)
        try:
            if handler is None:
                raise EmulatorError(f"Unsupported command({code})", ER_UNKNOWN_COMMAND, "08S01")
            handler(body)
        except EmulatorError as error:
            self._error(error)
        except (ValueError, struct.error) as error:
            self._error(EmulatorError(f"Malformed packet: {error}", 1835))

    def _error(self, error: EmulatorError) -> None:
        # every error of Doris' frontend carries this prefix (P 1.9)
        message = f"errCode = 2, detailMessage = {error.message}"
        self._stream.write(error_packet(error.code, error.sqlstate, message))

    def _ok(self, affected: int = 0, info: str = "", *, more: bool = False) -> None:
        modern = bool(self._capabilities & Capability.DEPRECATE_EOF)
        self._stream.write(ok_packet(affected, self._status(more), info, deprecate_eof=modern))

    @staticmethod
    def _status(more: bool = False) -> int:
        return STATUS_AUTOCOMMIT | (STATUS_MORE_RESULTS if more else 0)

    def _ping(self, _body: bytes) -> None:
        self._ok()

    def _set_option(self, _body: bytes) -> None:
        self._stream.write(eof_packet(self._status()))

    def _init_db(self, body: bytes) -> None:
        self.session.use(body.decode("utf-8", "replace"))
        self._ok()

    def _reset_connection(self, _body: bytes) -> None:
        self._statements.clear()
        self.session.reset()
        self._ok()

    def _field_list(self, body: bytes) -> None:
        table = Cursor(body).terminated().decode("utf-8", "replace")
        for name, kind in self.session.fields(table):
            self._stream.write(definition(name, kind).payload() + b"\xfb")
        self._stream.write(eof_packet(self._status()))

    def _query(self, body: bytes) -> None:
        sql = body.decode("utf-8", "surrogateescape")
        self._entry.doing("Query", sql, self.session.database)
        if self._fault(sql):
            return
        statements = self.session.split(sql)
        for index, statement in enumerate(statements):
            more = index + 1 < len(statements)
            self._send(self.session.execute(statement), more=more)

    def _fault(self, sql: str) -> bool:
        rule = self._engine.faults.fire(
            "mysql.query", sql=sql, user=self._entry.user, db=self.session.database
        )
        if rule is None:
            return False
        self._misbehave(rule)
        return rule.action not in _GO_ON

    def _misbehave(self, rule: Rule) -> None:
        if rule.action == "error":
            raise EmulatorError(
                str(rule.args.get("message", "injected fault")), int(rule.args.get("code", 1105))
            )
        if rule.action == "hang" or rule.action in _GO_ON:
            self._closed.wait(float(rule.args.get("seconds", HANG_SECONDS)))
            if rule.action in _GO_ON:
                return
        elif rule.action in ("rst", "reset"):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            raise EmulatorError(f"the emulator does not support the fault action {rule.action!r}")
        self._closed.set()
        raise ConnectionAbortedError("a fault ends the connection")

    # -- results

    def _send(self, result: Result, *, more: bool = False, binary: bool = False) -> None:
        if result.kind == "ok":
            self._ok(result.affected, result.info, more=more)
            return
        batches = result.text_columns()
        # the first batch is made before anything is sent, so that most errors come alone
        first = next(batches, None)
        self._head(result)
        types = [column.type for column in result.columns]
        while first is not None:
            for row in binary_rows(types, first) if binary else text_rows(first):
                self._stream.write(row)
            first = next(batches, None)
        self._tail(more)

    def _head(self, result: Result) -> None:
        self._stream.write(lenenc_int(len(result.columns)))
        for column in result.columns:
            self._stream.write(definition(column.name, column.type).payload())
        if not self._capabilities & Capability.DEPRECATE_EOF:
            self._stream.write(eof_packet(self._status()))

    def _tail(self, more: bool) -> None:
        if self._capabilities & Capability.DEPRECATE_EOF:
            self._stream.write(ok_packet(0, self._status(more), header=0xFE))
        else:
            self._stream.write(eof_packet(self._status(more)))

    # -- prepared statements

    def _prepare(self, body: bytes) -> None:
        sql = body.decode("utf-8", "surrogateescape")
        statements = self.session.split(sql)
        if len(statements) != 1:
            raise EmulatorError("Only one statement can be prepared", 1295)
        count = sum(token.kind is TokenKind.SYMBOL and token.text == "?" for token in tokenize(sql))
        number = self._next_statement
        self._next_statement += 1
        self._statements[number] = PreparedStatement(sql, count)
        self._stream.write(struct.pack("<BIHHBH", 0, number, 0, count, 0, 0))
        if count:
            for _ in range(count):
                self._stream.write(definition("?", self.session.text_type).payload())
            if not self._capabilities & Capability.DEPRECATE_EOF:
                self._stream.write(eof_packet(self._status()))

    def _statement(self, number: int) -> PreparedStatement:
        statement = self._statements.get(number)
        if statement is None:
            raise EmulatorError(
                f"Unknown prepared statement handler ({number})", ER_UNKNOWN_STATEMENT
            )
        return statement

    def _execute(self, body: bytes) -> None:
        cursor = Cursor(body)
        statement = self._statement(cursor.uint(4))
        cursor.take(5)
        values: Sequence[Parameter]
        values, statement.types = parameters(
            cursor, statement.count, statement.types, statement.long_data
        )
        statement.long_data = {}
        self._entry.doing("Execute", statement.sql, self.session.database)
        if self._fault(statement.sql):
            return
        self._send(self.session.execute(statement.sql, values), binary=True)

    def _send_long_data(self, body: bytes) -> None:
        # this command has no answer, not even an error
        cursor = Cursor(body)
        statement = self._statements.get(cursor.uint(4))
        index = cursor.uint(2)
        if statement is not None:
            statement.long_data[index] = statement.long_data.get(index, b"") + cursor.take(
                cursor.left
            )

    def _close_statement(self, body: bytes) -> None:
        self._statements.pop(Cursor(body).uint(4), None)

    def _reset_statement(self, body: bytes) -> None:
        self._statement(Cursor(body).uint(4)).long_data.clear()
        self._ok()
