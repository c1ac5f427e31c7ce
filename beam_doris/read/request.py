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
"""What a read was asked for, as one value that travels to the workers."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import TableSchema


class Output(enum.Enum):
    """The elements that a read emits."""

    ROW = "row"
    """`beam.Row` with a schema."""
    DICT = "dict"
    TUPLE = "tuple"
    ARROW = "arrow"
    """`pyarrow.RecordBatch`, as the server sent them, normalized."""

    @staticmethod
    def parse(text: str | Output) -> Output:
        """Reads the name of an output form."""
        if isinstance(text, Output):
            return text
        for choice in Output:
            if choice.value == text:
                return choice
        known = ", ".join(repr(choice.value) for choice in Output)
        raise ConfigError(f"output {text!r} is not one of {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """One table to be read.

    Args:
        connection: The cluster.
        table: The table.
        columns: The columns asked for; None for all that can be read.
        filter: A Doris SQL condition; None for all rows.
        schema: The selected columns, where they are known; else asked for at run time.
        options: Tuning.
    """

    connection: DorisConnection
    table: TableId
    columns: tuple[str, ...] | None
    filter: str | None
    schema: TableSchema | None
    options: ReadOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What all scans of one read share; it travels once, as a side input.

    Args:
        opaque: The server's plan, which pins a version per tablet; None for Flight.
        protocol: FLIGHT or THRIFT, decided.
        schema: The columns that will be read, in the order in which they are emitted.
    """

    opaque: str | None
    protocol: ReadProtocol
    schema: TableSchema


@dataclass(frozen=True, slots=True)
class ScanTask:
    """Tablets that are read from one backend: the element of the splittable DoFn.

    Args:
        backend: The Thrift address of the replica that was chosen.
        tablets: Ids.
        alternatives: Other backends that hold every one of them.
        tablets_per_split: The length of the initial splits.
        rows_per_tablet: An estimate, for progress and for the weighing of splits.
    """

    backend: str
    tablets: tuple[int, ...]
    alternatives: tuple[str, ...] = ()
    tablets_per_split: int = 1
    rows_per_tablet: int = 1
