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
"""Prefetching: the same batches, bounded, and nothing left behind."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Iterable

import pyarrow as pa
import pytest

from beam_doris.errors import ConnectError
from beam_doris.read.prefetch import prefetched


def batch(number: int, rows: int = 10) -> pa.RecordBatch:
    """A batch that can be told from others."""
    return pa.record_batch({"n": pa.array([number] * rows, pa.int64())})


class Scan:
    """A source that notes what was fetched and whether it was closed."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count = count
        self.error = error
        self.fetched = 0
        self.closed = threading.Event()

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """So many batches, then the error."""
        try:
            for number in range(self.count):
                self.fetched += 1
                yield batch(number)
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()


def numbers(source: Iterable[pa.RecordBatch]) -> list[int]:
    """Which batches came."""
    return [found.column(0)[0].as_py() for found in source]


@pytest.mark.parametrize("max_batches", [1, 3, 1_000])
def test_every_batch_comes_once_and_in_order(max_batches: int) -> None:
    scan = Scan(200)
    source = prefetched(scan.batches(), max_batches=max_batches, max_bytes=1 << 20)
    assert numbers(source) == list(range(200))
    assert scan.closed.wait(5)


@pytest.mark.parametrize(("max_batches", "max_bytes"), [(3, 1 << 20), (1_000, 240)])
def test_no_more_is_fetched_than_may_wait(max_batches: int, max_bytes: int) -> None:
    scan = Scan(50)
    source = prefetched(scan.batches(), max_batches=max_batches, max_bytes=max_bytes)
    next(source)
    time.sleep(0.1)  # a consumer worth a thread
    next(source)
    time.sleep(0.2)
    # two went to the consumer, three wait (80 bytes each), one in the hand of the thread
    assert 3 <= scan.fetched <= 6
    assert numbers(source) == list(range(2, 50))


def test_a_consumer_that_takes_no_time_gets_no_thread() -> None:
    def slow() -> Generator[pa.RecordBatch, None, None]:
        for number in range(10):
            time.sleep(0.02)
            yield batch(number)

    before = threading.active_count()
    source = prefetched(slow(), max_batches=3, max_bytes=1 << 20)
    for found in range(10):
        assert numbers(itertools.islice(source, 1)) == [found]
        assert threading.active_count() == before


def test_a_batch_beyond_the_limit_still_passes() -> None:
    source = prefetched(Scan(3).batches(), max_batches=2, max_bytes=1)
    assert numbers(source) == [0, 1, 2]


def test_an_error_comes_after_the_batches_before_it() -> None:
    scan = Scan(5, ConnectError("gone"))
    source = prefetched(scan.batches(), max_batches=2, max_bytes=1 << 20)
    assert numbers(itertools.islice(source, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(ConnectError, match="gone"):
        next(source)
    assert scan.closed.wait(5)


def test_closing_early_closes_the_scan_and_ends_the_thread() -> None:
    scan = Scan(1_000_000)
    before = threading.active_count()
    source = prefetched(scan.batches(), max_batches=2, max_bytes=1 << 20)
    next(source)
    source.close()
    assert scan.closed.wait(5)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
