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
"""What queries give: values, types and names (P 5.5, 8.1)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.sql_session import Asking, asking


@pytest.fixture(scope="module")
def doris() -> Iterator[Asking]:
    with asking() as found:
        found.table(
            "k INT, v VARCHAR(10), d DATE, m DATETIME(3), n DECIMAL(10,2), l LARGEINT, f DOUBLE, "
            "b BOOLEAN, a ARRAY<INT>, mp MAP<STRING,INT>, s STRUCT<a:INT,b:STRING>, j JSON, "
            "x VARIANT, ip IPV4, i6 IPV6"
        )
        found.run(
            "INSERT INTO t VALUES (1, 'a', '2020-01-02', '2020-01-02 03:04:05.678', 1.5, "
            "170141183460469231731687303715884105727, 1.25, true, [1, 2], {'a': 1}, {1, 'x'}, "
            "'{\"a\": [1, 2]}', '{\"q\": {\"w\": 5}}', '1.2.3.4', '::1'), "
            "(2, null, null, null, null, null, null, null, null, null, null, null, null, null, null)"
        )
        yield found


def test_every_type_has_its_text(doris: Asking) -> None:
    rows = doris.rows("SELECT * FROM t ORDER BY k")
    assert rows[0] == (
        "1", "a", "2020-01-02", "2020-01-02 03:04:05.678", "1.50",
        "170141183460469231731687303715884105727", "1.25", "1", "[1, 2]", '{"a":1}',
        '{"a":1, "b":"x"}', '{"a":[1,2]}', '{"q":{"w":5}}', "1.2.3.4", "::1",
    )  # fmt: skip
    assert rows[1][1:] == (None,) * 14


def test_columns_keep_their_declared_types_through_subqueries(doris: Asking) -> None:
    sql = "SELECT v, m, j, ip FROM (SELECT * FROM t) q UNION ALL SELECT v, m, j, ip FROM t"
    assert doris.types(sql) == ["varchar(10)", "datetime(3)", "json", "ipv4"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("k + 1", "2"),
        ("k / 2", "0.5"),
        ("k / 0", None),
        ("k DIV 2", "0"),
        ("'3' * 2", "6"),
        ("'10' > 9", "1"),
        ("v LIKE 'a%'", "1"),
        (r"'a%' LIKE 'a\%'", "1"),
        (r"'ab' LIKE 'a\%'", "0"),
        ("v NOT LIKE 'a%'", "0"),
        ("CONCAT(v, k, b)", "a11"),
        ("CASE WHEN k = 1 THEN 'x' ELSE 2 END", "x"),
        ("COALESCE(NULL, k)", "1"),
        ("CAST(1.7 AS INT)", "1"),
        ("CAST('x' AS INT)", None),
        ("CAST(b AS STRING)", "1"),
        ("CAST(a AS STRING)", "[1, 2]"),
        ("CAST('[1,2]' AS ARRAY<INT>)", "[1, 2]"),
        ("CAST(ip AS STRING)", "1.2.3.4"),
        ("ip > '1.2.3.3' AND ip < '1.2.3.10'", "1"),
        ("i6 = '0:0::1'", "1"),
        ("d = '2020-01-02'", "1"),
        ("m > '2020-01-02 03:04:05.677'", "1"),
        ("DATE_ADD(d, INTERVAL 1 DAY)", "2020-01-03"),
        ("DAYS_ADD(d, 1)", "2020-01-03"),
        ("m + INTERVAL 1 HOUR", "2020-01-02 04:04:05.678"),
        ("DATE_TRUNC(d, 'month')", "2020-01-01"),
        ("DATE_TRUNC('year', m)", "2020-01-01 00:00:00.000"),
        ("DATE_FORMAT(m, '%Y/%m/%d %H:%i')", "2020/01/02 03:04"),
        ("DATEDIFF(m, '2020-01-01')", "1"),
        ("STR_TO_DATE('2020-01-05', '%Y-%m-%d')", "2020-01-05"),
        ("FROM_UNIXTIME(0)", "1970-01-01 00:00:00"),
        ("UNIX_TIMESTAMP('1970-01-02')", "86400"),
        ("NOW()", "2023-11-14 22:13:20"),
        ("x['q']['w']", "5"),
        ("CAST(x['q']['w'] AS INT) + 1", "6"),
        ("x['no']", None),
        ("mp['a']", "1"),
        ("a[2]", "2"),
        ("s['b']", "x"),
        ("SIZE(mp)", "1"),
        ("LENGTH('中')", "3"),
        ("CHAR_LENGTH('中')", "1"),
        ("BITMAP_TO_STRING(BITMAP_FROM_STRING('3,1,3'))", "1,3"),
        ("HLL_CARDINALITY(HLL_HASH('x'))", "1"),
        ("1e20", "1e+20"),
        ("CAST('123456789012345678901234567890123456789.125' AS DECIMAL(50, 2))",
         "123456789012345678901234567890123456789.13"),
        ("CAST('2020-01-01 10:11:12.987' AS DATETIME)", "2020-01-01 10:11:13"),
        ("CAST('abcdef' AS VARCHAR(3))", "abc"),
        ("'a' COLLATE utf8_bin", "a"),
        ("DATABASE()", "d"),
        ("@@version_comment", "Doris version doris-emulator"),
    ],
)  # fmt: skip
def test_expressions(doris: Asking, expression: str, expected: str | None) -> None:
    assert doris.value(f"SELECT {expression} FROM t WHERE k = 1") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("SUM(k)", "bigint"),
        ("SUM(k) OVER ()", "bigint"),
        ("SUM(CASE WHEN k = 1 THEN 1 ELSE 0 END)", "bigint"),
        ("SUM(l)", "largeint"),
        ("COUNT(*)", "bigint"),
        ("MIN(d)", "date"),
        ("MAX(m)", "datetime(3)"),
        ("k + k", "bigint"),
    ],
)
def test_types_of_expressions(doris: Asking, expression: str, expected: str) -> None:
    assert doris.types(f"SELECT {expression} FROM t") == [expected] or doris.types(
        f"SELECT {expression} FROM t GROUP BY k, d, m, l"
    ) == [expected]


def test_an_expression_is_named_by_its_text(doris: Asking) -> None:
    sql = "SELECT k, count( * ), `v` AS `other name`, k+1 FROM t GROUP BY k, v"
    assert doris.names(sql) == ["k", "count( * )", "other name", "k+1"]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH c AS (SELECT k AS q FROM t) SELECT q FROM c WHERE q IN (SELECT k FROM t) ORDER BY q",
        "SELECT a.k FROM t a JOIN d.t b ON a.k = b.k LEFT JOIN t c ON c.k = a.k ORDER BY 1",
        "SELECT k FROM t UNION SELECT k FROM t ORDER BY k",
        "(SELECT k FROM t WHERE k = 1) UNION ALL (SELECT k FROM t WHERE k = 2)",
        "SELECT k FROM (VALUES (1), (2)) v(k)",
        "SELECT `max(k)` FROM (SELECT max(k) FROM t GROUP BY k) q ORDER BY 1",
        "SELECT d.t.k FROM d.t ORDER BY t.k;",
        "SELECT e FROM t LATERAL VIEW explode([1, 2]) x AS e WHERE k = 1 ORDER BY e",
    ],
)
def test_queries_of_several_parts(doris: Asking, sql: str) -> None:
    assert doris.rows(sql) == [("1",), ("2",)]


@pytest.mark.parametrize(
    ("sql", "code", "words"),
    [
        ("SELECT nope FROM t", 1054, "Unknown column 'nope' in 'table list'"),
        ("SELECT * FROM nope", 1109, "Unknown table 'nope'"),
        ("SELECT * FROM nope.t", 1049, "Unknown database 'nope'"),
        ("SELECT nope(1)", 1105, "the emulator does not support the function nope"),
        ("SELEC 1", 1105, "mismatched input 'SELEC'"),
        ("SELECT 1 FROM", 1105, "Syntax error"),
        ("SELECT * FROM t TABLET(5)", 1105, "Invalid tablet id: 5"),
        ("SELECT @@nope", 1193, "Unknown system variable 'nope'"),
        ("", 1065, "Query was empty"),
        ("BEGIN", 1105, "the emulator does not support transactions"),
        ("EXPORT TABLE t", 1105, "the emulator does not support EXPORT"),
        ("SELECT 1 INTO OUTFILE 'x'", 1105, "Syntax error"),
    ],
)
def test_errors_have_the_codes_and_words_of_doris(
    doris: Asking, sql: str, code: int, words: str
) -> None:
    error = doris.error(sql)
    assert error.code == code
    assert words in error.message


def test_parameters_are_values_and_never_sql(doris: Asking) -> None:
    hostile = "' OR '1' = '1"
    assert doris.rows("SELECT ?, k FROM t WHERE v = ? OR k = ?", (hostile, hostile, 2)) == [
        (hostile, "2")
    ]


def test_arrow_batches_carry_wide_integers_as_text(doris: Asking) -> None:
    table = doris.session.execute("SELECT l, k, [l] AS w FROM t ORDER BY k").batches().read_all()
    assert table.column_names == ["l", "k", "w"]
    biggest = "170141183460469231731687303715884105727"
    assert table["l"].to_pylist() == [biggest, None]
    assert table["w"].to_pylist() == [[biggest], [None]]


def test_variables_belong_to_the_session(doris: Asking) -> None:
    doris.run("SET @x = 5, session query_timeout = 7")
    assert doris.rows("SELECT @x + 1, @@query_timeout") == [("6", "7")]
    assert Asking(doris.engine).value("SELECT @@query_timeout") == "900"
