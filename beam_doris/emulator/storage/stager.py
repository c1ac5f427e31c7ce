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
"""Staging: rows of a load wait here, invisible, until their transaction is committed."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import duckdb

from beam_doris.emulator.catalog import DELETE_SIGN, Column, KeysModel, Table
from beam_doris.emulator.errors import LoadRefused, TransactionError
from beam_doris.emulator.literals import default_sql, quote
from beam_doris.emulator.storage import placement
from beam_doris.emulator.storage.auto_partitions import missing_shapes

if TYPE_CHECKING:
    from beam_doris.emulator.storage.store import Storage

ROW_ORDER = "__ord"
DELETED = "__del"
SEQUENCE = "__seq"
_MARKERS = (ROW_ORDER, DELETED, SEQUENCE)


@dataclass(frozen=True, slots=True)
class AppendResult:
    """Rows staged, and rows refused as (``__ord``, reason)."""

    loaded: int
    rejected: list[tuple[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What waits for a commit: the durable description of a staging table.

    ``column_ids`` are the columns it holds; ``partial`` tells a partial update; ``has_sequence``
    whether ``__seq`` was given; ``partition_ids`` the only partitions written (None: all).
    """

    txn_id: int
    table_id: int
    column_ids: tuple[int, ...]
    partial: bool = False
    has_sequence: bool = False
    partition_ids: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        return staging_name(self.txn_id, self.table_id)


def staging_name(txn_id: int, table_id: int) -> str:
    return f"stg{txn_id}_{table_id}"


class Stager:
    """Takes the rows of one transaction for one table."""

    def __init__(
        self,
        storage: Storage,
        txn_id: int,
        table: Table,
        *,
        partitions: Sequence[str] | None,
        partial_columns: Sequence[str] | None,
    ) -> None:
        self.table = table
        self.txn_id = txn_id
        self._storage = storage
        self._lock = threading.Lock()
        self._arrived = 0
        self._partition_ids = (
            None if partitions is None else tuple(table.partition(name).id for name in partitions)
        )
        self._partial = None if partial_columns is None else tuple(partial_columns)
        self._staged: Staged | None = None
        self._over = False
        if partial_columns is not None:
            self._check_partial(partial_columns)

    @property
    def partition_ids(self) -> tuple[int, ...] | None:
        """The only partitions that this load may write, None for all."""
        return self._partition_ids

    def close(self) -> None:
        """The transaction is over: nothing may be staged any more."""
        self._over = True

    @property
    def over(self) -> bool:
        return self._over

    def append(self, cursor: Any, source_sql: str) -> AppendResult:
        """Stage the rows of a DuckDB SELECT.

        The SELECT yields, under names of columns of the table, values of physical types. Columns
        it leaves out take their default, NULL, the next auto-increment number or what generates
        them. ``__ord BIGINT`` (number of the row in the load) is required; ``__del BOOLEAN``
        (delete sign) and ``__seq`` (value of the hidden sequence column) are optional. Relations
        registered on ``cursor`` may be used; the source is read once.

        Raises:
            LoadRefused: the load as a whole is not possible.
            TransactionError: the transaction ended meanwhile.
        """
        with self._lock:
            self._check_running()
            described = cursor.execute(f"DESCRIBE {source_sql}").fetchall()
            given = {str(row[0]).lower(): str(row[0]) for row in described}
            self._check(given)
            table = self._with_partitions()
            by = table.partition_by
            temporary = f"src{self.txn_id}_{table.id}_{threading.get_ident()}"
            if by is None or not by.auto:
                return self._insert(cursor, self._named(table, source_sql, given), table, given)
            # partitions are made from the rows first, and the source can be read only once
            named = self._named(table, source_sql, given)
            cursor.execute(f"CREATE OR REPLACE TEMP TABLE {temporary} AS {named}")
            try:
                kept = f"SELECT * FROM {temporary}"
                table = self._make_partitions(cursor, table, kept)
                return self._insert(cursor, kept, table, given)
            finally:
                cursor.execute(f"DROP TABLE IF EXISTS {temporary}")

    def _check_running(self) -> None:
        if self._over:
            raise TransactionError(f"transaction [{self.txn_id}] is already aborted")

    def _with_partitions(self) -> Table:
        """The table in the form the load began with, with the partitions of this moment."""
        current = self._storage.catalog.table_by_id(self.table.id)
        if current is None:
            raise LoadRefused(f"unknown table {self.table.name}")
        return replace(self.table, partitions=current.partitions)

    # ------------------------------------------------------------------ rules

    def _check_partial(self, names: Sequence[str]) -> None:
        if not self.table.merge_on_write:
            raise LoadRefused("Only unique key merge on write support partial update")
        given = {name.lower() for name in names}
        missing = [c.name for c in self.table.key_columns if c.name.lower() not in given]
        if missing:
            raise LoadRefused(
                "Partial update should include all key columns, missing: " + ", ".join(missing)
            )

    def _check(self, given: Mapping[str, str]) -> None:
        table = self.table
        if ROW_ORDER not in given:
            raise ValueError(f"the source has no {ROW_ORDER}")
        for name in given:
            if name not in _MARKERS and not table.has_column(name):
                raise LoadRefused(f"unknown reference column, column={given[name]}")
        if DELETED in given and table.model is not KeysModel.UNIQUE_KEYS:
            raise LoadRefused(f"load by {DELETE_SIGN} is only supported in unique tables.")
        if self._partial is not None:
            self._check_partial(list(given))
            return
        self._check_sequence(given)
        if DELETED in given:
            return
        for column in table.columns:
            if column.name.lower() not in given and not _fills_itself(column):
                raise LoadRefused(f"Column has no default value, column={column.name}")

    def _check_sequence(self, given: Mapping[str, str]) -> None:
        """A full-row load names the sequence, unless the mapped column has a time default."""
        table = self.table
        if table.sequence_type is None:
            return
        mapped = table.sequence_column
        if mapped is None:
            complete = SEQUENCE in given
        else:
            column = table.column(mapped)
            complete = mapped.lower() in given or column.default_is_function
        if not complete:
            raise LoadRefused(
                f"Table {table.name} has sequence column, need to specify the sequence column"
            )

    # ------------------------------------------------------------------ SQL

    def _stored_columns(self, given: Mapping[str, str]) -> list[Column]:
        """Columns that are staged: all, or those given to a partial update."""
        if self._partial is None:
            return list(self.table.columns)
        return [column for column in self.table.columns if column.name.lower() in given]

    def _named(self, table: Table, source_sql: str, given: Mapping[str, str]) -> str:
        """The source with every stored column under its name, defaults filled in."""
        now = self._storage.clock.now()
        items = []
        generated = []
        for column in self._stored_columns(given):
            name = column.name.lower()
            if column.generated is not None:
                generated.append(column)
                continue
            value = (
                f"CAST(s.{quote(given[name])} AS {column.type.physical()})"
                if name in given
                else None
            )
            if column.auto_increment is not None:
                value = self._numbered(column, value)
            elif value is None:
                value = default_sql(column, now)
            items.append(f"{value} AS {quote(column.name)}")
        items.append(f"CAST(s.{quote(given[ROW_ORDER])} AS BIGINT) AS {ROW_ORDER}")
        deleted = f"coalesce(s.{quote(given[DELETED])}, FALSE)" if DELETED in given else "FALSE"
        items.append(f"{deleted} AS {DELETED}")
        if table.sequence_type is not None:
            items.append(f"{self._sequence(given)} AS {SEQUENCE}")
        named = f"SELECT {', '.join(items)} FROM ({source_sql}) s"
        types = {column.name: column.type for column in table.columns}
        for column in generated:
            expression = self._storage.translate_expression(str(column.generated), types)
            named = (
                f"SELECT *, CAST(({expression}) AS {column.type.physical()}) "
                f"AS {quote(column.name)} FROM ({named})"
            )
        return named

    def _sequence(self, given: Mapping[str, str]) -> str:
        sequence_type = self.table.sequence_type
        assert sequence_type is not None
        physical = sequence_type.physical()
        mapped = self.table.sequence_column
        name = SEQUENCE if mapped is None else mapped.lower()
        if name in given:
            return f"CAST(s.{quote(given[name])} AS {physical})"
        if mapped is not None and self._partial is None:
            return default_sql(self.table.column(mapped), self._storage.clock.now())
        return f"CAST(NULL AS {physical})"

    def _numbered(self, column: Column, value: str | None) -> str:
        """Auto-increment: a volatile sequence numbers rows that bring no number."""
        number = f"CAST(nextval('{auto_increment_name(column)}') AS BIGINT)"
        return number if value is None else f"coalesce({value}, {number})"

    def _reasons(self, table: Table, given: Mapping[str, str]) -> str:
        """SQL of why a row is refused, in Doris' words; NULL for a good row."""
        branches = []
        for column in self._stored_columns(given):
            if column.nullable:
                continue
            test = f"{quote(column.name)} IS NULL"
            if not column.key:
                test += f" AND NOT {DELETED}"
            reason = (
                f"column_name[{column.name}], null value for not null column, "
                f"type={column.type.primitive()}"
            )
            branches.append(f"WHEN {test} THEN '{reason.replace(chr(39), chr(39) * 2)}'")
        if table.partition_by is not None:
            shown = ", ".join(
                f"coalesce(CAST({quote(table.column(name).name)} AS VARCHAR), 'NULL')"
                for name in table.partition_by.columns
            )
            branches.append(
                "WHEN __pi IS NULL THEN 'no partition for this tuple. tuple=(' || "
                f"concat_ws(', ', {shown}) || ')'"
            )
        return f"CASE {' '.join(branches)} END" if branches else "CAST(NULL AS VARCHAR)"

    def _placed(self, named: str, table: Table, given: Mapping[str, str]) -> str:
        """The named rows with partition, tablet, arrival and reason, as the staging table has."""
        index = placement.partition_index_sql(table, placement.column_by_name, self._partition_ids)
        partitions = table.partitions
        bucket = placement.bucket_sql(
            table,
            placement.column_by_name,
            f"{ROW_ORDER} + {self._arrived}",
            placement.of_index("__pi", [len(partition.tablets) for partition in partitions]),
        )
        first = placement.of_index("__pi", [partition.first_tablet for partition in partitions])
        owner = placement.of_index("__pi", [partition.id for partition in partitions])
        columns = [
            f"{quote(column.name)} AS {column.physical}" for column in self._stored_columns(given)
        ]
        sequence = f", {SEQUENCE}" if table.sequence_type is not None else ""
        return (
            f"SELECT {', '.join(columns)}, {owner} AS __partition, {first} + {bucket} AS __tablet, "
            f"{self._arrived} + {ROW_ORDER} AS __arrival, {ROW_ORDER}, {DELETED}{sequence}, "
            f"{self._reasons(table, given)} AS __why "
            f"FROM (SELECT *, {index} AS __pi FROM ({named}))"
        )

    # ------------------------------------------------------------------ writing

    def _insert(
        self, cursor: Any, named: str, table: Table, given: Mapping[str, str]
    ) -> AppendResult:
        if not table.partitions:
            return self._all_refused(cursor, named)
        staged = self._describe(given)
        rows = self._placed(named, table, given)
        cursor.execute("BEGIN")
        try:
            if self._staged is None:
                self._storage.create_staging(cursor, staged, self._stored_columns(given), table)
            inserted = int(cursor.execute(f"INSERT INTO {staged.name} {rows}").fetchone()[0])
            rejected = cursor.execute(
                f"SELECT {ROW_ORDER}, __why FROM {staged.name} WHERE __why IS NOT NULL "
                f"ORDER BY {ROW_ORDER}"
            ).fetchall()
            if rejected:
                cursor.execute(f"DELETE FROM {staged.name} WHERE __why IS NOT NULL")
            last = cursor.execute(f"SELECT max(__arrival) FROM {staged.name}").fetchone()[0]
            if self._partial is not None:
                self._storage.check_new_keys(cursor, table, staged)
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                cursor.execute("ROLLBACK")
            # an abort drops the staging table under a load that still runs
            self._check_running()
            raise
        self._staged = staged
        self._arrived = self._arrived if last is None else int(last) + 1
        if not self._storage.register(staged, self):
            self._check_running()
        return AppendResult(inserted - len(rejected), rejected)

    def _describe(self, given: Mapping[str, str]) -> Staged:
        ids = tuple(column.id for column in self._stored_columns(given))
        if self._staged is not None:
            if self._staged.column_ids != ids:
                raise LoadRefused("all parts of a partial update must name the same columns")
            return self._staged
        has_sequence = SEQUENCE in given or (
            self.table.sequence_column is not None
            and (self._partial is None or str(self.table.sequence_column).lower() in given)
        )
        return Staged(
            txn_id=self.txn_id,
            table_id=self.table.id,
            column_ids=ids,
            partial=self._partial is not None,
            has_sequence=has_sequence,
            partition_ids=self._partition_ids,
        )

    def _all_refused(self, cursor: Any, named: str) -> AppendResult:
        """A table without any partition takes no row."""
        rows = cursor.execute(
            f"SELECT {ROW_ORDER}, 'no partition for this tuple. tuple=()' FROM ({named}) "
            f"ORDER BY {ROW_ORDER}"
        ).fetchall()
        return AppendResult(0, rows)

    def _make_partitions(self, cursor: Any, table: Table, named: str) -> Table:
        shapes = missing_shapes(cursor, table, named)
        if shapes:
            self._storage.add_partitions(table, shapes)
            return self._with_partitions()
        return table


def _fills_itself(column: Column) -> bool:
    return (
        column.nullable
        or column.default is not None
        or column.auto_increment is not None
        or column.generated is not None
    )


def auto_increment_name(column: Column) -> str:
    """Name of the DuckDB sequence behind an auto-increment column."""
    return f"seq{column.id}"
