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
"""The value that stands for a Doris type: the names each interface shows, its physical form.

This table belongs to the emulator alone. The connector has its own, so that one misreading does
not show on both sides.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """Kinds of types; the value is the word that SQL text uses."""

    BOOLEAN = "BOOLEAN"
    TINYINT = "TINYINT"
    SMALLINT = "SMALLINT"
    INT = "INT"
    BIGINT = "BIGINT"
    LARGEINT = "LARGEINT"
    FLOAT = "FLOAT"
    DOUBLE = "DOUBLE"
    DECIMALV2 = "DECIMALV2"
    DECIMAL = "DECIMAL"
    DATE = "DATE"
    DATETIME = "DATETIME"
    CHAR = "CHAR"
    VARCHAR = "VARCHAR"
    STRING = "STRING"
    JSON = "JSON"
    VARIANT = "VARIANT"
    ARRAY = "ARRAY"
    MAP = "MAP"
    STRUCT = "STRUCT"
    IPV4 = "IPV4"
    IPV6 = "IPV6"
    BITMAP = "BITMAP"
    HLL = "HLL"
    NULL = "NULL"


INTEGERS = (Kind.TINYINT, Kind.SMALLINT, Kind.INT, Kind.BIGINT, Kind.LARGEINT)
FLOATS = (Kind.FLOAT, Kind.DOUBLE)
TEXTS = (Kind.CHAR, Kind.VARCHAR, Kind.STRING)
NESTED = (Kind.ARRAY, Kind.MAP, Kind.STRUCT)
#: kinds that may not be a key, a partition or a distribution column
NOT_COMPARABLE = (*NESTED, Kind.JSON, Kind.VARIANT, Kind.BITMAP, Kind.HLL)

_PHYSICAL = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TINYINT: "TINYINT",
    Kind.SMALLINT: "SMALLINT",
    Kind.INT: "INTEGER",
    Kind.BIGINT: "BIGINT",
    Kind.LARGEINT: "HUGEINT",
    Kind.FLOAT: "FLOAT",
    Kind.DOUBLE: "DOUBLE",
    Kind.DATE: "DATE",
    Kind.CHAR: "VARCHAR",
    Kind.VARCHAR: "VARCHAR",
    Kind.STRING: "VARCHAR",
    Kind.JSON: "VARCHAR",
    Kind.VARIANT: "VARCHAR",
    Kind.IPV4: "UINTEGER",
    Kind.IPV6: "UHUGEINT",
    Kind.BITMAP: "UBIGINT[]",
    Kind.HLL: "STRUCT(hll UBIGINT[])",
    Kind.NULL: "INTEGER",
}

#: TPrimitiveType (P 5.2); decimals, dates and NULL_TYPE are told apart in thrift_id()
_THRIFT = {
    "NULL_TYPE": 1,
    "BOOLEAN": 2,
    "TINYINT": 3,
    "SMALLINT": 4,
    "INT": 5,
    "BIGINT": 6,
    "FLOAT": 7,
    "DOUBLE": 8,
    "CHAR": 13,
    "LARGEINT": 14,
    "VARCHAR": 15,
    "HLL": 16,
    "DECIMALV2": 17,
    "BITMAP": 19,
    "ARRAY": 20,
    "MAP": 21,
    "STRUCT": 22,
    "STRING": 23,
    "DATEV2": 26,
    "DATETIMEV2": 27,
    "DECIMAL32": 29,
    "DECIMAL64": 30,
    "DECIMAL128I": 31,
    "JSON": 32,
    "VARIANT": 34,
    "DECIMAL256": 37,
    "IPV4": 38,
    "IPV6": 39,
}


@dataclass(frozen=True, slots=True)
class DorisType:
    """A type. ``length`` is of CHAR and VARCHAR, ``precision``/``scale`` of DECIMAL, ``scale`` of
    DATETIME; ``children`` of ARRAY, MAP and STRUCT; ``names`` of the fields of a STRUCT."""

    kind: Kind
    precision: int = 0
    scale: int = 0
    length: int = 0
    children: tuple[DorisType, ...] = ()
    names: tuple[str, ...] = ()

    def sql(self) -> str:
        """Text for CREATE TABLE, such as ``DECIMAL(10, 2)``."""
        return self._text(", ", ",", upper=True)

    def shown(self) -> str:
        """Text as DESC and SHOW COLUMNS show it, such as ``decimal(10,2)`` or ``text`` (P 13)."""
        return self._text(",", ",", upper=False)

    def _text(self, comma: str, between: str, *, upper: bool) -> str:
        kind = self.kind
        word = kind.value if upper else kind.value.lower()
        if kind is Kind.STRING:
            return "TEXT" if upper else "text"
        if kind in (Kind.DECIMAL, Kind.DECIMALV2):
            return f"{word}({self.precision}{comma}{self.scale})"
        if kind in (Kind.CHAR, Kind.VARCHAR):
            return f"{word}({self.length})"
        if kind is Kind.DATETIME:
            return f"{word}({self.scale})" if self.scale else word
        inner = [child._text(comma, between, upper=upper) for child in self.children]
        if kind is Kind.STRUCT:
            fields = zip(self.names, inner, strict=True)
            return f"{word}<{between.join(f'{name}:{text}' for name, text in fields)}>"
        if inner:
            return f"{word}<{between.join(inner)}>"
        return word

    def primitive(self) -> str:
        """Name that ``_schema`` shows (P 1.4), such as ``DECIMAL64`` or ``DATETIMEV2``."""
        kind = self.kind
        if kind is Kind.DECIMAL:
            if self.precision <= 9:
                return "DECIMAL32"
            if self.precision <= 18:
                return "DECIMAL64"
            return "DECIMAL128I" if self.precision <= 38 else "DECIMAL256"
        if kind is Kind.DATE:
            return "DATEV2"
        if kind is Kind.DATETIME:
            return "DATETIMEV2"
        return "NULL_TYPE" if kind is Kind.NULL else kind.value

    def thrift_id(self) -> int:
        """TPrimitiveType number (P 5.2)."""
        return _THRIFT[self.primitive()]

    def physical(self) -> str:
        """Text of the DuckDB type that holds values of this type."""
        kind = self.kind
        if kind in (Kind.DECIMAL, Kind.DECIMALV2):
            if self.precision > 38:
                return "VARCHAR"
            return f"DECIMAL({self.precision},{self.scale})"
        if kind is Kind.DATETIME:
            if self.scale == 0:
                return "TIMESTAMP_S"
            return "TIMESTAMP_MS" if self.scale <= 3 else "TIMESTAMP"
        if kind is Kind.ARRAY:
            return f"{self.children[0].physical()}[]"
        if kind is Kind.MAP:
            return f"MAP({self.children[0].physical()}, {self.children[1].physical()})"
        if kind is Kind.STRUCT:
            fields = zip(self.names, self.children, strict=True)
            inner = ", ".join(f"{_quote(name)} {child.physical()}" for name, child in fields)
            return f"STRUCT({inner})"
        return _PHYSICAL[kind]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
