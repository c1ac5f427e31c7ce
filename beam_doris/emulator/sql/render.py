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
"""Doris' text of values, as DuckDB expressions, so that whole columns are rendered at once.

The same text is what the MySQL protocol sends and what CAST(x AS STRING) gives.
"""

from __future__ import annotations

from beam_doris.emulator.types import DorisType, Kind

_OPAQUE = (Kind.BITMAP, Kind.HLL)


def literal(text: str) -> str:
    """A DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"


def text_sql(expression: str, kind: DorisType) -> str:
    """SQL of the text of a value; NULL for NULL."""
    return _Renderer().text(expression, kind)


def arrow_sql(expression: str, kind: DorisType) -> str:
    """SQL of a value in the physical form that may leave as Arrow.

    The 128-bit integers of DuckDB do not survive the way through Arrow: they leave as text.
    """
    if kind.kind in (Kind.LARGEINT, Kind.IPV6):
        return f"CAST({expression} AS VARCHAR)"
    if kind.kind is Kind.BITMAP or kind.kind is Kind.HLL:
        return expression
    if kind.kind is Kind.NULL:
        return f"CAST({expression} AS INTEGER)"
    if kind.kind is Kind.ARRAY and _wide(kind):
        inner = arrow_sql("e", kind.children[0])
        return f"list_transform({expression}, lambda e: {inner})"
    if kind.kind is Kind.MAP and _wide(kind):
        key = arrow_sql("e.key", kind.children[0])
        value = arrow_sql("e.value", kind.children[1])
        entries = (
            f"list_transform(map_entries({expression}), lambda e: {{'k': {key}, 'v': {value}}})"
        )
        return f"CASE WHEN {expression} IS NOT NULL THEN map_from_entries({entries}) END"
    if kind.kind is Kind.STRUCT and _wide(kind):
        parts = ", ".join(
            f"{literal(name)}: {arrow_sql(_field(expression, name), child)}"
            for name, child in zip(kind.names, kind.children, strict=True)
        )
        return f"CASE WHEN {expression} IS NOT NULL THEN {{{parts}}} END"
    return expression


def _wide(kind: DorisType) -> bool:
    return kind.kind in (Kind.LARGEINT, Kind.IPV6) or any(_wide(child) for child in kind.children)


def _field(expression: str, name: str) -> str:
    return f"struct_extract({expression}, {literal(name)})"


class _Renderer:
    def __init__(self) -> None:
        self._depth = 0

    def text(self, x: str, kind: DorisType) -> str:
        """Text of a value that stands alone."""
        if kind.kind in _OPAQUE:
            # Doris shows an object type as NULL
            return "CAST(NULL AS VARCHAR)"
        if kind.kind is Kind.VARIANT:
            return (
                f"CASE WHEN starts_with({x}, '\"') THEN json_extract_string({x}, '$') ELSE {x} END"
            )
        return self._plain(x, kind)

    def _plain(self, x: str, kind: DorisType) -> str:
        word = kind.kind
        if word is Kind.BOOLEAN:
            return f"CASE {x} WHEN TRUE THEN '1' WHEN FALSE THEN '0' END"
        if word in (Kind.FLOAT, Kind.DOUBLE):
            return f"doris_float_text(CAST({x} AS {word.value}))"
        if word is Kind.DATE:
            return f"strftime({x}, '%Y-%m-%d')"
        if word is Kind.DATETIME:
            return self._datetime(x, kind.scale)
        if word is Kind.IPV4:
            return f"doris_ipv4_text({x})"
        if word is Kind.IPV6:
            return f"doris_ipv6_text({x})"
        if word is Kind.ARRAY:
            return self._array(x, kind.children[0])
        if word is Kind.MAP:
            return self._map(x, kind)
        if word is Kind.STRUCT:
            return self._struct(x, kind)
        return f"CAST({x} AS VARCHAR)"

    @staticmethod
    def _datetime(x: str, scale: int) -> str:
        moment = f"CAST({x} AS TIMESTAMP)"
        if scale == 0:
            return f"strftime({moment}, '%Y-%m-%d %H:%M:%S')"
        if scale == 3:
            return f"strftime({moment}, '%Y-%m-%d %H:%M:%S.%g')"
        if scale == 6:
            return f"strftime({moment}, '%Y-%m-%d %H:%M:%S.%f')"
        return f"left(strftime({moment}, '%Y-%m-%d %H:%M:%S.%f'), {20 + scale})"

    def _inner(self, x: str, kind: DorisType) -> str:
        """Text of a value inside a collection: texts and dates are quoted, NULL is a word."""
        if kind.kind in (Kind.CHAR, Kind.VARCHAR, Kind.STRING):
            shown = f"'\"' || {x} || '\"'"
        elif kind.kind in (Kind.DATE, Kind.DATETIME, Kind.IPV4, Kind.IPV6):
            shown = f"'\"' || {self._plain(x, kind)} || '\"'"
        else:
            shown = self._plain(x, kind)
        return f"coalesce({shown}, 'null')"

    def _variable(self) -> str:
        self._depth += 1
        return f"e{self._depth}"

    def _array(self, x: str, child: DorisType) -> str:
        name = self._variable()
        items = f"list_transform({x}, lambda {name}: {self._inner(name, child)})"
        self._depth -= 1
        return f"('[' || array_to_string({items}, ', ') || ']')"

    def _map(self, x: str, kind: DorisType) -> str:
        name = self._variable()
        key = self._inner(f"{name}.key", kind.children[0])
        value = self._inner(f"{name}.value", kind.children[1])
        entries = f"list_transform(map_entries({x}), lambda {name}: {key} || ':' || {value})"
        self._depth -= 1
        joined = f"('{{' || array_to_string({entries}, ', ') || '}}')"
        return f"CASE WHEN {x} IS NULL THEN NULL ELSE {joined} END"

    def _struct(self, x: str, kind: DorisType) -> str:
        parts = [
            literal(f'"{name}":') + " || " + self._inner(_field(x, name), child)
            for name, child in zip(kind.names, kind.children, strict=True)
        ]
        joined = " || ', ' || ".join(parts)
        return f"CASE WHEN {x} IS NULL THEN NULL ELSE '{{' || {joined} || '}}' END"
