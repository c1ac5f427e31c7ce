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
"""The value texts of the Flink connector's options: `30s`, `1MB`, `TRUE`."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

_NUMBER_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-zµ]*)\s*")

# A number without a unit counts milliseconds, as Flink reads it.
_SECONDS = {
    **dict.fromkeys(("d", "day", "days"), Decimal(86400)),
    **dict.fromkeys(("h", "hour", "hours"), Decimal(3600)),
    **dict.fromkeys(("m", "min", "minute", "minutes"), Decimal(60)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), Decimal(1)),
    **dict.fromkeys(("", "ms", "milli", "millis", "millisecond", "milliseconds"), Decimal("1e-3")),
    **dict.fromkeys(
        ("us", "µs", "micro", "micros", "microsecond", "microseconds"), Decimal("1e-6")
    ),
    **dict.fromkeys(("ns", "nano", "nanos", "nanosecond", "nanoseconds"), Decimal("1e-9")),
}
# A number without a unit counts bytes; all units are powers of 1024, as Flink reads them.
_BYTES = {
    **dict.fromkeys(("", "b", "byte", "bytes"), 1),
    **dict.fromkeys(("k", "kb", "kib", "kibibytes"), 1024),
    **dict.fromkeys(("m", "mb", "mib", "mebibytes"), 1024**2),
    **dict.fromkeys(("g", "gb", "gib", "gibibytes"), 1024**3),
    **dict.fromkeys(("t", "tb", "tib", "tebibytes"), 1024**4),
}


def text(value: str) -> str:
    """The text itself."""
    return value


def names(value: str) -> tuple[str, ...]:
    """A comma list of names, which may stand in backticks."""
    return tuple(part.strip().strip("`") for part in value.split(",") if part.strip())


def boolean(value: str) -> bool:
    """`true` or `false` in any case.

    Raises:
        ValueError: it is neither.
    """
    lowered = value.strip().lower()
    if lowered not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return lowered == "true"


def integer(value: str) -> int:
    """A whole number.

    Raises:
        ValueError: it is none.
    """
    try:
        return int(value.strip())
    except ValueError:
        raise ValueError("is not a whole number") from None


def optional_port(value: str) -> int | None:
    """A port; `-`, `-1` and nothing mean none."""
    if value.strip() in ("", "-", "-1"):
        return None
    return integer(value)


def duration(value: str) -> timedelta:
    """A time span such as `30s`, `500 ms`; a bare number counts milliseconds.

    Raises:
        ValueError: it is none.
    """
    match = _NUMBER_UNIT.fullmatch(value)
    unit = None if match is None else _SECONDS.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError("is not a time span such as 30s, 500ms, 10min")
    return timedelta(microseconds=int(Decimal(match[1]) * unit * 1_000_000))


def size(value: str) -> int:
    """A size such as `1MB`, `8192mb`; a bare number counts bytes.

    Raises:
        ValueError: it is none.
    """
    match = _NUMBER_UNIT.fullmatch(value)
    unit = None if match is None else _BYTES.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError("is not a size such as 1MB, 8192mb, 1048576")
    return int(Decimal(match[1]) * unit)


def seconds(value: str) -> timedelta:
    """A time span whose bare number counts seconds (keys that end in `.s`)."""
    return timedelta(seconds=integer(value)) if value.strip().isdecimal() else duration(value)
