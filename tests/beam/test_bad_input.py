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
"""Wrong input of either transform: each is a typed error that says what, where and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest

from beam_doris.emulator import Emulator
from beam_doris.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    DorisError,
    ProtocolError,
    RowEncodingError,
)
from beam_doris.read.source import ReadFromDoris
from beam_doris.write.sink import WriteToDoris
from tests.beam.cluster import Cluster, pipeline

TABLE = "bad_input.people"
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Iterator[Cluster]:
    made = Cluster(emulator)
    made.sql("CREATE DATABASE bad_input")
    made.sql(
        f"CREATE TABLE {TABLE} (id INT NOT NULL, name VARCHAR(5), age TINYINT) UNIQUE KEY(id) "
        'DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ("replication_num" = "1")'
    )
    yield made
    made.sql("DROP DATABASE bad_input FORCE")


@pytest.fixture(params=["read", "write"])
def make(request: pytest.FixtureRequest, cluster: Cluster) -> Make:
    """Builds a transform, with some of its arguments wrong."""

    def build(connection: dict[str, Any] | None = None, **arguments: Any) -> Any:
        doris = cluster.connection(**(connection or {}))
        if request.param == "read":
            return ReadFromDoris(doris, **{"table": TABLE, **arguments})
        return WriteToDoris(doris, **{"table": TABLE, "label_prefix": "bad", **arguments})

    return build


def _told(failure: pytest.ExceptionInfo[DorisError], *words: str) -> None:
    for word in words:
        assert word in str(failure.value)


def test_an_unknown_host(make: Make) -> None:
    with pytest.raises(ConnectError) as failure:
        make({"fenodes": "no-such-host.invalid:8030"})
    _told(failure, "no-such-host.invalid:8030", "check fenodes", "validate=False")


def test_a_port_where_nobody_listens(make: Make) -> None:
    with pytest.raises(ConnectError) as failure:
        make({"fenodes": "127.0.0.1:9"})
    _told(failure, "127.0.0.1:9", "check fenodes")


def test_the_port_of_another_protocol(make: Make, cluster: Cluster) -> None:
    node = f"127.0.0.1:{cluster.ready['fe_mysql']}"
    with pytest.raises(ProtocolError) as failure:
        make({"fenodes": node})
    _told(failure, node, "not HTTP", "check the port")


def test_the_port_of_a_backend(make: Make, cluster: Cluster) -> None:
    node = f"127.0.0.1:{cluster.ready['backends'][0]['http']}"
    with pytest.raises(ProtocolError) as failure:
        make({"fenodes": node})
    _told(failure, node, TABLE, "check the port")


def test_a_wrong_password(make: Make) -> None:
    with pytest.raises(AuthError) as failure:
        make({"password": "wrong7"})
    _told(failure, "root", TABLE, "check user, password and privileges")
    assert "wrong7" not in str(failure.value)


@pytest.mark.parametrize("table", ["bad_input.poeple", "nowhere.people"])
def test_an_unknown_table_or_database(make: Make, table: str) -> None:
    with pytest.raises(ConfigError) as failure:
        make(table=table)
    _told(failure, table, "Unknown", "check the name")


@pytest.mark.parametrize("table", ["people", " "])
def test_a_table_without_a_database(make: Make, table: str) -> None:
    with pytest.raises(ConfigError) as failure:
        make(table=table)
    _told(failure, "names no database", "write database.table")


def test_an_unknown_column(make: Make) -> None:
    with pytest.raises(ConfigError) as failure:
        make(columns=["id", "nmae"])
    _told(failure, TABLE, "'nmae'", "did you mean 'name'?")


def test_several_wrong_arguments_are_told_together(make: Make) -> None:
    with pytest.raises(ConfigError) as failure:
        make(table="people", columns=[])
    assert len(failure.value.problems) == 2
    _told(failure, "names no database", "columns is empty")


def test_every_wrong_address_is_told(cluster: Cluster) -> None:
    with pytest.raises(ConfigError) as failure:
        cluster.connection(fenodes="a:b,host,http://x:1", username="")
    assert len(failure.value.problems) == 4
    _told(failure, "'a:b'", "'host'", "leave out the scheme", "username is missing")


@pytest.mark.parametrize(
    ("element", "words"),
    [
        ({}, ["is empty"]),
        ((), ["is empty"]),
        ("", ["is empty"]),
        (None, ["NoneType"]),
        (5, ["int, not a row"]),
        ({"id": "abc"}, ["'id'", "takes int"]),
        ({"id": 1, "age": 300}, ["'age'", "out of the range of TINYINT"]),
        ({"id": 1, "name": "abcdefgh"}, ["'name'", "8 bytes", "VARCHAR(5)"]),
        ({"id": 1, "size": 2}, ["'size'", "id, name, age"]),
        ({"ID": 1}, ["'ID'", "only by case", "'id'"]),
        ({"name": "a"}, ["'id'"]),
    ],
    ids=str,
)
def test_an_element_that_does_not_fit(cluster: Cluster, element: Any, words: list[str]) -> None:
    with pytest.raises(RowEncodingError) as failure, pipeline() as p:
        (
            p
            | beam.Create([element], reshuffle=False)
            | beam.Map(lambda x: x).with_output_types(Any)
            | WriteToDoris(cluster.doris, table=TABLE, label_prefix="bad")
        )
    _told(failure, TABLE, *words)
    assert "abcdefgh" not in str(failure.value), "cells stay out of errors"
    assert cluster.sql(f"SELECT count(*) FROM {TABLE}") == [(0,)]
