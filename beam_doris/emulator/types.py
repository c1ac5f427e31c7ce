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
"""Reading types: Doris' grammar of types, and the Doris type behind a DuckDB type."""

from __future__ import annotations

import re

from beam_doris.emulator.doris_type import (
    FLOATS,
    INTEGERS,
    NESTED,
    NOT_COMPARABLE,
    TEXTS,
    DorisType,
    Kind,
)
from beam_doris.emulator.errors import TypeSyntaxError

__all__ = [
    "FLOATS",
    "INTEGERS",
    "MAX_VARCHAR_LENGTH",
    "NESTED",
    "NOT_COMPARABLE",
    "STRING_LENGTH",
    "TEXTS",
    "DorisType",
    "Kind",
    "of_physical",
    "parse_type",
]

STRING_LENGTH = 2_147_483_643
MAX_VARCHAR_LENGTH = 65_533

_WORDS = {
    "BOOL": Kind.BOOLEAN,
    "INTEGER": Kind.INT,
    "DATEV1": Kind.DATE,
    "DATEV2": Kind.DATE,
    "DATETIMEV1": Kind.DATETIME,
    "DATETIMEV2": Kind.DATETIME,
    "DECIMALV3": Kind.DECIMAL,
    "NUMERIC": Kind.DECIMAL,
    "DECIMAL32": Kind.DECIMAL,
    "DECIMAL64": Kind.DECIMAL,
    "DECIMAL128": Kind.DECIMAL,
    "DECIMAL128I": Kind.DECIMAL,
    "DECIMAL256": Kind.DECIMAL,
    "TEXT": Kind.STRING,
    "JSONB": Kind.JSON,
    **{kind.value: kind for kind in Kind if kind is not Kind.NULL},
    "NULL_TYPE": Kind.NULL,
}

_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_][A-Za-z_0-9]*)|`(?P<quoted>[^`]+)`|(?P<number>\d+)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<mark>[<>(),:*]))"
)


class _TypeParser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        at = 0
        stripped = text.rstrip()
        while at < len(stripped):
            found = _TOKEN.match(stripped, at)
            if found is None:
                raise self._error()
            kind = str(found.lastgroup)
            self._tokens.append((kind, found.group(kind)))
            at = found.end()
        self._at = 0

    def _error(self) -> TypeSyntaxError:
        return TypeSyntaxError(f"Unsupported data type: {self._text}", 1064, "42000")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self, *kinds: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] not in kinds:
            raise self._error()
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _mark(self, mark: str) -> None:
        if self._next("mark") != mark:
            raise self._error()

    def whole(self) -> DorisType:
        result = self.type()
        if self._at != len(self._tokens):
            raise self._error()
        return result

    def type(self) -> DorisType:
        word = self._next("word").upper()
        kind = _WORDS.get(word)
        if kind is None:
            raise self._error()
        if kind in NESTED:
            return self._nested(kind)
        if kind is Kind.VARIANT and self._peek() == "<":
            self._skip_variant()
        return self._scalar(kind, word, self._numbers())

    def _skip_variant(self) -> None:
        depth = 0
        while True:
            token = self._next("word", "quoted", "number", "text", "mark")
            depth += (token == "<") - (token == ">")
            if depth == 0:
                return

    def _numbers(self) -> list[str]:
        numbers: list[str] = []
        if self._peek() != "(":
            return numbers
        self._mark("(")
        while True:
            if self._peek() == "*":
                self._mark("*")
                numbers.append("*")
            else:
                numbers.append(self._next("number"))
            if self._peek() == ")":
                self._mark(")")
                return numbers
            self._mark(",")

    def _nested(self, kind: Kind) -> DorisType:
        self._mark("<")
        names: list[str] = []
        children: list[DorisType] = []
        while True:
            if kind is Kind.STRUCT:
                names.append(self._next("word", "quoted"))
                if self._peek() == ":":
                    self._mark(":")
            children.append(self.type())
            self._field_tail()
            if self._peek() == ">":
                self._mark(">")
                break
            self._mark(",")
        wanted = {Kind.ARRAY: 1, Kind.MAP: 2}.get(kind, len(children))
        if len(children) != wanted:
            raise self._error()
        return DorisType(kind, children=tuple(children), names=tuple(names))

    def _field_tail(self) -> None:
        while self._peek().upper() in ("NOT", "NULL", "COMMENT"):
            if self._next("word").upper() == "COMMENT":
                self._next("text")

    def _scalar(self, kind: Kind, word: str, numbers: list[str]) -> DorisType:
        if kind in (Kind.DECIMAL, Kind.DECIMALV2):
            return self._decimal(kind, word, numbers)
        if kind is Kind.DATETIME:
            scale = int(numbers[0]) if numbers else 0
            if scale > 6:
                raise TypeSyntaxError(
                    f"Scale of Datetime/Time must between 0 and 6. Scale was set to: {scale}"
                )
            return DorisType(kind, scale=scale)
        if kind is Kind.CHAR:
            length = int(numbers[0]) if numbers and numbers[0] != "*" else 1
            if not 1 <= length <= 255:
                raise TypeSyntaxError(
                    f"Char size must be <= 255: {length}"
                    if length
                    else f"Char size must be > 0: {length}"
                )
            return DorisType(kind, length=length)
        if kind is Kind.VARCHAR:
            # VARCHAR without a length, or (*), is the longest
            length = int(numbers[0]) if numbers and numbers[0] != "*" else MAX_VARCHAR_LENGTH
            if not 1 <= length <= MAX_VARCHAR_LENGTH:
                raise TypeSyntaxError(f"Varchar size must be <= {MAX_VARCHAR_LENGTH}: {length}")
            return DorisType(kind, length=length)
        return DorisType(kind)

    def _decimal(self, kind: Kind, word: str, numbers: list[str]) -> DorisType:
        widest = {"DECIMAL32": 9, "DECIMAL64": 18, "DECIMAL128": 38, "DECIMAL128I": 38}.get(
            word, 76
        )
        if kind is Kind.DECIMALV2:
            precision, scale = 27, 9
        else:
            precision, scale = min(38, widest), 9
        if numbers:
            precision = int(numbers[0])
            scale = int(numbers[1]) if len(numbers) > 1 else 0
        if kind is Kind.DECIMALV2 and precision > 27:
            raise TypeSyntaxError(
                f"Precision of decimal must between 1 and 27. Precision was set to: {precision}."
            )
        if not 1 <= precision <= 76:
            raise TypeSyntaxError(
                f"DECIMAL precision should between 1 and 76. Precision was set to: {precision}."
            )
        if scale > precision:
            raise TypeSyntaxError(
                f"Scale of decimal must between 0 and {precision}. Scale was set to: {scale}."
            )
        return DorisType(kind, precision=precision, scale=scale)


def parse_type(text: str) -> DorisType:
    """Read a Doris type.

    Raises:
        TypeSyntaxError: Doris has no such type, or its numbers are out of range.

    Example:
        >>> parse_type("ARRAY<DECIMALV3(10,2)>").sql()
        'ARRAY<DECIMAL(10, 2)>'
    """
    return _TypeParser(text).whole()


_SIMPLE_BACK = {
    "BOOLEAN": Kind.BOOLEAN,
    "TINYINT": Kind.TINYINT,
    "UTINYINT": Kind.SMALLINT,
    "SMALLINT": Kind.SMALLINT,
    "USMALLINT": Kind.INT,
    "INTEGER": Kind.INT,
    "BIGINT": Kind.BIGINT,
    "UBIGINT": Kind.LARGEINT,
    "HUGEINT": Kind.LARGEINT,
    "FLOAT": Kind.FLOAT,
    "DOUBLE": Kind.DOUBLE,
    "DATE": Kind.DATE,
    "VARCHAR": Kind.STRING,
    "JSON": Kind.JSON,
    "UINTEGER": Kind.IPV4,
    "UHUGEINT": Kind.IPV6,
    '"NULL"': Kind.NULL,
    "NULL": Kind.NULL,
}


def of_physical(text: str) -> DorisType:
    """The Doris type that a result column of this DuckDB type most likely has.

    Example:
        >>> of_physical("STRUCT(a INTEGER, b TIMESTAMP_MS[])").shown()
        'struct<a:int,b:array<datetime(3)>>'
    """
    text = text.strip()
    if text == "UBIGINT[]":
        return DorisType(Kind.BITMAP)
    if text.replace('"', "") == "STRUCT(hll UBIGINT[])":
        return DorisType(Kind.HLL)
    if text.endswith("[]"):
        return DorisType(Kind.ARRAY, children=(of_physical(text[:-2]),))
    if text in _SIMPLE_BACK:
        return DorisType(_SIMPLE_BACK[text])
    if text.startswith("TIMESTAMP"):
        scale = {"TIMESTAMP_S": 0, "TIMESTAMP_MS": 3}.get(text, 6)
        return DorisType(Kind.DATETIME, scale=scale)
    found = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", text)
    if found:
        return DorisType(Kind.DECIMAL, precision=int(found[1]), scale=int(found[2]))
    if text.startswith("MAP(") and text.endswith(")"):
        children = tuple(of_physical(part) for part in _split(text[4:-1]))
        return DorisType(Kind.MAP, children=children)
    if text.startswith("STRUCT(") and text.endswith(")"):
        names, fields = [], []
        for part in _split(text[7:-1]):
            name, inner = _field(part)
            names.append(name)
            fields.append(of_physical(inner))
        return DorisType(Kind.STRUCT, children=tuple(fields), names=tuple(names))
    return DorisType(Kind.STRING)


def _split(text: str) -> list[str]:
    """Parts between commas that stand outside brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif not quoted:
            depth += (char == "(") - (char == ")")
            if char == "," and depth == 0:
                parts.append(text[start:at].strip())
                start = at + 1
    parts.append(text[start:].strip())
    return parts


def _field(text: str) -> tuple[str, str]:
    if text.startswith('"'):
        end = text.index('" ', 1)
        return text[1:end].replace('""', '"'), text[end + 2 :]
    name, _, inner = text.partition(" ")
    return name, inner
