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
"""Rows of any kind packed into Arrow batches.

A row is a dict, a NamedTuple, a `beam.Row` (or anything with `as_dict()`), a dataclass, or a tuple
or list in the order of the declared columns. Rows are packed in the bundle they arrive in; only
batches travel further.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

import pyarrow as pa

from beam_doris.codec.column_arrays import BadValue, column_array
from beam_doris.errors import ConfigError, RowEncodingError, TypeMappingError
from beam_doris.schema.arrow_normalize import normalize_array
from beam_doris.schema.arrow_types import TYPE_KEY, arrow_type, infer_type
from beam_doris.schema.python_values import null_positions
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import DorisType, Kind


class Missing(enum.Enum):
    """What a row without one of the columns means."""

    NULL = "null"
    """The column is NULL."""
    ERROR = "error"
    """The row is refused."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows that could be packed, and those that could not.

    Args:
        batch: The sound rows, in order.
        rejected: Position and reason of each of the others, in order.
    """

    batch: pa.RecordBatch
    rejected: tuple[tuple[int, RowEncodingError], ...]


class RowPacker:
    """Packs rows into batches of declared columns.

    Args:
        columns: The columns that rows carry; see `infer_columns` where nothing declares them.
        missing: What a row without one of them means.

    Example:
        >>> packer = RowPacker(schema.columns)
        >>> packer.pack([{"id": 1, "name": "Ann"}]).num_rows
        1
    """

    def __init__(
        self, columns: TableSchema | Sequence[Column], *, missing: Missing = Missing.NULL
    ) -> None:
        self.columns = columns.columns if isinstance(columns, TableSchema) else tuple(columns)
        if not self.columns:
            raise ConfigError("rows need at least one column", subject="RowPacker")
        self._names = tuple(column.name for column in self.columns)
        self._missing = missing

    def pack(self, rows: Sequence[Any]) -> pa.RecordBatch:
        """All rows as one batch.

        Raises:
            RowEncodingError: for the first column with a value that does not fit.
        """
        arrays = []
        fields = []
        for column, values in zip(self.columns, self._split(rows), strict=True):
            try:
                array = column_array(values, column.type)
            except BadValue as bad:
                raise RowEncodingError(bad.reason, column=column.name, row=bad.position) from None
            self._check_nulls(column, array)
            arrays.append(array)
            metadata = {TYPE_KEY: _carried_type(column.type, array.type).sql().encode()}
            fields.append(pa.field(column.name, array.type, metadata=metadata))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def pack_sound(self, rows: Sequence[Any]) -> Packed:
        """The rows that can be packed as one batch, and why the others cannot.

        A batch of n rows of which k are bad costs about k * log2(n) conversions of shrinking
        parts of it.
        """
        sound: list[Any] = []
        rejected: list[tuple[int, RowEncodingError]] = []
        pending = [(0, len(rows))]
        while pending:
            begin, end = pending.pop()
            try:
                batch = self.pack(rows[begin:end])
            except RowEncodingError as error:
                if end - begin == 1:
                    rejected.append(
                        (begin, RowEncodingError(error.reason, column=error.column, row=begin))
                    )
                    continue
                middle = (begin + end) // 2
                pending += [(middle, end), (begin, middle)]
                continue
            if not rejected and begin == 0 and end == len(rows):
                return Packed(batch, ())
            sound.extend(rows[begin:end])
        return Packed(self.pack(sound), tuple(rejected))

    def conform(self, batch: pa.RecordBatch | pa.Table) -> pa.RecordBatch:
        """An Arrow batch of the user's with the declared columns in canonical types.

        Raises:
            RowEncodingError: a column is unknown, missing, of another type, or holds a value
                that cannot be kept exactly.
        """
        if isinstance(batch, pa.Table):
            batch = _one_batch(batch)
        self._check_names(batch.schema.names)
        arrays = []
        for column in self.columns:
            position = batch.schema.get_field_index(column.name)
            if position < 0:
                self._require(column, None)
                array = column_array([None] * batch.num_rows, column.type)
            else:
                array = _conformed(batch.column(position), column)
            self._check_nulls(column, array)
            arrays.append(array)
        fields = [
            pa.field(
                column.name,
                array.type,
                metadata={TYPE_KEY: _carried_type(column.type, array.type).sql().encode()},
            )
            for column, array in zip(self.columns, arrays, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def _check_nulls(self, column: Column, array: pa.Array) -> None:
        if column.nullable or column.auto_increment or column.generated is not None:
            return
        if array.null_count:
            raise RowEncodingError(
                "is NULL, but the column is NOT NULL",
                column=column.name,
                row=null_positions(array)[0],
            )

    def _split(self, rows: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """The values of every column, over all rows."""
        if not rows:
            return [[] for _ in self.columns]
        kinds = set(map(type, rows))
        if len(kinds) > 1:
            mixed = [
                dict(zip(self._names, row, strict=False))
                if _is_positional(row)
                else _as_dict(i, row)
                for i, row in enumerate(rows)
                if _is_whole(i, row, len(self._names))
            ]
            return self._from_dicts(mixed)
        kind = kinds.pop()
        if issubclass(kind, dict):
            return self._from_dicts(rows)
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return self._from_named_tuples(rows, kind._fields)
        if issubclass(kind, (tuple, list)):
            return self._from_positions(rows)
        return self._from_dicts([_as_dict(i, row) for i, row in enumerate(rows)])

    def _from_dicts(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Sequence[Any]]:
        names = self._names
        if sum(map(len, rows)) == len(rows) * len(names):
            try:
                # a column at a time: a tuple per row would keep the garbage collector busy
                return [list(map(itemgetter(name), rows)) for name in names]
            except KeyError:
                pass
        known = set(names)
        for position, row in enumerate(rows):
            if not row.keys() <= known:
                self._check_names(list(row), position)
            if len(row) < len(names):
                for column in self.columns:
                    if column.name not in row:
                        self._require(column, position)
        return [[row.get(name) for row in rows] for name in names]

    def _from_named_tuples(
        self, rows: Sequence[tuple[Any, ...]], fields: tuple[str, ...]
    ) -> Sequence[Sequence[Any]]:
        if fields == self._names:
            return self._from_positions(rows)
        self._check_names(fields)
        columns: list[Sequence[Any]] = []
        for column in self.columns:
            if column.name in fields:
                columns.append(list(map(attrgetter(column.name), rows)))
            else:
                self._require(column, 0)
                columns.append([None] * len(rows))
        return columns

    def _from_positions(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        width = len(self._names)
        if set(map(len, rows)) != {width}:
            for position, row in enumerate(rows):
                _is_whole(position, row, width)
        return [list(map(itemgetter(position), rows)) for position in range(width)]

    def _require(self, column: Column, position: int | None) -> None:
        if self._missing is Missing.ERROR or not column.may_be_left_out:
            raise RowEncodingError("is missing from the row", column=column.name, row=position)

    def _check_names(self, given: Sequence[str], position: int | None = None) -> None:
        by_lower = {name.lower(): name for name in self._names}
        for name in given:
            if name in self._names:
                continue
            right = by_lower.get(str(name).lower())
            if right is not None:
                reason = f"differs only by case from the column {right!r}; write {right!r}"
            else:
                reason = "is not a column that is written; the columns are " + ", ".join(
                    self._names
                )
            raise RowEncodingError(reason, column=str(name), row=position)


def _is_positional(row: Any) -> bool:
    return isinstance(row, (tuple, list)) and not hasattr(row, "_fields")


def _is_whole(position: int, row: Any, width: int) -> bool:
    if _is_positional(row) and len(row) != width:
        raise RowEncodingError(
            f"has {len(row)} values, but {width} columns are declared", row=position
        )
    return True


def _as_dict(position: int, row: Any) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    as_dict = getattr(row, "as_dict", None) or getattr(row, "_asdict", None)
    if as_dict is None:
        raise RowEncodingError(
            f"a {type(row).__name__} is not a row; give a dict, NamedTuple, beam.Row, or a tuple "
            "in the order of the declared columns",
            row=position,
        )
    made: Mapping[str, Any] = as_dict()
    return made


def _carried_type(doris: DorisType, arrow: pa.DataType) -> DorisType:
    """The type of what is carried: the source of an expression is not the BITMAP it becomes."""
    opaque = (Kind.BITMAP, Kind.HLL, Kind.QUANTILE_STATE, Kind.AGG_STATE, Kind.UNKNOWN, Kind.TIME)
    return infer_type(arrow) if doris.kind in opaque or not doris.is_complete else doris


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    if batches:
        return batches[0]
    return pa.RecordBatch.from_pylist([], schema=table.schema)


def _conformed(array: pa.Array, column: Column) -> pa.Array:
    if not column.type.is_readable or not column.type.is_complete:
        return array
    if pa.types.is_timestamp(array.type) and array.type.tz and column.type.kind is Kind.DATETIME:
        raise RowEncodingError(
            "has a time zone, which DATETIME has not; choose the zone whose wall clock is meant "
            "with pyarrow.compute.local_timestamp",
            column=column.name,
        )
    try:
        return normalize_array(array, column.type)
    except TypeMappingError:
        return _cast(array, column)
    except (pa.ArrowException, ValueError):
        raise RowEncodingError(
            f"holds a value that {column.type.sql()} cannot hold exactly", column=column.name
        ) from None


def _cast(array: pa.Array, column: Column) -> pa.Array:
    """The lossless casts that a server never needs but a user's batch may."""
    target = arrow_type(column.type)
    numeric = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    wanted = pa.types.is_integer(target) or pa.types.is_floating(target)
    if (numeric and (wanted or pa.types.is_decimal(target))) and not (
        pa.types.is_floating(array.type) and not pa.types.is_floating(target)
    ):
        try:
            return array.cast(target)
        except pa.ArrowException:
            raise RowEncodingError(
                f"holds a value out of the range of {column.type.sql()}", column=column.name
            ) from None
    raise RowEncodingError(f"takes Arrow type {target}, not {array.type}", column=column.name)


def infer_columns(rows: Sequence[Any]) -> tuple[Column, ...]:
    """Columns for rows that nothing declares: every name, by the type of its values.

    Raises:
        RowEncodingError: rows without names, or values of a column that have no common type.
    """
    dicts = [_as_dict(position, row) for position, row in enumerate(rows)]
    names = list(dict.fromkeys(name for row in dicts for name in row))
    return tuple(
        Column(name=name, type=_inferred([r.get(name) for r in dicts], name)) for name in names
    )


def _inferred(values: list[Any], name: str) -> DorisType:
    try:
        return infer_type(pa.array(values).type, name)
    except OverflowError:
        return DorisType(Kind.LARGEINT)
    except (pa.ArrowException, TypeMappingError):
        raise RowEncodingError(
            "has values without a common type; declare the columns", column=name
        ) from None
