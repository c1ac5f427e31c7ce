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
"""CREATE, ALTER, TRUNCATE and DROP: checked, written durably, then shown to everybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from beam_doris.emulator import alter_rules, catalog_store
from beam_doris.emulator.alter_rules import Altered
from beam_doris.emulator.catalog import Catalog, Database, Partition, Table
from beam_doris.emulator.clock import Clock
from beam_doris.emulator.ddl_rules import check_name, check_replicas, check_table
from beam_doris.emulator.errors import (
    DatabaseExists,
    DatabaseMissing,
    DdlError,
    TableExists,
    UnknownTable,
)
from beam_doris.emulator.ids import Numbers
from beam_doris.emulator.partitioning import PartitionShape, shape_of
from beam_doris.emulator.storage import Storage
from beam_doris.emulator.table_spec import (
    AddColumns,
    AddPartition,
    DropColumn,
    DropPartition,
    ModifyColumn,
    ModifyComment,
    RenameColumn,
    RenamePartition,
    RenameTable,
    ReorderColumns,
    SetProperties,
    TableChange,
    TableSpec,
    made,
)
from beam_doris.emulator.transactions import Transactions

FIRST_ID = 10_001


@dataclass(slots=True, kw_only=True)
class SchemaParts:
    """What schema changes work with."""

    catalog: Catalog
    storage: Storage
    transactions: Transactions
    numbers: Numbers
    clock: Clock
    alive_backends: Callable[[], int]
    check_expressions: Callable[[Table], None]


class SchemaChanges:
    """Carries out DDL, one statement at a time for each database."""

    def __init__(self, parts: SchemaParts) -> None:
        self._parts = parts

    def _next_id(self) -> int:
        return self._parts.numbers.take("id", start=FIRST_ID)

    # ------------------------------------------------------------------ databases

    def create_database(self, name: str, *, if_not_exists: bool) -> Database:
        catalog = self._parts.catalog
        check_name(name, "database")
        with self._parts.storage.write(name) as cursor:
            if catalog.has_database(name):
                if if_not_exists:
                    return catalog.database(name)
                raise DatabaseExists(name)
            database = Database(id=self._next_id(), name=name, created_at=self._parts.clock.now())
            catalog_store.save_database(cursor, database)
            cursor.execute("COMMIT")
            catalog.create_database(database)
            return database

    def drop_database(self, name: str, *, if_exists: bool) -> None:
        catalog = self._parts.catalog
        with self._parts.storage.write(name) as cursor:
            if not catalog.has_database(name):
                if if_exists:
                    return
                raise DatabaseMissing(name)
            database = catalog.database(name)
            for table in catalog.tables(name):
                self._parts.storage.drop_physical(cursor, table)
                catalog_store.delete_table(cursor, table.id)
            gone = self._parts.transactions.drop_database(cursor, database)
            catalog_store.delete_database(cursor, database.id)
            cursor.execute("COMMIT")
            catalog.drop_database(name)
            self._parts.transactions.database_dropped(gone)

    # ------------------------------------------------------------------ tables

    def create_table(self, spec: TableSpec) -> Table:
        parts = self._parts
        with parts.storage.write(spec.database) as cursor:
            database = parts.catalog.database(spec.database)
            if parts.catalog.has_table(spec.database, spec.name):
                if spec.if_not_exists:
                    return parts.catalog.table(spec.database, spec.name)
                raise TableExists(spec.name)
            checked = check_table(spec, alive_backends=parts.alive_backends())
            table = Table(
                id=self._next_id(),
                database=spec.database,
                name=spec.name,
                model=checked.model,
                columns=tuple(made(column, self._next_id()) for column in checked.columns),
                distribution=checked.distribution,
                partitions=(),
                partition_by=checked.partition_by,
                properties=checked.properties,
                comment=spec.comment,
                created_at=parts.clock.now(),
                keys_explicit=checked.keys_explicit,
            )
            parts.check_expressions(table)
            table = replace(table, partitions=parts.storage.new_partitions(table, checked.shapes))
            parts.storage.create_physical(cursor, table)
            catalog_store.save_table(cursor, table, database.id)
            cursor.execute("COMMIT")
            parts.catalog.create_table(table)
            return table

    def drop_table(self, database: str, name: str, *, if_exists: bool) -> None:
        parts = self._parts
        with parts.storage.write(database) as cursor:
            parts.catalog.database(database)
            if not parts.catalog.has_table(database, name):
                if if_exists:
                    return
                raise UnknownTable(database, name)
            table = parts.catalog.table(database, name)
            parts.storage.drop_physical(cursor, table)
            catalog_store.delete_table(cursor, table.id)
            cursor.execute("COMMIT")
            parts.catalog.drop_table(database, name)

    def truncate(self, table: Table, partitions: Sequence[str] | None) -> Table:
        """Empty partitions: each is replaced by one of the same shape with new ids."""
        parts = self._parts
        with parts.storage.write(table.database) as cursor:
            table = parts.catalog.table(table.database, table.name)
            old = (
                list(table.partitions)
                if partitions is None
                else [table.partition(name) for name in partitions]
            )
            fresh = dict(
                zip(
                    [partition.id for partition in old],
                    parts.storage.new_partitions(table, [_shape(item) for item in old]),
                    strict=True,
                )
            )
            after = replace(
                table,
                partitions=tuple(fresh.get(item.id, item) for item in table.partitions),
            )
            self._empty(cursor, table, old)
            self._save(cursor, after)
            return after

    def _empty(self, cursor: Any, table: Table, partitions: Sequence[Partition]) -> None:
        ids = ", ".join(str(partition.id) for partition in partitions)
        if ids:
            cursor.execute(f"DELETE FROM {table.physical} WHERE __partition IN ({ids})")

    def _save(self, cursor: Any, table: Table) -> None:
        database = self._parts.catalog.database(table.database)
        catalog_store.save_table(cursor, table, database.id)
        cursor.execute("COMMIT")
        self._parts.catalog.replace([table])

    # ------------------------------------------------------------------ ALTER

    def alter(self, table: Table, change: TableChange) -> Table:
        with self._parts.storage.write(table.database) as cursor:
            table = self._parts.catalog.table(table.database, table.name)
            if isinstance(change, AddPartition):
                return self._add_partition(cursor, table, change)
            if isinstance(change, DropPartition):
                return self._drop_partition(cursor, table, change)
            altered = self._altered(table, change)
            for statement in altered.statements:
                cursor.execute(statement)
            if altered.table.partitions == table.partitions:
                catalog_store.save_definition(cursor, altered.table)
                cursor.execute("COMMIT")
                self._parts.catalog.replace([altered.table])
            else:
                self._save(cursor, altered.table)
            return altered.table

    def _altered(self, table: Table, change: TableChange) -> Altered:
        if isinstance(change, AddColumns):
            return alter_rules.add_columns(table, change, self._next_id, self._parts.clock.now())
        if isinstance(change, DropColumn):
            return alter_rules.drop_column(table, change)
        if isinstance(change, ModifyColumn):
            return alter_rules.modify_column(table, change)
        if isinstance(change, RenameColumn):
            return alter_rules.rename_column(table, change)
        if isinstance(change, RenamePartition):
            return alter_rules.rename_partition(table, change)
        if isinstance(change, ReorderColumns):
            return alter_rules.reorder_columns(table, change)
        if isinstance(change, SetProperties):
            return alter_rules.set_properties(table, change)
        if isinstance(change, ModifyComment):
            return alter_rules.modify_comment(table, change)
        if isinstance(change, RenameTable):
            return self._renamed(table, change)
        raise DdlError(f"this change of a table is not supported by the emulator: {change}")

    def _renamed(self, table: Table, change: RenameTable) -> Altered:
        check_name(change.name, "table")
        if self._parts.catalog.has_table(table.database, change.name):
            raise DdlError(f"Table name[{change.name}] is already used")
        return Altered(table=replace(table, name=change.name))

    def _add_partition(self, cursor: Any, table: Table, change: AddPartition) -> Table:
        by = table.partition_by
        if by is None:
            raise DdlError("Only support adding partition to range and list partitioned table")
        spec = change.partition
        if spec.if_not_exists and any(
            known.name.lower() == spec.name.lower() for known in table.partitions
        ):
            return table
        types = [table.column(name).type for name in by.columns]
        shape = shape_of(spec, by, types, table.partitions)
        check_replicas(table.replication_num, self._parts.alive_backends())
        fresh = self._parts.storage.new_partitions(table, [shape])
        after = replace(table, partitions=(*table.partitions, *fresh))
        catalog_store.add_partitions(cursor, table.id, fresh, len(table.partitions))
        cursor.execute("COMMIT")
        self._parts.catalog.replace([after])
        return after

    def _drop_partition(self, cursor: Any, table: Table, change: DropPartition) -> Table:
        if table.partition_by is None:
            raise DdlError("Alter table [" + table.name + "] failed. Not a partitioned table")
        found = [known for known in table.partitions if known.name.lower() == change.name.lower()]
        if not found:
            if change.if_exists:
                return table
            raise DdlError(f"Error in list of partitions to {change.name}", 1507)
        after = replace(
            table,
            partitions=tuple(known for known in table.partitions if known.id != found[0].id),
        )
        self._empty(cursor, table, found)
        self._save(cursor, after)
        return after


def _shape(partition: Partition) -> PartitionShape:
    return PartitionShape(
        name=partition.name,
        lower=partition.lower,
        upper=partition.upper,
        values=partition.values,
        is_default=partition.is_default,
        buckets=len(partition.tablets),
    )
