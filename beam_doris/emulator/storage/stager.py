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
"""Staging: rows of a load wait here, invisible, until their transaction is committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beam_doris.emulator.catalog import Table


@dataclass(frozen=True, slots=True)
class AppendResult:
    """Rows staged, and rows refused as (``__ord``, reason)."""

    loaded: int
    rejected: list[tuple[int, str]]


class Stager:
    """Takes the rows of one transaction for one table."""

    table: Table

    def append(self, cursor: Any, source_sql: str) -> AppendResult:
        """Stage the rows of a DuckDB SELECT.

        The SELECT yields, under names of columns of the table, values of physical types. Columns
        it leaves out take their default, NULL, the next auto-increment number or what generates
        them. ``__ord BIGINT`` (number of the row in the load) is required; ``__del BOOLEAN``
        (delete sign) and ``__seq`` (value of the hidden sequence column) are optional. Relations
        registered on ``cursor`` may be used.

        Raises:
            LoadRefused: the load as a whole is not possible.
        """
        raise AssertionError("skeleton")

    def columns_missing(self, names: Sequence[str]) -> list[str]:
        """Columns of the table that ``names`` leaves out."""
        raise AssertionError("skeleton")
