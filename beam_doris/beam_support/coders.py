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
"""How Arrow batches cross a process boundary.

Beam would pickle them. An IPC stream costs the same time, is independent of the versions on both
sides, and stays readable for another language.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from apache_beam import coders

from beam_doris.codec.arrow_stream import ipc_stream


class ArrowRecordBatchCoder(coders.Coder):
    """One `pyarrow.RecordBatch` as one Arrow IPC stream; registered for that type on import."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        """The batch as a complete stream: schema, batch, end marker."""
        return ipc_stream(value)

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """The batch, sharing the memory of `encoded`."""
        with pa.ipc.open_stream(encoded) as reader:
            return reader.read_next_batch()

    def estimate_size(self, value: pa.RecordBatch) -> int:
        """The size of the buffers, without encoding them to find out."""
        return int(value.nbytes) + 512

    def is_deterministic(self) -> bool:
        """Equal batches may differ in their padding, so this is no coder for keys."""
        return False

    def to_type_hint(self) -> Any:
        """The type this coder is for."""
        return pa.RecordBatch

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


coders.registry.register_coder(pa.RecordBatch, ArrowRecordBatchCoder)
