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
"""Fetching batches while earlier ones are processed, bounded in number and bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from typing import Any

import pyarrow as pa

# How long `close` waits for a fetch under way; the thread ends by the scan's own deadline.
_CLOSE_SECONDS = 1.0


class _End:
    """What stands behind the last batch."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetched(
    scan: Generator[pa.RecordBatch, None, None], *, max_batches: int, max_bytes: int
) -> Generator[pa.RecordBatch, None, None]:
    """The same batches, fetched by a thread of their own.

    One batch is always accepted, however large. When the result is closed or exhausted, the scan
    is closed too.

    Args:
        scan: Where the batches come from; from now on used by the thread alone.
        max_batches: How many may wait.
        max_bytes: How many bytes may wait.
    """
    queue = _Queue(max_batches, max_bytes)
    thread = threading.Thread(target=_fetch, args=(scan, queue), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = queue.take()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        queue.stop()
        thread.join(_CLOSE_SECONDS)


def _fetch(scan: Generator[pa.RecordBatch, None, None], queue: _Queue) -> None:
    error: BaseException | None = None
    try:
        for batch in scan:
            if not queue.put(batch):
                break
    except BaseException as caught:  # noqa: BLE001
        # whatever it is, it belongs to the thread that consumes the batches
        error = caught
    finally:
        scan.close()
        queue.end(_End(error))


class _Queue:
    """Batches on their way from one thread to another."""

    def __init__(self, max_batches: int, max_bytes: int) -> None:
        self._max_batches = max_batches
        self._max_bytes = max_bytes
        self._items: deque[Any] = deque()
        self._bytes = 0
        self._stopped = False
        self._changed = threading.Condition()

    def put(self, batch: pa.RecordBatch) -> bool:
        """Waits for room; False when nobody wants more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(batch.nbytes))
            if self._stopped:
                return False
            self._items.append(batch)
            self._bytes += batch.nbytes
            self._changed.notify_all()
            return True

    def _has_room(self, size: int) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._max_batches and self._bytes + size <= self._max_bytes

    def end(self, end: _End) -> None:
        """Says that nothing more comes."""
        with self._changed:
            self._items.append(end)
            self._changed.notify_all()

    def take(self) -> Any:
        """The next batch or the end; the scan's deadline bounds the wait."""
        with self._changed:
            self._changed.wait_for(lambda: self._items)
            item = self._items.popleft()
            if not isinstance(item, _End):
                self._bytes -= item.nbytes
            self._changed.notify_all()
            return item

    def stop(self) -> None:
        """Lets the fetching thread end."""
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()
