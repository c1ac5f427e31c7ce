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
"""Publishing: staged rows join the visible rows of a table under a new version.

The caller holds the write lock of the database and an open DuckDB transaction; all tables of one
load transaction are published inside it, so that readers see all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from beam_doris.emulator.catalog import Column, KeysModel, Partition, Table
from beam_doris.emulator.literals import default_sql
from beam_doris.emulator.storage.stager import Staged, auto_increment_name

WINNERS = "pub_winners"


def bumped(table: Table, partition_ids: Sequence[int] | None) -> Table:
    """The table with the version of each written partition raised by one.

    Doris raises every partition that a load was planned for: all, unless the load named some.
    """
    partitions = tuple(
        replace(partition, version=partition.version + 1)
        if partition_ids is None or partition.id in partition_ids
        else partition
        for partition in table.partitions
    )
    return replace(table, partitions=partitions)


def version_sql(partitions: Sequence[Partition], owner: str) -> str:
    """SQL of the version of the partition whose id is in ``owner``."""
    groups: dict[int, list[int]] = {}
    for partition in partitions:
        groups.setdefault(partition.version, []).append(partition.id)
    if len(groups) == 1:
        return f"CAST({next(iter(groups))} AS BIGINT)"
    branches = [
        f"WHEN {owner} IN ({', '.join(map(str, ids))}) THEN CAST({version} AS BIGINT)"
        for version, ids in groups.items()
    ]
    return f"CASE {' '.join(branches)} END"


def publish(cursor: Any, table: Table, staged: Staged, now: float) -> None:
    """Move the rows of one staging table into ``table``, whose versions are the new ones."""
    if not table.partitions:
        return
    alive = ", ".join(str(partition.id) for partition in table.partitions)
    source = staged.name
    # a partition dropped since the rows were staged takes its rows with it, as in Doris
    lost = cursor.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT __partition FROM {source}) "
        f"WHERE __partition NOT IN ({alive})"
    ).fetchone()[0]
    if lost:
        cursor.execute(f"DELETE FROM {source} WHERE __partition NOT IN ({alive})")
    base = cursor.execute(f"SELECT coalesce(max(__rowno) + 1, 0) FROM {table.physical}").fetchone()
    rowno = f"{base[0]} + __arrival"
    if table.model is KeysModel.UNIQUE_KEYS:
        _publish_unique(cursor, table, staged, rowno, now)
    else:
        values = _values(table, staged, "", now)
        _insert(cursor, table, source, values, rowno, "NULL")


def _values(table: Table, staged: Staged, prefix: str, now: float) -> list[str]:
    """SQL of each column of the table; columns newer than the load take their default."""
    present = set(staged.column_ids)
    return [
        f"{prefix}{column.physical}" if column.id in present else _filled(column, now)
        for column in table.columns
    ]


def _filled(column: Column, now: float) -> str:
    if column.auto_increment is not None:
        return f"nextval('{auto_increment_name(column)}')"
    return default_sql(column, now)


def _insert(
    cursor: Any, table: Table, source: str, values: Sequence[str], rowno: str, sequence: str
) -> None:
    names = [column.physical for column in table.columns]
    hidden = ["__partition", "__tablet", "__version", "__rowno", "__del"]
    version = version_sql(table.partitions, "__partition")
    extra = ["__partition", "__tablet", version, rowno, "__del"]
    if table.sequence_type is not None:
        hidden.append("__seq")
        extra.append(sequence)
    cursor.execute(
        f"INSERT INTO {table.physical} ({', '.join([*names, *hidden])}) "
        f"SELECT {', '.join([*values, *extra])} FROM {source}"
    )


def key_match(table: Table, left: str, right: str) -> str:
    """Null-safe equality of the keys of two relations."""
    return " AND ".join(
        f"{left}.{column.physical} "
        f"{'IS NOT DISTINCT FROM' if column.nullable else '='} {right}.{column.physical}"
        for column in table.key_columns
    )


def _reduced(table: Table, staged: Staged) -> str:
    """SQL of the staged rows, one a key: the largest (sequence, arrival) wins.

    This comes before anything is matched against the table: an upsert of a batch that holds a key
    twice would keep the wrong row or fail.
    """
    keys = ", ".join(column.physical for column in table.key_columns)
    order = "__arrival DESC"
    if table.sequence_type is not None:
        order = f"__seq DESC NULLS LAST, {order}"
    return (
        f"SELECT * FROM {staged.name} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1"
    )


def _publish_unique(cursor: Any, table: Table, staged: Staged, rowno: str, now: float) -> None:
    with_sequence = table.sequence_type is not None
    old_sequence = ", o.__seq AS __old_seq" if with_sequence else ""
    kept = ""
    if staged.partial:
        # the columns that a partial update leaves out stay as the old row has them
        present = set(staged.column_ids)
        kept = "".join(
            f", o.{column.physical} AS __old_{column.physical}"
            for column in table.columns
            if column.id not in present
        )
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {WINNERS} AS "
        f"SELECT w.*, o.rowid AS __old, o.__del AS __old_del{old_sequence}{kept} "
        f"FROM ({_reduced(table, staged)}) w "
        f"LEFT JOIN (SELECT *, rowid FROM {table.physical} WHERE __gone IS NULL) o "
        f"ON {key_match(table, 'w', 'o')}"
    )
    sequence = "__seq"
    if with_sequence:
        if staged.partial and not staged.has_sequence:
            sequence = "__old_seq"
        else:
            # a smaller sequence loses, also against a deleted row; NULL is the smallest
            cursor.execute(
                f"DELETE FROM {WINNERS} WHERE __old IS NOT NULL AND __old_seq IS NOT NULL "
                "AND (__seq IS NULL OR __seq < __old_seq)"
            )
    cursor.execute(
        f"UPDATE {table.physical} SET __gone = {version_sql(table.partitions, 'w.__partition')} "
        f"FROM {WINNERS} w WHERE {table.physical}.rowid = w.__old"
    )
    values = _values(table, staged, "", now)
    if staged.partial:
        present = set(staged.column_ids)
        values = [
            value
            if column.id in present
            else f"CASE WHEN __old IS NULL OR __old_del THEN {value} "
            f"ELSE __old_{column.physical} END"
            for column, value in zip(table.columns, values, strict=True)
        ]
    _insert(cursor, table, WINNERS, values, rowno, sequence)
    cursor.execute(f"DROP TABLE {WINNERS}")
