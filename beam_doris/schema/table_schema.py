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
"""A table as the connector sees it: its model and its columns."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from beam_doris.errors import ConfigError, NotFoundError
from beam_doris.options.table_id import TableId
from beam_doris.schema.types import DorisType, parse_type

DELETE_SIGN = "__DORIS_DELETE_SIGN__"
SEQUENCE_COLUMN = "__DORIS_SEQUENCE_COL__"
HIDDEN_COLUMNS = frozenset({DELETE_SIGN, SEQUENCE_COLUMN})


class TableModel(enum.Enum):
    """How rows of equal keys are treated."""

    DUPLICATE = "DUP_KEYS"
    UNIQUE = "UNIQUE_KEYS"
    AGGREGATE = "AGG_KEYS"
    UNKNOWN = ""
    """Views and external tables tell none."""

    @staticmethod
    def parse(text: str | None) -> TableModel:
        """Reads `keysType` of `_schema`, whose absence means a table without keys."""
        spelled = (text or "").upper().replace("PRIMARY_KEYS", "UNIQUE_KEYS")
        try:
            return TableModel(spelled)
        except ValueError:
            return TableModel.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Args:
        name: As the table spells it.
        type: Its type.
        nullable: Whether NULL is allowed; True where the server did not tell.
        key: Whether it belongs to the key; None where the server did not tell.
        aggregation: SUM, REPLACE, ... of a value column; None without.
        default: The default's text; None when there is none.
        comment: The comment.
        generated: The expression of a generated column.
        auto_increment: Whether the server numbers it.
    """

    name: str
    type: DorisType
    nullable: bool = True
    key: bool | None = None
    aggregation: str | None = None
    default: str | None = None
    comment: str = ""
    generated: str | None = None
    auto_increment: bool = False

    @property
    def may_be_left_out(self) -> bool:
        """Whether a load may leave the column out: the server fills it."""
        return (
            self.nullable
            or self.default is not None
            or self.generated is not None
            or self.auto_increment
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """A table's model and columns, in table order.

    Example:
        >>> schema.column("ID").type.sql()
        'INT'
    """

    table: TableId
    model: TableModel = TableModel.UNKNOWN
    columns: tuple[Column, ...]
    properties: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What SHOW CREATE TABLE tells behind PROPERTIES; empty where it could not be had."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        seen: set[str] = set()
        for column in self.columns:
            if column.name.lower() in seen:
                raise ConfigError(f"column {column.name!r} occurs twice", table=self.table)
            seen.add(column.name.lower())

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in table order."""
        return tuple(column.name for column in self.columns)

    @property
    def keys(self) -> tuple[Column, ...]:
        """The key columns that the server told."""
        return tuple(column for column in self.columns if column.key)

    @property
    def sequence_column(self) -> str | None:
        """The column that decides between rows of equal keys."""
        return self.properties.get("function_column.sequence_col")

    @property
    def sequence_type(self) -> DorisType | None:
        """The type of the hidden column that decides between rows of equal keys."""
        text = self.properties.get("function_column.sequence_type")
        return None if text is None else parse_type(text)

    @property
    def merge_on_write(self) -> bool | None:
        """Whether rows of equal keys are merged when they are written; None when not told."""
        if self.model not in (TableModel.UNIQUE, TableModel.UNKNOWN):
            return False
        text = self.properties.get("enable_unique_key_merge_on_write")
        return None if text is None else text.lower() == "true"

    def find(self, name: str) -> Column | None:
        """The column of that name, in whatever case, as Doris resolves names."""
        lowered = name.lower()
        for column in self.columns:
            if column.name == name:
                return column
        for column in self.columns:
            if column.name.lower() == lowered:
                return column
        return None

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            NotFoundError: there is none; the hint names the nearest.
        """
        found = self.find(name)
        if found is None:
            raise NotFoundError(
                f"there is no column {name!r}",
                table=self.table,
                hint=_nearest_hint(name, self.names),
            )
        return found

    def select(self, names: Iterable[str]) -> TableSchema:
        """The same table with only these columns, in this order.

        Raises:
            ConfigError: unknown or repeated names, all at once.
        """
        wanted = list(names)
        problems = [
            f"there is no column {name!r}; {_nearest_hint(name, self.names)}"
            for name in wanted
            if self.find(name) is None
        ]
        problems += [
            f"column {name!r} is named twice"
            for position, name in enumerate(wanted)
            if name.lower() in {earlier.lower() for earlier in wanted[:position]}
        ]
        if problems:
            raise ConfigError(problems, table=self.table)
        return replace(self, columns=tuple(self.column(name) for name in wanted))

    def write_problems(
        self, names: Sequence[str], *, partial_update: bool = False
    ) -> tuple[str, ...]:
        """What would make the server refuse, or silently misread, a load of these columns.

        Args:
            names: The columns that the rows carry.
            partial_update: Only some value columns are updated; keys must be there all the same.

        Returns:
            All problems, each with what to do; empty when the load may go ahead.
        """
        return (
            *self._name_problems(names),
            *self._filled_by_server_problems(names),
            *self._missing_problems(names, partial_update),
        )

    def _name_problems(self, names: Sequence[str]) -> list[str]:
        problems = []
        seen: dict[str, str] = {}
        for name in names:
            if name.lower() in seen:
                problems.append(f"column {name!r} is given twice (also as {seen[name.lower()]!r})")
                continue
            seen[name.lower()] = name
            if name in HIDDEN_COLUMNS:
                if name == DELETE_SIGN and self.model not in (
                    TableModel.UNIQUE,
                    TableModel.UNKNOWN,
                ):
                    problems.append(f"{DELETE_SIGN} needs a UNIQUE KEY table")
                continue
            column = self.find(name)
            if column is None:
                problems.append(f"unknown column {name!r}; {_nearest_hint(name, self.names)}")
            elif column.name != name:
                # loads match the names of JSON fields by case
                problems.append(
                    f"column {name!r} differs from the table's {column.name!r} only by case; "
                    f"write {column.name!r}"
                )
        return problems

    def _filled_by_server_problems(self, names: Sequence[str]) -> list[str]:
        problems = []
        for name in names:
            column = self.find(name)
            if column is None:
                continue
            if column.generated is not None:
                problems.append(f"column {column.name!r} is generated by the server; leave it out")
            elif column.auto_increment:
                problems.append(
                    f"column {column.name!r} is AUTO_INCREMENT and numbered by the server; "
                    "leave it out"
                )
        return problems

    def _missing_problems(self, names: Sequence[str], partial_update: bool) -> list[str]:
        given = {name.lower() for name in names}
        problems = []
        for column in self.columns:
            if column.name.lower() in given or column.may_be_left_out:
                continue
            if partial_update and not column.key:
                continue
            problems.append(
                f"column {column.name!r} is NOT NULL and has no default; the rows must carry it"
            )
        return problems


def _nearest_hint(name: str, known: Sequence[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    if near:
        return f"did you mean {by_lower[near[0]]!r}?"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"the table has {shown}"
