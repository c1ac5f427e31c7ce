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
"""The DoFn of an enrichment: elements in, the same elements with what was found out.

What the cache knows goes on at once. What it does not know waits, with its window and timestamp,
until enough keys for a query have come together or the bundle ends; several queries are under way
while elements keep coming. Nothing is carried from one bundle to the next.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam import pvalue
from apache_beam.utils.windowed_value import WindowedValue

from beam_doris.beam_support.lineage import report_source
from beam_doris.beam_support.metrics import LookupMetrics, Stopwatch
from beam_doris.beam_support.step_errors import whole
from beam_doris.errors import DorisError, RowEncodingError
from beam_doris.lookup.arrow_join import ArrowJoiner, BatchKeys, batch_keys
from beam_doris.lookup.cache import Rows
from beam_doris.lookup.join import Joiner, JoinRule, joiner_for
from beam_doris.lookup.result import FailedLookup
from beam_doris.lookup.service import LookupService, Pending, acquire, release
from beam_doris.lookup.spec import Cache, Join, LookupSpec, OnClash, OnError
from beam_doris.options.table_id import TableId

FAILED = "failed"
Output = Any

# elements of equal keys that wait for one query, as a multiple of the keys of a query
_ELEMENTS_PER_KEY = 4


@dataclass(frozen=True, slots=True)
class EnrichJob:
    """Everything that the DoFn is made of.

    Args:
        spec: What is looked up.
        join: What becomes of elements without a match.
        on_clash: What happens when both sides have a name.
        on_error: What becomes of elements that cannot be looked up.
        rows: Whether the elements are `beam.Row`, whatever class a coder made of them.
    """

    spec: LookupSpec
    join: Join
    on_clash: OnClash
    on_error: OnError
    rows: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """Keys that are being asked for, and what to do when they are known."""

    pending: Pending
    keys: int
    finish: Callable[[Mapping[Any, Rows]], list[Output]]
    fail: Callable[[DorisError], list[Output]]


class EnrichFn(beam.DoFn):
    """Enriches dicts, rows, named tuples and Arrow batches."""

    def __init__(self, job: EnrichJob) -> None:
        self._job = job
        self._metrics = LookupMetrics()
        self._service: LookupService | None = None
        self._kind: type | None = None

    def setup(self) -> None:
        """Joins the lookup of this process."""
        job = self._job
        self._service = acquire(job.spec)
        self._form = job.spec.keys
        self._rule = JoinRule.of(job.spec, job.join, job.on_clash)
        self._arrow = ArrowJoiner(self._rule, job.spec.columns)
        self._known = _known_by(self._service)
        if isinstance(job.spec.source, TableId):
            report_source(job.spec.connection, job.spec.source)

    def teardown(self) -> None:
        """Leaves it."""
        service, self._service = self._service, None
        if service is not None:
            release(self._job.spec)

    def start_bundle(self) -> None:
        """Nothing is carried over from a bundle that failed."""
        self._waiting: list[tuple[WindowedValue, Any]] = []
        self._keys: dict[Any, None] = {}
        self._asked: collections.deque[_Asked] = collections.deque()
        self._in_flight = 0
        self._quick = self._others = self._hits = self._matched = 0

    def process(
        self,
        element: Any,
        windowed: Any = beam.DoFn.WindowedValueParam,
    ) -> Iterable[Output]:
        """One element, or one batch of them."""
        if type(element) is self._kind:
            try:
                rows = self._known(self._extract(element))
                if rows and len(rows) == 1:
                    joined = (self._join(element, rows[0]),)
                    self._quick += 1
                    return joined
            except (DorisError, LookupError, AttributeError, TypeError):
                # the long way says what is wrong with it
                pass
        return self._process(element, windowed)

    def finish_bundle(self) -> Iterable[Output]:
        """Asks for the last keys, waits for all answers, and counts."""
        self._ask()
        outputs = self._harvest(wait=True)
        self._count()
        return outputs

    # -- rows

    def _process(self, element: Any, windowed: WindowedValue) -> list[Output]:
        if isinstance(element, pa.RecordBatch):
            self._others += element.num_rows
            return self._batch(element, windowed)
        self._others += 1
        try:
            if type(element) is not self._kind:
                self._learn(element)
            key = self._form.canonical(self._key_of(element))
            rows = () if key is None else self._rows_now(key)
            if rows is not None:
                return self._joined(element, rows)
        except DorisError as error:
            return self._failed([windowed], error)
        self._waiting.append((windowed, key))
        self._keys[key] = None
        size = self._job.spec.options.batch_size
        if len(self._keys) >= size or len(self._waiting) >= size * _ELEMENTS_PER_KEY:
            self._ask()
        return self._harvest(wait=False)

    def _learn(self, element: Any) -> None:
        joiner: Joiner = joiner_for(element, self._rule, self._job.rows)
        self._extract = joiner.extract
        self._join = joiner.join
        self._kind = type(element)

    def _key_of(self, element: Any) -> Any:
        try:
            return self._extract(element)
        except (LookupError, AttributeError):
            fields = ", ".join(self._job.spec.fields)
            raise RowEncodingError(
                f"the element lacks a field of its key ({fields})", table=self._rule.table
            ) from None

    def _rows_now(self, key: Any) -> Rows | None:
        """What is known without asking; for a full cache that is everything."""
        assert self._service is not None
        if self._service.full is not None:
            return self._service.full.table().get(key, ())
        rows = self._service.cache.get(key)
        if rows is not None:
            self._hits += 1
        return rows

    def _joined(self, element: Any, rows: Rows) -> list[Any]:
        if rows:
            self._matched += 1
        return [self._join(element, row) for row in self._rule.chosen(rows)]

    def _ask(self) -> None:
        """Begins a query for the keys that wait."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        keys, self._keys = self._keys, {}

        def finish(found: Mapping[Any, Rows]) -> list[Output]:
            outputs: list[Output] = []
            for windowed, key in waiting:
                try:
                    joined = self._joined(windowed.value, found[key])
                except RowEncodingError as error:
                    outputs.extend(self._failed([windowed], error))
                else:
                    outputs.extend([windowed.with_value(value) for value in joined])
            return outputs

        def fail(error: DorisError) -> list[Output]:
            return self._failed([windowed for windowed, _ in waiting], error)

        self._begin(list(keys), finish, fail)

    # -- batches

    def _batch(self, batch: pa.RecordBatch, windowed: WindowedValue) -> list[Output]:
        try:
            keys = batch_keys(batch, self._job.spec.fields, self._form)
        except RowEncodingError as error:
            return self._failed([windowed], error)

        def finish(found: Mapping[Any, Rows]) -> list[Output]:
            return self._batch_joined(windowed, keys, found)

        def fail(error: DorisError) -> list[Output]:
            return self._failed([windowed], error)

        distinct = dict.fromkeys(key for key in keys.keys if key is not None)
        self._begin(list(distinct), finish, fail)
        return self._harvest(wait=False)

    def _batch_joined(
        self, windowed: WindowedValue, keys: BatchKeys, found: Mapping[Any, Rows]
    ) -> list[Output]:
        batch = windowed.value
        try:
            joined, refused = self._arrow.join(batch, keys, found)
        except RowEncodingError as error:
            return self._failed([windowed], error)
        self._matched += sum(1 for key in keys.keys if key is not None and found[key])
        outputs: list[Output] = []
        if joined.num_rows or not batch.num_rows:
            outputs.append(windowed.with_value(joined))
        for position, reason in refused.items():
            row = windowed.with_value(batch.slice(position, 1))
            outputs.extend(self._failed([row], reason))
        return outputs

    # -- queries under way

    def _begin(
        self,
        keys: Sequence[Any],
        finish: Callable[[Mapping[Any, Rows]], list[Output]],
        fail: Callable[[DorisError], list[Output]],
    ) -> None:
        assert self._service is not None
        try:
            pending = self._service.resolve(keys)
        except DorisError as error:
            pending = Pending.failed(error)
        self._hits += pending.hits
        self._metrics.misses.inc(pending.asked + pending.joined)
        self._metrics.loads.inc(pending.queries)
        self._asked.append(_Asked(pending, len(keys), finish, fail))
        self._in_flight += len(keys)

    def _harvest(self, *, wait: bool) -> list[Output]:
        """The outputs of queries that have ended; waits where too much is under way."""
        outputs: list[Output] = []
        options = self._job.spec.options
        while self._asked:
            first = self._asked[0]
            crowded = self._in_flight > options.queue_size or len(self._asked) > options.threads
            if not (wait or crowded or first.pending.done):
                break
            self._asked.popleft()
            self._in_flight -= first.keys
            try:
                with Stopwatch() as watch:
                    found = first.pending.result()
            except DorisError as error:
                outputs.extend(first.fail(error))
                continue
            finally:
                self._metrics.wait_time.update(watch.milliseconds)
            outputs.extend(first.finish(found))
        return outputs

    def _failed(self, elements: Sequence[WindowedValue], error: DorisError) -> list[Output]:
        error.table = error.table or self._rule.table
        if self._job.on_error is OnError.FAIL:
            if isinstance(error, RowEncodingError):
                advice = 'correct the element, or pass on_error="dead_letter"'
                error.hint = f"{error.hint}; {advice}" if error.hint else advice
            raise whole(error)
        self._metrics.failed.inc(len(elements))
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        return [
            pvalue.TaggedOutput(
                FAILED,
                windowed.with_value(
                    FailedLookup(self._rule.table, type(error).__name__, reason, windowed.value)
                ),
            )
            for windowed in elements
        ]

    def _count(self) -> None:
        metrics, service = self._metrics, self._service
        metrics.elements.inc(self._quick + self._others)
        metrics.matched.inc(self._quick + self._matched)
        metrics.hits.inc(self._quick + self._hits)
        assert service is not None
        if service.full is not None:
            metrics.full_age.set(round(service.full.age))
        elif self._job.spec.cache is Cache.LRU:
            metrics.cache_rows.set(service.cache.rows)
            metrics.cache_bytes.set(service.cache.bytes)


class EnrichEachWindowFn(EnrichFn):
    """The same for elements that are in several windows at once: one call for each window.

    Beam multiplies the windows of whatever is emitted while such an element is processed, and what
    is emitted then may be another element.
    """

    def process(
        self,
        element: Any,
        windowed: Any = beam.DoFn.WindowedValueParam,
        window: Any = beam.DoFn.WindowParam,  # noqa: ARG002  (asking for it is the point)
    ) -> Iterable[Output]:
        """One element in one window."""
        return super().process(element, windowed)


def _known_by(service: LookupService) -> Callable[[Any], Rows | None]:
    """What finds rows by the raw key, as far as they are known and the raw key is canonical.

    Equality of Python values is stricter than that of columns: what is found so is right, and what
    is not found is looked up by its canonical key.
    """
    full = service.full
    if full is not None:
        return full.get
    if service.spec.cache is Cache.LRU:
        return service.cache.get
    return lambda _raw: None
