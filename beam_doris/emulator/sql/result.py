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
"""What a statement gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from beam_doris.emulator.sql.render import arrow_sql, text_sql
from beam_doris.emulator.types import DorisType, Kind

BATCH_ROWS = 8192
OpenCursor = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultColumn:
    """Name and Doris type of one result column."""

    name: str
    type: DorisType


def text_column(name: str) -> ResultColumn:
    return ResultColumn(name=name, type=DorisType(Kind.VARCHAR, length=65533))


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A DuckDB SELECT whose columns are named c0, c1, ... and the way to run it."""

    sql: str
    open_cursor: OpenCursor
    faults: Callable[[duckdb.Error], Exception]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Either rows (a query that runs when it is read, or cells made by SHOW) or an OK."""

    kind: str
    columns: tuple[ResultColumn, ...] = ()
    affected: int = 0
    info: str = ""
    query: Query | None = None
    cells: Sequence[Sequence[str | None]] = field(default_factory=tuple)

    @classmethod
    def ok(cls, affected: int = 0, info: str = "") -> Result:
        return cls(kind="ok", affected=affected, info=info)

    @classmethod
    def table(cls, names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Result:
        """Rows of texts, as SHOW gives them."""
        return cls(kind="rows", columns=tuple(text_column(name) for name in names), cells=rows)

    def _run(self, select: Sequence[str]) -> Iterator[pa.RecordBatch]:
        query = self.query
        assert query is not None
        names = ", ".join(f"c{index}" for index in range(len(self.columns)))
        items = ", ".join(f"{sql} AS c{index}" for index, sql in enumerate(select))
        statement = f"SELECT {items} FROM ({query.sql}) AS q({names})"
        with query.open_cursor() as cursor:
            try:
                reader = cursor.sql(statement).to_arrow_reader(BATCH_ROWS)
                yield from reader
            except duckdb.Error as error:
                raise query.faults(error) from error
            except pa.ArrowException as error:
                raise query.faults(duckdb.Error(str(error))) from error

    def text_columns(self) -> Iterator[list[list[str | None]]]:
        """Batches of columns of MySQL texts."""
        if self.kind != "rows":
            return
        if self.query is None:
            if self.cells:
                yield [list(column) for column in zip(*self.cells, strict=True)]
            return
        select = [text_sql(f"q.c{index}", column.type) for index, column in enumerate(self.columns)]
        for batch in self._run(select):
            if batch.num_rows:
                yield [column.to_pylist() for column in batch.columns]

    def text_rows(self) -> Iterator[tuple[str | None, ...]]:
        """Rows of MySQL texts."""
        for columns in self.text_columns():
            yield from zip(*columns, strict=True)

    def batches(self) -> pa.RecordBatchReader:
        """Physical Arrow; 128-bit integers are texts already."""
        if self.query is None:
            arrays = [
                pa.array([row[index] for row in self.cells], pa.string())
                for index in range(len(self.columns))
            ]
            names = [column.name for column in self.columns]
            schema = pa.schema([pa.field(name, pa.string()) for name in names])
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            return pa.RecordBatchReader.from_batches(schema, [batch] if batch.num_rows else [])
        return self._arrow()

    def _arrow(self) -> pa.RecordBatchReader:
        select = [
            arrow_sql(f"q.c{index}", column.type) for index, column in enumerate(self.columns)
        ]
        schema = self._schema(select)

        def renamed() -> Iterator[pa.RecordBatch]:
            for batch in self._run(select):
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, renamed())

    def _schema(self, select: Sequence[str]) -> pa.Schema:
        query = self.query
        assert query is not None
        names = ", ".join(f"c{index}" for index in range(len(self.columns)))
        items = ", ".join(f"{sql} AS c{index}" for index, sql in enumerate(select))
        statement = f"SELECT {items} FROM ({query.sql}) AS q({names}) LIMIT 0"
        with query.open_cursor() as cursor:
            try:
                found = cursor.sql(statement).to_arrow_reader(1).schema
            except duckdb.Error as error:
                raise query.faults(error) from error
        fields = [
            pa.field(column.name, field.type)
            for column, field in zip(self.columns, found, strict=True)
        ]
        return pa.schema(fields)
