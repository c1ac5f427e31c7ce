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
"""Statements of one session: each is read, carried out, and answered."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql import accounts, ddl_statements
from beam_doris.emulator.sql.change import delete, update
from beam_doris.emulator.sql.directory import SessionDirectory
from beam_doris.emulator.sql.duckdb_errors import in_doris_words
from beam_doris.emulator.sql.functions import install
from beam_doris.emulator.sql.insert import Inserter, parse_insert
from beam_doris.emulator.sql.prepare import literal_tokens, substitute
from beam_doris.emulator.sql.result import Result, ResultColumn
from beam_doris.emulator.sql.result_names import result_names
from beam_doris.emulator.sql.session import SessionState
from beam_doris.emulator.sql.show import describe, show
from beam_doris.emulator.sql.sources import SessionSources
from beam_doris.emulator.sql.tokens import (
    Reader,
    SyntaxFault,
    Token,
    TokenKind,
    Unsupported,
    number,
    split_statements,
    string,
    tokenize,
    word,
)
from beam_doris.emulator.sql.translate import expression, expression_of, query
from beam_doris.emulator.types import DorisType, Kind, of_physical
from beam_doris.emulator.users import User

if TYPE_CHECKING:
    from beam_doris.emulator.engine import Engine

VERSION = "5.7.99"
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a text."""

    tokens: tuple[Token, ...]
    sql: str

    @property
    def text(self) -> str:
        return self.sql[self.tokens[0].start : self.tokens[-1].end]


_READY: weakref.WeakSet[Engine] = weakref.WeakSet()
_READY_LOCK = threading.Lock()


def prepare_engine(engine: Engine) -> None:
    """Give an engine the functions of Doris. Doing it again changes nothing."""
    with _READY_LOCK:
        if engine in _READY:
            return
        with engine.cursor() as cursor:
            install(cursor)
        engine.translate_expression = expression
        _READY.add(engine)


class Session:
    """Runs statements for one user.

    Example:
        >>> session = Session(engine, user, "demo")  # doctest: +SKIP
        >>> list(session.execute("SELECT 1").text_rows())  # doctest: +SKIP
        [('1',)]
    """

    text_type = DorisType(Kind.VARCHAR, length=65533)

    def __init__(
        self,
        engine: Engine,
        user: User,
        database: str | None = None,
        *,
        connection_id: int = 0,
        directory: SessionDirectory | None = None,
    ) -> None:
        prepare_engine(engine)
        self._state = SessionState(engine, user, None, connection_id, directory)
        if database:
            self._state.use(database)

    @property
    def database(self) -> str | None:
        return self._state.database

    @property
    def state(self) -> SessionState:
        return self._state

    def use(self, database: str) -> None:
        """Change the database. Raises UnknownDatabase."""
        self._state.use(database)

    def reset(self) -> None:
        """Forget the variables, as COM_RESET_CONNECTION asks."""
        self._state.variables = type(self._state.variables)()

    def fields(self, table: str) -> list[tuple[str, DorisType]]:
        """Names and types of a table's columns."""
        found = SessionSources(self._state).source(None, table, None, hidden=False)
        return list(found.columns)

    def split(self, sql: str) -> list[Statement]:
        """The statements of a text.

        Raises:
            SyntaxFault: there is none.
        """
        found = split_statements(tokenize(sql))
        if not found:
            raise EmulatorError("Query was empty", 1065, "42000")
        return [Statement(tokens=tuple(tokens), sql=sql) for tokens in found]

    def execute(self, sql: str | Statement, params: Sequence[object] | None = None) -> Result:
        """Run one statement.

        Raises:
            EmulatorError: in the words of Doris, without its prefix.
        """
        if isinstance(sql, str):
            statements = self.split(sql)
            if len(statements) > 1:
                raise SyntaxFault("Syntax error: only one statement is allowed here")
            sql = statements[0]
        values = iter(params or ())
        tokens = list(sql.tokens)
        if any(token.text == "?" and token.kind is TokenKind.SYMBOL for token in tokens):
            tokens = substitute(tokens, lambda token: self._replacement(token, values))
        try:
            return self._run(sql, tokens)
        except duckdb.Error as error:
            raise in_doris_words(error) from error
        except RecursionError as error:
            raise EmulatorError("the statement is nested too deeply") from error
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            # a function with the wrong arguments, most likely; the trace tells the rest
            _LOGGER.warning("cannot run %r", sql.text, exc_info=True)
            raise EmulatorError(f"the emulator cannot run this statement: {error}") from error

    def _replacement(self, token: Token, values: object) -> list[Token] | None:
        if token.kind is TokenKind.SYMBOL and token.text == "?":
            missing = object()
            value = next(values, missing)  # type: ignore[call-overload]
            if value is missing:
                raise EmulatorError("Incorrect arguments to EXECUTE", 1210)
            return literal_tokens(value)
        return None

    def _run(self, statement: Statement, tokens: list[Token]) -> Result:
        reader = Reader(tokens, statement.sql)
        first = reader.peek()
        if first.kind is TokenKind.SYMBOL and first.text == "(":
            return self._select(statement, tokens)
        handler = _HANDLERS.get(first.upper)
        if handler is None:
            if first.upper in _ELSEWHERE:
                raise Unsupported(f"{first.upper} statements")
            reader.fail("a statement")
        return handler(self, statement, reader)

    # -- queries

    def _known_functions(self, tokens: list[Token]) -> list[Token]:
        """Variables and calls such as DATABASE() as literals."""
        state = self._state
        out: list[Token] = []
        index = 0
        calls = {
            "DATABASE": state.database,
            "SCHEMA": state.database,
            "VERSION": VERSION,
            "USER": f"'{state.user.name}'@'%'",
            "CURRENT_USER": f"'{state.user.name}'@'%'",
            "SESSION_USER": f"'{state.user.name}'@'%'",
            "SYSTEM_USER": f"'{state.user.name}'@'%'",
            "CURRENT_CATALOG": "internal",
            "CONNECTION_ID": str(state.connection_id),
        }
        while index < len(tokens):
            token = tokens[index]
            called = (
                token.upper in calls
                and index + 2 < len(tokens)
                and tokens[index + 1].text == "("
                and tokens[index + 2].text == ")"
            )
            if called:
                value = calls[token.upper]
                numeric = token.upper == "CONNECTION_ID"
                out.append(
                    word("NULL") if value is None else number(value) if numeric else string(value)
                )
                index += 3
                continue
            if token.kind is TokenKind.VARIABLE:
                out.append(self._variable(token))
            else:
                out.append(token)
            index += 1
        return out

    def _variable(self, token: Token) -> Token:
        name = token.text
        if name.startswith("@@"):
            value = self._state.variables.get(name[2:].rpartition(".")[2].strip())
        else:
            found = self._state.variables.user(name[1:])
            if found is None:
                return word("NULL")
            value = found
        if value.lower() in ("true", "false"):
            return number("1" if value.lower() == "true" else "0")
        return number(value) if value.isdigit() and len(value) < 19 else string(value)

    def _select(self, statement: Statement, tokens: list[Token]) -> Result:
        state = self._state
        translated = query(
            self._known_functions(tokens),
            SessionSources(state),
            now=state.now(),
            hidden=state.variables.flag("show_hidden_columns"),
        )
        with state.cursor() as cursor:
            relation = cursor.sql(translated.sql)
            names = list(relation.columns)
            physical = [str(kind) for kind in relation.types]
        known = translated.columns
        if known is not None and len(known) != len(names):
            known = None
        kinds: list[DorisType] = []
        casts: list[str] = []
        for index, actual in enumerate(physical):
            kind = known[index][1] if known is not None else None
            if kind is None:
                kind = of_physical(actual)
                if actual == "HUGEINT" and "SUM(" in translated.sql.upper():
                    # a sum of integers is a BIGINT in Doris
                    kind = DorisType(Kind.BIGINT)
            kinds.append(kind)
            cast = kind.physical() != actual and kind.kind is not Kind.NULL
            casts.append(f"CAST(c{index} AS {kind.physical()})" if cast else f"c{index}")
        sql = translated.sql
        if any(cast.startswith("CAST(") for cast in casts):
            inner = ", ".join(f"c{index}" for index in range(len(casts)))
            sql = f"SELECT {', '.join(casts)} FROM ({sql}) AS p({inner})"
        shown = result_names(statement.tokens, statement.sql, names, translated)
        columns = tuple(
            ResultColumn(name=name, type=kind) for name, kind in zip(shown, kinds, strict=True)
        )
        return Result(kind="rows", columns=columns, query=state.run(sql))

    def _query_statement(self, statement: Statement, reader: Reader) -> Result:
        return self._select(statement, list(reader.tokens))

    # -- writing

    def _insert(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        parsed = parse_insert(Reader(self._known_functions(reader.rest()), reader.sql))
        table = self._state.table(parsed.database, parsed.name)
        return Inserter(self._state, table).run(parsed)

    def _update(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        return update(self._state, Reader(self._known_functions(reader.rest()), reader.sql))

    def _delete(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        return delete(self._state, Reader(self._known_functions(reader.rest()), reader.sql))

    # -- the rest

    def _create(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        return ddl_statements.create(self._state, reader)

    def _drop(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        return ddl_statements.drop(self._state, reader)

    def _alter(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        return ddl_statements.alter(self._state, reader)

    def _truncate(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        return ddl_statements.truncate(self._state, reader)

    def _show(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        return show(self._state, reader)

    def _describe(self, _statement: Statement, reader: Reader) -> Result:
        if reader.peek(1).upper in ("SELECT", "WITH", "INSERT", "VERBOSE", "PLAN", "GRAPH"):
            return self._explain(reader)
        reader.next()
        return describe(self._state, reader)

    def _explain_statement(self, _statement: Statement, reader: Reader) -> Result:
        return self._explain(reader)

    def _explain(self, reader: Reader) -> Result:
        """EXPLAIN: that a statement can be planned, and the engine's plan, not Doris'."""
        reader.next()
        if reader.peek().is_name and reader.peek().upper not in ("SELECT", "WITH", "INSERT"):
            if reader.peek().upper not in ("VERBOSE", "PLAN", "GRAPH", "LOGICAL", "PHYSICAL"):
                return describe(self._state, reader)
            while reader.peek().upper in ("VERBOSE", "PLAN", "GRAPH", "LOGICAL", "PHYSICAL"):
                reader.next()
        state = self._state
        if not (reader.sees("SELECT") or reader.sees("WITH") or reader.sees("(")):
            raise Unsupported(f"EXPLAIN {reader.peek().text}")
        tokens = self._known_functions(reader.rest())
        translated = query(tokens, SessionSources(state), now=state.now())
        with state.cursor() as cursor:
            plan = cursor.execute(f"EXPLAIN {translated.sql}").fetchall()
        lines = [line for row in plan for line in str(row[-1]).splitlines()]
        return Result.table(["Explain String(Nereids Planner)"], [(line,) for line in lines])

    def _set(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        while True:
            if reader.take("PASSWORD"):
                return accounts.set_password(self._state, reader)
            if reader.take("NAMES") or reader.take("CHARACTER", "SET") or reader.take("CHARSET"):
                reader.name_or_text()
                if reader.take("COLLATE"):
                    reader.name_or_text()
            elif (
                reader.take("TRANSACTION")
                or reader.take("SESSION", "TRANSACTION")
                or reader.take("PROPERTY")
            ):
                reader.rest()
            else:
                self._assign(reader)
            if not reader.take(","):
                break
        reader.finish()
        return Result.ok()

    def _assign(self, reader: Reader) -> None:
        variables = self._state.variables
        token = reader.next()
        if token.upper in ("SESSION", "GLOBAL", "LOCAL") and reader.peek().is_name:
            token = reader.next()
        if not token.is_name and token.kind is not TokenKind.VARIABLE:
            reader.at -= 1
            reader.fail("a variable")
        if not reader.take("="):
            reader.expect(":=")
        value = self._value(reader)
        name = token.text
        if name.startswith("@") and not name.startswith("@@"):
            variables.set_user(name[1:], value)
        else:
            variables.set(name.lstrip("@").rpartition(".")[2].strip(), value or "")

    def _value(self, reader: Reader) -> str | None:
        parts: list[Token] = []
        depth = 0
        while not reader.done:
            token = reader.peek()
            if token.kind is TokenKind.SYMBOL:
                if token.text == "," and depth == 0:
                    break
                depth += (token.text in "([") - (token.text in ")]")
            parts.append(reader.next())
        if not parts:
            reader.fail("a value")
        if len(parts) == 1 and parts[0].kind is not TokenKind.VARIABLE:
            return None if parts[0].upper == "NULL" else parts[0].text
        sql, _ = expression_of(self._known_functions(parts), {}, now=self._state.now())
        with self._state.cursor() as cursor:
            row = cursor.execute(f"SELECT CAST(({sql}) AS VARCHAR)").fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def _use(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        name = reader.name()
        while reader.take("."):
            name = reader.name()
        reader.finish()
        self._state.use(name)
        return Result.ok()

    def _kill(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        if reader.sees("QUERY"):
            raise Unsupported("KILL QUERY")
        reader.take("CONNECTION")
        target = reader.integer()
        directory = self._state.directory
        if directory is None or not directory.kill(target):
            raise EmulatorError(f"Unknown thread id: {target}", 1094)
        return Result.ok()

    def _grant(self, _statement: Statement, reader: Reader) -> Result:
        grant = reader.next().upper == "GRANT"
        return accounts.change_grant(self._state, reader, grant=grant)

    def _unset(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        reader.take("SESSION")
        reader.expect("VARIABLE")
        if reader.take("ALL"):
            self.reset()
        else:
            self._state.variables.unset(reader.name())
        return Result.ok()

    def _switch(self, _statement: Statement, reader: Reader) -> Result:
        reader.next()
        name = reader.name()
        reader.finish()
        if name.lower() != "internal":
            raise EmulatorError(f"Unknown catalog '{name}'", 5086)
        return Result.ok()

    def _admin(self, _statement: Statement, reader: Reader) -> Result:
        """ADMIN SET ... CONFIG: no setting of Doris' processes has a meaning here."""
        reader.next()
        if not reader.sees("SET"):
            raise Unsupported(f"ADMIN {reader.peek().text}")
        reader.rest()
        return Result.ok()

    def _nothing(self, _statement: Statement, reader: Reader) -> Result:
        """Statements whose effect nobody can see here: SYNC, ANALYZE, COMMIT without BEGIN."""
        reader.rest()
        return Result.ok()

    def _transaction(self, _statement: Statement, _reader: Reader) -> Result:
        raise Unsupported("transactions of several statements")


#: first words of statements that Doris has and the emulator has not
_ELSEWHERE = frozenset(
    [
        "BACKUP",
        "CALL",
        "CANCEL",
        "CLEAN",
        "COPY",
        "DECOMMISSION",
        "EXECUTE",
        "EXPORT",
        "HELP",
        "IMPORT",
        "INSTALL",
        "LOAD",
        "MERGE",
        "PAUSE",
        "PLAY",
        "PREPARE",
        "RECOVER",
        "REFRESH",
        "REPLAY",
        "RESTORE",
        "RESUME",
        "STOP",
        "UNINSTALL",
        "WARM",
    ]
)

Handler = Callable[[Session, Statement, Reader], Result]

_HANDLERS: dict[str, Handler] = {
    "SELECT": Session._query_statement,
    "WITH": Session._query_statement,
    "VALUES": Session._query_statement,
    "INSERT": Session._insert,
    "UPDATE": Session._update,
    "DELETE": Session._delete,
    "CREATE": Session._create,
    "DROP": Session._drop,
    "ALTER": Session._alter,
    "TRUNCATE": Session._truncate,
    "SHOW": Session._show,
    "DESC": Session._describe,
    "DESCRIBE": Session._describe,
    "EXPLAIN": Session._explain_statement,
    "SET": Session._set,
    "USE": Session._use,
    "SWITCH": Session._switch,
    "KILL": Session._kill,
    "GRANT": Session._grant,
    "REVOKE": Session._grant,
    "UNSET": Session._unset,
    "BEGIN": Session._transaction,
    "START": Session._transaction,
    "COMMIT": Session._nothing,
    "ROLLBACK": Session._nothing,
    "SYNC": Session._nothing,
    "ANALYZE": Session._nothing,
    "ADMIN": Session._admin,
    "LOCK": Session._nothing,
    "UNLOCK": Session._nothing,
}
