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
"""Every source option of the Flink connector's manual does what it says, by its key."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from beam_doris.beam_support.client_pool import drop_clients
from beam_doris.beam_support.metrics import ReadMetrics
from beam_doris.client import byte_stream
from beam_doris.client.batch_queue import BatchQueue
from beam_doris.client.flight import FlightSession
from beam_doris.client.thrift_transport import ThriftConnection
from beam_doris.emulator import Emulator, Rule
from beam_doris.errors import ConnectError, DorisError, TransientError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.flink_keys import FLINK_KEYS, Section
from beam_doris.options.reading import ReadOptions
from beam_doris.options.table_id import TableId
from beam_doris.read.planner import Planner
from beam_doris.read.request import ReadContext, ReadRequest, merged_request
from beam_doris.read.stretch import StretchReader
from tests.integration.client_tables import Bench, bench_on, lines

ROWS = 600


@pytest.fixture(scope="module")
def filled(emulator: Emulator) -> Iterator[Bench]:
    made = bench_on(emulator, buckets=6)
    made.loader.load(made.request("fill", two_phase=False), lines(*range(ROWS)))
    yield made
    made.close()


@pytest.fixture
def bench(filled: Bench) -> Iterator[Bench]:
    drop_clients()
    yield filled
    filled.emulator.faults.clear()
    drop_clients()


@dataclass
class Observed:
    """What went over the wire, and what came out."""

    opened: list[Any] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    queues: list[tuple[int, int]] = field(default_factory=list)
    connects: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    splits: list[int] = field(default_factory=list)
    error: DorisError | None = None
    seconds: float = 0.0


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Observed:
    """Notes what the clients do."""
    seen = Observed()
    call, query = ThriftConnection.call, FlightSession.query
    make, connect = BatchQueue.__init__, byte_stream.SocketConnector.__call__
    stream = byte_stream.SocketStream.__init__

    def called(self: Any, method: str, params: Any, deadline: Any) -> Any:
        if method == "open_scanner":
            seen.opened.append(params)
        seen.threads.add(threading.current_thread().name)
        return call(self, method, params, deadline)

    def queried(self: Any, sql: str, **more: Any) -> Any:
        seen.statements.append(sql)
        return query(self, sql, **more)

    def made(self: Any, max_batches: int, max_bytes: int) -> None:
        seen.queues.append((max_batches, max_bytes))
        make(self, max_batches, max_bytes)

    def connected(self: Any, node: Any, *, tls: bool, timeout: float, deadline: Any) -> Any:
        seen.connects.append(timeout)
        return connect(self, node, tls=tls, timeout=timeout, deadline=deadline)

    def streamed(self: Any, sock: Any, node: Any, idle_timeout: float) -> None:
        seen.idle.append(idle_timeout)
        stream(self, sock, node, idle_timeout)

    monkeypatch.setattr(ThriftConnection, "call", called)
    monkeypatch.setattr(FlightSession, "query", queried)
    monkeypatch.setattr(BatchQueue, "__init__", made)
    monkeypatch.setattr(byte_stream.SocketConnector, "__call__", connected)
    monkeypatch.setattr(byte_stream.SocketStream, "__init__", streamed)
    return seen


def run(bench: Bench, properties: dict[str, str], seen: Observed) -> Observed:
    """Reads by the keys of the manual alone."""
    host, port = bench.emulator.fe_http
    keys = {
        "connector": "doris",
        "fenodes": f"{host}:{port}",
        "username": "root",
        "password": "",
        "table.identifier": str(bench.table),
        **properties,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connection = DorisConnection.from_properties(keys)
        options = ReadOptions.from_properties(keys)
    context = ReadContext(connection=connection, options=options)
    request = merged_request(ReadRequest(table=TableId.from_properties(keys)), options)
    started = time.monotonic()
    try:
        planned = Planner(context).plan(request)
        seen.names = list(planned.plan.schema.names)
        seen.splits = [task.per_split for task in planned.tasks]
        reader = StretchReader(context.cluster(), options, planned.plan, ReadMetrics())
        with contextlib.closing(reader):
            for number, group in enumerate(planned.plan.tablets.groups):
                for batch in reader.tablets(number, range(len(group.tablets))):
                    # a consumer that gains by fetching ahead
                    time.sleep(0.01)
                    seen.batches.append(batch.num_rows)
                    seen.rows += batch.column("id").to_pylist()
    except DorisError as error:
        seen.error = error
    seen.seconds = time.monotonic() - started
    return seen


Check = Callable[[Observed], bool]

CASES: list[tuple[str, str, Check]] = [
    ("fenodes", "", lambda seen: seen.error is None and len(seen.rows) == ROWS),
    ("doris.request.query.timeout", "77s", lambda s: s.opened[0].query_timeout in (77, 78)),
    ("doris.request.query.timeout.s", "55", lambda s: s.opened[0].query_timeout in (55, 56)),
    ("doris.request.tablet.size", "3", lambda seen: set(seen.splits) == {3}),
    ("doris.request.tablet.size", "1", lambda seen: set(seen.splits) == {1}),
    ("doris.batch.size", "50", lambda s: s.opened[0].batch_size == 50 and max(s.batches) <= 50),
    ("doris.exec.mem.limit", "64mb", lambda seen: seen.opened[0].mem_limit == 64 << 20),
    (
        "doris.deserialize.arrow.async",
        "true",
        lambda seen: "prefetch" in seen.threads and len(seen.queues) > 0,
    ),
    (
        "doris.deserialize.arrow.async",
        "false",
        lambda seen: "prefetch" not in seen.threads and not seen.queues,
    ),
    ("doris.request.connect.timeout", "7s", lambda seen: set(seen.connects) == {7.0}),
    ("doris.request.connect.timeout.ms", "9000", lambda seen: set(seen.connects) == {9.0}),
    ("doris.request.read.timeout", "8s", lambda seen: set(seen.idle) == {8.0}),
    ("source.use-flight-sql", "true", lambda s: len(s.statements) > 0 and not s.opened),
    ("source.use-flight-sql", "false", lambda s: not s.statements and len(s.opened) > 0),
    ("doris.read.field", "id", lambda seen: seen.names == ["id"]),
    ("doris.read.field", "name,id", lambda seen: seen.names == ["name", "id"]),
    ("doris.filter.query", "id < 7 or id = 9", lambda s: sorted(s.rows) == [*range(7), 9]),
]


@pytest.mark.parametrize(
    ("key", "value", "check"), CASES, ids=[f"{key}={value}" for key, value, _ in CASES]
)
def test_a_key_has_its_effect(
    bench: Bench, watch: Observed, key: str, value: str, check: Check
) -> None:
    seen = run(bench, {key: value} if value else {}, watch)
    assert seen.error is None
    assert check(seen)


def test_the_queue_has_the_size_that_is_asked_for(bench: Bench, watch: Observed) -> None:
    keys = {
        "doris.deserialize.arrow.async": "true",
        "doris.deserialize.queue.size": "3",
        "doris.batch.size": "20",
    }
    assert {batches for batches, _ in run(bench, keys, watch).queues} == {3}


def test_the_flight_port_is_the_one_that_is_given(bench: Bench, watch: Observed) -> None:
    flight = {"source.use-flight-sql": "true", "doris.request.retries": "0"}
    port = str(bench.emulator.fe_flight[1])
    seen = run(bench, {**flight, "source.flight-sql-port": port}, watch)
    assert sorted(seen.rows) == list(range(ROWS))
    drop_clients()
    wrong = str(bench.emulator.fe_http[1])
    seen = run(bench, {**flight, "source.flight-sql-port": wrong}, Observed())
    assert isinstance(seen.error, DorisError)


@pytest.mark.parametrize("retries", [0, 2])
def test_a_scan_is_tried_as_often_as_is_asked_for(
    bench: Bench, watch: Observed, retries: int
) -> None:
    bench.emulator.faults.add(Rule(point="scan.open", action="reset"))
    seen = run(bench, {"doris.request.retries": str(retries)}, watch)
    assert isinstance(seen.error, ConnectError)
    assert bench.fired("scan.open") == retries + 1


def test_the_read_timeout_ends_the_wait_for_a_batch(bench: Bench, watch: Observed) -> None:
    bench.emulator.faults.add(Rule(point="scan.next", action="hang", args={"seconds": 8}))
    keys = {"doris.request.read.timeout": "1s", "doris.request.retries": "0"}
    seen = run(bench, keys, watch)
    assert isinstance(seen.error, TransientError)
    assert 0.9 < seen.seconds < 6


def test_a_filter_cannot_reach_beyond_itself(bench: Bench, watch: Observed) -> None:
    from beam_doris.errors import ConfigError

    for nasty in ("1=1) OR (1=1", "1=1; DROP TABLE x", "1=1 -- ", "name = 'x"):
        with pytest.raises(ConfigError):
            run(bench, {"doris.filter.query": nasty}, watch)


def test_every_source_key_with_a_field_is_tried_here() -> None:
    tried = {key for key, _, _ in CASES} | {
        "doris.deserialize.queue.size",
        "source.flight-sql-port",
    }
    with_effect = {key.name for key in FLINK_KEYS if key.section is Section.READ and key.field}
    assert with_effect <= tried
