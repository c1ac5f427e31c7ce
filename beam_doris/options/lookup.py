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
"""How dimension tables are looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from beam_doris.errors import ConfigError

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupOptions:
    """Tuning of a lookup.

    Args:
        cache_rows: The most rows kept per worker process; 0 keeps none.
        cache_bytes: About the most bytes kept.
        cache_ttl: How long a row is taken for fresh.
        retries: How often a query is repeated.
        batch_size: The most keys of one query.
        queue_size: The most keys that wait for a query.
        threads: The most queries at a time, per worker process.
        parallel: Whether queries run beside the pipeline.
        deadline: For the query of a batch with all of its repetitions.
        attempt_timeout: For one attempt; a frontend that takes longer is left for the next.
        flight_above: Batches of more missing keys than that are asked for by Arrow Flight.
    """

    cache_rows: int = 100_000
    cache_bytes: int = 64 * _MIB
    cache_ttl: timedelta = timedelta(minutes=1)
    retries: int = 3
    batch_size: int = 1024
    queue_size: int = 4096
    threads: int = 4
    parallel: bool = True
    deadline: timedelta = timedelta(seconds=60)
    attempt_timeout: timedelta = timedelta(seconds=20)
    flight_above: int = 2048

    def __post_init__(self) -> None:
        problems = [
            f"{name} is not positive"
            for name in ("cache_bytes", "batch_size", "queue_size", "threads", "flight_above")
            if getattr(self, name) <= 0
        ]
        problems += [
            f"{name} is at least 0" for name in ("cache_rows", "retries") if getattr(self, name) < 0
        ]
        problems += [
            f"{name} is not positive"
            for name in ("deadline", "attempt_timeout")
            if getattr(self, name) <= timedelta(0)
        ]
        if self.cache_ttl < timedelta(0):
            problems.append("cache_ttl is at least 0")
        if problems:
            raise ConfigError(problems, subject="LookupOptions")

    @staticmethod
    def from_properties(properties: Mapping[str, str]) -> LookupOptions:
        """Options by the Flink connector's keys, with its 24.1.0 defaults.

        Raises:
            ConfigError: unknown keys (with the nearest known name) and bad values, all at once.
        """
        from beam_doris.options.from_flink import build, lookup_arguments

        return build(LookupOptions, lookup_arguments, properties)
