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
"""Refused rows, many tables and partial rows of unbounded input."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pytest

from beam_doris.errors import ConfigError
from beam_doris.options.delivery import StreamBuffer
from beam_doris.options.writing import PlainLoad, TwoPhaseCommit, WriteMode, WriteOptions
from beam_doris.write.destinations import Routed
from beam_doris.write.sink import WriteToDoris
from tests.beam.cluster import Cluster, pipeline
from tests.beam.collecting import collect, collected
from tests.beam.endless import Stream

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A cluster with a database of its own."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE flowing")
    return cluster


@pytest.fixture
def tables(cluster: Cluster) -> Iterator[list[str]]:
    """Two tables that take ids below 90 only."""
    names = ["flowing.even", "flowing.odd"]
    for name in names:
        cluster.sql(
            f"CREATE TABLE {name} (id INT NOT NULL, v INT) DUPLICATE KEY(id) "
            'PARTITION BY RANGE(id) (PARTITION p VALUES LESS THAN ("90")) '
            'DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ("replication_num" = "1")'
        )
    yield names
    for name in names:
        cluster.sql(f"DROP TABLE {name}")


OPTIONS = WriteOptions(stream=StreamBuffer(shards=2, max_rows=15, interval=timedelta(seconds=30)))


@pytest.mark.parametrize("mode", [TwoPhaseCommit(), PlainLoad()], ids=lambda m: type(m).__name__)
def test_a_stream_into_many_tables_gives_refused_rows_out_and_loses_nothing(
    cluster: Cluster, tables: list[str], mode: WriteMode
) -> None:
    with pipeline(streaming=True) as p:
        elements = (
            p
            | beam.Create([100])
            | beam.ParDo(Stream(20))
            | beam.Map(lambda i: Routed(tables[i % 2], {"id": i, "v": -i}))
        )
        written = elements | WriteToDoris(
            cluster.doris,
            table=None,
            label_prefix="s",
            options=OPTIONS,
            mode=mode,
            on_row_error="dead_letter",
        )
        collect(written.failed_rows | beam.Map(lambda row: (row.table, row.row["id"])))
    assert sorted(collected()) == sorted((tables[i % 2], i) for i in range(90, 100))
    for place, table in enumerate(tables):
        found = cluster.sql(f"SELECT id, v FROM {table} ORDER BY id")
        assert found == [(i, -i) for i in range(place, 90, 2)]


def test_partial_rows_of_a_stream_end_as_replayed_one_by_one(cluster: Cluster) -> None:
    cluster.sql(
        "CREATE TABLE flowing.u (id INT, a INT, b INT) UNIQUE KEY(id) "
        'DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ("replication_num" = "1")'
    )

    def row(step: int) -> dict[str, Any]:
        made = {"id": step * 3 % 7, "a": step} if step % 3 else {"id": step * 3 % 7, "b": step}
        return {**made, "b": -step} if step % 5 == 0 else made

    with pipeline(streaming=True) as p:
        rows = p | beam.Create([60]) | beam.ParDo(Stream(10)) | beam.Map(row)
        rows | WriteToDoris(
            cluster.doris,
            table="flowing.u",
            label_prefix="s",
            options=OPTIONS,
            partial_columns=True,
        )
    expected: dict[int, list[Any]] = {}
    for step in range(60):
        made = row(step)
        kept = expected.setdefault(made["id"], [None, None])
        kept[0], kept[1] = made.get("a", kept[0]), made.get("b", kept[1])
    found = cluster.sql("SELECT id, a, b FROM flowing.u")
    assert {key: [a, b] for key, a, b in found} == expected


def test_a_stream_cannot_replace_what_a_table_holds(cluster: Cluster, tables: list[str]) -> None:
    write = WriteToDoris(
        cluster.doris, table=tables[0], label_prefix="s", write_disposition="truncate"
    )
    p = pipeline(streaming=True)
    rows = p | beam.Create([3]) | beam.ParDo(Stream(1)) | beam.Map(lambda i: {"id": i, "v": i})
    with pytest.raises(ConfigError, match="bounded"):
        rows | write
