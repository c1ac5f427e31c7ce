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
"""The rules of CREATE TABLE, in Doris' words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from beam_doris.emulator.catalog import Distribution, KeysModel, PartitionBy
from beam_doris.emulator.errors import DdlError
from beam_doris.emulator.literals import default_sql
from beam_doris.emulator.partitioning import PartitionShape, auto_range, shapes_of
from beam_doris.emulator.table_properties import checked
from beam_doris.emulator.table_spec import ColumnSpec, TableSpec, made
from beam_doris.emulator.types import (
    FLOATS,
    INTEGERS,
    NESTED,
    NOT_COMPARABLE,
    DorisType,
    Kind,
    parse_type,
)

AUTO_BUCKETS = 10
MAX_IMPLIED_KEYS = 3
MAX_IMPLIED_KEY_BYTES = 36
_NAME = re.compile(r"[^\x00-\x20`.][^\x00`.]{0,255}")
_AGGREGATIONS = (
    "SUM",
    "MIN",
    "MAX",
    "REPLACE",
    "REPLACE_IF_NOT_NULL",
    "HLL_UNION",
    "BITMAP_UNION",
)
_INDEX_BYTES = {
    Kind.BOOLEAN: 1,
    Kind.TINYINT: 1,
    Kind.SMALLINT: 2,
    Kind.INT: 4,
    Kind.BIGINT: 8,
    Kind.LARGEINT: 16,
    Kind.DATE: 4,
    Kind.DATETIME: 8,
    Kind.VARCHAR: 20,
    Kind.IPV4: 4,
    Kind.IPV6: 16,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTable:
    """A CREATE TABLE that breaks no rule, with everything implied made explicit."""

    columns: tuple[ColumnSpec, ...]
    model: KeysModel
    keys_explicit: bool
    distribution: Distribution
    partition_by: PartitionBy | None
    shapes: tuple[PartitionShape, ...]
    properties: Mapping[str, str]


def check_table(spec: TableSpec, *, alive_backends: int) -> CheckedTable:
    """Check a CREATE TABLE.

    Raises:
        DdlError: with Doris' message.
    """
    if not spec.columns:
        raise DdlError("A table must have at least one column", 1113)
    check_name(spec.name, "table")
    for column in spec.columns:
        check_column(column)
    _no_duplicates(spec.columns)
    model, keys = _keys(spec)
    columns = _marked(spec.columns, keys, model)
    for column in columns:
        check_in_model(column, model)
    properties = checked(spec.properties)
    _sequence_properties(columns, model, properties)
    distribution = _distribution(spec.distribution, columns, model)
    types = _partition_types(spec.partition_by, columns, model)
    shapes = (
        [PartitionShape(name=spec.name)]
        if spec.partition_by is None
        else shapes_of(spec.partitions, spec.partition_by, types)
    )
    check_replicas(int(properties["replication_num"]), alive_backends)
    return CheckedTable(
        columns=columns,
        model=model,
        keys_explicit=spec.model is not None,
        distribution=distribution,
        partition_by=spec.partition_by,
        shapes=tuple(shapes),
        properties=properties,
    )


def check_replicas(wanted: int, alive_backends: int) -> None:
    """Each replica of a tablet needs a backend of its own."""
    if wanted > alive_backends:
        raise DdlError(
            "Failed to find enough backend, please check the replication num,replication tag and "
            "storage medium and avail capacity of backends or maybe all be on same host.\n"
            "Create failed replications:\n"
            f'replication tag: {{"location" : "default"}}, replication num: {wanted}, '
            "storage medium: null"
        )


def check_name(name: str, what: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise DdlError(f"Incorrect {what} name '{name}'", 1103 if what == "table" else 1166)


def check_column(column: ColumnSpec) -> None:
    """Rules that a column keeps by itself."""
    check_name(column.name, "column")
    if column.name.upper().startswith("__DORIS_"):
        raise DdlError(
            f"Incorrect column name '{column.name}', column name can't start with '__DORIS_'"
        )
    if column.default is not None:
        _check_default(column)
    if column.auto_increment is not None:
        if column.type.kind is not Kind.BIGINT:
            raise DdlError("the auto increment must be BIGINT type.")
        if column.nullable:
            raise DdlError("the auto increment column should be NOT NULL.")
        if column.default is not None:
            raise DdlError("the auto increment column can't have default value.")
    if column.generated is not None and column.default is not None:
        raise DdlError("Generated columns cannot have default value.")


def _check_default(column: ColumnSpec) -> None:
    kind = column.type.kind
    if kind in NESTED and column.default not in ("[]", "{}"):
        raise DdlError(f"{kind.value} type column default value just support null")
    default_sql(made(column, 0), 0.0)
    text = column.default or ""
    if column.default_is_function:
        return
    if kind in (Kind.CHAR, Kind.VARCHAR) and len(text.encode()) > column.type.length:
        raise DdlError(f"Default value is too long: {text}")
    bits = {Kind.TINYINT: 7, Kind.SMALLINT: 15, Kind.INT: 31, Kind.BIGINT: 63, Kind.LARGEINT: 127}
    if kind in bits and not -(1 << bits[kind]) <= int(text) < 1 << bits[kind]:
        raise DdlError(f"Number out of range[{text}]. type: {column.type.sql().lower()}")


def _no_duplicates(columns: Sequence[ColumnSpec]) -> None:
    seen = set()
    for column in columns:
        if column.name.lower() in seen:
            raise DdlError(f"Duplicate column name '{column.name}'", 1060, "42S21")
        seen.add(column.name.lower())


# ---------------------------------------------------------------------- keys


def _keys(spec: TableSpec) -> tuple[KeysModel, tuple[str, ...]]:
    if spec.model is not None:
        _check_key_order(spec)
        return spec.model, spec.keys
    marked = tuple(column.name for column in spec.columns if column.key)
    if any(column.aggregation for column in spec.columns):
        names = [column.name for column in spec.columns if not column.aggregation]
        return KeysModel.AGG_KEYS, marked or tuple(names)
    if marked:
        return KeysModel.DUP_KEYS, marked
    if spec.properties.get("enable_duplicate_without_keys_by_default", "").lower() == "true":
        return KeysModel.DUP_KEYS, ()
    return KeysModel.DUP_KEYS, _implied_keys(spec.columns)


def _implied_keys(columns: Sequence[ColumnSpec]) -> tuple[str, ...]:
    """Without a key clause up to three leading columns of together 36 bytes become the key."""
    keys: list[str] = []
    size = 0
    for column in columns:
        kind = column.type.kind
        width = _INDEX_BYTES.get(kind, 0)
        if kind is Kind.CHAR:
            width = column.type.length
        elif kind in (Kind.DECIMAL, Kind.DECIMALV2):
            width = 16 if column.type.precision > 18 else 8
        size += width
        if len(keys) >= MAX_IMPLIED_KEYS or size > MAX_IMPLIED_KEY_BYTES:
            if not keys and kind in (Kind.CHAR, Kind.VARCHAR):
                keys.append(column.name)
            break
        if width == 0:
            break
        keys.append(column.name)
        if kind is Kind.VARCHAR:
            break
    if not keys:
        raise DdlError(
            "The olap table first column could not be float, double, string or array, struct, "
            "map, please use decimal or varchar instead."
        )
    return tuple(keys)


def _check_key_order(spec: TableSpec) -> None:
    known = {column.name.lower() for column in spec.columns}
    for name in spec.keys:
        if name.lower() not in known:
            raise DdlError(f"Key column[{name}] doesn't exist.")
    if len({name.lower() for name in spec.keys}) != len(spec.keys):
        raise DdlError("Duplicate key column in the key clause")
    for place, (name, column) in enumerate(zip(spec.keys, spec.columns, strict=False)):
        if name.lower() != column.name.lower():
            raise DdlError(
                "Key columns should be a ordered prefix of the schema. "
                f"KeyColumns[{place}] (starts from zero) is {name}, but corresponding column is "
                f"{column.name} in the previous columns declaration."
            )


def _marked(
    columns: Sequence[ColumnSpec], keys: Sequence[str], model: KeysModel
) -> tuple[ColumnSpec, ...]:
    names = {name.lower() for name in keys}
    if model is not KeysModel.DUP_KEYS and not names:
        raise DdlError(f"{model.value.split('_')[0]} KEY table must have at least one key column")
    leading = [column.name.lower() in names for column in columns]
    if sorted(leading, reverse=True) != leading:
        raise DdlError("Key columns should be a ordered prefix of the schema.")
    return tuple(
        replace(column, key=is_key) for column, is_key in zip(columns, leading, strict=True)
    )


def check_in_model(column: ColumnSpec, model: KeysModel) -> None:
    """Rules of a key or value column in a data model."""
    kind = column.type.kind
    if column.key:
        check_key_type(column)
        if column.aggregation is not None:
            raise DdlError(f"Key column {column.name} can not set aggregation type")
        return
    if model is KeysModel.AGG_KEYS:
        if column.aggregation is None:
            raise DdlError(
                f"{column.name} should set aggregation type to non-key column when in aggregate key"
            )
        _check_aggregation(column)
        if column.auto_increment is not None or column.generated is not None:
            raise DdlError(
                "The auto-increment and generated columns can not be used in aggregate table"
            )
        return
    if column.aggregation is not None:
        name = "unique" if model is KeysModel.UNIQUE_KEYS else "duplicate"
        raise DdlError(
            f"{column.name} set aggregation type {column.aggregation} which is not "
            f"allowed in {name} table"
        )
    if kind is Kind.HLL:
        raise DdlError(f"HLL type column {column.name} can only be used in aggregate table")


def check_key_type(column: ColumnSpec) -> None:
    kind = column.type.kind
    if kind is Kind.STRING:
        raise DdlError(f"String Type should not be used in key column[{column.name}].")
    if kind in FLOATS:
        raise DdlError("Float or double can not used as a key, use decimal instead.")
    if kind in NOT_COMPARABLE:
        raise DdlError(
            f"{kind.value} can only be used in the non-key column of the duplicate table at "
            f"present. column[{column.name}]"
        )


def _check_aggregation(column: ColumnSpec) -> None:
    how = column.aggregation or ""
    kind = column.type.kind
    if how not in _AGGREGATIONS:
        raise DdlError(f"Aggregate type {how} is not supported")
    numbers = (*INTEGERS, *FLOATS, Kind.DECIMAL, Kind.DECIMALV2)
    fits = {
        "SUM": kind in numbers,
        "MIN": kind not in NOT_COMPARABLE,
        "MAX": kind not in NOT_COMPARABLE,
        "HLL_UNION": kind is Kind.HLL,
        "BITMAP_UNION": kind is Kind.BITMAP,
    }.get(how, kind not in (Kind.HLL, Kind.BITMAP))
    if not fits:
        raise DdlError(
            f"Aggregate type {how} is not compatible with primitive type "
            f"{column.type.sql().lower()}"
        )


# ---------------------------------------------------------------------- distribution, partitions


def _named(columns: Sequence[ColumnSpec], name: str) -> ColumnSpec | None:
    return next((column for column in columns if column.name.lower() == name.lower()), None)


def _distribution(
    wanted: Distribution | None,
    columns: Sequence[ColumnSpec],
    model: KeysModel,
) -> Distribution:
    if wanted is None:
        # no DISTRIBUTED BY means RANDOM BUCKETS AUTO (P 13); UNIQUE tables hash by their key
        if model is KeysModel.UNIQUE_KEYS:
            keys = tuple(column.name for column in columns if column.key)
            wanted = Distribution(kind="HASH", columns=keys, auto_buckets=True)
        else:
            wanted = Distribution(kind="RANDOM", auto_buckets=True)
    if wanted.auto_buckets:
        wanted = replace(wanted, buckets=AUTO_BUCKETS)
    if wanted.buckets < 1:
        raise DdlError("Buckets number of distribution should be greater than zero.")
    if wanted.kind == "RANDOM":
        if model is KeysModel.UNIQUE_KEYS:
            raise DdlError("Create unique keys table should not contain random distribution desc")
        if any((column.aggregation or "").startswith("REPLACE") for column in columns):
            raise DdlError(
                "Create aggregate keys table with value columns of which aggregate type is "
                "REPLACE should not contain random distribution desc"
            )
        return wanted
    for name in wanted.columns:
        column = _named(columns, name)
        if column is None:
            raise DdlError(f"Distribution column({name}) doesn't exist.")
        if model is not KeysModel.DUP_KEYS and not column.key:
            raise DdlError(f"Distribution column[{name}] is not key column")
        if column.type.kind in FLOATS:
            raise DdlError("Floating point type column can not be distribution column")
        if column.type.kind in NOT_COMPARABLE:
            raise DdlError(
                f"{column.type.kind.value} type column can not be distribution column: {name}"
            )
    return wanted


def _partition_types(
    by: PartitionBy | None, columns: Sequence[ColumnSpec], model: KeysModel
) -> list[DorisType]:
    if by is None:
        return []
    if by.auto_expression is not None and by.kind == "RANGE":
        auto_range(by.auto_expression)
    types = []
    for name in by.columns:
        column = _named(columns, name)
        if column is None:
            raise DdlError(f"partition key {name} is not exists", 1054)
        if model is not KeysModel.DUP_KEYS and not column.key:
            word = "merge-on-write table's partition column must be KEY column"
            raise DdlError(
                word
                if model is KeysModel.UNIQUE_KEYS
                else "The partition column could not be aggregated column"
            )
        if column.type.kind in FLOATS:
            raise DdlError("Floating point type column can not be partition column")
        if column.type.kind in (*NOT_COMPARABLE, Kind.STRING):
            raise DdlError("String Type should not be used in partition column[" + name + "].")
        if by.auto and by.kind == "RANGE" and column.nullable:
            raise DdlError("AUTO RANGE PARTITION doesn't support NULL column")
        types.append(column.type)
    return types


def _sequence_properties(
    columns: Sequence[ColumnSpec], model: KeysModel, properties: Mapping[str, str]
) -> None:
    mapped = properties.get("function_column.sequence_col")
    typed = properties.get("function_column.sequence_type")
    unique = model is KeysModel.UNIQUE_KEYS
    if not unique and "enable_unique_key_merge_on_write" in properties:
        raise DdlError("enable_unique_key_merge_on_write property only support unique table")
    if mapped is None and typed is None:
        return
    if not unique:
        raise DdlError("sequence column only support UNIQUE_KEYS")
    if mapped is not None and typed is not None:
        raise DdlError("sequence_col and sequence_type cannot be set at the same time")
    kinds = (*INTEGERS, Kind.DATE, Kind.DATETIME)
    if mapped is not None:
        column = _named(columns, mapped)
        if column is None:
            raise DdlError(f"The specified sequence column[{mapped}] not exists")
        kind = column.type.kind
    else:
        kind = parse_type(str(typed)).kind
    if kind not in kinds:
        raise DdlError("Sequence type only support integer types and date types")
