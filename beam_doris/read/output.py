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
"""The last step of a read: batches to the elements that were asked for.

A row as an element costs about fifty times what it costs inside a batch, so this is fused to what
the user does next and nothing is shuffled after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from beam_doris.beam_support.beam_rows import RowMaker
from beam_doris.schema.python_values import to_dicts, to_tuples
from beam_doris.schema.table_schema import TableSchema


class ToDicts(beam.DoFn):
    """Each row as a dict of column name to Python value."""

    def process(self, batch: pa.RecordBatch) -> Iterable[dict[str, Any]]:
        """Explodes one batch."""
        return to_dicts(batch)


class ToTuples(beam.DoFn):
    """Each row as a tuple, in the order of the columns."""

    def process(self, batch: pa.RecordBatch) -> Iterable[tuple[Any, ...]]:
        """Explodes one batch."""
        return to_tuples(batch)


class ToRows(beam.DoFn):
    """Each row as a `beam.Row` with the table's schema."""

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._maker: RowMaker | None = None

    def process(self, batch: pa.RecordBatch) -> Iterator[beam.Row]:
        """Explodes one batch."""
        if self._maker is None:
            self._maker = RowMaker(self._schema)
        return self._maker.rows(batch)
