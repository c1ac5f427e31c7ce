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
"""Reads the tablets of a restriction and emits normalized Arrow batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import apache_beam as beam
import pyarrow as pa

from beam_doris.beam_support.metrics import ReadMetrics, Stopwatch
from beam_doris.beam_support.step_errors import whole
from beam_doris.errors import DorisError, TransientError
from beam_doris.read.request import ReadRequest, ScanPlan, ScanTask
from beam_doris.read.restriction import TabletRestrictions
from beam_doris.read.scanners import TabletScanner, open_scanner
from beam_doris.schema.arrow_normalize import normalize

# A split of many tablets is read in about so many scans: few enough to keep the cost of opening
# them small, enough for a runner to have something left to split off.
_SCANS_PER_SPLIT = 4

_log = logging.getLogger(__name__)


class ScanFn(beam.DoFn):
    """The splittable DoFn: claims tablets, then emits their batches.

    Never checkpoints itself: a local runner with several workers loses what is deferred.
    """

    def __init__(self, request: ReadRequest) -> None:
        self._request = request
        self._metrics = ReadMetrics()
        self._scanner: TabletScanner | None = None

    def start_bundle(self) -> None:
        """Scanners live for one bundle: a session must not outlive its use."""
        self._close()

    def finish_bundle(self) -> None:
        """Gives sessions back."""
        self._close()

    def teardown(self) -> None:
        """Gives sessions back after a bundle that failed."""
        self._close()

    def _close(self) -> None:
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            scanner.close()

    def process(
        self,
        task: ScanTask,
        plan: ScanPlan,
        tracker: Any = beam.DoFn.RestrictionParam(TabletRestrictions()),  # noqa: B008
    ) -> Iterator[pa.RecordBatch]:
        """Claims stretches of tablets until the tracker says no, and reads each."""
        restriction = tracker.current_restriction()
        length = max(1, restriction.size() // _SCANS_PER_SPLIT)
        position = restriction.start
        more = True
        while more:
            claimed: list[int] = []
            while more and len(claimed) < length:
                more = tracker.try_claim(position)
                if more:
                    claimed.append(task.tablets[position])
                    position += 1
            if claimed:
                yield from self._read(task, plan, tuple(claimed))

    def _read(
        self, task: ScanTask, plan: ScanPlan, tablets: tuple[int, ...]
    ) -> Iterator[pa.RecordBatch]:
        """Reads the tablets from the chosen backend, then from the others that hold them.

        Once a row was emitted there is no second try in place: the server hands out rows in
        another order each time, so nobody can say which rows are still missing.
        """
        replicas = (task.backend, *task.alternatives)
        attempts = max(1, self._request.connection.retries + 1)
        for attempt in range(attempts):
            backend = replicas[attempt % len(replicas)]
            emitted = False
            try:
                for batch in self._batches(plan, backend, tablets):
                    emitted = True
                    yield batch
                self._metrics.tablets.inc(len(tablets))
                return
            except DorisError as error:
                self._close()
                if emitted and error.retryable:
                    raise self._broken_off(error, backend) from error
                if not error.retryable or attempt + 1 == attempts:
                    raise whole(error) from error.__cause__
                _log.warning("scan of tablets %s repeated: %s", list(tablets), error.message)
                self._metrics.retries.inc()

    def _batches(
        self, plan: ScanPlan, backend: str, tablets: tuple[int, ...]
    ) -> Iterator[pa.RecordBatch]:
        if self._scanner is None:
            self._scanner = open_scanner(self._request, plan)
        with closing(self._scanner.scan(backend, tablets)) as scan:
            while True:
                # only the waiting for the server is timed, not what happens to the rows after
                with Stopwatch() as watch:
                    raw = next(scan, None)
                self._metrics.scan_time.update(watch.milliseconds)
                if raw is None:
                    return
                if raw.num_rows:
                    yield self._counted(normalize(raw, plan.schema))

    def _counted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self._metrics.rows.inc(batch.num_rows)
        self._metrics.bytes.inc(batch.nbytes)
        self._metrics.batches.inc()
        return batch

    def _broken_off(self, error: DorisError, backend: str) -> TransientError:
        return whole(
            TransientError(
                "a scan broke off after some of its rows had been emitted",
                table=self._request.table,
                host=error.host or backend,
                cause=error,
                hint="the runner repeats the bundle; where it does not, run the pipeline again",
            )
        )
