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
"""The join held against DuckDB's own, on random tables with NULLs, duplicates and clashes."""

from __future__ import annotations

import collections
import datetime
import os
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
import pymysql
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from beam_doris.beam_support.client_pool import drop_clients
from beam_doris.lookup.join import named_tuple
from beam_doris.lookup.reader import LookupReader
from beam_doris.lookup.spec import Cache, Join, Matches
from beam_doris.options.connection import DorisConnection
from beam_doris.options.lookup import LookupOptions
from beam_doris.schema.python_values import to_dicts
from tests.beam.cluster import Cluster
from tests.unit.lookup_bench import DuckSource, database, enrich, spec_of

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

CLUSTER_EXAMPLES = int(os.environ.get("LOOKUP_CLUSTER_EXAMPLES", "30"))
EXAMPLES = int(os.environ.get("LOOKUP_EXAMPLES", "1000"))

# few values of each type, so that keys meet; each with neighbours that must not match
DOMAINS: dict[str, list[Any]] = {
    "BOOLEAN": [True, False],
    "TINYINT": [-128, 0, 1, 127],
    "INT": [-1, 0, 1, 2**31 - 1],
    "BIGINT": [-(2**63), 0, 2**53 + 1, 2**53],
    "DOUBLE": [0.0, 0.1, -1.5, 1e300, float("inf")],
    "DECIMAL(12, 4)": [Decimal("0"), Decimal("1.5"), Decimal("1.0001"), Decimal("-7.25")],
    "DATE": [datetime.date(1, 1, 1), datetime.date(2024, 2, 29), datetime.date(9999, 12, 31)],
    "DATETIME(6)": [
        datetime.datetime(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 0, 0, 0, 1),
        datetime.datetime(1999, 12, 31, 23, 59, 59, 999999),
    ],
    "VARCHAR(20)": ["", "a", "A", "a ", "it's", 'q"', "back\\slash", "50%", "%s", "日本", "ü"],
}
DUCK = {"DATETIME(6)": "TIMESTAMP", "VARCHAR(20)": "VARCHAR"}
Case = dict[str, Any]
DUCKDB = database()


@st.composite
def cases(draw: Any) -> Case:
    width = draw(st.integers(1, 3))
    types = [draw(st.sampled_from(sorted(DOMAINS))) for _ in range(width)]
    keys = {f"k{place}": text for place, text in enumerate(types)}

    def key() -> tuple[Any, ...]:
        return tuple(draw(st.sampled_from([None, *DOMAINS[text]])) for text in types)

    dim = [
        (*key(), draw(st.sampled_from([None, 1, 2])), draw(st.sampled_from([None, "x", "y"])))
        for _ in range(draw(st.integers(0, 8)))
    ]
    elements = [(number, *key(), "left") for number in range(draw(st.integers(0, 8)))]
    return {
        "keys": keys,
        "dim": dim,
        "elements": elements,
        "form": draw(st.sampled_from(["dict", "row", "tuple", "arrow"])),
        "join": draw(st.sampled_from(Join)),
        "matches": draw(st.sampled_from([Matches.ALL, Matches.FIRST])),
        "clash": draw(st.sampled_from(["none", "keep_left", "take_right", "prefix:p_"])),
        "cache": draw(st.sampled_from([Cache.LRU, Cache.NONE])),
        "batch": draw(st.integers(1, 4)),
        "rows": draw(st.sampled_from([1, 3, 100])),
        "parallel": draw(st.booleans()),
    }


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(case=cases())
def test_join_is_that_of_duckdb(case: Case) -> None:
    _fill(DUCKDB, case)
    assert _ours(DUCKDB, case) == _theirs(DUCKDB, case)


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Iterator[Cluster]:
    drop_clients()
    made = Cluster(emulator)
    made.sql("CREATE DATABASE main")
    yield made
    drop_clients()


@settings(
    max_examples=CLUSTER_EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(case=cases())
def test_join_over_a_cluster_is_that_of_duckdb(cluster: Cluster, case: Case) -> None:
    # the test's own client has no literal for infinity
    assume(float("inf") not in [value for row in case["dim"] for value in row])
    _fill(DUCKDB, case)
    with (
        pymysql.connect(
            host="127.0.0.1", port=cluster.ready["fe_mysql"], user="root", autocommit=True
        ) as session,
        session.cursor() as cursor,
    ):
        columns = ", ".join(f"{name} {text}" for name, text in case["keys"].items())
        cursor.execute("DROP TABLE IF EXISTS main.dim")
        cursor.execute(
            f"CREATE TABLE main.dim (id INT, {columns}, v INT, w VARCHAR(9)) DUPLICATE KEY(id) "
            "DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ('replication_num' = '1')"
        )
        if case["dim"]:
            marks = ", ".join(["%s"] * (len(case["dim"][0]) + 1))
            rows = [(number, *row) for number, row in enumerate(case["dim"])]
            cursor.executemany(f"INSERT INTO main.dim VALUES ({marks})", rows)
    assert _ours(DUCKDB, case, cluster.doris) == _theirs(DUCKDB, case)


def _fill(duck: Any, case: Case) -> None:
    keys = case["keys"]
    columns = ", ".join(f"{name} {DUCK.get(text, text)}" for name, text in keys.items())
    duck.execute(f"CREATE OR REPLACE TABLE dim ({columns}, v INTEGER, w VARCHAR)")
    fields = ", ".join(f"f_{name} {DUCK.get(text, text)}" for name, text in keys.items())
    side = "side" if case["clash"] == "none" else "w"
    duck.execute(f"CREATE OR REPLACE TABLE elements (n INTEGER, {fields}, {side} VARCHAR)")
    for table, rows in (("dim", case["dim"]), ("elements", case["elements"])):
        if rows:
            marks = ", ".join(["(" + ", ".join("?" for _ in rows[0]) + ")"] * len(rows))
            duck.execute(f"INSERT INTO {table} VALUES {marks}", [v for row in rows for v in row])


def _ours(duck: Any, case: Case, doris: DorisConnection | None = None) -> collections.Counter[Any]:
    clash = case["clash"]
    rule = "error" if clash == "none" else clash
    more: dict[str, Any] = {} if doris is None else {"connection": doris}
    spec = spec_of(
        case["keys"],
        {"v": "INT", "w": "VARCHAR(20)"},
        matches=case["matches"],
        cache=case["cache"],
        options=LookupOptions(
            batch_size=case["batch"],
            cache_rows=case["rows"],
            queue_size=case["batch"],
            parallel=case["parallel"],
        ),
        prefix="p_" if clash == "prefix:p_" else "",
        **more,
    )
    side = "side" if clash == "none" else "w"
    names = ("n", *spec.fields, side)
    dicts = [dict(zip(names, row, strict=True)) for row in case["elements"]]
    elements: list[Any] = dicts
    if case["form"] == "row":
        elements = [beam.Row(**each) for each in dicts]
    elif case["form"] == "tuple":
        kind = named_tuple("Element", names)
        elements = [kind(**each) for each in dicts]
    elif case["form"] == "arrow":
        elements = _batches(dicts, case)
    good, bad = enrich(
        spec,
        DuckSource(spec, duck) if doris is None else LookupReader(spec),
        elements,
        join=case["join"],
        on_clash=rule,
        rows=case["form"] == "row",
    )
    assert not bad
    return collections.Counter(_plain(output) for each in good for output in _exploded(each))


def _batches(dicts: list[dict[str, Any]], case: Case) -> list[pa.RecordBatch]:
    kinds = {
        "BOOLEAN": pa.bool_(),
        "TINYINT": pa.int8(),
        "INT": pa.int32(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "DECIMAL(12, 4)": pa.decimal128(12, 4),
        "DATE": pa.date32(),
        "DATETIME(6)": pa.timestamp("us"),
        "VARCHAR(20)": pa.string(),
    }
    side = "side" if case["clash"] == "none" else "w"
    fields = [("n", pa.int32())]
    fields += [(f"f_{name}", kinds[text]) for name, text in case["keys"].items()]
    schema = pa.schema([*fields, (side, pa.string())])
    parts = [dicts[:3], dicts[3:]]
    return [pa.RecordBatch.from_pylist(part, schema=schema) for part in parts]


def _exploded(output: Any) -> list[Any]:
    return to_dicts(output) if isinstance(output, pa.RecordBatch) else [output]


def _plain(output: Any) -> tuple[tuple[str, Any], ...]:
    if isinstance(output, beam.Row):
        output = output.as_dict()
    elif hasattr(output, "_asdict"):
        output = output._asdict()
    return tuple(sorted(output.items()))


def _theirs(duck: Any, case: Case) -> collections.Counter[Any]:
    keys = case["keys"]
    clash = case["clash"]
    source = "dim"
    if case["matches"] is Matches.FIRST:
        partition = ", ".join(keys)
        source = (
            f"(SELECT *, row_number() OVER (PARTITION BY {partition} "
            "ORDER BY v NULLS FIRST, w NULLS FIRST) AS place FROM dim)"
        )
    on = " AND ".join(f"e.f_{name} = d.{name}" for name in keys)
    if case["matches"] is Matches.FIRST:
        on += " AND d.place = 1"
    prefix = "p_" if clash == "prefix:p_" else ""
    own = ["e.n", *[f"e.f_{name}" for name in keys]]
    own.append({"none": "e.side", "take_right": "d.w"}.get(clash, "e.w"))
    right = [f"d.v AS {prefix}v"]
    if clash in ("none", "prefix:p_"):
        right.append(f"d.w AS {prefix}w")
    cursor = duck.execute(
        f"SELECT {', '.join([*own, *right])} FROM elements e {case['join'].value} JOIN {source} d "
        f"ON {on}"
    )
    names = [column[0] for column in cursor.description]
    rows = cursor.fetchall()
    return collections.Counter(tuple(sorted(zip(names, row, strict=True))) for row in rows)
