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
"""PARTITION BY and PARTITION ... VALUES (P 8.3)."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator

from beam_doris.emulator.catalog import PartitionBy
from beam_doris.emulator.sql.tokens import Reader, SyntaxFault, TokenKind, Unsupported
from beam_doris.emulator.table_spec import PartitionSpec

_MAX_PARTITIONS = 4096


def partition_by(reader: Reader, *, auto: bool) -> PartitionBy:
    """``RANGE|LIST (columns or expression)``, behind ``[AUTO] PARTITION BY``."""
    if reader.take("RANGE"):
        kind = "RANGE"
    elif reader.take("LIST"):
        kind = "LIST"
    else:
        # old statements leave the word out for automatic list partitions
        kind = "LIST"
        if not reader.sees("("):
            reader.fail("RANGE or LIST")
    begin = reader.at + 1
    inner = reader.parenthesized()
    source = reader.source(begin, begin + len(inner))
    if any(token.kind is TokenKind.SYMBOL and token.text == "(" for token in inner):
        # the function's own name stands in front of the first parenthesis
        columns = tuple(token.text for token in inner[1:] if token.is_name)[:1]
        if not columns:
            raise SyntaxFault(f"partition expression {source} names no column")
        return PartitionBy(kind=kind, columns=columns, auto_expression=source)
    names = tuple(token.text for token in inner if token.is_name)
    return PartitionBy(kind=kind, columns=names, auto_expression=source if auto else None)


def partition_list(reader: Reader) -> tuple[PartitionSpec, ...]:
    """``(PARTITION ..., PARTITION ...)``, which may be empty."""
    found: list[PartitionSpec] = []
    reader.expect("(")
    if reader.take(")"):
        return ()
    while True:
        if reader.sees("FROM"):
            found += _steps(reader)
        else:
            found.append(partition(reader))
        if not reader.take(","):
            break
    reader.expect(")")
    return tuple(found)


def partition(reader: Reader) -> PartitionSpec:
    """``PARTITION [IF NOT EXISTS] name [VALUES ...]``."""
    reader.expect("PARTITION")
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    name = reader.name()
    less_than = lower = upper = None
    values: tuple[tuple[str | None, ...], ...] | None = None
    if reader.take("VALUES"):
        if reader.take("LESS", "THAN"):
            less_than = (None,) if reader.take("MAXVALUE") else _tuple(reader)
        elif reader.take("IN"):
            values = _list_values(reader)
        else:
            reader.expect("[")
            lower = _tuple(reader)
            reader.expect(",")
            upper = _tuple(reader)
            reader.expect(")")
    if reader.sees("("):
        # properties of one partition (medium, cooldown) have no meaning here
        reader.parenthesized()
    return PartitionSpec(
        name=name,
        less_than=less_than,
        lower=lower,
        upper=upper,
        values=values,
        if_not_exists=if_not_exists,
    )


def _value(reader: Reader) -> str | None:
    """One bound; None for MAXVALUE and for NULL."""
    if reader.take("MAXVALUE") or reader.take("NULL"):
        return None
    sign = "-" if reader.take("-") else ""
    token = reader.next()
    if token.kind not in (TokenKind.STRING, TokenKind.NUMBER, TokenKind.WORD):
        reader.at -= 1
        reader.fail("a partition value")
    return sign + token.text


def _tuple(reader: Reader) -> tuple[str | None, ...]:
    reader.expect("(")
    found = [_value(reader)]
    while reader.take(","):
        found.append(_value(reader))
    reader.expect(")")
    return tuple(found)


def _list_values(reader: Reader) -> tuple[tuple[str | None, ...], ...]:
    if not reader.sees("(", "("):
        return tuple((value,) for value in _tuple(reader))
    reader.expect("(")
    found = [_tuple(reader)]
    while reader.take(","):
        found.append(_tuple(reader))
    reader.expect(")")
    return tuple(found)


def _steps(reader: Reader) -> Iterator[PartitionSpec]:
    """``FROM (a) TO (b) INTERVAL n UNIT``: one partition each step."""
    reader.expect("FROM")
    begin = _tuple(reader)[0]
    reader.expect("TO")
    end = _tuple(reader)[0]
    reader.expect("INTERVAL")
    width = reader.integer()
    unit = reader.next().upper if reader.peek().kind is TokenKind.WORD else ""
    if begin is None or end is None or width < 1:
        raise SyntaxFault("a step partition needs two bounds and a positive interval")
    bounds = list(_dates(begin, end, width, unit) if unit else _numbers(begin, end, width))
    for lower, upper in itertools.pairwise(bounds):
        name = "p_" + lower.replace("-", "").replace(" ", "").replace(":", "")
        yield PartitionSpec(name=name, lower=(lower,), upper=(upper,))


def _numbers(begin: str, end: str, width: int) -> Iterator[str]:
    for number in range(int(begin), int(end), width):
        yield str(number)
    yield end


def _dates(begin: str, end: str, width: int, unit: str) -> Iterator[str]:
    day = datetime.date.fromisoformat(begin[:10])
    last = datetime.date.fromisoformat(end[:10])
    for _ in range(_MAX_PARTITIONS):
        if day >= last:
            break
        yield day.isoformat()
        day = _next(day, width, unit)
    yield last.isoformat()


def _next(day: datetime.date, width: int, unit: str) -> datetime.date:
    if unit in ("DAY", "WEEK"):
        return day + datetime.timedelta(days=width * (7 if unit == "WEEK" else 1))
    if unit == "MONTH":
        months = day.year * 12 + day.month - 1 + width
        return day.replace(year=months // 12, month=months % 12 + 1)
    if unit == "YEAR":
        return day.replace(year=day.year + width)
    raise Unsupported(f"partition steps of {unit}")
