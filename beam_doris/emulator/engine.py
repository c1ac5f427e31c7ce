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
"""The engine: one emulated cluster's catalog, rows, transactions and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_doris.emulator.catalog import Catalog, Database, Table
from beam_doris.emulator.clock import Clock
from beam_doris.emulator.faults import FaultPlan
from beam_doris.emulator.profile import Profile
from beam_doris.emulator.storage import Storage
from beam_doris.emulator.table_spec import TableChange, TableSpec
from beam_doris.emulator.transactions import TransactionLimits, Transactions
from beam_doris.emulator.types import DorisType
from beam_doris.emulator.users import Users


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
        path: directory of the data; None keeps everything in memory.
        backends: number of backends.
        profile: server generation; None: the newest.
        clock: time; None: the machine's.
        seed: of everything that is left to luck.
        limits: of transactions; None: those of the profile.
    """

    catalog: Catalog
    transactions: Transactions
    storage: Storage
    users: Users
    clock: Clock
    faults: FaultPlan
    profile: Profile
    backends: list[Backend]
    frontend: Frontend
    random: Any
    #: Doris scalar expression, types of the columns -> DuckDB SQL; set by the SQL layer
    translate_expression: Callable[[str, Mapping[str, DorisType]], str]

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
        raise AssertionError("skeleton")

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A DuckDB cursor of its own, closed at the end of the block."""
        raise AssertionError("skeleton")
        yield

    def close(self) -> None:
        raise AssertionError("skeleton")

    def on_new_cursor(self, install: Callable[[Any], None]) -> None:
        """Run ``install(cursor)`` once now (macros are shared by all cursors of the database)."""
        raise AssertionError("skeleton")

    def create_database(self, name: str, *, if_not_exists: bool = False) -> Database:
        raise AssertionError("skeleton")

    def drop_database(self, name: str, *, if_exists: bool = False) -> None:
        raise AssertionError("skeleton")

    def create_table(self, spec: TableSpec) -> Table:
        """Create a table. Raises DdlError in Doris' words, TableExists, UnknownDatabase."""
        raise AssertionError("skeleton")

    def drop_table(self, database: str, name: str, *, if_exists: bool = False) -> None:
        raise AssertionError("skeleton")

    def truncate(self, table: Table, partitions: Sequence[str] | None = None) -> Table:
        """Empty a table or some partitions; the tablets get new ids."""
        raise AssertionError("skeleton")

    def alter(self, table: Table, change: TableChange) -> Table:
        """Change a table. Raises DdlError in Doris' words."""
        raise AssertionError("skeleton")
