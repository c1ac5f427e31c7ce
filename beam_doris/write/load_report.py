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
"""What loads tell beside their tokens: the server's figures, and rows that it refused."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.contracts import LoadResult
from beam_doris.client.rejected_rows import RejectedRowsReader
from beam_doris.errors import DorisError
from beam_doris.write.job import OnRowError, WriteJob
from beam_doris.write.result import FailedRow

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LoadReport:
    """Gathered over the loads of one bundle or one flush.

    Args:
        results: Of every load that was accepted, with the number of rows that were sent.
        failed: Rows that were refused.
        refused: How many loads were refused for their rows.
        searched: How many loads the search for those rows took.
        most_open: How many loads were open at the same time.
    """

    results: list[tuple[LoadResult, int]] = field(default_factory=list)
    failed: list[FailedRow] = field(default_factory=list)
    refused: int = 0
    searched: int = 0
    most_open: int = 0

    def accepted(self, job: WriteJob, result: LoadResult, rows: int) -> None:
        """Takes note of an accepted load; of rows that it lost within `max_filter_ratio` too."""
        self.results.append((result, rows))
        if not result.rows_filtered:
            return
        _log.warning(
            "load %s of %s: the server dropped %d of %s rows, as max_filter_ratio allows",
            result.label,
            result.table,
            result.rows_filtered,
            result.rows_total,
        )
        if job.on_row_error is OnRowError.DEAD_LETTER and result.error_url:
            self.failed.extend(_dropped_rows(job, result))

    def add(self, other: LoadReport) -> None:
        """Takes over what another one gathered."""
        self.results += other.results
        self.failed += other.failed
        self.refused += other.refused
        self.searched += other.searched
        self.most_open = max(self.most_open, other.most_open)


def _dropped_rows(job: WriteJob, result: LoadResult) -> list[FailedRow]:
    """As many of the dropped rows as the error log shows, with their lines."""
    assert result.error_url is not None
    reader = shared_client(RejectedRowsReader, job.connection)
    try:
        told = reader.fetch(result.error_url, keep_lines=True)
        plain = reader.fetch(result.error_url)
    except DorisError as error:
        _log.warning("the error log of load %s cannot be had: %s", result.label, error.message)
        return []
    return [
        FailedRow(
            table=str(result.table),
            label=result.label,
            reason=reason.reason,
            column=None,
            row=row.line,
        )
        for row, reason in zip(told.rows, plain.rows, strict=False)
    ]
