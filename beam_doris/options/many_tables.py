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
"""What a sink that writes many tables may hold at the same time."""

from __future__ import annotations

from dataclasses import dataclass

from beam_doris.errors import ConfigError

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyTables:
    """Shared by all tables of a bundle.

    Rows of a table wait until all that wait take `max_bytes`; then those of the largest are sent.

    Args:
        max_bytes: What may wait, in bytes of Arrow.
        max_open_loads: Loads that are open at the same time; beyond that the largest is ended.
    """

    max_bytes: int = 128 * _MIB
    max_open_loads: int = 8

    def __post_init__(self) -> None:
        problems = [
            f"{name} is not positive"
            for name in ("max_bytes", "max_open_loads")
            if getattr(self, name) <= 0
        ]
        if problems:
            raise ConfigError(problems, subject="ManyTables")
