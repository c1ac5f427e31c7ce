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
"""What clients that others wrote need of the MySQL port (found by tests/interop; P 8)."""

from __future__ import annotations

from beam_doris.emulator.mysql.columns import definition
from beam_doris.emulator.mysql.packets import ok_packet
from beam_doris.emulator.sql.variables import Variables
from beam_doris.emulator.types import parse_type


def test_info_of_an_ok_packet_is_length_encoded() -> None:
    """libmariadb refuses a text that runs to the end of the packet as malformed."""
    assert ok_packet(2, 0x0002, "hi") == b"\x00\x02\x00\x02\x00\x00\x00\x02hi"


def test_an_ok_packet_without_info_ends_early_unless_eof_is_deprecated() -> None:
    assert ok_packet(0, 0x0002) == b"\x00\x00\x00\x02\x00\x00\x00"
    assert ok_packet(0, 0x0002, deprecate_eof=True) == b"\x00\x00\x00\x02\x00\x00\x00\x00"


def test_a_boolean_column_is_a_tinyint_of_width_one_without_flags() -> None:
    """With the flag of binary data Connector/J returns bytes instead of a boolean."""
    column = definition("b", parse_type("BOOLEAN"))
    assert (column.type_code, column.length, column.flags) == (0x01, 1, 0)


def test_text_types_have_the_codes_of_doris() -> None:
    codes = {
        text: definition("c", parse_type(text)).type_code
        for text in ("CHAR(4)", "VARCHAR(9)", "STRING", "JSON", "VARIANT", "LARGEINT", "IPV4")
    }
    assert codes == {
        "CHAR(4)": 0xFE,
        "VARCHAR(9)": 0xFE,
        "STRING": 0xFC,
        "JSON": 0xF5,
        "VARIANT": 0xF5,
        "LARGEINT": 0xFE,
        "IPV4": 0xFE,
    }


def test_read_only_variables_are_booleans() -> None:
    """Connector/J parses the value as a number before each update."""
    for name in ("tx_read_only", "transaction_read_only"):
        assert Variables().get(name) == "false"
