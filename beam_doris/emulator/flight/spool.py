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
"""A result dealt to several endpoints, kept on disk until each has been fetched."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO

import pyarrow as pa

from beam_doris.emulator.flight.tickets import Stream


def deal(schema: pa.Schema, batches: Iterable[pa.RecordBatch], parts: int) -> list[Stream]:
    """Deal batches out in turn; order between the parts means nothing (P 6.2).

    The parts lie in unnamed temporary files, which the system removes whatever happens.
    """
    files: list[IO[bytes]] = []
    with ExitStack() as undo:
        writers = []
        for _ in range(parts):
            file = undo.enter_context(tempfile.TemporaryFile())
            files.append(file)
            writers.append(undo.enter_context(pa.ipc.new_stream(file, schema)))
        for number, batch in enumerate(batches):
            writers[number % parts].write_batch(batch)
        for writer in writers:
            writer.close()
        undo.pop_all()
    return [Stream(schema=schema, batches=_read(file), close=file.close) for file in files]


def _read(file: IO[bytes]) -> Iterator[pa.RecordBatch]:
    file.seek(0)
    with pa.ipc.open_stream(file) as reader:
        yield from reader
