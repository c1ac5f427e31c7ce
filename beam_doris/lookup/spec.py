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
"""What a lookup was asked for, as one value that travels to the workers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeVar

from beam_doris.errors import ConfigError
from beam_doris.lookup.keys import KeyForm
from beam_doris.options.connection import DorisConnection
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import Column, TableSchema

_ChoiceT = TypeVar("_ChoiceT", bound="Choice")

PREFIX = "prefix:"


class Choice(enum.Enum):
    """An enumeration whose members can be given by their text."""

    @classmethod
    def parse(cls: type[_ChoiceT], text: object) -> _ChoiceT:
        """The member of that value.

        Raises:
            ConfigError: there is none; the known ones are named.
        """
        for choice in cls:
            if text is choice or text == choice.value:
                return choice
        known = ", ".join(repr(choice.value) for choice in cls)
        raise ConfigError(f"{cls.__name__.lower()} {text!r} is not one of {known}")


class Join(Choice):
    """What becomes of an element that no row matches."""

    LEFT = "left"
    """It goes on, with None in every column that was looked up."""
    INNER = "inner"
    """It is left out."""


class Matches(Choice):
    """What becomes of an element that several rows match."""

    FIRST = "first"
    """It takes the first row in the order of the columns' values, NULL first."""
    ALL = "all"
    """It goes on once for every row."""
    ERROR = "error"
    """It is an error."""


class Cache(Choice):
    """What a worker process keeps."""

    NONE = "none"
    LRU = "lru"
    """The rows that were asked for, for the time to live."""
    FULL = "full"
    """The whole table, loaded again when the time to live has passed."""


class OnError(Choice):
    """What becomes of an element that cannot be looked up."""

    FAIL = "fail"
    """The pipeline fails."""
    DEAD_LETTER = "dead_letter"
    """It leaves by `failed_rows`, with the reason."""


class ClashRule(enum.Enum):
    """What happens when a looked up column has the name of a field of the element."""

    ERROR = "error"
    KEEP_LEFT = "keep_left"
    TAKE_RIGHT = "take_right"
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True)
class OnClash:
    """A clash rule with its argument.

    Args:
        rule: The rule.
        prefix: What stands before the name of every looked up column.
    """

    rule: ClashRule
    prefix: str = ""

    @staticmethod
    def parse(text: object) -> OnClash:
        """Reads `error`, `keep_left`, `take_right` or `prefix:...`.

        Raises:
            ConfigError: it is none of them.
        """
        if isinstance(text, OnClash):
            return text
        if isinstance(text, str):
            if text.startswith(PREFIX) and len(text) > len(PREFIX):
                return OnClash(ClashRule.PREFIX, text[len(PREFIX) :])
            for rule in (ClashRule.ERROR, ClashRule.KEEP_LEFT, ClashRule.TAKE_RIGHT):
                if rule.value == text:
                    return OnClash(rule)
        raise ConfigError(
            f"on_clash {text!r} is not one of 'error', 'keep_left', 'take_right', 'prefix:...'"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupSpec:
    """One lookup.

    Args:
        id: Tells it from others; what a worker process keeps is kept under it.
        connection: The cluster.
        source: The table, or a SELECT.
        fields: The elements' fields that hold the keys.
        key_columns: The columns they are compared with, in the same order.
        columns: The columns that are looked up.
        matches: How many rows of a key are kept.
        cache: What is kept.
        options: Tuning.
        prefix: What stands before the names of the columns in the output.
    """

    id: str
    connection: DorisConnection
    source: TableId | str
    fields: tuple[str, ...]
    key_columns: tuple[Column, ...]
    columns: TableSchema
    matches: Matches
    cache: Cache
    options: LookupOptions
    prefix: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The looked up columns' names in the output."""
        return tuple(self.prefix + name for name in self.columns.names)

    @property
    def keys(self) -> KeyForm:
        """How keys are compared."""
        return KeyForm(self.key_columns)

    @property
    def selected(self) -> tuple[Column, ...]:
        """The columns of the query: those looked up, then the keys that are not among them."""
        names = {column.name for column in self.columns.columns}
        extra = [column for column in self.key_columns if column.name not in names]
        return (*self.columns.columns, *dict.fromkeys(extra))

    @property
    def table(self) -> str:
        """The name of the source in messages."""
        return str(self.source) if isinstance(self.source, TableId) else "the query"
