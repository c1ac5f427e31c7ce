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
"""What readers hand on: some rows of a body, as raw columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

#: bytes of a body that are turned into one chunk
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class BadRow:
    """A row that was refused: why, and what it looked like."""

    reason: str
    source: str


@dataclass(frozen=True)
class Chunk:
    """Rows of a body.

    Attributes:
        rows: how many rows the columns have.
        columns: one Arrow array a field, in the order of the fields.
        source: the text of a row for the error log.
        bad: rows that could not be cut into fields; they are not part of the columns.
        missing: by field, where the row did not mention the field at all (JSON).
    """

    rows: int
    columns: Sequence[Any]
    source: Callable[[int], str]
    bad: Sequence[BadRow] = ()
    missing: Mapping[int, Any] = field(default_factory=dict)


class Reader(Protocol):
    """Turns a body into chunks."""

    def chunks(self) -> Iterator[Chunk]:
        """The chunks, in the order of the body."""
