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
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from beam_doris.beam_support.metrics import WriteMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.errors import RowEncodingError, SchemaError
from beam_doris.options.writing import LoadFormat
from beam_doris.write.checking import fetch_schema
from beam_doris.write.elements import ACCEPTED, Form, form_of, is_empty
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import OnRowError, RawLines, WriteJob
from beam_doris.write.load_outputs import FAILED
from beam_doris.write.result import FailedRow
from beam_doris.write.row_buffer import ArrowBuffer, Buffer, LineBuffer, RowBuffer, row_shape

# More sets of columns than that in one bundle are a sign of dicts with arbitrary keys.
_MAX_COLUMN_SETS = 32


class PackFn(beam.DoFn):
    """Packs elements; those that are no rows leave with the tag `failed`, or fail the pipeline.

    Elements with different sets of columns are packed apart, because a load has one set: a column
    that an element does not carry takes the table's default, not NULL.
    """

    def __init__(self, job: WriteJob) -> None:
        self._job = job
        self._metrics = WriteMetrics()
        self._buffers: dict[Any, Buffer] = {}
        self._schema = job.schema

    def setup(self) -> None:
        """Asks for the table's schema where it was not known when the pipeline was built."""
        if self._schema is None:
            self._schema = fetch_schema(self._job.connection, self._job.table)

    def start_bundle(self) -> None:
        """Nothing is carried over from a bundle that failed."""
        self._buffers = {}

    def process(self, element: Any) -> Iterable[Chunk | pvalue.TaggedOutput]:
        """Adds one element to its buffer; emits the buffer when it is full."""
        try:
            shape = row_shape(element)
            buffer = self._buffers.get(shape)
            if buffer is None:
                buffer = self._buffers[shape] = self._new_buffer(element)
            if not buffer.add(element):
                return ()
        except SchemaError as error:
            return [self._failed(element, error)]
        return self._emptied(buffer)

    def finish_bundle(self) -> Iterator[WindowedValue | pvalue.TaggedOutput]:
        """Emits what is left in the buffers."""
        for buffer in self._buffers.values():
            for output in self._emptied(buffer):
                if isinstance(output, pvalue.TaggedOutput):
                    yield pvalue.TaggedOutput(
                        output.tag, GlobalWindows.windowed_value(output.value)
                    )
                else:
                    yield GlobalWindows.windowed_value(output)
        self._buffers = {}

    def _new_buffer(self, element: Any) -> Buffer:
        form = form_of(element)
        if form is None or (form is not Form.ARROW and is_empty(element)):
            what = "empty" if form is not None else f"a {type(element).__name__}"
            raise RowEncodingError(
                f"the element is {what}, not a row; write {ACCEPTED}", table=self._job.table
            )
        if form is Form.LINE:
            if self._job.options.load_format is LoadFormat.ARROW:
                raise RowEncodingError("a raw line cannot be sent as Arrow; use CSV or JSON")
            return LineBuffer(self._job)
        if len(self._buffers) >= _MAX_COLUMN_SETS:
            raise RowEncodingError(
                f"the elements carry more than {_MAX_COLUMN_SETS} different sets of columns",
                table=self._job.table,
                hint="pass columns= with the columns to be written",
            )
        assert self._schema is not None
        if form is Form.ARROW:
            return ArrowBuffer(self._job, self._schema, element)
        return RowBuffer(self._job, self._schema, form, element)

    def _emptied(self, buffer: Buffer) -> list[Chunk | pvalue.TaggedOutput]:
        outputs: list[Chunk | pvalue.TaggedOutput] = []
        keep_going = self._job.on_row_error is OnRowError.DEAD_LETTER
        try:
            chunks, refused = buffer.take(keep_going)
        except SchemaError as error:
            raise self._explained(error) from None
        for chunk in chunks:
            rows = chunk.rows if isinstance(chunk, RawLines) else chunk.num_rows
            self._metrics.packed.inc(rows)
            outputs.append(chunk)
        outputs.extend(self._failed(element, error) for element, error in refused)
        return outputs

    def _failed(self, element: Any, error: SchemaError) -> pvalue.TaggedOutput:
        self._metrics.failed.inc()
        if self._job.on_row_error is OnRowError.FAIL:
            raise self._explained(error)
        row = FailedRow(
            table=str(self._job.table),
            label=None,
            reason=f"{error.message} ({error.hint})" if error.hint else error.message,
            column=error.column,
            row=element,
        )
        return pvalue.TaggedOutput(FAILED, row)

    def _explained(self, error: SchemaError) -> SchemaError:
        error.table = error.table or str(self._job.table)
        advice = 'or pass on_row_error="dead_letter" and store result.failed_rows'
        error.hint = f"{error.hint}; {advice}" if error.hint else f"correct the element, {advice}"
        return whole(error)
