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
"""The rules of ALTER TABLE, in Doris' words.

Each function gives the table as it will be and the DuckDB statements that bring the physical table
there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from beam_doris.emulator.catalog import Column, KeysModel, Table
from beam_doris.emulator.ddl_rules import check_column, check_in_model, check_name
from beam_doris.emulator.errors import DdlError
from beam_doris.emulator.literals import default_sql, zero_sql
from beam_doris.emulator.table_properties import changed
from beam_doris.emulator.table_spec import (
    AddColumns,
    ColumnSpec,
    DropColumn,
    ModifyColumn,
    ModifyComment,
    RenameColumn,
    RenamePartition,
    ReorderColumns,
    SetProperties,
    made,
)
from beam_doris.emulator.types import DorisType, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Altered:
    """The table after a change, and the DuckDB statements of the change."""

    table: Table
    statements: tuple[str, ...] = ()


# ---------------------------------------------------------------------- adding


def add_columns(
    table: Table, change: AddColumns, next_id: Callable[[], int], now: float
) -> Altered:
    """ADD COLUMN. Old rows read the default of the new column.

    The column comes first and its values after: DuckDB before 2.0 can't commit several columns that
    were added with defaults it has to compute.
    """
    statements, values = [], []
    for spec in change.columns:
        if table.has_column(spec.name):
            raise DdlError(
                f"Can not add column which already exists in base table: {spec.name}", 1060
            )
        check_column(spec)
        if spec.auto_increment is not None:
            raise DdlError("Can not add auto-increment column")
        if spec.generated is not None:
            raise DdlError("Not supporting alter table add generated columns.")
        spec = _in_model(spec, table)
        column = made(spec, next_id())
        columns = _placed(table, column, change.after, first=change.first)
        table = replace(table, columns=columns)
        filler = (
            zero_sql(column.type)
            if column.default is None and not column.nullable
            else default_sql(column, now)
        )
        alter = f"ALTER TABLE {table.physical}"
        statements.append(f"{alter} ADD COLUMN {column.physical} {column.type.physical()}")
        statements.append(f"{alter} ALTER {column.physical} SET DEFAULT {filler}")
        values.append(f"{column.physical} = {filler}")
    statements.append(f"UPDATE {table.physical} SET {', '.join(values)}")
    _check_order(table.columns)
    return Altered(table=table, statements=tuple(statements))


def _in_model(spec: ColumnSpec, table: Table) -> ColumnSpec:
    if table.model is KeysModel.AGG_KEYS and not spec.key and spec.aggregation is None:
        # in an AGGREGATE table a column without a way to be folded is a key
        spec = replace(spec, key=True)
    if table.model is KeysModel.UNIQUE_KEYS and spec.aggregation is not None:
        raise DdlError(
            "Can not assign aggregation method on column in Unique data model table: " + spec.name
        )
    if table.model is KeysModel.DUP_KEYS and spec.aggregation is not None:
        raise DdlError(
            "Can not assign aggregation method on column in Duplicate data model table: "
            + spec.name
        )
    check_in_model(spec, table.model)
    return spec


def _placed(table: Table, column: Column, after: str | None, *, first: bool) -> tuple[Column, ...]:
    columns = [known for known in table.columns if known.id != column.id]
    if first:
        at = 0
    elif after is not None:
        places = [
            place for place, known in enumerate(columns) if known.name.lower() == after.lower()
        ]
        if not places:
            raise DdlError(f"Column[{after}] does not exists")
        at = places[0] + 1
    elif column.key:
        at = sum(known.key for known in columns)
    else:
        at = len(columns)
    columns.insert(at, column)
    return tuple(columns)


def _check_order(columns: Sequence[Column]) -> None:
    seen_value = False
    for column in columns:
        if column.key and seen_value:
            raise DdlError(f"Invalid column order. value should be after key. index[{column.name}]")
        seen_value = seen_value or not column.key


# ---------------------------------------------------------------------- dropping, renaming


def drop_column(table: Table, change: DropColumn) -> Altered:
    """DROP COLUMN."""
    if not table.has_column(change.name):
        raise DdlError(f"Column does not exists: {change.name}", 1091, "42000")
    column = table.column(change.name)
    _check_unbound(table, column, "dropped")
    if column.key and table.model is KeysModel.UNIQUE_KEYS:
        raise DdlError("Can not drop key column in Unique data model table")
    if column.key and any(
        (other.aggregation or "").startswith("REPLACE") for other in table.columns
    ):
        raise DdlError(
            "Can not drop key column when table has value column with REPLACE aggregation method"
        )
    sequence = table.sequence_column
    if sequence is not None and sequence.lower() == column.name.lower():
        raise DdlError(
            f"Can not drop sequence mapping column[{column.name}] in Unique data model table"
            f"[{table.name}]"
        )
    for other in table.columns:
        if other.generated is not None and column.name.lower() in other.generated.lower():
            raise DdlError(
                f"Column '{column.name}' has a generated column dependency on :[{other.name}]"
            )
    columns = tuple(known for known in table.columns if known.id != column.id)
    if not columns or (column.key and not any(known.key for known in columns)):
        raise DdlError("No key column left. index[" + table.name + "]")
    return Altered(
        table=replace(table, columns=columns),
        statements=(f"ALTER TABLE {table.physical} DROP COLUMN {column.physical}",),
    )


def _check_unbound(table: Table, column: Column, word: str) -> None:
    name = column.name.lower()
    by = table.partition_by
    if by is not None and name in (used.lower() for used in by.columns):
        raise DdlError(f"Partition column[{column.name}] cannot be {word}")
    if name in (used.lower() for used in table.distribution.columns):
        raise DdlError(f"Distribution column[{column.name}] cannot be {word}")


def rename_column(table: Table, change: RenameColumn) -> Altered:
    """RENAME COLUMN: only the catalog changes, also where the name is used."""
    if not table.has_column(change.old):
        raise DdlError(f"Column[{change.old}] does not exists")
    column = table.column(change.old)
    if change.old.lower() != change.new.lower() and table.has_column(change.new):
        raise DdlError(f"Column name[{change.new}] is already used")
    check_name(change.new, "column")

    def renamed(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(change.new if name.lower() == column.name.lower() else name for name in names)

    by = table.partition_by
    if by is not None and by.auto and renamed(by.columns) != by.columns:
        raise DdlError("can not rename the column of an auto partition")
    properties = dict(table.properties)
    if (table.sequence_column or "").lower() == column.name.lower():
        properties["function_column.sequence_col"] = change.new
    return Altered(
        table=replace(
            table,
            columns=tuple(
                replace(known, name=change.new) if known.id == column.id else known
                for known in table.columns
            ),
            distribution=replace(table.distribution, columns=renamed(table.distribution.columns)),
            partition_by=None if by is None else replace(by, columns=renamed(by.columns)),
            properties=properties,
        )
    )


def rename_partition(table: Table, change: RenamePartition) -> Altered:
    """RENAME PARTITION."""
    partition = table.partition(change.old)
    if any(known.name.lower() == change.new.lower() for known in table.partitions):
        raise DdlError(f"Partition name[{change.new}] is already used", 1517)
    return Altered(
        table=replace(
            table,
            partitions=tuple(
                replace(known, name=change.new) if known.id == partition.id else known
                for known in table.partitions
            ),
        )
    )


def reorder_columns(table: Table, change: ReorderColumns) -> Altered:
    """ORDER BY (...): every column, keys first."""
    if len(change.names) != len(table.columns):
        raise DdlError("Reorder stmt should contains all columns")
    columns = tuple(table.column(name) for name in change.names)
    if len({column.id for column in columns}) != len(columns):
        raise DdlError("Reduplicative column in the order list")
    _check_order(columns)
    return Altered(table=replace(table, columns=columns))


# ---------------------------------------------------------------------- modifying

_NUMBERS = (
    Kind.TINYINT,
    Kind.SMALLINT,
    Kind.INT,
    Kind.BIGINT,
    Kind.LARGEINT,
    Kind.FLOAT,
    Kind.DOUBLE,
)


def modify_column(table: Table, change: ModifyColumn) -> Altered:
    """MODIFY COLUMN with a whole definition."""
    spec = change.column
    if not table.has_column(spec.name):
        raise DdlError(f"Column[{spec.name}] does not exists")
    old = table.column(spec.name)
    by = table.partition_by
    retyped = spec.type != old.type
    if by is not None and old.name.lower() in (name.lower() for name in by.columns):
        raise DdlError(f"Can not modify partition column[{old.name}].")
    if retyped and old.name.lower() in (name.lower() for name in table.distribution.columns):
        raise DdlError(f"Can not modify distribution column[{old.name}].")
    if old.generated is not None or spec.generated is not None:
        raise DdlError("Not supporting alter table modify generated columns.")
    check_column(spec)
    if old.nullable and not spec.nullable:
        raise DdlError("Can not change from nullable to non-nullable")
    if spec.aggregation is not None and spec.aggregation != old.aggregation:
        raise DdlError("Can not change aggregation type")
    if spec.key and not old.key:
        raise DdlError("Can not change a value column to a key column")
    check_conversion(old.type, spec.type)
    spec = replace(spec, key=old.key, aggregation=old.aggregation)
    check_in_model(spec, table.model)
    column = replace(
        made(spec, old.id),
        name=old.name,
        auto_increment=old.auto_increment,
        comment=spec.comment or old.comment,
    )
    moved = change.first or change.after is not None
    columns = (
        _placed(table, column, change.after, first=change.first)
        if moved
        else tuple(column if known.id == old.id else known for known in table.columns)
    )
    _check_order(columns)
    statements = []
    if column.type.physical() != old.type.physical():
        statements.append(
            f"ALTER TABLE {table.physical} ALTER {column.physical} "
            f"SET DATA TYPE {column.type.physical()} USING {_converted(old, column.type)}"
        )
    sequence = table.sequence_column
    if statements and sequence is not None and sequence.lower() == old.name.lower():
        statements.append(
            f"ALTER TABLE {table.physical} ALTER __seq SET DATA TYPE {column.type.physical()}"
        )
    return Altered(table=replace(table, columns=columns), statements=tuple(statements))


def _converted(old: Column, new: DorisType) -> str:
    if old.type.kind is Kind.BOOLEAN:
        return f"CAST(CAST({old.physical} AS TINYINT) AS {new.physical()})"
    return f"CAST({old.physical} AS {new.physical()})"


def check_conversion(old: DorisType, new: DorisType) -> None:
    """Raises DdlError unless MODIFY COLUMN may go from one type to the other."""
    if old == new:
        return
    if old.kind in (Kind.CHAR, Kind.VARCHAR) and new.kind in (Kind.CHAR, Kind.VARCHAR):
        if new.length < old.length:
            raise DdlError(
                f"Shorten type length is prohibited, srcType={old.shown()}, "
                f"targetType={new.shown()}"
            )
        if not (old.kind is Kind.VARCHAR and new.kind is Kind.CHAR):
            return
    elif _convertible(old, new):
        return
    raise DdlError(f"Can not change {old.primitive()} to {new.primitive()}")


def _convertible(old: DorisType, new: DorisType) -> bool:
    texts = (Kind.VARCHAR, Kind.STRING)
    if old.kind in _NUMBERS and new.kind in _NUMBERS:
        return _NUMBERS.index(new.kind) > _NUMBERS.index(old.kind)
    if old.kind in _NUMBERS and new.kind in texts:
        return True
    if old.kind in (Kind.CHAR, *texts):
        return new.kind in (Kind.STRING, Kind.JSON, Kind.DATE, *_NUMBERS)
    if old.kind is Kind.DECIMAL:
        wider = new.kind is Kind.DECIMAL and (
            new.precision - new.scale >= old.precision - old.scale and new.scale >= old.scale
        )
        return wider or new.kind in texts
    if old.kind is Kind.DATE:
        return new.kind is Kind.DATETIME
    if old.kind is Kind.DATETIME:
        return new.kind is Kind.DATE or (new.kind is Kind.DATETIME and new.scale >= old.scale)
    if old.kind is Kind.JSON:
        return new.kind in texts
    if old.kind is Kind.ARRAY and new.kind is Kind.ARRAY:
        return _convertible(old.children[0], new.children[0])
    return False


# ---------------------------------------------------------------------- the rest


def set_properties(table: Table, change: SetProperties) -> Altered:
    """SET (...)."""
    return Altered(table=replace(table, properties=changed(table.properties, change.properties)))


def modify_comment(table: Table, change: ModifyComment) -> Altered:
    """MODIFY COMMENT of the table, or of one column."""
    if change.column is None:
        return Altered(table=replace(table, comment=change.comment))
    if not table.has_column(change.column):
        raise DdlError(f"Column[{change.column}] does not exists")
    column = table.column(change.column)
    return Altered(
        table=replace(
            table,
            columns=tuple(
                replace(known, comment=change.comment) if known.id == column.id else known
                for known in table.columns
            ),
        )
    )
