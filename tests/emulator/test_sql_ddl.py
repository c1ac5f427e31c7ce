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
"""DDL as it is read, and as SHOW gives it back (P 8.2, 8.3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from beam_doris.emulator.catalog import KeysModel
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.ddl import CreateTable, create_table
from beam_doris.emulator.sql.ddl_alter import changes
from beam_doris.emulator.sql.tokens import Reader, tokenize
from beam_doris.emulator.table_spec import (
    AddColumns,
    AddPartition,
    DropColumn,
    ModifyComment,
    PartitionSpec,
    RenameColumn,
)
from tests.emulator.sql_session import ONE, Asking, asking


def read(sql: str) -> CreateTable:
    return create_table(Reader(tokenize(sql), sql))


@pytest.fixture
def doris() -> Iterator[Asking]:
    with asking() as found:
        yield found


def test_every_part_of_a_column_is_read() -> None:
    sql = (
        "a.t (`k` BIGINT KEY NOT NULL AUTO_INCREMENT(5) COMMENT 'the key', "
        's VARCHAR(9) REPLACE_IF_NOT_NULL NULL DEFAULT "x", n DECIMAL(10, 2) SUM DEFAULT -1.5, '
        "m MAP<STRING, ARRAY<INT>>, at DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), "
        'g INT GENERATED ALWAYS AS (n + abs(k)) NULL, INDEX i (s) USING INVERTED PROPERTIES("a"="b"))'
    )
    found = read(sql)
    assert (found.database, found.name) == ("a", "t")
    key, text, number, nested, at, generated = found.columns
    assert key.key
    assert not key.nullable
    assert (key.auto_increment, key.comment) == (5, "the key")
    assert (text.aggregation, text.default) == ("REPLACE_IF_NOT_NULL", "x")
    assert (number.aggregation, number.default) == ("SUM", "-1.5")
    assert nested.type.shown() == "map<text,array<int>>"
    assert (at.default, at.default_is_function) == ("CURRENT_TIMESTAMP(3)", True)
    assert generated.generated == "n + abs(k)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PARTITION p VALUES LESS THAN ('5', MAXVALUE)", PartitionSpec(name="p", less_than=("5", None))),
        ("PARTITION p VALUES LESS THAN MAXVALUE", PartitionSpec(name="p", less_than=(None,))),
        ("PARTITION p VALUES [('1'), (-2))", PartitionSpec(name="p", lower=("1",), upper=("-2",))),
        ("PARTITION p VALUES IN ('a', NULL)", PartitionSpec(name="p", values=(("a",), (None,)))),
        ("PARTITION p VALUES IN ((1, 'a'), (2, 'b'))", PartitionSpec(name="p", values=(("1", "a"), ("2", "b")))),
        ("PARTITION p", PartitionSpec(name="p")),
    ],
)  # fmt: skip
def test_every_form_of_a_partition_is_read(text: str, expected: PartitionSpec) -> None:
    found = read(f"t (d INT) PARTITION BY LIST(d) ({text}) DISTRIBUTED BY RANDOM")
    assert found.partitions == (expected,)


def test_steps_become_one_partition_each() -> None:
    found = read(
        "t (d DATE) PARTITION BY RANGE(d) (FROM ('2024-01-31') TO ('2024-02-02') INTERVAL 1 DAY)"
    )
    assert [(part.name, part.lower, part.upper) for part in found.partitions] == [
        ("p_20240131", ("2024-01-31",), ("2024-02-01",)),
        ("p_20240201", ("2024-02-01",), ("2024-02-02",)),
    ]


def test_the_clauses_behind_the_columns_are_read() -> None:
    found = read(
        "IF NOT EXISTS t (d DATE) ENGINE=OLAP UNIQUE KEY(d) COMMENT 'c' "
        "AUTO PARTITION BY RANGE (date_trunc(`d`, 'month')) () "
        "DISTRIBUTED BY HASH(d) BUCKETS AUTO PROPERTIES ('a' = '1', \"b.c\" = 2)"
    )
    assert found.if_not_exists
    assert found.model is KeysModel.UNIQUE_KEYS
    assert found.comment == "c"
    assert found.partition_by is not None
    assert found.partition_by.columns == ("d",)
    assert found.partition_by.auto_expression == "date_trunc(`d`, 'month')"
    assert found.distribution is not None
    assert found.distribution.auto_buckets
    assert found.properties == {"a": "1", "b.c": "2"}


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("t (k INT", "expecting )"),
        ("t (k)", "expecting <EOF>"),
        ("t (k NOSUCHTYPE)", "Unsupported data type"),
        ("t (k INT) ENGINE=mysql", "does not support tables of ENGINE=mysql"),
        ("t (k INT) PROPERTIES ('a')", "expecting ="),
        ("t (k INT) NONSENSE", "mismatched input 'NONSENSE'"),
        ("nowhere.a.t (k INT)", "Unknown catalog 'nowhere'"),
    ],
)
def test_what_is_no_create_table_is_refused(sql: str, words: str) -> None:
    if sql == "t (k)":
        # a list of bare names waits for the query that gives the columns
        assert read(sql).column_names == ("k",)
        return
    with pytest.raises(EmulatorError, match=words.replace("(", r"\(").replace(")", r"\)")):
        read(sql)


def test_several_changes_in_one_alter_are_read() -> None:
    sql = (
        "ADD COLUMN a INT DEFAULT '1' AFTER k, ADD COLUMN (b INT, c INT), DROP COLUMN d, "
        "RENAME COLUMN e f, MODIFY COLUMN g COMMENT 'x', MODIFY COMMENT 'y', "
        "ADD PARTITION IF NOT EXISTS p VALUES LESS THAN ('5') DISTRIBUTED BY HASH(k) BUCKETS 7"
    )
    add, several, drop, rename, comment, table_comment, partition = changes(
        Reader(tokenize(sql), sql)
    )
    assert isinstance(add, AddColumns)
    assert add.after == "k"
    assert isinstance(several, AddColumns)
    assert [column.name for column in several.columns] == ["b", "c"]
    assert drop == DropColumn(name="d")
    assert rename == RenameColumn(old="e", new="f")
    assert comment == ModifyComment(comment="x", column="g")
    assert table_comment == ModifyComment(comment="y")
    assert isinstance(partition, AddPartition)
    assert partition.partition.buckets == 7
    assert partition.partition.if_not_exists


CREATED = [
    "(k INT, v VARCHAR(15) DEFAULT 'it''s \"x\"' COMMENT 'a \\'b\\'') DUPLICATE KEY(k) "
    f"DISTRIBUTED BY HASH(k) BUCKETS 3 {ONE}",
    "(k INT, s BIGINT SUM DEFAULT '0', b BITMAP BITMAP_UNION) AGGREGATE KEY(k) COMMENT 'c' "
    f"DISTRIBUTED BY HASH(k) BUCKETS 1 {ONE}",
    "(k INT, d DATE NOT NULL) DUPLICATE KEY(k) PARTITION BY RANGE(d) (PARTITION p1 VALUES LESS THAN "
    "('2020-01-01'), PARTITION p2 VALUES [('2020-01-01'), ('2021-01-01')), PARTITION p3 VALUES LESS "
    f"THAN MAXVALUE) DISTRIBUTED BY RANDOM BUCKETS 2 {ONE}",
    "(k INT, c VARCHAR(5) NOT NULL) DUPLICATE KEY(k) PARTITION BY LIST(c) (PARTITION p1 VALUES IN "
    f"('a', 'b'), PARTITION p2 VALUES IN ('c')) DISTRIBUTED BY HASH(k) BUCKETS AUTO {ONE}",
    "(k INT, d DATE NOT NULL) DUPLICATE KEY(k) AUTO PARTITION BY RANGE (date_trunc(`d`, 'month')) () "
    f"DISTRIBUTED BY HASH(k) BUCKETS 1 {ONE}",
    "(k INT, g INT AS (k + 1), id BIGINT NOT NULL AUTO_INCREMENT(7), at DATETIME DEFAULT "
    f"CURRENT_TIMESTAMP) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 {ONE}",
    "(k INT, v STRUCT<a: INT, b: MAP<STRING, ARRAY<DECIMAL(10, 2)>>>) UNIQUE KEY(k) DISTRIBUTED BY "
    "HASH(k) BUCKETS 1 PROPERTIES ('replication_num' = '1', "
    "'enable_unique_key_merge_on_write' = 'false')",
]


@pytest.mark.parametrize("definition", CREATED)
def test_the_shown_text_makes_the_same_table_again(doris: Asking, definition: str) -> None:
    doris.run(f"CREATE TABLE t {definition}")
    text = doris.rows("SHOW CREATE TABLE t")[0][1]
    described = doris.rows("DESC t")
    assert text is not None
    doris.run("DROP TABLE t")
    doris.run(text)
    assert doris.rows("SHOW CREATE TABLE t")[0][1] == text
    assert doris.rows("DESC t") == described


def test_like_and_as_select_make_tables(doris: Asking) -> None:
    doris.table("k INT, s STRING, n DECIMAL(10,2)")
    doris.run("INSERT INTO t VALUES (1, 'a', 1.5)")
    doris.run("CREATE TABLE same LIKE t")
    assert doris.rows("DESC same") == doris.rows("DESC t")
    assert doris.rows("SELECT * FROM same") == []
    assert doris.run(f"CREATE TABLE made {ONE} AS SELECT s AS x, k + 1 AS y FROM t") == 1
    assert doris.rows("SELECT * FROM made") == [("a", "2")]
    assert [row[:2] for row in doris.rows("DESC made")] == [
        ("x", "varchar(65533)"),
        ("y", "bigint"),
    ]


def test_views_are_queries_with_a_name(doris: Asking) -> None:
    doris.table("k INT, s STRING")
    doris.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    doris.run("CREATE VIEW v (a, b) AS SELECT k, s FROM t WHERE k > 1")
    assert doris.rows("SELECT b, a FROM v") == [("b", "2")]
    assert doris.types("SELECT a FROM v") == ["int"]
    assert [row[0] for row in doris.rows("SHOW TABLES")] == ["t", "v"]
    doris.run("DROP VIEW v")
    assert "Unknown table 'v'" in doris.error("SELECT * FROM v").message


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SHOW DATABASES LIKE 'd'", [("d",)]),
        ("SHOW TABLES FROM d WHERE table_name = 't'", [("t",)]),
        ("SHOW VARIABLES LIKE 'wait_timeout'", [("wait_timeout", "28800", "28800", "0")]),
        ("SHOW WARNINGS", []),
        ("SHOW INDEX FROM t", []),
        ("SHOW LOAD FROM d WHERE label = 'x' LIMIT 1", []),
        ("SHOW ALTER TABLE COLUMN FROM d", []),
        ("SHOW CHARSET", [("utf8mb4", "UTF-8 Unicode", "utf8mb4_0900_bin", "4")]),
    ],
)
def test_show_gives_what_clients_ask(
    doris: Asking, sql: str, expected: list[tuple[str, ...]]
) -> None:
    doris.table("k INT")
    assert doris.rows(sql) == expected


def test_show_tablets_and_partitions_of_a_partition(doris: Asking) -> None:
    doris.run(
        "CREATE TABLE t (k INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION a VALUES LESS THAN "
        f"('10'), PARTITION b VALUES LESS THAN ('20')) DISTRIBUTED BY HASH(k) BUCKETS 3 {ONE}"
    )
    doris.run("INSERT INTO t VALUES (1), (2), (11)")
    rows = doris.rows("SHOW PARTITIONS FROM t WHERE PartitionName = 'a'")
    assert [(row[1], row[2], row[8], row[-1]) for row in rows] == [("a", "2", "3", "2")]
    counts = [row[10] for row in doris.rows("SHOW TABLETS FROM t PARTITION(b)")]
    assert sorted(str(count) for count in counts) == ["0", "0", "1"]
    tablet = doris.rows("SHOW TABLETS FROM t PARTITION(b) ORDER BY RowCount DESC LIMIT 1")[0][0]
    assert doris.rows(f"SELECT k FROM t TABLET({tablet})") == [("11",)]


def test_accounts_are_changed_by_statements(doris: Asking) -> None:
    doris.run("CREATE USER 'bob'@'%' IDENTIFIED BY 'one'")
    assert "already exist" in doris.error("CREATE USER bob").message
    doris.run("ALTER USER bob IDENTIFIED BY 'two'")
    assert doris.engine.users.check_plain("bob", "two") is not None
    doris.run("SET PASSWORD FOR 'bob' = PASSWORD('three')")
    assert doris.engine.users.check_plain("bob", "three") is not None
    doris.run("GRANT ALL ON *.*.* TO 'bob'@'%'")
    assert "SELECT_PRIV" in str(doris.rows("SHOW GRANTS FOR bob")[0][4])
    doris.run("DROP USER bob")
    assert "does not exist" in doris.error("DROP USER bob").message
