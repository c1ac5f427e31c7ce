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
"""Every type's edge values into a table and back: each format, each protocol, each generation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pyarrow as pa
import pytest

from beam_doris.client.contracts import LoadRequest, LoadResult
from beam_doris.client.flight import FlightSession
from beam_doris.client.frontend import Frontend
from beam_doris.client.query_plan import choose_backends
from beam_doris.client.scanner import ThriftScanner
from beam_doris.client.sql import SqlClient
from beam_doris.client.stream_load import StreamLoader
from beam_doris.codec.arrow_stream import ArrowStreamEncoder
from beam_doris.codec.compression import GzipStream, gzip_pieces
from beam_doris.codec.csv_lines import ENCLOSED, CsvLinesEncoder, choose_dialect
from beam_doris.codec.encoder import Encoder
from beam_doris.codec.json_lines import JsonLinesEncoder
from beam_doris.codec.packing import RowPacker
from beam_doris.emulator import Emulator
from beam_doris.emulator.profile import Profile
from beam_doris.options.connection import DorisConnection, Node
from beam_doris.options.table_id import TableId
from beam_doris.schema.arrow_normalize import normalize
from beam_doris.schema.arrow_types import columns_of
from beam_doris.schema.python_values import to_dicts
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import Kind, parse_type
from tests.edge_values import EDGE_VALUES, SPECIAL_FLOATS, same

# Tables of several columns each, so that all of it takes seconds.
GROUPS: dict[str, tuple[str, ...]] = {
    "integers": ("BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "LARGEINT"),
    "floats": ("FLOAT", "DOUBLE"),
    "decimals": ("DECIMAL(9, 2)", "DECIMAL(18, 10)", "DECIMAL(38, 38)", "DECIMAL(38, 0)"),
    "old decimals": ("DECIMALV2(27, 9)",),
    "wide decimals": ("DECIMAL(76, 30)",),
    "times": ("DATE", "DATETIME", "DATETIME(3)", "DATETIME(6)"),
    "texts": ("CHAR(10)", "VARCHAR(200)", "STRING"),
    "json": ("JSON", "VARIANT"),
    "addresses": ("IPV4", "IPV6"),
    "arrays": tuple(sorted(name for name in EDGE_VALUES if name.startswith("ARRAY"))),
    "maps and structs": tuple(
        sorted(name for name in EDGE_VALUES if name.startswith(("MAP", "STRUCT")))
    ),
}
PROFILES = ("2.0", "2.1", "4.0")
FORMATS = ("json", "csv", "enclosed csv", "arrow")
_numbers = itertools.count()


class Cluster:
    """An emulated cluster with every client on it."""

    def __init__(self, running: Emulator) -> None:
        self.profile = running.profile
        self.connection = DorisConnection(
            fenodes=[Node(*running.fe_http)],
            username="root",
            password="",
            query_port=running.fe_mysql[1],
            flight_port=running.fe_flight[1],
        )
        self.sql = SqlClient(self.connection)
        self.frontend = Frontend(self.connection)
        self.loader = StreamLoader(self.connection)
        self.scanner = ThriftScanner(self.connection)
        self.sql.execute("CREATE DATABASE round_trip")

    def close(self) -> None:
        self.loader.close()
        self.frontend.close()
        self.sql.close()

    def create(self, types: tuple[str, ...]) -> TableSchema:
        """A table with a key and one column of each type, as the server then describes it."""
        table = TableId("round_trip", f"t{next(_numbers)}")
        columns = "".join(f", `c {n}` {text}" for n, text in enumerate(types))
        self.sql.execute(
            f"CREATE TABLE {table.sql()} (k BIGINT{columns}) DUPLICATE KEY(k) "
            "DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES ('replication_num' = '1')"
        )
        return self.frontend.schema(table)

    def load(self, schema: TableSchema, encoder: Encoder, batch: pa.RecordBatch) -> LoadResult:
        """A committed load of one batch, in two pieces of a body."""
        request = LoadRequest(
            table=schema.table,
            label=f"round_trip_{next(_numbers)}",
            headers=encoder.headers(),
            two_phase=False,
        )
        half = batch.num_rows // 2
        return self.loader.load(
            request, [encoder.encode(batch.slice(0, half)), encoder.encode(batch.slice(half))]
        )

    def read(self, schema: TableSchema, protocol: str) -> list[dict[str, Any]]:
        """All rows in the order of their keys."""
        batches = self._flight(schema) if protocol == "flight" else self._thrift(schema)
        rows = [row for batch in batches for row in to_dicts(normalize(batch, schema))]
        return sorted(rows, key=lambda row: int(row["k"]))

    def _flight(self, schema: TableSchema) -> Iterator[pa.RecordBatch]:
        columns = ", ".join(f"`{name}`" for name in schema.names)
        with FlightSession(self.connection) as session:
            yield from session.query(f"SELECT {columns} FROM {schema.table.sql()}")

    def _thrift(self, schema: TableSchema) -> Iterator[pa.RecordBatch]:
        plan = self.frontend.plan(schema.table, schema.names)
        for group in choose_backends(plan, tablets_per_group=2):
            yield from self.scanner.scan(group, schema.table, plan.opaque)


@pytest.fixture(scope="module", params=PROFILES)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    named = Profile.named(request.param)
    # a zone other than UTC, so that a shifted DATETIME would show
    profile = replace(named, arrow=replace(named.arrow, zone="Asia/Shanghai"))
    with Emulator(backends=2, seed=7, profile=profile) as running:
        made = Cluster(running)
        try:
            yield made
        finally:
            made.close()


def _encoder(name: str, columns: tuple[Column, ...], batch: pa.RecordBatch) -> Encoder:
    if name == "json":
        return JsonLinesEncoder(columns)
    if name == "arrow":
        return ArrowStreamEncoder(columns)
    dialect = ENCLOSED if name == "enclosed csv" else choose_dialect(batch, columns)
    return CsvLinesEncoder(columns, dialect)


def _rows(types: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per value of the type that has most, the others repeating theirs."""
    values = [EDGE_VALUES[text] for text in types]
    return [
        {"k": number, **{f"c {n}": of[number % len(of)] for n, of in enumerate(values)}}
        for number in range(max(map(len, values)))
    ]


def _assert_equal(
    got: list[dict[str, Any]], expected: list[dict[str, Any]], schema: TableSchema
) -> None:
    assert len(got) == len(expected)
    for left, right in zip(got, expected, strict=True):
        for column in schema.columns:
            a, b = left[column.name], right[column.name]
            if column.type.kind in (Kind.JSON, Kind.VARIANT) and None not in (a, b):
                a, b = orjson.loads(a), orjson.loads(b)
            assert same(a, b), f"{column.type.sql()}, row {right['k']}: {a!r:.90} {b!r:.90}"


@pytest.mark.parametrize("load_format", FORMATS)
@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_value_comes_back_as_it_went(cluster: Cluster, group: str, load_format: str) -> None:
    types = GROUPS[group]
    schema = cluster.create(types)
    expected = _rows(types)
    batch = RowPacker(schema).pack(expected)
    loaded = cluster.load(schema, _encoder(load_format, schema.columns, batch), batch)
    assert loaded.rows_loaded == len(expected)
    for protocol in ("thrift", "flight"):
        if group == "wide decimals" and not cluster.profile.arrow.sends_decimal256:
            continue
        _assert_equal(cluster.read(schema, protocol), expected, schema)


@pytest.mark.parametrize("load_format", FORMATS)
def test_numbers_that_are_none_come_back(cluster: Cluster, load_format: str) -> None:
    schema = cluster.create(("FLOAT", "DOUBLE"))
    expected = [
        {"k": number, "c 0": value, "c 1": value} for number, value in enumerate(SPECIAL_FLOATS)
    ]
    batch = RowPacker(schema).pack(expected)
    cluster.load(schema, _encoder(load_format, schema.columns, batch), batch)
    for protocol in ("thrift", "flight"):
        _assert_equal(cluster.read(schema, protocol), expected, schema)


def test_the_server_tells_the_types_that_were_declared(cluster: Cluster) -> None:
    types = tuple(sorted(EDGE_VALUES))
    schema = cluster.create(types)
    told = [column.type for column in schema.columns[1:]]
    assert told == [parse_type(text) for text in types]


def test_a_query_of_nothing_but_null_has_a_type(cluster: Cluster) -> None:
    with FlightSession(cluster.connection) as session:
        (batch,) = session.query("SELECT 1 AS k, NULL AS n")
    assert batch.column("n").to_pylist() == [None]


@pytest.mark.parametrize("load_format", FORMATS)
def test_bitmaps_and_sketches_are_loaded_by_expressions(cluster: Cluster, load_format: str) -> None:
    cluster.sql.execute(
        f"CREATE TABLE round_trip.{(name := f't{next(_numbers)}')} (page VARCHAR(10), "
        "users BITMAP BITMAP_UNION, visits HLL HLL_UNION) AGGREGATE KEY(page) "
        "DISTRIBUTED BY HASH(page) BUCKETS 2 PROPERTIES ('replication_num' = '1')"
    )
    schema = cluster.frontend.schema(TableId("round_trip", name))
    rows = [("a", 1, "x"), ("a", 2, "y"), ("b", 1, "x"), ("a", 2, "x")]
    batch = RowPacker(schema).pack(rows)
    encoder = _encoder(load_format, columns_of(batch.schema), batch)
    request = LoadRequest(
        table=schema.table,
        label=f"round_trip_{next(_numbers)}",
        headers={
            **encoder.headers(),
            "columns": "page,users,visits,users=to_bitmap(users),visits=hll_hash(visits)",
        },
        two_phase=False,
    )
    cluster.loader.load(request, encoder.encode(batch))
    counted = cluster.sql.query(
        "SELECT page, BITMAP_UNION_COUNT(users), HLL_UNION_AGG(visits) "
        f"FROM {schema.table.sql()} GROUP BY page ORDER BY page"
    )
    assert [tuple(map(str, row)) for row in counted.rows] == [("a", "2", "2"), ("b", "1", "1")]
    assert not any(column.type.is_readable for column in schema.columns[1:])


def test_dicts_encoded_directly_come_back(cluster: Cluster) -> None:
    types = ("BIGINT", "DOUBLE", "DATETIME(6)", "DATE", "STRING", "DECIMAL(18, 10)", "BOOLEAN")
    schema = cluster.create(types)
    expected = _rows(types)
    encoder = JsonLinesEncoder(schema.columns)
    request = LoadRequest(
        table=schema.table,
        label=f"round_trip_{next(_numbers)}",
        headers={**encoder.headers(), **GzipStream.headers()},
        two_phase=False,
        gzip=True,
    )
    cluster.loader.load(request, list(gzip_pieces([encoder.encode_dicts(expected)])))
    _assert_equal(cluster.read(schema, "thrift"), expected, schema)
