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
"""The grammar of Doris types: what DDL, `_schema` and `SHOW FULL COLUMNS` write, read and printed.

A type has one spelling here whatever the server's generation calls it: DATEV2 is DATE, DATETIMEV2
is DATETIME, DECIMALV3 and DECIMAL32 to DECIMAL256 are DECIMAL, JSONB is JSON, TEXT is STRING,
OBJECT is BITMAP.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from beam_doris.errors import TypeMappingError
from beam_doris.options.table_id import quote


class Kind(enum.Enum):
    """The types that behave differently from each other."""

    NULL = "NULL_TYPE"
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
    TIMESTAMPTZ = "TIMESTAMPTZ"
    TIME = "TIME"
    CHAR = "CHAR"
    VARCHAR = "VARCHAR"
    STRING = "STRING"
    VARBINARY = "VARBINARY"
    JSON = "JSON"
    VARIANT = "VARIANT"
    ARRAY = "ARRAY"
    MAP = "MAP"
    STRUCT = "STRUCT"
    IPV4 = "IPV4"
    IPV6 = "IPV6"
    BITMAP = "BITMAP"
    HLL = "HLL"
    QUANTILE_STATE = "QUANTILE_STATE"
    AGG_STATE = "AGG_STATE"
    UNKNOWN = "UNKNOWN"


_OPAQUE = frozenset(
    {Kind.BITMAP, Kind.HLL, Kind.QUANTILE_STATE, Kind.AGG_STATE, Kind.UNKNOWN, Kind.TIME}
)
_NESTED = frozenset({Kind.ARRAY, Kind.MAP, Kind.STRUCT})
_CHILDREN = {Kind.ARRAY: 1, Kind.MAP: 2}

# Names that mean a kind without further arguments, beside the kind's own.
_ALIASES = {
    "NULL": Kind.NULL,
    "BOOL": Kind.BOOLEAN,
    "INTEGER": Kind.INT,
    "DECIMALV3": Kind.DECIMAL,
    "DECIMAL32": Kind.DECIMAL,
    "DECIMAL64": Kind.DECIMAL,
    "DECIMAL128": Kind.DECIMAL,
    "DECIMAL128I": Kind.DECIMAL,
    "DECIMAL256": Kind.DECIMAL,
    "NUMERIC": Kind.DECIMAL,
    "DATEV2": Kind.DATE,
    "DATEV1": Kind.DATE,
    "DATETIMEV2": Kind.DATETIME,
    "DATETIMEV1": Kind.DATETIME,
    "TIMESTAMP": Kind.DATETIME,
    "TIMEV2": Kind.TIME,
    "CHARACTER": Kind.CHAR,
    "TEXT": Kind.STRING,
    "JSONB": Kind.JSON,
    "OBJECT": Kind.BITMAP,
}
_BY_NAME = {kind.value: kind for kind in Kind if kind is not Kind.UNKNOWN} | _ALIASES

# What the width of an unqualified decimal holds at most; `_schema` gives precision separately.
_DECIMAL_WIDTH = {
    "DECIMAL32": 9,
    "DECIMAL64": 18,
    "DECIMAL128": 38,
    "DECIMAL128I": 38,
    "DECIMAL256": 76,
}
MAX_DECIMAL_PRECISION = 76
MAX_DATETIME_SCALE = 6


@dataclass(frozen=True, slots=True)
class DorisType:
    """One Doris type.

    Args:
        kind: Which one.
        precision: Digits of a decimal.
        scale: Fraction digits of a decimal, or of the seconds of a DATETIME.
        length: Length of CHAR, VARCHAR or VARBINARY; 0 when it was not given.
        children: Element of an ARRAY, key and value of a MAP, fields of a STRUCT. Empty for a
            nested type whose shape the server did not tell (older `_schema`).
        names: Names of a STRUCT's fields.
        detail: The argument text of a type that is only passed on (AGG_STATE, typed VARIANT), or
            the whole text of an unknown type.

    Example:
        >>> parse_type("array<decimal(10,2)>").sql()
        'ARRAY<DECIMAL(10, 2)>'
    """

    kind: Kind
    precision: int = 0
    scale: int = 0
    length: int = 0
    children: tuple[DorisType, ...] = ()
    names: tuple[str, ...] = ()
    detail: str = ""

    @property
    def is_nested(self) -> bool:
        """Whether it is an ARRAY, MAP or STRUCT."""
        return self.kind in _NESTED

    @property
    def is_readable(self) -> bool:
        """Whether its values can be read: BITMAP and its like only by a function over them."""
        return self.kind not in _OPAQUE and all(child.is_readable for child in self.children)

    @property
    def is_complete(self) -> bool:
        """Whether the shape is known to the last element."""
        if self.is_nested and not self.children:
            return False
        return all(child.is_complete for child in self.children)

    def sql(self) -> str:
        """The type as DDL writes it, such as `DECIMAL(10, 2)`."""
        return self._render(lower=False)

    def shown(self) -> str:
        """The type as `SHOW FULL COLUMNS` shows it, such as `decimal(10,2)`, `text`."""
        return self._render(lower=True)

    def _render(self, *, lower: bool) -> str:
        if self.kind is Kind.UNKNOWN:
            return self.detail
        name: str = self.kind.value.lower() if lower else self.kind.value
        if self.kind is Kind.STRING and lower:
            name = "text"
        return name + self._arguments(lower)

    def _arguments(self, lower: bool) -> str:
        if self.kind in (Kind.DECIMAL, Kind.DECIMALV2):
            comma = "," if lower else ", "
            return f"({self.precision}{comma}{self.scale})"
        if self.kind in (Kind.DATETIME, Kind.TIMESTAMPTZ, Kind.TIME):
            return f"({self.scale})" if self.scale else ""
        if self.length:
            return f"({self.length})"
        if self.detail:
            return f"<{self.detail}>"
        if not self.children:
            return ""
        inner = [child.shown() if lower else child.sql() for child in self.children]
        if self.kind is Kind.STRUCT:
            inner = [
                f"{_field_name(name)}:{text}" for name, text in zip(self.names, inner, strict=True)
            ]
        return "<" + ",".join(inner) + ">"

    def __str__(self) -> str:
        return self.sql()


def _field_name(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d]\w*", name) else quote(name)


def array_of(element: DorisType) -> DorisType:
    """ARRAY<element>."""
    return DorisType(Kind.ARRAY, children=(element,))


def map_of(key: DorisType, value: DorisType) -> DorisType:
    """MAP<key, value>."""
    return DorisType(Kind.MAP, children=(key, value))


def struct_of(**fields: DorisType) -> DorisType:
    """STRUCT with the given fields, in order."""
    return DorisType(Kind.STRUCT, children=tuple(fields.values()), names=tuple(fields))


def parse_type(text: str, *, precision: int | None = None, scale: int | None = None) -> DorisType:
    """Reads a type as DDL, `_schema` or `SHOW FULL COLUMNS` write it.

    A well-formed type that is not known becomes `Kind.UNKNOWN`, so that a table with one such
    column stays usable for its others.

    Args:
        text: Such as `decimal(10,2)`, `ARRAY<INT>`, `DECIMAL64`.
        precision: Given beside the name by `_schema`.
        scale: Given beside the name by `_schema`.

    Raises:
        TypeMappingError: the text is no type.
    """
    parser = _Parser(text)
    parsed = parser.type()
    parser.expect_end()
    if parsed.kind in (Kind.DECIMAL, Kind.DECIMALV2) and precision is not None:
        return _decimal(parsed.kind, precision, scale or 0, text)
    return parsed


_TOKEN = re.compile(
    r"\s*(?:(?P<quoted>`(?:[^`]|``)+`)|(?P<string>'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\")"
    r"|(?P<word>[\w$.-]+)|(?P<sign>[<>(),:*=]))"
)


class _Parser:
    """Recursive descent over the tokens of one type."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, int, int]] = []
        position = 0
        stripped_end = len(text.rstrip())
        while position < stripped_end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error()
            self._tokens.append((match.group().strip(), match.start(), match.end()))
            position = match.end()
        self._next = 0

    def type(self) -> DorisType:
        name = self._take()
        if not re.match(r"[^\W\d]", name):
            raise self._error()
        upper = name.upper()
        kind = _BY_NAME.get(upper)
        if kind is None:
            return self._unknown(name)
        if kind in _NESTED:
            return self._nested(kind)
        if kind in (Kind.AGG_STATE, Kind.VARIANT):
            detail = self._balanced("<", ">") if self._peek() == "<" else ""
            if self._peek() == "(":
                self._balanced("(", ")")
            return DorisType(kind, detail=detail)
        arguments = self._numbers()
        if kind in (Kind.DECIMAL, Kind.DECIMALV2):
            return self._decimal(kind, upper, arguments)
        if kind in (Kind.DATETIME, Kind.TIMESTAMPTZ, Kind.TIME):
            digits = arguments[0] if arguments else 0
            if digits > MAX_DATETIME_SCALE:
                raise self._error(f"at most {MAX_DATETIME_SCALE} fraction digits")
            return DorisType(kind, scale=digits)
        if kind in (Kind.CHAR, Kind.VARCHAR, Kind.VARBINARY):
            return DorisType(kind, length=arguments[0] if arguments else 0)
        # display widths such as INT(11) and STRING(65533) mean nothing
        return DorisType(kind)

    def expect_end(self) -> None:
        if self._next != len(self._tokens):
            raise self._error()

    def _decimal(self, kind: Kind, name: str, arguments: list[int]) -> DorisType:
        if arguments:
            precision, scale = arguments[0], arguments[1] if len(arguments) > 1 else 0
        elif kind is Kind.DECIMALV2:
            precision, scale = 27, 9
        else:
            precision, scale = _DECIMAL_WIDTH.get(name, 38), 0
            if name in ("DECIMAL", "DECIMALV3", "NUMERIC"):
                scale = 9
        return _decimal(kind, precision, scale, self._text)

    def _nested(self, kind: Kind) -> DorisType:
        if self._peek() != "<":
            return DorisType(kind)
        self._take("<")
        names: list[str] = []
        children: list[DorisType] = []
        while True:
            if kind is Kind.STRUCT:
                names.append(self._name())
                if self._peek() == ":":
                    self._take(":")
            children.append(self.type())
            self._skip_modifiers()
            if self._take() == ">":
                break
            if self._tokens[self._next - 1][0] != ",":
                raise self._error()
        if len(children) != _CHILDREN.get(kind, len(children)):
            raise self._error(f"{kind.value} takes {_CHILDREN[kind]}, not {len(children)} types")
        if len({name.lower() for name in names}) != len(names):
            raise self._error("two fields of one name")
        return DorisType(kind, children=tuple(children), names=tuple(names))

    def _name(self) -> str:
        token = self._take()
        if token[0] == "`":
            return token[1:-1].replace("``", "`")
        if token in ("<", ">", "(", ")", ",", ":", "*"):
            raise self._error()
        return token

    def _skip_modifiers(self) -> None:
        while (self._peek() or "").upper() in ("NOT", "NULL", "COMMENT"):
            if self._take().upper() == "COMMENT":
                self._take()

    def _numbers(self) -> list[int]:
        if self._peek() != "(":
            return []
        inner = self._balanced("(", ")")
        if inner == "*":
            return []
        parts = [part.strip() for part in inner.split(",")]
        if not 1 <= len(parts) <= 2 or not all(part.isdecimal() for part in parts):
            raise self._error()
        return [int(part) for part in parts]

    def _unknown(self, name: str) -> DorisType:
        start = self._tokens[self._next - 1][2] - len(name)
        for opening, closing in (("(", ")"), ("<", ">")):
            if self._peek() == opening:
                self._balanced(opening, closing)
        end = self._tokens[self._next - 1][2]
        return DorisType(Kind.UNKNOWN, detail=self._text[start:end])

    def _balanced(self, opening: str, closing: str) -> str:
        self._take(opening)
        start = self._tokens[self._next - 1][2]
        depth = 1
        while depth:
            token = self._take()
            depth += (token == opening) - (token == closing)
        return self._text[start : self._tokens[self._next - 1][2] - 1].strip()

    def _peek(self) -> str | None:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else None

    def _take(self, expected: str | None = None) -> str:
        token = self._peek()
        if token is None or (expected is not None and token != expected):
            raise self._error()
        self._next += 1
        return token

    def _error(self, why: str | None = None) -> TypeMappingError:
        reason = f": {why}" if why else ""
        return TypeMappingError(f"{self._text!r} is not a Doris type{reason}", got=self._text)


def _decimal(kind: Kind, precision: int, scale: int, text: str) -> DorisType:
    if not 1 <= precision <= MAX_DECIMAL_PRECISION or not 0 <= scale <= precision:
        raise TypeMappingError(
            f"{text!r} is not a Doris type: a decimal has 1 to {MAX_DECIMAL_PRECISION} digits, "
            "and no more fraction digits than digits",
            got=text,
        )
    return DorisType(kind, precision=precision, scale=scale)
