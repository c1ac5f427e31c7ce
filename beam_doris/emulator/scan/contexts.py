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
"""Scan contexts of one backend: opened, read by offset, closed or forgotten (P 5.3)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from beam_doris.emulator.wire_arrow import WireColumn

DEFAULT_BATCH_ROWS = 1024
MAX_BATCH_ROWS = 65535
DEFAULT_KEEP_ALIVE_MINUTES = 5


class StatusCode:
    """The status codes a scan answers with (P 5.2)."""

    OK = 0
    INTERNAL_ERROR = 6
    NOT_FOUND = 31
    INVALID_ARGUMENT = 33
    VERSION_ALREADY_MERGED = 45


class ScanError(Exception):
    """A scan call that ends in an error status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What a client asks a backend to scan."""

    database: str
    table: str
    tablets: tuple[int, ...]
    opaque: str
    batch_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningScan:
    """A scan that has begun: its output columns and its batches, already in wire form."""

    columns: tuple[WireColumn, ...]
    batches: Iterator[pa.RecordBatch]
    close: Callable[[], None]


class ScanSource(Protocol):
    """Where the rows of a scan come from."""

    def open(self, request: ScanRequest) -> RunningScan:
        """Begin a scan; raises `ScanError`."""


@dataclass(slots=True)
class _Context:
    scan: RunningScan
    keep_alive: float
    touched: float
    offset: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedScan:
    """The answer to open_scanner."""

    context_id: str
    columns: tuple[WireColumn, ...]


class ScanContexts:
    """All open scans of one backend.

    ``now`` tells seconds on the emulator's clock, so that a test lets a context expire by moving
    the clock.
    """

    def __init__(self, source: ScanSource, now: Callable[[], float]) -> None:
        self._source = source
        self._now = now
        self._contexts: dict[str, _Context] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._contexts)

    def open(self, request: ScanRequest, keep_alive_minutes: int | None) -> OpenedScan:
        """Begin a scan under a new random id."""
        self._forget_idle()
        scan = self._source.open(request)
        minutes = keep_alive_minutes or DEFAULT_KEEP_ALIVE_MINUTES
        context_id = str(uuid.uuid4())
        with self._lock:
            self._contexts[context_id] = _Context(scan, minutes * 60.0, self._now())
        return OpenedScan(context_id=context_id, columns=scan.columns)

    def next(self, context_id: str, offset: int) -> pa.RecordBatch | None:
        """The batch at this offset, None at the end; the offset moves even if no reply arrives."""
        self._forget_idle()
        with self._lock:
            context = self._contexts.get(context_id)
        if context is None:
            raise ScanError(StatusCode.NOT_FOUND, f"context_id: {context_id} not found")
        with context.lock:
            if offset != context.offset:
                raise ScanError(
                    StatusCode.NOT_FOUND,
                    f"context_id={context_id}, send_offset={offset},"
                    f" context_offset={context.offset}",
                )
            context.touched = self._now()
            batch = next(context.scan.batches, None)
            if batch is not None:
                context.offset += batch.num_rows
            return batch

    def close(self, context_id: str) -> None:
        """Forget a context; an unknown one is no error."""
        with self._lock:
            context = self._contexts.pop(context_id, None)
        if context is not None:
            self._end([context])

    def close_all(self) -> None:
        """Cancel every scan."""
        with self._lock:
            contexts = list(self._contexts.values())
            self._contexts.clear()
        self._end(contexts)

    def _forget_idle(self) -> None:
        now = self._now()
        with self._lock:
            idle = {
                name: context
                for name, context in self._contexts.items()
                if now - context.touched > context.keep_alive
            }
            for name in idle:
                del self._contexts[name]
        self._end(list(idle.values()))

    @staticmethod
    def _end(contexts: Sequence[_Context]) -> None:
        for context in contexts:
            with context.lock:
                context.scan.close()
