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
"""What the backends send for each Doris type, by server generation (P 5.5)."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from beam_doris.emulator.profile import PROFILES
from beam_doris.emulator.types import parse_type
from beam_doris.emulator.wire_arrow import UnreadableType, WireColumn, WireEncoder, WireForms

NEW = WireForms.of(PROFILES["4.0"].arrow)
ZONED = WireForms.of(PROFILES["3.0"].arrow, "Asia/Shanghai")
MICRO = WireForms.of(PROFILES["2.1"].arrow, "Asia/Shanghai")
OLD = WireForms.of(PROFILES["2.0"].arrow)

BIG = 2**127 - 1
LOOPBACK6 = "1"


def encode(text: str, values: list[Any], physical: pa.DataType, forms: WireForms) -> pa.Array:
    encoder = WireEncoder([WireColumn(name="c", type=parse_type(text))], forms)
    batch = pa.record_batch([pa.array(values, physical)], names=["c"])
    return encoder.encode(batch).column(0)


@pytest.mark.parametrize(
    ("text", "physical", "values", "forms", "wire", "expected"),
    [
        ("INT", pa.int32(), [1, None], NEW, pa.int32(), [1, None]),
        ("BIGINT", pa.int64(), [2**63 - 1], NEW, pa.int64(), [2**63 - 1]),
        ("BIGINT", pa.decimal128(38, 0), [Decimal(7)], NEW, pa.int64(), [7]),
        ("LARGEINT", pa.utf8(), [str(BIG), None], NEW, pa.utf8(), [str(BIG), None]),
        (
            "LARGEINT",
            pa.utf8(),
            [str(-BIG - 1), "258", None],
            OLD,
            pa.binary(16),
            [b"\0" * 15 + b"\x80", b"\x02\x01" + b"\0" * 14, None],
        ),
        ("IPV4", pa.uint32(), [2**32 - 1, 1, None], NEW, pa.int32(), [-1, 1, None]),
        ("IPV4", pa.uint32(), [2**32 - 1, None], OLD, pa.uint32(), [2**32 - 1, None]),
        ("IPV6", pa.utf8(), [LOOPBACK6, None], NEW, pa.utf8(), ["::1", None]),
        ("IPV6", pa.utf8(), [LOOPBACK6, None], OLD, pa.utf8(), ["1", None]),
        ("DATE", pa.date32(), [date(2024, 2, 29)], NEW, pa.date32(), [date(2024, 2, 29)]),
        ("DATE", pa.date32(), [date(2024, 2, 29), None], OLD, pa.utf8(), ["2024-02-29", None]),
        ("DECIMAL(9,2)", pa.decimal128(9, 2), [Decimal("1.20")], NEW, None, [Decimal("1.20")]),
        (
            "DECIMAL(50,3)",
            pa.utf8(),
            ["9" * 47 + ".125", None],
            NEW,
            pa.decimal256(50, 3),
            [Decimal("9" * 47 + ".125"), None],
        ),
        ("JSON", pa.utf8(), ['{"a":1}'], NEW, pa.utf8(), ['{"a":1}']),
        ("BITMAP", pa.list_(pa.uint64()), [[1], None], NEW, pa.binary(), [b"\1" + b"\0" * 7, None]),
    ],
)
def test_scalar_forms(
    text: str,
    physical: pa.DataType,
    values: list[Any],
    forms: WireForms,
    wire: pa.DataType | None,
    expected: list[Any],
) -> None:
    array = encode(text, values, physical, forms)
    assert array.type == (wire or physical)
    assert array.to_pylist() == expected


@pytest.mark.parametrize(
    ("text", "unit"), [("DATETIME", "s"), ("DATETIME(3)", "ms"), ("DATETIME(6)", "us")]
)
def test_datetime_unit_follows_the_scale(text: str, unit: str) -> None:
    value = datetime(2024, 7, 19, 12)
    array = encode(text, [value, None], pa.timestamp("us"), NEW)
    assert array.type == pa.timestamp(unit)
    assert array.to_pylist() == [value, None]


def test_zoned_datetime_is_the_instant_of_the_wall_clock() -> None:
    array = encode("DATETIME(3)", [datetime(2024, 7, 19, 12)], pa.timestamp("ms"), ZONED)
    assert array.type == pa.timestamp("ms", "Asia/Shanghai")
    assert array[0].as_py() == datetime(2024, 7, 19, 4, tzinfo=timezone.utc)


def test_zoned_microseconds_whatever_the_scale() -> None:
    array = encode("DATETIME", [datetime(2024, 7, 19, 12)], pa.timestamp("s"), MICRO)
    assert array.type == pa.timestamp("us", "Asia/Shanghai")


def test_old_datetime_is_text_with_the_digits_of_the_scale() -> None:
    value = [datetime(2024, 7, 19, 12, 0, 1, 120000), None]
    assert encode("DATETIME(2)", value, pa.timestamp("ms"), OLD).to_pylist() == [
        "2024-07-19 12:00:01.12",
        None,
    ]
    assert encode("DATETIME", value[1:], pa.timestamp("s"), OLD).to_pylist() == [None]


def test_nested_columns_are_converted_inside() -> None:
    text = "STRUCT<a:ARRAY<LARGEINT>,m:MAP<STRING,IPV4>>"
    physical = pa.struct([("a", pa.list_(pa.utf8())), ("m", pa.map_(pa.utf8(), pa.uint32()))])
    values: list[Any] = [
        {"a": ["5", None], "m": [("x", 2**32 - 1)]},
        {"a": None, "m": None},
        None,
    ]
    encoder = WireEncoder([WireColumn(name="c", type=parse_type(text))], OLD)
    sliced = pa.record_batch([pa.array([None, *values], physical)], names=["c"]).slice(1)
    array = encoder.encode(sliced).column(0)
    assert array.to_pylist() == [
        {"a": [b"\5" + b"\0" * 15, None], "m": [("x", 2**32 - 1)]},
        {"a": None, "m": None},
        None,
    ]
    assert array.type.field("a").type.value_field.nullable


def test_addresses_say_what_they_are() -> None:
    columns = [WireColumn(name=name, type=parse_type(name)) for name in ("IPV4", "IPV6", "INT")]
    schema = WireEncoder(columns, NEW).schema
    assert [field.metadata for field in schema] == [
        {b"doris_type": b"IPV4"},
        {b"doris_type": b"IPV6"},
        None,
    ]


@pytest.mark.parametrize("text", ["BITMAP", "HLL", "DECIMAL(50,3)"])
def test_old_servers_cannot_send_objects_and_wide_decimals(text: str) -> None:
    with pytest.raises(UnreadableType):
        WireEncoder([WireColumn(name="c", type=parse_type(text))], OLD)
