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
"""What a write returns: PCollections by name."""

from __future__ import annotations

from typing import Any, NamedTuple

from apache_beam import pvalue


class FailedRow(NamedTuple):
    """An element that could not become a row of its table.

    Attributes:
        table: The table it was meant for.
        label: The load that refused it; None when it never reached one.
        reason: Why; never quotes the row.
        column: The column that it does not fit, where it is about one.
        row: The element itself; of a row that the server refused, a dict of its columns, or the
            raw line.
        unisolated: It was refused together with others, and may be sound: the search for the bad
            ones ended before (`BadRows.max_loads`).
    """

    table: str
    label: str | None
    reason: str
    column: str | None
    row: Any
    unisolated: bool = False


class WriteResult(NamedTuple):
    """The outputs of `WriteToDoris`.

    Attributes:
        committed_loads: A `CommittedLoad` for each load that became visible.
        failed_rows: A `FailedRow` for each element that was refused; empty unless
            `on_row_error="dead_letter"`.
    """

    committed_loads: pvalue.PCollection
    failed_rows: pvalue.PCollection
