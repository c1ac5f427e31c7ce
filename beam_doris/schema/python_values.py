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
"""Canonical Arrow columns as Python values, exactly.

| Doris | Python |
| --- | --- |
| BOOLEAN; TINYINT .. LARGEINT; FLOAT, DOUBLE | bool; int; float |
| DECIMAL, DECIMALV2 | decimal.Decimal, with the column's scale |
| DATE; DATETIME | datetime.date; datetime.datetime without a zone |
| TIMESTAMPTZ | datetime.datetime in UTC |
| texts, JSON, VARIANT, IPV4, IPV6 | str |
| VARBINARY and the opaque types | bytes |
| ARRAY; MAP; STRUCT | list; dict; dict |

Python's calendar begins with the year 1: a DATE or DATETIME of the year 0 becomes its text, such
as '0000-01-01' or '0000-01-01 00:00:00.000000', which is also accepted when it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.schema.arrow_types import doris_type_of
from beam_doris.schema.types import DorisType, Kind

# Days and microseconds from 0001-01-01, the first that Python knows, to 1970.
_FIRST_DAY = -719162
_FIRST_MICROSECOND = _FIRST_DAY * 86_400_000_000


def to_dicts(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as dicts, in column order.

    Example:
        >>> to_dicts(batch)
        [{'id': 1, 'name': 'Ann'}]
    """
    names = batch.schema.names
    if not names:
        return [{} for _ in range(batch.num_rows)]
    return [dict(zip(names, row)) for row in zip(*_columns(batch))]  # noqa: B905  (hot path)


def to_tuples(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """The rows as tuples, in column order."""
    if not batch.num_columns:
        return [()] * batch.num_rows
    return list(zip(*_columns(batch)))  # noqa: B905  (hot path)


def _columns(batch: pa.RecordBatch) -> Iterable[list[Any]]:
    return [
        column_values(column, doris_type_of(field))
        for column, field in zip(batch.columns, batch.schema, strict=True)
    ]


def column_values(column: pa.Array, doris: DorisType) -> list[Any]:
    """One canonical column as a list of Python values."""
    kind = doris.kind
    if kind is Kind.LARGEINT:
        return [
            None if text is None else int(text) for text in column.cast(pa.string()).to_pylist()
        ]
    if kind in (Kind.DECIMAL, Kind.DECIMALV2):
        texts = column.cast(pa.string()).to_pylist()
        return [None if text is None else Decimal(text) for text in texts]
    if kind is Kind.DATE:
        return _calendar(column, pa.int32(), _FIRST_DAY)
    if kind is Kind.DATETIME:
        return _calendar(column, pa.int64(), _FIRST_MICROSECOND)
    if kind is Kind.ARRAY:
        return _arrays(column, doris)
    if kind is Kind.MAP:
        return _maps(column, doris)
    if kind is Kind.STRUCT:
        return _structs(column, doris)
    values: list[Any] = column.to_pylist()
    return values


def _calendar(column: pa.Array, integer: pa.DataType, first: int) -> list[Any]:
    values: list[Any] = column.to_numpy(zero_copy_only=False).astype(object).tolist()
    earliest = pc.min(column.view(integer)).as_py()
    if earliest is None or earliest >= first:
        return values
    texts = column.cast(pa.string()).to_pylist()
    early = pc.less(column.view(integer), pa.scalar(first, integer)).to_pylist()
    return [
        text if is_early else value
        for value, text, is_early in zip(values, texts, early, strict=True)
    ]


def _arrays(column: pa.Array, doris: DorisType) -> list[Any]:
    values = column_values(column.values, doris.children[0])
    return [values[begin:end] if valid else None for begin, end, valid in _spans(column)]


def _maps(column: pa.Array, doris: DorisType) -> list[Any]:
    keys = column_values(column.keys, doris.children[0])
    items = column_values(column.items, doris.children[1])
    return [
        dict(zip(keys[begin:end], items[begin:end], strict=True)) if valid else None
        for begin, end, valid in _spans(column)
    ]


def _spans(column: pa.Array) -> Iterable[tuple[int, int, bool]]:
    offsets = column.offsets.to_pylist()
    valid = column.is_valid().to_pylist()
    return zip(offsets[:-1], offsets[1:], valid, strict=True)


def _structs(column: pa.Array, doris: DorisType) -> list[Any]:
    # flatten() applies the offset of a slice and the nulls of the struct itself
    fields = [
        column_values(child, child_type)
        for child, child_type in zip(column.flatten(), doris.children, strict=True)
    ]
    valid = column.is_valid().to_pylist()
    if not fields:
        return [{} if is_valid else None for is_valid in valid]
    return [
        dict(zip(doris.names, row, strict=True)) if is_valid else None
        for row, is_valid in zip(zip(*fields, strict=True), valid, strict=True)
    ]


def null_positions(column: pa.Array) -> list[int]:
    """The rows at which a column is NULL."""
    if not column.null_count:
        return []
    positions: list[int] = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist()
    return positions
