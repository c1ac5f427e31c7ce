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
import time
from collections.abc import Generator

import pyarrow as pa

from beam_doris.client.batch_queue import BatchQueue

# How long `close` waits for a fetch under way; the thread ends by the scan's own deadline.
_CLOSE_SECONDS = 1.0
# A thread is worth its handing over when the consumer takes this part of the time of fetching.
_WORTH = 0.25


class _End:
    """What stands behind the last batch."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetched(
    scan: Generator[pa.RecordBatch, None, None], *, max_batches: int, max_bytes: int
) -> Generator[pa.RecordBatch, None, None]:
    """The same batches, from now on fetched ahead where that gains something.

    A consumer that takes next to no time for a batch gains nothing by a thread that fetches the
    next one meanwhile; the thread is begun when one takes longer. One batch is always accepted,
    however large. When the result is closed or exhausted, the scan is closed too.

    Args:
        scan: Where the batches come from.
        max_batches: How many may wait.
        max_bytes: How many bytes may wait.
    """
    if (yield from _while_quick(scan)):
        yield from _by_thread(scan, BatchQueue(max_batches, max_bytes))


def _while_quick(
    scan: Generator[pa.RecordBatch, None, None],
) -> Generator[pa.RecordBatch, None, bool]:
    """Hands batches on as they come, while the consumer is quick; whether there may be more."""
    fetching = consuming = 0.0
    going_on = False
    try:
        while consuming <= fetching * _WORTH:
            begun = time.perf_counter()
            batch = next(scan, None)
            fetched = time.perf_counter()
            if batch is None:
                return False
            yield batch
            fetching += fetched - begun
            consuming += time.perf_counter() - fetched
        going_on = True
        return True
    finally:
        if not going_on:
            scan.close()


def _by_thread(
    scan: Generator[pa.RecordBatch, None, None], queue: BatchQueue[_End]
) -> Generator[pa.RecordBatch, None, None]:
    """The rest of the batches, fetched by a thread of their own."""
    thread = threading.Thread(target=_fetch, args=(scan, queue), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            # the scan's own deadline bounds the wait
            item = queue.take()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        queue.stop()
        thread.join(_CLOSE_SECONDS)


def _fetch(scan: Generator[pa.RecordBatch, None, None], queue: BatchQueue[_End]) -> None:
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
