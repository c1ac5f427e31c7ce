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
"""The names of all metrics, and the two small objects that count."""

from __future__ import annotations

import time
from types import TracebackType

from apache_beam.metrics.metric import Metrics

NAMESPACE = "beam_doris"

ROWS_READ = "rows_read"
BYTES_READ = "bytes_read"
BATCHES_READ = "batches_read"
TABLETS_READ = "tablets_read"
SPLITS_READ = "splits_read"
SCAN_RETRIES = "scan_retries"
SCAN_MILLISECONDS = "scan_ms"
TABLETS_PLANNED = "tablets_planned"

ROWS_PACKED = "rows_packed"
ROWS_FAILED = "rows_failed"
ROWS_LOADED = "rows_loaded"
BYTES_LOADED = "bytes_loaded"
LOADS_PRECOMMITTED = "loads_precommitted"
LOADS_ABORTED = "loads_aborted"
LOAD_MILLISECONDS = "load_ms"
EARLY_COMMITS = "early_commits"
LOADS_COMMITTED = "loads_committed"
ROWS_COMMITTED = "rows_committed"
COMMIT_MILLISECONDS = "commit_ms"

LOOKUP_ELEMENTS = "lookup_elements"
LOOKUP_MATCHED = "lookup_matched"
LOOKUP_FAILED = "lookup_failed"
LOOKUP_HITS = "lookup_cache_hits"
LOOKUP_MISSES = "lookup_cache_misses"
LOOKUP_LOADS = "lookup_loads"
LOOKUP_WAIT_MILLISECONDS = "lookup_wait_ms"
LOOKUP_CACHE_ROWS = "lookup_cache_rows"
LOOKUP_CACHE_BYTES = "lookup_cache_bytes"
LOOKUP_FULL_AGE = "lookup_full_age_s"


class ReadMetrics:
    """Counts what one scanning DoFn read."""

    def __init__(self) -> None:
        self.rows = Metrics.counter(NAMESPACE, ROWS_READ)
        self.bytes = Metrics.counter(NAMESPACE, BYTES_READ)
        self.batches = Metrics.counter(NAMESPACE, BATCHES_READ)
        self.tablets = Metrics.counter(NAMESPACE, TABLETS_READ)
        self.splits = Metrics.counter(NAMESPACE, SPLITS_READ)
        self.retries = Metrics.counter(NAMESPACE, SCAN_RETRIES)
        self.scan_time = Metrics.distribution(NAMESPACE, SCAN_MILLISECONDS)
        self.planned = Metrics.counter(NAMESPACE, TABLETS_PLANNED)


class WriteMetrics:
    """Counts what one writing DoFn did; loads of all attempts, committed rows only once."""

    def __init__(self) -> None:
        self.packed = Metrics.counter(NAMESPACE, ROWS_PACKED)
        self.failed = Metrics.counter(NAMESPACE, ROWS_FAILED)
        self.loaded_rows = Metrics.counter(NAMESPACE, ROWS_LOADED)
        self.loaded_bytes = Metrics.counter(NAMESPACE, BYTES_LOADED)
        self.precommitted = Metrics.counter(NAMESPACE, LOADS_PRECOMMITTED)
        self.aborted = Metrics.counter(NAMESPACE, LOADS_ABORTED)
        self.load_time = Metrics.distribution(NAMESPACE, LOAD_MILLISECONDS)
        self.early_commits = Metrics.counter(NAMESPACE, EARLY_COMMITS)
        self.committed = Metrics.counter(NAMESPACE, LOADS_COMMITTED)
        self.committed_rows = Metrics.counter(NAMESPACE, ROWS_COMMITTED)
        self.commit_time = Metrics.distribution(NAMESPACE, COMMIT_MILLISECONDS)


class LookupMetrics:
    """Counts what one enriching DoFn did; a key that was found in the cache is a hit each time."""

    def __init__(self) -> None:
        self.elements = Metrics.counter(NAMESPACE, LOOKUP_ELEMENTS)
        self.matched = Metrics.counter(NAMESPACE, LOOKUP_MATCHED)
        self.failed = Metrics.counter(NAMESPACE, LOOKUP_FAILED)
        self.hits = Metrics.counter(NAMESPACE, LOOKUP_HITS)
        self.misses = Metrics.counter(NAMESPACE, LOOKUP_MISSES)
        self.loads = Metrics.counter(NAMESPACE, LOOKUP_LOADS)
        self.wait_time = Metrics.distribution(NAMESPACE, LOOKUP_WAIT_MILLISECONDS)
        self.cache_rows = Metrics.gauge(NAMESPACE, LOOKUP_CACHE_ROWS)
        self.cache_bytes = Metrics.gauge(NAMESPACE, LOOKUP_CACHE_BYTES)
        self.full_age = Metrics.gauge(NAMESPACE, LOOKUP_FULL_AGE)


class Stopwatch:
    """Measures a `with` block in milliseconds, failed or not."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.milliseconds = 0

    def __enter__(self) -> Stopwatch:
        self._started = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.milliseconds = round((time.monotonic() - self._started) * 1000)
