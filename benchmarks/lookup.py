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
"""Lookups by the ways in which they can be made; every pipeline is timed whole.

The emulator runs in a process of its own and parses SQL in Python, which costs it more per key
than a frontend; the ratios say how many round trips and how much work on this side are saved.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import apache_beam as beam
import pymysql
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_doris.emulator import EmulatorProcess
from beam_doris.lookup.reader import LookupReader
from beam_doris.lookup.transform import EnrichFromDoris
from beam_doris.options.connection import DorisConnection
from beam_doris.options.lookup import LookupOptions
from benchmarks.lookup_rivals import cloudsql_enrichment, install_stand_ins
from benchmarks.measure import Result, in_turn

ROWS = 20_000
# the most OR branches that the emulator's parser takes leave room for no more
RIVAL_BATCH = 400
COLUMNS = ("name", "price", "stock")
Transform = Callable[[], beam.PTransform]
_TABLE: dict[int, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Bench:
    """A running cluster with the dimension table `bench.items`."""

    doris: DorisConnection
    port: int

    def rows(self) -> dict[int, dict[str, Any]]:
        """The table as a dict."""
        with self.session() as cursor:
            cursor.execute("SELECT id, name, price, stock FROM bench.items")
            return {row[0]: dict(zip(COLUMNS, row[1:], strict=True)) for row in cursor.fetchall()}

    @contextmanager
    def session(self) -> Iterator[Any]:
        """A plain MySQL cursor."""
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True)
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


class Keys(beam.DoFn):
    """Makes the elements in the worker, so that no source is timed."""

    def __init__(self, keys: Sequence[int]) -> None:
        self._keys = keys

    def process(self, _: bytes) -> Iterator[dict[str, int]]:
        """All of them."""
        for number, key in enumerate(self._keys):
            yield {"id": key, "n": number}


class Count(beam.DoFn):
    """Holds what comes in against what was expected."""

    def __init__(self, expected: int) -> None:
        self._expected = expected

    def start_bundle(self) -> None:
        """Nothing yet."""
        self._seen = 0

    def process(self, _: Any) -> None:
        """One more."""
        self._seen += 1

    def finish_bundle(self) -> None:
        """Raises when elements were lost."""
        if self._seen != self._expected:
            raise AssertionError(f"{self._seen} of {self._expected} elements came out")


class OneByOne(beam.DoFn):
    """What a pipeline without a connector does: one query for each element, over one session."""

    def __init__(self, port: int) -> None:
        self._port = port

    def setup(self) -> None:
        """Opens the session."""
        self._connection = pymysql.connect(host="127.0.0.1", port=self._port, user="root")
        self._cursor = self._connection.cursor()

    def process(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """One round trip."""
        self._cursor.execute(
            "SELECT name, price, stock FROM bench.items WHERE id = %s", (row["id"],)
        )
        found = self._cursor.fetchone() or (None, None, None)
        return [{**row, **dict(zip(COLUMNS, found, strict=True))}]

    def teardown(self) -> None:
        """Closes it."""
        self._connection.close()


class FromDict(beam.DoFn):
    """The least that a join can cost."""

    def setup(self) -> None:
        """Takes the table from this module: it is not to be pickled in every round."""
        self._table = _TABLE

    def process(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """One join."""
        return [{**row, **self._table[row["id"]]}]


def run_pipeline(keys: Sequence[int], work: beam.PTransform, *, rows: bool = False) -> None:
    """One bundle through `work`."""
    pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner())
    elements = pipeline | beam.Impulse() | "Keys" >> beam.ParDo(Keys(keys))
    if rows:
        elements = elements | "Rows" >> beam.Map(lambda row: beam.Row(id=row["id"], n=row["n"]))
    _ = elements | "Work" >> work | "Count" >> beam.ParDo(Count(len(keys)))
    pipeline.run().wait_until_finish()


def run(quick: bool) -> list[Result]:
    """All cases."""
    with cluster() as bench:
        rounds = 1 if quick else 3
        return [
            batched(bench, rounds, quick),
            *against_cloudsql(bench, rounds, quick),
            *in_memory(bench, quick),
            *crossover(bench, quick),
        ]


@contextmanager
def cluster() -> Iterator[Bench]:
    """An emulated cluster with the table."""
    with EmulatorProcess(backends=3, seed=1) as emulator:
        ready = emulator.ready
        doris = DorisConnection(
            fenodes=f"127.0.0.1:{ready['fe_http']}", username="root", password=""
        )
        bench = Bench(doris, ready["fe_mysql"])
        with bench.session() as cursor:
            cursor.execute("CREATE DATABASE bench")
            cursor.execute(
                "CREATE TABLE bench.items (id INT, name VARCHAR(20), price DECIMAL(10, 2), "
                "stock BIGINT) UNIQUE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 3 "
                "PROPERTIES ('replication_num' = '1')"
            )
            for start in range(0, ROWS, 2000):
                values = ", ".join(
                    f"({key}, 'item {key}', {key}.25, {key * 7})"
                    for key in range(start, start + 2000)
                )
                cursor.execute(f"INSERT INTO bench.items VALUES {values}")
        yield bench


def enrichment(bench: Bench, cache: str, **options: Any) -> EnrichFromDoris:
    """A new lookup: it shares its cache with no other."""
    return EnrichFromDoris(
        bench.doris,
        table="bench.items",
        keys=["id"],
        columns=COLUMNS,
        cache=cache,
        options=LookupOptions(**options),
    )


def batched(bench: Bench, rounds: int, quick: bool) -> Result:
    """One query for a batch by one query for each element, without a cache."""
    many, few = (2000, 50) if quick else (8192, 200)
    ours, reference = in_turn(
        lambda: run_pipeline(range(many), enrichment(bench, "none")),
        lambda: run_pipeline(range(few), beam.ParDo(OneByOne(bench.port))),
        rounds=rounds,
    )
    return Result(
        name="lookup.batched",
        ours=many / ours.seconds,
        reference=few / reference.seconds,
        unit="rows/s",
        what_reference_is="a DoFn with one pymysql query for each element, over one session",
        target=20.0,
    )


def against_cloudsql(bench: Bench, rounds: int, quick: bool) -> list[Result]:
    """The same batches over the same port, on distinct keys and on keys of which 90 % repeat."""
    distinct = range(800 if quick else 4000)
    hot_count = 800 if quick else 16_000
    hot = [key % (hot_count // 10) for key in range(hot_count)]
    rival = "Beam's Enrichment with CloudSQLEnrichmentHandler on the MySQL port, same batch size"
    cases: list[tuple[str, Sequence[int], Transform, float | None]] = [
        (
            "lookup.vs_cloudsql_handler",
            distinct,
            lambda: enrichment(bench, "none", batch_size=RIVAL_BATCH),
            1.0,
        ),
        (
            "lookup.vs_cloudsql_handler_hot",
            hot,
            lambda: enrichment(bench, "lru", batch_size=RIVAL_BATCH),
            10.0,
        ),
    ]
    results = []
    for name, keys, ours, target in cases:
        mine, theirs = in_turn(
            lambda keys=keys, ours=ours: run_pipeline(keys, ours()),  # type: ignore[misc]
            lambda keys=keys: run_rival(bench, keys),  # type: ignore[misc]
            rounds=rounds,
        )
        results.append(_rates(name, len(keys), mine.seconds, theirs.seconds, rival, target))
    mine, theirs = in_turn(
        lambda: run_pipeline(distinct, _handler(bench), rows=True),
        lambda: run_rival(bench, distinct),
        rounds=rounds,
    )
    results.append(
        _rates("lookup.handler", len(distinct), mine.seconds, theirs.seconds, rival, None)
    )
    return results


def run_rival(bench: Bench, keys: Sequence[int]) -> None:
    """Beam's own handler; it gives one output for equal keys of a batch, so nothing is counted."""
    pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner())
    elements = (
        pipeline
        | beam.Impulse()
        | "Keys" >> beam.ParDo(Keys(keys))
        | "Rows" >> beam.Map(lambda row: beam.Row(id=row["id"], n=row["n"]))
    )
    _ = (
        elements
        | "Work" >> cloudsql_enrichment(bench.port, "bench.items", "id", COLUMNS, RIVAL_BATCH)
        | "End" >> beam.Map(lambda _: None)
    )
    pipeline.run().wait_until_finish()


def _handler(bench: Bench) -> beam.PTransform:
    install_stand_ins()
    from apache_beam.transforms.enrichment import Enrichment

    from beam_doris.lookup.handler import DorisEnrichmentHandler

    handler = DorisEnrichmentHandler(
        bench.doris,
        table="bench.items",
        keys=["id"],
        columns=COLUMNS,
        min_batch_size=RIVAL_BATCH,
        max_batch_size=RIVAL_BATCH,
        options=LookupOptions(cache_rows=0),
    )
    return Enrichment(handler)


def in_memory(bench: Bench, quick: bool) -> list[Result]:
    """Joins that need no server, by a DoFn that joins with a dict."""
    count = 20_000 if quick else 200_000
    _TABLE.update(bench.rows())
    hot = 1000
    keys = [key % hot for key in range(count)]
    what = "a DoFn doing {**row, **table[key]}, whole pipeline"
    results = []
    for name, cache, target in (
        ("lookup.cache_hit", "lru", 0.5),
        ("lookup.full", "full", None),
    ):
        # one transform: what it keeps stays with it, and is fetched in the round that is not timed
        transform = enrichment(bench, cache, cache_ttl=timedelta(minutes=30))
        ours, reference = in_turn(
            lambda transform=transform: run_pipeline(keys, transform),  # type: ignore[misc]
            lambda: run_pipeline(keys, beam.ParDo(FromDict())),
            rounds=1 if quick else 5,
        )
        results.append(_rates(name, count, ours.seconds, reference.seconds, what, target))
    return results


def crossover(bench: Bench, quick: bool) -> list[Result]:
    """Our own CPU for one query, over the MySQL protocol and over Flight."""
    results = []
    for keys in (512,) if quick else (512, 1024, 2048, 4096):
        costs = []
        for above in (1, ROWS):
            reader = LookupReader(enrichment(bench, "none", flight_above=above).spec)
            asked = list(itertools.islice(range(ROWS), keys))
            reader.fetch(asked)
            costs.append(statistics.median(_cpu(reader, asked) for _ in range(3 if quick else 5)))
            reader.close()
        results.append(
            Result(
                name=f"lookup.flight_by_mysql_{keys}",
                ours=costs[0] * 1e6 / keys,
                reference=costs[1] * 1e6 / keys,
                unit="CPU us/key",
                what_reference_is="the same keys over the MySQL protocol; CPU of the client alone",
                higher_is_better=False,
            )
        )
    return results


def _cpu(reader: LookupReader, keys: list[int]) -> float:
    begun = time.process_time()
    found = reader.fetch(keys)
    spent = time.process_time() - begun
    if not all(found[key] for key in keys):
        raise AssertionError("a key was not found")
    return spent


def _rates(
    name: str, count: int, ours: float, reference: float, what: str, target: float | None
) -> Result:
    return Result(
        name=name,
        ours=count / ours,
        reference=count / reference,
        unit="rows/s",
        what_reference_is=what,
        target=target,
    )
