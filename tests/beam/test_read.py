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
"""Reading from the emulated cluster, over both protocols."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to, is_empty

from beam_doris import ConfigError, ReadFromDoris, ReadOptions, ReadProtocol
from beam_doris.emulator import Rule
from beam_doris.errors import AuthError, ConnectError, TransientError
from tests.beam.cluster import Cluster, pipeline

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

ROWS = 3_000
PROTOCOLS = [ReadProtocol.THRIFT, ReadProtocol.FLIGHT]


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A table of twelve tablets on three backends, and an empty one."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE reading")
    for name in ("events", "nothing"):
        cluster.sql(
            f"CREATE TABLE reading.{name} (id BIGINT NOT NULL, day DATE, at DATETIME(6), "
            "price DECIMAL(12, 2), big LARGEINT, tags ARRAY<STRING>, name VARCHAR(64), "
            "tiny TINYINT) "
            "DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 12 "
            'PROPERTIES ("replication_num" = "3")'
        )
    for start in range(0, ROWS, 500):
        values = ", ".join(
            f"({i}, '2024-02-{i % 28 + 1:02d}', '2024-01-01 00:00:{i % 60:02d}.{i:06d}', "
            f"{i}.25, {10**30 + i}, ['a{i}', NULL], 'n{i}', {-(i % 100)})"
            for i in range(start, start + 500)
        )
        cluster.sql(f"INSERT INTO reading.events VALUES {values}")
    return cluster


@pytest.fixture
def faults(cluster: Cluster) -> Iterator[Any]:
    """The cluster's fault plan, emptied in the end."""
    plan = cluster.emulator.faults
    yield plan
    plan.clear()


def read(cluster: Cluster, protocol: ReadProtocol = ReadProtocol.THRIFT, **more: Any) -> Any:
    """A read of the events."""
    options = ReadOptions(protocol=protocol, batch_rows=100)
    return ReadFromDoris(cluster.doris, **{"table": "reading.events", "options": options, **more})


def expected(i: int) -> tuple[Any, ...]:
    """What row i holds."""
    return (
        i,
        datetime.date(2024, 2, i % 28 + 1),
        datetime.datetime(2024, 1, 1, 0, 0, i % 60, i),
        Decimal(f"{i}.25"),
        10**30 + i,
        [f"a{i}", None],
        f"n{i}",
        -(i % 100),
    )


NAMES = ("id", "day", "at", "price", "big", "tags", "name", "tiny")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tuples_are_exact(cluster: Cluster, protocol: ReadProtocol) -> None:
    with pipeline() as p:
        rows = p | read(cluster, protocol, output="tuple")
        assert_that(rows, equal_to([expected(i) for i in range(ROWS)]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dicts_are_exact(cluster: Cluster, protocol: ReadProtocol) -> None:
    with pipeline() as p:
        rows = p | read(cluster, protocol, output="dict", filter="id < 100")
        dicts = [dict(zip(NAMES, expected(i), strict=True)) for i in range(100)]
        assert_that(rows, equal_to(dicts))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_rows_are_exact_even_after_a_shuffle(cluster: Cluster, protocol: ReadProtocol) -> None:
    with pipeline() as p:
        rows = p | read(cluster, protocol, filter="id < 200") | beam.Reshuffle()
        values = rows | beam.Map(lambda row: tuple(getattr(row, name) for name in NAMES))
        assert_that(values, equal_to([expected(i) for i in range(200)]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_projection_and_filter_are_the_server_s(cluster: Cluster, protocol: ReadProtocol) -> None:
    with pipeline() as p:
        rows = p | read(
            cluster,
            protocol,
            output="tuple",
            columns=["name", "id"],
            filter="id < 5 OR name = 'n77'",
        )
        assert_that(rows, equal_to([(f"n{i}", i) for i in (0, 1, 2, 3, 4, 77)]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("output", ["row", "dict", "arrow"])
def test_an_empty_table_gives_an_empty_result(
    cluster: Cluster, protocol: ReadProtocol, output: str
) -> None:
    with pipeline() as p:
        rows = p | read(cluster, protocol, table="reading.nothing", output=output)
        assert_that(rows, is_empty())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_filter_that_excludes_everything_gives_an_empty_result(
    cluster: Cluster, protocol: ReadProtocol
) -> None:
    with pipeline() as p:
        assert_that(p | read(cluster, protocol, filter="1 = 0"), is_empty())


def test_arrow_batches_hold_canonical_types(cluster: Cluster) -> None:
    with pipeline() as p:
        batches = p | read(cluster, output="arrow", columns=["id", "at", "price"])
        types = batches | beam.Map(lambda b: tuple(str(t) for t in b.schema.types))
        assert_that(
            types | beam.Distinct(), equal_to([("int64", "timestamp[us]", "decimal128(12, 2)")])
        )


@pytest.mark.parametrize(
    ("protocol", "mode"),
    [
        (ReadProtocol.THRIFT, "multi_threading"),
        (ReadProtocol.AUTO, "multi_threading"),
        (ReadProtocol.THRIFT, "multi_processing"),
        (ReadProtocol.FLIGHT, "multi_processing"),
    ],
)
def test_two_workers_read_every_row_once(
    cluster: Cluster, protocol: ReadProtocol, mode: str
) -> None:
    with pipeline(direct_num_workers=2, direct_running_mode=mode) as p:
        ids = p | read(cluster, protocol, output="tuple", columns=["id"])
        assert_that(ids, equal_to([(i,) for i in range(ROWS)]))


def test_the_plain_direct_runner_reads_too(cluster: Cluster) -> None:
    with beam.Pipeline("DirectRunner") as p:
        count = p | read(cluster, output="arrow") | beam.Map(lambda batch: batch.num_rows)
        assert_that(count | beam.CombineGlobally(sum), equal_to([ROWS]))


def test_a_read_counts_what_it_read(cluster: Cluster) -> None:
    p = pipeline()
    p | read(cluster, output="arrow")
    result = p.run()
    result.wait_until_finish()
    counters = {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == "beam_doris"
    }
    assert counters["rows_read"] == ROWS
    assert counters["tablets_read"] == counters["tablets_planned"] == 12


def test_loads_during_a_thrift_read_are_not_seen(cluster: Cluster) -> None:
    cluster.sql(
        "CREATE TABLE reading.moving (id INT) DUPLICATE KEY(id) "
        'DISTRIBUTED BY HASH(id) BUCKETS 4 PROPERTIES ("replication_num" = "1")'
    )
    cluster.sql("INSERT INTO reading.moving VALUES (1), (2), (3), (4), (5)")
    rule = Rule(point="scan.open", action="delay", count=1, args={"seconds": 1.5})
    cluster.emulator.faults.add(rule)
    ended = threading.Event()

    def load() -> None:
        # once the plan is made and its first scan is asked for
        while not cluster.emulator.faults.fired() and not ended.wait(0.01):
            pass
        cluster.sql("INSERT INTO reading.moving VALUES (6), (7), (8), (9)")

    late = threading.Thread(target=load)
    transform = read(cluster, table="reading.moving", output="tuple")
    late.start()
    try:
        with pipeline() as p:
            assert_that(p | transform, equal_to([(i,) for i in range(1, 6)]))
    finally:
        ended.set()
        late.join()
        cluster.emulator.faults.clear()
    assert cluster.sql("SELECT count(*) FROM reading.moving") == [(9,)]


# ------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_scan_that_fails_before_its_first_row_is_repeated(
    cluster: Cluster, faults: Any, protocol: ReadProtocol
) -> None:
    point, action = (
        ("scan.open", "reset")
        if protocol is ReadProtocol.THRIFT
        else (
            "flight.get",
            "status",
        )
    )
    args = {} if protocol is ReadProtocol.THRIFT else {"code": "unavailable"}
    faults.add(Rule(point=point, action=action, nth=3, args=args))
    with pipeline() as p:
        ids = p | read(cluster, protocol, output="tuple", columns=["id"])
        assert_that(ids, equal_to([(i,) for i in range(ROWS)]))
    assert len(faults.fired()) == 1


def test_a_scan_that_breaks_after_its_first_rows_fails_and_doubles_nothing(
    cluster: Cluster, faults: Any
) -> None:
    faults.add(Rule(point="scan.next", action="reset_after", nth=3))
    with pytest.raises(TransientError, match="broke off"), pipeline() as p:
        p | read(cluster, output="tuple")


def test_a_dead_backend_s_tablets_are_read_from_the_other_replicas(cluster: Cluster) -> None:
    transform = read(cluster, output="tuple", columns=["id"])
    cluster.emulator.stop_backend(1)
    try:
        with pipeline() as p:
            assert_that(p | transform, equal_to([(i,) for i in range(ROWS)]))
    finally:
        cluster.emulator.start_backend(1)


# --------------------------------------------------------------- found when the pipeline is built


def test_unknown_columns_and_a_wrong_filter_come_together(cluster: Cluster) -> None:
    with pytest.raises(ConfigError) as failure:
        read(cluster, columns=["id", "nmae"], filter="idd > 3")
    text = "\n".join(failure.value.problems)
    assert "did you mean 'name'?" in text
    assert "filter" in text
    assert "reading.events" in str(failure.value)


def test_an_unknown_table_is_named(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"reading\.evnts"):
        read(cluster, table="reading.evnts")


def test_an_unknown_database_is_named(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        read(cluster, table="nowhere.events")


def test_a_table_without_database_is_refused_with_advice(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"write database\.table"):
        read(cluster, table="events")


def test_a_wrong_password_is_an_error_of_its_own(cluster: Cluster) -> None:
    with pytest.raises(AuthError) as failure:
        ReadFromDoris(cluster.connection(password="wrong7"), table="reading.events")
    assert "wrong7" not in str(failure.value)


def test_an_unknown_port_is_named_with_advice(cluster: Cluster) -> None:
    with pytest.raises(ConnectError) as failure:
        ReadFromDoris(cluster.connection(fenodes="127.0.0.1:9"), table="reading.events")
    assert "127.0.0.1:9" in str(failure.value)
    assert "fenodes" in str(failure.value)


def test_an_unknown_host_is_named_with_advice(cluster: Cluster) -> None:
    with pytest.raises(ConnectError) as failure:
        ReadFromDoris(
            cluster.connection(fenodes="no-such-host.invalid:8030"), table="reading.events"
        )
    assert "no-such-host.invalid" in str(failure.value)


def test_arrow_survives_a_shuffle_in_its_own_coder(cluster: Cluster) -> None:
    with pipeline() as p:
        batches = p | read(cluster, output="arrow", columns=["id"]) | beam.Reshuffle()
        rows = batches | beam.Map(lambda batch: batch.num_rows) | beam.CombineGlobally(sum)
        assert_that(rows, equal_to([ROWS]))
    assert batches.element_type is pa.RecordBatch
