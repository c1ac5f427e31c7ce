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
"""Names of tables, and their quoting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from beam_doris.errors import ConfigError

INTERNAL_CATALOG = "internal"
_MAX_NAME = 256


def quote(name: str) -> str:
    """An identifier in backticks, with any backtick inside doubled."""
    return "`" + name.replace("`", "``") + "`"


@dataclass(frozen=True, slots=True)
class TableId:
    """A table's full name: `db.table`, or `catalog.db.table` outside the internal catalog.

    Example:
        >>> str(TableId.parse("`my.db`.orders"))
        '`my.db`.orders'
        >>> TableId.parse("hive.sales.orders").catalog
        'hive'
    """

    database: str
    table: str
    catalog: str = INTERNAL_CATALOG

    def __post_init__(self) -> None:
        problems = [
            f"{what} name {problem}"
            for what, name in (
                ("catalog", self.catalog),
                ("database", self.database),
                ("table", self.table),
            )
            for problem in _problems_of(name)
        ]
        if problems:
            raise ConfigError(problems, subject="table identifier")

    @staticmethod
    def parse(text: str | TableId) -> TableId:
        """Reads `db.table` or `catalog.db.table`; parts may stand in backticks.

        Raises:
            ConfigError: the name has no database, too many parts, or unbalanced backticks.
        """
        if isinstance(text, TableId):
            return text
        if not isinstance(text, str):
            raise ConfigError(f"a table name is a str, not {type(text).__name__}")
        parts = _split(text.strip())
        if len(parts) == 2:
            return TableId(parts[0], parts[1])
        if len(parts) == 3:
            return TableId(parts[1], parts[2], parts[0])
        if len(parts) == 1:
            raise ConfigError(
                f"table {text!r} names no database",
                hint="write database.table, such as test.student",
            )
        raise ConfigError(
            f"table {text!r} has {len(parts)} parts",
            hint="write database.table or catalog.database.table; "
            "a name that holds a dot stands in backticks",
        )

    @staticmethod
    def from_properties(properties: Mapping[str, str]) -> TableId:
        """The table of a Flink user's `table.identifier`."""
        text = properties.get("table.identifier", "")
        if not text:
            raise ConfigError("table.identifier is missing", hint="write database.table")
        return TableId.parse(text)

    @property
    def is_internal(self) -> bool:
        """Whether it is a table of Doris itself, not of an external catalog."""
        return self.catalog == INTERNAL_CATALOG

    def sql(self) -> str:
        """The name for SQL text, every part quoted."""
        return ".".join(quote(part) for part in self._parts())

    def __str__(self) -> str:
        return ".".join(
            quote(part) if "." in part or "`" in part else part for part in self._parts()
        )

    def _parts(self) -> tuple[str, ...]:
        internal = (self.database, self.table)
        return internal if self.is_internal else (self.catalog, *internal)


def _problems_of(name: str) -> list[str]:
    if not isinstance(name, str):
        return [f"is a {type(name).__name__}, not a str"]
    if not name or name.isspace():
        return ["is empty"]
    problems = []
    if len(name) > _MAX_NAME:
        problems.append(f"is longer than {_MAX_NAME} characters")
    if any(ord(character) < 0x20 for character in name) or "/" in name:
        problems.append(f"{name!r} holds a character that no name may hold")
    return problems


def _split(text: str) -> list[str]:
    """Splits at dots outside backticks; a doubled backtick inside backticks is one."""
    parts: list[str] = []
    current = ""
    position = 0
    while position < len(text):
        character = text[position]
        if character == "`" and not current:
            end = position + 1
            while True:
                end = text.find("`", end)
                if end < 0:
                    raise ConfigError(f"table {text!r} has an unbalanced backtick")
                if text[end : end + 2] != "``":
                    break
                end += 2
            current = text[position + 1 : end].replace("``", "`")
            position = end + 1
            if position < len(text) and text[position] != ".":
                raise ConfigError(f"table {text!r} has text after a closing backtick")
        elif character == ".":
            parts.append(current)
            current = ""
            position += 1
        else:
            current += character
            position += 1
    parts.append(current)
    return parts
