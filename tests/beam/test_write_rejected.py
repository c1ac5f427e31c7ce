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
"""Rows that the server refuses come out as data, and all others arrive exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_doris.beam_support.load_metrics import REJECTED, SEARCHED, UNISOLATED
from beam_doris.emulator import Rule
from beam_doris.errors import RejectedRowsError
from beam_doris.options.bad_rows import BadRows
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    LoadFormat,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
    WriteOptions,
)
from beam_doris.write.result import FailedRow
from beam_doris.write.sink import WriteToDoris
from tests.beam.cluster import Cluster, pipeline
from tests.beam.collecting import collect, collected

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A cluster with a database of its own."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE refusing")
    return cluster


@pytest.fixture
def table(cluster: Cluster) -> Iterator[str]:
    """A table that keeps every row, and takes only ids below 1,000: the client cannot know."""
    cluster.sql(
        "CREATE TABLE refusing.t (id INT NOT NULL, name VARCHAR(20)) DUPLICATE KEY(id) "
        'PARTITION BY RANGE(id) (PARTITION p VALUES LESS THAN ("1000")) '
        'DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ("replication_num" = "1")'
    )
    yield "refusing.t"
    cluster.emulator.faults.clear()
    cluster.sql("DROP TABLE refusing.t")


GOOD = list(range(400))
BAD = [1000, 1777, 5000]
# the bad ones in the middle, at the end, and beside each other
IDS = [*GOOD[:150], BAD[0], BAD[1], *GOOD[150:], BAD[2]]


def rows() -> list[dict[str, Any]]:
    """Good and bad ones."""
    return [{"id": i, "name": f"n{i}"} for i in IDS]


def sink(cluster: Cluster, table: str, **more: Any) -> WriteToDoris:
    """A write that gives bad rows out."""
    fields = {"table": table, "label_prefix": "t", "on_row_error": "dead_letter", **more}
    return WriteToDoris(cluster.doris, **fields)


def content(cluster: Cluster, table: str) -> list[int]:
    """The ids that are visible, each as often as it is there."""
    return [row[0] for row in cluster.sql(f"SELECT id FROM {table} ORDER BY id")]


def told(row: FailedRow) -> tuple[str, Any, bool, bool]:
    """What a test compares of a failed row."""
    return row.table, row.row, "partition" in row.reason, row.unisolated


def counter(result: Any, name: str) -> int:
    """A counter's value over all steps."""
    found = result.metrics().query(beam.metrics.MetricsFilter().with_name(name))["counters"]
    return sum(entry.committed for entry in found)


EXPECTED = [("refusing.t", {"id": i, "name": f"n{i}"}, True, False) for i in BAD]
MODES: list[WriteMode] = [
    TwoPhaseCommit(),
    PlainLoad(),
    BatchLoad(max_rows=100),
    GroupCommit("sync"),
]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: type(mode).__name__)
def test_refused_rows_come_out_in_every_mode(cluster: Cluster, table: str, mode: WriteMode) -> None:
    p = pipeline()
    written = p | beam.Create(rows(), reshuffle=False) | sink(cluster, table, mode=mode)
    assert_that(written.failed_rows | beam.Map(told), equal_to(EXPECTED))
    result = p.run()
    result.wait_until_finish()
    assert content(cluster, table) == GOOD
    assert counter(result, REJECTED) == 3
    assert counter(result, UNISOLATED) == 0
    assert 0 < counter(result, SEARCHED) <= 2 * 3 * 9


@pytest.mark.parametrize("load_format", list(LoadFormat))
def test_refused_rows_come_out_in_every_format(
    cluster: Cluster, table: str, load_format: LoadFormat
) -> None:
    options = WriteOptions(load_format=load_format, bad_rows=BadRows(memory_bytes=0))
    with pipeline() as p:
        written = p | beam.Create(rows()) | sink(cluster, table, options=options)
        assert_that(written.failed_rows | beam.Map(told), equal_to(EXPECTED))
    assert content(cluster, table) == GOOD


@pytest.mark.parametrize("compress", [False, True])
def test_refused_raw_lines_come_out_as_they_were(
    cluster: Cluster, table: str, compress: bool
) -> None:
    options = WriteOptions(
        load_format=LoadFormat.CSV,
        load_properties={"column_separator": ","},
        compress=compress,
    )
    lines = ["1,a", "x,b", "3,c", "4", "2000,e"]
    with pipeline() as p:
        written = p | beam.Create(lines) | sink(cluster, table, options=options)
        out = written.failed_rows | beam.Map(lambda row: row.row)
        assert_that(out, equal_to([b"x,b", b"4", b"2000,e"]))
    assert content(cluster, table) == [1, 3]


def test_each_row_is_told_its_own_reason_and_no_value(cluster: Cluster, table: str) -> None:
    options = WriteOptions(load_format=LoadFormat.CSV, load_properties={"column_separator": ","})
    lines = ["1,a", "secret7,b", "3,c", "4", "2000,e"]
    with pipeline() as p:
        written = p | beam.Create(lines) | sink(cluster, table, options=options)
        collect(written.failed_rows | beam.Map(lambda r: (r.row, r.reason, r.label)))
    seen = collected()
    by_row = {row: reason for row, reason, _ in seen}
    assert "column number" in by_row[b"4"]
    assert "partition" in by_row[b"2000,e"]
    assert "secret7" not in by_row[b"secret7,b"]
    assert len(set(by_row.values())) == 3
    assert all(label and label.startswith("t_") for _, _, label in seen)


def test_the_search_ends_at_its_limit_and_says_what_is_undecided(
    cluster: Cluster, table: str
) -> None:
    options = WriteOptions(bad_rows=BadRows(max_loads=4))
    with pipeline() as p:
        written = p | beam.Create(rows()) | sink(cluster, table, options=options)
        collect(written.failed_rows)
    seen = collected()
    out = [row.row["id"] for row in seen]
    assert set(BAD) <= set(out)
    assert sorted(out + content(cluster, table)) == sorted(IDS)
    assert any(row.unisolated for row in seen)


def test_rows_that_do_not_encode_and_rows_that_the_server_refuses_leave_together(
    cluster: Cluster, table: str
) -> None:
    bad = [{"id": "nine", "name": "x"}, {"id": 2000, "name": "y"}, {"id": 3, "name": "z" * 21}]
    with pipeline() as p:
        written = p | beam.Create([*bad, {"id": 1, "name": "a"}]) | sink(cluster, table)
        assert_that(written.failed_rows | beam.Map(lambda row: row.row), equal_to(bad))
    assert content(cluster, table) == [1]


def test_a_bad_row_fails_the_pipeline_where_nobody_takes_it(cluster: Cluster, table: str) -> None:
    with pytest.raises(RejectedRowsError) as failure, pipeline() as p:
        p | beam.Create(rows()) | sink(cluster, table, on_row_error="fail")
    assert "partition" in str(failure.value)
    assert content(cluster, table) == []


def test_a_failure_during_the_search_leaves_nothing_behind(cluster: Cluster, table: str) -> None:
    # the third accepted load is refused for good; its brothers must not stay pre-committed
    cluster.emulator.faults.add(
        Rule(point="be.load.body", action="fail", nth=4, count=1, args={"message": "disk is full"})
    )
    with pytest.raises(Exception, match=r"."), pipeline() as p:
        p | beam.Create(rows()) | sink(cluster, table)
    assert cluster.emulator.faults.fired()
    assert content(cluster, table) == []
    states = {txn.state.name for txn in cluster.emulator.engine.transactions.list("refusing")}
    assert not states & {"PREPARE", "PRECOMMITTED"}


def test_what_max_filter_ratio_drops_comes_out_with_its_lines(cluster: Cluster, table: str) -> None:
    options = WriteOptions(
        load_format=LoadFormat.CSV,
        load_properties={"column_separator": ",", "max_filter_ratio": "0.9"},
    )
    with pipeline() as p:
        lines = p | beam.Create(["1,a", "2000,e"])
        written = lines | sink(cluster, table, options=options)
        out = written.failed_rows | beam.Map(lambda row: "2000" in row.row)
        assert_that(out, equal_to([True]))
    assert content(cluster, table) == [1]


def test_the_last_of_equal_keys_wins_although_the_load_was_cut(cluster: Cluster) -> None:
    cluster.sql(
        "CREATE TABLE refusing.u (id INT, v INT) UNIQUE KEY(id) "
        'PARTITION BY RANGE(id) (PARTITION p VALUES LESS THAN ("1000")) '
        'DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES ("replication_num" = "1")'
    )
    elements = [{"id": i % 5, "v": i} for i in range(64)]
    elements[20] = {"id": 2000, "v": 0}
    elements[45] = {"id": 2000, "v": 1}
    with pipeline() as p:
        p | beam.Create(elements, reshuffle=False) | sink(cluster, "refusing.u")
    final = {e["id"]: e["v"] for e in elements if e["id"] < 1000}
    assert cluster.sql("SELECT id, v FROM refusing.u ORDER BY id") == sorted(final.items())
