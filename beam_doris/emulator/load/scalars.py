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
"""Single values from text, by Doris' rules (P 4.2, 13): what a cell of a body may look like.

Every parser takes the text of one cell and returns the value in its carrier form, or raises
ValueError. Dates and times are counts since the epoch, because the calendar starts with the year
0000 and that of the standard library with 0001.
"""

from __future__ import annotations

import decimal
import ipaddress
import json
import math
import re
from collections.abc import Callable
from typing import Any

import orjson

from beam_doris.emulator.types import DorisType, Kind

Parser = Callable[[str], Any]

INTEGER_RANGES = {
    Kind.TINYINT: (-(1 << 7), (1 << 7) - 1),
    Kind.SMALLINT: (-(1 << 15), (1 << 15) - 1),
    Kind.INT: (-(1 << 31), (1 << 31) - 1),
    Kind.BIGINT: (-(1 << 63), (1 << 63) - 1),
    Kind.LARGEINT: (-(1 << 127), (1 << 127) - 1),
}
DAY_MICROS = 86_400_000_000
_INTEGER = re.compile(r"\s*([+-]?\d+)(?:\.\d*)?\s*\Z", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*\Z", re.ASCII)
_SPECIAL = re.compile(r"\s*([+-]?)(inf|infinity|nan)\s*\Z", re.IGNORECASE)
_LONG_DIGITS = re.compile(r"\d{16}")
_DATE = re.compile(
    r"\s*(\d{4}|\d{2})([-/.])(\d{1,2})\2(\d{1,2})"
    r"(?:[ T]+(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?)?\s*"
    r"(Z|UTC|[+-]\d{1,2}:?\d{2})?\s*\Z",
    re.ASCII,
)
_COMPACT = re.compile(
    r"\s*(\d{4}|\d{2})(\d{2})(\d{2})(?:T?(\d{2})(\d{2})(\d{2})(?:\.(\d*))?)?\s*\Z", re.ASCII
)
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_CONTEXT = decimal.Context(prec=200, rounding=decimal.ROUND_HALF_UP, Emax=9999, Emin=-9999)


def parse_integer(text: str, kind: Kind) -> int:
    """A whole number; a fraction is cut off, as Doris' number parser does."""
    found = _INTEGER.match(text)
    if found is None:
        raise ValueError("not a number")
    value = int(found.group(1))
    low, high = INTEGER_RANGES[kind]
    if not low <= value <= high:
        raise ValueError("out of range")
    return value


def parse_double(text: str) -> float:
    """A floating point number, also inf and nan."""
    if _NUMBER.match(text) is None and _SPECIAL.match(text) is None:
        raise ValueError("not a number")
    return float(text)


def parse_float(text: str) -> float:
    """A 32-bit number: beyond its range is infinite."""
    value = parse_double(text)
    if math.isfinite(value) and abs(value) > 3.4028235677973366e38:
        return math.copysign(math.inf, value)
    return value


def parse_boolean(text: str) -> bool:
    """``0``, ``1``, ``true`` or ``false``."""
    word = text.strip().lower()
    if word in ("1", "true"):
        return True
    if word in ("0", "false"):
        return False
    raise ValueError("not a boolean")


def parse_decimal(text: str, precision: int, scale: int) -> decimal.Decimal:
    """A decimal, rounded half up to the scale; too many digits in front are refused."""
    if _NUMBER.match(text) is None:
        raise ValueError("not a number")
    try:
        value = decimal.Decimal(text.strip()).quantize(
            decimal.Decimal(1).scaleb(-scale), context=_CONTEXT
        )
    except decimal.InvalidOperation as error:
        raise ValueError("out of range") from error
    if value and value.adjusted() + 1 > precision - scale:
        raise ValueError("out of range")
    return abs(value) if value.is_zero() else value


def plain_decimal(value: decimal.Decimal) -> str:
    """Digits without an exponent, with all fraction digits of the scale."""
    return format(value, "f")


def parse_date(text: str) -> int:
    """Days since 1970-01-01; a time of day is dropped."""
    return _parse_moment(text) // DAY_MICROS


def parse_datetime(text: str, scale: int) -> int:
    """Microseconds since the epoch, rounded to the scale; a zone is turned into UTC."""
    micros = round_micros(_parse_moment(text), scale)
    if not MIN_MICROS <= micros <= MAX_MICROS:
        raise ValueError("out of range")
    return micros


def round_micros(micros: int, scale: int) -> int:
    """Half up to so many fraction digits of a second."""
    unit = int(10 ** (6 - scale))
    return (micros + unit // 2) // unit * unit


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since the epoch in the proleptic Gregorian calendar, any year."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _MONTH_DAYS[month - 1]:
        raise ValueError("no such day")
    if month == 2 and day == 29 and not leap:
        raise ValueError("no such day")
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


MIN_MICROS = days_from_civil(0, 1, 1) * DAY_MICROS
MAX_MICROS = (days_from_civil(9999, 12, 31) + 1) * DAY_MICROS - 1


def _parse_moment(text: str) -> int:
    """Microseconds since the epoch; a seventh fraction digit rounds, a zone is applied."""
    found, zone = _DATE.match(text), ""
    if found is not None:
        year, _, month, day, hour, minute, second, fraction, zone = found.groups(default="")
    else:
        found = _COMPACT.match(text)
        if found is None:
            raise ValueError("not a date")
        year, month, day, hour, minute, second, fraction = found.groups(default="")
    days = days_from_civil(_full_year(year), int(month), int(day))
    clock = [int(part or 0) for part in (hour, minute, second)]
    if clock[0] > 23 or clock[1] > 59 or clock[2] > 59:
        raise ValueError("no such time")
    seconds = clock[0] * 3600 + clock[1] * 60 + clock[2]
    micros = (days * 86400 + seconds) * 1_000_000 + int((fraction + "000000")[:6])
    if len(fraction) > 6 and fraction[6] >= "5":
        micros += 1
    if zone and zone not in ("Z", "UTC"):
        digits = zone[1:].replace(":", "").zfill(4)
        offset = (int(digits[:2]) * 60 + int(digits[2:])) * 60_000_000
        micros += -offset if zone[0] == "+" else offset
    return micros


def _full_year(text: str) -> int:
    year = int(text)
    if len(text) == 4:
        return year
    return year + (2000 if year < 70 else 1900)


def parse_ipv4(text: str) -> int:
    """The number of a dotted address."""
    return int(ipaddress.IPv4Address(text.strip()))


def parse_ipv6(text: str) -> str:
    """The number of an address as decimal text; a dotted one is mapped."""
    word = text.strip()
    if ":" not in word:
        return str(int(ipaddress.IPv4Address(word)) | 0xFFFF << 32)
    return str(int(ipaddress.IPv6Address(word)))


def parse_json(text: str) -> str:
    """The compact text of a JSON value."""
    if _LONG_DIGITS.search(text) is None:
        return orjson.dumps(orjson.loads(text)).decode()
    # long numbers would lose digits in the fast parser
    value = json.loads(text, parse_constant=_no_constant)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse_variant(text: str) -> str:
    """JSON, or any other text as a JSON string."""
    try:
        return parse_json(text)
    except ValueError:
        return json.dumps(text, ensure_ascii=False)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def parser_of(doris: DorisType) -> Parser:
    """The parser of a scalar type; BITMAP and HLL have none."""
    kind = doris.kind
    if kind in INTEGER_RANGES:
        if kind is Kind.LARGEINT:
            return lambda text: str(parse_integer(text, kind))
        return lambda text: parse_integer(text, kind)
    if kind in (Kind.DECIMAL, Kind.DECIMALV2):
        precision, scale = doris.precision, doris.scale
        if precision > 38:
            return lambda text: plain_decimal(parse_decimal(text, precision, scale))
        return lambda text: parse_decimal(text, precision, scale)
    if kind is Kind.DATETIME:
        unit = 10**6 if doris.scale == 0 else 10**3 if doris.scale <= 3 else 1
        return lambda text: parse_datetime(text, doris.scale) // unit
    return _SIMPLE[kind]


_SIMPLE: dict[Kind, Parser] = {
    Kind.BOOLEAN: parse_boolean,
    Kind.FLOAT: parse_float,
    Kind.DOUBLE: parse_double,
    Kind.DATE: parse_date,
    Kind.CHAR: str,
    Kind.VARCHAR: str,
    Kind.STRING: str,
    Kind.JSON: parse_json,
    Kind.VARIANT: parse_variant,
    Kind.IPV4: parse_ipv4,
    Kind.IPV6: parse_ipv6,
}
