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
"""Freshness: rows that change while a stream runs, and the whole table loaded again."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.enrichment import Enrichment
from apache_beam.transforms.periodicsequence import PeriodicImpulse

from beam_doris.beam_support.client_pool import drop_clients
from beam_doris.beam_support.metrics import LOOKUP_HITS, LOOKUP_LOADS, LOOKUP_MISSES
from beam_doris.emulator.faults import Rule
from beam_doris.errors import DorisError
from beam_doris.lookup import service as services
from beam_doris.lookup.full_cache import FullCache
from beam_doris.lookup.handler import DorisEnrichmentHandler
from beam_doris.lookup.transform import EnrichFromDoris
from beam_doris.options.lookup import LookupOptions
from tests.beam.cluster import Cluster, pipeline

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

ONE = "DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES('replication_num' = '1')"


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    made = Cluster(emulator)
    made.sql("CREATE DATABASE fresh")
    return made


@pytest.fixture(autouse=True)
def _nothing_left(emulator: Emulator) -> Iterator[None]:
    yield
    emulator.faults.clear()
    services.drop_services()
    drop_clients()


def table_of_one_row(cluster: Cluster, name: str) -> str:
    table = f"fresh.{name}"
    cluster.sql(f"CREATE TABLE {table} (id INT, price INT) UNIQUE KEY(id) {ONE}")
    cluster.sql(f"INSERT INTO {table} VALUES (1, 0)")
    return table


@pytest.mark.parametrize("cache", ["lru", "full"])
def test_stream_sees_a_changed_row_within_the_time_to_live(cluster: Cluster, cache: str) -> None:
    table = table_of_one_row(cluster, f"stream_{cache}")
    ttl = 0.5
    options = LookupOptions(cache_ttl=timedelta(seconds=ttl))
    # the moment at which each version was certainly visible
    written: list[float] = [time.time()]
    stop = threading.Event()

    def change() -> None:
        version = 0
        while not stop.wait(0.3):
            version += 1
            cluster.sql(f"INSERT INTO {table} VALUES (1, {version})")
            written.append(time.time())

    writer = threading.Thread(target=change)
    seen: list[tuple[float, int]] = []
    writer.start()
    try:
        start = time.time()
        with pipeline(streaming=True) as p:
            stream = (
                p
                | PeriodicImpulse(start, start + 4, 0.05)
                | beam.Map(lambda _: {"item": 1, "at": time.time()}).with_output_types(dict)
            )
            enriched = stream | EnrichFromDoris(
                cluster.doris, table=table, keys={"item": "id"}, cache=cache, options=options
            )
            gathered = enriched | beam.Map(lambda row: (row["at"], row["price"]))
            _ = gathered | beam.WindowInto(beam.window.GlobalWindows()) | beam.Map(Seen.add)
    finally:
        stop.set()
        writer.join(timeout=10)
    seen = sorted(Seen.take())
    assert len(seen) > 20
    assert len({price for _, price in seen}) > 2, "the row never changed under the stream"
    # a full table may be served for one time to live while it is loaded again
    allowed = ttl if cache == "lru" else 2 * ttl
    for at, price in seen:
        newest = sum(1 for moment in written if moment <= at - allowed - 0.2) - 1
        assert price >= newest


class Seen:
    """What the pipelines of this process put here; the runner runs them in threads of it."""

    _lock = threading.Lock()

    @staticmethod
    def add(item: Any) -> None:
        import tests.integration.lookup_seen as here

        with Seen._lock:
            here.ITEMS.append(item)

    @staticmethod
    def take() -> list[Any]:
        import tests.integration.lookup_seen as here

        items = list(here.ITEMS)
        here.ITEMS.clear()
        return items


# ---------------------------------------------------------------------------- full cache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_whole_table_is_exchanged_at_once_and_old_rows_serve_meanwhile(
    cluster: Cluster, emulator: Emulator
) -> None:
    table = table_of_one_row(cluster, "exchanged")
    options = LookupOptions(cache_ttl=timedelta(seconds=10), deadline=timedelta(seconds=5))
    lookup = EnrichFromDoris(cluster.doris, table=table, keys=["id"], cache="full", options=options)
    clock = Clock()
    full = FullCache(lookup.spec, clock)
    first = full.table()
    assert first == {1: ({"price": 0},)}
    cluster.sql(f"INSERT INTO {table} VALUES (1, 1), (2, 2)")
    clock.now = 10
    assert full.table() is first
    clock.now = 11
    assert full.table() is first, "old rows serve while new ones are loaded"
    wait_until(lambda: full.loads == 2)
    assert full.table() == {1: ({"price": 1},), 2: ({"price": 2},)}
    assert full.age == 0


def test_rows_that_are_too_old_are_an_error_not_an_answer(
    cluster: Cluster, emulator: Emulator
) -> None:
    table = table_of_one_row(cluster, "too_old")
    options = LookupOptions(
        cache_ttl=timedelta(seconds=10), deadline=timedelta(seconds=1), retries=0
    )
    doris = cluster.connection(retries=0)
    lookup = EnrichFromDoris(doris, table=table, keys=["id"], cache="full", options=options)
    clock = Clock()
    full = FullCache(lookup.spec, clock)
    first = full.table()
    emulator.faults.add(Rule(point="flight.info", action="status", args={"code": "internal"}))
    clock.now = 15
    assert full.table() is first
    wait_until(lambda: full.failed_loads == 1)
    assert full.table() is first
    clock.now = 21
    with pytest.raises(DorisError) as caught:
        full.table()
    assert caught.value.table == table
    emulator.faults.clear()
    assert full.table() == first


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_whole_table_is_read_by_thrift_where_flight_is_off(cluster: Cluster) -> None:
    table = table_of_one_row(cluster, "by_thrift")
    lookup = EnrichFromDoris(cluster.doris, table=table, keys=["id"], cache="full")
    full = FullCache(lookup.spec)
    from beam_doris.beam_support.client_pool import shared_client
    from beam_doris.client.frontend import Frontend
    from beam_doris.schema.python_values import to_tuples
    from beam_doris.schema.table_schema import TableSchema

    frontend = shared_client(Frontend, cluster.doris)
    source: Any = lookup.spec.source
    schema = TableSchema(table=source, columns=lookup.spec.selected)
    rows = [row for batch in full.scanned(frontend, source, schema) for row in to_tuples(batch)]
    assert rows == [(0, 1)]


# ------------------------------------------------------------------------------- metrics


def test_hits_misses_and_loads_are_counted(cluster: Cluster) -> None:
    table = table_of_one_row(cluster, "counted")
    p = pipeline()
    elements = p | beam.Create([{"id": 1}, {"id": 2}] * 50)
    _ = elements | EnrichFromDoris(
        cluster.doris,
        table=table,
        keys=["id"],
        options=LookupOptions(batch_size=2, parallel=False),
    )
    result = p.run()
    result.wait_until_finish()
    counts = {item.key.metric.name: item.committed for item in result.metrics().query()["counters"]}
    assert counts[LOOKUP_LOADS] == 1
    assert counts[LOOKUP_MISSES] == 2
    assert counts[LOOKUP_HITS] == 98
    assert counts["lookup_elements"] == 100
    assert counts["lookup_matched"] == 50


# ------------------------------------------------------------------------- Beam's handler


@pytest.fixture
def items(cluster: Cluster) -> str:
    name = f"fresh.items_{time.monotonic_ns()}"
    cluster.sql(f"CREATE TABLE {name} (id INT, v VARCHAR(9)) DUPLICATE KEY(id) {ONE}")
    cluster.sql(f"INSERT INTO {name} VALUES (1, 'a'), (1, 'b'), (2, NULL)")
    return name


def run_enrichment(handler: DorisEnrichmentHandler, ids: list[int]) -> list[Any]:
    with pipeline() as p:
        rows = p | beam.Create(ids) | beam.Select(id=int)
        out = rows | Enrichment(handler) | beam.Map(lambda row: (row.id, row.v))
        _ = out | beam.Map(Seen.add)
    return Seen.take()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [(1, "a"), (1, "a"), (1, "a"), (2, None), (9, None)]),
        ({"join": "inner"}, [(1, "a"), (1, "a"), (1, "a"), (2, None)]),
        ({"matches": "all"}, [(1, "a"), (1, "b")] * 3 + [(2, None), (9, None)]),
        ({"max_batch_size": 2}, [(1, "a"), (1, "a"), (1, "a"), (2, None), (9, None)]),
    ],
)
def test_enrichment_keeps_duplicates_and_what_has_no_match(
    cluster: Cluster, items: str, arguments: dict[str, Any], expected: list[Any]
) -> None:
    handler = DorisEnrichmentHandler(cluster.doris, table=items, keys=["id"], **arguments)
    found = run_enrichment(handler, [1, 2, 9, 1, 1])
    assert collections.Counter(found) == collections.Counter(expected)


def test_repeater_of_beam_repeats_what_may_be_repeated(
    cluster: Cluster, emulator: Emulator, items: str
) -> None:
    options = LookupOptions(retries=0, attempt_timeout=timedelta(seconds=1))
    handler = DorisEnrichmentHandler(cluster.doris, table=items, keys=["id"], options=options)
    emulator.faults.add(Rule(point="mysql.query", action="reset", count=1))
    assert run_enrichment(handler, [2]) == [(2, None)]
    assert len(emulator.faults.fired()) == 1


def test_errors_have_beams_classes(cluster: Cluster, emulator: Emulator, items: str) -> None:
    from apache_beam.io import requestresponse as rr

    options = LookupOptions(
        retries=0, attempt_timeout=timedelta(seconds=0.5), deadline=timedelta(seconds=0.5)
    )
    handler = DorisEnrichmentHandler(cluster.doris, table=items, keys=["id"], options=options)
    cases: list[tuple[Rule, type[Exception]]] = [
        (
            Rule(point="mysql.query", action="delay", args={"seconds": 2}),
            rr.UserCodeTimeoutException,
        ),
        (Rule(point="mysql.query", action="reset"), rr.UserCodeTimeoutException),
        (
            Rule(point="mysql.query", action="error", args={"message": "no", "code": 1054}),
            rr.UserCodeExecutionException,
        ),
    ]
    with handler:
        for rule, expected in cases:
            emulator.faults.add(rule)
            with pytest.raises(expected) as caught:
                handler([beam.Row(id=1)])
            assert type(caught.value) is expected
            assert isinstance(caught.value.__cause__, DorisError)
            emulator.faults.clear()
        assert handler(beam.Row(id=2)) == (beam.Row(id=2), beam.Row(v=None))


def test_cache_key_tells_requests_apart(cluster: Cluster, items: str) -> None:
    handler = DorisEnrichmentHandler(cluster.doris, table=items, keys={"a": "id"})
    one, text = beam.Row(a=1, other=2), beam.Row(a="1", other=3)
    assert handler.get_cache_key(one) == f"{items}:1"
    assert handler.get_cache_key([one, text]) == [f"{items}:1", f"{items}:'1'"]


def test_handler_goes_over_process_boundaries(cluster: Cluster, items: str) -> None:
    import pickle

    handler = DorisEnrichmentHandler(cluster.doris, table=items, keys=["id"])
    with pickle.loads(pickle.dumps(handler)) as there:
        assert there([beam.Row(id=2)]) == [(beam.Row(id=2), beam.Row(v=None))]


def test_answers_go_through_beams_redis_cache(
    cluster: Cluster, items: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apache_beam.io import requestresponse as rr

    from tests.integration import lookup_seen

    monkeypatch.setattr(rr, "redis", lookup_seen)
    lookup_seen.STORE.clear()
    handler = DorisEnrichmentHandler(cluster.doris, table=items, keys=["id"])
    for _ in range(2):
        with pipeline() as p:
            rows = p | beam.Create([1, 9, 1]) | beam.Select(id=int)
            cached = Enrichment(handler).with_redis_cache("127.0.0.1", 1)
            out = rows | cached | beam.Map(lambda row: (row.id, row.v))
            assert_that(out, equal_to([(1, "a"), (1, "a"), (9, None)]))
    assert sorted(lookup_seen.STORE) == [f"{items}:1".encode(), f"{items}:9".encode()]
