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
"""The engine: one emulated cluster's catalog, rows, transactions and time, without its network."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from beam_doris.emulator import catalog_store
from beam_doris.emulator.catalog import Catalog, Database, Table
from beam_doris.emulator.clock import Clock, SystemClock
from beam_doris.emulator.errors import DdlError, EmulatorError
from beam_doris.emulator.faults import FaultPlan
from beam_doris.emulator.ids import Numbers
from beam_doris.emulator.literals import quote
from beam_doris.emulator.profile import DEFAULT_PROFILE, Profile
from beam_doris.emulator.schema_changes import SchemaChanges, SchemaParts
from beam_doris.emulator.storage import Storage
from beam_doris.emulator.storage.store import StorageParts
from beam_doris.emulator.table_spec import TableChange, TableSpec
from beam_doris.emulator.transactions import TransactionLimits, TransactionParts, Transactions
from beam_doris.emulator.types import DorisType
from beam_doris.emulator.users import User, Users

DATA_FILE = "doris.duckdb"
FIRST_BACKEND_ID = 1_001


@dataclass(slots=True)
class Backend:
    """A logical backend; the server fills the ports in."""

    id: int
    host: str = "127.0.0.1"
    http_port: int = 0
    be_port: int = 0
    flight_port: int = 0
    alive: bool = True


@dataclass(slots=True)
class Frontend:
    """The frontend; the server fills the ports in."""

    host: str = "127.0.0.1"
    http_port: int = 0
    query_port: int = 0
    flight_port: int = 0


class Engine:
    """One emulated cluster without its network.

    Args:
        path: directory of the data, made when missing; None keeps everything in memory.
        backends: number of backends.
        profile: server generation; None: the newest.
        clock: time; None: the machine's.
        seed: of everything that is left to luck.
        limits: of transactions; None: those of the profile.

    Example:
        >>> engine = Engine()
        >>> engine.create_database("test").name
        'test'
        >>> engine.close()
    """

    def __init__(
        self,
        *,
        path: Path | None = None,
        backends: int = 1,
        profile: Profile | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        limits: TransactionLimits | None = None,
    ) -> None:
        if backends < 1:
            raise ValueError("a cluster has at least one backend")
        self.profile = profile or DEFAULT_PROFILE
        self.clock: Clock = clock or SystemClock()
        #: each method of Random is atomic, so that threads may share it
        self.random = random.Random(seed)
        self.faults = FaultPlan()
        self.catalog = Catalog()
        self.frontend = Frontend()
        self.backends = [Backend(id=FIRST_BACKEND_ID + number) for number in range(backends)]
        #: Doris scalar expression and types of its columns -> DuckDB SQL; set by the SQL layer
        self.translate_expression: Callable[[str, Mapping[str, DorisType]], str] = _untranslated
        self._placed = 0
        self._connection = _connect(path)
        try:
            self._start(limits)
        except BaseException:
            self._connection.close()
            raise

    def _start(self, limits: TransactionLimits | None) -> None:
        with self._raw_cursor() as cursor:
            catalog_store.create_schema(cursor)
            self.users = Users(catalog_store.load_users(cursor), self._save_user)
            numbers = Numbers(catalog_store.load_counters(cursor), self._save_counter)
            databases = catalog_store.load_databases(cursor)
            for database in databases:
                self.catalog.create_database(database)
            names = {database.id: database.name for database in databases}
            for table in catalog_store.load_tables(cursor, names):
                self.catalog.create_table(table)
        self.storage = Storage(
            StorageParts(
                cursor=self._raw_cursor,
                catalog=self.catalog,
                numbers=numbers,
                clock=self.clock,
                replicas=self._replicas,
                translate=self._translate,
            )
        )
        limit = self.profile.limits
        self.transactions = Transactions(
            TransactionParts(
                cursor=self._raw_cursor,
                catalog=self.catalog,
                storage=self.storage,
                numbers=numbers,
                clock=self.clock,
                faults=self.faults,
            ),
            limits
            or TransactionLimits(
                max_running=limit.max_running_transactions,
                default_timeout=limit.stream_load_timeout_seconds,
            ),
        )
        self._schema = SchemaChanges(
            SchemaParts(
                catalog=self.catalog,
                storage=self.storage,
                transactions=self.transactions,
                numbers=numbers,
                clock=self.clock,
                alive_backends=lambda: sum(backend.alive for backend in self.backends),
                check_expressions=self._check_expressions,
            )
        )
        self.transactions.recover()

    # ------------------------------------------------------------------ cursors

    @contextmanager
    def _raw_cursor(self) -> Iterator[Any]:
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A DuckDB cursor of its own, closed at the end of the block.

        What is due by the clock happens first, so that a reader never sees a late state.
        """
        self.transactions.tick()
        with self._raw_cursor() as cursor:
            yield cursor

    def _translate(self, text: str, types: Mapping[str, DorisType]) -> str:
        # the SQL layer sets translate_expression after the engine has been made
        return self.translate_expression(text, types)

    def _save_counter(self, name: str, following: int) -> None:
        with self._raw_cursor() as cursor:
            catalog_store.save_counter(cursor, name, following)

    def _save_user(self, name: str, user: User | None) -> None:
        with self._raw_cursor() as cursor:
            catalog_store.save_user(cursor, name, user)

    def close(self) -> None:
        """Stop timers and close the data. Calling it twice is fine."""
        self.transactions.close()
        self._connection.close()

    # ------------------------------------------------------------------ databases and tables

    def create_database(self, name: str, *, if_not_exists: bool = False) -> Database:
        """Raises DatabaseExists."""
        return self._schema.create_database(name, if_not_exists=if_not_exists)

    def drop_database(self, name: str, *, if_exists: bool = False) -> None:
        """Raises DatabaseMissing."""
        self._schema.drop_database(name, if_exists=if_exists)

    def create_table(self, spec: TableSpec) -> Table:
        """Create a table. Raises DdlError in Doris' words, TableExists, UnknownDatabase."""
        return self._schema.create_table(spec)

    def drop_table(self, database: str, name: str, *, if_exists: bool = False) -> None:
        """Raises UnknownDatabase or UnknownTable."""
        self._schema.drop_table(database, name, if_exists=if_exists)

    def truncate(self, table: Table, partitions: Sequence[str] | None = None) -> Table:
        """Empty a table or some partitions; the tablets get new ids."""
        return self._schema.truncate(table, partitions)

    def alter(self, table: Table, change: TableChange) -> Table:
        """Change a table. Raises DdlError in Doris' words."""
        return self._schema.alter(table, change)

    # ------------------------------------------------------------------ placing

    def _replicas(self, buckets: int, replicas: int) -> list[tuple[int, ...]]:
        """Backends of new tablets: round robin over those alive, going on where it stopped."""
        alive = [backend.id for backend in self.backends if backend.alive]
        count = min(replicas, len(alive))
        result = [
            tuple(alive[(self._placed + bucket + number) % len(alive)] for number in range(count))
            for bucket in range(buckets)
        ]
        self._placed += buckets
        return result

    def _check_expressions(self, table: Table) -> None:
        """What generates a column must be computable from the other columns."""
        generated = [column for column in table.columns if column.generated is not None]
        if not generated:
            return
        types = {column.name: column.type for column in table.columns}
        row = ", ".join(
            f"CAST(NULL AS {column.type.physical()}) AS {quote(column.name)}"
            for column in table.columns
        )
        with self._raw_cursor() as cursor:
            for column in generated:
                try:
                    sql = self.translate_expression(str(column.generated), types)
                    cursor.execute(f"SELECT ({sql}) FROM (SELECT {row})")
                except duckdb.Error as error:
                    raise DdlError(
                        f"Invalid expression of generated column '{column.name}': "
                        f"{str(error).splitlines()[0]}"
                    ) from error
                except EmulatorError as error:
                    raise DdlError(
                        f"Invalid expression of generated column '{column.name}': {error.message}"
                    ) from error


def _untranslated(text: str, types: Mapping[str, DorisType]) -> str:
    """Expressions that both dialects share, for an engine without its SQL layer."""
    del types
    return text


def _connect(path: Path | None) -> Any:
    if path is None:
        return duckdb.connect(":memory:")
    path.mkdir(parents=True, exist_ok=True)
    # older DuckDB writes by default a format that can't hold macros with typed parameters
    return duckdb.connect(str(path / DATA_FILE), config={"storage_compatibility_version": "v1.4.0"})
