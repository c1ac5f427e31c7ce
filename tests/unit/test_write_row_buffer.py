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
"""Buffers: which columns a load carries, how batches grow, how raw lines are joined."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from beam_doris.errors import RowEncodingError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.schema.table_schema import Column, TableModel, TableSchema
from beam_doris.schema.types import parse_type
from beam_doris.write.job import OnRowError, RawLines, WriteJob
from beam_doris.write.row_buffer import (
    ArrowBuffer,
    LineBuffer,
    RowBuffer,
    delimiter_bytes,
    load_columns,
    row_shape,
)

SCHEMA = TableSchema(
    table=TableId("db", "t"),
    model=TableModel.UNIQUE,
    columns=(
        Column(name="k", type=parse_type("INT"), nullable=False, key=True),
        Column(name="v", type=parse_type("STRING")),
        Column(name="d", type=parse_type("INT"), default="5"),
        Column(name="n", type=parse_type("BIGINT"), auto_increment=True, nullable=False),
    ),
)


def job(columns: tuple[str, ...] | None = None, **options: Any) -> WriteJob:
    """A job on the table."""
    return WriteJob(
        connection=DorisConnection(fenodes="h:1", username="u", password=""),
        table=SCHEMA.table,
        label_prefix="p",
        run_id="r",
        columns=columns,
        schema=SCHEMA,
        options=WriteOptions(**options),
        on_row_error=OnRowError.FAIL,
    )


def names(columns: tuple[str, ...] | None, carried: tuple[str, ...] | None, **options: Any) -> Any:
    """The names of a load's columns."""
    found = load_columns(job(columns, **options), SCHEMA, carried)
    return tuple(column.name for column in found)


def carried(*given: str) -> tuple[Column, ...]:
    """The columns of a load of elements with these names."""
    return load_columns(job(), SCHEMA, given)


def test_a_missing_nullable_column_is_null_and_one_with_a_default_is_left_out() -> None:
    assert names(None, ("k",)) == ("k", "v")
    assert names(None, ("d", "k")) == ("k", "v", "d")


def test_declared_columns_are_all_that_is_written() -> None:
    assert names(("k", "d"), ("d", "k", "v")) == ("k", "d")
    assert names(("d", "k"), None) == ("d", "k")


def test_a_partial_update_writes_only_what_is_there() -> None:
    assert names(None, ("k",), load_properties={"partial_columns": "true"}) == ("k",)


def test_a_delete_sign_can_be_carried() -> None:
    assert names(None, ("k", "__DORIS_DELETE_SIGN__")) == ("k", "v", "__DORIS_DELETE_SIGN__")


def test_all_that_is_wrong_with_an_element_s_names_is_said_at_once() -> None:
    with pytest.raises(RowEncodingError) as failure:
        names(None, ("V", "n", "x"))
    for words in ("only by case", "AUTO_INCREMENT", "unknown column 'x'", "'k' is NOT NULL"):
        assert words in str(failure.value)


def test_elements_of_one_set_of_names_share_a_buffer() -> None:
    assert row_shape({"a": 1, "b": 2}) == row_shape({"a": 3, "b": None})
    assert row_shape({"a": 1}) != row_shape({"b": 1})
    assert row_shape((1, 2)) != row_shape((1, 2, 3))
    assert row_shape("x") == row_shape(b"y")


def test_batches_grow_to_the_wanted_rows_but_not_beyond_the_wanted_bytes() -> None:
    buffer = RowBuffer(job(batch_rows=5_000), carried("k"))
    assert sizes(buffer, {"k": 1, "v": "x"}, 12_000)[:4] == [256, 2_048, 5_000, 4_696]
    wide = RowBuffer(job(batch_bytes=100_000), carried("k", "v"))
    assert max(sizes(wide, {"k": 1, "v": "x" * 1_000}, 1_000)[1:]) <= 100


def sizes(buffer: RowBuffer, row: dict[str, Any], count: int) -> list[int]:
    """The sizes of the batches that so many rows make."""
    found = []
    for _ in range(count):
        if buffer.add(row):
            found += [chunk.num_rows for chunk in buffer.take(False)[0]]  # type: ignore[union-attr]
    return found + [chunk.num_rows for chunk in buffer.take(False)[0]]  # type: ignore[union-attr]


def test_a_bad_row_leaves_alone() -> None:
    rows: list[Any] = [{"k": i} for i in range(9)]
    rows[4] = {"k": "four"}
    buffer = RowBuffer(job(), carried(*rows[0]))
    for row in rows:
        buffer.add(row)
    chunks, refused = buffer.take(True)
    assert [chunk.num_rows for chunk in chunks] == [8]  # type: ignore[union-attr]
    assert [row for row, _ in refused] == [{"k": "four"}]


def test_long_arrow_batches_are_cut() -> None:
    batch = pa.record_batch({"k": pa.array(range(100_000), pa.int64())})
    buffer = ArrowBuffer(job(batch_bytes=100_000), carried(*batch.schema.names))
    assert buffer.add(batch)
    chunks, _ = buffer.take(False)
    assert len(chunks) >= 4
    keys = [key for chunk in chunks for key in chunk.column(0).to_pylist()]  # type: ignore[union-attr]
    assert keys == list(range(100_000))


def test_an_arrow_batch_without_rows_makes_no_load() -> None:
    empty = pa.record_batch({"k": pa.array([], pa.int32())})
    buffer = ArrowBuffer(job(), carried(*empty.schema.names))
    assert not buffer.add(empty)
    assert buffer.take(False) == ([], [])


def test_lines_get_exactly_one_delimiter() -> None:
    buffer = LineBuffer(job(load_format=LoadFormat.CSV))
    for line in ("1\ta", b"2\tb\n", "3\t\u00e9"):
        buffer.add(line)
    assert buffer.take(False)[0] == [RawLines("1\ta\n2\tb\n3\t\u00e9\n".encode(), 3)]


def test_lines_take_the_delimiter_that_the_load_announces() -> None:
    properties = {"line_delimiter": "\\x02\\n"}
    buffer = LineBuffer(job(load_format=LoadFormat.CSV, load_properties=properties))
    buffer.add("1")
    assert buffer.take(False)[0] == [RawLines(b"1\x02\n", 1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\x01", b"\x01"),
        ("\\x01\\x02", b"\x01\x02"),
        ("\\n", b"\n"),
        ("||", b"||"),
        ("\\xzz", b"\\xzz"),
    ],
)
def test_delimiters_are_read_as_the_server_reads_them(text: str, expected: bytes) -> None:
    assert delimiter_bytes(text) == expected


def test_an_empty_line_is_no_row() -> None:
    buffer = LineBuffer(job(load_format=LoadFormat.CSV))
    with pytest.raises(RowEncodingError, match="empty"):
        buffer.add("\n")
