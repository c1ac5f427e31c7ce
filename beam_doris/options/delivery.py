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
"""How unbounded input is gathered into loads, and how much may stay uncommitted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from beam_doris.errors import ConfigError

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBuffer:
    """How rows wait in the runner's state until they are worth a load.

    A load is sent when one of the limits is reached, and at the end of the input.

    Args:
        shards: Rows of a table are spread over that many buffers by their key columns; each has
            loads and an order of its own.
        max_rows: A buffer is loaded when it holds that many rows,
        max_bytes: or that many bytes of Arrow,
        interval: or when its first row is that old.
    """

    shards: int = 2
    max_rows: int = 500_000
    max_bytes: int = 64 * _MIB
    interval: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        problems = [
            f"{name} is not positive"
            for name in ("shards", "max_rows", "max_bytes")
            if getattr(self, name) <= 0
        ]
        if self.interval < timedelta(milliseconds=100):
            problems.append("interval is under 100 ms: the server would drown in versions")
        if problems:
            raise ConfigError(problems, subject="StreamBuffer")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionBudget:
    """What the server allows to stay uncommitted, and how much of that may be used.

    Args:
        max_running: Running transactions that the database allows:
            `max_running_txn_num_per_db` of the frontends, or the database's transaction quota.
        precommit_expiry: The server drops what was not committed for that long:
            `stream_load_default_precommit_timeout_second` of the frontends.
        share: The part of both that this pipeline may use.
    """

    max_running: int = 1000
    precommit_expiry: timedelta = timedelta(hours=1)
    share: float = 0.5

    def __post_init__(self) -> None:
        problems = []
        if self.max_running <= 0:
            problems.append("max_running is not positive")
        if self.precommit_expiry <= timedelta(0):
            problems.append("precommit_expiry is not positive")
        if not 0 < self.share <= 1:
            problems.append("share is outside (0, 1]")
        if problems:
            raise ConfigError(problems, subject="TransactionBudget")

    @property
    def max_uncommitted(self) -> int:
        """The most loads that may wait for their commit."""
        return max(1, int(self.max_running * self.share))

    @property
    def max_age(self) -> timedelta:
        """The longest that a load may wait for its commit."""
        return self.precommit_expiry * self.share
