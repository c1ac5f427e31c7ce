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
"""The Java connector reads: Thrift, Flight SQL, column lists, filters, lookups, the catalog."""

from __future__ import annotations

from tests.interop import mariadb
from tests.interop.bench import ONE_REPLICA, Bench, same

ROWS = 500
# one column for each line of the manual's table of types
TYPES = (
    "CREATE TABLE test.types (id INT, t_boolean BOOLEAN, t_tinyint TINYINT, t_smallint SMALLINT,"
    " t_bigint BIGINT, t_float FLOAT, t_double DOUBLE, t_date DATE, t_datetime DATETIME(3),"
    " t_decimal DECIMAL(18, 4), t_char CHAR(8), t_largeint LARGEINT, t_varchar VARCHAR(100),"
    " t_string STRING, t_array ARRAY<INT>, t_map MAP<STRING, INT>, t_json JSON, t_variant VARIANT,"
    " t_ipv4 IPV4, t_ipv6 IPV6) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 " + ONE_REPLICA
)
TYPE_NAMES = (
    *("id", "t_boolean", "t_tinyint", "t_smallint", "t_bigint", "t_float", "t_double", "t_date"),
    *("t_datetime", "t_decimal", "t_char", "t_largeint", "t_varchar", "t_string", "t_array"),
    *("t_map", "t_json", "t_variant", "t_ipv4", "t_ipv6"),
)
TYPE_VALUES = (
    "INSERT INTO test.types VALUES (1, true, -128, -32768, 9223372036854775807, 1.5, -2.25,"
    " '2024-02-29', '2024-02-29 23:59:59.123', 12345678901234.5678, 'abcd',"
    " '-170141183460469231731687303715884105728', '中文', 'it''s', '[1, 2]', '{\"a\":1}',"
    " '{\"k\":[1,2]}', '{\"v\":1}', '192.168.0.255', '2001:db8::1');"
    "INSERT INTO test.types (id) VALUES (2)"
)
TYPE_ROW = (
    *("1", "true", "-128", "-32768", "9223372036854775807", "1.5", "-2.25"),
    *("2024-02-29", "2024-02-29T23:59:59.123", "12345678901234.5678", "abcd"),
    *("-170141183460469231731687303715884105728", "中文", "it's", "[1, 2]", "{a=1}"),
    *('{"k":[1,2]}', '{"v":1}', "192.168.0.255", "2001:db8::1"),
)


def _students(bench: Bench) -> list[mariadb.Row]:
    bench.fresh()
    bench.students("students", buckets=3)
    values = ",".join(f"({i}, 'name {i}', {i % 90})" for i in range(ROWS))
    bench.sql(f"INSERT INTO test.students VALUES {values}")
    bench.sql("INSERT INTO test.students VALUES (1000, 'James', 18), (1001, 'Emily', NULL)")
    return bench.sql("SELECT * FROM test.students")


def read_thrift(bench: Bench) -> str:
    expected = _students(bench)
    same(bench.script("read_thrift").rows, expected)
    return f"{len(expected)} rows"


def read_flight(bench: Bench) -> str:
    expected = _students(bench)
    same(bench.script("read_flight").rows, expected)
    return f"{len(expected)} rows"


def _types(bench: Bench, log: str, *, flight: bool, without: tuple[str, ...] = ()) -> str:
    """Read every column but those that this version of the client cannot read at all."""
    bench.fresh(TYPES, TYPE_VALUES)
    kept = [at for at, name in enumerate(TYPE_NAMES) if name not in without]
    out = bench.script(
        "read_types",
        log=log,
        flight=str(flight).lower(),
        columns=", ".join(TYPE_NAMES[at] for at in kept),
    )
    nulls = ("2", *["NULL"] * (len(kept) - 1))
    same(out.rows, [tuple(TYPE_ROW[at] for at in kept), nulls])
    return f"{len(kept)} columns" + (f"; {_UNREAD} ({', '.join(without)})" if without else "")


_UNREAD = "not read: client versions before 25.1 lack the forms since Doris 2.1.3"


def read_types_thrift(bench: Bench) -> str:
    return _types(bench, "read_types_thrift", flight=False, without=("t_ipv6",))


def read_types_flight(bench: Bench) -> str:
    """Over Flight the type names come from _schema, and these versions know JSONB only."""
    return _types(bench, "read_types_flight", flight=True, without=("t_json", "t_ipv6"))


def read_types_old_forms(bench: Bench) -> str:
    """LARGEINT in 16 bytes, IPv6 as a decimal number, dates as text: all are understood."""
    return _types(bench, "read_types_old_forms", flight=False)


def read_datastream_thrift(bench: Bench) -> None:
    expected = _students(bench)
    same(bench.java("read", log="read_datastream", table="test.students").rows, expected)


def read_datastream_flight(bench: Bench) -> None:
    expected = _students(bench)
    out = bench.java(
        "read", log="read_datastream_flight", table="test.students", flight="true", parallelism=2
    )
    same(out.rows, expected)


def _field_and_filter(bench: Bench, *, flight: bool) -> str:
    _students(bench)
    where = "age > 18 and name != 'name 20'"
    expected = bench.sql(f"SELECT name, id FROM test.students WHERE {where}")
    out = bench.java(
        "read",
        log="read_field_filter_flight" if flight else "read_field_filter",
        table="test.students",
        field="name,id",
        filter=where,
        flight=str(flight).lower(),
    )
    same(out.rows, expected)
    return f"{len(expected)} rows of doris.read.field=name,id doris.filter.query={where}"


def read_field_and_filter_thrift(bench: Bench) -> str:
    return _field_and_filter(bench, flight=False)


def read_field_and_filter_flight(bench: Bench) -> str:
    return _field_and_filter(bench, flight=True)


def _pushdown(bench: Bench, *, flight: bool) -> None:
    _students(bench)
    out = bench.script(
        "filter_pushdown",
        log="filter_pushdown_flight" if flight else "filter_pushdown",
        flight=str(flight).lower(),
    )
    same(out.rows, [("James",)])


def filter_pushdown_thrift(bench: Bench) -> None:
    _pushdown(bench, flight=False)


def filter_pushdown_flight(bench: Bench) -> None:
    _pushdown(bench, flight=True)


def _lookup(bench: Bench, *, asynchronous: bool, cache_rows: int) -> None:
    bench.fresh(
        "CREATE TABLE dim.dim_city (city VARCHAR(20), level INT, province VARCHAR(20),"
        f" country VARCHAR(20)) UNIQUE KEY(city) DISTRIBUTED BY HASH(city) BUCKETS 1 {ONE_REPLICA}",
        "INSERT INTO dim.dim_city VALUES ('Hangzhou', 2, 'Zhejiang', 'China'),"
        " ('O''Fallon', 5, 'Missouri', 'USA'), ('München', 1, NULL, 'Deutschland')",
        database="dim",
    )
    cities = ["Hangzhou", "O'Fallon", "München", "Nowhere", "Hangzhou"]
    facts = [{"id": i, "name": f"n{i}", "city": city} for i, city in enumerate(cities)]
    name = f"lookup_{'async' if asynchronous else 'sync'}_{cache_rows}"
    out = bench.script(
        "lookup_join",
        log=name,
        data=bench.file(name, facts),
        asynchronous=str(asynchronous).lower(),
        cache_rows=cache_rows,
    )
    expected = bench.sql(
        "SELECT f.id, f.name, f.city, c.province, c.country, c.level FROM ("
        + " UNION ALL ".join(
            f"SELECT {f['id']} id, '{f['name']}' name, '{str(f['city']).replace(chr(39), chr(39) * 2)}'"
            " city"
            for f in facts
        )
        + ") f LEFT JOIN dim.dim_city c ON f.city = c.city"
    )
    same(out.rows, expected)
    same([r for r in out.rows if r[0] == "3"], [("3", "n3", "Nowhere", "NULL", "NULL", "NULL")])


def lookup_sync(bench: Bench) -> None:
    _lookup(bench, asynchronous=False, cache_rows=-1)


def lookup_async(bench: Bench) -> None:
    _lookup(bench, asynchronous=True, cache_rows=-1)


def lookup_cached(bench: Bench) -> None:
    _lookup(bench, asynchronous=False, cache_rows=100)


def catalog_listing(bench: Bench) -> None:
    bench.fresh()
    bench.students("student")
    bench.sql("INSERT INTO test.student VALUES (1, 'James', 18), (2, 'Emily', 28)")
    rows = bench.script("catalog", log="catalog_listing").rows
    printed = [" ".join(str(cell) for cell in row) for row in rows]
    for needed in ("test", "student", "1 James 18", "2 Emily 28"):
        if needed not in printed:
            raise AssertionError(f"{needed!r} is not listed: {printed}")
    described = {row[0]: row[1] for row in rows if len(row) > 3}
    same(
        [(str(k), str(v)) for k, v in described.items()],
        [("id", "INT"), ("name", "VARCHAR(256)"), ("age", "INT")],
    )
    same(bench.sql("SELECT * FROM test.made_by_flink"), [("1", "James"), ("2", "Emily")])
