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
"""Doris' casts, as DuckDB expressions over physical values.

A value that does not fit gives NULL; who must refuse it (strict INSERT) compares NULLs before and
after.
"""

from __future__ import annotations

import itertools

from beam_doris.emulator.sql.render import literal, text_sql
from beam_doris.emulator.types import FLOATS, INTEGERS, NESTED, TEXTS, DorisType, Kind

_DOCUMENTS = (Kind.JSON, Kind.VARIANT)
_DECIMALS = (Kind.DECIMAL, Kind.DECIMALV2)
_names = itertools.count()


def is_text(kind: DorisType) -> bool:
    return kind.kind in TEXTS


def cast_sql(x: str, source: DorisType | None, target: DorisType) -> str:
    """SQL of ``CAST(x AS target)``; ``source`` None: the type of x is not known."""
    if source is None:
        return _from_unknown(x, target)
    if source.kind is Kind.NULL:
        return f"CAST(NULL AS {target.physical()})"
    if is_text(target):
        return x if is_text(source) else text_sql(x, source)
    if is_text(source):
        return parse_sql(x, target)
    if source == target:
        return x
    if source.kind in _DOCUMENTS:
        return _from_document(x, target)
    if target.kind in _DOCUMENTS:
        return _to_document(x, source)
    if target.kind in NESTED:
        return _nested(x, source, target)
    return _scalar(x, source, target)


def _from_unknown(x: str, target: DorisType) -> str:
    if is_text(target):
        return f"CAST({x} AS VARCHAR)"
    if target.kind in (*_DOCUMENTS, Kind.IPV4, Kind.IPV6, Kind.DATE, Kind.DATETIME):
        return parse_sql(f"CAST({x} AS VARCHAR)", target)
    if target.kind in (Kind.BITMAP, Kind.HLL):
        return x
    return f"TRY_CAST({x} AS {target.physical()})"


def _from_document(x: str, target: DorisType) -> str:
    if target.kind in _DOCUMENTS:
        return x
    if target.kind in NESTED:
        return json_sql(f"TRY_CAST({x} AS JSON)", target)
    return parse_sql(f"json_extract_string({x}, '$')", target)


def _to_document(x: str, source: DorisType) -> str:
    if source.kind in NESTED or source.kind in (*INTEGERS, *FLOATS, *_DECIMALS, Kind.BOOLEAN):
        return f"CAST(to_json({x}) AS VARCHAR)"
    return f"CAST(to_json({text_sql(x, source)}) AS VARCHAR)"


def _nested(x: str, source: DorisType, target: DorisType) -> str:
    if source.kind is Kind.ARRAY and target.kind is Kind.ARRAY:
        name = f"v{next(_names)}"
        inner = cast_sql(name, source.children[0], target.children[0])
        if inner == name:
            return x
        return f"list_transform({x}, lambda {name}: {inner})"
    if source.kind is Kind.MAP and target.kind is Kind.MAP:
        name = f"v{next(_names)}"
        key = cast_sql(f"{name}.key", source.children[0], target.children[0])
        value = cast_sql(f"{name}.value", source.children[1], target.children[1])
        entries = f"list_transform(map_entries({x}), lambda {name}: {{'k': {key}, 'v': {value}}})"
        return f"CASE WHEN {x} IS NOT NULL THEN map_from_entries({entries}) END"
    if source.kind is Kind.STRUCT and target.kind is Kind.STRUCT:
        parts = ", ".join(
            f"{literal(name)}: " + cast_sql(f"struct_extract({x}, {literal(old)})", kind, wanted)
            for name, old, kind, wanted in zip(
                target.names, source.names, source.children, target.children, strict=False
            )
        )
        return f"CASE WHEN {x} IS NOT NULL THEN {{{parts}}} END"
    return f"TRY_CAST({x} AS {target.physical()})"


def _scalar(x: str, source: DorisType, target: DorisType) -> str:
    physical = target.physical()
    if target.kind is Kind.BOOLEAN:
        return f"({x} <> 0)" if source.kind is not Kind.BOOLEAN else x
    if target.kind in INTEGERS and source.kind in (*FLOATS, *_DECIMALS):
        # Doris cuts the fraction, DuckDB would round it
        return f"TRY_CAST(trunc({x}) AS {physical})"
    if target.kind in _DECIMALS and target.precision > 38:
        return parse_sql(text_sql(x, source), target)
    if target.kind is Kind.DATETIME:
        if source.kind is Kind.DATETIME and source.scale > target.scale:
            return f"CAST(doris_round_datetime({x}, {target.scale}) AS {physical})"
        if source.kind in (Kind.DATE, Kind.DATETIME):
            return f"CAST({x} AS {physical})"
        return parse_sql(f"CAST({x} AS VARCHAR)", target)
    if target.kind is Kind.DATE and source.kind not in (Kind.DATE, Kind.DATETIME):
        return parse_sql(f"CAST({x} AS VARCHAR)", target)
    if source.kind in (Kind.DATE, Kind.DATETIME) and target.kind in (*INTEGERS, *FLOATS):
        shape = "%Y%m%d" if source.kind is Kind.DATE else "%Y%m%d%H%M%S"
        return f"TRY_CAST(strftime(CAST({x} AS TIMESTAMP), '{shape}') AS {physical})"
    if source.physical() == physical:
        return x
    return f"TRY_CAST({x} AS {physical})"


def parse_sql(x: str, target: DorisType) -> str:
    """SQL of a value read from its text; NULL when the text is none of this type."""
    kind = target.kind
    physical = target.physical()
    if is_text(target):
        return x
    if kind is Kind.BOOLEAN:
        return f"doris_bool({x})"
    if kind in INTEGERS:
        return f"TRY_CAST(doris_integer_text({x}) AS {physical})"
    if kind in FLOATS:
        return f"TRY_CAST({x} AS {physical})"
    if kind in _DECIMALS:
        if target.precision > 38:
            return f"doris_wide_decimal({x}, {target.precision}, {target.scale})"
        return f"TRY_CAST(doris_decimal_text({x}) AS {physical})"
    if kind is Kind.DATE:
        return f"doris_date({x})"
    if kind is Kind.DATETIME:
        return f"TRY_CAST(doris_datetime({x}, {target.scale}) AS {physical})"
    if kind is Kind.JSON:
        return f"doris_json({x})"
    if kind is Kind.VARIANT:
        return f"doris_variant({x})"
    if kind is Kind.IPV4:
        return f"doris_ipv4_parse({x})"
    if kind is Kind.IPV6:
        return f"doris_ipv6_parse({x})"
    if kind is Kind.BITMAP:
        return f"bitmap_from_string({x})"
    if kind in NESTED:
        return json_sql(f"TRY_CAST({x} AS JSON)", target)
    return f"CAST(NULL AS {physical})"


def json_sql(x: str, target: DorisType) -> str:
    """SQL of a value read from JSON."""
    if target.kind is Kind.ARRAY:
        name = f"v{next(_names)}"
        inner = json_sql(name, target.children[0])
        return f"list_transform(TRY_CAST({x} AS JSON[]), lambda {name}: {inner})"
    if target.kind is Kind.MAP:
        name = f"v{next(_names)}"
        key = parse_sql(name, target.children[0])
        value = json_sql(f"json_extract({x}, '$.\"' || {name} || '\"')", target.children[1])
        entries = f"list_transform(json_keys({x}), lambda {name}: {{'k': {key}, 'v': {value}}})"
        return f"CASE WHEN json_type({x}) = 'OBJECT' THEN map_from_entries({entries}) END"
    if target.kind is Kind.STRUCT:
        parts = ", ".join(
            f"{literal(name)}: " + json_sql(f"json_extract({x}, {literal(_path(name))})", child)
            for name, child in zip(target.names, target.children, strict=True)
        )
        return f"CASE WHEN json_type({x}) = 'OBJECT' THEN {{{parts}}} END"
    if target.kind in _DOCUMENTS:
        return f"CAST({x} AS VARCHAR)"
    return parse_sql(f"json_extract_string({x}, '$')", target)


def _path(name: str) -> str:
    return '$."' + name + '"'
