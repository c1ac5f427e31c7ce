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
"""Databases, tables, partitions and tablets of the emulated cluster.

The values are frozen: a change makes a new value and the catalog swaps it in, so that a statement
which holds a table keeps seeing the table as it was when the statement began.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from beam_doris.emulator.errors import (
    DatabaseExists,
    DatabaseMissing,
    TableExists,
    UnknownColumn,
    UnknownDatabase,
    UnknownPartition,
    UnknownTable,
)
from beam_doris.emulator.types import DorisType, parse_type

DELETE_SIGN = "__DORIS_DELETE_SIGN__"
SEQUENCE_COLUMN = "__DORIS_SEQUENCE_COL__"
VERSION_COLUMN = "__DORIS_VERSION_COL__"


class KeysModel(enum.Enum):
    """Data model of a table; the value is what ``_schema`` shows (P 1.4)."""

    DUP_KEYS = "DUP_KEYS"
    UNIQUE_KEYS = "UNIQUE_KEYS"
    AGG_KEYS = "AGG_KEYS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    ``default`` is the literal text (None: no default, or DEFAULT NULL); with
    ``default_is_function`` it is a function text such as ``CURRENT_TIMESTAMP(3)``. ``generated``
    is the Doris expression of a generated column. ``auto_increment`` is the first number to give.
    """

    id: int
    name: str
    type: DorisType
    nullable: bool = True
    key: bool = False
    aggregation: str | None = None
    default: str | None = None
    default_is_function: bool = False
    comment: str = ""
    auto_increment: int | None = None
    generated: str | None = None

    @property
    def physical(self) -> str:
        """Name of the column in the physical table."""
        return f"c{self.id}"


@dataclass(frozen=True, slots=True)
class Tablet:
    """One bucket of one partition, with the backends that hold a replica."""

    id: int
    bucket: int
    backend_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition: its version and its tablets.

    ``lower`` (inclusive) and ``upper`` (exclusive) are the bounds of a RANGE partition as one text
    a partition column: a whole None is no bound, an item None is MAXVALUE, items missing at the end are
    the smallest value. ``values`` are the tuples
    of a LIST partition, whose items may be None for NULL. The ids of the tablets of a partition
    are consecutive.
    """

    id: int
    name: str
    version: int
    tablets: tuple[Tablet, ...]
    lower: tuple[str | None, ...] | None = None
    upper: tuple[str | None, ...] | None = None
    values: tuple[tuple[str | None, ...], ...] | None = None
    is_default: bool = False
    oldest_version: int = 1

    @property
    def first_tablet(self) -> int:
        return self.tablets[0].id

    def has_tablet(self, tablet_id: int) -> bool:
        return self.first_tablet <= tablet_id < self.first_tablet + len(self.tablets)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionBy:
    """How rows map to partitions. ``auto_expression`` is the text inside AUTO PARTITION BY (...)."""

    kind: str
    columns: tuple[str, ...]
    auto_expression: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("RANGE", "LIST"):
            raise ValueError(f"unknown kind of partitioning {self.kind!r}")

    @property
    def auto(self) -> bool:
        return self.auto_expression is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How rows map to buckets."""

    kind: str
    columns: tuple[str, ...] = ()
    buckets: int = 10
    auto_buckets: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("HASH", "RANDOM"):
            raise ValueError(f"unknown kind of distribution {self.kind!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table as it was at some moment."""

    id: int
    database: str
    name: str
    model: KeysModel
    columns: tuple[Column, ...]
    distribution: Distribution
    partitions: tuple[Partition, ...]
    partition_by: PartitionBy | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    created_at: float = 0.0
    keys_explicit: bool = True

    def column(self, name: str) -> Column:
        """The column of that name, whatever its case.

        Raises:
            UnknownColumn: there is none.
        """
        wanted = name.lower()
        for column in self.columns:
            if column.name.lower() == wanted:
                return column
        raise UnknownColumn(name, self.name)

    def has_column(self, name: str) -> bool:
        return any(column.name.lower() == name.lower() for column in self.columns)

    @property
    def key_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.key)

    @property
    def value_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if not column.key)

    @property
    def sequence_column(self) -> str | None:
        """Name of the column that carries the sequence (function_column.sequence_col)."""
        name = self.properties.get("function_column.sequence_col")
        return None if name is None else self.column(name).name

    @property
    def sequence_type(self) -> DorisType | None:
        """Type of the hidden sequence column, None when the table has none (P 4.1)."""
        name = self.sequence_column
        if name is not None:
            return self.column(name).type
        text = self.properties.get("function_column.sequence_type")
        return None if text is None else parse_type(text)

    @property
    def merge_on_write(self) -> bool:
        """UNIQUE tables merge on write unless the property says otherwise (Doris >= 2.1)."""
        if self.model is not KeysModel.UNIQUE_KEYS:
            return False
        return self.properties.get("enable_unique_key_merge_on_write", "true").lower() == "true"

    @property
    def physical(self) -> str:
        """Name of the physical table."""
        return f"t{self.id}"

    @property
    def replication_num(self) -> int:
        return int(self.properties.get("replication_num", "3"))

    def partition(self, name: str) -> Partition:
        """The partition of that name, whatever its case.

        Raises:
            UnknownPartition: there is none.
        """
        for partition in self.partitions:
            if partition.name.lower() == name.lower():
                return partition
        raise UnknownPartition(name, self.name)

    def partition_of(self, tablet_id: int) -> Partition | None:
        for partition in self.partitions:
            if partition.has_tablet(tablet_id):
                return partition
        return None

    def tablet(self, tablet_id: int) -> Tablet | None:
        """The tablet of that id, or None."""
        partition = self.partition_of(tablet_id)
        return None if partition is None else partition.tablets[tablet_id - partition.first_tablet]

    def tablets(self) -> Iterator[Tablet]:
        for partition in self.partitions:
            yield from partition.tablets


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database; names are case-sensitive."""

    id: int
    name: str
    properties: Mapping[str, str] = field(default_factory=dict)
    created_at: float = 0.0


class Catalog:
    """All databases and tables, in memory. Thread-safe.

    The engine writes the same change to the durable store before it calls a method here; nothing
    else may change the catalog.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._databases: dict[str, Database] = {}
        self._tables: dict[str, dict[str, Table]] = {}
        self._locks: dict[str, threading.RLock] = {}

    def write_lock(self, database: str) -> threading.RLock:
        """The lock that serializes DDL and publishes of one database."""
        with self._lock:
            return self._locks.setdefault(database, threading.RLock())

    def databases(self) -> list[Database]:
        with self._lock:
            return sorted(self._databases.values(), key=lambda database: database.name)

    def database(self, name: str) -> Database:
        """Raises UnknownDatabase."""
        with self._lock:
            try:
                return self._databases[name]
            except KeyError:
                raise UnknownDatabase(name) from None

    def has_database(self, name: str) -> bool:
        with self._lock:
            return name in self._databases

    def create_database(self, database: Database) -> None:
        with self._lock:
            if database.name in self._databases:
                raise DatabaseExists(database.name)
            self._databases[database.name] = database
            self._tables[database.name] = {}

    def drop_database(self, name: str) -> list[Table]:
        """Remove a database and tell which tables it had."""
        with self._lock:
            if name not in self._databases:
                raise DatabaseMissing(name)
            del self._databases[name]
            return list(self._tables.pop(name).values())

    def tables(self, database: str) -> list[Table]:
        """Tables of a database by name. Raises UnknownDatabase."""
        with self._lock:
            self.database(database)
            return sorted(self._tables[database].values(), key=lambda table: table.name)

    def table(self, database: str, name: str) -> Table:
        """The newest form of a table. Raises UnknownDatabase or UnknownTable."""
        with self._lock:
            self.database(database)
            try:
                return self._tables[database][name]
            except KeyError:
                raise UnknownTable(database, name) from None

    def has_table(self, database: str, name: str) -> bool:
        with self._lock:
            return name in self._tables.get(database, {})

    def table_by_id(self, table_id: int) -> Table | None:
        with self._lock:
            for tables in self._tables.values():
                for table in tables.values():
                    if table.id == table_id:
                        return table
            return None

    def create_table(self, table: Table) -> None:
        with self._lock:
            self.database(table.database)
            if table.name in self._tables[table.database]:
                raise TableExists(table.name)
            self._tables[table.database][table.name] = table

    def drop_table(self, database: str, name: str) -> Table:
        with self._lock:
            table = self.table(database, name)
            del self._tables[database][name]
            return table

    def replace(self, tables: Sequence[Table]) -> None:
        """Swap in new forms of tables (same ids, maybe new names), all at one moment."""
        with self._lock:
            for table in tables:
                old = self.table_by_id(table.id)
                if old is not None:
                    del self._tables[old.database][old.name]
            for table in tables:
                self._tables[table.database][table.name] = table


def with_partitions(table: Table, partitions: Sequence[Partition]) -> Table:
    """The table with other partitions."""
    return replace(table, partitions=tuple(partitions))
