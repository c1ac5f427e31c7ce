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
from beam_doris.errors import SchemaError
from beam_doris.write.checking import check_changes, fetch_schema
from beam_doris.write.chunks import rows_of_chunk
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import OnRowError, WriteJob
from beam_doris.write.load_outputs import FAILED
from beam_doris.write.result import FailedRow
from beam_doris.write.table_packer import Packed, Refused, TablePacker


class PackFn(beam.DoFn):
    """Packs elements; those that are no rows leave with the tag `failed`, or fail the pipeline."""

    def __init__(self, job: WriteJob) -> None:
        self._job = job
        self._metrics = WriteMetrics()
        self._packer: TablePacker | None = None
        self._schema = job.schema

    def setup(self) -> None:
        """Asks for the table's schema where it was not known when the pipeline was built."""
        if self._schema is None:
            self._schema = fetch_schema(self._job.connection, self._job.table)
            check_changes(self._job, self._schema)

    def start_bundle(self) -> None:
        """Nothing is carried over from a bundle that failed."""
        assert self._schema is not None
        self._packer = TablePacker(self._job, self._schema)

    def process(self, element: Any) -> Iterable[Chunk | pvalue.TaggedOutput]:
        """Adds one element to its buffer; emits the buffer when it is full."""
        assert self._packer is not None
        packed = self._packer.add(element)
        return [self._output(made) for made in packed] if packed else ()

    def finish_bundle(self) -> Iterator[WindowedValue | pvalue.TaggedOutput]:
        """Emits what is left in the buffers."""
        assert self._packer is not None
        for output in self._flushed(self._packer):
            if isinstance(output, pvalue.TaggedOutput):
                yield pvalue.TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))
            else:
                yield GlobalWindows.windowed_value(output)
        self._packer = None

    def _flushed(self, packer: TablePacker) -> list[Chunk | pvalue.TaggedOutput]:
        try:
            return [self._output(made) for made in packer.flush()]
        except SchemaError as error:
            raise self._explained(error) from None

    def _output(self, made: Packed) -> Chunk | pvalue.TaggedOutput:
        if isinstance(made, Refused):
            return self._failed(made.element, made.error)
        self._metrics.packed.inc(rows_of_chunk(made))
        return made

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
