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
"""What a chunk of rows tells about itself: its table, its columns, its size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from beam_doris.options.table_id import TableId
from beam_doris.write.encoding import HEADERS_KEY, Chunk
from beam_doris.write.job import RawLines, WriteJob

# Carried in the metadata of a batch's schema, so that it survives cuts, state and shuffles.
TABLE_KEY = b"doris.table"
KEYS_KEY = b"doris.keys"


def stamped(
    chunk: Chunk,
    *,
    table: TableId | None = None,
    keys: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Chunk:
    """The chunk, marked with what its load has to know.

    Args:
        chunk: The rows.
        table: Their table, where a sink writes many.
        keys: The key columns, where rows of equal keys must not overtake each other.
        headers: Stream-load headers that go with them.
    """
    if isinstance(chunk, RawLines):
        return chunk if table is None else replace(chunk, table=table)
    metadata = dict(chunk.schema.metadata or {})
    if table is not None:
        metadata[TABLE_KEY] = str(table).encode()
    if keys:
        metadata[KEYS_KEY] = json.dumps(list(keys)).encode()
    if headers:
        metadata[HEADERS_KEY] = json.dumps(dict(headers)).encode()
    return chunk.replace_schema_metadata(metadata)


def keys_of(chunk: Chunk) -> tuple[str, ...]:
    """The key columns of rows that must not overtake each other; none where they may."""
    if isinstance(chunk, RawLines):
        return ()
    text = (chunk.schema.metadata or {}).get(KEYS_KEY)
    return () if text is None else tuple(json.loads(text))


def table_of(job: WriteJob, chunk: Chunk) -> TableId:
    """The table of the rows; that of the job where they carry none."""
    if isinstance(chunk, RawLines):
        return chunk.table or job.table
    name = (chunk.schema.metadata or {}).get(TABLE_KEY)
    return job.table if name is None else TableId.parse(name.decode())


def columns_of_chunk(chunk: Chunk) -> tuple[str, ...] | None:
    """What a load has one set of; None for raw lines."""
    return None if isinstance(chunk, RawLines) else tuple(chunk.schema.names)


def rows_of_chunk(chunk: Chunk) -> int:
    """How many rows a chunk holds."""
    return int(chunk.rows if isinstance(chunk, RawLines) else chunk.num_rows)


def bytes_of_chunk(chunk: Chunk) -> int:
    """About how much memory a chunk takes."""
    return int(len(chunk.body) if isinstance(chunk, RawLines) else chunk.nbytes)


def job_for(job: WriteJob, table: TableId) -> WriteJob:
    """The job of one table."""
    return job if table == job.table else replace(job, table=table, schema=None)
