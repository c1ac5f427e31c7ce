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
"""`WriteToDoris`: a bounded PCollection into a table, exactly once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows

from beam_doris.beam_support import coders as _coders  # noqa: F401  (registers the batch coder)
from beam_doris.beam_support.checks import Problems
from beam_doris.beam_support.runners import RunnerKind
from beam_doris.client.labels import new_run_id
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import WriteMode, WriteOptions
from beam_doris.write.checking import (
    SUBJECT,
    check_elements,
    check_runner,
    fetch_schema,
    label_prefix_problems,
    mode_problems,
)
from beam_doris.write.commit_fn import CommitFn
from beam_doris.write.job import OnRowError, WriteJob
from beam_doris.write.load_fn import EarlyCommittingLoadFn, LoadFn
from beam_doris.write.pack_fn import FAILED, PackFn
from beam_doris.write.result import FailedRow, WriteResult
from beam_doris.write.token import CommittedLoad, LoadToken

_log = logging.getLogger(__name__)


class WriteToDoris(beam.PTransform):
    """Writes elements as rows of a Doris table; each becomes visible exactly once.

    Rows are packed and streamed into two-phase loads inside the bundle that brings them. Only when
    the runner has made a bundle durable are its loads committed, so what a failed attempt loaded
    never becomes visible.

    Elements are dict, NamedTuple, `beam.Row`, tuple (with `columns`), `pyarrow.RecordBatch`,
    `pyarrow.Table`, or raw lines (str or bytes) in the form of `options.load_format`.

    Args:
        connection: The cluster and the credentials.
        table: `database.table`.
        label_prefix: What every load's label begins with; it tells this job from others.
        columns: The columns that the elements carry; needed for tuples, and for raw lines that do
            not carry all columns in table order.
        options: Format, sizes, properties of the loads.
        mode: The delivery guarantee, in place of `options.mode`.
        on_row_error: `"fail"`, or `"dead_letter"`: elements that are no rows of the table leave
            through `result.failed_rows`, which you must then store.
        validate: Ask the frontend now about the table; else the workers do when they start.

    Returns:
        A `WriteResult` with `committed_loads` and `failed_rows`.

    Raises:
        ConfigError: wrong arguments, unknown table or columns, missing NOT NULL columns; at once.
        AuthError: user or password are refused.
        ConnectError: no frontend can be reached.

    Example:
        >>> result = rows | WriteToDoris(doris, table="test.student_trans", label_prefix="job1")
        >>> result.committed_loads | beam.Map(print)
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        table: str | TableId,
        label_prefix: str,
        columns: Sequence[str] | None = None,
        options: WriteOptions | None = None,
        mode: WriteMode | None = None,
        on_row_error: str | OnRowError = OnRowError.FAIL,
        validate: bool = True,
    ) -> None:
        super().__init__()
        problems = Problems(SUBJECT)
        if not isinstance(connection, DorisConnection):
            problems.add("connection is a DorisConnection(...)")
        problems.extend(label_prefix_problems(label_prefix))
        if isinstance(columns, str):
            problems.add("columns is a sequence of names, not one text")
            columns = None
        if columns is not None and not columns:
            problems.add("columns is empty; leave it out to write what the elements carry")
        table_id = problems.attempt(lambda: TableId.parse(table))
        policy = problems.attempt(lambda: OnRowError.parse(on_row_error))
        chosen = options if options is not None else WriteOptions()
        if mode is not None:
            chosen = problems.attempt(lambda: replace(chosen, mode=mode)) or chosen
        problems.extend(mode_problems(chosen, table_id))
        problems.raise_if_any(table)
        assert table_id is not None
        assert policy is not None
        self._job = WriteJob(
            connection=connection,
            table=table_id,
            label_prefix=label_prefix,
            run_id=new_run_id(),
            columns=None if columns is None else tuple(columns),
            schema=fetch_schema(connection, table_id) if validate else None,
            options=chosen,
            on_row_error=policy,
        )
        if self._job.columns is not None:
            check_elements(self._job, Any)

    @property
    def run_id(self) -> str:
        """What tells the loads of this run from others."""
        return self._job.run_id

    def expand(self, elements: pvalue.PCollection) -> WriteResult:
        """Pack and load in one stage, then commit what is durable."""
        kind = check_runner(elements.pipeline, elements.is_bounded)
        check_elements(self._job, elements.element_type)
        _log.info("%s: exactly once on %s, run %s", self._job.table, kind.value, self.run_id)
        if not isinstance(elements.windowing.windowfn, GlobalWindows):
            elements = elements | "Rewindow" >> beam.WindowInto(GlobalWindows())
        packed = elements | "Pack" >> beam.ParDo(PackFn(self._job)).with_outputs(
            FAILED, main="chunks"
        )
        committed = (
            packed.chunks
            | "Load" >> beam.ParDo(self._load_fn(kind)).with_output_types(LoadToken)
            # a token that has passed here is never computed again: only now may it be committed
            | "MakeDurable" >> beam.Reshuffle()
            | "Commit"
            >> beam.ParDo(CommitFn(self._job.connection)).with_output_types(CommittedLoad)
        )
        failed = packed[FAILED]
        failed.element_type = FailedRow
        return WriteResult(committed_loads=committed, failed_rows=failed)

    def _load_fn(self, kind: RunnerKind) -> LoadFn:
        if kind.finalizer_is_durable:
            return EarlyCommittingLoadFn(self._job)
        return LoadFn(self._job)

    def display_data(self) -> dict[str, Any]:
        """What a runner's pages show; nothing of the credentials."""
        job = self._job
        return {
            "table": str(job.table),
            "fenodes": ",".join(str(node) for node in job.connection.frontends),
            "label_prefix": job.label_prefix,
            "run_id": job.run_id,
            "columns": ",".join(job.columns) if job.columns else "as the elements carry",
            "format": job.options.load_format.value,
            "mode": type(job.options.mode).__name__,
            "on_row_error": job.on_row_error.value,
        }
