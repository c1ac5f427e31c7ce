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
"""SQL of the rows that a reader sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beam_doris.emulator.catalog import (
    DELETE_SIGN,
    SEQUENCE_COLUMN,
    VERSION_COLUMN,
    Column,
    KeysModel,
    Table,
)
from beam_doris.emulator.errors import VersionMerged
from beam_doris.emulator.literals import quote
from beam_doris.emulator.types import Kind


def visible_sql(
    table: Table,
    *,
    versions: Mapping[int, int] | None,
    tablets: Sequence[int] | None,
    partitions: Sequence[str] | None,
    hidden: bool,
) -> str:
    """See ``Storage.visible_sql``."""
    conditions = [_version_condition(table, versions), "NOT __del"]
    if tablets is not None:
        conditions.append(_ranges("__tablet", tablets))
    if partitions is not None:
        conditions.append(_ranges("__partition", [table.partition(name).id for name in partitions]))
    where = " AND ".join(conditions)
    extra = _hidden(table) if hidden else []
    if table.model is not KeysModel.AGG_KEYS:
        columns = [f"{column.physical} AS {quote(column.name)}" for column in table.columns]
        columns += [f"{sql} AS {quote(name)}" for name, sql in extra]
        return f"SELECT {', '.join(columns)} FROM {table.physical} WHERE {where}"
    columns = [
        f"{column.physical if column.key else folded(column)} AS {quote(column.name)}"
        for column in table.columns
    ]
    columns += [f"max({sql}) AS {quote(name)}" for name, sql in extra]
    keys = ", ".join(column.physical for column in table.key_columns)
    return f"SELECT {', '.join(columns)} FROM {table.physical} WHERE {where} GROUP BY {keys}"


def _hidden(table: Table) -> list[tuple[str, str]]:
    extra = []
    if table.model is KeysModel.UNIQUE_KEYS:
        extra.append((DELETE_SIGN, "CAST(__del AS TINYINT)"))
    if table.sequence_type is not None:
        extra.append((SEQUENCE_COLUMN, "__seq"))
    extra.append((VERSION_COLUMN, "__version"))
    return extra


def _version_condition(table: Table, versions: Mapping[int, int] | None) -> str:
    if versions is None:
        # what DuckDB's own snapshot shows is published: the latest needs no version
        return "__gone IS NULL"
    groups: dict[int, list[int]] = {}
    oldest = {partition.id: partition for partition in table.partitions}
    for partition_id, version in versions.items():
        partition = oldest.get(partition_id)
        if partition is not None and version < partition.oldest_version:
            raise VersionMerged(partition.first_tablet, version)
        groups.setdefault(version, []).append(partition_id)
    tests = [
        f"({_ranges('__partition', ids)} AND __version <= {version} "
        f"AND (__gone IS NULL OR __gone > {version}))"
        for version, ids in groups.items()
    ]
    return f"({' OR '.join(tests)})" if tests else "FALSE"


def _ranges(column: str, numbers: Sequence[int]) -> str:
    """Membership of a set of numbers; runs of consecutive numbers become ranges."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    singles = [str(first) for first, last in runs if first == last]
    tests = [f"{column} BETWEEN {first} AND {last}" for first, last in runs if first != last]
    if singles:
        tests.append(f"{column} IN ({', '.join(singles)})")
    return f"({' OR '.join(tests)})" if tests else "FALSE"


def folded(column: Column) -> str:
    """SQL that folds the values of one key of an AGGREGATE table."""
    name, physical = column.physical, column.type.physical()
    decimal_text = column.type.kind is Kind.DECIMAL and physical == "VARCHAR"
    kind = column.aggregation
    if kind == "SUM":
        if decimal_text:
            narrow = f"DECIMAL(38, {min(column.type.scale, 38)})"
            return f"CAST(sum(CAST({name} AS {narrow})) AS VARCHAR)"
        return f"CAST(sum({name}) AS {physical})"
    if kind in ("MIN", "MAX"):
        if decimal_text:
            return f"arg_{kind.lower()}({name}, CAST({name} AS DOUBLE))"
        return f"{kind.lower()}({name})"
    if kind == "REPLACE":
        return f"arg_max_null({name}, __rowno)"
    if kind == "REPLACE_IF_NOT_NULL":
        return f"arg_max({name}, __rowno)"
    if kind == "BITMAP_UNION":
        return (
            f"coalesce(list_sort(list_distinct(flatten(list({name}) "
            f"FILTER (WHERE {name} IS NOT NULL)))), CAST([] AS UBIGINT[]))"
        )
    if kind == "HLL_UNION":
        return (
            f"{{'hll': coalesce(list_sort(list_distinct(flatten(list({name}.hll) "
            f"FILTER (WHERE {name} IS NOT NULL)))), CAST([] AS UBIGINT[]))}}"
        )
    raise ValueError(f"column {column.name} has no way to be folded")
