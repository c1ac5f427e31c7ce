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
"""Literals of arrays, maps and structs as JSON, so that whole columns of them are read at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from beam_doris.emulator.sql.tokens import Token, TokenKind
from beam_doris.emulator.types import NESTED, DorisType, Kind

_SCALARS_OF_JSON = (Kind.JSON, Kind.VARIANT, Kind.BITMAP, Kind.HLL)


class _NotPlain(Exception):
    """The literal holds an expression, or does not fit the type."""


def json_text(tokens: Sequence[Token], kind: DorisType) -> str | None:
    """The JSON text of a literal of this nested type; None when it is no plain literal.

    Scalars are written as JSON texts, which keeps every digit of a number.
    """
    if kind.kind not in NESTED:
        return None
    reader = _LiteralReader(tokens)
    try:
        value = reader.value(kind)
    except _NotPlain:
        return None
    if reader.at != len(tokens):
        return None
    return json.dumps(value, ensure_ascii=False)


class _LiteralReader:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self.at = 0

    def _next(self) -> Token:
        if self.at >= len(self._tokens):
            raise _NotPlain
        self.at += 1
        return self._tokens[self.at - 1]

    def _sees(self, mark: str) -> bool:
        if self.at >= len(self._tokens):
            raise _NotPlain
        token = self._tokens[self.at]
        return token.kind is TokenKind.SYMBOL and token.text == mark

    def _expect(self, mark: str) -> None:
        if not self._sees(mark):
            raise _NotPlain
        self.at += 1

    def _ends(self, mark: str) -> bool:
        """Whether the list ends here; otherwise a comma is taken."""
        if self._sees(mark):
            self.at += 1
            return True
        self._expect(",")
        return False

    def value(self, kind: DorisType) -> Any:
        if kind.kind in NESTED and not (self._sees("[") or self._sees("{")):
            if self._next().upper == "NULL":
                return None
            raise _NotPlain
        if kind.kind is Kind.ARRAY:
            return self._array(kind.children[0])
        if kind.kind is Kind.MAP:
            return self._map(kind)
        if kind.kind is Kind.STRUCT:
            return self._struct(kind)
        if kind.kind in _SCALARS_OF_JSON:
            raise _NotPlain
        return self._scalar()

    def _scalar(self) -> str | None:
        token = self._next()
        if token.kind is TokenKind.STRING:
            return token.text
        sign = ""
        if token.kind is TokenKind.SYMBOL and token.text in "+-":
            sign = token.text.replace("+", "")
            token = self._next()
        if token.kind is TokenKind.NUMBER and not token.text.lower().startswith("0x"):
            return sign + token.text
        if not sign and token.upper in ("NULL", "TRUE", "FALSE"):
            return {"NULL": None, "TRUE": "1", "FALSE": "0"}[token.upper]
        raise _NotPlain

    def _array(self, child: DorisType) -> list[Any]:
        self._expect("[")
        found: list[Any] = []
        if self._sees("]"):
            self.at += 1
            return found
        while True:
            found.append(self.value(child))
            if self._ends("]"):
                return found

    def _map(self, kind: DorisType) -> dict[str, Any]:
        self._expect("{")
        found: dict[str, Any] = {}
        if self._sees("}"):
            self.at += 1
            return found
        while True:
            key = self._scalar()
            if key is None or '"' in key or "\\" in key:
                # a JSON path to such a key would need escapes of its own
                raise _NotPlain
            self._expect(":")
            found[key] = self.value(kind.children[1])
            if self._ends("}"):
                return found

    def _struct(self, kind: DorisType) -> dict[str, Any]:
        self._expect("{")
        found: dict[str, Any] = {}
        for position, (name, child) in enumerate(zip(kind.names, kind.children, strict=True)):
            if position:
                self._expect(",")
            found[name] = self.value(child)
        self._expect("}")
        return found
