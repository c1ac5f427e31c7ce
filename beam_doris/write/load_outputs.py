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
"""What a loading step gives out beside its loads: refused rows, metrics, lineage."""

from __future__ import annotations

from beam_doris.beam_support.lineage import report_sink
from beam_doris.beam_support.load_metrics import LoadMetrics
from beam_doris.beam_support.metrics import WriteMetrics
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import TwoPhaseCommit
from beam_doris.write.job import WriteJob
from beam_doris.write.load_report import LoadReport
from beam_doris.write.result import FailedRow

FAILED = "failed"


class LoadOutputs:
    """Counts reports and hands out their refused rows; used by the bundle's thread only."""

    def __init__(self, job: WriteJob, metrics: WriteMetrics) -> None:
        self._job = job
        self._metrics = metrics
        self._loads = LoadMetrics()
        self._two_phase = isinstance(job.options.mode, TwoPhaseCommit)

    def take(self, report: LoadReport) -> list[FailedRow]:
        """Counts all of a report; the refused rows are the caller's to emit."""
        tables: set[TableId] = set()
        for result, rows in report.results:
            self._loads.succeeded(result, rows, two_phase=self._two_phase)
            tables.add(result.table)
        for table in sorted(tables, key=str):
            report_sink(self._job.connection, table)
        if report.results or report.refused:
            self._loads.failed(report.refused)  # shows as 0 too
        if report.refused:
            self._loads.searched.inc(report.searched)
        if report.failed:
            unisolated = sum(row.unisolated for row in report.failed)
            self._loads.rejected.inc(len(report.failed) - unisolated)
            self._loads.unisolated.inc(unisolated)
            self._metrics.failed.inc(len(report.failed))
        if report.most_open:
            self._loads.open_loads(report.most_open)
        return report.failed

    def gave_up(self) -> None:
        """A load failed, and with it the bundle."""
        self._loads.failed()
