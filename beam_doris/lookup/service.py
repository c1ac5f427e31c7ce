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
"""What all lookups of one kind share on a worker process: cache, sessions, threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Protocol

from beam_doris.errors import DeadlineExceeded
from beam_doris.lookup.cache import LookupCache, Rows
from beam_doris.lookup.full_cache import FullCache
from beam_doris.lookup.reader import LookupReader
from beam_doris.lookup.spec import Cache, LookupSpec

LINGER_SECONDS = 120.0
"""How long rows are kept after their last user is gone; local runners tear DoFns down when a
stream is idle for a minute, and make them again."""


class Source(Protocol):
    """Finds rows by key; `LookupReader`, or a stand-in for it."""

    def fetch(self, keys: Sequence[Any]) -> dict[Any, Rows]:
        """The rows of every key."""

    def by_flight(self, keys: int) -> bool:
        """Whether so many keys are asked for by Flight."""

    def close(self) -> None:
        """Gives back what it holds."""


class Fetch:
    """One query under way, with the keys it asks for."""

    def __init__(self, keys: Sequence[Any]) -> None:
        self.keys = keys
        self.future: Future[dict[Any, Rows]] = Future()


class Pending:
    """Keys that were asked for together; some known at once, some not yet.

    Attributes:
        found: What is known already.
        hits: How many keys the cache knew.
        asked: How many keys are being asked for because of this call.
        joined: How many keys somebody else was asking for already.
        queries: How many queries were begun.
    """

    def __init__(self, limit: float) -> None:
        self.found: dict[Any, Rows] = {}
        self.hits = 0
        self.asked = 0
        self.joined = 0
        self.queries = 0
        self._limit = limit
        self._fetches: list[Fetch] = []

    @staticmethod
    def failed(error: Exception) -> Pending:
        """One whose result is an error."""
        fetch = Fetch(())
        fetch.future.set_exception(error)
        pending = Pending(0.0)
        pending.wait_for(fetch)
        return pending

    def wait_for(self, fetch: Fetch) -> None:
        """One more query to wait for."""
        self._fetches.append(fetch)

    @property
    def done(self) -> bool:
        """Whether `result` returns at once."""
        return all(fetch.future.done() for fetch in self._fetches)

    def result(self) -> dict[Any, Rows]:
        """All rows.

        Raises:
            DorisError: a query failed.
        """
        for fetch in self._fetches:
            try:
                self.found.update(fetch.future.result(timeout=self._limit))
            except FutureTimeout:
                raise DeadlineExceeded(
                    "a lookup did not get its turn within its deadline"
                ) from None
        self._fetches.clear()
        return self.found


class LookupService:
    """Resolves keys for every DoFn of a process.

    Args:
        spec: The lookup.
        source: Where rows come from; the server by default.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        spec: LookupSpec,
        source: Source | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        options = spec.options
        self.spec = spec
        self._source = source if source is not None else LookupReader(spec, clock)
        self._clock = clock
        self.cache = LookupCache(
            options.cache_rows if spec.cache is Cache.LRU else 0,
            options.cache_bytes,
            options.cache_ttl.total_seconds(),
            clock,
        )
        self.full = FullCache(spec, clock) if spec.cache is Cache.FULL else None
        self._single_flight = spec.cache is Cache.LRU
        self._lock = threading.Lock()
        self._under_way: dict[Any, Fetch] = {}
        self._pool: ThreadPoolExecutor | None = None
        waves = 2 + options.queue_size // (options.batch_size * options.threads)
        self._limit = options.deadline.total_seconds() * waves + 5.0

    def resolve(self, keys: Iterable[Any]) -> Pending:
        """Finds what the cache knows and asks for the rest, once for the whole process.

        Args:
            keys: Canonical keys, none twice.

        Raises:
            DorisError: the full table cannot be loaded.
        """
        pending = Pending(self._limit)
        if self.full is not None:
            table = self.full.table()
            for key in keys:
                pending.found[key] = table.get(key, ())
            pending.hits = len(pending.found)
            return pending
        begun = self._claim(keys, pending)
        pending.queries = len(begun)
        for fetch in begun:
            pending.wait_for(fetch)
            self._start(fetch)
        return pending

    def _claim(self, keys: Iterable[Any], pending: Pending) -> list[Fetch]:
        claimed = []
        with self._lock:
            for key in keys:
                rows = self.cache.get(key)
                if rows is not None:
                    pending.found[key] = rows
                    continue
                other = self._under_way.get(key)
                if other is not None:
                    pending.joined += 1
                    pending.wait_for(other)
                else:
                    claimed.append(key)
            begun = [Fetch(part) for part in self._parts(claimed)]
            if self._single_flight:
                for fetch in begun:
                    self._under_way.update(dict.fromkeys(fetch.keys, fetch))
        pending.hits = len(pending.found)
        pending.asked = len(claimed)
        return begun

    def _parts(self, keys: Sequence[Any]) -> list[Sequence[Any]]:
        size = self.spec.options.batch_size
        if self._source.by_flight(len(keys)):
            size = max(size, 8 * self.spec.options.flight_above)
        return [keys[start : start + size] for start in range(0, len(keys), size)]

    def _start(self, fetch: Fetch) -> None:
        if not self.spec.options.parallel:
            self._run(fetch)
            return
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.spec.options.threads, "doris-lookup")
            self._pool.submit(self._run, fetch)

    def _run(self, fetch: Fetch) -> None:
        asked_at = self._clock()
        try:
            found = self._source.fetch(fetch.keys)
            # before the waiters go on: what they do next must find it
            self.cache.put(found, asked_at)
        except BaseException as error:  # noqa: BLE001  (handed to whoever waits)
            self._forget(fetch)
            fetch.future.set_exception(error)
        else:
            self._forget(fetch)
            fetch.future.set_result(found)

    def _forget(self, fetch: Fetch) -> None:
        if self._single_flight:
            with self._lock:
                for key in fetch.keys:
                    self._under_way.pop(key, None)

    def rest(self) -> None:
        """Gives sessions and threads back; the rows stay."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        self._source.close()
        if self.full is not None:
            self.full.rest()

    def drop(self) -> None:
        """Gives everything back."""
        self.rest()
        self.cache.clear()
        if self.full is not None:
            self.full.clear()


class _Registry:
    """The services of this process, by lookup."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: dict[str, LookupService] = {}
        self._users: dict[str, int] = {}
        self._left_at: dict[str, float] = {}
        self._timer: threading.Timer | None = None

    def acquire(self, spec: LookupSpec) -> LookupService:
        with self._lock:
            service = self._services.get(spec.id)
            if service is None:
                service = self._services[spec.id] = LookupService(spec)
            self._users[spec.id] = self._users.get(spec.id, 0) + 1
            self._left_at.pop(spec.id, None)
            return service

    def release(self, spec: LookupSpec) -> None:
        with self._lock:
            self._users[spec.id] = self._users.get(spec.id, 1) - 1
            if self._users[spec.id] > 0:
                return
            self._left_at[spec.id] = time.monotonic()
            service = self._services.get(spec.id)
            self._sweep_later()
        if service is not None:
            service.rest()

    def _sweep_later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(LINGER_SECONDS + 1, self.sweep)
            self._timer.daemon = True
            self._timer.start()

    def sweep(self, linger: float = LINGER_SECONDS) -> None:
        """Drops what has had no user for that long."""
        now = time.monotonic()
        with self._lock:
            gone = [key for key, left in self._left_at.items() if now - left >= linger]
            services = [self._services.pop(key) for key in gone if key in self._services]
            for key in gone:
                del self._left_at[key]
                self._users.pop(key, None)
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._left_at:
                self._sweep_later()
        for service in services:
            service.drop()

    def lend(self, spec: LookupSpec, service: LookupService) -> None:
        with self._lock:
            self._services[spec.id] = service


_registry = _Registry()


def acquire(spec: LookupSpec) -> LookupService:
    """The process' service for a lookup; release it when done."""
    return _registry.acquire(spec)


def release(spec: LookupSpec) -> None:
    """One user less; the last one's leaving closes sessions and, a while later, drops the rows."""
    _registry.release(spec)


def lend(spec: LookupSpec, service: LookupService) -> None:
    """Puts a service in place of the one that would be made; for tests."""
    _registry.lend(spec, service)


def drop_services() -> None:
    """Forgets every service without a user; for tests."""
    _registry.sweep(0.0)
