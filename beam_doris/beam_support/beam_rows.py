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
"""Beam schema types of Doris types, and batches exploded into `beam.Row`.

| Doris | Beam field | Python value |
|---|---|---|
| BOOLEAN | BOOLEAN | bool |
| TINYINT, SMALLINT | INT16 | int |
| INT, BIGINT | INT32, INT64 | int |
| LARGEINT | text inside `LargeInt` | int |
| FLOAT, DOUBLE | FLOAT, DOUBLE | float |
| DECIMAL up to 28 digits | `beam:logical_type:decimal:v1` | Decimal |
| wider DECIMAL | text inside `WideDecimal` | Decimal |
| DATE | `beam:logical_type:date:v1` | date |
| DATETIME | `beam:logical_type:datetime:v1` | naive datetime |
| CHAR, VARCHAR, STRING, JSON, VARIANT, IPV4, IPV6 | STRING | str |
| ARRAY, MAP, STRUCT | ARRAY, MAP, ROW | list, dict, Row |

TINYINT is not BYTE because Beam's coder for BYTE refuses negative numbers. For DATETIME and wide
numbers see `logical_types`. A nullable column is an optional field.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.typehints.row_type import RowTypeConstraint

from beam_doris.beam_support.logical_types import LargeInt, WideDecimal
from beam_doris.errors import TypeMappingError
from beam_doris.schema.python_values import column_values
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import DorisType, Kind

BEAM_DECIMAL_DIGITS = 28

_SCALARS: dict[Kind, Any] = {
    Kind.NULL: str,
    Kind.BOOLEAN: bool,
    Kind.TINYINT: np.int16,
    Kind.SMALLINT: np.int16,
    Kind.INT: np.int32,
    Kind.BIGINT: np.int64,
    Kind.LARGEINT: LargeInt,
    Kind.FLOAT: np.float32,
    Kind.DOUBLE: np.float64,
    Kind.DATE: datetime.date,
    Kind.DATETIME: datetime.datetime,
    Kind.CHAR: str,
    Kind.VARCHAR: str,
    Kind.STRING: str,
    Kind.VARBINARY: bytes,
    Kind.JSON: str,
    Kind.VARIANT: str,
    Kind.IPV4: str,
    Kind.IPV6: str,
}


def beam_type(doris: DorisType) -> Any:
    """The Beam field type of a Doris type, without regard to NULL.

    Raises:
        TypeMappingError: it has none, or its shape is not known.
    """
    if doris.kind in (Kind.DECIMAL, Kind.DECIMALV2):
        return decimal.Decimal if doris.precision <= BEAM_DECIMAL_DIGITS else WideDecimal
    if doris.is_nested and not doris.is_complete:
        raise TypeMappingError(
            f"the server does not tell the element types of {doris.sql()}",
            got=doris,
            hint='read with output="dict" or output="arrow", or give schema=',
        )
    if doris.kind is Kind.ARRAY:
        element: Any = _optional(beam_type(doris.children[0]))
        return Sequence[element]
    if doris.kind is Kind.MAP:
        key: Any = beam_type(doris.children[0])
        value: Any = _optional(beam_type(doris.children[1]))
        return Mapping[key, value]
    if doris.kind is Kind.STRUCT:
        return RowTypeConstraint.from_fields(
            [
                (name, _optional(beam_type(child)))
                for name, child in zip(doris.names, doris.children, strict=True)
            ]
        )
    if doris.kind not in _SCALARS:
        raise TypeMappingError(
            f"{doris.sql()} has no form in a Beam row",
            got=doris,
            hint='leave the column out, or read with output="arrow"',
        )
    return _SCALARS[doris.kind]


def _optional(kind: Any) -> Any:
    # a row type is a value, not a class: it knows no `| None`
    return Optional[kind]  # noqa: UP045


def row_type(schema: TableSchema) -> RowTypeConstraint:
    """The Beam row type of a table's (selected) columns."""
    fields = []
    for column in schema.columns:
        kind = beam_type(column.type)
        fields.append((column.name, _optional(kind) if column.nullable else kind))
    return RowTypeConstraint.from_fields(fields)


class RowMaker:
    """Explodes canonical batches into rows; converters are found once per schema."""

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._converters = [row_converter(column.type) for column in schema.columns]

    def rows(self, batch: pa.RecordBatch) -> Iterator[beam.Row]:
        """Rows of a batch with the schema's columns, in its order.

        Raises:
            TypeMappingError: a date is of the year 0, which Python's calendar does not have.
        """
        columns = [
            self._values(column, array, convert)
            for column, array, convert in zip(
                self._schema.columns, batch.columns, self._converters, strict=True
            )
        ]
        names = self._schema.names
        for values in zip(*columns, strict=True):
            yield beam.Row(**dict(zip(names, values, strict=True)))

    def _values(
        self, column: Column, array: pa.Array, convert: Callable[[Any], Any] | None
    ) -> list[Any]:
        values = column_values(array, column.type)
        if column.type.kind in (Kind.DATE, Kind.DATETIME) and any(
            type(value) is str for value in values
        ):
            raise TypeMappingError(
                f"column {column.name!r} holds a year that Python's calendar does not have",
                column=column.name,
                table=self._schema.table,
                hint='read with output="arrow", or with "dict" or "tuple", which give its text',
            )
        return values if convert is None else [convert(value) for value in values]


def row_converter(doris: DorisType) -> Callable[[Any], Any] | None:
    """What turns a column's Python value into that of a row; None where they are the same."""
    if doris.kind is Kind.STRUCT and doris.children:
        names = doris.names
        inner = [row_converter(child) for child in doris.children]

        def struct(value: Any) -> Any:
            if value is None:
                return None
            return beam.Row(
                **{
                    name: value[name] if convert is None else convert(value[name])
                    for name, convert in zip(names, inner, strict=True)
                }
            )

        return struct
    if doris.kind is Kind.ARRAY and doris.children:
        element = row_converter(doris.children[0])
        if element is None:
            return None
        return lambda value: None if value is None else [element(item) for item in value]
    if doris.kind is Kind.MAP and doris.children:
        item = row_converter(doris.children[1])
        if item is None:
            return None
        return lambda value: (
            None if value is None else {key: item(entry) for key, entry in value.items()}
        )
    return None
