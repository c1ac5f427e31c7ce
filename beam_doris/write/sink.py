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
"""`WriteToDoris`: a PCollection into a table, exactly once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows

from beam_doris.beam_support import coders as _coders  # noqa: F401  (registers the batch coder)
from beam_doris.beam_support.checks import Problems
from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.labels import new_run_id
from beam_doris.errors import ConfigError, NotFoundError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import WriteMode, WriteOptions
from beam_doris.schema.table_schema import TableSchema
from beam_doris.write.checking import (
    SUBJECT,
    check_changes,
    check_elements,
    fetch_schema,
    label_prefix_problems,
    run_id_problems,
    table_problems,
)
from beam_doris.write.delivery_plan import AUTO, DeliveryPlan, plan_delivery, warnings_of
from beam_doris.write.destinations import MANY, destinations_of
from beam_doris.write.graph import load_and_commit
from beam_doris.write.job import OnRowError, WriteJob
from beam_doris.write.load_outputs import FAILED
from beam_doris.write.pack_fn import PackFn
from beam_doris.write.result import FailedRow, WriteResult
from beam_doris.write.row_changes import RowChanges
from beam_doris.write.schemas import TableSchemas
from beam_doris.write.table_setup import CreateTable, TruncateFn, WriteDisposition

_log = logging.getLogger(__name__)


class WriteToDoris(beam.PTransform):
    """Writes elements as rows of a Doris table; each becomes visible exactly once.

    Rows of bounded input are packed and streamed into two-phase loads inside the bundle that brings
    them; those of unbounded input are gathered in the runner's state until they are worth a load.
    Only when the runner has made it durable that a load was done is the load committed, so what a
    failed attempt loaded never becomes visible. What a mode promises on a runner is logged when
    the transform is applied; `docs/guarantees.md` has the whole table.

    Elements are dict, NamedTuple, `beam.Row`, tuple (with `columns`), `pyarrow.RecordBatch`,
    `pyarrow.Table`, or raw lines (str or bytes) in the form of `options.load_format`.

    Args:
        connection: The cluster and the credentials.
        table: `database.table`; for many tables a template such as `sales.orders_{country}`, or a
            callable that takes an element and returns a name, or None where elements are
            `Routed(table, row)`.
        label_prefix: What every load's label begins with; it tells this job from others. That of
            `options` by default.
        columns: The columns that the elements carry; needed for tuples, and for raw lines that do
            not carry all columns in table order.
        options: Format, sizes, properties of the loads.
        mode: The delivery guarantee, in place of `options.mode`.
        on_row_error: `"fail"`, or `"dead_letter"`: elements that are no rows of the table leave
            through `result.failed_rows`, which you must then store.
        create: How the table is created if it is missing; without it a missing table is an error.
        write_disposition: `"append"`, or `"truncate"`: bounded input replaces the rows of the
            table. It is emptied when the pipeline starts: should it fail, the table stays empty.
        change_type: The field that tells whether an element inserts, updates or deletes, or what
            computes that from an element; see `RowKind` for its values. UNIQUE tables only.
        sequence: The field whose highest value wins among rows of equal keys, or what computes it.
        partial_columns: Columns that an element does not carry keep their values; for UNIQUE tables
            with merge-on-write.
        validate: Ask the frontend now about the table; else the workers do when they start.
        commit: How tokens become durable before they are committed: `"auto"` where the runner
            tells, else `"reshuffle"`, `"stable"` or `"grouped"`, which `PortableRunner` needs.
        all_or_nothing: For bounded input: commit nothing before everything is loaded.
        run_id: Tells the loads of this run from those of others. Drawn anew for every transform;
            give one to be able to repeat a bounded run: loads of the same rows are then found
            again and not made twice. They are gathered by the limits of `options.stream`.

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
        table: str | TableId | Callable[[Any], Any] | None,
        label_prefix: str | None = None,
        columns: Sequence[str] | None = None,
        options: WriteOptions | None = None,
        mode: WriteMode | None = None,
        on_row_error: str | OnRowError = OnRowError.FAIL,
        change_type: str | Callable[[Any], Any] | None = None,
        sequence: str | Callable[[Any], Any] | None = None,
        partial_columns: bool = False,
        create: CreateTable | None = None,
        write_disposition: str | WriteDisposition = WriteDisposition.APPEND,
        validate: bool = True,
        commit: str = AUTO,
        all_or_nothing: bool = False,
        run_id: str | None = None,
    ) -> None:
        super().__init__()
        problems = Problems(SUBJECT)
        if not isinstance(connection, DorisConnection):
            problems.add("connection is a DorisConnection(...)")
        if label_prefix is None and options is not None:
            label_prefix = options.label_prefix
        problems.extend(label_prefix_problems(label_prefix))
        if isinstance(columns, str):
            problems.add("columns is a sequence of names, not one text")
            columns = None
        if columns is not None and not columns:
            problems.add("columns is empty; leave it out to write what the elements carry")
        destinations = problems.attempt(lambda: destinations_of(table))
        many = destinations is not None
        table_id = problems.attempt(lambda: MANY if many else TableId.parse(cast(str, table)))
        disposition = problems.attempt(lambda: WriteDisposition.parse(write_disposition))
        if disposition is WriteDisposition.TRUNCATE and many:
            problems.add("write_disposition='truncate' is for one table, which table= names")
        if create is not None and not isinstance(create, CreateTable):
            problems.add("create is a CreateTable(...)")
        policy = problems.attempt(lambda: OnRowError.parse(on_row_error))
        chosen = options if options is not None else WriteOptions()
        if mode is not None:
            chosen = problems.attempt(lambda: replace(chosen, mode=mode)) or chosen
        changes = RowChanges(
            change_type=change_type, sequence=sequence, partial_columns=partial_columns
        )
        problems.extend(changes.problems(chosen))
        problems.extend(table_problems(table_id))
        problems.extend(run_id_problems(run_id))
        problems.raise_if_any(None if many else cast(str, table))
        assert table_id is not None
        assert policy is not None
        self._job = WriteJob(
            connection=connection,
            table=table_id,
            label_prefix=cast(str, label_prefix),
            run_id=new_run_id() if run_id is None else run_id,
            repeatable=run_id is not None,
            columns=None if columns is None else tuple(columns),
            schema=self._schema_now(connection, table_id, create)
            if validate and not many
            else None,
            options=chosen,
            on_row_error=policy,
            changes=changes,
            destinations=destinations,
            create=create,
        )
        self._disposition = disposition
        self._error_handler: Any = None
        if self._job.schema is not None:
            check_changes(self._job, self._job.schema)
        self._commit = commit
        self._all_or_nothing = all_or_nothing
        if self._job.columns is not None:
            check_elements(self._job, Any)

    def with_error_handler(self, handler: Any) -> WriteToDoris:
        """Gives failed rows to one of Beam's error handlers, and implies `"dead_letter"`.

        Example:
            >>> with error_handling.ErrorHandler(WriteToText("failed")) as handler:
            ...     rows | WriteToDoris(doris, table="a.b", label_prefix="j").with_error_handler(handler)
        """
        self._error_handler = handler
        self._job = replace(self._job, on_row_error=OnRowError.DEAD_LETTER)
        return self

    @staticmethod
    def _schema_now(
        connection: DorisConnection, table: TableId, create: CreateTable | None
    ) -> TableSchema | None:
        """The table's schema; None where it is yet to be created."""
        if create is None:
            return fetch_schema(connection, table)
        try:
            return shared_client(TableSchemas, connection).of(table)
        except NotFoundError:
            return None

    @property
    def run_id(self) -> str:
        """What tells the loads of this run from others."""
        return self._job.run_id

    def expand(self, elements: pvalue.PCollection) -> WriteResult:
        """Pack and load, then commit what is durable."""
        job = self._job
        plan = plan_delivery(
            elements.pipeline,
            elements.is_bounded,
            job.options,
            commit=self._commit,
            all_or_nothing=self._all_or_nothing,
            repeatable=job.repeatable,
        )
        check_elements(job, elements.element_type)
        _log.info("%s: %s, run %s", job.table, plan, job.run_id)
        for warning in warnings_of(elements.pipeline, plan):
            _log.warning("%s: %s", job.table, warning)
        if not isinstance(elements.windowing.windowfn, GlobalWindows):
            elements = elements | "Rewindow" >> beam.WindowInto(GlobalWindows())
        barrier = self._emptied(elements.pipeline, plan)
        pack = beam.ParDo(PackFn(job), *barrier).with_outputs(FAILED, main="chunks")
        packed = elements | "Pack" >> pack
        unpacked = packed[FAILED]
        unpacked.element_type = FailedRow
        written = load_and_commit(packed.chunks, job, plan)
        failed = (unpacked, written.failed) | "Failed" >> beam.Flatten()
        if self._error_handler is not None:
            self._error_handler.add_error_pcollection(failed)
        return WriteResult(committed_loads=written.committed, failed_rows=failed)

    def _emptied(self, pipeline: beam.Pipeline, plan: DeliveryPlan) -> list[pvalue.AsList]:
        """What no row is packed before: the table was emptied."""
        if self._disposition is not WriteDisposition.TRUNCATE:
            return []
        if plan.streaming:
            raise ConfigError("write_disposition='truncate' is for bounded input", subject=SUBJECT)
        emptied = (
            pipeline
            | "Table" >> beam.Create([str(self._job.table)])
            | "Truncate" >> beam.ParDo(TruncateFn(self._job.connection))
            | "Emptied" >> beam.Reshuffle()
        )
        return [pvalue.AsList(emptied)]

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
