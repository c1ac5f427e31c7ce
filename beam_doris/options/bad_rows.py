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
"""What may be spent on rows that a table refuses."""

from __future__ import annotations

from dataclasses import dataclass

from beam_doris.errors import ConfigError

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRows:
    """Limits for single rows, and for finding those that the server refuses.

    The server refuses a load as a whole. With `on_row_error="dead_letter"` its rows are kept until
    its fate is known; when it is refused, halves of it are loaded again until the bad rows are
    alone. k bad rows among n take about 2 * k * log2(n) loads.

    Args:
        max_row_bytes: A row that takes more is refused before it is sent.
        max_loads: How many loads one refused load may cost; the rows that are undecided then leave
            through `failed_rows` as `unisolated`.
        memory_bytes: Rows of an open load that are kept in memory; more go to a temporary file.
    """

    max_row_bytes: int = 100 * _MIB
    max_loads: int = 200
    memory_bytes: int = 32 * _MIB

    def __post_init__(self) -> None:
        problems = [
            f"{name} is not positive"
            for name in ("max_row_bytes", "max_loads")
            if getattr(self, name) <= 0
        ]
        if self.memory_bytes < 0:
            problems.append("memory_bytes is negative")
        if problems:
            raise ConfigError(problems, subject="BadRows")
