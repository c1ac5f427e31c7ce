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
"""How Doris types are named in the column definitions of a MySQL result."""

from __future__ import annotations

from beam_doris.emulator.mysql.packets import CHARSET_BINARY, CHARSET_UTF8, ColumnDefinition
from beam_doris.emulator.types import DorisType, Kind

FLAG_BINARY = 0x0080

# type code, display length; a length of 0 is taken from the type
_CODES: dict[Kind, tuple[int, int]] = {
    Kind.BOOLEAN: (0x01, 1),
    Kind.TINYINT: (0x01, 4),
    Kind.SMALLINT: (0x02, 6),
    Kind.INT: (0x03, 11),
    Kind.BIGINT: (0x08, 20),
    # clients have no 128-bit integer: it travels as text
    Kind.LARGEINT: (0xFE, 40),
    Kind.FLOAT: (0x04, 12),
    Kind.DOUBLE: (0x05, 22),
    Kind.DECIMAL: (0xF6, 0),
    Kind.DECIMALV2: (0xF6, 0),
    Kind.DATE: (0x0A, 10),
    Kind.DATETIME: (0x0C, 19),
    Kind.CHAR: (0xFE, 0),
    Kind.VARCHAR: (0xFD, 0),
    Kind.STRING: (0xFD, 0),
    Kind.IPV4: (0xFD, 15),
    Kind.IPV6: (0xFD, 39),
    Kind.NULL: (0x06, 0),
}

_NUMBERS = (
    Kind.BOOLEAN,
    Kind.TINYINT,
    Kind.SMALLINT,
    Kind.INT,
    Kind.BIGINT,
    Kind.FLOAT,
    Kind.DOUBLE,
    Kind.DECIMAL,
    Kind.DECIMALV2,
    Kind.DATE,
    Kind.DATETIME,
)
_LONGEST = 1_048_576


def definition(name: str, kind: DorisType) -> ColumnDefinition:
    """The definition of one result column."""
    code, length = _CODES.get(kind.kind, (0xFE, _LONGEST))
    decimals = 0
    if kind.kind in (Kind.DECIMAL, Kind.DECIMALV2):
        decimals = kind.scale
        length = kind.precision + 2
    elif kind.kind is Kind.DATETIME:
        decimals = kind.scale
        length = 19 + (kind.scale + 1 if kind.scale else 0)
    elif kind.kind in (Kind.FLOAT, Kind.DOUBLE):
        # 31 says "as many digits as needed"
        decimals = 31
    elif kind.kind in (Kind.CHAR, Kind.VARCHAR):
        length = kind.length * 4 or _LONGEST
    elif kind.kind is Kind.STRING:
        length = _LONGEST
    numeric = kind.kind in _NUMBERS
    return ColumnDefinition(
        name=name,
        type_code=code,
        length=length,
        decimals=decimals,
        charset=CHARSET_BINARY if numeric else CHARSET_UTF8,
        flags=FLAG_BINARY if numeric else 0,
    )
