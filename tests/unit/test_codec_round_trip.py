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
"""Edge values through every codec, decoded by code that shares nothing with the encoders."""

from __future__ import annotations

import csv
import datetime
import io
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest

from beam_doris.codec.arrow_stream import ArrowStreamEncoder
from beam_doris.codec.compression import gzip_pieces
from beam_doris.codec.csv_lines import ENCLOSED, CsvLinesEncoder, choose_dialect
from beam_doris.codec.json_lines import JsonLinesEncoder
from beam_doris.codec.packing import RowPacker
from beam_doris.options.csv_dialect import CsvDialect
from beam_doris.options.table_id import TableId
from beam_doris.schema.arrow_normalize import normalize
from beam_doris.schema.python_values import to_dicts
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import DorisType, Kind, parse_type
from tests.edge_values import EDGE_VALUES, SPECIAL_FLOATS, same

TYPES = sorted(EDGE_VALUES)


def _columns(type_text: str) -> tuple[Column, ...]:
    return (
        Column(name="k", type=parse_type("BIGINT")),
        Column(name="spalte ü", type=parse_type(type_text)),
    )


def _batch(type_text: str, values: tuple[Any, ...]) -> pa.RecordBatch:
    rows = [{"k": number, "spalte ü": value} for number, value in enumerate(values)]
    return RowPacker(_columns(type_text)).pack(rows)


def _read_text(text: str, doris: DorisType) -> Any:
    """What a server makes of the text of a scalar."""
    kind = doris.kind
    if kind is Kind.BOOLEAN:
        return {"true": True, "false": False}[text]
    if kind in (Kind.TINYINT, Kind.SMALLINT, Kind.INT, Kind.BIGINT, Kind.LARGEINT):
        return int(text)
    if kind is Kind.FLOAT:
        return pa.array([float(text)], pa.float32())[0].as_py()
    if kind is Kind.DOUBLE:
        return float(text)
    if kind in (Kind.DECIMAL, Kind.DECIMALV2):
        assert "E" not in text.upper()
        return Decimal(text)
    if kind is Kind.DATE:
        return text if text.startswith("0000") else datetime.date.fromisoformat(text)
    if kind is Kind.DATETIME:
        assert "T" not in text
        return text if text.startswith("0000") else datetime.datetime.fromisoformat(text)
    return text


def _read_json(value: Any, doris: DorisType) -> Any:
    """What a server makes of a parsed JSON value."""
    if value is None:
        return None
    if doris.kind is Kind.ARRAY:
        return [_read_json(item, doris.children[0]) for item in value]
    if doris.kind is Kind.MAP:
        key, item = doris.children
        return {_read_text(k, key): _read_json(v, item) for k, v in value.items()}
    if doris.kind is Kind.STRUCT:
        inner = dict(zip(doris.names, doris.children, strict=True))
        return {name: _read_json(item, inner[name]) for name, item in value.items()}
    if isinstance(value, bool) and doris.kind is Kind.BOOLEAN:
        return value
    if isinstance(value, float):
        assert doris.kind in (Kind.FLOAT, Kind.DOUBLE)
        return _read_text(repr(value), doris)
    if isinstance(value, int):
        assert -(2**53) <= value <= 2**53
        return _read_text(str(value), doris)
    return _read_text(value, doris)


def _decode_json(body: bytes, doris: DorisType) -> list[Any]:
    lines = body.split(b"\n")
    assert lines.pop() == b""
    return [_read_json(orjson.loads(line)["spalte ü"], doris) for line in lines]


def _decode_csv(body: bytes, doris: DorisType, dialect: CsvDialect) -> list[Any]:
    text = body.decode()
    if dialect.enclose is None:
        rows = text.split(dialect.line_delimiter)
        assert rows.pop() == ""
        cells = [row.split(dialect.column_separator) for row in rows]
        assert {len(row) for row in cells} == {2}
        fields = [row[1] for row in cells]
    else:
        fields = list(_enclosed_fields(text, dialect))[1::2]
    return [_read_cell(field, doris, dialect) for field in fields]


def _enclosed_fields(text: str, dialect: CsvDialect) -> Iterator[str]:
    position = 0
    while position < len(text):
        end = position
        if text[position] == dialect.enclose:
            end += 1
            while text[end] != dialect.enclose:
                end += 2 if text[end] == dialect.escape else 1
            end += 1
        while text[end] not in (dialect.column_separator, dialect.line_delimiter):
            end += 1
        yield text[position:end]
        position = end + 1


def _read_cell(field: str, doris: DorisType, dialect: CsvDialect) -> Any:
    if field == "\\N":
        return None
    if dialect.enclose and field.startswith(dialect.enclose):
        inner = iter(field[1:-1])
        return "".join(next(inner) if char == dialect.escape else char for char in inner)
    if doris.is_nested:
        return _read_json(orjson.loads(field), doris)
    return _read_text(field, doris)


def _decode_arrow(body: bytes, doris: DorisType) -> list[Any]:
    with pa.ipc.open_stream(body) as reader:
        table = reader.read_all()
    assert table.schema.names == ["k", "spalte ü"]
    assert not any(
        pa.types.is_decimal256(field.type) and field.type.precision == 39 for field in table.schema
    )
    schema = TableSchema(table=TableId("d", "t"), columns=(Column(name="spalte ü", type=doris),))
    batch = normalize(table.combine_chunks().to_batches()[0], schema)
    return [row["spalte ü"] for row in to_dicts(batch)]


def _assert_same(got: list[Any], expected: tuple[Any, ...]) -> None:
    assert len(got) == len(expected)
    for position, (left, right) in enumerate(zip(got, expected, strict=True)):
        assert same(left, right), f"value {position} differs: {left!r:.80} {right!r:.80}"


@pytest.mark.parametrize("type_text", TYPES)
def test_packing_and_unpacking_keep_every_value(type_text: str) -> None:
    batch = _batch(type_text, EDGE_VALUES[type_text])
    _assert_same([row["spalte ü"] for row in to_dicts(batch)], EDGE_VALUES[type_text])


@pytest.mark.parametrize("type_text", TYPES)
def test_a_sliced_batch_keeps_every_value(type_text: str) -> None:
    batch = _batch(type_text, EDGE_VALUES[type_text]).slice(1)
    _assert_same([row["spalte ü"] for row in to_dicts(batch)], EDGE_VALUES[type_text][1:])


@pytest.mark.parametrize("type_text", TYPES)
def test_json_keeps_every_value(type_text: str) -> None:
    body = JsonLinesEncoder(_columns(type_text)).encode(_batch(type_text, EDGE_VALUES[type_text]))
    _assert_same(_decode_json(body, parse_type(type_text)), EDGE_VALUES[type_text])


@pytest.mark.parametrize("type_text", TYPES)
def test_json_of_a_slice_holds_only_the_slice(type_text: str) -> None:
    batch = _batch(type_text, EDGE_VALUES[type_text]).slice(1)
    body = JsonLinesEncoder(_columns(type_text)).encode(batch)
    _assert_same(_decode_json(body, parse_type(type_text)), EDGE_VALUES[type_text][1:])


@pytest.mark.parametrize("type_text", TYPES)
def test_csv_in_the_chosen_dialect_keeps_every_value(type_text: str) -> None:
    batch, columns = _batch(type_text, EDGE_VALUES[type_text]), _columns(type_text)
    dialect = choose_dialect(batch, columns)
    body = CsvLinesEncoder(columns, dialect).encode(batch)
    _assert_same(_decode_csv(body, parse_type(type_text), dialect), EDGE_VALUES[type_text])


@pytest.mark.parametrize("type_text", TYPES)
def test_enclosed_csv_keeps_every_value(type_text: str) -> None:
    batch, columns = _batch(type_text, EDGE_VALUES[type_text]).slice(1), _columns(type_text)
    body = CsvLinesEncoder(columns, ENCLOSED).encode(batch)
    _assert_same(_decode_csv(body, parse_type(type_text), ENCLOSED), EDGE_VALUES[type_text][1:])


@pytest.mark.parametrize("type_text", TYPES)
def test_arrow_keeps_every_value(type_text: str) -> None:
    for start in (0, 1):
        batch = _batch(type_text, EDGE_VALUES[type_text]).slice(start)
        body = ArrowStreamEncoder(_columns(type_text)).encode(batch)
        _assert_same(_decode_arrow(body, parse_type(type_text)), EDGE_VALUES[type_text][start:])


@pytest.mark.parametrize("type_text", ["FLOAT", "DOUBLE", "ARRAY<DOUBLE>", "ARRAY<FLOAT>"])
def test_numbers_that_are_none_travel_in_every_format(type_text: str) -> None:
    values: tuple[Any, ...] = SPECIAL_FLOATS
    if type_text.startswith("ARRAY"):
        values = ([*SPECIAL_FLOATS],)
    batch, columns, doris = _batch(type_text, values), _columns(type_text), parse_type(type_text)
    _assert_same(_decode_json(JsonLinesEncoder(columns).encode(batch), doris), values)
    encoder = CsvLinesEncoder(columns)
    _assert_same(_decode_csv(encoder.encode(batch), doris, encoder.dialect), values)
    _assert_same(_decode_arrow(ArrowStreamEncoder(columns).encode(batch), doris), values)


@pytest.mark.parametrize("make", [JsonLinesEncoder, CsvLinesEncoder, ArrowStreamEncoder])
def test_bodies_of_successive_batches_make_one_body(make: Callable[..., Any]) -> None:
    columns = _columns("INT")
    encoder = make(columns)
    body = encoder.encode(_batch("INT", (1, 2))) + encoder.encode(_batch("INT", (3,)))
    assert encoder.encode(_batch("INT", ())) == b""
    if make is ArrowStreamEncoder:
        source, read = io.BytesIO(body), []
        while source.tell() < len(body):
            with pa.ipc.open_stream(source) as reader:
                read += reader.read_all().column(1).to_pylist()
    elif make is JsonLinesEncoder:
        read = _decode_json(body, parse_type("INT"))
    else:
        read = _decode_csv(body, parse_type("INT"), encoder.dialect)
    assert read == [1, 2, 3]


def test_a_dict_becomes_the_same_json_as_its_batch() -> None:
    columns = tuple(
        Column(name=f"c{number}", type=parse_type(text))
        for number, text in enumerate(
            ("BIGINT", "DOUBLE", "STRING", "DATETIME(6)", "DATE", "DECIMAL(9, 2)", "BOOLEAN")
        )
    )
    rows: list[dict[str, Any]] = [
        {
            "c0": 2**53 + 1,
            "c1": float("nan"),
            "c2": 'q"\n\\',
            "c3": datetime.datetime(2024, 1, 2, 3, 4, 5, 6),
            "c4": datetime.date(2024, 1, 2),
            "c5": Decimal("1.50"),
            "c6": True,
        },
        {"c0": 1, "c1": float("inf"), "c2": "", "c3": None, "c4": None, "c5": None, "c6": None},
    ]
    encoder = JsonLinesEncoder(columns)
    assert encoder.takes_dicts
    direct = [orjson.loads(line) for line in encoder.encode_dicts(rows).splitlines()]
    packed = encoder.encode(RowPacker(columns).pack(rows)).splitlines()
    for left, right in zip(direct, map(orjson.loads, packed), strict=True):
        for column in columns:
            assert same(
                _read_json(left[column.name], column.type),
                _read_json(right[column.name], column.type),
            )


def test_gzip_pieces_are_one_member_of_the_body() -> None:
    pieces = [b"a" * 100_000, b"", b"b" * 10]
    assert zlib.decompress(b"".join(gzip_pieces(pieces)), wbits=31) == b"".join(pieces)


def test_a_plain_csv_of_the_usual_separators_reads_as_ordinary_csv() -> None:
    columns = _columns("STRING")
    dialect = CsvDialect(column_separator=",", line_delimiter="\n", fixed=True)
    body = CsvLinesEncoder(columns, dialect).encode(_batch("STRING", ("x", "y")))
    assert list(csv.reader(io.StringIO(body.decode()))) == [["0", "x"], ["1", "y"]]
