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
"""The first step of a write: elements to Arrow batches (or pieces of raw body), in the bundle.

Rows are packed where they arrive and fused with the load that follows, so that no single row
crosses a shuffle, a state cell or a wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.metrics import WriteMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.errors import NotFoundError, RowEncodingError, SchemaError
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import TableSchema
from beam_doris.write.checking import check_changes, fetch_schema
from beam_doris.write.chunks import job_for, rows_of_chunk
from beam_doris.write.destinations import MANY, Routed, route
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import OnRowError, WriteJob
from beam_doris.write.load_outputs import FAILED
from beam_doris.write.result import FailedRow
from beam_doris.write.schemas import TableSchemas
from beam_doris.write.table_packer import Packed, Refused, TablePacker
from beam_doris.write.table_setup import create_table

_Output: TypeAlias = "Chunk | pvalue.TaggedOutput"


# A bundle of many tables gives out what it has when that many rows wait, in batches.
_WAITING_BATCHES = 4


class PackFn(beam.DoFn):
    """Packs elements; those that are no rows leave with the tag `failed`, or fail the pipeline."""

    def __init__(self, job: WriteJob) -> None:
        self._job = job
        self._metrics = WriteMetrics()
        self._packers: dict[TableId, TablePacker] = {}
        self._schema = job.schema
        self._rows = 0

    def setup(self) -> None:
        """Asks for the table's schema where it was not known when the pipeline was built."""
        if self._schema is None and self._job.destinations is None:
            if self._job.create is None:
                self._schema = fetch_schema(self._job.connection, self._job.table)
            else:
                self._schema = self._found(self._job.table)
            check_changes(self._job, self._schema)

    def start_bundle(self) -> None:
        """Nothing is carried over from a bundle that failed."""
        self._packers = {}
        self._rows = 0
        if self._schema is not None:
            self._packers[self._job.table] = TablePacker(self._job, self._schema)

    def process(self, element: Any, _barrier: Any = None) -> Iterable[_Output]:
        """Adds one element to its buffer; emits the buffer when it is full."""
        destinations = self._job.destinations
        if destinations is None:
            packed = self._packers[self._job.table].add(element)
            return self._outputs(packed, self._job.table) if packed else ()
        named: TableId | str = MANY
        row = element
        if isinstance(element, Routed):
            named, row = element.table, element.row  # as it is told, should it be no table
        try:
            table, row = route(destinations, element, self._job.columns)
            named = table
            packer = self._packers.get(table)
            if packer is None:
                packer = self._packers[table] = self._packer_of(table)
        except SchemaError as error:
            return self._outputs([Refused(row, error)], named)
        outputs = self._outputs(packer.add(row), table)
        self._rows += 1
        if self._rows >= _WAITING_BATCHES * self._job.options.batch_rows:
            outputs += self._flushed()
        return outputs

    def finish_bundle(self) -> Iterator[WindowedValue | pvalue.TaggedOutput]:
        """Emits what is left in the buffers."""
        for output in self._flushed():
            if isinstance(output, pvalue.TaggedOutput):
                yield pvalue.TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))
            else:
                yield GlobalWindows.windowed_value(output)
        self._packers = {}

    def _packer_of(self, table: TableId) -> TablePacker:
        """The packer of one of many tables.

        Raises:
            RowEncodingError: there is no such table.
        """
        job = job_for(self._job, table)
        try:
            schema = self._found(table)
        except NotFoundError as error:
            raise RowEncodingError(f"goes to no table: {error.message}", table=table) from None
        check_changes(job, schema)
        return TablePacker(job, schema, stamp=True)

    def _found(self, table: TableId) -> TableSchema:
        schemas = shared_client(TableSchemas, self._job.connection)
        template = self._job.create
        try:
            return schemas.of(table)
        except NotFoundError:
            if template is None:
                raise
        create_table(self._job.connection, table, template)
        return schemas.of(table)

    def _flushed(self) -> list[_Output]:
        self._rows = 0
        outputs: list[_Output] = []
        for table, packer in self._packers.items():
            try:
                outputs += self._outputs(packer.flush(), table)
            except SchemaError as error:
                raise self._explained(error, table) from None
        return outputs

    def _outputs(self, packed: Iterable[Packed], table: TableId | str) -> list[_Output]:
        return [self._output(made, table) for made in packed]

    def _output(self, made: Packed, table: TableId | str) -> _Output:
        if isinstance(made, Refused):
            return self._failed(made.element, made.error, table)
        self._metrics.packed.inc(rows_of_chunk(made))
        return made

    def _failed(
        self, element: Any, error: SchemaError, table: TableId | str
    ) -> pvalue.TaggedOutput:
        self._metrics.failed.inc()
        if self._job.on_row_error is OnRowError.FAIL:
            raise self._explained(error, table)
        row = FailedRow(
            table=error.table or str(table),
            label=None,
            reason=f"{error.message} ({error.hint})" if error.hint else error.message,
            column=error.column,
            row=element,
        )
        return pvalue.TaggedOutput(FAILED, row)

    def _explained(self, error: SchemaError, table: TableId | str) -> SchemaError:
        error.table = error.table or str(table)
        advice = 'or pass on_row_error="dead_letter" and store result.failed_rows'
        error.hint = f"{error.hint}; {advice}" if error.hint else f"correct the element, {advice}"
        return whole(error)
