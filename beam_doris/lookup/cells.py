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
"""Cells of the MySQL protocol as the Python values that a read gives for the same column."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from beam_doris.errors import TypeMappingError
from beam_doris.lookup.keys import float32
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import DorisType, Kind

_BY_FLIGHT_ONLY = frozenset(
    {Kind.ARRAY, Kind.MAP, Kind.STRUCT, Kind.VARBINARY, Kind.TIMESTAMPTZ, Kind.UNKNOWN}
)
_TEXT_DATETIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")


def needs_flight(doris: DorisType) -> bool:
    """Whether the MySQL protocol has only a text for it that does not say what it holds."""
    return doris.kind in _BY_FLIGHT_ONLY


def cell_reader(column: Column) -> Callable[[Any], Any]:
    """What makes a cell of this column a value; NULL stays None.

    Raises (when called):
        TypeMappingError: the cell is none of the column's type; it is not quoted.
    """
    convert: Callable[[Any], Any] = _READERS.get(column.type.kind, _text)
    if column.type.kind is Kind.DATETIME:
        convert = _datetime

    def read(cell: Any) -> Any:
        if cell is None:
            return None
        try:
            return convert(cell)
        except (ValueError, TypeError, ArithmeticError):
            raise TypeMappingError(
                f"column {column.name!r} is no longer a {column.type.sql()}",
                column=column.name,
                expected=column.type.sql(),
                got=type(cell).__name__,
                hint="the table was changed; start the pipeline again",
            ) from None

    return read


def _text(cell: Any) -> str:
    return cell.decode() if isinstance(cell, (bytes, bytearray)) else str(cell)


def _decimal(cell: Any) -> Decimal:
    return cell if isinstance(cell, Decimal) else Decimal(_text(cell))


def _date(cell: Any) -> Any:
    if isinstance(cell, datetime.date):
        return cell
    text = _text(cell)
    return text if text.startswith("0000-") else datetime.date.fromisoformat(text)


def _datetime(cell: Any) -> Any:
    if isinstance(cell, datetime.datetime):
        return cell
    text = _text(cell)
    if text.startswith("0000-"):
        # as a read gives it: always with six digits
        return text if "." in text else text + ".000000"
    if not _TEXT_DATETIME.fullmatch(text):
        raise ValueError
    return datetime.datetime.fromisoformat(text)


_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOLEAN: lambda cell: bool(int(cell)),
    Kind.TINYINT: int,
    Kind.SMALLINT: int,
    Kind.INT: int,
    Kind.BIGINT: int,
    Kind.LARGEINT: lambda cell: int(_text(cell)),
    Kind.FLOAT: lambda cell: float32(float(cell)),
    Kind.DOUBLE: float,
    Kind.DECIMAL: _decimal,
    Kind.DECIMALV2: _decimal,
    Kind.DATE: _date,
}
