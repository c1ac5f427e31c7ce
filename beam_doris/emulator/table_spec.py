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
"""What a CREATE TABLE or ALTER TABLE statement asks for, before any rule has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from beam_doris.emulator.catalog import Column, Distribution, KeysModel, PartitionBy
from beam_doris.emulator.types import DorisType


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """A column as written. ``key`` is the word KEY behind the type.

    ``default`` is the literal text (None: none, or DEFAULT NULL) or, with ``default_is_function``,
    a function text such as ``CURRENT_TIMESTAMP(3)``.
    """

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSpec:
    """A partition as written: exactly one of the three forms, or none (the default LIST partition).

    ``less_than``: VALUES LESS THAN (...), an item None is MAXVALUE. ``lower``/``upper``: VALUES
    [(...), (...)), an item None is MAXVALUE.
    Items missing at the end of a bound are the smallest value. ``values``: VALUES IN (...), one tuple for each
    combination, an item None is NULL.
    """

    name: str
    less_than: tuple[str | None, ...] | None = None
    lower: tuple[str | None, ...] | None = None
    upper: tuple[str | None, ...] | None = None
    values: tuple[tuple[str | None, ...], ...] | None = None
    buckets: int | None = None
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """A CREATE TABLE statement. ``model`` None: no key clause; ``distribution`` None: none given.

    A ``Distribution`` with ``auto_buckets`` stands for BUCKETS AUTO.
    """

    database: str
    name: str
    columns: tuple[ColumnSpec, ...]
    model: KeysModel | None = None
    keys: tuple[str, ...] = ()
    partition_by: PartitionBy | None = None
    partitions: tuple[PartitionSpec, ...] = ()
    distribution: Distribution | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddColumns:
    """ADD COLUMN. ``after`` names a column, ``first`` puts it in front; both for one column only."""

    columns: tuple[ColumnSpec, ...]
    after: str | None = None
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DropColumn:
    """DROP COLUMN."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyColumn:
    """MODIFY COLUMN with a whole definition."""

    column: ColumnSpec
    after: str | None = None
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameColumn:
    """RENAME COLUMN."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReorderColumns:
    """ORDER BY (...)."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPartition:
    """ADD PARTITION."""

    partition: PartitionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPartition:
    """DROP PARTITION."""

    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameTable:
    """RENAME."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamePartition:
    """RENAME PARTITION."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetProperties:
    """SET (...)."""

    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyComment:
    """MODIFY COMMENT (column None) or MODIFY COLUMN c COMMENT."""

    comment: str
    column: str | None = None


TableChange = (
    AddColumns
    | DropColumn
    | ModifyColumn
    | RenameColumn
    | ReorderColumns
    | AddPartition
    | DropPartition
    | RenameTable
    | RenamePartition
    | SetProperties
    | ModifyComment
)


def made(spec: ColumnSpec, column_id: int) -> Column:
    """The column that a checked definition makes."""
    return Column(
        id=column_id,
        name=spec.name,
        type=spec.type,
        nullable=spec.nullable,
        key=spec.key,
        aggregation=spec.aggregation,
        default=spec.default,
        default_is_function=spec.default_is_function,
        comment=spec.comment,
        auto_increment=spec.auto_increment,
        generated=spec.generated,
    )
