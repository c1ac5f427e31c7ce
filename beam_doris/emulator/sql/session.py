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
"""What a session remembers between statements, and the checks that every statement needs."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from beam_doris.emulator.catalog import Table
from beam_doris.emulator.clock import wall_clock
from beam_doris.emulator.errors import EmulatorError, UnknownTable
from beam_doris.emulator.sql.directory import SessionDirectory
from beam_doris.emulator.sql.duckdb_errors import in_doris_words
from beam_doris.emulator.sql.information_schema import is_virtual
from beam_doris.emulator.sql.result import Query
from beam_doris.emulator.sql.variables import Variables
from beam_doris.emulator.users import User

if TYPE_CHECKING:
    from beam_doris.emulator.engine import Engine


class SessionState:
    """Engine, user, database and variables of one session."""

    def __init__(
        self,
        engine: Engine,
        user: User,
        database: str | None,
        connection_id: int,
        directory: SessionDirectory | None,
    ) -> None:
        self.engine = engine
        self.user = user
        self.database = database
        self.connection_id = connection_id
        self.directory = directory
        self.variables = Variables()

    def now(self) -> datetime.datetime:
        return wall_clock(self.engine.clock.now())

    def database_or_current(self, database: str | None) -> str:
        """Raises EmulatorError when neither a database is named nor one is in use."""
        found = database if database is not None else self.database
        if not found:
            raise EmulatorError("No database selected", 1046, "3D000")
        return found.rpartition(":")[2]

    def use(self, name: str) -> None:
        name = name.rpartition(":")[2].rpartition(".")[2] or name
        if not is_virtual(name):
            self.engine.catalog.database(name)
            self.database = name
        else:
            self.database = name.lower()

    def table(self, database: str | None, name: str) -> Table:
        """A table by name. Raises UnknownTable, UnknownDatabase."""
        where = self.database_or_current(database)
        if is_virtual(where):
            raise UnknownTable(where, name)
        return self.engine.catalog.table(where, name)

    def require(self, privilege: str, database: str, table: str) -> None:
        """The user as it is now must hold a privilege on a table."""
        user = self.engine.users.get(self.user.name) or self.user
        if not user.may(privilege, database, table):
            raise EmulatorError(
                f"{privilege.partition('_')[0]} command denied to user '{user.name}'@'127.0.0.1' "
                f"for table '{database}: {table}'",
                1142,
                "42000",
            )

    def require_global(self, privilege: str) -> None:
        """The user as it is now must hold a privilege on the whole cluster."""
        user = self.engine.users.get(self.user.name) or self.user
        if not user.may(privilege):
            raise EmulatorError(
                "Access denied; you need (at least one of) the "
                f"({privilege.removesuffix('_PRIV')}) privilege(s) for this operation",
                1227,
                "42000",
            )

    def require_on(self, privilege: str, database: str) -> None:
        """The user as it is now must hold a privilege on a database."""
        user = self.engine.users.get(self.user.name) or self.user
        if not user.may(privilege, database):
            raise EmulatorError(
                f"Access denied for user '{user.name}'@'127.0.0.1' to database '{database}'",
                1044,
                "42000",
            )

    def label(self) -> str:
        return f"label_{uuid.uuid4().hex}"

    def run(self, sql: str) -> Query:
        """A query that opens its own cursor when it is read."""
        return Query(sql=sql, open_cursor=self.engine.cursor, faults=in_doris_words)

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor whose errors come in Doris' words."""
        with self.engine.cursor() as cursor:
            try:
                yield cursor
            except duckdb.Error as error:
                raise in_doris_words(error) from error
