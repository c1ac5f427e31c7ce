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
"""Results waiting to be fetched: a ticket names a stream, and is good once (P 6.2, trap 44)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One endpoint's share of a result, in wire form."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    close: Callable[[], None]


class Tickets:
    """The streams of all servers; any backend may be asked for any of them."""

    def __init__(self) -> None:
        self._streams: dict[bytes, tuple[str, Stream]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._streams)

    def put(self, handle: bytes, session: str, stream: Stream) -> None:
        with self._lock:
            self._streams[handle] = (session, stream)

    def take(self, handle: bytes) -> Stream | None:
        """The stream of a handle, None when it is unknown or already taken."""
        with self._lock:
            found = self._streams.pop(handle, None)
        return None if found is None else found[1]

    def drop_session(self, session: str) -> None:
        """Forget what a closed session left behind."""
        with self._lock:
            dropped = [
                self._streams.pop(handle)[1]
                for handle, (owner, _) in list(self._streams.items())
                if owner == session
            ]
        for stream in dropped:
            stream.close()

    def close(self) -> None:
        with self._lock:
            streams = [stream for _, stream in self._streams.values()]
            self._streams.clear()
        for stream in streams:
            stream.close()
