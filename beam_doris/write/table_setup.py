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
"""What is done to tables before rows are written: created if they are missing, or emptied."""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import apache_beam as beam

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.step_errors import whole
from beam_doris.client.sql import SqlClient
from beam_doris.errors import ConfigError, DorisError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId, quote
from beam_doris.schema.table_schema import TableModel
from beam_doris.write.schemas import TableSchemas

_log = logging.getLogger(__name__)

_KEY_WORDS = {
    TableModel.DUPLICATE: "DUPLICATE",
    TableModel.UNIQUE: "UNIQUE",
    TableModel.AGGREGATE: "AGGREGATE",
}
_PLAIN_TEXT = re.compile(r"[^\"\\\x00-\x1f]*")


class WriteDisposition(enum.Enum):
    """What becomes of rows that are there already."""

    APPEND = "append"
    """They stay."""
    TRUNCATE = "truncate"
    """They are deleted before the first row is written; for bounded input."""

    @staticmethod
    def parse(text: str | WriteDisposition) -> WriteDisposition:
        """Reads the name of a disposition."""
        if isinstance(text, WriteDisposition):
            return text
        for choice in WriteDisposition:
            if choice.value == text:
                return choice
        known = ", ".join(repr(choice.value) for choice in WriteDisposition)
        raise ConfigError(f"write_disposition {text!r} is not one of {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable:
    """How a table is created if it is missing.

    Args:
        columns: Name and definition of each, keys first: `{"id": "INT NOT NULL", "v": "STRING"}`.
        keys: The key columns; the first of all columns by default.
        model: DUPLICATE, UNIQUE or AGGREGATE.
        distributed_by: The columns whose hash decides about the bucket; the keys by default.
        buckets: How many; None leaves it to the server (`AUTO`).
        partition_by: What stands behind PARTITION BY, such as `RANGE(day) (...)`.
        properties: As in CREATE TABLE.
        comment: The table's comment.

    Example:
        >>> orders = CreateTable(columns={"id": "BIGINT NOT NULL", "total": "DECIMAL(12, 2)"},
        ...                      keys=["id"], model="UNIQUE", buckets=8)
    """

    columns: Mapping[str, str] = field(hash=False)
    keys: Sequence[str] = ()
    model: TableModel | str = TableModel.DUPLICATE
    distributed_by: Sequence[str] = ()
    buckets: int | None = None
    partition_by: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict, hash=False)
    comment: str = ""

    def __post_init__(self) -> None:
        problems = []
        if not self.columns:
            problems.append("columns is empty")
        for name in ("keys", "distributed_by"):
            value = getattr(self, name)
            if isinstance(value, str):
                problems.append(f"{name} is a sequence of names, not one text")
                value = (value,)
            object.__setattr__(self, name, tuple(value))
            problems += [
                f"{name}: {column!r} is not among columns"
                for column in value
                if column not in self.columns
            ]
        if not self.keys:
            object.__setattr__(self, "keys", tuple(self.columns)[:1])
        given = self.model.name if isinstance(self.model, TableModel) else str(self.model).upper()
        names = {model.name: model for model in _KEY_WORDS}
        if given not in names:
            problems.append(f"model {self.model!r} is not one of {', '.join(names)}")
        else:
            object.__setattr__(self, "model", names[given])
        if tuple(self.columns)[: len(self.keys)] != tuple(self.keys):
            problems.append("the keys are not the first columns, in the same order")
        if self.buckets is not None and self.buckets <= 0:
            problems.append("buckets is not positive")
        for name, text in (("comment", self.comment), *self.properties.items()):
            if not _PLAIN_TEXT.fullmatch(str(text)):
                problems.append(f"{name} holds a quotation mark, a backslash or a line break")
        if problems:
            raise ConfigError(problems, subject="CreateTable")

    def sql(self, table: TableId) -> str:
        """The statement; it does nothing where the table is there."""
        columns = ", ".join(f"{quote(name)} {kind}" for name, kind in self.columns.items())
        parts = [f"CREATE TABLE IF NOT EXISTS {table.sql()} ({columns})"]
        parts.append(f"{_KEY_WORDS[TableModel(self.model)]} KEY({_names(self.keys)})")
        if self.comment:
            parts.append(f'COMMENT "{self.comment}"')
        if self.partition_by:
            parts.append(f"PARTITION BY {self.partition_by}")
        hashed = self.distributed_by or self.keys
        buckets = "AUTO" if self.buckets is None else str(self.buckets)
        parts.append(f"DISTRIBUTED BY HASH({_names(hashed)}) BUCKETS {buckets}")
        if self.properties:
            listed = ", ".join(f'"{name}" = "{text}"' for name, text in self.properties.items())
            parts.append(f"PROPERTIES ({listed})")
        return " ".join(parts)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(quote(column) for column in columns)


def create_table(connection: DorisConnection, table: TableId, template: CreateTable) -> None:
    """Creates a table if it is missing; any number of workers may.

    Raises:
        DorisError: the server refuses.
    """
    with SqlClient(connection) as sql:
        sql.execute(template.sql(table))
    shared_client(TableSchemas, connection).forget(table)
    _log.info("%s is there, created if it was missing", table)


class TruncateFn(beam.DoFn):
    """Empties the table that comes as the only element, before anything is written."""

    def __init__(self, connection: DorisConnection) -> None:
        self._connection = connection

    def process(self, table: str) -> Iterator[str]:
        """Empties it; doing it twice before rows are written is doing it once."""
        try:
            with SqlClient(self._connection) as sql:
                sql.execute(f"TRUNCATE TABLE {TableId.parse(table).sql()}")
        except DorisError as error:
            raise whole(error) from error.__cause__
        _log.info("%s was emptied", table)
        yield table
