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
"""Packs the elements of one table: those of one shape together, because a load has one set of
columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from beam_doris.errors import ConfigError, RowEncodingError, SchemaError
from beam_doris.options.writing import LoadFormat
from beam_doris.schema.table_schema import TableSchema
from beam_doris.write.chunks import stamped
from beam_doris.write.elements import ACCEPTED, Form, form_of, is_empty
from beam_doris.write.encoding import Chunk, contradictions
from beam_doris.write.job import OnRowError, WriteJob
from beam_doris.write.key_turns import RowTurns
from beam_doris.write.row_buffer import (
    ArrowBuffer,
    Buffer,
    LineBuffer,
    RowBuffer,
    element_names,
    load_columns,
    row_shape,
)
from beam_doris.write.row_changes import ChangePlan

# More sets of columns than that in one bundle are a sign of dicts with arbitrary keys.
MAX_COLUMN_SETS = 32


@dataclass(frozen=True, slots=True)
class Refused:
    """An element that is no row of its table."""

    element: Any
    error: SchemaError


Packed: TypeAlias = "Chunk | Refused"


class TablePacker:
    """Turns elements into chunks; elements of different columns are packed apart.

    A column that an element does not carry takes the table's default, not NULL; with partial
    columns it keeps its value.

    Args:
        job: The job of this table.
        schema: The table.
        stamp: Chunks carry their table.
    """

    def __init__(self, job: WriteJob, schema: TableSchema, *, stamp: bool = False) -> None:
        self._schema = schema
        fields = getattr(job.destinations, "fields", ())
        self._plan = ChangePlan.of(job.changes, job.options, schema, fields)
        self._maps = self._plan.maps_rows
        self._declared = job.columns
        self._job = replace(job, columns=self._plan.columns(job.columns), schema=schema)
        self._buffers: dict[Any, Buffer] = {}
        keys = tuple(column.name for column in schema.columns if column.key)
        self._keys = keys if job.is_partial else ()
        self._turns = RowTurns(keys) if self._keys else None
        self._headers = self._plan.headers(schema)
        self._table = schema.table if stamp else None
        self.rows = 0

    def add(self, element: Any) -> list[Packed]:
        """Takes one element; gives out what became full, and the element itself if it is no row."""
        outputs: list[Packed] = []
        try:
            row = element
            if self._maps or self._turns is not None:
                made = self._mapped(element)
                if made is None:
                    return []
                row = made
            shape = row_shape(row)
            if self._turns is not None and self._waits(row, shape):
                outputs = self.flush()
            buffer = self._buffers.get(shape)
            if buffer is None:
                buffer = self._buffers[shape] = self._new_buffer(row)
            self.rows += 1
            if buffer.add(row, element):
                outputs += self._emptied(buffer)
        except SchemaError as error:
            # what was full before it goes out all the same
            outputs.append(Refused(element, error))
        return outputs

    def flush(self) -> list[Packed]:
        """Gives out everything, in the order in which the buffers were begun."""
        outputs: list[Packed] = []
        for buffer in self._buffers.values():
            outputs += self._emptied(buffer)
        self.rows = 0
        return outputs

    def _mapped(self, element: Any) -> Any:
        """The element as it is loaded; None when it is to be dropped."""
        form = form_of(element)
        if form is None or form is Form.LINE:
            if form is Form.LINE and self._maps:
                raise RowEncodingError(
                    "a raw line is sent as it is: it cannot take a change type or a sequence",
                    table=self._schema.table,
                )
            return element
        if form is Form.ARROW:
            if not self._maps:
                return element
            batches = element.to_batches() if hasattr(element, "to_batches") else [element]
            made = [self._plan.apply_batch(batch) for batch in batches]
            return made[0] if len(made) == 1 else type(element).from_batches(made)
        if form is Form.TUPLE:
            if self._declared is None or len(self._declared) != len(element):
                return element  # is refused where it is packed, with the reason
            fields = dict(zip(self._declared, element, strict=True))
        elif form is Form.DICT:
            fields = element
        else:
            fields = element.as_dict() if hasattr(element, "as_dict") else element._asdict()
        return self._plan.apply(element, fields)

    def _waits(self, row: Any, shape: Any) -> bool:
        assert self._turns is not None
        if isinstance(row, dict):
            return self._turns.begins(row, shape)
        # not looked into: whatever came before goes out first
        self._turns.clear()
        return True

    def _new_buffer(self, element: Any) -> Buffer:
        form = form_of(element)
        table = self._schema.table
        if form is None or (form is not Form.ARROW and is_empty(element)):
            what = "empty" if form is not None else f"a {type(element).__name__}"
            raise RowEncodingError(
                f"the element is {what}, not a row; write {ACCEPTED}", table=table
            )
        if form is Form.LINE:
            if self._job.options.load_format is LoadFormat.ARROW:
                raise RowEncodingError("a raw line cannot be sent as Arrow; use CSV or JSON")
            return LineBuffer(self._job)
        wrong = contradictions(self._job.options)
        if wrong:
            raise ConfigError(wrong, subject="WriteToDoris", table=table)
        if len(self._buffers) >= MAX_COLUMN_SETS:
            raise RowEncodingError(
                f"the elements carry more than {MAX_COLUMN_SETS} different sets of columns",
                table=table,
                hint="pass columns= with the columns to be written",
            )
        names = element_names(form, element)
        columns = load_columns(self._job, self._schema, names, self._plan.extra)
        if form is Form.ARROW:
            return ArrowBuffer(self._job, columns)
        return RowBuffer(self._job, columns, sources=self._maps)

    def _emptied(self, buffer: Buffer) -> Iterable[Packed]:
        chunks, refused = buffer.take(self._job.on_row_error is OnRowError.DEAD_LETTER)
        marks = self._table is not None or self._keys or self._headers
        for chunk in chunks:
            yield (
                stamped(chunk, table=self._table, keys=self._keys, headers=self._headers)
                if marks
                else chunk
            )
        for element, error in refused:
            yield Refused(element, error)
