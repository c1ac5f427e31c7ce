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
"""The table that canned peers hold: ten mixed columns, or many times ten."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import Column, TableModel, TableSchema
from beam_doris.schema.types import parse_type

TABLE = TableId("bench", "mixed")
COLUMNS = 10
_TYPES = (
    ("id", "BIGINT"),
    ("kind", "INT"),
    ("small", "SMALLINT"),
    ("flag", "BOOLEAN"),
    ("amount", "DOUBLE"),
    ("price", "DECIMAL(12, 2)"),
    ("day", "DATE"),
    ("moment", "DATETIME(3)"),
    ("city", "VARCHAR(32)"),
    ("note", "STRING"),
)
_CITIES = ("Oslo", "Bergen", "Reykjavík", "Kraków", "São Paulo", "東京", "Z", "San Francisco")
_SEED = 5


def table_schema(wide: int = 1) -> TableSchema:
    """The table's schema; `wide` times ten columns."""
    columns = tuple(
        Column(name=_name(name, copy), type=parse_type(text), nullable=name != "id")
        for copy in range(wide)
        for name, text in _TYPES
    )
    return TableSchema(table=TABLE, model=TableModel.DUPLICATE, columns=columns)


def ddl(table: TableId, buckets: int) -> str:
    """The statement that creates it."""
    columns = ", ".join(f"`{name}` {text}" for name, text in _TYPES)
    return (
        f"CREATE TABLE {table.sql()} ({columns}) DUPLICATE KEY(id) "
        f"DISTRIBUTED BY HASH(id) BUCKETS {buckets} PROPERTIES ('replication_num' = '1')"
    )


def _name(name: str, copy: int) -> str:
    return name if copy == 0 else f"{name}_{copy}"


def rows_of(count: int, wide: int = 1) -> pa.RecordBatch:
    """Rows in the types that a current server sends (P 5.5); every tenth nullable cell is NULL."""
    narrow = _rows(count)
    arrays = [array for _ in range(wide) for array in narrow]
    return pa.RecordBatch.from_arrays(arrays, names=list(table_schema(wide).names))


def _rows(count: int) -> list[pa.Array]:
    chance = np.random.default_rng(_SEED)
    cents = chance.integers(0, 10**9, count)
    start = datetime.datetime(2020, 1, 1)
    moments = np.datetime64(start, "ms") + chance.integers(0, 10**11, count).astype(
        "timedelta64[ms]"
    )
    cities = pa.array(_CITIES).take(pa.array(chance.integers(0, len(_CITIES), count)))
    notes = pa.array([f"note {number:x} " * (number % 4) for number in range(997)])
    arrays = [
        pa.array(np.arange(count, dtype=np.int64)),
        pa.array(chance.integers(-1000, 1000, count).astype(np.int32)),
        pa.array(chance.integers(-100, 100, count).astype(np.int16)),
        pa.array(chance.integers(0, 2, count).astype(bool)),
        pa.array(chance.random(count) * 1e6),
        _decimals(cents),
        pa.array(chance.integers(10000, 20000, count).astype(np.int32)).cast(pa.date32()),
        pa.array(moments, pa.timestamp("ms")),
        cities,
        notes.take(pa.array(chance.integers(0, len(notes), count))),
    ]
    empty = pa.array(chance.random(count) < 0.1)
    return [arrays[0], *(_with_nulls(array, empty) for array in arrays[1:])]


def _decimals(cents: np.ndarray) -> pa.Array:
    """Decimals of two digits, by their bytes: 16 little-endian ones each."""
    wide = np.zeros((len(cents), 2), dtype=np.int64)
    wide[:, 0] = cents
    kind = pa.decimal128(12, 2)
    made = pa.Array.from_buffers(kind, len(cents), [None, pa.py_buffer(wide.tobytes())])
    assert made[0].as_py() == Decimal(int(cents[0])) / 100
    return made


def _with_nulls(array: pa.Array, empty: pa.Array) -> pa.Array:
    return pc.if_else(empty, pa.scalar(None, array.type), array)
