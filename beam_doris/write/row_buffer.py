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
"""Where elements wait until there are enough of them for a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.codec.packing import RowPacker
from beam_doris.errors import RowEncodingError, SchemaError
from beam_doris.schema.table_schema import DELETE_SIGN, Column, TableSchema
from beam_doris.schema.types import DorisType, Kind
from beam_doris.write.elements import Form
from beam_doris.write.job import RawLines, WriteJob

# Rows of unknown size: the first batch is small, and each may be eight times the last.
_FIRST_ROWS = 256
_GROWTH = 8

Chunks = list[pa.RecordBatch] | list[RawLines]
Refused = list[tuple[Any, SchemaError]]


class Buffer(Protocol):
    """Elements of one shape."""

    def add(self, element: Any, source: Any = None) -> bool:
        """Takes one element; True when the buffer should be emptied."""

    def take(self, keep_going: bool) -> tuple[Chunks, Refused]:
        """Empties the buffer.

        Args:
            keep_going: Hand out elements that do not fit beside the others.

        Raises:
            SchemaError: an element does not fit, and `keep_going` is off.
        """


def row_shape(element: Any) -> Any:
    """What elements of one buffer have in common: their type, and their names where they vary."""
    kind = type(element)
    if kind is dict:
        return tuple(element)
    if kind is beam.Row:
        return (kind, *element.__dict__)
    if isinstance(element, (str, bytes)):
        return str
    if isinstance(element, (pa.RecordBatch, pa.Table)):
        return (pa.RecordBatch, *element.schema.names)
    if kind is tuple:
        return (kind, len(element))
    if isinstance(element, Mapping):
        return tuple(element)
    return kind


def element_names(form: Form, element: Any) -> tuple[str, ...] | None:
    """The names of an element's fields; None for a plain tuple."""
    if form is Form.ARROW:
        return tuple(element.schema.names)
    if form is Form.DICT:
        return tuple(str(name) for name in element)
    if form is Form.NAMED:
        fields = getattr(element, "_fields", None)
        return tuple(element.as_dict()) if fields is None else tuple(fields)
    return None


def load_columns(
    job: WriteJob,
    schema: TableSchema,
    names: tuple[str, ...] | None,
    extra: Mapping[str, Column] = MappingProxyType({}),
) -> tuple[Column, ...]:
    """The columns that a load of such elements carries, in table order.

    A column that the elements do not carry is left to the table's default. One that is nullable
    and has no default is carried as NULL, which is the same, so that dicts with optional keys do
    not each need a load of their own.

    Args:
        job: The declared columns and the user's own load properties.
        schema: The table.
        names: The names of the elements' fields; None where positions count.
        extra: Columns that the loads carry and the table does not have.

    Raises:
        RowEncodingError: the table refuses such elements; every reason at once.
    """
    stated = {name.lower(): value.lower() for name, value in job.options.load_properties.items()}
    partial = job.is_partial
    declared = job.columns if job.columns is not None else names
    if declared is None:
        raise RowEncodingError(
            "a tuple has no field names", table=schema.table, hint="pass columns="
        )
    if names is None:
        carried = declared
    else:
        carried = tuple(name for name in declared if name in names)
    if "columns" in stated:
        # the user's own list maps what is carried to the table: names need not be columns
        return tuple(_source_column(schema, name) for name in carried)
    own = [name for name in carried if name not in extra]
    problems = schema.write_problems(own, partial_update=partial)
    if problems:
        raise RowEncodingError("; ".join(problems), table=schema.table)
    if names is None:
        # positions count: the order is the user's
        return tuple(extra.get(name) or _column(schema, name) for name in carried)
    optional = () if partial or job.columns is not None else schema.columns
    wanted = {*carried, *(column.name for column in optional if _is_null_by_default(column))}
    columns = [column for column in schema.columns if column.name in wanted]
    columns += [
        extra.get(name) or _column(schema, name) for name in carried if schema.find(name) is None
    ]
    return tuple(columns)


def _is_null_by_default(column: Column) -> bool:
    return (
        column.nullable
        and column.default is None
        and column.generated is None
        and not column.auto_increment
        and column.aggregation is None
        and column.type.is_readable
    )


def _source_column(schema: TableSchema, name: str) -> Column:
    unknown = Column(name=name, type=DorisType(Kind.UNKNOWN, detail=name))
    return schema.find(name) or unknown


def _column(schema: TableSchema, name: str) -> Column:
    if name == DELETE_SIGN:
        return Column(name=name, type=DorisType(Kind.TINYINT), nullable=False)
    return schema.column(name)


class LengthCheckingPacker(RowPacker):
    """Also refuses texts that are longer than their column, which a server would refuse by load.

    The server counts bytes of UTF-8. With `strict_mode` or `max_filter_ratio` in the user's own
    load properties, what becomes of such texts is left to the server.
    """

    def __init__(self, job: WriteJob, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        stated = {name.lower() for name in job.options.load_properties}
        lenient = stated & {"strict_mode", "max_filter_ratio"}
        self._max_row = job.options.bad_rows.max_row_bytes
        self._limits = [
            (position, column)
            for position, column in enumerate(columns)
            if column.type.kind in (Kind.CHAR, Kind.VARCHAR) and column.type.length and not lenient
        ]

    def pack(self, rows: Sequence[Any]) -> pa.RecordBatch:
        """All rows as one batch."""
        return self._checked(super().pack(rows))

    def conform(self, batch: pa.RecordBatch | pa.Table) -> pa.RecordBatch:
        """An Arrow batch in the table's types."""
        return self._checked(super().conform(batch))

    def _checked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for position, column in self._limits:
            lengths = pc.binary_length(batch.column(position))
            longest = pc.max(lengths).as_py()
            if longest is not None and longest > column.type.length:
                row = pc.index(pc.greater(lengths, column.type.length), True).as_py()
                raise RowEncodingError(
                    f"is a text of {lengths[row].as_py()} bytes, longer than {column.type.sql()}",
                    column=column.name,
                    row=row,
                )
        if batch.nbytes > self._max_row:
            for row in range(batch.num_rows):
                size = batch.slice(row, 1).nbytes
                if size > self._max_row:
                    raise RowEncodingError(
                        f"takes {size} bytes, more than max_row_bytes ({self._max_row})", row=row
                    )
        return batch


class RowBuffer:
    """Dicts, tuples or objects with one set of names."""

    def __init__(self, job: WriteJob, columns: Sequence[Column], *, sources: bool = False) -> None:
        self._packer = LengthCheckingPacker(job, columns)
        self._max_rows = job.options.batch_rows
        self._max_bytes = job.options.batch_bytes
        self._full = min(_FIRST_ROWS, self._max_rows)
        self._rows: list[Any] = []
        # what the rows were made of, where they are not the elements themselves
        self._sources: list[Any] | None = [] if sources else None

    def add(self, element: Any, source: Any = None) -> bool:
        """Takes one row."""
        self._rows.append(element)
        if self._sources is not None:
            self._sources.append(source)
        return len(self._rows) >= self._full

    def take(self, keep_going: bool) -> tuple[Chunks, Refused]:
        """One batch of the rows."""
        rows, self._rows = self._rows, []
        sources = rows
        if self._sources is not None:
            sources, self._sources = self._sources, []
        if not rows:
            return [], []
        if not keep_going:
            batch, refused = self._packer.pack(rows), []
        else:
            packed = self._packer.pack_sound(rows)
            batch = packed.batch
            refused = [(sources[position], error) for position, error in packed.rejected]
        if not batch.num_rows:
            return [], list(refused)
        by_bytes = self._max_bytes * batch.num_rows // max(1, batch.nbytes)
        self._full = max(1, min(self._max_rows, by_bytes, self._full * _GROWTH))
        return [batch], list(refused)


class ArrowBuffer:
    """Batches of one set of names: brought to the table's types, cut where they are long."""

    def __init__(self, job: WriteJob, columns: Sequence[Column]) -> None:
        self._packer = LengthCheckingPacker(job, columns)
        self._columns = job.columns
        self._max_bytes = job.options.batch_bytes
        self._elements: list[Any] = []

    def add(self, element: Any, source: Any = None) -> bool:  # noqa: ARG002
        """Takes one batch; never keeps it."""
        if element.num_rows:
            self._elements.append(element)
        return bool(self._elements)

    def take(self, keep_going: bool) -> tuple[Chunks, Refused]:
        """The batch in the table's types; refused as a whole, because its rows are not elements."""
        elements, self._elements = self._elements, []
        chunks: list[pa.RecordBatch] = []
        refused: Refused = []
        for element in elements:
            chosen = element
            if self._columns is not None:
                given = element.schema.names
                chosen = element.select([name for name in self._columns if name in given])
            try:
                batch = self._packer.conform(chosen)
            except SchemaError as error:
                if not keep_going:
                    raise
                refused.append((element, error))
                continue
            chunks.extend(self._cut(batch))
        return chunks, refused

    def _cut(self, batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        pieces = max(1, -(-batch.nbytes // self._max_bytes))
        length = -(-batch.num_rows // pieces)
        return [batch.slice(start, length) for start in range(0, batch.num_rows, length)]


class LineBuffer:
    """Raw lines, joined to pieces of a body."""

    def __init__(self, job: WriteJob) -> None:
        self._delimiter = line_delimiter(job)
        self._max_row = job.options.bad_rows.max_row_bytes
        self._max_bytes = job.options.batch_bytes
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, element: str | bytes, source: Any = None) -> bool:  # noqa: ARG002
        """Takes one line, with or without its delimiter.

        Raises:
            RowEncodingError: it is empty.
        """
        line = element.encode() if isinstance(element, str) else element
        if line.endswith(self._delimiter):
            line = line[: -len(self._delimiter)]
        if not line:
            raise RowEncodingError("the line is empty: it holds no row")
        if len(line) > self._max_row:
            raise RowEncodingError(
                f"the line has {len(line)} bytes, more than max_row_bytes ({self._max_row})"
            )
        self._parts += (line, self._delimiter)
        self._bytes += len(line)
        return self._bytes >= self._max_bytes

    def take(self, keep_going: bool) -> tuple[Chunks, Refused]:  # noqa: ARG002
        """One piece of body."""
        parts, self._parts, self._bytes = self._parts, [], 0
        if not parts:
            return [], []
        return [RawLines(b"".join(parts), len(parts) // 2)], []


def line_delimiter(job: WriteJob) -> bytes:
    """What stands behind each raw line."""
    stated = {name.lower(): value for name, value in job.options.load_properties.items()}
    return delimiter_bytes(stated.get("line_delimiter", "\n"))


def delimiter_bytes(text: str) -> bytes:
    r"""A delimiter as the server reads its header: `\x01`, `\n`, `\t` or the characters."""
    plain = text.encode()
    parts = plain.split(b"\\x")
    decoded = parts[0]
    for part in parts[1:]:
        try:
            decoded += bytes([int(part[:2], 16)]) + part[2:]
        except ValueError:
            return plain
    return decoded.replace(b"\\n", b"\n").replace(b"\\t", b"\t").replace(b"\\r", b"\r")
