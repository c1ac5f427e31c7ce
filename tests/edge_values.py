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
"""Values at the edges of every Doris type, shared by the round-trip tests."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

MEBIBYTE = 1024 * 1024
NASTY_TEXTS: tuple[str, ...] = (
    "",
    " ",
    " leading and trailing ",
    "\\N",
    "N",
    "\\",
    "\\\\N",
    "null",
    "NULL",
    "a,b\tc\nd\re\r\nf",
    "\r",
    "\n",
    "'single' \"double\" `back`",
    '"',
    "'",
    "'x'",
    '"x"',
    "\\'",
    '{"a": [1, "\\u0041"]}',
    "[1,2]",
    "\x01",
    "\x02",
    "x\x01\x02\x03\x04\x05\x06y",
    "\x1d\x1e\x1f\x03",
    "\ufeffmark",
    "zoë 中文 \U0001f600 e\u0301",
    "\u2028\u2029\u0085",
    "%s %d {} $x ${x}",
)

EDGE_VALUES: dict[str, tuple[Any, ...]] = {
    "BOOLEAN": (None, True, False),
    "TINYINT": (None, -128, 127, 0, -1),
    "SMALLINT": (None, -32768, 32767, 0),
    "INT": (None, -(2**31), 2**31 - 1, 0),
    "BIGINT": (None, -(2**63), 2**63 - 1, 0, 2**53, 2**53 + 1, -(2**53) - 1),
    "LARGEINT": (None, -(2**127), 2**127 - 1, 0, 2**64, -1, 2**63),
    "FLOAT": (None, 0.0, -0.0, 1.5, -2.25, 3.4028234663852886e38, 1.401298464324817e-45),
    "DOUBLE": (None, 0.0, -0.0, 0.1, 1.7976931348623157e308, 5e-324, -1e-7, 1e22, 1 / 3),
    "DECIMAL(9, 2)": (None, Decimal("9999999.99"), Decimal("-9999999.99"), Decimal("0.00")),
    "DECIMAL(18, 10)": (None, Decimal("0.0000000001"), Decimal("-12345678.0123456789")),
    "DECIMAL(38, 38)": (None, Decimal("0." + "9" * 38), Decimal("-0." + "0" * 37 + "1")),
    "DECIMAL(38, 0)": (None, Decimal("9" * 38), Decimal("-" + "9" * 38), Decimal(0)),
    "DECIMAL(76, 30)": (None, Decimal("9" * 46 + "." + "9" * 30), Decimal("-0." + "0" * 29 + "1")),
    "DECIMALV2(27, 9)": (None, Decimal("9" * 18 + "." + "9" * 9), Decimal("-0.000000001")),
    "DATE": (
        None,
        "0000-01-01",
        datetime.date(1, 1, 1),
        datetime.date(9999, 12, 31),
        datetime.date(2024, 2, 29),
    ),
    "DATETIME": (
        None,
        "0000-01-01 00:00:00.000000",
        datetime.datetime(9999, 12, 31, 23, 59, 59),
        datetime.datetime(1970, 1, 1),
    ),
    "DATETIME(3)": (None, datetime.datetime(2024, 2, 29, 1, 2, 3, 4000)),
    "DATETIME(6)": (
        None,
        "0000-01-01 00:00:00.000001",
        datetime.datetime(1, 1, 1, 0, 0, 0, 1),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
    ),
    "CHAR(10)": (None, "", "abc", "中文"),
    "VARCHAR(200)": (None, *NASTY_TEXTS),
    "STRING": (None, *NASTY_TEXTS, "x" * MEBIBYTE, "\U0001f600" * 1000),
    "JSON": (None, '{"a":1}', "[1,2,null]", '"text"', "1", "true", '{"k":"\\\\N \\"q\\" \\n"}'),
    "VARIANT": (None, '{"a":1,"b":[1,2]}', "[1,2]"),
    "IPV4": (None, "0.0.0.0", "255.255.255.255", "127.0.0.1", "128.0.0.1"),
    "IPV6": (
        None,
        "::",
        "::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::8a2e:370:7334",
    ),
    "ARRAY<INT>": (None, [], [None], [1, None, -(2**31)]),
    "ARRAY<STRING>": (None, [], ["", "a,b", 'q"q', "back\\slash", "[x]", "null", None]),
    "ARRAY<BIGINT>": (None, [2**63 - 1, -(2**53) - 1]),
    "ARRAY<DOUBLE>": (None, [0.1, -0.0, 1e300]),
    "ARRAY<DATE>": (None, [datetime.date(2024, 2, 29), None]),
    "ARRAY<DATETIME(6)>": (None, [datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None]),
    "ARRAY<DECIMAL(10, 2)>": (None, [Decimal("1.50"), Decimal("-0.01")]),
    "ARRAY<LARGEINT>": (None, [2**127 - 1, -(2**127)]),
    "ARRAY<ARRAY<INT>>": (None, [[], [1], None, [None]]),
    "MAP<STRING,INT>": (None, {}, {"a": 1, "b,c": None, 'q"': 3}),
    "MAP<INT,STRING>": (None, {1: "x", -5: None}),
    "STRUCT<a:INT,b:STRING>": (None, {"a": 1, "b": "x"}, {"a": None, "b": None}),
    "STRUCT<a:ARRAY<INT>,m:MAP<STRING,DECIMAL(9,2)>>": (
        None,
        {"a": [1, 2], "m": {"k": Decimal("1.25")}},
        {"a": None, "m": {}},
    ),
}
SPECIAL_FLOATS = (float("nan"), float("inf"), float("-inf"))


def same(left: Any, right: Any) -> bool:
    """Equality that also tells -0.0 from 0.0, takes NaN for NaN, and compares types."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, Decimal):
        return bool(left.as_tuple() == right.as_tuple())
    return bool(left == right)
