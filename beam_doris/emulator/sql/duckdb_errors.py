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
"""DuckDB's errors in the words that Doris uses."""

from __future__ import annotations

import re

import duckdb

from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.tokens import SyntaxFault, Unsupported

_COLUMN = (
    re.compile(r'Referenced column "([^"]+)" not found'),
    re.compile(r'does not have a column named "([^"]+)"'),
    re.compile(r'column "([^"]+)" (?:that exists|does not exist|not found)', re.IGNORECASE),
)
_TABLE = re.compile(r'Referenced table "([^"]+)" not found')
_FUNCTION = re.compile(r"(?:Scalar|Aggregate|Table|Macro) Function with name (\S+) does not exist")
_AMBIGUOUS = re.compile(r'Ambiguous reference to column name "([^"]+)"')


def in_doris_words(error: duckdb.Error) -> EmulatorError:
    """The error that a client gets to see."""
    text = str(error)
    for pattern in _COLUMN:
        found = pattern.search(text)
        if found:
            return EmulatorError(f"Unknown column '{found[1]}' in 'table list'", 1054, "42S22")
    found = _TABLE.search(text)
    if found:
        return EmulatorError(f"Unknown table '{found[1]}' in 'table list'", 1109, "42S02")
    found = _AMBIGUOUS.search(text)
    if found:
        return EmulatorError(f"{found[1]} is ambiguous", 1052, "23000")
    found = _FUNCTION.search(text)
    if found:
        return Unsupported(f"the function {found[1]}")
    first = text.split("\n", 1)[0]
    if isinstance(error, duckdb.ParserException):
        return SyntaxFault(f"Syntax error: {first}")
    return EmulatorError(first)
