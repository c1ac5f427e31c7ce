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
"""Readers of bodies: chunks, compression, and the two ways through CSV (P 4.2 to 4.4)."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zlib
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_doris.emulator.load import csv_reader
from beam_doris.emulator.load.arrow_reader import ArrowReader
from beam_doris.emulator.load.body import ByteSource, decompressed, line_blocks
from beam_doris.emulator.load.chunk import Reader
from beam_doris.emulator.load.csv_reader import CsvReader
from beam_doris.emulator.load.failure import LoadFailure
from beam_doris.emulator.load.json_reader import JsonReader, parse_path
from beam_doris.emulator.load.request import CsvFormat, JsonFormat, unescape
from beam_doris.emulator.types import DorisType, parse_type


class Pieces:
    """A body that arrives in small pieces."""

    def __init__(self, body: bytes, size: int = 1 << 20) -> None:
        self._stream = io.BytesIO(body)
        self._size = size

    def read(self, size: int = 1 << 20) -> bytes:
        """The next piece."""
        return self._stream.read(min(size, self._size))


def read(reader: Reader) -> tuple[list[tuple[Any, ...]], list[str]]:
    """All rows, and the reasons of bad ones."""
    rows: list[tuple[Any, ...]] = []
    bad: list[str] = []
    for chunk in reader.chunks():
        columns = [column.to_pylist() for column in chunk.columns]
        rows.extend(zip(*columns, strict=True))
        bad.extend(row.reason for row in chunk.bad)
    return rows, bad


def csv(body: bytes, width: int = 2, **form: Any) -> tuple[list[tuple[Any, ...]], list[str]]:
    fields = [f"f{place}" for place in range(width)]
    return read(CsvReader(Pieces(body), CsvFormat(**{"separator": b",", **form}), fields))


def test_a_field_may_be_null_or_empty() -> None:
    assert csv(b"\\N,\na,b") == ([(None, ""), ("a", "b")], [])


def test_an_empty_field_is_null_on_request() -> None:
    assert csv(b"a,\n", empty_as_null=True) == ([("a", None)], [])


def test_a_carriage_return_before_the_newline_is_dropped_and_a_lone_one_kept() -> None:
    assert csv(b"1,a\r\n2,b\rc\r\n") == ([("1", "a"), ("2", "b\rc")], [])


def test_empty_lines_are_no_rows() -> None:
    assert csv(b"\n1,a\n\n2,b\n\n")[0] == [("1", "a"), ("2", "b")]


def test_a_line_that_is_no_utf8_is_bad_alone() -> None:
    rows, bad = csv(b"1,a\n2,\xff\n3,c\n")
    assert rows == [("1", "a"), ("3", "c")]
    assert bad == ["Unable to display"]


def test_a_wrong_number_of_fields_is_told_with_both_numbers() -> None:
    rows, bad = csv(b"1,a,x\n2\n3,c\n")
    assert rows == [("3", "c")]
    assert "more than" in bad[0]
    assert "actual number: 3" in bad[0]
    assert "less than" in bad[1]
    assert "schema column number: 2" in bad[1]


def test_enclosed_fields_hold_separators_newlines_and_escaped_quotes() -> None:
    form: dict[str, Any] = {"enclose": b'"', "escape": b"\\", "trim_quotes": True}
    body = b'1,"a,b\nc"\n2,"say \\"x\\""\n3,plain\n'
    assert csv(body, **form) == ([("1", "a,b\nc"), ("2", 'say "x"'), ("3", "plain")], [])


def test_quotes_stay_unless_trimming_is_asked_for_and_other_characters_go() -> None:
    assert csv(b'1,"a"\n', enclose=b'"')[0] == [("1", '"a"')]
    assert csv(b"1,'a'\n", enclose=b"'")[0] == [("1", "a")]


def test_an_open_enclosure_is_a_bad_row() -> None:
    assert csv(b'1,"open\n', enclose=b'"', trim_quotes=True)[1]


FIELD = st.text(
    st.characters(blacklist_characters=",\n\r\x00", blacklist_categories=("Cs",)), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(FIELD, min_size=1, max_size=4), max_size=12))
def test_the_fast_and_the_slow_way_agree(rows: list[list[str]]) -> None:
    body = "\n".join(",".join(row) for row in rows).encode()
    fields = ["a", "b"]
    fast = CsvReader(Pieces(body), CsvFormat(separator=b","), fields)
    slow = CsvReader(Pieces(body), CsvFormat(separator=b","), fields)
    slow._simple = False
    assert read(fast)[0] == read(slow)[0]
    wanted = [row for row in rows if len(row) == 2 and row != [""]]
    assert len(read(CsvReader(Pieces(body), CsvFormat(separator=b","), fields))[0]) == len(wanted)


QUOTABLE = st.text(st.sampled_from('ab",\\\n|'), max_size=5)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(QUOTABLE, QUOTABLE), max_size=8),
    st.integers(min_value=1, max_value=30),
    st.booleans(),
)
def test_enclosed_rows_come_back_whatever_they_hold_and_however_they_arrive(
    rows: list[tuple[str, str]], size: int, last: bool
) -> None:
    def enclosed(text: str) -> str:
        plain = not set(text) & set('",\\\n')
        return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    body = "\n".join(",".join(map(enclosed, row)) for row in rows) + ("\n" if last else "")
    form = CsvFormat(separator=b",", enclose=b'"', escape=b"\\", trim_quotes=True)
    with mock.patch.object(csv_reader, "CHUNK_BYTES", size):
        reader = CsvReader(Pieces(body.encode(), size), form, ["a", "b"])
        assert read(reader) == (rows, [])


@pytest.mark.parametrize("size", [1, 3, 7, 1 << 20])
def test_blocks_end_with_a_whole_line_however_the_body_arrives(size: int) -> None:
    body = b"".join(b"line-%d##" % number for number in range(50))
    blocks = list(line_blocks(Pieces(body, size), b"##", 40))
    assert b"".join(blocks) == body
    assert all(block.endswith(b"##") for block in blocks)


def test_a_line_longer_than_a_block_stays_whole() -> None:
    body = b"x" * 5000 + b"\n" + b"y" * 9000 + b"\n" + b"z"
    blocks = list(line_blocks(Pieces(body, 100), b"\n", 64))
    assert b"".join(blocks) == body
    assert [block.count(b"\n") for block in blocks] == [1, 1]


def lz4(data: bytes) -> bytes:
    """An LZ4 frame."""
    packed: bytes = pa.compress(data, "lz4", asbytes=True)
    return packed


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gz", lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:])),
        ("bz2", lambda data: bz2.compress(data[:5000]) + bz2.compress(data[5000:])),
        ("deflate", zlib.compress),
        ("lz4", lz4),
    ],
)
@pytest.mark.parametrize("size", [13, 1 << 20])
def test_compressed_bodies_come_out_whole(name: str, pack: Any, size: int) -> None:
    data = b"".join(b"%d," % number for number in range(20000))
    assert drained(decompressed(Pieces(pack(data), size), name)) == data


@pytest.mark.parametrize(("name", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_a_truncated_compressed_body_fails(name: str, pack: Any) -> None:
    body = pack(b"a line\n" * 1000)
    with pytest.raises(LoadFailure):
        drained(decompressed(Pieces(body[:-6]), name))


def drained(source: ByteSource) -> bytes:
    pieces = []
    while data := source.read(1000):
        pieces.append(data)
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\\x01", b"\x01"),
        ("\\x01\\x02", b"\x01\x02"),
        ("\\t", b"\t"),
        ("||", b"||"),
        ("é", "é".encode()),
    ],
)
def test_separators_are_unescaped(text: str, wanted: bytes) -> None:
    assert unescape(text) == wanted


def from_json(body: bytes, fields: list[str], **form: Any) -> Any:
    return read(JsonReader(Pieces(body), JsonFormat(**form), fields))


def test_json_lines_keep_types_and_miss_keys() -> None:
    rows, bad = from_json(b'{"k":1,"v":"a"}\n\n{"v":null,"k":2,"x":0}\n', ["k", "v"])
    assert (rows, bad) == ([(1, "a"), (2, None)], [])


def test_a_line_that_is_no_json_is_bad_alone() -> None:
    rows, bad = from_json(b'{"k":1}\n{"k":\n{"k":3}\n', ["k"])
    assert rows == [(1,), (3,)]
    assert "Parse json data" in bad[0]


def test_two_objects_in_a_line_are_not_two_rows() -> None:
    rows, bad = from_json(b'{"k":1},{"k":2}\n', ["k"])
    assert rows == []
    assert len(bad) == 1


def test_mixed_json_values_become_text() -> None:
    rows, _ = from_json(b'{"k":1}\n{"k":"a"}\n{"k":{"x":[1,2]}}\n{"k":1.5}\n{"k":true}\n', ["k"])
    assert rows == [("1",), ("a",), ('{"x":[1,2]}',), ("1.5",), ("true",)]


def test_an_array_is_cut_between_elements_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from beam_doris.emulator.load import json_reader

    monkeypatch.setattr(json_reader, "_LINE_BLOCK", 64)
    values = [{"k": n, "v": '},{"k":', "n": [{"a": 1}, {"b": 2}]} for n in range(100)]
    body = json.dumps(values, indent=1).encode()
    reader = JsonReader(Pieces(body, 50), JsonFormat(by_line=False, strip_array=True), ["k", "v"])
    assert read(reader) == ([(n, '},{"k":') for n in range(100)], [])


def test_an_array_that_never_ends_is_bad() -> None:
    rows, bad = from_json(b'[{"k":1},{"k":2}', ["k"], by_line=False, strip_array=True)
    assert rows == []
    assert bad


def test_numbers_as_text_lose_no_digit() -> None:
    body = b'{"k":123456789012345678901234567890.10}\n'
    assert from_json(body, ["k"], numbers_as_text=True)[0] == [
        ("123456789012345678901234567890.10",)
    ]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("$.a.b", 1), ('$.a["b"]', 1), ("$.c[1].d", 5), ("$.c[*].d", [4, 5]), ("$", None)],
)
def test_json_paths(path: str, wanted: Any) -> None:
    value = {"a": {"b": 1}, "c": [{"d": 4}, {"d": 5}]}
    assert parse_path(path)(value) == (value if wanted is None else wanted)


def stream(table: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def from_arrow(body: bytes, types: dict[str, DorisType], *, by_order: bool = True) -> Any:
    return read(ArrowReader(Pieces(body), list(types), types, by_order=by_order))


def test_arrow_streams_back_to_back_are_one_body() -> None:
    types = {"k": parse_type("INT")}
    body = b"".join(stream(pa.table({"k": pa.array([n, n + 1], pa.int32())})) for n in (1, 3, 5))
    assert from_arrow(body, types)[0] == [(n,) for n in range(1, 7)]


def test_arrow_columns_in_another_order_are_refused_or_matched_by_name() -> None:
    types = {"k": parse_type("INT"), "v": parse_type("STRING")}
    body = stream(pa.table({"v": ["a"], "k": pa.array([1], pa.int32())}))
    with pytest.raises(LoadFailure, match="Column name mismatch: expected k, got v"):
        from_arrow(body, types)
    assert from_arrow(body, types, by_order=False)[0] == [(1, "a")]


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        ("INT", pa.array([1], pa.int64())),
        ("BIGINT", pa.array([1], pa.int32())),
        ("DECIMAL(10,2)", pa.array(["1.0"]).cast(pa.decimal128(10, 3))),
        ("DATE", pa.array(["2024-01-01"])),
        ("BITMAP", pa.array([b"x"])),
        ("ARRAY<INT>", pa.array([["a"]])),
    ],
)
def test_arrow_types_that_the_reader_does_not_take_are_refused(kind: str, array: Any) -> None:
    with pytest.raises(LoadFailure, match="Failed to convert from arrow to block"):
        from_arrow(stream(pa.table({"k": array})), {"k": parse_type(kind)})


def test_an_unfinished_arrow_stream_fails() -> None:
    body = stream(pa.table({"k": pa.array(range(1000), pa.int32())}))
    with pytest.raises(LoadFailure):
        from_arrow(body[: len(body) // 2], {"k": parse_type("INT")})
