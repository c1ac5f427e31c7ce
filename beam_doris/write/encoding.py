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
"""The body of one load: encoded chunks, one after the other, and the headers that go with it."""

from __future__ import annotations

import json
from typing import TypeAlias, Union

import pyarrow as pa

from beam_doris.codec.compression import GzipStream
from beam_doris.codec.encoder import Encoder, columns_header, encoder_for
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.schema.arrow_types import columns_of
from beam_doris.write.job import RawLines, WriteJob

# Headers that go with a batch, in the metadata of its schema.
HEADERS_KEY = b"doris.headers"

Chunk: TypeAlias = Union[pa.RecordBatch, RawLines]  # noqa: UP007  (pa has no types here)


def contradictions(options: WriteOptions) -> list[str]:
    """Load properties that would make the server misread rows that are encoded here.

    Raw lines are the user's own: they are sent as they are, with any property.
    """
    stated = {name.lower(): value.lower() for name, value in options.load_properties.items()}
    found = {
        "jsonpaths": "rows are encoded with the names of their columns",
        "json_root": "a row is a line of its own",
        "hidden_columns": "the server ignores it beside columns, which is always sent",
        "fuzzy_parse": "columns are found by name",
        "skip_lines": "the first rows of every load would be lost",
        "num_as_string": "numbers are encoded exactly as they are",
    }
    harmless = ("", "0", "false")
    problems = [
        f"load property {name!r}: {why}"
        for name, why in found.items()
        if stated.get(name, "") not in harmless
    ]
    if stated.get("strip_outer_array", "false") == "true":
        problems.append("load property 'strip_outer_array': rows are lines, not one array")
    if stated.get("read_json_by_line", "true") != "true":
        problems.append("load property 'read_json_by_line': rows are always lines")
    delimiter = stated.get("line_delimiter", "\\n")
    if options.load_format is LoadFormat.JSON and delimiter not in ("\n", "\\n", "\\x0a"):
        problems.append("load property 'line_delimiter': JSON lines end with a line feed")
    return problems


class Body:
    """Turns chunks into bytes.

    Args:
        job: Format, compression and the user's own headers, which win over ours.
        first: The first chunk; all others have its columns.
    """

    def __init__(self, job: WriteJob, first: Chunk) -> None:
        self._encoder: Encoder | None = None
        if isinstance(first, RawLines):
            ours = _raw_headers(job)
        else:
            self._encoder = encoder_for(job.options, columns_of(first.schema))
            stamped = (first.schema.metadata or {}).get(HEADERS_KEY)
            ours = {**self._encoder.headers(), **(json.loads(stamped) if stamped else {})}
        self._headers = _merged(ours, job.options)
        self._gzip = GzipStream() if job.options.compress else None

    def headers(self) -> dict[str, str]:
        """The stream-load headers."""
        return dict(self._headers)

    def encode(self, chunk: Chunk) -> bytes:
        """The next piece; may be empty while a compressor gathers."""
        if isinstance(chunk, RawLines):
            piece = chunk.body
        else:
            assert self._encoder is not None
            piece = self._encoder.encode(chunk)
        return piece if self._gzip is None else self._gzip.feed(piece)

    def end(self) -> bytes:
        """The last piece."""
        return b"" if self._gzip is None else self._gzip.finish()


def _raw_headers(job: WriteJob) -> dict[str, str]:
    headers = {"format": job.options.load_format.value}
    if job.options.load_format is LoadFormat.JSON:
        headers |= {"read_json_by_line": "true", "strip_outer_array": "false"}
    if job.columns is not None:
        headers["columns"] = columns_header(job.columns)
    if job.changes.partial_columns:
        headers["partial_columns"] = "true"
    sequence = job.changes.sequence
    mapped = job.schema is not None and job.schema.sequence_column is not None
    if isinstance(sequence, str) and not mapped:
        headers["function_column.sequence_col"] = sequence
    return headers


def _merged(ours: dict[str, str], options: WriteOptions) -> dict[str, str]:
    """Header names are one whatever their case; the user's win."""
    headers = {name.lower(): value for name, value in ours.items()}
    headers["timeout"] = str(int(options.load_timeout.total_seconds()))
    headers |= {name.lower(): value for name, value in options.load_properties.items()}
    return headers
