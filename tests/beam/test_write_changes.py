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
"""Inserts, updates, deletes, sequences and partial rows, against the emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_doris.errors import ConfigError, RowEncodingError
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    LoadFormat,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
    WriteOptions,
)
from beam_doris.write.row_changes import RowKind
from beam_doris.write.sink import WriteToDoris
from tests.beam.cluster import Cluster, pipeline

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

ONE = 'DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ("replication_num" = "1"'


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A cluster with a database of its own."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE changing")
    return cluster


@pytest.fixture
def table(cluster: Cluster) -> Iterator[str]:
    """A table with a row per key."""
    cluster.sql(f"CREATE TABLE changing.t (id INT, name STRING, age INT) UNIQUE KEY(id) {ONE})")
    cluster.sql("INSERT INTO changing.t VALUES (1, 'old', 1), (2, 'gone', 2), (3, 'kept', 3)")
    yield "changing.t"
    cluster.sql("DROP TABLE changing.t")


def sink(cluster: Cluster, table: str = "changing.t", **more: Any) -> WriteToDoris:
    """A write."""
    return WriteToDoris(cluster.doris, **{"table": table, "label_prefix": "t", **more})


def content(cluster: Cluster, table: str = "changing.t") -> list[tuple[Any, ...]]:
    """Every row that is visible."""
    return cluster.sql(f"SELECT * FROM {table} ORDER BY id")


class Event(NamedTuple):
    """A change with names."""

    op: str
    id: int
    name: str | None
    age: int | None


EVENTS = [
    Event("c", 4, "new", 4),
    Event("-U", 1, "old", 1),
    Event("+U", 1, "newer", 10),
    Event("DELETE", 2, "gone", 2),
]
AFTER = [(1, "newer", 10), (3, "kept", 3), (4, "new", 4)]


def as_form(form: str) -> list[Any]:
    """The events as each kind of element."""
    if form == "dict":
        return [event._asdict() for event in EVENTS]
    if form == "row":
        return [beam.Row(**event._asdict()) for event in EVENTS]
    if form == "tuple":
        return [tuple(event) for event in EVENTS]
    if form == "batch":
        columns = list(zip(*EVENTS, strict=True))
        return [pa.RecordBatch.from_arrays([pa.array(c) for c in columns], names=Event._fields)]
    if form == "table":
        return [pa.Table.from_batches(as_form("batch"))]
    return list(EVENTS)


@pytest.mark.parametrize("load_format", list(LoadFormat))
@pytest.mark.parametrize("form", ["dict", "named", "row", "tuple", "batch", "table"])
def test_changes_arrive_from_every_element_in_every_format(
    cluster: Cluster, table: str, form: str, load_format: LoadFormat
) -> None:
    columns = Event._fields if form == "tuple" else None
    options = WriteOptions(load_format=load_format)
    with pipeline() as p:
        events = p | beam.Create(as_form(form), reshuffle=False)
        events | sink(cluster, change_type="op", columns=columns, options=options)
    assert content(cluster) == AFTER


@pytest.mark.parametrize(
    "mode", [TwoPhaseCommit(), PlainLoad(), BatchLoad()], ids=lambda mode: type(mode).__name__
)
def test_changes_arrive_in_every_mode(cluster: Cluster, table: str, mode: WriteMode) -> None:
    with pipeline() as p:
        p | beam.Create(EVENTS, reshuffle=False) | sink(cluster, change_type="op", mode=mode)
    assert content(cluster) == AFTER


def test_a_callable_tells_the_kind_of_a_change(cluster: Cluster, table: str) -> None:
    rows = [{"id": 3, "name": "x", "age": -1}, {"id": 5, "name": "y", "age": 5}]
    with pipeline() as p:
        p | beam.Create(rows) | sink(cluster, change_type=lambda r: "+I" if r["age"] > 0 else "-D")
    assert content(cluster) == [(1, "old", 1), (2, "gone", 2), (5, "y", 5)]


@pytest.mark.parametrize(
    ("ignored", "left"), [(True, [(1, "old", 1)]), (False, [])], ids=["ignored", "deleted"]
)
@pytest.mark.parametrize("form", ["dict", "batch"])
def test_an_image_before_an_update_is_dropped_or_deletes(
    cluster: Cluster, table: str, ignored: bool, left: list[Any], form: str
) -> None:
    row = {"op": "-U", "id": 1, "name": "old", "age": 1}
    elements: list[Any] = [row] if form == "dict" else [pa.RecordBatch.from_pylist([row])]
    options = WriteOptions(ignore_update_before=ignored)
    with pipeline() as p:
        p | beam.Create(elements) | sink(cluster, change_type="op", options=options)
    assert content(cluster)[: len(left)] == left
    assert len(content(cluster)) == 2 + len(left)


def test_a_change_type_that_is_a_column_too_is_stored(cluster: Cluster, table: str) -> None:
    rows = [{"id": 7, "name": "insert", "age": 7}]
    with pipeline() as p:
        p | beam.Create(rows) | sink(cluster, change_type="name")
    assert content(cluster)[-1] == (7, "insert", 7)


@pytest.mark.parametrize("load_format", list(LoadFormat))
def test_elements_may_carry_the_delete_sign_themselves(
    cluster: Cluster, table: str, load_format: LoadFormat
) -> None:
    rows = [
        {"id": 2, "name": None, "age": None, "__DORIS_DELETE_SIGN__": 1},
        {"id": 4, "name": "new", "age": 4, "__DORIS_DELETE_SIGN__": 0},
    ]
    with pipeline() as p:
        p | beam.Create(rows) | sink(cluster, options=WriteOptions(load_format=load_format))
    assert [row[0] for row in content(cluster)] == [1, 3, 4]


def test_raw_lines_carry_the_delete_sign_by_their_columns(cluster: Cluster, table: str) -> None:
    options = WriteOptions(load_properties={"columns": "id, name, __DORIS_DELETE_SIGN__"})
    lines = [
        json.dumps({"id": i, "name": "x", "__DORIS_DELETE_SIGN__": int(i == 2)}) for i in (2, 4)
    ]
    with pipeline() as p:
        p | beam.Create(lines) | sink(cluster, options=options)
    assert [row[0] for row in content(cluster)] == [1, 3, 4]


def test_an_unknown_change_type_leaves_as_a_failed_row_and_is_not_quoted(
    cluster: Cluster, table: str
) -> None:
    bad = [{"op": "merge7", "id": 4, "name": "x", "age": 1}, {"id": 5, "name": "y", "age": 2}]
    with pipeline() as p:
        rows = p | beam.Create([*bad, {"op": "i", "id": 6, "name": "z", "age": 3}])
        written = rows | sink(cluster, change_type="op", on_row_error="dead_letter")
        out = written.failed_rows | beam.Map(lambda r: (r.row, "merge7" in r.reason))
        assert_that(out, equal_to([(row, False) for row in bad]))
    assert content(cluster)[-1] == (6, "z", 3)


def test_rows_that_do_not_encode_leave_as_the_elements_that_they_were(
    cluster: Cluster, table: str
) -> None:
    bad = Event("c", "four", "x", 1)  # type: ignore[arg-type]
    with pipeline() as p:
        rows = p | beam.Create([bad, EVENTS[0]]).with_output_types(Any)
        written = rows | sink(cluster, change_type="op", on_row_error="dead_letter")
        assert_that(written.failed_rows | beam.Map(lambda r: r.row), equal_to([bad]))
    assert content(cluster)[-1] == (4, "new", 4)


@pytest.mark.parametrize("kind", list(RowKind))
def test_the_flink_names_of_changes_are_known(kind: RowKind) -> None:
    assert RowKind.parse(kind.value.lower()) is kind
    short = {"INSERT": "+I", "UPDATE_BEFORE": "-U", "UPDATE_AFTER": "+U", "DELETE": "-D"}
    assert RowKind.parse(short[kind.value]) is kind
    with pytest.raises(RowEncodingError):
        RowKind.parse(1)


# ---------------------------------------------------------------------------------- sequence


@pytest.fixture(params=["sequence_type", "sequence_col"])
def ordered(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A table whose rows have an order, by a hidden or by an own column."""
    value = "BIGINT" if request.param == "sequence_type" else "at"
    columns = "id INT, name STRING" + ("" if value == "BIGINT" else ", at BIGINT")
    cluster.sql(
        f"CREATE TABLE changing.o ({columns}) UNIQUE KEY(id) {ONE}, "
        f'"function_column.{request.param}" = "{value}")'
    )
    yield "changing.o"
    cluster.sql("DROP TABLE changing.o")


@pytest.mark.parametrize("load_format", list(LoadFormat))
def test_the_highest_sequence_wins_whatever_comes_last(
    cluster: Cluster, ordered: str, load_format: LoadFormat
) -> None:
    options = WriteOptions(load_format=load_format)
    for batch in ([(1, "new", 9), (1, "old", 3)], [(1, "older", 2), (2, "x", 1)]):
        rows = [dict(zip(("id", "name", "at"), row, strict=True)) for row in batch]
        with pipeline() as p:
            created = p | beam.Create(rows, reshuffle=False)
            created | sink(cluster, ordered, sequence="at", options=options)
    found = cluster.sql(f"SELECT id, name FROM {ordered} ORDER BY id")
    assert found == [(1, "new"), (2, "x")]


def test_a_callable_computes_the_sequence(cluster: Cluster, ordered: str) -> None:
    rows = [{"id": 1, "name": "zz"}, {"id": 1, "name": "a"}]
    with pipeline() as p:
        created = p | beam.Create(rows, reshuffle=False)
        created | sink(cluster, ordered, sequence=lambda row: len(row["name"]))
    assert cluster.sql(f"SELECT name FROM {ordered}") == [("zz",)]


def test_a_sequence_the_table_does_not_have_is_refused_when_built(
    cluster: Cluster, table: str
) -> None:
    with pytest.raises(ConfigError, match="has no sequence column"):
        sink(cluster, sequence="age")


def test_another_column_than_the_table_s_sequence_is_refused(cluster: Cluster) -> None:
    cluster.sql(
        f"CREATE TABLE changing.s (id INT, at INT, b INT) UNIQUE KEY(id) {ONE}, "
        '"function_column.sequence_col" = "at")'
    )
    with pytest.raises(ConfigError, match="from its column 'at', not 'b'"):
        sink(cluster, "changing.s", sequence="b")


# ------------------------------------------------------------------------------ partial rows


PARTIAL_MODES = [TwoPhaseCommit(), PlainLoad(), BatchLoad(in_flight=4)]


@pytest.mark.parametrize("run_id", [None, "again"])
@pytest.mark.parametrize("mode", PARTIAL_MODES, ids=lambda mode: type(mode).__name__)
def test_rows_with_other_columns_keep_their_order_by_key(
    cluster: Cluster, table: str, mode: WriteMode, run_id: str | None
) -> None:
    rows = [
        {"id": 1, "name": "a"},
        {"id": 2, "age": 20},
        {"id": 1, "name": "b", "age": 11},
        {"id": 1, "name": "c"},
        {"id": 2, "name": None},
        {"id": 2, "age": 21, "name": "d"},
        {"id": 2, "name": "e"},
        {"id": 3, "age": 33},
        {"id": 9, "age": 99},
    ]
    prefix = f"order-{type(mode).__name__}"
    with pipeline() as p:
        created = p | beam.Create(rows, reshuffle=False)
        created | sink(cluster, partial_columns=True, mode=mode, run_id=run_id, label_prefix=prefix)
    assert content(cluster) == [(1, "c", 11), (2, "e", 21), (3, "kept", 33), (9, None, 99)]


def test_null_is_written_and_what_is_missing_is_kept(cluster: Cluster, table: str) -> None:
    with pipeline() as p:
        rows = p | beam.Create([{"id": 1, "name": None}, {"id": 2, "age": 5}])
        rows | sink(cluster, partial_columns=True)
    assert content(cluster)[:2] == [(1, None, 1), (2, "gone", 5)]


def test_keys_that_change_columns_again_and_again_end_as_replayed_one_by_one(
    cluster: Cluster, table: str
) -> None:
    expected: dict[int, list[Any]] = {}
    rows = []
    for step in range(120):
        key, which = step * 7 % 10 + 10, step % 3
        row: dict[str, Any] = {"id": key}
        row |= {"name": f"n{step}"} if which != 1 else {}
        row |= {"age": step} if which != 0 else {}
        rows.append(row)
        kept = expected.setdefault(key, [None, None])
        kept[0], kept[1] = row.get("name", kept[0]), row.get("age", kept[1])
    with pipeline() as p:
        created = p | beam.Create(rows, reshuffle=False)
        created | sink(cluster, partial_columns=True, options=WriteOptions(batch_rows=16))
    found = {row[0]: list(row[1:]) for row in content(cluster) if row[0] >= 10}
    assert found == expected


def test_partial_rows_may_delete_too(cluster: Cluster, table: str) -> None:
    rows = [{"op": "u", "id": 1, "age": 7}, {"op": "d", "id": 2, "age": 0}]
    with pipeline() as p:
        p | beam.Create(rows) | sink(cluster, partial_columns=True, change_type="op")
    assert content(cluster) == [(1, "old", 7), (3, "kept", 3)]


def test_more_than_32_sets_of_columns_are_an_error(cluster: Cluster) -> None:
    names = [f"c{i}" for i in range(40)]
    columns = ", ".join(f"{name} INT" for name in names)
    cluster.sql(f"CREATE TABLE changing.wide (id INT, {columns}) UNIQUE KEY(id) {ONE})")
    rows = [{"id": 1000 + i, name: i} for i, name in enumerate(names)]
    write = sink(cluster, "changing.wide", partial_columns=True)
    with pytest.raises(RowEncodingError, match="more than 32"), pipeline() as p:
        p | beam.Create(rows, reshuffle=False) | write
    assert content(cluster, "changing.wide") == []


# -------------------------------------------------------------------- refused when it is built


def test_what_the_table_cannot_do_is_refused_when_built(cluster: Cluster) -> None:
    cluster.sql(f"CREATE TABLE changing.dup (id INT, name STRING) DUPLICATE KEY(id) {ONE})")
    cluster.sql(
        f"CREATE TABLE changing.mor (id INT, name STRING) UNIQUE KEY(id) {ONE}, "
        '"enable_unique_key_merge_on_write" = "false")'
    )
    with pytest.raises(ConfigError) as failure:
        sink(cluster, "changing.dup", change_type="op", partial_columns=True, sequence="name")
    assert len(failure.value.problems) == 3
    with pytest.raises(ConfigError, match="merge-on-write"):
        sink(cluster, "changing.mor", partial_columns=True)
    options = WriteOptions(load_properties={"partial_columns": "true"})
    with pytest.raises(ConfigError, match="merge-on-write"):
        sink(cluster, "changing.mor", options=options)


def test_contradictions_are_refused_when_built(cluster: Cluster, table: str) -> None:
    with pytest.raises(ConfigError, match="enable_delete"):
        sink(cluster, change_type="op", options=WriteOptions(enable_delete=False))
    with pytest.raises(ConfigError, match="partial_columns"):
        sink(cluster, partial_columns=True, mode=GroupCommit())
    with pytest.raises(ConfigError, match="'kind', which the elements do not carry"):
        sink(cluster, change_type="kind", columns=["id", "name"])
