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
from datetime import timedelta
from typing import TypeVar

from beam_doris.errors import ConfigError

_MIB = 1024 * 1024
MAX_BATCH_ROWS = 65535

_ChoiceT = TypeVar("_ChoiceT", bound=enum.Enum)


class ReadProtocol(enum.Enum):
    """How rows come out of the backends."""

    AUTO = "auto"
    """Flight where the frontend offers it, else Thrift."""
    FLIGHT = "flight"
    THRIFT = "thrift"


class Consistency(enum.Enum):
    """Which versions of the tablets a read sees."""

    LATEST = "latest"
    """Of each tablet the version that is visible when it is read; what was merged away is planned
    again."""
    SNAPSHOT = "snapshot"
    """Of all tablets the versions that one plan pinned; over Thrift only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Tuning of a read.

    Args:
        protocol: Flight, Thrift, or whichever the server offers; or its name.
        consistency: `"latest"` or `"snapshot"`; the latter is read over Thrift.
        flight_port: The frontends' Arrow Flight port, where it is not discovered.
        tablets_per_split: How many tablets make one unit of parallel work; None decides by the
            table's size.
        split_rows: About how many rows make one such unit, where the table's size is known.
        split_bytes: About how many bytes make one.
        batch_rows: The most rows that a Thrift scan returns at once; at most 65,535.
        scan_memory_bytes: What the server may use for one scan.
        keep_alive: How long a backend keeps an idle Thrift scan; None for its own default.
        prefetch: Fetch the next batch while the last one is processed.
        prefetch_batches: How many batches are fetched ahead at most.
        prefetch_bytes: How many bytes are fetched ahead at most.
        spool_tablet: Fetch each tablet into a temporary file before its first row is emitted, so
            that a tablet that breaks off can always be read again in place.
        flight_sessions: How many Flight sessions one worker process opens to a cluster at most.
        flight_message_bytes: The largest Flight message accepted.
        columns: Columns to read; None reads all that can be read.
        filter: A Doris SQL condition, evaluated by the server.
    """

    protocol: ReadProtocol | str = ReadProtocol.AUTO
    consistency: Consistency | str = Consistency.LATEST
    flight_port: int | None = None
    tablets_per_split: int | None = None
    split_rows: int = 1_000_000
    split_bytes: int = 256 * _MIB
    batch_rows: int = 16384
    scan_memory_bytes: int = 8192 * _MIB
    keep_alive: timedelta | None = None
    prefetch: bool = True
    prefetch_batches: int = 4
    prefetch_bytes: int = 64 * _MIB
    spool_tablet: bool = False
    flight_sessions: int = 16
    flight_message_bytes: int = 2**31 - 1
    columns: tuple[str, ...] | None = None
    filter: str | None = None

    def __post_init__(self) -> None:
        problems: list[str] = []
        self._choose("protocol", ReadProtocol, problems)
        self._choose("consistency", Consistency, problems)
        if (self.protocol, self.consistency) == (ReadProtocol.FLIGHT, Consistency.SNAPSHOT):
            problems.append(
                "a snapshot is read over Thrift: Flight reads the version that is visible when "
                "each statement runs"
            )
        if self.flight_port is not None and not 0 < self.flight_port < 65536:
            problems.append("flight_port is outside 1..65535")
        if not 0 < self.batch_rows <= MAX_BATCH_ROWS:
            problems.append(f"batch_rows is outside 1..{MAX_BATCH_ROWS}")
        if self.keep_alive is not None and self.keep_alive < timedelta(minutes=1):
            problems.append("keep_alive is under one minute, the unit it is told in")
        problems += [
            f"{name} is not positive"
            for name in (
                "tablets_per_split",
                "split_rows",
                "split_bytes",
                "scan_memory_bytes",
                "prefetch_batches",
                "prefetch_bytes",
                "flight_sessions",
                "flight_message_bytes",
            )
            if getattr(self, name) is not None and getattr(self, name) <= 0
        ]
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(self.columns))
            if not self.columns:
                problems.append("columns is empty; leave it out to read all")
        if self.filter is not None and not self.filter.strip():
            problems.append("filter is empty; leave it out to read all rows")
        if problems:
            raise ConfigError(problems, subject="ReadOptions")

    def _choose(self, name: str, kind: type[_ChoiceT], problems: list[str]) -> None:
        """Takes the choice's name for the choice itself."""
        value = getattr(self, name)
        if isinstance(value, kind):
            return
        for choice in kind:
            if choice.value == value:
                object.__setattr__(self, name, choice)
                return
        known = ", ".join(repr(choice.value) for choice in kind)
        problems.append(f"{name} {value!r} is not one of {known}")

    @property
    def chosen_protocol(self) -> ReadProtocol:
        """The protocol, whether it was given as such or by name."""
        return ReadProtocol(self.protocol)

    @property
    def is_snapshot(self) -> bool:
        """Whether the versions of one plan are kept."""
        return self.consistency is Consistency.SNAPSHOT

    @staticmethod
    def from_properties(properties: Mapping[str, str]) -> ReadOptions:
        """Options by the Flink connector's keys, with its 24.1.0 defaults.

        Raises:
            ConfigError: unknown keys (with the nearest known name) and bad values, all at once.
        """
        from beam_doris.options.from_flink import build, read_arguments

        return build(ReadOptions, read_arguments, properties)
