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
"""The metrics of loads: by the names of the Flink connector's manual, and some more.

Counters count what every attempt did, as the manual's do; `rows_committed` counts in the commit
stage, once for what became visible.
"""

from __future__ import annotations

from apache_beam.metrics.metric import Metrics

from beam_doris.beam_support.metrics import NAMESPACE
from beam_doris.client.contracts import LoadResult

LOAD_BYTES = "totalFlushLoadBytes"
TOTAL_ROWS = "flushTotalNumberRows"
LOADED_ROWS = "totalFlushLoadedRows"
TIME = "totalFlushTimeMs"
SUCCEEDED = "totalFlushSucceededNumber"
FAILED = "totalFlushFailedNumber"
FILTERED_ROWS = "totalFlushFilteredRows"
UNSELECTED_ROWS = "totalFlushUnselectedRows"
BEGIN_TIME = "beginTxnTimeMs"
PUT_TIME = "putDataTimeMs"
READ_TIME = "readDataTimeMs"
WRITE_TIME = "writeDataTimeMs"
COMMIT_TIME = "commitAndPublishTimeMs"
LOAD_TIME = "loadTimeMs"

COUNTERS = (
    LOAD_BYTES,
    TOTAL_ROWS,
    LOADED_ROWS,
    TIME,
    SUCCEEDED,
    FAILED,
    FILTERED_ROWS,
    UNSELECTED_ROWS,
)
DISTRIBUTIONS = (BEGIN_TIME, PUT_TIME, READ_TIME, WRITE_TIME, COMMIT_TIME, LOAD_TIME)

RETRIES = "load_retries"
ADOPTED = "loads_adopted"
RESOLVED = "unknown_outcomes_resolved"
REJECTED = "rows_rejected"
UNISOLATED = "rows_unisolated"
SEARCHED = "loads_searched"
IN_FLIGHT = "loads_in_flight"

_SERVER_TIMES = {
    "BeginTxnTimeMs": BEGIN_TIME,
    "StreamLoadPutTimeMs": PUT_TIME,
    "ReadDataTimeMs": READ_TIME,
    "WriteDataTimeMs": WRITE_TIME,
    "LoadTimeMs": LOAD_TIME,
}


class LoadMetrics:
    """Counts the loads of one DoFn; call it in the thread that processes the bundle."""

    def __init__(self) -> None:
        self._counters = {name: Metrics.counter(NAMESPACE, name) for name in COUNTERS}
        self._times = {name: Metrics.distribution(NAMESPACE, name) for name in DISTRIBUTIONS}
        self._retries = Metrics.counter(NAMESPACE, RETRIES)
        self._adopted = Metrics.counter(NAMESPACE, ADOPTED)
        self._resolved = Metrics.counter(NAMESPACE, RESOLVED)
        self._in_flight = Metrics.distribution(NAMESPACE, IN_FLIGHT)
        self.rejected = Metrics.counter(NAMESPACE, REJECTED)
        self.unisolated = Metrics.counter(NAMESPACE, UNISOLATED)
        self.searched = Metrics.counter(NAMESPACE, SEARCHED)

    def succeeded(self, result: LoadResult, rows: int, *, two_phase: bool) -> None:
        """An accepted load.

        Args:
            result: What the server told.
            rows: How many rows were sent, where the server's answer was lost.
            two_phase: Whether it is to be committed later, where that time is measured.
        """
        took = round(result.seconds * 1000)
        self._counters[SUCCEEDED].inc()
        self._counters[LOAD_BYTES].inc(result.load_bytes)
        self._counters[TOTAL_ROWS].inc(rows if result.rows_total is None else result.rows_total)
        self._counters[LOADED_ROWS].inc(rows if result.rows_loaded is None else result.rows_loaded)
        self._counters[FILTERED_ROWS].inc(result.rows_filtered or 0)
        self._counters[UNSELECTED_ROWS].inc(result.rows_unselected or 0)
        self._counters[TIME].inc(took)
        for told, name in _SERVER_TIMES.items():
            if told in result.server_times:
                self._times[name].update(result.server_times[told])
        if "LoadTimeMs" not in result.server_times:
            self._times[LOAD_TIME].update(took)
        if not two_phase:
            self.committed(result.server_times.get("CommitAndPublishTimeMs", 0))
        self._retries.inc(max(0, result.attempts - 1))
        if result.adopted:
            self._adopted.inc()
            self._resolved.inc()

    def failed(self, loads: int = 1) -> None:
        """Loads that the server refused, or that were given up."""
        self._counters[FAILED].inc(loads)

    def committed(self, milliseconds: int) -> None:
        """How long a commit and its publish took."""
        self._times[COMMIT_TIME].update(milliseconds)

    def open_loads(self, count: int) -> None:
        """How many loads are open at the same time."""
        self._in_flight.update(count)
