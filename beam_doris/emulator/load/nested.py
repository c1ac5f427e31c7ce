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
"""ARRAY, MAP and STRUCT from their JSON-like text (P 4.2)."""

from __future__ import annotations

import json
import re
from typing import Any

from beam_doris.emulator.load.scalars import Parser, parser_of
from beam_doris.emulator.types import NESTED, DorisType, Kind

_BLANK = re.compile(r"\s*")
_BARE = re.compile(r"[^,:\[\]{}]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]
        return self.text[self.at : self.at + 1]

    def take(self, mark: str) -> None:
        if self.peek() != mark:
            raise ValueError(f"{mark} expected")
        self.at += 1

    def scalar(self) -> str | None:
        """A quoted or bare word; the bare word null is NULL."""
        if self.peek() in ('"', "'"):
            found = _QUOTED.match(self.text, self.at)
            if found is None:
                raise ValueError("an open quote")
            self.at = found.end()
            return _unquote(found.group())
        found = _BARE.match(self.text, self.at)
        if found is None:
            raise ValueError("a value expected")
        self.at = found.end()
        word = found.group().strip()
        return None if word.lower() == "null" or word == "\\N" else word

    def raw(self) -> str:
        """The text of one value of any shape: what a JSON child keeps as it is."""
        self.peek()
        start, depth = self.at, 0
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter in "\"'":
                found = _QUOTED.match(self.text, self.at)
                if found is None:
                    raise ValueError("an open quote")
                self.at = found.end()
                continue
            if letter in "[{":
                depth += 1
            elif letter in "]}":
                if depth == 0:
                    break
                depth -= 1
            elif letter == "," and depth == 0:
                break
            self.at += 1
        return self.text[start : self.at].strip()


def _unquote(quoted: str) -> str:
    if quoted[0] == '"':
        try:
            return str(json.loads(quoted, strict=False))
        except ValueError:
            pass
    return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)


class NestedParser:
    """Reads texts of one nested type; an item that does not fit its type becomes NULL."""

    def __init__(self, doris: DorisType) -> None:
        self._type = doris
        self._parsers: dict[DorisType, Parser] = {}

    def __call__(self, text: str) -> Any:
        reader = _Reader(text)
        value = self._value(reader, self._type)
        if reader.peek():
            raise ValueError("text after the end")
        return value

    def _value(self, reader: _Reader, doris: DorisType) -> Any:
        if doris.kind in (Kind.JSON, Kind.VARIANT):
            return self._leaf(doris, reader.raw())
        if doris.kind not in NESTED:
            return self._leaf(doris, reader.scalar())
        if reader.peek() not in ("[", "{"):
            if reader.scalar() is None:
                return None
            raise ValueError("a nested value expected")
        if doris.kind is Kind.ARRAY:
            return self._array(reader, doris.children[0])
        return self._map(reader, doris) if doris.kind is Kind.MAP else self._struct(reader, doris)

    def _leaf(self, doris: DorisType, text: str | None) -> Any:
        if text is None or (text == "null" and doris.kind in (Kind.JSON, Kind.VARIANT)):
            return None
        parser = self._parsers.get(doris)
        if parser is None:
            parser = self._parsers[doris] = parser_of(doris)
        try:
            return parser(text)
        except ValueError:
            return None

    def _array(self, reader: _Reader, child: DorisType) -> list[Any]:
        reader.take("[")
        items: list[Any] = []
        while reader.peek() != "]":
            if items:
                reader.take(",")
            items.append(self._value(reader, child))
        reader.take("]")
        return items

    def _map(self, reader: _Reader, doris: DorisType) -> list[tuple[Any, Any]]:
        key_type, value_type = doris.children
        reader.take("{")
        items: dict[Any, Any] = {}
        while reader.peek() != "}":
            if items:
                reader.take(",")
            key = self._leaf(key_type, reader.scalar())
            if key is None:
                raise ValueError("a NULL key of a map")
            reader.take(":")
            items[key] = self._value(reader, value_type)
        reader.take("}")
        return list(items.items())

    def _struct(self, reader: _Reader, doris: DorisType) -> dict[str, Any]:
        by_name = {name.lower(): name for name in doris.names}
        types = dict(zip(doris.names, doris.children, strict=True))
        row: dict[str, Any] = dict.fromkeys(doris.names)
        reader.take("{")
        position = 0
        while reader.peek() != "}":
            if position:
                reader.take(",")
            name = self._field_name(reader, by_name)
            if name is None:
                if position >= len(doris.names):
                    raise ValueError("too many fields")
                name = doris.names[position]
            row[name] = self._value(reader, types[name])
            position += 1
        reader.take("}")
        return row

    def _field_name(self, reader: _Reader, by_name: dict[str, str]) -> str | None:
        """The name in front of a colon; None when the fields come by position."""
        start = reader.at
        if reader.peek() in ("[", "{"):
            return None
        word = reader.scalar()
        if reader.peek() == ":":
            reader.take(":")
            if word is None or word.lower() not in by_name:
                raise ValueError("no such field")
            return by_name[word.lower()]
        reader.at = start
        return None
