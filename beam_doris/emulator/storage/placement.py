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
"""Where a row belongs: SQL of its partition and its bucket.

The expressions are used for staging and, with the same result, for pruning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from beam_doris.emulator.catalog import Partition, Table
from beam_doris.emulator.literals import literal, quote
from beam_doris.emulator.partitioning import lower_key
from beam_doris.emulator.types import DorisType

#: name of a column -> SQL of its value
ColumnSql = Callable[[str], str]


def column_by_name(name: str) -> str:
    """The plain reference to a column."""
    return quote(name)


def bucket_sql(table: Table, columns: ColumnSql, rowno: str, buckets: str) -> str:
    """SQL of the bucket of a row (0-based). ``rowno`` spreads the rows of RANDOM tables.

    It is a hash over the distribution columns, as in Doris, yet not Doris' own hash.
    """
    distribution = table.distribution
    if distribution.kind == "RANDOM":
        return f"CAST(({rowno}) % ({buckets}) AS BIGINT)"
    values = ", ".join(columns(table.column(name).name) for name in distribution.columns)
    return f"CAST(hash({values}) % CAST({buckets} AS UBIGINT) AS BIGINT)"


def partition_index_sql(
    table: Table, columns: ColumnSql, allowed: Sequence[int] | None = None
) -> str:
    """SQL of the position in ``table.partitions`` that takes a row, NULL when none does.

    ``allowed`` are ids of the only partitions that may take rows.
    """
    indexes = {
        partition.id: index
        for index, partition in enumerate(table.partitions)
        if allowed is None or partition.id in allowed
    }
    if table.partition_by is None:
        return "CAST(0 AS BIGINT)" if indexes else "CAST(NULL AS BIGINT)"
    names = [table.column(name).name for name in table.partition_by.columns]
    types = [table.column(name).type for name in names]
    values = [columns(name) for name in names]
    if table.partition_by.kind == "RANGE":
        ranges = _sorted_ranges(table, types)
        return _range_tree(ranges, values, types, indexes)
    return _list_case(table, values, types, indexes)


def _sorted_ranges(table: Table, types: Sequence[DorisType]) -> list[Partition]:
    return sorted(table.partitions, key=lambda partition: lower_key(partition, types))


def _range_tree(
    ranges: Sequence[Partition],
    values: Sequence[str],
    types: Sequence[DorisType],
    indexes: dict[int, int],
) -> str:
    """Binary search as nested CASE, so that the depth grows with the logarithm."""
    if not ranges:
        return "CAST(NULL AS BIGINT)"
    if len(ranges) == 1:
        partition = ranges[0]
        index = indexes.get(partition.id)
        if index is None:
            return "CAST(NULL AS BIGINT)"
        conditions = []
        if partition.lower is not None:
            conditions.append(f"NOT {_below(values, types, partition.lower)}")
        if partition.upper is not None:
            conditions.append(_below(values, types, partition.upper))
        if not conditions:
            return f"CAST({index} AS BIGINT)"
        return f"CASE WHEN {' AND '.join(conditions)} THEN CAST({index} AS BIGINT) END"
    middle = len(ranges) // 2
    left = _range_tree(ranges[:middle], values, types, indexes)
    right = _range_tree(ranges[middle:], values, types, indexes)
    lower = ranges[middle].lower
    if lower is None:
        return right
    return f"CASE WHEN {_below(values, types, lower)} THEN {left} ELSE {right} END"


def _below(values: Sequence[str], types: Sequence[DorisType], bound: Sequence[str | None]) -> str:
    """Whether the row stands before a bound. NULL is the smallest value, as in Doris.

    A None in a bound is MAXVALUE; items missing at its end are the smallest value.
    """
    condition = "FALSE"
    for value, doris_type, item in reversed(list(zip(values, types, bound, strict=False))):
        if item is None:
            condition = "TRUE"
            continue
        point = literal(doris_type, item)
        less = f"({value} IS NULL OR {value} < {point})"
        condition = (
            less if condition == "FALSE" else f"({less} OR ({value} = {point} AND {condition}))"
        )
    return condition


def _list_case(
    table: Table, values: Sequence[str], types: Sequence[DorisType], indexes: dict[int, int]
) -> str:
    """LIST partitions: a map lookup for one column, else comparisons."""
    branches, default = [], "CAST(NULL AS BIGINT)"
    for partition in table.partitions:
        index = indexes.get(partition.id)
        result = "CAST(NULL AS BIGINT)" if index is None else f"CAST({index} AS BIGINT)"
        if partition.is_default:
            default = result
            continue
        tests = []
        plain = []
        for items in partition.values or ():
            if len(items) == 1 and items[0] is not None:
                plain.append(literal(types[0], items[0]))
                continue
            tests.append(
                " AND ".join(
                    f"{value} IS NOT DISTINCT FROM {literal(doris_type, item)}"
                    for value, doris_type, item in zip(values, types, items, strict=True)
                )
            )
        if plain:
            tests.append(f"{values[0]} IN ({', '.join(plain)})")
        if tests:
            branches.append(f"WHEN {' OR '.join(f'({test})' for test in tests)} THEN {result}")
    if not branches:
        return default
    return f"CASE {' '.join(branches)} ELSE {default} END"


def of_index(index: str, numbers: Sequence[int]) -> str:
    """SQL of the number that belongs to a partition index; constant when all are equal."""
    if len(set(numbers)) == 1:
        return f"CAST({numbers[0]} AS BIGINT)"
    return f"CAST([{', '.join(map(str, numbers))}][{index} + 1] AS BIGINT)"
