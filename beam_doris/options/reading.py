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
"""How tables are read."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from beam_doris.errors import ConfigError

_MIB = 1024 * 1024
MAX_BATCH_ROWS = 65535


class ReadProtocol(enum.Enum):
    """How rows come out of the backends."""

    AUTO = "auto"
    """Flight where the frontend offers it, else Thrift."""
    FLIGHT = "flight"
    THRIFT = "thrift"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Tuning of a read.

    Args:
        protocol: Flight, Thrift, or whichever the server offers.
        flight_port: The frontends' Arrow Flight port, where it is not discovered.
        tablets_per_split: How many tablets make one unit of parallel work.
        batch_rows: The most rows that a Thrift scan returns at once; at most 65,535.
        scan_memory_bytes: What the server may use for one scan.
        prefetch: Fetch the next batch while the last one is processed.
        prefetch_batches: How many batches are fetched ahead at most.
        prefetch_bytes: How many bytes are fetched ahead at most.
        columns: Columns to read; None reads all that can be read.
        filter: A Doris SQL condition, evaluated by the server.
    """

    protocol: ReadProtocol = ReadProtocol.AUTO
    flight_port: int | None = None
    tablets_per_split: int = 1
    batch_rows: int = 16384
    scan_memory_bytes: int = 8192 * _MIB
    prefetch: bool = True
    prefetch_batches: int = 4
    prefetch_bytes: int = 64 * _MIB
    columns: tuple[str, ...] | None = None
    filter: str | None = None

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.protocol, ReadProtocol):
            problems.append("protocol is a ReadProtocol")
        if self.flight_port is not None and not 0 < self.flight_port < 65536:
            problems.append("flight_port is outside 1..65535")
        if not 0 < self.batch_rows <= MAX_BATCH_ROWS:
            problems.append(f"batch_rows is outside 1..{MAX_BATCH_ROWS}")
        problems += [
            f"{name} is not positive"
            for name in (
                "tablets_per_split",
                "scan_memory_bytes",
                "prefetch_batches",
                "prefetch_bytes",
            )
            if getattr(self, name) <= 0
        ]
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))
            if not self.columns:
                problems.append("columns is empty; leave it out to read all")
        if self.filter is not None and not self.filter.strip():
            problems.append("filter is empty; leave it out to read all rows")
        if problems:
            raise ConfigError(problems, subject="ReadOptions")

    @staticmethod
    def from_properties(properties: Mapping[str, str]) -> ReadOptions:
        """Options by the Flink connector's keys, with its 24.1.0 defaults.

        Raises:
            ConfigError: unknown keys (with the nearest known name) and bad values, all at once.
        """
        from beam_doris.options.from_flink import build, read_arguments

        return build(ReadOptions, read_arguments, properties)
