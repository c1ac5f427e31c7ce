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
"""The ``columns`` header: fields of the body by position, and columns computed from them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from beam_doris.emulator.load.failure import LoadFailure

_NAME = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^\s`=,()'\"]+))\s*")


@dataclass(frozen=True, kw_only=True)
class ColumnList:
    """Fields in the order of the body, then ``name = expression`` items; empty = not given."""

    fields: tuple[str, ...] = ()
    computed: tuple[tuple[str, str], ...] = ()

    @property
    def given(self) -> bool:
        """Whether the header named anything."""
        return bool(self.fields or self.computed)


def parse_columns(text: str) -> ColumnList:
    """Split ``a, `b`, c = f(a, ',')`` into fields and expressions."""
    fields: list[str] = []
    computed: list[tuple[str, str]] = []
    for item in split_outside(text, ","):
        if not item.strip():
            continue
        found = _NAME.match(item)
        if found is None:
            raise LoadFailure(f"Syntax error in columns: {item.strip()}", "ANALYSIS_ERROR")
        name = (found.group(1) or found.group(2)).replace("``", "`")
        rest = item[found.end() :]
        if not rest:
            fields.append(name)
        elif rest.startswith("=") and rest[1:].strip():
            computed.append((name, rest[1:].strip()))
        else:
            raise LoadFailure(f"Syntax error in columns: {item.strip()}", "ANALYSIS_ERROR")
    return ColumnList(fields=tuple(fields), computed=tuple(computed))


def split_outside(text: str, separator: str) -> list[str]:
    """Split at separators that stand outside of quotes and parentheses."""
    parts, start, depth, quote = [], 0, 0, ""
    at = 0
    while at < len(text):
        letter = text[at]
        if quote:
            if letter == "\\" and quote != "`":
                at += 1
            elif letter == quote:
                quote = ""
        elif letter in "'\"`":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == separator and depth == 0:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    parts.append(text[start:])
    return parts
