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
"""What texts become in a column (P 4.2, 13)."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from beam_doris.emulator.load.convert import convert
from beam_doris.emulator.load.scalars import days_from_civil
from beam_doris.emulator.types import parse_type

BAD = object()


def converted(kind: str, cells: list[Any]) -> list[Any]:
    """Cells of a converted column; BAD where a cell was lost."""
    done = convert(pa.array(cells, pa.string()), parse_type(kind))
    bad = [False] * len(cells) if done.bad is None else done.bad.tolist()
    values = done.array
    if pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return [BAD if lost else cell for lost, cell in zip(bad, values.to_pylist(), strict=True)]


@pytest.mark.parametrize(
    ("kind", "cells", "wanted"),
    [
        ("TINYINT", ["127", "-128", "128", "x", None, ""], [127, -128, BAD, BAD, None, BAD]),
        ("INT", [" 7 ", "+7", "1.9", "0x10", "1_0", "1e2"], [7, 7, 1, BAD, BAD, BAD]),
        ("BIGINT", ["9223372036854775807", "9223372036854775808"], [2**63 - 1, BAD]),
        (
            "LARGEINT",
            ["170141183460469231731687303715884105727", "170141183460469231731687303715884105728"],
            ["170141183460469231731687303715884105727", BAD],
        ),
        ("BOOLEAN", ["1", "TRUE", "0", "false", "yes"], [True, True, False, False, BAD]),
        ("DOUBLE", ["1.5", "1e3", "NA", ".5", "-inf"], [1.5, 1000.0, BAD, 0.5, float("-inf")]),
        ("DECIMAL(6,2)", ["1.005", "-1.005"], [Decimal("1.01"), Decimal("-1.01")]),
        ("DECIMAL(6,2)", ["9999.99", "9999.995", "x"], [Decimal("9999.99"), BAD, BAD]),
        ("DECIMAL(50,3)", ["1.5", "-0"], ["1.500", "0.000"]),
        ("IPV4", ["1.2.3.4", "1.2.3"], [0x01020304, BAD]),
        ("IPV6", ["::2", "fe80::zz"], ["2", BAD]),
        ("JSON", ['{"a": 1, "b" : [ ]}', "{"], ['{"a":1,"b":[]}', BAD]),
        ("JSON", ["[12345678901234567890123]"], ["[12345678901234567890123]"]),
        ("VARIANT", ["no json"], ['"no json"']),
        ("ARRAY<INT>", ["[1, null,x]", "[]", "[1", "null"], [[1, None, None], [], BAD, BAD]),
        ("MAP<STRING,INT>", ['{"a":1,b:2}'], [[("a", 1), ("b", 2)]]),
        (
            "STRUCT<a:INT,b:STRING>",
            ['{"b":"x","a":1}', '{2,"y"}'],
            [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        ),
    ],
)
def test_texts_become_values(kind: str, cells: list[Any], wanted: list[Any]) -> None:
    assert converted(kind, cells) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2024-02-29", datetime.date(2024, 2, 29)),
        ("20240229", datetime.date(2024, 2, 29)),
        ("24-2-9", datetime.date(2024, 2, 9)),
        ("2024/02/29 10:11:12", datetime.date(2024, 2, 29)),
        ("2023-02-29", None),
        ("2024-02-31x", None),
    ],
)
def test_dates_are_read_in_doris_forms(text: str, wanted: datetime.date | None) -> None:
    (cell,) = converted("DATE", [text])
    assert cell == (BAD if wanted is None else (wanted - datetime.date(1970, 1, 1)).days)


def test_the_calendar_begins_with_the_year_zero() -> None:
    assert converted("DATE", ["0000-01-01"]) == [days_from_civil(0, 1, 1)] == [-719528]


@pytest.mark.parametrize(
    ("kind", "text", "micros"),
    [
        ("DATETIME(6)", "1970-01-01 00:00:00.0000015", 2),
        ("DATETIME(3)", "1970-01-01 00:00:00.1235", 124),
        ("DATETIME", "1970-01-01 00:00:00.5", 1),
        ("DATETIME(6)", "1970-01-01T08:00:00+08:00", 0),
        ("DATETIME(6)", "9999-12-31 23:59:59.999999", 253402300799999999),
    ],
)
def test_datetimes_are_rounded_to_their_scale(kind: str, text: str, micros: int) -> None:
    assert converted(kind, [text]) == [micros]


def test_a_datetime_that_rounds_beyond_the_calendar_is_bad() -> None:
    assert converted("DATETIME", ["9999-12-31 23:59:59.9"]) == [BAD]


@pytest.mark.parametrize(
    "kind", ["INT", "DOUBLE", "DATE", "DATETIME(3)", "DECIMAL(9,3)", "BOOLEAN"]
)
def test_a_column_with_one_odd_cell_gives_the_others_as_without_it(kind: str) -> None:
    clean = {
        "INT": "12",
        "DOUBLE": "1.25",
        "DATE": "2024-05-06",
        "DATETIME(3)": "2024-05-06 07:08:09.123",
        "DECIMAL(9,3)": "1.125",
        "BOOLEAN": "true",
    }[kind]
    alone = converted(kind, [clean, None, clean])
    assert converted(kind, [clean, None, clean, "odd"]) == [*alone, BAD]
