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
"""Reads of a cluster that breaks: the right rows, or a typed error, and always in time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from beam_doris.beam_support.client_pool import drop_clients
from beam_doris.beam_support.metrics import ReadMetrics
from beam_doris.client import query_plan
from beam_doris.client.flight import FlightSession
from beam_doris.emulator import Emulator, Rule
from beam_doris.errors import (
    AuthError,
    ConnectError,
    DeadlineExceeded,
    DorisError,
    ProtocolError,
    SnapshotExpiredError,
    TransientError,
)
from beam_doris.options.connection import DorisConnection, Timeouts
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.read.planner import Planned, Planner
from beam_doris.read.request import ReadContext, ReadRequest
from beam_doris.read.stretch import StretchReader
from tests.fixtures.tcp_proxy import TcpProxy
from tests.integration.client_tables import Bench, bench_on, connection_to, lines

ROWS = 3000
TABLETS = 6
EXPECTED = list(range(ROWS))
PROTOCOLS = ["thrift", "flight"]


@pytest.fixture(scope="module")
def filled(emulator: Emulator) -> Iterator[Bench]:
    made = bench_on(emulator, replicas=3, buckets=TABLETS)
    made.loader.load(made.request("fill", two_phase=False), lines(*range(ROWS)))
    yield made
    made.close()


@pytest.fixture
def bench(filled: Bench) -> Iterator[Bench]:
    """The table; the cluster is whole again afterwards."""
    drop_clients()
    yield filled
    filled.emulator.faults.clear()
    for index in range(3):
        revive(filled.emulator, index)
    drop_clients()


def revive(emulator: Emulator, index: int) -> None:
    """Starts a backend again, which a fault may be killing just now."""
    deadline = time.monotonic() + 10
    while True:
        try:
            emulator.start_backend(index)
        except (OSError, pa.ArrowException):
            # its ports are not closed yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


class Read:
    """A read without a runner: planned, then read tablet by tablet as one bundle would.

    Args:
        bench: The table.
        protocol: thrift or flight.
        connection: Other than the table's own.
        tuning: Options of the read.
    """

    def __init__(
        self,
        bench: Bench,
        protocol: str = "thrift",
        *,
        connection: DorisConnection | None = None,
        **tuning: Any,
    ) -> None:
        self.connection = connection or bench.connection
        self.options = ReadOptions(
            **{"protocol": protocol, "batch_rows": 100, "prefetch": False, **tuning}
        )
        planner = Planner(ReadContext(connection=self.connection, options=self.options))
        columns = self.options.columns or ("id",)
        self.planned: Planned = planner.plan(ReadRequest(table=bench.table, columns=columns))

    def batches(self) -> Iterator[list[int]]:
        """The ids of each batch."""
        plan = self.planned.plan
        reader = StretchReader(self.connection, self.options, plan, ReadMetrics())
        with contextlib.closing(reader):
            for number, group in enumerate(plan.tablets.groups):
                for position in range(len(group.tablets)):
                    for batch in reader.tablets(number, [position]):
                        yield batch.column(0).to_pylist()
            reader.finish()

    def rows(self, after: Callable[[int], None] = lambda number: None) -> list[int]:
        """All ids, sorted; `after` is called behind each batch, with its number."""
        found: list[int] = []
        for number, ids in enumerate(self.batches()):
            found += ids
            after(number)
        return sorted(found)


def at(when: int, act: Callable[[], object]) -> Callable[[int], None]:
    """Acts once, behind a certain batch."""

    def after(number: int) -> None:
        if number == when:
            act()

    return after


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block ends in time."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def quick(bench: Bench, **changes: Any) -> DorisConnection:
    """A connection that notices a silent peer after a second."""
    times = Timeouts(
        connect=timedelta(seconds=1), read=timedelta(seconds=1), query=timedelta(seconds=20)
    )
    return connection_to(bench.emulator, timeouts=times, retries=2, **changes)


# ---------------------------------------------------------------------------- backends that die


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("spool", [False, True])
def test_a_backend_that_is_dead_before_the_scan_is_passed_over(
    bench: Bench, protocol: str, spool: bool
) -> None:
    read = Read(bench, protocol, spool_tablet=spool)
    bench.emulator.stop_backend(1)
    with within(15):
        assert read.rows() == EXPECTED


@pytest.mark.parametrize("spool", [False, True])
def test_a_backend_that_dies_in_the_middle_of_a_tablet(bench: Bench, spool: bool) -> None:
    read = Read(bench, spool_tablet=spool)
    bench.emulator.faults.add(Rule(point="scan.next", action="kill_backend", nth=3))
    with within(15):
        if spool:
            assert read.rows() == EXPECTED
        else:
            with pytest.raises(TransientError, match="broke off") as failure:
                read.rows()
            assert failure.value.host is not None
            assert failure.value.table == str(bench.table)
    assert bench.fired("scan.next") == 1


def test_a_backend_that_dies_after_a_tablet_harms_no_other(bench: Bench) -> None:
    read = Read(bench, batch_rows=60_000, spool_tablet=True)
    assert read.rows(at(0, lambda: bench.emulator.stop_backend(0))) == EXPECTED


@pytest.mark.parametrize("spool", [False, True])
def test_a_flight_stream_that_ends_early(bench: Bench, spool: bool) -> None:
    read = Read(bench, "flight", spool_tablet=spool)
    bench.emulator.faults.add(Rule(point="flight.get", action="half_response", nth=2))
    with within(15):
        if spool:
            assert read.rows() == EXPECTED
        else:
            with pytest.raises(TransientError, match="broke off"):
                read.rows()
    assert bench.fired("flight.get") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_backend_at_all_is_a_typed_error(bench: Bench, protocol: str) -> None:
    read = Read(bench, protocol)
    for index in range(3):
        bench.emulator.stop_backend(index)
    with within(20), pytest.raises(DorisError):
        read.rows()


@pytest.mark.parametrize("action", ["reset", "close", "half_response", "reset_after"])
@pytest.mark.parametrize("point", ["scan.open", "scan.next"])
def test_a_spooled_tablet_survives_every_broken_answer(
    bench: Bench, point: str, action: str
) -> None:
    for nth in (1, 3, 5):
        bench.emulator.faults.add(Rule(point=point, action=action, nth=nth))
    with within(15):
        assert Read(bench, spool_tablet=True).rows() == EXPECTED
    assert bench.fired(point) == 3


@pytest.mark.parametrize("action", ["reset", "unavailable"])
@pytest.mark.parametrize("point", ["flight.info", "flight.get"])
def test_a_flight_read_survives_a_refusal_before_its_first_row(
    bench: Bench, point: str, action: str
) -> None:
    args = {"code": action} if action == "unavailable" else {}
    rule = Rule(point=point, action="status" if args else action, nth=3, args=args)
    bench.emulator.faults.add(rule)
    with within(15):
        assert Read(bench, "flight").rows() == EXPECTED
    assert bench.fired(point) == 1


def test_a_session_that_the_server_ended_is_opened_anew(bench: Bench) -> None:
    ended = {"code": "unauthenticated", "message": "invalid bearer token"}
    bench.emulator.faults.add(Rule(point="flight.info", action="status", nth=3, args=ended))
    assert Read(bench, "flight").rows() == EXPECTED
    assert bench.fired("flight.info") == 1
    bench.emulator.faults.clear()
    # but a session that never worked is refused for good
    bench.emulator.faults.add(Rule(point="flight.info", action="status", args=ended))
    with pytest.raises(AuthError):
        Read(bench, "flight").rows()
    assert bench.fired("flight.info") == 1


def test_what_keeps_failing_fails_after_its_retries(bench: Bench) -> None:
    bench.emulator.faults.add(Rule(point="scan.open", action="reset"))
    read = Read(bench)
    with within(15), pytest.raises(ConnectError):
        read.rows()
    assert bench.fired("scan.open") == bench.connection.retries + 1


# -------------------------------------------------------------------------- peers that stand still


@pytest.mark.parametrize("point", ["scan.open", "scan.next"])
def test_a_thrift_scan_that_stands_still_is_read_elsewhere(bench: Bench, point: str) -> None:
    bench.emulator.faults.add(Rule(point=point, action="hang", nth=1, args={"seconds": 8}))
    with within(8):
        assert Read(bench, connection=quick(bench)).rows() == EXPECTED
    assert bench.fired(point) == 1


@pytest.mark.parametrize("point", ["flight.info", "flight.get"])
def test_a_flight_scan_that_stands_still_is_read_again(bench: Bench, point: str) -> None:
    bench.emulator.faults.add(Rule(point=point, action="hang", nth=2, args={"seconds": 8}))
    with within(8):
        assert Read(bench, "flight", connection=quick(bench)).rows() == EXPECTED
    assert bench.fired(point) == 1


def test_a_slow_server_is_no_dead_one(bench: Bench) -> None:
    rule = Rule(point="flight.get", action="slow_body", nth=1, args={"seconds": 0.3})
    bench.emulator.faults.add(rule)
    assert Read(bench, "flight", connection=quick(bench)).rows() == EXPECTED


# -------------------------------------------------------------------------------- bad answers


def test_a_truncated_batch_is_a_typed_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from beam_doris.emulator import thrift_server

    whole = thrift_server._stream
    monkeypatch.setattr(thrift_server, "_stream", lambda batch: whole(batch)[:-200])
    with within(10), pytest.raises(ProtocolError, match="not an Arrow stream"):
        Read(bench).rows()


@pytest.mark.parametrize("spool", [False, True])
def test_an_offset_that_the_server_refuses(bench: Bench, spool: bool) -> None:
    # what Doris says when the two sides count differently, or the scan was forgotten (P 5.3)
    lost = {"code": 31, "message": "context_id=7, send_offset=100, context_offset=200"}
    bench.emulator.faults.add(Rule(point="scan.next", action="status", nth=2, args=lost))
    read = Read(bench, spool_tablet=spool)
    if spool:
        assert read.rows() == EXPECTED
    else:
        with pytest.raises(TransientError, match="broke off"):
            read.rows()


def test_a_scan_that_the_backend_forgot_is_begun_again(bench: Bench) -> None:
    lost = {"code": 31, "message": "context_id: 12-34 not found"}
    bench.emulator.faults.add(Rule(point="scan.next", action="status", nth=1, args=lost))
    assert Read(bench).rows() == EXPECTED


# ------------------------------------------------------------------- a network between them


@pytest.fixture
def backends(bench: Bench) -> Iterator[list[TcpProxy]]:
    """A proxy before the scan port of each backend."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(TcpProxy(target)) for target in bench.emulator.be_thrift]


def behind(bench: Bench, backends: list[TcpProxy], **changes: Any) -> DorisConnection:
    """A connection that reaches the scan ports only by the proxies."""
    mapped = {
        f"{host}:{port}": proxy.address
        for (host, port), proxy in zip(bench.emulator.be_thrift, backends, strict=True)
    }
    return quick(bench, host_map=mapped, **changes)


def test_a_deaf_backend_is_passed_over(bench: Bench, backends: list[TcpProxy]) -> None:
    backends[0].deaf = True
    with within(15):
        assert Read(bench, connection=behind(bench, backends)).rows() == EXPECTED


def test_a_backend_out_of_reach_is_passed_over(bench: Bench, backends: list[TcpProxy]) -> None:
    backends[2].stop()
    assert Read(bench, connection=behind(bench, backends)).rows() == EXPECTED


def test_connections_that_break_anywhere_lose_and_double_nothing(
    bench: Bench, backends: list[TcpProxy]
) -> None:
    connection = behind(bench, backends)
    for cut_after in (1, 700, 2500):
        backends[1].cut_after = cut_after
        with within(15):
            assert Read(bench, connection=connection, spool_tablet=True).rows() == EXPECTED


def test_a_slow_network_only_takes_its_time(bench: Bench, backends: list[TcpProxy]) -> None:
    backends[0].bytes_per_second = 100_000
    assert Read(bench, connection=behind(bench, backends)).rows() == EXPECTED


@pytest.fixture
def two_frontends(bench: Bench) -> Iterator[tuple[TcpProxy, DorisConnection]]:
    """The frontend once by a proxy and once as it is."""
    host, port = bench.emulator.fe_http
    with TcpProxy((host, port)) as proxy:
        nodes = f"{proxy.address},{host}:{port}"
        yield proxy, quick(bench, fenodes=nodes, flight_port=bench.emulator.fe_flight[1])


@pytest.mark.parametrize("how", ["stop", "deaf"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_frontend_that_is_gone_is_passed_over(
    bench: Bench, two_frontends: tuple[TcpProxy, DorisConnection], how: str, protocol: str
) -> None:
    proxy, connection = two_frontends
    if how == "stop":
        proxy.stop()
    else:
        proxy.deaf = True
    with within(20):
        assert Read(bench, protocol, connection=connection).rows() == EXPECTED


def test_a_frontend_that_dies_during_a_thrift_read_is_not_missed(bench: Bench) -> None:
    host, port = bench.emulator.fe_http
    with TcpProxy((host, port)) as proxy:
        read = Read(bench, connection=quick(bench, fenodes=proxy.address))
        proxy.stop()
        assert read.rows() == EXPECTED


def test_a_frontend_that_dies_during_a_flight_read_is_a_typed_error(bench: Bench) -> None:
    with TcpProxy(bench.emulator.fe_flight) as proxy:
        connection = quick(bench, flight_port=proxy.port)
        read = Read(bench, "flight", connection=connection)
        with within(20), pytest.raises(DorisError) as failure:
            read.rows(at(0, proxy.stop))
        assert failure.value.retryable


def test_a_deaf_frontend_ends_a_flight_read_in_time(bench: Bench) -> None:
    with TcpProxy(bench.emulator.fe_flight) as proxy:
        connection = replace(quick(bench, flight_port=proxy.port), retries=0)
        read = Read(bench, "flight", connection=connection)
        proxy.deaf = True
        with within(20), pytest.raises((ConnectError, DeadlineExceeded)):
            read.rows()


# ------------------------------------------------------------------------------------- flight


def test_flight_locations_are_reached_by_the_host_map(bench: Bench) -> None:
    with contextlib.ExitStack() as stack:
        proxies = [stack.enter_context(TcpProxy(target)) for target in bench.emulator.be_flight]
        mapped = {
            f"{host}:{port}": proxy.address
            for (host, port), proxy in zip(bench.emulator.be_flight, proxies, strict=True)
        }
        assert Read(bench, "flight", connection=quick(bench, host_map=mapped)).rows() == EXPECTED
        assert sum(proxy.passed for proxy in proxies) > 8 * ROWS / 2


def test_a_deaf_backend_ends_a_flight_read_in_time(bench: Bench) -> None:
    with contextlib.ExitStack() as stack:
        proxies = [stack.enter_context(TcpProxy(target)) for target in bench.emulator.be_flight]
        mapped = {
            f"{host}:{port}": proxy.address
            for (host, port), proxy in zip(bench.emulator.be_flight, proxies, strict=True)
        }
        for proxy in proxies:
            proxy.deaf = True
        connection = replace(quick(bench, host_map=mapped), retries=1)
        with within(10), pytest.raises(DorisError) as failure:
            Read(bench, "flight", connection=connection).rows()
        assert failure.value.retryable


def test_a_message_beyond_the_limit_names_the_option(bench: Bench) -> None:
    connection = replace(bench.connection, retries=0)
    read = Read(bench, "flight", connection=connection, flight_message_bytes=512)
    with pytest.raises(DorisError) as failure:
        read.rows()
    assert "flight_message_bytes" in str(failure.value)


def test_the_endpoints_of_a_query_are_fetched_in_parallel(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()
    fetch = FlightSession.fetch

    def noted(self: FlightSession, *arguments: Any) -> Any:
        threads.add(threading.current_thread().name)
        return fetch(self, *arguments)

    monkeypatch.setattr(FlightSession, "fetch", noted)
    options = ReadOptions(prefetch=False)
    planner = Planner(ReadContext(connection=bench.connection, options=options))
    query = f"SELECT id FROM {bench.table.sql()}"
    plan = planner.plan(ReadRequest(query=query)).plan
    reader = StretchReader(bench.connection, options, plan, ReadMetrics())
    with contextlib.closing(reader):
        rows = [one for batch in reader.statement() for one in batch.column(0).to_pylist()]
    assert sorted(rows) == EXPECTED
    assert len([name for name in threads if name.startswith("flight-")]) > 1


# ------------------------------------------------------------------------------- consistency


@pytest.fixture
def moving(emulator: Emulator) -> Iterator[Bench]:
    """A table of its own that a test may change."""
    drop_clients()
    made = bench_on(emulator, buckets=4)
    made.loader.load(made.request("one", two_phase=False), lines(*range(100)))
    yield made
    made.close()
    drop_clients()


def compact(bench: Bench) -> None:
    """Makes all versions but the newest unreadable."""
    engine = bench.emulator.engine
    engine.storage.compact(engine.catalog.table(bench.table.database, bench.table.table))


def load_more(bench: Bench) -> None:
    """A hundred rows more."""
    bench.loader.load(bench.request("two", two_phase=False), lines(*range(100, 200)))


def test_a_snapshot_sees_no_load_that_comes_later(moving: Bench) -> None:
    read = Read(moving, "auto", consistency="snapshot")
    load_more(moving)
    assert read.planned.plan.protocol is ReadProtocol.THRIFT
    assert read.rows() == list(range(100))
    middle = Read(moving, "auto", consistency="snapshot")
    rows = middle.rows(
        at(0, lambda: moving.sql.execute(f"DELETE FROM {moving.table.sql()} WHERE id >= 0"))
    )
    assert rows == list(range(200))


def test_a_snapshot_that_was_merged_away_is_a_typed_error(moving: Bench) -> None:
    read = Read(moving, "auto", consistency="snapshot")
    load_more(moving)
    compact(moving)
    with pytest.raises(SnapshotExpiredError) as failure:
        read.rows()
    assert failure.value.table == str(moving.table)
    assert failure.value.hint


def test_the_latest_over_thrift_is_planned_again_when_it_was_merged_away(moving: Bench) -> None:
    read = Read(moving, "thrift", consistency="latest")
    load_more(moving)
    # the plan's versions are kept as long as they are there ...
    assert read.rows() == list(range(100))
    compact(moving)
    # ... and newer ones are read when they are not
    assert read.rows() == list(range(200))


def test_the_latest_over_flight_sees_what_is_visible_when_it_is_read(moving: Bench) -> None:
    read = Read(moving, "flight")
    load_more(moving)
    assert read.rows() == list(range(200))


def test_the_latest_never_plans_again_what_was_emitted(moving: Bench) -> None:
    merged = {"code": 45, "message": "version already merged"}
    moving.emulator.faults.add(Rule(point="scan.next", action="status", nth=2, args=merged))
    with pytest.raises(TransientError, match="broke off"):
        Read(moving, "thrift", batch_rows=5).rows()
    moving.emulator.faults.clear()
    moving.emulator.faults.add(Rule(point="scan.next", action="status", nth=2, args=merged))
    assert Read(moving, "thrift", batch_rows=5, spool_tablet=True).rows() == list(range(100))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("consistency", ["latest", "snapshot"])
@pytest.mark.parametrize("change", ["TRUNCATE TABLE {}", "DROP TABLE {}"])
def test_tablets_that_are_gone_are_a_typed_error(
    moving: Bench, protocol: str, consistency: str, change: str
) -> None:
    if (protocol, consistency) == ("flight", "snapshot"):
        protocol = "auto"
    read = Read(moving, protocol, consistency=consistency)
    moving.sql.execute(change.format(moving.table.sql()))
    with pytest.raises(DorisError) as failure:
        read.rows()
    assert not failure.value.retryable
    if change.startswith("TRUNCATE"):
        assert isinstance(failure.value, SnapshotExpiredError)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_partition_dropped_after_the_plan_is_a_typed_error(
    emulator: Emulator, protocol: str
) -> None:
    made = bench_on(
        emulator,
        "id INT NOT NULL, name VARCHAR(40)",
        model=lambda: (
            "DUPLICATE KEY(id) PARTITION BY RANGE(id) (PARTITION a VALUES LESS THAN ('50'), "
            "PARTITION b VALUES LESS THAN ('100'))"
        ),
    )
    try:
        made.loader.load(made.request("one", two_phase=False), lines(*range(100)))
        read = Read(made, protocol)
        made.sql.execute(f"ALTER TABLE {made.table.sql()} DROP PARTITION a")
        with pytest.raises(SnapshotExpiredError, match="gone"):
            read.rows()
        assert Read(made, protocol).rows() == list(range(50, 100))
    finally:
        made.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_column_added_after_the_plan_changes_nothing_and_one_dropped_is_typed(
    moving: Bench, protocol: str
) -> None:
    read = Read(moving, protocol)
    named = Read(moving, protocol, columns=("id", "name"))
    moving.sql.execute(f"ALTER TABLE {moving.table.sql()} ADD COLUMN extra INT NULL")
    assert read.rows() == list(range(100))
    moving.sql.execute(f"ALTER TABLE {moving.table.sql()} DROP COLUMN name")
    assert read.rows() == list(range(100))
    with pytest.raises(DorisError) as failure:
        named.rows()
    assert not failure.value.retryable
    assert "name" in str(failure.value)


def test_tablets_that_flight_silently_leaves_out_are_noticed(
    moving: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an older server gives no rows for a tablet that is gone, and no error (P 12, trap 36)
    from beam_doris.emulator.sql.sources import SessionSources

    monkeypatch.setattr(SessionSources, "_check_tablets", staticmethod(lambda table, tablets: None))
    read = Read(moving, "flight")
    moving.sql.execute(f"TRUNCATE TABLE {moving.table.sql()}")
    with pytest.raises(SnapshotExpiredError, match="gone"):
        read.rows()


def test_rows_come_in_another_order_on_every_scan(bench: Bench) -> None:
    # what makes skipping rows after a failure wrong, and such a failure visible here
    orders = {tuple(ids for batch in Read(bench).batches() for ids in batch) for _ in range(2)}
    assert len(orders) == 2


def test_the_kept_plan_is_the_one_of_the_servers_answer(bench: Bench) -> None:
    read = Read(bench)
    told = query_plan.choose_backends(bench.frontend.plan(bench.table, ["id"]))
    planned = {one for group in read.planned.plan.tablets.groups for one in group.tablets}
    assert planned == {one for group in told for one in group.tablets}
