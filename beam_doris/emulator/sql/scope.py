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
"""Names that an expression may use, with their Doris types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beam_doris.emulator.types import DorisType

Columns = list[tuple[str, "DorisType | None"]]
META = "doris"


def type_of(node: Any) -> DorisType | None:
    """The Doris type found for a node of a tree, if any."""
    found = node.meta.get(META)
    return found if isinstance(found, DorisType) else None


def typed(node: Any, kind: DorisType | None) -> Any:
    """Note the type on the node."""
    if kind is not None:
        node.meta[META] = kind
    return node


@dataclass(slots=True)
class Scope:
    """The tables of one SELECT and the scope around it."""

    parent: Scope | None = None
    sources: dict[str, Columns | None] = field(default_factory=dict)
    aliases: dict[str, DorisType | None] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Mapping[str, DorisType]) -> Scope:
        return cls(sources={"": list(columns.items())})

    def add(self, alias: str, columns: Columns | None) -> None:
        self.sources[alias.lower()] = columns

    def find(self, table: str, column: str) -> DorisType | None:
        wanted = column.lower()
        for alias, columns in self.sources.items():
            if columns is None or (table and alias != table.lower()):
                continue
            for name, kind in columns:
                if name.lower() == wanted:
                    return kind
        if not table and wanted in self.aliases:
            return self.aliases[wanted]
        return self.parent.find(table, column) if self.parent is not None else None

    def star(self, table: str) -> Columns | None:
        """What ``*`` or ``t.*`` stands for; None when it is not known."""
        found: Columns = []
        for alias, columns in self.sources.items():
            if table and alias != table.lower():
                continue
            if columns is None:
                return None
            found += columns
        return found


def merged(parts: Sequence[Columns | None]) -> Columns | None:
    """Columns of a set operation: the names of the first part, a type where all agree."""
    if any(part is None for part in parts):
        return None
    known = [part for part in parts if part is not None]
    first = known[0]
    if any(len(part) != len(first) for part in known):
        return None
    result: Columns = []
    for index, (name, kind) in enumerate(first):
        same = all(part[index][1] == kind for part in known)
        result.append((name, kind if same else None))
    return result
