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
"""`ReadFromDoris`: a table as a bounded PCollection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue
from apache_beam.typehints.row_type import RowTypeConstraint

from beam_doris.beam_support import coders as _coders  # noqa: F401  (registers the batch coder)
from beam_doris.beam_support.beam_rows import row_type
from beam_doris.beam_support.checks import Problems
from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions
from beam_doris.options.table_id import TableId
from beam_doris.read.checking import SUBJECT, check_read, selected_schema
from beam_doris.read.output import ToDicts, ToRows, ToTuples
from beam_doris.read.planning import PLAN, PlanFn
from beam_doris.read.request import Output, ReadRequest, ScanTask
from beam_doris.read.scan import ScanFn
from beam_doris.schema.expression_check import condition_problems
from beam_doris.schema.filters import Filter, filter_sql, typed_filter
from beam_doris.schema.table_schema import TableSchema


class ReadFromDoris(beam.PTransform):
    """Reads a Doris table, in parallel by its tablets.

    Args:
        connection: The cluster and the credentials.
        table: `database.table`.
        columns: The columns to read, in the order in which they are wanted; None for all.
        filter: A condition, evaluated by the server: typed, such as `col("age") > 18`, or Doris SQL,
            such as `"age > 18"`.
        output: `"row"` (a `beam.Row` with schema), `"dict"`, `"tuple"`, or `"arrow"` for
            `pyarrow.RecordBatch` elements, which are by far the fastest.
        schema: The table's schema, where the frontend cannot be asked when the pipeline is built.
        options: Protocol, splits, batch sizes.
        validate: Ask the frontend now whether table, columns and filter exist.

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
        connection: DorisConnection,
        *,
        table: str | TableId,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,
        output: str | Output = Output.ROW,
        schema: TableSchema | None = None,
        options: ReadOptions | None = None,
        validate: bool = True,
    ) -> None:
        super().__init__()
        problems = Problems(SUBJECT)
        if not isinstance(connection, DorisConnection):
            problems.add("connection is a DorisConnection(...)")
        if isinstance(columns, str):
            problems.add("columns is a sequence of names, not one text")
            columns = None
        table_id = problems.attempt(lambda: TableId.parse(table))
        form = problems.attempt(lambda: Output.parse(output))
        chosen = problems.attempt(lambda: _merged(options, columns, filter))
        typed = None if filter is None else typed_filter(filter)
        if typed is not None and schema is not None:
            problems.extend(condition_problems(typed, schema))
        problems.raise_if_any(table)
        assert table_id is not None
        assert form is not None
        assert chosen is not None
        request = ReadRequest(
            connection=connection,
            table=table_id,
            columns=chosen.columns,
            filter=chosen.filter,
            schema=None if schema is None else selected_schema(schema, chosen.columns),
            options=chosen,
        )
        if validate:
            request = replace(request, schema=check_read(request, typed))
        self._request = request
        self._output = form
        self._row_type = None if form is not Output.ROW else self._require_row_type()

    def _require_row_type(self) -> RowTypeConstraint:
        if self._request.schema is None:
            raise ConfigError(
                'output="row" needs the schema when the pipeline is built',
                subject=SUBJECT,
                table=self._request.table,
                hint='leave validate=True, give schema=, or use output="dict" or "arrow"',
            )
        return row_type(self._request.schema)

    @property
    def schema(self) -> TableSchema | None:
        """The columns that will be read, where they are known already."""
        return self._request.schema

    def expand(self, begin: pvalue.PBegin) -> pvalue.PCollection:
        """Plan, scan, explode."""
        request = self._request
        planned = (
            begin
            | "Start" >> beam.Impulse()
            | "Plan" >> beam.ParDo(PlanFn(request)).with_outputs(PLAN, main="tasks")
        )
        tasks = planned.tasks
        tasks.element_type = ScanTask
        batches = tasks | "Scan" >> beam.ParDo(
            ScanFn(request), pvalue.AsSingleton(planned[PLAN])
        ).with_output_types(pa.RecordBatch)
        return self._exploded(batches)

    def _exploded(self, batches: pvalue.PCollection) -> pvalue.PCollection:
        schema = self._request.schema
        if self._output is Output.ARROW:
            return batches
        if self._output is Output.DICT:
            return batches | "Dicts" >> beam.ParDo(ToDicts()).with_output_types(dict[str, Any])
        if self._output is Output.TUPLE:
            kind: Any = tuple[Any, ...]
            return batches | "Tuples" >> beam.ParDo(ToTuples()).with_output_types(kind)
        assert schema is not None
        return batches | "Rows" >> beam.ParDo(ToRows(schema)).with_output_types(self._row_type)

    def display_data(self) -> dict[str, Any]:
        """What a runner's pages show; nothing of the credentials."""
        request = self._request
        return {
            "table": str(request.table),
            "fenodes": ",".join(str(node) for node in request.connection.frontends),
            "columns": ",".join(request.columns) if request.columns else "all",
            "filtered": request.filter is not None,
            "protocol": request.options.protocol.value,
            "output": self._output.value,
        }


def _merged(
    options: ReadOptions | None, columns: Sequence[str] | None, condition: Filter | None
) -> ReadOptions:
    """The options with the columns and the filter that were given by name, as SQL."""
    merged = options if options is not None else ReadOptions()
    problems = Problems(SUBJECT)
    if columns is not None:
        merged = problems.attempt(lambda: replace(merged, columns=tuple(columns))) or merged
    chosen = condition if condition is not None else merged.filter
    if chosen is not None:
        text = problems.attempt(lambda: _filter_text(chosen))
        merged = replace(merged, filter=text)
    problems.raise_if_any()
    return merged


def _filter_text(condition: Filter) -> str:
    try:
        return filter_sql(condition)
    except ConfigError as error:
        problems = [f"filter {problem}" for problem in error.problems]
        raise ConfigError(problems, hint=error.hint) from error
