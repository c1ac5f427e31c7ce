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
"""Option classes: validation of everything at once."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest

from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection, Node, Timeouts, parse_jdbc_url
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.options.table_id import TableId, quote
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    LoadFormat,
    PlainLoad,
    TwoPhaseCommit,
    WriteOptions,
)


def test_a_connection_normalizes_its_nodes() -> None:
    connection = DorisConnection(
        fenodes=" fe1:8030, fe2:8030 ,fe1:8030,", username="u", password="", benodes=["[::1]:8040"]
    )
    assert connection.frontends == (Node("fe1", 8030), Node("fe2", 8030))
    assert connection.backends == (Node("::1", 8040),)
    assert str(connection.backends[0]) == "[::1]:8040"


def test_a_connection_survives_pickling() -> None:
    connection = DorisConnection(fenodes="h:1", username="u", password="p", host_map={"a": "b"})
    copy = pickle.loads(pickle.dumps(connection))
    assert copy == connection
    assert {connection: 1}[copy] == 1


def test_a_connection_reports_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        DorisConnection(
            fenodes="fe1,fe2:99999",
            username="a:b",
            query_port=0,
            jdbc_url="postgresql://x",
            host_map={"be1": "h:1"},
            retries=-1,
        )
    problems = caught.value.problems
    for part in (
        "'fe1' is not host:port",
        "outside 1..65535",
        "colon",
        "password is missing",
        "query_port",
        "jdbc_url",
        "host_map",
        "retries",
    ):
        assert any(part in problem for problem in problems), part
    assert len(problems) == 8


def test_a_connection_needs_a_frontend() -> None:
    with pytest.raises(ConfigError, match="fenodes is missing"):
        DorisConnection(fenodes="", username="u", password="")


def test_hosts_are_mapped_with_and_without_port() -> None:
    connection = DorisConnection(
        fenodes="h:1", username="u", password="", host_map={"be1:8040": "x:18040", "be2": "y"}
    )
    assert connection.mapped(Node("be1", 8040)) == Node("x", 18040)
    assert connection.mapped(Node("be1", 9060)) == Node("be1", 9060)
    assert connection.mapped(Node("be2", 9060)) == Node("y", 9060)


def test_sql_addresses_come_from_the_jdbc_url_or_the_query_port() -> None:
    def make(jdbc_url: str | None, query_port: int | None) -> tuple[Node, ...]:
        connection = DorisConnection(
            fenodes="h:8030", username="u", password="", jdbc_url=jdbc_url, query_port=query_port
        )
        return connection.sql_nodes

    assert make(None, None) == ()
    assert make(None, 9030) == (Node("h", 9030),)
    assert make("jdbc:mysql://a:9031,b/db?x=1", 9030) == (Node("a", 9031), Node("b", 9030))


def test_a_jdbc_url_is_taken_apart() -> None:
    url = parse_jdbc_url("jdbc:mysql://127.0.0.1:9030/test?useSSL=false&rewrite=")
    assert url.nodes == (Node("127.0.0.1", 9030),)
    assert url.database == "test"
    assert url.parameters == {"useSSL": "false", "rewrite": ""}


def test_timeouts_are_positive_timedeltas() -> None:
    with pytest.raises(ConfigError) as caught:
        Timeouts(connect=timedelta(0), read=5)  # type: ignore[arg-type]
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db.t", TableId("db", "t")),
        (" `my.db`.`t``x` ", TableId("my.db", "t`x")),
        ("hive.db.t", TableId("db", "t", "hive")),
        ("internal.db.t", TableId("db", "t")),
        ("库.表", TableId("库", "表")),
    ],
)
def test_table_names_are_read_and_written(text: str, expected: TableId) -> None:
    assert TableId.parse(text) == expected
    assert TableId.parse(str(expected)) == expected
    assert TableId.parse(expected.sql()) == expected


@pytest.mark.parametrize(
    "text", ["t", "", "a.", ".b", "a.b.c.d", "`a.b", "`a`b.c", "a.b/c", "a.\x00"]
)
def test_wrong_table_names_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        TableId.parse(text)


def test_a_table_without_database_is_told_how_to_write_it() -> None:
    with pytest.raises(ConfigError, match=r"names no database\n.*database\.table"):
        TableId.parse("student")


def test_quoting_doubles_backticks() -> None:
    assert quote("a`b") == "`a``b`"


def test_read_options_report_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        ReadOptions(batch_rows=70_000, tablets_per_split=0, columns=(), filter=" ")
    assert len(caught.value.problems) == 4
    assert ReadOptions().protocol is ReadProtocol.AUTO


def test_write_options_report_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        WriteOptions(
            mode="2pc",  # type: ignore[arg-type]
            label_prefix="a.b",
            load_format=LoadFormat.ARROW,
            compress=True,
            batch_rows=0,
            max_load_bytes=11 * 1024**3,
            load_properties={"label": "x", "two_phase_commit": "true", "format": "csv"},
        )
    problems = "\n".join(caught.value.problems)
    for part in (
        "mode is",
        "label_prefix",
        "Arrow bodies",
        "batch_rows",
        "10 GiB",
        "'label'",
        "'two_phase_commit'",
        "'format'",
    ):
        assert part in problems, part


def test_group_commit_by_header_contradicts_other_modes() -> None:
    with pytest.raises(ConfigError, match="use mode=GroupCommit"):
        WriteOptions(load_properties={"group_commit": "async_mode"})
    assert WriteOptions(mode=GroupCommit()).load_properties == {}


def test_separators_become_header_safe() -> None:
    options = WriteOptions(
        load_format=LoadFormat.CSV,
        load_properties={"column_separator": "\x01", "line_delimiter": "\n"},
    )
    assert options.load_properties == {"column_separator": "\\x01", "line_delimiter": "\\x0a"}
    with pytest.raises(ConfigError, match="line break"):
        WriteOptions(load_properties={"where": "a = 1\r\nlabel: x"})


def test_separators_that_no_server_could_read_are_refused_when_built() -> None:
    with pytest.raises(ConfigError) as caught:
        WriteOptions(
            load_format=LoadFormat.CSV,
            load_properties={"column_separator": "\\x0a", "line_delimiter": "\n", "enclose": "''"},
        )
    problems = "\n".join(caught.value.problems)
    assert "one holds the other" in problems
    assert "enclose is not a single ASCII character" in problems


def test_modes_check_themselves() -> None:
    assert isinstance(WriteOptions().mode, TwoPhaseCommit)
    assert WriteOptions(mode=PlainLoad()).mode == PlainLoad()
    with pytest.raises(ConfigError):
        BatchLoad(max_rows=0, interval=timedelta(milliseconds=1))


def test_lookup_options_report_all_problems_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        LookupOptions(cache_rows=-1, batch_size=0, threads=0, cache_ttl=timedelta(seconds=-1))
    assert len(caught.value.problems) == 4


def test_unknown_load_formats_are_refused() -> None:
    assert LoadFormat.parse(" JSON ") is LoadFormat.JSON
    with pytest.raises(ConfigError, match="json, csv, arrow"):
        LoadFormat.parse("parquet")
