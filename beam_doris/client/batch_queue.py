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
"""Batches on their way from fetching threads to one consumer, bounded in number and bytes."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Generic, TypeVar

import pyarrow as pa

_EndT = TypeVar("_EndT")


class BatchQueue(Generic[_EndT]):
    """A queue of batches and of what ends a thread.

    One batch is always accepted, however large.

    Args:
        max_batches: How many may wait.
        max_bytes: How many bytes may wait.
    """

    def __init__(self, max_batches: int, max_bytes: int) -> None:
        self._max_batches = max_batches
        self._max_bytes = max_bytes
        self._items: deque[Any] = deque()
        self._bytes = 0
        self._stopped = False
        self._changed = threading.Condition()

    def put(self, batch: pa.RecordBatch) -> bool:
        """Waits for room; False when nobody wants more."""
        # nbytes would take a hundred times as long, to leave out what a slice does not show
        size = batch.get_total_buffer_size()
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(size))
            if self._stopped:
                return False
            self._items.append((batch, size))
            self._bytes += size
            self._changed.notify_all()
            return True

    def _has_room(self, size: int) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._max_batches and self._bytes + size <= self._max_bytes

    def end(self, end: _EndT) -> None:
        """Says that nothing more comes from a thread."""
        with self._changed:
            self._items.append((end, 0))
            self._changed.notify_all()

    def take(self, seconds: float | None = None) -> pa.RecordBatch | _EndT | None:
        """The next batch or end; None when nothing came in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items, seconds):
                return None
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return item

    def stop(self) -> None:
        """Lets the fetching threads end."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()
