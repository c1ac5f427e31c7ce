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
"""Partitions that rows make by themselves."""

from __future__ import annotations

import datetime
from typing import Any

from beam_doris.emulator.catalog import Table
from beam_doris.emulator.literals import quote
from beam_doris.emulator.partitioning import (
    PartitionShape,
    auto_list_shape,
    auto_range,
    auto_range_shape,
)
from beam_doris.emulator.storage import placement


def missing_shapes(cursor: Any, table: Table, rows_sql: str) -> list[PartitionShape]:
    """Partitions that the rows of an automatically partitioned table still need."""
    by = table.partition_by
    if by is None or by.auto_expression is None:
        return []
    index = placement.partition_index_sql(table, placement.column_by_name)
    homeless = f"FROM ({rows_sql}) WHERE ({index}) IS NULL"
    if by.kind == "RANGE":
        spec = auto_range(by.auto_expression)
        column = table.column(spec.column)
        starts = cursor.execute(
            f"SELECT DISTINCT CAST(date_trunc('{spec.unit}', {quote(column.name)}) AS TIMESTAMP) "
            f"AS start {homeless} AND {quote(column.name)} IS NOT NULL ORDER BY start"
        ).fetchall()
        return [auto_range_shape(_plain(row[0]), spec.unit, column.type) for row in starts]
    names = [quote(table.column(name).name) for name in by.columns]
    texts = ", ".join(f"CAST({name} AS VARCHAR)" for name in names)
    values = cursor.execute(f"SELECT DISTINCT {texts} {homeless} ORDER BY ALL").fetchall()
    return [auto_list_shape(tuple(row)) for row in values]


def _plain(moment: datetime.datetime) -> datetime.datetime:
    return moment.replace(tzinfo=None)
