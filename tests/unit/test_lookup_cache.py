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
"""The cache: limits, age, what is thrown out first; one query for a key at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from beam_doris.errors import ConnectError, DorisError
from beam_doris.lookup.cache import LookupCache, Rows, size_of
from beam_doris.lookup.service import LookupService
from beam_doris.lookup.spec import Cache
from beam_doris.options.lookup import LookupOptions
from tests.unit.lookup_bench import spec_of


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def rows(*values: int) -> Rows:
    return tuple({"v": value} for value in values)


def test_rows_are_fresh_for_the_time_to_live_from_when_they_were_asked_for() -> None:
    clock = Clock()
    cache = LookupCache(10, 10_000, ttl=5, clock=clock)
    asked_at = clock.now
    clock.now += 3  # the query took so long
    cache.put({"a": rows(1)}, asked_at)
    clock.now = asked_at + 4.9
    assert cache.get("a") == rows(1)
    clock.now = asked_at + 5
    assert cache.get("a") is None


def test_rows_that_took_longer_than_their_time_to_live_are_not_kept() -> None:
    clock = Clock()
    cache = LookupCache(10, 10_000, ttl=5, clock=clock)
    clock.now += 6
    cache.put({"a": rows(1)}, clock.now - 6)
    assert cache.rows == 0


def test_key_without_a_match_is_kept_too() -> None:
    cache = LookupCache(10, 10_000, 5, Clock())
    cache.put({"a": ()}, Clock.now)
    assert cache.get("a") == ()
    assert cache.rows == 1


def test_number_of_rows_is_bounded_by_rows_not_by_keys() -> None:
    cache = LookupCache(4, 10_000_000, 5, Clock())
    for key in range(10):
        cache.put({key: rows(1, 2)}, Clock.now)
        assert cache.rows <= 4
    assert cache.get(9) == rows(1, 2)
    assert cache.get(0) is None


def test_number_of_bytes_is_bounded() -> None:
    one = size_of("a", rows(1))
    cache = LookupCache(1000, 3 * one, 5, Clock())
    for key in "abcdefgh":
        cache.put({key: rows(1)}, Clock.now)
        assert cache.bytes <= 3 * one
    assert [key for key in "abcdefgh" if cache.get(key)] == ["f", "g", "h"]


def test_entry_beyond_the_limit_is_not_kept_and_drives_nothing_out() -> None:
    cache = LookupCache(3, 10_000, 5, Clock())
    cache.put({"a": rows(1)}, Clock.now)
    cache.put({"b": rows(1, 2, 3, 4)}, Clock.now)
    assert cache.get("a") == rows(1)
    assert cache.get("b") is None


def test_what_was_used_outlives_what_was_not() -> None:
    cache = LookupCache(3, 10_000, 5, Clock())
    cache.put({key: rows(1) for key in "abc"}, Clock.now)
    cache.get("a")
    cache.put({"d": rows(1)}, Clock.now)
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]


def test_newer_rows_are_not_replaced_by_older_ones() -> None:
    cache = LookupCache(3, 10_000, 5, Clock())
    cache.put({"a": rows(2)}, Clock.now)
    cache.put({"a": rows(1)}, Clock.now - 1)
    assert cache.get("a") == rows(2)
    assert cache.rows == 1


# --------------------------------------------------------------------------- single flight


class SlowSource:
    """Answers when told to."""

    def __init__(self, error: DorisError | None = None) -> None:
        self.asked: list[Sequence[Any]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.error = error

    def fetch(self, keys: Sequence[Any]) -> dict[Any, Rows]:
        self.asked.append(keys)
        self.begun.release()
        assert self.go.wait(10)
        if self.error is not None:
            raise self.error
        return {key: rows(key) for key in keys}

    def by_flight(self, keys: int) -> bool:
        return False

    def close(self) -> None:
        pass


def service_on(source: SlowSource, **options: Any) -> LookupService:
    spec = spec_of({"k": "INT"}, {"v": "INT"}, options=LookupOptions(**options))
    return LookupService(spec, source)


def test_key_that_is_being_asked_for_is_not_asked_for_again() -> None:
    source = SlowSource()
    service = service_on(source)
    first = service.resolve([1, 2])
    assert source.begun.acquire(timeout=10)
    second = service.resolve([2, 3])
    assert (second.joined, second.asked) == (1, 1)
    source.go.set()
    assert second.result() == {1: rows(1), 2: rows(2), 3: rows(3)}
    assert first.result() == {1: rows(1), 2: rows(2)}
    assert sorted(map(list, source.asked)) == [[1, 2], [3]]
    assert service.resolve([1, 2, 3]).hits == 3
    service.drop()


def test_failure_reaches_everybody_who_waits_and_is_not_kept() -> None:
    source = SlowSource(ConnectError("gone"))
    service = service_on(source)
    first, second = service.resolve([1]), service.resolve([1])
    source.go.set()
    for pending in (first, second):
        with pytest.raises(ConnectError, match="gone"):
            pending.result()
    source.error = None
    assert service.resolve([1]).result() == {1: rows(1)}
    service.drop()


def test_many_threads_ask_once_for_each_key() -> None:
    source = SlowSource()
    source.go.set()
    service = service_on(source, batch_size=7)
    results: list[dict[Any, Rows]] = []

    def work(offset: int) -> None:
        for start in range(offset, offset + 100, 10):
            results.append(dict(service.resolve(range(start, start + 20)).result()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(0, 50, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    asked = [key for keys in source.asked for key in keys]
    assert len(asked) == len(set(asked))
    assert len(results) == 100
    assert all(found[key] == rows(key) for found in results for key in found)
    service.drop()


def test_queries_of_a_process_are_bounded_by_its_threads() -> None:
    source = SlowSource()
    service = service_on(source, batch_size=1, threads=2)
    pending = service.resolve(range(6))
    assert source.begun.acquire(timeout=10)
    assert source.begun.acquire(timeout=10)
    assert not source.begun.acquire(timeout=0.2)
    source.go.set()
    assert len(pending.result()) == 6
    assert pending.queries == 6
    service.drop()


def test_without_a_cache_every_call_asks() -> None:
    source = SlowSource()
    source.go.set()
    spec = spec_of({"k": "INT"}, {"v": "INT"}, cache=Cache.NONE)
    service = LookupService(spec, source)
    for _ in range(2):
        assert service.resolve([1]).result() == {1: rows(1)}
    assert len(source.asked) == 2


def test_without_parallel_queries_run_where_they_are_asked_for() -> None:
    source = SlowSource()
    source.go.set()
    service = service_on(source, parallel=False, cache_ttl=timedelta(seconds=5))
    assert service.resolve([1]).done
