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
"""INSERT, UPDATE and DELETE over the three key models (P 4.1, 8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_doris.emulator.engine import Engine
from beam_doris.emulator.sql.executor import Session
from tests.emulator.sql_session import Asking, asking

UNIQUE = "UNIQUE KEY(k)"


@pytest.fixture
def doris() -> Iterator[Asking]:
    with asking() as found:
        yield found


def test_insert_counts_rows_and_fills_columns_left_out(doris: Asking) -> None:
    doris.table(
        "k INT, twice INT AS (k * 2), s STRING DEFAULT 'q', "
        "at DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), id BIGINT NOT NULL AUTO_INCREMENT(100)"
    )
    assert doris.run("INSERT INTO t (k) VALUES (1), (2)") == 2
    assert doris.run("INSERT INTO t (k, s) SELECT k + 10, CONCAT(s, '!') FROM t") == 2
    assert doris.run("INSERT INTO t VALUES (5, DEFAULT, 'z', DEFAULT, DEFAULT)") == 1
    rows = doris.rows("SELECT k, twice, s, at, id FROM t ORDER BY k")
    assert [row[:3] for row in rows] == [
        ("1", "2", "q"), ("2", "4", "q"), ("5", "10", "z"), ("11", "22", "q!"), ("12", "24", "q!"),
    ]  # fmt: skip
    assert {row[3] for row in rows} == {"2023-11-14 22:13:20.000"}
    assert len({row[4] for row in rows}) == 5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("(1, 'abcd', NULL, NULL)", "the length of input is too long"),
        ("('x', 'a', NULL, NULL)", "column(k) value is incorrect"),
        ("(99999999999, 'a', NULL, NULL)", "src value is [99999999999]"),
        ("(NULL, 'a', NULL, NULL)", "first_error_msg"),
        ("(1, 'a', '2020-02-30', NULL)", "column(d) value is incorrect"),
        ("(1, 'a', NULL, CONCAT('1', 'x'))", "column(n) value is incorrect"),
    ],
)
def test_strict_insert_refuses_the_whole_statement(doris: Asking, values: str, words: str) -> None:
    doris.table("k INT NOT NULL, v VARCHAR(3), d DATE, n DECIMAL(5,2)")
    error = doris.error(f"INSERT INTO t VALUES (7, 'ok', NULL, NULL), {values}")
    assert words in error.message
    assert doris.value("SELECT COUNT(*) FROM t") == "0"


def test_insert_that_is_not_strict_cuts_and_nulls(doris: Asking) -> None:
    doris.table("k INT, v VARCHAR(3), n INT")
    doris.run("SET enable_insert_strict = false")
    assert doris.run("INSERT INTO t VALUES (1, 'abcd', 'x'), (2, 'ééé', 3)") == 2
    assert doris.rows("SELECT * FROM t ORDER BY k") == [("1", "abc", None), ("2", "é", "3")]


def test_nested_literals_keep_every_digit(doris: Asking) -> None:
    doris.table(
        "k INT, a ARRAY<DECIMAL(30,10)>, m MAP<INT,ARRAY<STRING>>, s STRUCT<x:INT,y:STRUCT<z:DATE>>"
    )
    # the last row holds expressions and takes the slow way
    doris.run(
        "INSERT INTO t VALUES (1, [1.0000000001, -12345678901234567890.5, NULL], "
        "{1: ['a', 'b\\'c'], -2: []}, {1, {'2020-01-01'}}), (2, [], {}, NULL), "
        "(3, [1 + 1], {1: [CONCAT('a', 'b')]}, {1, NULL})"
    )
    assert doris.rows("SELECT a, m, s FROM t ORDER BY k") == [
        ("[1.0000000001, -12345678901234567890.5000000000, null]", '{1:["a", "b\'c"], -2:[]}',
         '{"x":1, "y":{"z":"2020-01-01"}}'),
        ("[]", "{}", None),
        ("[2.0000000000]", '{1:["ab"]}', '{"x":1, "y":null}'),
    ]  # fmt: skip


def test_a_label_is_used_once(doris: Asking) -> None:
    doris.table("k INT")
    doris.run("INSERT INTO t WITH LABEL one VALUES (1)")
    assert (
        "Label [one] has already been used"
        in doris.error("INSERT INTO t WITH LABEL one VALUES (2)").message
    )
    (row,) = doris.rows("SHOW TRANSACTION WHERE label = 'one'")
    assert row[1] == "one"
    assert row[3] == "VISIBLE"


def test_a_failed_insert_frees_its_label(doris: Asking) -> None:
    doris.table("k INT")
    doris.error("INSERT INTO t WITH LABEL two VALUES ('x')")
    assert doris.run("INSERT INTO t WITH LABEL two VALUES (2)") == 1


def test_insert_overwrite_replaces_the_table(doris: Asking) -> None:
    doris.table("k INT, v INT")
    doris.run("INSERT INTO t VALUES (1, 1), (2, 2)")
    assert doris.run("INSERT OVERWRITE TABLE t SELECT k + 10, v FROM t") == 2
    assert doris.rows("SELECT * FROM t ORDER BY k") == [("11", "1"), ("12", "2")]


def test_update_changes_values_of_unique_tables_only(doris: Asking) -> None:
    doris.table("k INT, v STRING, n INT", model=UNIQUE)
    doris.table("k INT, v STRING", name="other")
    doris.run("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)")
    doris.run("INSERT INTO other VALUES (2, 'from other')")
    assert doris.run("UPDATE t SET n = n + 1, v = CONCAT(v, '!') WHERE k = 1") == 1
    assert doris.run("UPDATE t x SET v = other.v FROM other WHERE other.k = x.k") == 1
    assert doris.rows("SELECT * FROM t ORDER BY k") == [
        ("1", "a!", "2"), ("2", "from other", "2"),
    ]  # fmt: skip
    assert "Only value columns" in doris.error("UPDATE t SET k = 5 WHERE k = 1").message
    assert "Only unique table" in doris.error("UPDATE other SET v = 'x'").message


def test_delete_by_condition_and_by_query(doris: Asking) -> None:
    doris.table("k INT, v STRING", model=UNIQUE)
    doris.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")
    assert doris.run("DELETE FROM t WHERE t.v = 'a' OR k = 2") == 2
    assert doris.run("DELETE FROM t WHERE k IN (SELECT MAX(k) FROM t)") == 1
    assert doris.rows("SELECT k FROM t") == [("3",)]
    assert "where clause is not set" in doris.error("DELETE FROM t").message


def test_the_delete_sign_can_be_written(doris: Asking) -> None:
    doris.table("k INT, v STRING", model=UNIQUE)
    doris.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    doris.run("INSERT INTO t (k, v, __DORIS_DELETE_SIGN__) VALUES (1, 'a', 1)")
    assert doris.rows("SELECT * FROM t") == [("2", "b")]
    assert doris.rows("SELECT *, __DORIS_DELETE_SIGN__ FROM t") == [("2", "b", "0")]
    doris.run("SET show_hidden_columns = true")
    names = doris.names("SELECT * FROM t")
    assert names[:3] == ["k", "v", "__DORIS_DELETE_SIGN__"]


def test_a_table_with_a_sequence_type_asks_for_the_sequence(doris: Asking) -> None:
    doris.table(
        "k INT, v STRING", model=UNIQUE, properties="'function_column.sequence_type' = 'bigint'"
    )
    assert (
        "need to specify the sequence column"
        in doris.error("INSERT INTO t VALUES (1, 'a')").message
    )
    for value, sequence in (("new", 5), ("old", 4)):
        doris.run(f"INSERT INTO t (k, v, __DORIS_SEQUENCE_COL__) VALUES (1, '{value}', {sequence})")
    assert doris.rows("SELECT v, __DORIS_SEQUENCE_COL__ FROM t") == [("new", "5")]
    doris.run("UPDATE t SET v = 'changed' WHERE k = 1")
    assert doris.rows("SELECT v FROM t") == [("changed",)]


def test_partial_update_keeps_the_other_columns(doris: Asking) -> None:
    doris.table("k INT, a INT, b INT", model=UNIQUE)
    doris.run("INSERT INTO t VALUES (1, 1, 1)")
    doris.run("SET enable_unique_key_partial_update = true")
    doris.run("INSERT INTO t (k, b) VALUES (1, 9)")
    assert doris.rows("SELECT * FROM t") == [("1", "1", "9")]


def test_bitmaps_and_sketches_fold(doris: Asking) -> None:
    doris.table("k INT, b BITMAP BITMAP_UNION, h HLL HLL_UNION", model="AGGREGATE KEY(k)")
    doris.run(
        "INSERT INTO t VALUES (1, TO_BITMAP(1), HLL_HASH('a')), (1, TO_BITMAP(7), HLL_HASH('b'))"
    )
    doris.run("INSERT INTO t SELECT k, BITMAP_FROM_STRING('1,9'), h FROM t")
    assert doris.rows("SELECT BITMAP_TO_STRING(b), HLL_CARDINALITY(h), b FROM t") == [
        ("1,7,9", "2", None)
    ]


def test_a_user_needs_the_privilege_of_the_statement(doris: Asking) -> None:
    doris.table("k INT")
    doris.run("CREATE USER bob IDENTIFIED BY 'x'")
    bob = Asking(doris.engine)
    user = doris.engine.users.get("bob")
    assert user is not None
    bob.session = Session(doris.engine, user, "d")
    for sql, code in (
        ("SELECT * FROM t", 1142),
        ("INSERT INTO t VALUES (1)", 1142),
        ("DROP TABLE t", 1142),
        ("CREATE DATABASE e", 1044),
        ("CREATE USER eve", 1227),
    ):
        assert bob.error(sql).code == code, sql
    doris.run("GRANT SELECT_PRIV, LOAD_PRIV ON d.* TO bob")
    assert bob.run("INSERT INTO t VALUES (1)") == 1
    assert bob.rows("SELECT * FROM t") == [("1",)]
    doris.run("REVOKE LOAD_PRIV ON d.* FROM bob")
    assert bob.error("INSERT INTO t VALUES (1)").code == 1142


def test_functions_survive_a_reopened_store(tmp_path: Path) -> None:
    for number in range(2):
        engine = Engine(path=tmp_path)
        try:
            engine.create_database("d", if_not_exists=True)
            doris = Asking(engine)
            if number == 0:
                doris.table("k INT, next INT AS (days_diff('2020-01-03', '2020-01-01') + k)")
            doris.run("INSERT INTO t (k) VALUES (?)", (number,))
            rows = doris.rows("SELECT next, CAST(TO_IPV6('0::1') AS STRING) FROM t ORDER BY k")
            assert rows == [("2", "::1"), ("3", "::1")][: number + 1]
        finally:
            engine.close()
