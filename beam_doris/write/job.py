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
"""What a write was asked for, as one value that travels to the workers."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import WriteOptions
from beam_doris.schema.table_schema import TableSchema
from beam_doris.write.destinations import Destinations
from beam_doris.write.row_changes import RowChanges
from beam_doris.write.table_setup import CreateTable


class OnRowError(enum.Enum):
    """What becomes of an element that is no row of its table."""

    FAIL = "fail"
    """The pipeline fails and names the column."""
    DEAD_LETTER = "dead_letter"
    """The element leaves through `result.failed_rows`, which the user has to store."""

    @staticmethod
    def parse(text: str | OnRowError) -> OnRowError:
        """Reads the name of a policy."""
        if isinstance(text, OnRowError):
            return text
        for choice in OnRowError:
            if choice.value == text:
                return choice
        known = ", ".join(repr(choice.value) for choice in OnRowError)
        raise ConfigError(f"on_row_error {text!r} is not one of {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteJob:
    """One table to be written.

    Args:
        connection: The cluster.
        table: The table.
        label_prefix: What every label begins with.
        run_id: What tells the loads of this run from those of others.
        columns: The columns that the elements carry, where they were declared.
        schema: The table's schema, where it is known; else asked for at run time.
        options: Tuning.
        on_row_error: What becomes of bad elements.
        changes: How rows change the table.
        destinations: How elements tell their tables, where there are many.
        create: How a missing table is created.
        repeatable: The user named the run, so that the whole of it may be repeated.
    """

    connection: DorisConnection
    table: TableId
    label_prefix: str
    run_id: str
    columns: tuple[str, ...] | None
    schema: TableSchema | None
    options: WriteOptions
    on_row_error: OnRowError
    changes: RowChanges = field(default_factory=RowChanges)
    destinations: Destinations | None = None
    create: CreateTable | None = None
    repeatable: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether columns that a row does not carry keep their values."""
        stated = {name.lower(): value for name, value in self.options.load_properties.items()}
        return self.changes.partial_columns or (
            stated.get("partial_columns", "false").lower() == "true"
        )


@dataclass(frozen=True, slots=True)
class RawLines:
    """Lines that the user formatted: a piece of a load's body.

    Args:
        body: Whole lines, each with its delimiter.
        rows: How many.
        table: Their table, where a sink writes many.
    """

    body: bytes
    rows: int
    table: TableId | None = None
