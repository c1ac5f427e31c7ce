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
"""Where an element goes, in a sink that writes many tables."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from beam_doris.errors import ConfigError, RowEncodingError
from beam_doris.options.table_id import TableId
from beam_doris.write.elements import Form, form_of

# Stands for the table of a sink that has many; no table can be called so in SQL without quotes.
MANY = TableId("*", "*")


@dataclass(frozen=True, slots=True)
class Routed:
    """An element that carries its table: a row or a raw line.

    Args:
        table: `database.table`.
        row: What is to be written there, of any kind that `WriteToDoris` takes.

    Example:
        >>> Routed("test.student_1", "1,David,18")
        Routed(table='test.student_1', row='1,David,18')
    """

    table: str | TableId
    row: Any


@dataclass(frozen=True, slots=True)
class ByElement:
    """Elements are `Routed`."""

    def route(self, element: Any, columns: tuple[str, ...] | None) -> tuple[Any, Any]:  # noqa: ARG002
        """The table and the row."""
        if not isinstance(element, Routed):
            raise RowEncodingError(
                f"a {type(element).__name__} carries no table",
                hint="write Routed(table, row), or pass table=",
            )
        return element.table, element.row


@dataclass(frozen=True, slots=True)
class ByCallable:
    """A function tells.

    Args:
        table_of: Takes an element and returns the name of its table.
    """

    table_of: Callable[[Any], Any]

    def route(self, element: Any, columns: tuple[str, ...] | None) -> tuple[Any, Any]:  # noqa: ARG002
        """The table and the row."""
        return self.table_of(element), element


@dataclass(frozen=True, slots=True)
class ByTemplate:
    """Fields of the element are put into a name.

    Args:
        database: With fields in braces.
        table: With fields in braces.
        fields: Their names.
    """

    database: str
    table: str
    fields: tuple[str, ...]

    @staticmethod
    def parse(text: str) -> ByTemplate:
        """Reads a template such as `sales.orders_{country}`.

        Raises:
            ConfigError: it is none.
        """
        fields = []
        try:
            for _, name, spec, conversion in string.Formatter().parse(text):
                if name is None:
                    continue
                if not name.isidentifier() or spec or conversion:
                    raise ConfigError(f"table {text!r}: {{{name}}} is not the name of a field")
                fields.append(name)
        except ValueError as error:
            raise ConfigError(f"table {text!r} is no template: {error}") from None
        # a dot of a value never tells database and table apart
        whole = TableId.parse(text)
        if not whole.is_internal:
            raise ConfigError(f"table {text!r}: loads go to the internal catalog only")
        return ByTemplate(whole.database, whole.table, tuple(dict.fromkeys(fields)))

    def route(self, element: Any, columns: tuple[str, ...] | None) -> tuple[Any, Any]:
        """The table and the row."""
        values = self._values(element, columns)
        table = TableId(self.database.format(**values), self.table.format(**values))
        return table, element

    def _values(self, element: Any, columns: tuple[str, ...] | None) -> Mapping[str, Any]:
        form = form_of(element)
        if form is Form.DICT:
            given: Mapping[str, Any] = element
        elif form is Form.NAMED:
            given = element.as_dict() if hasattr(element, "as_dict") else element._asdict()
        elif form is Form.TUPLE and columns is not None:
            given = dict(zip(columns, element, strict=False))
        else:
            raise RowEncodingError(
                f"a {type(element).__name__} has no fields for the table's name",
                hint="pass a callable as table=, or write Routed(table, row)",
            )
        values = {name: given.get(name) for name in self.fields}
        for name, value in values.items():
            if value is None or value == "":
                raise RowEncodingError(
                    "is missing, and the name of the table is made of it", column=name
                )
        return values


Destinations: TypeAlias = ByElement | ByCallable | ByTemplate


def destinations_of(table: object) -> Destinations | None:
    """How a sink's `table` tells the tables of its elements; None for the name of one table.

    Raises:
        ConfigError: it is neither.
    """
    if table is None:
        return ByElement()
    if isinstance(table, str):
        return ByTemplate.parse(table) if "{" in table or "}" in table else None
    if isinstance(table, TableId):
        return None
    if callable(table):
        return ByCallable(table)
    raise ConfigError(f"a table is named by a str, a callable, or None, not {table!r}")


def route(
    destinations: Destinations, element: Any, columns: tuple[str, ...] | None
) -> tuple[TableId, Any]:
    """The table of an element, and the row.

    Raises:
        RowEncodingError: it goes to no table.
    """
    named, row = destinations.route(element, columns)
    try:
        table = TableId.parse(named)
    except ConfigError as error:
        raise RowEncodingError(f"goes to no table: {error.problems[0]}") from None
    if not table.is_internal:
        raise RowEncodingError("goes to another catalog; loads go to the internal one only")
    return table, row
