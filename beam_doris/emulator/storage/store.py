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
"""The rows of all tables: staging, publishing, reading, deleting, compacting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from beam_doris.emulator import catalog_store
from beam_doris.emulator.catalog import Catalog, Column, KeysModel, Partition, Table
from beam_doris.emulator.clock import Clock
from beam_doris.emulator.errors import LoadRefused
from beam_doris.emulator.ids import Numbers
from beam_doris.emulator.literals import quote
from beam_doris.emulator.partitioning import PartitionShape, build_partition
from beam_doris.emulator.storage import placement, publish
from beam_doris.emulator.storage.stager import Staged, Stager, auto_increment_name
from beam_doris.emulator.storage.visible import visible_sql
from beam_doris.emulator.types import DorisType


@dataclass(slots=True, kw_only=True)
class StorageParts:
    """What the storage works with. ``replicas`` gives the backends of new tablets."""

    cursor: Callable[[], AbstractContextManager[Any]]
    catalog: Catalog
    numbers: Numbers
    clock: Clock
    replicas: Callable[[int, int], list[tuple[int, ...]]]
    translate: Callable[[str, Mapping[str, DorisType]], str]


class Storage:
    """Rows of all tables."""

    def __init__(self, parts: StorageParts) -> None:
        self._parts = parts
        self.catalog = parts.catalog
        self.clock = parts.clock
        self._lock = threading.Lock()
        self._staged: dict[int, dict[int, Staged]] = {}
        self._stagers: dict[tuple[int, int], Stager] = {}

    # ------------------------------------------------------------------ reading

    def visible_sql(
        self,
        table: Table,
        *,
        versions: Mapping[int, int] | None = None,
        tablets: Sequence[int] | None = None,
        partitions: Sequence[str] | None = None,
        hidden: bool = False,
    ) -> str:
        """A DuckDB SELECT of the rows visible at these partition versions.

        ``versions`` maps partition ids to versions; None is the latest. Columns carry their names
        in table order; with ``hidden`` also ``__DORIS_DELETE_SIGN__`` (UNIQUE tables),
        ``__DORIS_SEQUENCE_COL__`` (if any) and ``__DORIS_VERSION_COL__`` follow.

        Raises:
            VersionMerged: a version is older than the last compaction.
            UnknownPartition: the table lacks a named partition.
        """
        return visible_sql(
            table, versions=versions, tablets=tablets, partitions=partitions, hidden=hidden
        )

    def bucket_sql(self, table: Table, columns: Callable[[str], str], rowno: str = "0") -> str:
        """SQL of the bucket number of a row, for tables whose partitions have equal buckets.

        ``columns`` gives the SQL of a column's value by name; ``rowno`` spreads RANDOM tables.
        """
        return placement.bucket_sql(table, columns, rowno, str(table.distribution.buckets))

    def partition_sql(self, table: Table, columns: Callable[[str], str]) -> str:
        """SQL of the position in ``table.partitions`` that takes a row, NULL when none does."""
        return placement.partition_index_sql(table, columns)

    def row_count(self, table: Table, *, partitions: Sequence[str] | None = None) -> int:
        """Visible rows."""
        with self._parts.cursor() as cursor:
            source = self.visible_sql(table, partitions=partitions)
            return int(cursor.execute(f"SELECT count(*) FROM ({source})").fetchone()[0])

    def tablet_rows(self, table: Table) -> dict[int, int]:
        """Stored rows of each tablet that has any, deleted and superseded ones aside."""
        with self._parts.cursor() as cursor:
            return dict(
                cursor.execute(
                    f"SELECT __tablet, count(*) FROM {table.physical} "
                    "WHERE __gone IS NULL AND NOT __del GROUP BY __tablet"
                ).fetchall()
            )

    # ------------------------------------------------------------------ staging

    def stager(
        self,
        txn_id: int,
        table: Table,
        *,
        partitions: Sequence[str] | None = None,
        partial_columns: Sequence[str] | None = None,
    ) -> Stager:
        """Where rows of a transaction for a table go. Asked again, it is the same stager.

        Raises:
            LoadRefused: a partial update is not possible on this table.
            UnknownPartition: the table lacks a named partition.
        """
        with self._lock:
            known = self._stagers.get((txn_id, table.id))
            if known is not None:
                return known
            stager = Stager(
                self, txn_id, table, partitions=partitions, partial_columns=partial_columns
            )
            self._stagers[txn_id, table.id] = stager
            return stager

    def translate_expression(self, text: str, types: Mapping[str, DorisType]) -> str:
        """DuckDB SQL of a Doris scalar expression."""
        return self._parts.translate(text, types)

    def create_staging(
        self, cursor: Any, staged: Staged, columns: Sequence[Column], table: Table
    ) -> None:
        """Make a staging table inside the caller's DuckDB transaction."""
        items = [f"{column.physical} {column.type.physical()}" for column in columns]
        items += [
            "__partition BIGINT",
            "__tablet BIGINT",
            "__arrival BIGINT",
            "__ord BIGINT",
            "__del BOOLEAN",
        ]
        if table.sequence_type is not None:
            items.append(f"__seq {table.sequence_type.physical()}")
        items.append("__why VARCHAR")
        cursor.execute(f"CREATE TABLE {staged.name} ({', '.join(items)})")
        definition = {
            "columns": staged.column_ids,
            "partial": staged.partial,
            "has_sequence": staged.has_sequence,
            "partitions": staged.partition_ids,
        }
        catalog_store.save_staged(cursor, staged.txn_id, staged.table_id, definition)

    def register(self, staged: Staged, stager: Stager | None = None) -> bool:
        """A staging table has become durable; False when its transaction ended before that."""
        with self._lock:
            if stager is None or not stager.over:
                self._staged.setdefault(staged.txn_id, {})[staged.table_id] = staged
                return True
        with self._parts.cursor() as cursor:
            self._drop(cursor, [staged])
        return False

    def recover(self, cursor: Any, known: Collection[int]) -> None:
        """Learn the staging tables that an earlier process left; drop those of no known load."""
        for txn_id, table_id, stored in catalog_store.load_staged(cursor):
            only = stored["partitions"]
            staged = Staged(
                txn_id=txn_id,
                table_id=table_id,
                column_ids=tuple(stored["columns"]),
                partial=stored["partial"],
                has_sequence=stored["has_sequence"],
                partition_ids=None if only is None else tuple(only),
            )
            if txn_id in known:
                self.register(staged)
            else:
                self._drop(cursor, [staged])

    def staged_tables(self, txn_id: int) -> list[int]:
        """Ids of the tables for which a transaction has staged rows."""
        with self._lock:
            return sorted(self._staged.get(txn_id, {}))

    def staged_rows(self, txn_id: int) -> int:
        """Rows that a transaction has staged."""
        with self._lock:
            names = [staged.name for staged in self._staged.get(txn_id, {}).values()]
        with self._parts.cursor() as cursor:
            return sum(
                int(cursor.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in names
            )

    def check_new_keys(self, cursor: Any, table: Table, staged: Staged) -> None:
        """A partial update may add keys only if the columns it leaves out can fill themselves.

        Raises:
            LoadRefused: a new key would leave a NOT NULL column without a value.
        """
        present = set(staged.column_ids)
        needy = [
            column.name
            for column in table.columns
            if column.id not in present
            and not column.nullable
            and column.default is None
            and column.auto_increment is None
            and column.generated is None
        ]
        if not needy:
            return
        found = cursor.execute(
            f"SELECT 1 FROM {staged.name} w WHERE NOT w.__del AND NOT EXISTS ("
            f"SELECT 1 FROM {table.physical} o WHERE o.__gone IS NULL AND NOT o.__del "
            f"AND {publish.key_match(table, 'w', 'o')}) LIMIT 1"
        ).fetchone()
        if found is not None:
            raise LoadRefused(
                f"[E-7003]the unmentioned column `{needy[0]}` should have default value or be "
                "nullable for newly inserted rows in non-strict mode partial update"
            )

    # ------------------------------------------------------------------ publishing

    def publish_staged(self, cursor: Any, txn_id: int, table_ids: Sequence[int]) -> list[Table]:
        """Publish what a transaction staged, inside the caller's DuckDB transaction.

        The caller holds the write lock of the database. The result are the tables with their new
        versions; the caller puts them into the catalog once DuckDB has committed.
        """
        with self._lock:
            waiting = dict(self._staged.get(txn_id, {}))
            stagers = {table_id: self._stagers.get((txn_id, table_id)) for table_id in table_ids}
        changed = []
        for table_id in sorted({*table_ids, *waiting}):
            table = self.catalog.table_by_id(table_id)
            staged = waiting.get(table_id)
            if table is None:
                continue
            stager = stagers.get(table_id)
            only = staged.partition_ids if staged else (stager.partition_ids if stager else None)
            table = publish.bumped(table, only)
            if staged is not None:
                publish.publish(cursor, table, staged, self.clock.now())
            catalog_store.save_versions(cursor, table.id, table.partitions)
            changed.append(table)
        self.drop_staged(cursor, txn_id)
        return changed

    def drop_staged(self, cursor: Any, txn_id: int) -> None:
        """Drop the staging tables of a transaction inside the caller's DuckDB transaction."""
        with self._lock:
            waiting = list(self._staged.get(txn_id, {}).values())
        self._drop(cursor, waiting)

    def _drop(self, cursor: Any, waiting: Sequence[Staged]) -> None:
        for staged in waiting:
            cursor.execute(f"DROP TABLE IF EXISTS {staged.name}")
            catalog_store.delete_staged(cursor, staged.txn_id, staged.table_id)

    def forget(self, txn_id: int) -> None:
        """A transaction is over and DuckDB has committed that."""
        with self._lock:
            self._staged.pop(txn_id, None)
            for key in [key for key in self._stagers if key[0] == txn_id]:
                self._stagers.pop(key).close()

    # ------------------------------------------------------------------ changing tables

    def create_physical(self, cursor: Any, table: Table) -> None:
        """Make the physical table of a new table."""
        items = [f"{column.physical} {column.type.physical()}" for column in table.columns]
        items += [
            "__partition BIGINT",
            "__tablet BIGINT",
            "__version BIGINT",
            "__gone BIGINT",
            "__rowno BIGINT",
            "__del BOOLEAN",
        ]
        if table.sequence_type is not None:
            items.append(f"__seq {table.sequence_type.physical()}")
        cursor.execute(f"CREATE TABLE {table.physical} ({', '.join(items)})")
        for column in table.columns:
            if column.auto_increment is not None:
                cursor.execute(
                    f"CREATE SEQUENCE {auto_increment_name(column)} MINVALUE 0 "
                    f"START {column.auto_increment}"
                )

    def drop_physical(self, cursor: Any, table: Table) -> None:
        cursor.execute(f"DROP TABLE IF EXISTS {table.physical}")
        for column in table.columns:
            if column.auto_increment is not None:
                cursor.execute(f"DROP SEQUENCE IF EXISTS {auto_increment_name(column)}")

    def new_partitions(
        self, table: Table, shapes: Sequence[PartitionShape]
    ) -> tuple[Partition, ...]:
        """Partitions of these shapes with fresh ids and tablets."""
        partitions = []
        for shape in shapes:
            buckets = shape.buckets or table.distribution.buckets
            partitions.append(
                build_partition(
                    shape,
                    partition_id=self._parts.numbers.take("id", start=10_001),
                    first_tablet=self._parts.numbers.take("id", buckets, start=10_001),
                    buckets=buckets,
                    replicas=self._parts.replicas(buckets, table.replication_num),
                )
            )
        return tuple(partitions)

    def add_partitions(self, table: Table, shapes: Sequence[PartitionShape]) -> None:
        """Add partitions, except those whose name is there by now, durably and visibly."""
        with self.write(table.database) as cursor:
            current = self.catalog.table_by_id(table.id)
            if current is None:
                raise LoadRefused(f"unknown table {table.name}")
            names = {partition.name for partition in current.partitions}
            fresh = self.new_partitions(
                current, [shape for shape in shapes if shape.name not in names]
            )
            catalog_store.add_partitions(cursor, table.id, fresh, len(current.partitions))
            cursor.execute("COMMIT")
            self.catalog.replace([replace(current, partitions=(*current.partitions, *fresh))])

    @contextmanager
    def write(self, database: str) -> Iterator[Any]:
        """A cursor with an open DuckDB transaction, under the write lock of a database.

        The block ends with COMMIT; a transaction still open then is rolled back.
        """
        with self.catalog.write_lock(database), self._parts.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            finally:
                # after the block's own COMMIT there is nothing left to roll back
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")

    def delete_where(
        self, table: Table, condition_sql: str, *, partitions: Sequence[str] | None = None
    ) -> int:
        """Delete the visible rows for which a DuckDB condition over column names holds.

        Returns:
            How many rows went.
        """
        with self.write(table.database) as cursor:
            current = self.catalog.table_by_id(table.id) or table
            only = (
                None if partitions is None else [current.partition(name).id for name in partitions]
            )
            after = publish.bumped(current, only)
            count = _delete(cursor, after, condition_sql, only)
            catalog_store.save_versions(cursor, after.id, after.partitions)
            cursor.execute("COMMIT")
            self.catalog.replace([after])
            return count

    def compact(self, table: Table) -> None:
        """Drop superseded rows; older versions become unreadable (VersionMerged)."""
        with self.write(table.database) as cursor:
            current = self.catalog.table_by_id(table.id) or table
            after = replace(
                current,
                partitions=tuple(
                    replace(partition, oldest_version=partition.version)
                    for partition in current.partitions
                ),
            )
            cursor.execute(f"DELETE FROM {after.physical} WHERE __gone IS NOT NULL")
            catalog_store.save_versions(cursor, after.id, after.partitions)
            cursor.execute("COMMIT")
            self.catalog.replace([after])


def _delete(
    cursor: Any, table: Table, condition_sql: str, partition_ids: Sequence[int] | None
) -> int:
    named = ", ".join(f"{column.physical} AS {quote(column.name)}" for column in table.columns)
    where = "__gone IS NULL AND NOT __del"
    if partition_ids is not None:
        where += f" AND __partition IN ({', '.join(map(str, partition_ids)) or 'NULL'})"
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE del_rows AS SELECT __id FROM (SELECT {named}, rowid AS __id "
        f"FROM {table.physical} WHERE {where}) WHERE {condition_sql}"
    )
    version = publish.version_sql(table.partitions, "__partition")
    if table.model is KeysModel.UNIQUE_KEYS and table.sequence_type is not None:
        _leave_delete_signs(cursor, table, version)
    count = cursor.execute(
        f"UPDATE {table.physical} SET __gone = {version} WHERE rowid IN (SELECT __id FROM del_rows)"
    ).fetchone()[0]
    cursor.execute("DROP TABLE del_rows")
    return int(count)


def _leave_delete_signs(cursor: Any, table: Table, version: str) -> None:
    """A delete keeps the sequence of the row, so that a later smaller one still loses."""
    names = ", ".join(column.physical for column in table.columns)
    base = f"(SELECT max(__rowno) + 1 FROM {table.physical})"
    cursor.execute(
        f"INSERT INTO {table.physical} ({names}, __partition, __tablet, __version, __rowno, __del, "
        f"__seq) SELECT {names}, __partition, __tablet, {version}, "
        f"{base} + row_number() OVER (), TRUE, __seq FROM {table.physical} "
        "WHERE rowid IN (SELECT __id FROM del_rows)"
    )
