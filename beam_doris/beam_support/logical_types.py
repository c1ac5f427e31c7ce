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
"""Beam schema types for what Beam's own types would change.

* A Doris DATETIME is a wall clock without a zone. Beam's `Timestamp` is an instant: to pick it
  means to pick a zone. `beam:logical_type:datetime:v1` is the portable zone-less type, which Beam
  SQL in Java knows as TIMESTAMP WITHOUT TIME ZONE; the Python value is a naive `datetime`.
* Beam's decimal coder rounds to 28 digits (it computes in the default context), so wider decimals
  travel as text inside `WideDecimal`; the Python value is a `Decimal`.
* LARGEINT does not fit 64 bits: `LargeInt`, as text; the Python value is an `int`.

The last two are unknown to other languages, which then see their representation: a string.
"""

from __future__ import annotations

import datetime
import decimal
from typing import Any, NamedTuple

import numpy as np
from apache_beam.typehints.schemas import LogicalType, NoArgumentLogicalType

_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()
_NANOSECONDS = 1_000


# by a call: Beam reads the types of the fields, which postponed annotations make texts
DateAndTime = NamedTuple("DateAndTime", [("Date", np.int64), ("Time", np.int64)])  # noqa: UP014
DateAndTime.__doc__ = "Days since 1970-01-01 and nanoseconds since midnight."


@LogicalType.register_logical_type
class WallClock(NoArgumentLogicalType[datetime.datetime, DateAndTime]):
    """A date and time without a zone."""

    @classmethod
    def urn(cls) -> str:
        """The portable name that Java's SqlTypes.DATETIME has."""
        return "beam:logical_type:datetime:v1"

    @classmethod
    def representation_type(cls) -> Any:
        """A row of two integers."""
        return DateAndTime

    @classmethod
    def language_type(cls) -> type[datetime.datetime]:
        """Naive `datetime`."""
        return datetime.datetime

    def to_representation_type(self, value: datetime.datetime) -> DateAndTime:
        """Splits into days and nanoseconds."""
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return DateAndTime(
            np.int64(value.toordinal() - _EPOCH_ORDINAL),
            np.int64((seconds * 1_000_000 + value.microsecond) * _NANOSECONDS),
        )

    def to_language_type(self, value: DateAndTime) -> datetime.datetime:
        """Joins days and nanoseconds."""
        day = datetime.datetime.fromordinal(int(value.Date) + _EPOCH_ORDINAL)
        return day + datetime.timedelta(microseconds=int(value.Time) // _NANOSECONDS)


class WideDecimal(decimal.Decimal):
    """A decimal of more than 28 digits, as a field type; any `Decimal` is a value of it."""


@LogicalType.register_logical_type
class WideDecimalType(NoArgumentLogicalType[WideDecimal, str]):
    """Exact decimals of any width."""

    @classmethod
    def urn(cls) -> str:
        """A name of this connector."""
        return "beam_doris:logical_type:wide_decimal:v1"

    @classmethod
    def representation_type(cls) -> type[str]:
        """Plain text."""
        return str

    @classmethod
    def language_type(cls) -> type[WideDecimal]:
        """`Decimal`, under a name of its own so that Beam's lossy type is not chosen."""
        return WideDecimal

    def to_representation_type(self, value: decimal.Decimal) -> str:
        """Plain notation."""
        return format(value, "f")

    def to_language_type(self, value: str) -> decimal.Decimal:
        """The exact number."""
        return decimal.Decimal(value)


class LargeInt(int):
    """An integer of up to 128 bits, as a field type; any `int` is a value of it."""


@LogicalType.register_logical_type
class LargeIntType(NoArgumentLogicalType[LargeInt, str]):
    """Integers beyond 64 bits."""

    @classmethod
    def urn(cls) -> str:
        """A name of this connector."""
        return "beam_doris:logical_type:large_int:v1"

    @classmethod
    def representation_type(cls) -> type[str]:
        """Decimal text."""
        return str

    @classmethod
    def language_type(cls) -> type[LargeInt]:
        """`int`, under a name of its own so that Beam does not take it for 64 bits."""
        return LargeInt

    def to_representation_type(self, value: int) -> str:
        """Decimal digits."""
        return str(int(value))

    def to_language_type(self, value: str) -> int:
        """The number."""
        return int(value)
