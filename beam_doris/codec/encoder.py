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
"""What the encoders have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from beam_doris.errors import RowEncodingError
from beam_doris.options.csv_dialect import CsvDialect
from beam_doris.options.table_id import quote
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.schema.table_schema import Column


class Encoder(Protocol):
    """Makes the body of a stream load from batches.

    Bodies of successive batches make one body when they are put one after the other; nothing
    stands before, between or behind them.
    """

    @property
    def load_format(self) -> LoadFormat:
        """The form of the body."""
        ...

    def headers(self) -> Mapping[str, str]:
        """The stream-load headers without which the body would be misread."""
        ...

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """One batch as a piece of a body.

        Raises:
            RowEncodingError: a value has no exact form in this format.
            TypeMappingError: a column's type has none.
        """
        ...


def columns_header(names: Sequence[str]) -> str:
    """The `columns` header: all names in backticks, in the order of the body."""
    return ",".join(quote(name) for name in names)


def check_columns(batch: pa.RecordBatch, names: Sequence[str]) -> None:
    """Makes sure that a batch has the columns of its load, in the load's order.

    Raises:
        RowEncodingError: it has not, so that values would land in the wrong columns.
    """
    if batch.schema.names != list(names):
        raise RowEncodingError("the batch's columns are not those of the load, in its order")


def encoder_for(
    options: WriteOptions, columns: Sequence[Column], sample: pa.RecordBatch | None = None
) -> Encoder:
    """The encoder that the options ask for.

    Args:
        options: Format and the user's own load properties, which win over ours.
        columns: What the batches carry, in order.
        sample: The first batch of a load. A CSV dialect that the user did not fix is chosen for
            it; a batch that does not fit later (`CsvLinesEncoder.fits`) begins another load.
            Without it CSV texts are enclosed, which takes any text.
    """
    from beam_doris.codec.arrow_stream import ArrowStreamEncoder
    from beam_doris.codec.csv_lines import ENCLOSED, CsvLinesEncoder, choose_dialect
    from beam_doris.codec.json_lines import JsonLinesEncoder

    if options.load_format is LoadFormat.ARROW:
        return ArrowStreamEncoder(columns)
    if options.load_format is LoadFormat.JSON:
        return JsonLinesEncoder(columns)
    dialect = CsvDialect.from_properties(options.load_properties)
    if dialect is None:
        dialect = ENCLOSED if sample is None else choose_dialect(sample, columns)
    return CsvLinesEncoder(columns, dialect)
