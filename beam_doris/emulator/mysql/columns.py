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

# type code, display length (PrimitiveType.toMysqlType, MysqlSerializer.getMysqlTypeLength)
_CODES: dict[Kind, tuple[int, int]] = {
    Kind.BOOLEAN: (0x01, 1),
    Kind.TINYINT: (0x01, 4),
    Kind.SMALLINT: (0x02, 6),
    Kind.INT: (0x03, 11),
    Kind.BIGINT: (0x08, 20),
    Kind.FLOAT: (0x04, 12),
    Kind.DOUBLE: (0x05, 22),
    Kind.DECIMAL: (0xF6, 0),
    Kind.DECIMALV2: (0xF6, 0),
    Kind.DATE: (0x0A, 10),
    Kind.DATETIME: (0x0C, 19),
}
_NUMBERS = frozenset(_CODES)
_TEXT_CODES: dict[Kind, int] = {Kind.STRING: 0xFC, Kind.JSON: 0xF5, Kind.VARIANT: 0xF5}
#: everything else travels as text, LARGEINT too: clients have no 128-bit integer
_TEXT = 0xFE
#: Doris tells no text's real length
_TEXT_LENGTH = 255


def definition(name: str, kind: DorisType) -> ColumnDefinition:
    """The definition of one result column.

    Doris never sets a flag. Connector/J takes a TINYINT(1) with the flag of binary data for bytes
    instead of a boolean.
    """
    code, length = _CODES.get(kind.kind, (_TEXT_CODES.get(kind.kind, _TEXT), _TEXT_LENGTH))
    decimals = 0
    if kind.kind in (Kind.DECIMAL, Kind.DECIMALV2):
        decimals = kind.scale
        length = kind.precision + (2 if kind.scale else 1)
    elif kind.kind is Kind.DATETIME:
        decimals = kind.scale
    elif kind.kind in (Kind.FLOAT, Kind.DOUBLE):
        # 31 says "as many digits as needed"
        decimals = 31
    return ColumnDefinition(
        name=name,
        type_code=code,
        length=length,
        decimals=decimals,
        charset=CHARSET_BINARY if kind.kind in _NUMBERS else CHARSET_UTF8,
        flags=0,
    )
