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
"""Lookups against an emulated cluster: every key type, every element form, wrong use, failures."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import SlidingWindows, TimestampedValue

from beam_doris.beam_support.client_pool import drop_clients
from beam_doris.emulator.faults import Rule
from beam_doris.errors import ConfigError, DeadlineExceeded, DorisError, NotFoundError
from beam_doris.lookup import service as services
from beam_doris.lookup.transform import EnrichFromDoris
from beam_doris.options.lookup import LookupOptions
from tests.beam.cluster import Cluster, pipeline

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

ONE = "DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES('replication_num' = '1')"
FAST = LookupOptions(deadline=timedelta(seconds=5), attempt_timeout=timedelta(seconds=2))


class Order(NamedTuple):
    n: int
    item: int


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    made = Cluster(emulator)
    made.sql("CREATE DATABASE shop")
    made.sql(
        "CREATE TABLE shop.items (id INT NOT NULL, name VARCHAR(20), price DECIMAL(10, 2), "
        f"tags ARRAY<INT>) UNIQUE KEY(id) {ONE}"
    )
    made.sql("INSERT INTO shop.items VALUES (1, 'one', 1.5, [1, 2]), (2, 'two', NULL, NULL)")
    return made


@pytest.fixture(autouse=True)
def _nothing_left(emulator: Emulator) -> Iterator[None]:
    yield
    emulator.faults.clear()
    services.drop_services()
    drop_clients()


def resolve(transform: EnrichFromDoris, *values: Any) -> list[Any]:
    """The rows of each value, without a pipeline."""
    lookup = transform.spec
    form = lookup.keys
    service = services.acquire(lookup)
    try:
        keys = [form.canonical(value) for value in values]
        asked = list(dict.fromkeys(key for key in keys if key is not None))
        found = service.resolve(asked).result()
        return [() if key is None else found[key] for key in keys]
    finally:
        services.release(lookup)


# ---------------------------------------------------------------------------------- types

# a stored literal, values that find it, values that do not
TYPES: dict[str, tuple[str, list[Any], list[Any]]] = {
    "BOOLEAN": ("true", [True, 1], [False, 2]),
    "TINYINT": ("-128", [-128, -128.0], [127, 500]),
    "SMALLINT": ("32767", [32767], [1]),
    "INT": ("-2147483648", [-(2**31)], [2**40]),
    "BIGINT": ("9223372036854775807", [2**63 - 1], [2**63]),
    "LARGEINT": (str(-(2**127)), [-(2**127)], [2**127 - 1, 2**200]),
    "FLOAT": ("0.1", [0.1], [0.2, float("nan"), float("inf")]),
    "DOUBLE": ("0.1", [0.1], [0.2, float("nan"), float("-inf")]),
    "DECIMAL(10, 7)": ("0.0000001", [Decimal("1E-7"), "1E-7", 1e-7], [Decimal("0.00000011"), 0]),
    "DECIMAL(76, 2)": ("1" * 50 + ".12", [Decimal("1" * 50 + ".12")], [Decimal("1" * 50)]),
    "DATE": (
        "'2024-02-29'",
        [datetime.date(2024, 2, 29), "2024-02-29", datetime.datetime(2024, 2, 29)],
        [datetime.datetime(2024, 2, 29, 1), datetime.date(1, 1, 1)],
    ),
    "DATETIME": (
        "'2024-02-29 01:02:03'",
        [datetime.datetime(2024, 2, 29, 1, 2, 3)],
        [datetime.datetime(2024, 2, 29, 1, 2, 3, 5)],
    ),
    "DATETIME(6)": (
        "'2024-02-29 01:02:03.000005'",
        [datetime.datetime(2024, 2, 29, 1, 2, 3, 5)],
        [datetime.datetime(2024, 2, 29, 1, 2, 3)],
    ),
    "CHAR(5)": ("'ab'", ["ab"], ["AB"]),
    "VARCHAR(20)": ("'it''s %s \\\\ 日'", ["it's %s \\ 日"], ["it's"]),
    "STRING": ("''", [""], [" "]),
    "IPV4": ("'1.2.3.4'", ["1.2.3.4", ipaddress.IPv4Address("1.2.3.4")], ["1.2.3.5"]),
    "IPV6": ("'2001:db8::1'", ["2001:db8::1", "2001:0DB8:0::1"], ["::1"]),
}
WAYS: dict[str, dict[str, Any]] = {
    "mysql": {"cache": "none"},
    "flight": {"cache": "none", "options": LookupOptions(flight_above=1)},
    "full": {"cache": "full"},
}


@pytest.fixture(scope="module")
def typed(cluster: Cluster) -> dict[str, str]:
    """A table for every type."""
    tables = {}
    for number, (kind, (literal, _, _)) in enumerate(TYPES.items()):
        tables[kind] = f"shop.typed{number}"
        cluster.sql(
            f"CREATE TABLE {tables[kind]} (id INT, k {kind}, v INT) DUPLICATE KEY(id) {ONE}"
        )
        cluster.sql(f"INSERT INTO {tables[kind]} VALUES (1, {literal}, 7), (2, NULL, 8)")
    return tables


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", TYPES)
def test_key_of_every_type_finds_its_row_and_no_other(
    cluster: Cluster, typed: dict[str, str], kind: str, way: str
) -> None:
    _, same, other = TYPES[kind]
    lookup = EnrichFromDoris(
        cluster.doris, table=typed[kind], keys=["k"], columns=["v"], **WAYS[way]
    )
    found = resolve(lookup, *same, *other, None)
    assert found[: len(same)] == [({"v": 7},)] * len(same)
    assert not any(found[len(same) :])


def test_nested_columns_come_over_flight_with_their_elements(cluster: Cluster) -> None:
    lookup = EnrichFromDoris(cluster.doris, table="shop.items", keys=["id"], columns=["tags"])
    assert resolve(lookup, 1, 2) == [({"tags": [1, 2]},), ({"tags": None},)]


# ------------------------------------------------------------------------------- elements


def enriched(elements: Any, cluster: Cluster, **more: Any) -> Any:
    arguments: dict[str, Any] = {
        "table": "shop.items",
        "keys": {"item": "id"},
        "columns": ["name", "price"],
        **more,
    }
    return elements | EnrichFromDoris(cluster.doris, **arguments)


@pytest.mark.parametrize("cache", ["none", "lru", "full"])
def test_dicts_come_back_as_dicts(cluster: Cluster, cache: str) -> None:
    with pipeline() as p:
        elements = p | beam.Create([{"item": key} for key in (1, 2, 3, None, 1)])
        assert_that(
            enriched(elements, cluster, cache=cache),
            equal_to(
                [
                    {"item": 1, "name": "one", "price": Decimal("1.50")},
                    {"item": 1, "name": "one", "price": Decimal("1.50")},
                    {"item": 2, "name": "two", "price": None},
                    {"item": 3, "name": None, "price": None},
                    {"item": None, "name": None, "price": None},
                ]
            ),
        )


def test_rows_have_a_schema_that_a_shuffle_keeps(cluster: Cluster) -> None:
    with pipeline() as p:
        elements = p | beam.Create([1, 3]) | beam.Select(item=int)
        out = enriched(elements, cluster)
        assert [name for name, _ in out.element_type._fields] == ["item", "name", "price"]
        assert_that(
            out | beam.Reshuffle() | beam.Map(lambda row: (row.item, row.name, row.price)),
            equal_to([(1, "one", Decimal("1.50")), (3, None, None)]),
        )


def test_rows_with_nested_columns_survive_a_shuffle(cluster: Cluster) -> None:
    with pipeline() as p:
        elements = p | beam.Create([1, 2]) | beam.Select(item=int)
        out = enriched(elements, cluster, columns=["tags"]) | beam.Reshuffle()
        assert_that(
            out | beam.Map(lambda row: (row.item, None if row.tags is None else list(row.tags))),
            equal_to([(1, [1, 2]), (2, None)]),
        )


def test_named_tuples_come_back_as_named_tuples(cluster: Cluster) -> None:
    with pipeline() as p:
        elements = p | beam.Create([Order(1, 2)]).with_output_types(Order)
        out = enriched(elements, cluster, join="inner") | beam.Reshuffle()
        assert_that(
            out | beam.Map(lambda t: t._asdict()),
            equal_to([{"n": 1, "item": 2, "name": "two", "price": None}]),
        )


@pytest.mark.parametrize("options", [LookupOptions(), LookupOptions(flight_above=1)])
def test_batches_come_back_as_batches(cluster: Cluster, options: LookupOptions) -> None:
    batch = pa.record_batch({"item": pa.array([2, None, 1, 7], pa.int64())})
    with pipeline() as p:
        elements = p | beam.Create([batch]).with_output_types(pa.RecordBatch)
        out = enriched(elements, cluster, options=options)
        assert out.element_type is pa.RecordBatch
        assert_that(
            out | beam.Map(lambda b: (str(b.schema.field("price").type), b.to_pylist())),
            equal_to(
                [
                    (
                        "decimal128(10, 2)",
                        [
                            {"item": 2, "name": "two", "price": None},
                            {"item": None, "name": None, "price": None},
                            {"item": 1, "name": "one", "price": Decimal("1.50")},
                            {"item": 7, "name": None, "price": None},
                        ],
                    )
                ]
            ),
        )


def test_query_is_looked_up_like_a_table(cluster: Cluster) -> None:
    query = (
        "SELECT id % 2 AS parity, count(*) AS items, max(price) AS top FROM shop.items GROUP BY 1"
    )
    lookup = EnrichFromDoris(cluster.doris, query=query + ";", keys={"p": "parity"})
    assert lookup.columns == ("items", "top")
    assert resolve(lookup, 1, 0, 5) == [
        ({"items": 1, "top": Decimal("1.50")},),
        ({"items": 1, "top": None},),
        (),
    ]


def test_elements_in_several_windows_stay_in_each_of_them(cluster: Cluster) -> None:
    stamped = [TimestampedValue({"item": 1 + number % 2}, number) for number in range(20)]
    with pipeline() as p:
        unwrapped = p | beam.Create(stamped) | beam.Map(lambda e: e).with_output_types(dict)
        elements = unwrapped | beam.WindowInto(SlidingWindows(10, 5))
        out = enriched(elements, cluster, cache="none", options=LookupOptions(batch_size=1))
        counted = (
            out
            | beam.Map(lambda row, w=beam.DoFn.WindowParam: ((int(w.start), row["name"]), 1))
            | beam.CombinePerKey(sum)
        )
        expected = [
            ((start, name), 5 if 0 <= start <= 10 else 3 if (start < 0) == (name == "one") else 2)
            for start in (-5, 0, 5, 10, 15)
            for name in ("one", "two")
        ]
        assert_that(counted, equal_to(expected))


# ------------------------------------------------------------------------------ wrong use


def test_all_that_is_wrong_is_said_at_once(cluster: Cluster) -> None:
    with pytest.raises(ConfigError) as caught:
        EnrichFromDoris(
            cluster.doris,
            keys={},
            join="outer",
            matches="some",
            on_clash="maybe",
            cache="big",
            on_error="ignore",
        )
    assert len(caught.value.problems) == 7


def test_unknown_columns_and_keys_without_equality_are_named(cluster: Cluster) -> None:
    with pytest.raises(ConfigError) as caught:
        EnrichFromDoris(
            cluster.doris, table="shop.items", keys={"a": "tags", "b": "idd"}, columns=["nam"]
        )
    text = str(caught.value)
    assert "cannot compare for equality" in text
    assert "no column 'idd'" in text
    assert "did you mean 'name'" in text


def test_clash_of_typed_elements_is_found_when_the_pipeline_is_built(cluster: Cluster) -> None:
    rows = pipeline() | beam.Create([1]) | beam.Select(item=int, name=str)
    with pytest.raises(ConfigError, match="names of looked up columns: name"):
        enriched(rows, cluster)
    with pytest.raises(ConfigError, match="no field 'item'"):
        enriched(pipeline() | beam.Create([1]) | beam.Select(x=int), cluster)
    with pytest.raises(ConfigError, match="type int cannot be enriched"):
        enriched(pipeline() | beam.Create([1]), cluster)


@pytest.mark.parametrize("query", ["SELECT nothing FROM shop.items", "DROP TABLE shop.items"])
def test_query_that_the_server_refuses_is_an_error_when_the_pipeline_is_built(
    cluster: Cluster, query: str
) -> None:
    with pytest.raises(ConfigError):
        EnrichFromDoris(cluster.doris, query=query, keys=["id"])


def test_cache_that_contradicts_its_options_is_refused(cluster: Cluster) -> None:
    flink = LookupOptions.from_properties({})
    with pytest.raises(ConfigError, match="needs cache_rows"):
        EnrichFromDoris(cluster.doris, table="shop.items", keys=["id"], cache="lru", options=flink)


def test_connector_keys_of_flink_work_as_they_are(cluster: Cluster) -> None:
    options = LookupOptions.from_properties(
        {
            "lookup.cache.max-rows": "100",
            "lookup.cache.ttl": "5s",
            "lookup.max-retries": "2",
            "lookup.jdbc.async": "true",
            "lookup.jdbc.read.batch.size": "1",
            "lookup.jdbc.read.batch.queue-size": "2",
            "lookup.jdbc.read.thread-size": "2",
        }
    )
    lookup = EnrichFromDoris(
        cluster.doris, table="shop.items", keys=["id"], columns=["name"], options=options
    )
    assert lookup.spec.cache.value == "lru"
    assert resolve(lookup, 1, 2, 3) == [({"name": "one"},), ({"name": "two"},), ()]


# ------------------------------------------------------------------------------- failures


def test_broken_connection_is_made_again_and_the_query_repeated(
    cluster: Cluster, emulator: Emulator
) -> None:
    lookup = EnrichFromDoris(
        cluster.doris, table="shop.items", keys=["id"], columns=["name"], cache="none"
    )
    assert resolve(lookup, 1) == [({"name": "one"},)]
    service = services.acquire(lookup.spec)
    assert service.resolve([1]).result() == {1: ({"name": "one"},)}
    emulator.faults.add(Rule(point="mysql.query", action="reset", count=1))
    assert service.resolve([2]).result() == {2: ({"name": "two"},)}
    assert len(emulator.faults.fired()) == 1
    services.release(lookup.spec)


def test_slow_frontend_is_left_within_the_deadline(cluster: Cluster, emulator: Emulator) -> None:
    options = LookupOptions(
        deadline=timedelta(seconds=6), attempt_timeout=timedelta(seconds=1), retries=3
    )
    lookup = EnrichFromDoris(
        cluster.doris, table="shop.items", keys=["id"], columns=["name"], options=options
    )
    emulator.faults.add(Rule(point="mysql.query", action="delay", count=1, args={"seconds": 3}))
    begun = time.monotonic()
    assert resolve(lookup, 1) == [({"name": "one"},)]
    assert 1 <= time.monotonic() - begun < 5


def test_query_that_stays_slow_is_a_typed_error_at_its_deadline(
    cluster: Cluster, emulator: Emulator
) -> None:
    options = LookupOptions(
        deadline=timedelta(seconds=1.5), attempt_timeout=timedelta(seconds=1), retries=9
    )
    lookup = EnrichFromDoris(
        cluster.doris, table="shop.items", keys=["id"], columns=["name"], options=options
    )
    emulator.faults.add(Rule(point="mysql.query", action="delay", args={"seconds": 3}))
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        resolve(lookup, 1)
    assert caught.value.table == "shop.items"
    assert time.monotonic() - begun < 2.5


def test_frontend_that_is_down_is_passed_over_for_the_next(cluster: Cluster) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = nobody.getsockname()[1]
        alive = cluster.ready["fe_mysql"]
        doris = cluster.connection(jdbc_url=f"jdbc:mysql://127.0.0.1:{dead},127.0.0.1:{alive}/")
        for _ in range(3):
            lookup = EnrichFromDoris(doris, table="shop.items", keys=["id"], columns=["name"])
            assert resolve(lookup, 1) == [({"name": "one"},)]


def test_elements_of_a_refused_query_are_dead_letters(cluster: Cluster, emulator: Emulator) -> None:
    rule = Rule(point="mysql.query", action="error", args={"message": "too busy", "code": 1105})
    emulator.faults.add(rule)
    with pipeline() as p:
        elements = p | beam.Create([{"item": 1}, {"item": 2}])
        result = enriched(elements, cluster, on_error="dead_letter", options=FAST)
        told = result.failed_rows | beam.Map(
            lambda letter: (letter.table, letter.element, "too busy" in letter.reason)
        )
        expected = [("shop.items", {"item": key}, True) for key in (1, 2)]
        assert_that(result.enriched, equal_to([]), "nothing is enriched")
        assert_that(told, equal_to(expected), "both are told of")


def test_error_of_a_query_fails_the_pipeline_by_default(
    cluster: Cluster, emulator: Emulator
) -> None:
    emulator.faults.add(Rule(point="mysql.query", action="error", args={"message": "no"}))
    with pytest.raises(DorisError, match="no") as caught, pipeline() as p:
        enriched(p | beam.Create([{"item": 1}]), cluster, options=FAST)
    assert caught.value.table == "shop.items"


def test_column_that_was_dropped_meanwhile_is_a_typed_error(cluster: Cluster) -> None:
    cluster.sql(f"CREATE TABLE shop.changing (id INT, a INT, b INT) DUPLICATE KEY(id) {ONE}")
    cluster.sql("INSERT INTO shop.changing VALUES (1, 2, 3)")
    lookup = EnrichFromDoris(
        cluster.doris, table="shop.changing", keys=["id"], cache="none", options=FAST
    )
    assert resolve(lookup, 1) == [({"a": 2, "b": 3},)]
    cluster.sql("ALTER TABLE shop.changing ADD COLUMN c INT DEFAULT '0'")
    assert resolve(lookup, 1) == [({"a": 2, "b": 3},)]
    cluster.sql("ALTER TABLE shop.changing DROP COLUMN a")
    with pytest.raises(DorisError, match="a") as caught:
        resolve(lookup, 1)
    assert not caught.value.retryable
    assert isinstance(caught.value, (NotFoundError, DorisError))


def test_many_queries_are_under_way_at_once(cluster: Cluster, emulator: Emulator) -> None:
    emulator.faults.add(Rule(point="mysql.query", action="delay", args={"seconds": 0.5}, count=4))
    lookup = EnrichFromDoris(
        cluster.doris,
        table="shop.items",
        keys=["id"],
        columns=["name"],
        cache="none",
        options=LookupOptions(batch_size=1, threads=4),
    )
    service = services.acquire(lookup.spec)
    begun = time.monotonic()
    service.resolve([1, 2, 3, 4]).result()
    assert time.monotonic() - begun < 1.9, "one after the other they take two seconds"
    services.release(lookup.spec)
    assert threading.active_count() < 200
