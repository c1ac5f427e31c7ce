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
"""`ReadFromDoris` and `ReadAllFromDoris`: tables as PCollections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue
from apache_beam.options.value_provider import ValueProvider
from apache_beam.typehints.row_type import RowTypeConstraint

from beam_doris.beam_support import coders as _coders  # noqa: F401  (registers the batch coder)
from beam_doris.beam_support.beam_rows import row_type
from beam_doris.beam_support.checks import Problems
from beam_doris.beam_support.deferred import DeferredConnection, is_deferred
from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions
from beam_doris.options.table_id import TableId
from beam_doris.read.checking import SUBJECT, check_read
from beam_doris.read.columns import selected_schema
from beam_doris.read.output import ToDicts, ToRows, ToTuples
from beam_doris.read.plan import ScanTask
from beam_doris.read.planning import PLAN, PlanEachFn, PlanFn
from beam_doris.read.request import (
    Output,
    ReadContext,
    ReadRequest,
    merged_request,
    typed_condition,
)
from beam_doris.read.scan import ScanFn
from beam_doris.schema.expression_check import condition_problems
from beam_doris.schema.filters import Filter
from beam_doris.schema.table_schema import TableSchema


class ReadFromDoris(beam.PTransform):
    """Reads a Doris table, in parallel by its tablets, or the rows of a query.

    Args:
        connection: The cluster and the credentials; a `DeferredConnection` in a template.
        table: `database.table`, or `catalog.database.table`; a table or a view.
        query: A SELECT in Doris' SQL instead of a table; it is run once, over Flight.
        columns: The columns to read, in the order in which they are wanted; None for all.
        filter: A condition, evaluated by the server: typed, such as `col("age") > 18`, or Doris SQL,
            such as `"age > 18"`.
        partitions: The names of the partitions to read; None for all.
        limit: The most rows that come out in all; which ones is not defined. Such a read is not
            parallel.
        output: `"row"` (a `beam.Row` with schema), `"dict"`, `"tuple"`, or `"arrow"` for
            `pyarrow.RecordBatch` elements, which are by far the fastest.
        schema: The schema of the table, where the frontend cannot be asked when the pipeline is
            built.
        options: Protocol, consistency, splits, batch sizes.
        validate: Ask the frontend now whether table, columns and filter exist.

    Every argument but `output`, `schema`, `options` and `validate` may be a `ValueProvider`. Then
    nothing is asked for when the pipeline is built.

    Raises:
        ConfigError: wrong arguments, an unknown table or column, a refused filter; all at once.
        AuthError: user or password are refused.
        ConnectError: no frontend can be reached.

    Example:
        >>> adults = p | ReadFromDoris(
        ...     doris, table="test.student", columns=["id", "name"], filter="age > 18")
    """

    def __init__(
        self,
        connection: DorisConnection | DeferredConnection,
        *,
        table: str | TableId | ValueProvider | None = None,
        query: str | ValueProvider | None = None,
        columns: Sequence[str] | ValueProvider | None = None,
        filter: Filter | ValueProvider | None = None,
        partitions: Sequence[str] | ValueProvider | None = None,
        limit: int | ValueProvider | None = None,
        output: str | Output = Output.ROW,
        schema: TableSchema | None = None,
        options: ReadOptions | None = None,
        validate: bool = True,
    ) -> None:
        super().__init__()
        problems = Problems(SUBJECT)
        tuning = options if options is not None else ReadOptions()
        context = ReadContext(connection=connection, options=tuning, schema=schema)
        _check_connection(connection, problems)
        form = problems.attempt(lambda: Output.parse(output))
        request = problems.attempt(
            lambda: merged_request(
                ReadRequest(
                    table=table,
                    query=query,
                    columns=columns,
                    filter=filter,
                    partitions=partitions,
                    limit=limit,
                ),
                tuning,
            )
        )
        typed = typed_condition(filter)
        if typed is not None and schema is not None:
            problems.extend(condition_problems(typed, schema))
        problems.raise_if_any(None if is_deferred(table) else table)
        assert form is not None
        assert request is not None
        self._context = _known_schema(context, request, typed, validate)
        self._request = request
        self._output = form
        self._row_type = _row_type_of(self._context, form, request)

    @property
    def schema(self) -> TableSchema | None:
        """The columns that will be read, where they are known already."""
        return self._context.schema

    def expand(self, begin: pvalue.PBegin) -> pvalue.PCollection:
        """Plan, scan, explode."""
        planned = (
            begin
            | "Start" >> beam.Impulse()
            | "Plan"
            >> beam.ParDo(PlanFn(self._context, self._request)).with_outputs(PLAN, main="tasks")
        )
        tasks = planned.tasks
        tasks.element_type = ScanTask
        batches = tasks | "Scan" >> beam.ParDo(
            ScanFn(self._context), pvalue.AsSingleton(planned[PLAN])
        ).with_output_types(pa.RecordBatch)
        return exploded(batches, self._output, self._context.schema, self._row_type)

    def display_data(self) -> dict[str, Any]:
        """What a runner's pages show; nothing of the credentials."""
        request = self._request
        columns = request.columns
        return {
            **_shown(self._context, self._output),
            "table": str(request),
            "columns": ",".join(columns) if isinstance(columns, tuple) else "all",
            "filtered": request.filter is not None,
            "limit": request.limit if isinstance(request.limit, int) else "none",
        }


class ReadAllFromDoris(beam.PTransform):
    """Reads what each element asks for: a `ReadRequest`, or a dict of its arguments.

    Every split brings its own copy of the plan, so that requests may come in any window and at any
    time; a table of very many tablets is therefore divided into fewer splits.

    Args:
        connection: The cluster and the credentials; a `DeferredConnection` in a template.
        output: `"dict"`, `"tuple"`, `"arrow"`, or `"row"`, which needs `schema`.
        schema: The columns that all requests have in common, where they are known.
        options: Protocol, consistency, splits, batch sizes.

    Raises:
        ConfigError: wrong arguments. A wrong element fails the pipeline when it comes.

    Example:
        >>> days = p | beam.Create([{"table": "logs.events", "filter": "day = '2024-02-01'"}])
        >>> rows = days | ReadAllFromDoris(doris)
    """

    def __init__(
        self,
        connection: DorisConnection | DeferredConnection,
        *,
        output: str | Output = Output.DICT,
        schema: TableSchema | None = None,
        options: ReadOptions | None = None,
    ) -> None:
        super().__init__()
        problems = Problems("ReadAllFromDoris")
        _check_connection(connection, problems)
        form = problems.attempt(lambda: Output.parse(output))
        problems.raise_if_any()
        assert form is not None
        tuning = options if options is not None else ReadOptions()
        self._context = ReadContext(connection=connection, options=tuning, schema=schema)
        self._output = form
        self._row_type = _row_type_of(self._context, form, None)

    def expand(self, requests: pvalue.PCollection) -> pvalue.PCollection:
        """Plan each, scan, explode."""
        tasks = requests | "Plan" >> beam.ParDo(PlanEachFn(self._context)).with_output_types(
            ScanTask
        )
        batches = tasks | "Scan" >> beam.ParDo(ScanFn(self._context), None).with_output_types(
            pa.RecordBatch
        )
        return exploded(batches, self._output, self._context.schema, self._row_type)

    def display_data(self) -> dict[str, Any]:
        """What a runner's pages show; nothing of the credentials."""
        return _shown(self._context, self._output)


def exploded(
    batches: pvalue.PCollection,
    output: Output,
    schema: TableSchema | None,
    element: RowTypeConstraint | None,
) -> pvalue.PCollection:
    """The batches as the elements that were asked for."""
    if output is Output.ARROW:
        return batches
    if output is Output.DICT:
        return batches | "Dicts" >> beam.ParDo(ToDicts()).with_output_types(dict[str, Any])
    if output is Output.TUPLE:
        kind: Any = tuple[Any, ...]
        return batches | "Tuples" >> beam.ParDo(ToTuples()).with_output_types(kind)
    assert schema is not None
    return batches | "Rows" >> beam.ParDo(ToRows(schema)).with_output_types(element)


def _check_connection(connection: object, problems: Problems) -> None:
    if not isinstance(connection, (DorisConnection, DeferredConnection)):
        problems.add("connection is a DorisConnection(...)")


def _known_schema(
    context: ReadContext, request: ReadRequest, typed: Any, validate: bool
) -> ReadContext:
    """The context with the columns that will come out, where they can be known now."""
    if context.schema is not None:
        columns = request.columns if isinstance(request.columns, tuple) else None
        context = replace(context, schema=selected_schema(context.schema, columns))
    if not validate or context.is_deferred or request.is_deferred:
        return context
    return replace(context, schema=check_read(context, request, typed))


def _row_type_of(
    context: ReadContext, output: Output, request: ReadRequest | None
) -> RowTypeConstraint | None:
    if output is not Output.ROW:
        return None
    if context.schema is None:
        raise ConfigError(
            'output="row" needs the schema when the pipeline is built',
            subject=SUBJECT,
            table=None if request is None or request.is_deferred else request.subject,
            hint='leave validate=True, give schema=, or use output="dict" or "arrow"',
        )
    return row_type(context.schema)


def _shown(context: ReadContext, output: Output) -> dict[str, Any]:
    known = context.connection
    nodes = known.frontends if isinstance(known, DorisConnection) else ("at run time",)
    return {
        "fenodes": ",".join(str(node) for node in nodes),
        "protocol": context.options.chosen_protocol.value,
        "consistency": "snapshot" if context.options.is_snapshot else "latest",
        "output": output.value,
    }
