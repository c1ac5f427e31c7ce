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
"""The splittable DoFn: claims tablets and emits their normalized Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import apache_beam as beam
import pyarrow as pa

from beam_doris.beam_support.lineage import report_source
from beam_doris.beam_support.metrics import ReadMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.errors import DorisError
from beam_doris.options.connection import DorisConnection
from beam_doris.read.plan import ScanPlan, ScanTask
from beam_doris.read.request import ReadContext
from beam_doris.read.restriction import TabletRestrictions
from beam_doris.read.stretch import StretchReader

# A split of many tablets is read in about so many scans: few enough to keep the cost of opening
# them small, enough for a runner to have something left to split off.
_SCANS_PER_SPLIT = 4


class ScanFn(beam.DoFn):
    """Reads the tablets of a task.

    Never checkpoints itself: a local runner with several workers loses what is deferred.

    Args:
        context: Where and how is read.
    """

    def __init__(self, context: ReadContext) -> None:
        self._context = context
        self._metrics = ReadMetrics()
        self._connection: DorisConnection | None = None
        self._reader: StretchReader | None = None

    def start_bundle(self) -> None:
        """Readers live for one bundle: a session must not outlive its use."""
        self._close()

    def finish_bundle(self) -> None:
        """Gives sessions back."""
        try:
            self._finish()
        except DorisError as error:
            raise whole(error) from error.__cause__
        finally:
            self._close()

    def teardown(self) -> None:
        """Gives sessions back after a bundle that failed."""
        self._close()

    def _finish(self) -> None:
        if self._reader is not None:
            self._reader.finish()

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def process(
        self,
        task: ScanTask,
        shared: ScanPlan | None,
        tracker: Any = beam.DoFn.RestrictionParam(TabletRestrictions()),  # noqa: B008
    ) -> Iterator[pa.RecordBatch]:
        """Claims stretches of tablets until the tracker says no, and reads each.

        Args:
            task: What to read.
            shared: The plan, where all tasks share one.
            tracker: Hands out the tablets.
        """
        plan = task.plan or shared
        assert plan is not None
        restriction = tracker.current_restriction()
        length = self._stretch_length(restriction.size())
        position = restriction.start
        self._metrics.splits.inc()
        more = True
        try:
            while more:
                claimed: list[int] = []
                while more and len(claimed) < length:
                    more = tracker.try_claim(position)
                    if more:
                        claimed.append(position)
                        position += 1
                if claimed:
                    yield from self._read(task, plan, claimed)
        except DorisError as error:
            self._close()
            raise whole(error) from error.__cause__

    def _stretch_length(self, tablets: int) -> int:
        # what is spooled is one tablet at a time, so that the disk holds no more than that
        return 1 if self._context.options.spool_tablet else max(1, tablets // _SCANS_PER_SPLIT)

    def _read(self, task: ScanTask, plan: ScanPlan, claimed: list[int]) -> Iterator[pa.RecordBatch]:
        reader = self._reader_of(plan)
        if task.group >= 0:
            return reader.tablets(task.group, claimed)
        if plan.statement is not None:
            return reader.statement()
        return self._limited(reader, plan)

    def _limited(self, reader: StretchReader, plan: ScanPlan) -> Iterator[pa.RecordBatch]:
        """All tablets, one after the other, until there are rows enough."""
        left = plan.request.limit
        for number, group in enumerate(plan.tablets.groups):
            for position in range(len(group.tablets)):
                with closing(reader.tablets(number, [position])) as batches:
                    for batch in batches:
                        yield batch.slice(0, left)
                        left -= min(left, batch.num_rows)
                        if left == 0:
                            return

    def _reader_of(self, plan: ScanPlan) -> StretchReader:
        reader = self._reader
        if reader is not None and (reader.plan is plan or reader.plan == plan):
            return reader
        self._finish()
        self._close()
        if self._connection is None:
            self._connection = self._context.cluster()
        if plan.request.table is not None:
            report_source(self._connection, plan.request.table)
        self._reader = StretchReader(self._connection, self._context.options, plan, self._metrics)
        return self._reader
