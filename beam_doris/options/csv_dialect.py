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
"""How values and rows of a CSV body are told apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from beam_doris.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvDialect:
    """How values and rows are told apart.

    Args:
        column_separator: Stands between values.
        line_delimiter: Stands behind every row.
        enclose: Stands around every text; None for a plain dialect.
        escape: Stands before an `enclose` or itself inside an enclosed text.
        fixed: Whether the user chose it, so that there is no other to turn to.
    """

    column_separator: str = "\x01"
    line_delimiter: str = "\x02"
    enclose: str | None = None
    escape: str | None = None
    fixed: bool = False

    def __post_init__(self) -> None:
        problems = []
        if not self.column_separator or not self.line_delimiter:
            problems.append("a separator is empty")
        elif self.column_separator in self.line_delimiter or (
            self.line_delimiter in self.column_separator
        ):
            problems.append("column_separator and line_delimiter: one holds the other")
        for name in ("enclose", "escape"):
            value = getattr(self, name)
            if value is not None and (len(value) != 1 or ord(value) > 127):
                problems.append(f"{name} is not a single ASCII character")
        if problems:
            raise ConfigError(problems, subject="CSV")

    @staticmethod
    def from_properties(properties: Mapping[str, str]) -> CsvDialect | None:
        """The dialect that load properties fix; None where they fix none."""
        names = ("column_separator", "line_delimiter", "enclose", "escape")
        given = {name: decode_escapes(properties[name]) for name in names if name in properties}
        if not given:
            return None
        given.setdefault("column_separator", "\t")
        given.setdefault("line_delimiter", "\n")
        return CsvDialect(**given, fixed=True)

    def headers(self) -> dict[str, str]:
        """The dialect as stream-load headers, control characters as `\\xHH`."""
        headers = {
            "column_separator": _encode_escapes(self.column_separator),
            "line_delimiter": _encode_escapes(self.line_delimiter),
        }
        if self.enclose is not None:
            headers["enclose"] = self.enclose
        if self.escape is not None:
            headers["escape"] = self.escape
        if self.enclose == '"':
            # the server keeps double quotes unless told otherwise
            headers["trim_double_quotes"] = "true"
        return headers


_SHORT_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r"}


def decode_escapes(text: str) -> str:
    """`\\xHH`, `\\n`, `\\t`, `\\r` as the characters they stand for in a header."""
    return re.sub(
        r"\\x([0-9A-Fa-f]{2})|\\[ntr]",
        lambda match: chr(int(match[1], 16)) if match[1] else _SHORT_ESCAPES[match[0]],
        text,
    )


def _encode_escapes(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match[0]):02x}", text)
