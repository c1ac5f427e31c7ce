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
"""A tablet's batches in a temporary file, so that none is emitted before all have come."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import pyarrow as pa

_IN_MEMORY = 8 << 20


def spooled(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, the first of them after the last has come.

    Small tablets stay in memory, larger ones go to a file that has no name and vanishes with the
    result.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        writer = None
        for batch in batches:
            if writer is None:
                writer = pa.ipc.new_stream(pa.PythonFile(file, mode="w"), batch.schema)
            writer.write_batch(batch)
        if writer is None:
            return
        writer.close()
        file.seek(0)
        with pa.ipc.open_stream(pa.PythonFile(file, mode="r")) as reader:
            yield from reader
