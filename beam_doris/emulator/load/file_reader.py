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
"""Parquet and ORC bodies: spooled to a file, then read column by column name (P 4.5)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from beam_doris.emulator.load.body import ByteSource
from beam_doris.emulator.load.chunk import Chunk
from beam_doris.emulator.load.failure import LoadFailure

_BATCH_ROWS = 65536


class FileReader:
    """Reads a Parquet or ORC file from a body.

    Args:
        source: the body.
        form: ``parquet`` or ``orc``.
        fields: names to look for; a missing one is NULL everywhere.
    """

    def __init__(self, source: ByteSource, form: str, fields: Sequence[str]) -> None:
        self._source = source
        self._form = form
        self._fields = list(fields)

    def chunks(self) -> Iterator[Chunk]:
        """A chunk a batch of rows."""
        with tempfile.TemporaryFile() as file:
            while data := self._source.read():
                file.write(data)
            if not file.tell():
                return
            file.seek(0)
            try:
                for batch in self._batches(file):
                    yield self._chunk(batch)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
                raise LoadFailure(f"Init {self._form} reader failed: {error}") from error

    def _batches(self, file: Any) -> Iterator[Any]:
        if self._form == "parquet":
            import pyarrow.parquet

            yield from pyarrow.parquet.ParquetFile(file).iter_batches(_BATCH_ROWS)
            return
        import pyarrow.orc

        orc = pyarrow.orc.ORCFile(file)
        for stripe in range(orc.nstripes):
            yield orc.read_stripe(stripe)

    def _chunk(self, batch: Any) -> Chunk:
        names = {name.lower(): place for place, name in enumerate(batch.schema.names)}
        columns = []
        missing = {}
        for place, field in enumerate(self._fields):
            at = names.get(field.lower())
            if at is None:
                columns.append(pa.nulls(batch.num_rows, pa.string()))
                missing[place] = pa.array([True] * batch.num_rows)
            else:
                columns.append(batch.column(at))

        def source(row: int) -> str:
            return ", ".join(str(column[row].as_py()) for column in columns)

        return Chunk(batch.num_rows, columns, source, (), missing)
