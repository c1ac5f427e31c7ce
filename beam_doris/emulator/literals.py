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
"""Doris literal texts as DuckDB expressions of the physical types."""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import re

from beam_doris.emulator.catalog import Column
from beam_doris.emulator.clock import wall_clock
from beam_doris.emulator.errors import DdlError
from beam_doris.emulator.types import FLOATS, INTEGERS, TEXTS, DorisType, Kind

_FUNCTION = re.compile(r"\s*([A-Za-z_]+)\s*(?:\(\s*(\d*)\s*\))?\s*")


def quote(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A DuckDB text literal."""
    return "'" + text.replace("'", "''") + "'"


def literal(doris_type: DorisType, text: str | None) -> str:
    """SQL of a value given as Doris text.

    Raises:
        DdlError: the text is no value of that type.
    """
    physical = doris_type.physical()
    if text is None:
        return f"CAST(NULL AS {physical})"
    kind = doris_type.kind
    try:
        if kind is Kind.IPV4:
            text = str(int(ipaddress.IPv4Address(text)))
        elif kind is Kind.IPV6:
            text = str(int(ipaddress.IPv6Address(text)))
        elif kind in (Kind.DECIMAL, Kind.DECIMALV2):
            text = decimal_text(text, doris_type.scale)
        elif kind in INTEGERS:
            text = str(int(text))
        elif kind in FLOATS:
            text = repr(float(text))
        elif kind is Kind.BOOLEAN:
            text = _boolean(text)
        elif kind is Kind.DATE:
            text = parse_datetime(text).strftime("%Y-%m-%d")
        elif kind is Kind.DATETIME:
            text = parse_datetime(text).isoformat(sep=" ")
    except (ValueError, ArithmeticError):
        raise DdlError(
            f"Invalid number format: {text}"
            if kind in (*INTEGERS, *FLOATS)
            else f"{doris_type.sql().lower()} literal [{text}] is invalid"
        ) from None
    return f"CAST({text_literal(text)} AS {physical})"


def decimal_text(text: str, scale: int) -> str:
    """Canonical plain text with exactly ``scale`` digits behind the point."""
    with decimal.localcontext(decimal.Context(prec=100)):
        value = decimal.Decimal(text.strip()).quantize(
            decimal.Decimal(1).scaleb(-scale), rounding=decimal.ROUND_HALF_UP
        )
    return f"{value:f}"


def _boolean(text: str) -> str:
    word = text.strip().lower()
    if word in ("true", "1"):
        return "true"
    if word in ("false", "0"):
        return "false"
    raise ValueError(text)


def parse_datetime(text: str) -> datetime.datetime:
    """A DATE or DATETIME text."""
    text = text.strip().replace("T", " ").replace("/", "-")
    for form in ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y%m%d", "%Y%m%d%H%M%S"):
        try:
            return datetime.datetime.strptime(text, form)
        except ValueError:
            continue
    raise ValueError(text)


def default_sql(column: Column, now: float) -> str:
    """SQL of what a column takes when a load leaves it out.

    Functions of time ask the emulator's clock, not DuckDB's.
    """
    if not column.default_is_function or column.default is None:
        return literal(column.type, column.default)
    found = _FUNCTION.fullmatch(column.default)
    word = found.group(1).upper() if found else column.default.upper()
    physical = column.type.physical()
    if word in ("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"):
        digits = int(found.group(2) or 0) if found else 0
        moment = wall_clock(now).strftime("%Y-%m-%d %H:%M:%S.%f")
        text = moment[: 20 + digits] if digits else moment[:19]
        return f"CAST('{text}' AS {physical})"
    if word in ("CURRENT_DATE", "CURDATE"):
        return f"CAST('{wall_clock(now):%Y-%m-%d}' AS {physical})"
    if word == "PI":
        return f"CAST(pi() AS {physical})"
    if word == "E":
        return f"CAST(exp(1.0) AS {physical})"
    if word == "BITMAP_EMPTY":
        return f"CAST([] AS {physical})"
    if word == "HLL_EMPTY":
        return "{'hll': CAST([] AS UBIGINT[])}"
    if word == "UUID" and column.type.kind in TEXTS:
        return "CAST(uuid() AS VARCHAR)"
    raise DdlError(f"Unsupported default value function {column.default}")


def zero_sql(doris_type: DorisType) -> str:
    """SQL of what old rows read from a NOT NULL column that was added without a default."""
    kind = doris_type.kind
    if kind in (*INTEGERS, *FLOATS, Kind.BOOLEAN, Kind.DECIMAL, Kind.DECIMALV2):
        return literal(doris_type, "0")
    if kind is Kind.DATE or kind is Kind.DATETIME:
        return f"CAST('1970-01-01' AS {doris_type.physical()})"
    if kind in TEXTS:
        return "''"
    if kind in (Kind.IPV4, Kind.IPV6):
        return f"CAST(0 AS {doris_type.physical()})"
    if kind in (Kind.BITMAP, Kind.ARRAY):
        return f"CAST([] AS {doris_type.physical()})"
    if kind is Kind.HLL:
        return "{'hll': CAST([] AS UBIGINT[])}"
    if kind in (Kind.JSON, Kind.VARIANT):
        return "'{}'"
    return f"CAST(NULL AS {doris_type.physical()})"
