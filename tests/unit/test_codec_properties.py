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
"""Random content through the codecs and the type grammar."""

from __future__ import annotations

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_doris.codec.csv_lines import ENCLOSED, PLAIN, CsvLinesEncoder, choose_dialect
from beam_doris.codec.json_lines import JsonLinesEncoder
from beam_doris.codec.packing import RowPacker
from beam_doris.errors import ConfigError, RowEncodingError, TypeMappingError
from beam_doris.options.csv_dialect import CsvDialect
from beam_doris.schema.filters import raw_filter
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import DorisType, Kind, parse_type

COLUMNS = tuple(Column(name=name, type=DorisType(Kind.STRING)) for name in ("a", "b"))
# Few characters, so that separators, escapes and quotes meet all the time.
NASTY = st.text("\x01\x02\x03\x04\x05\x06\x1c\x1d\x1e\x1f\\N'\"a,\n\r\ufeff", max_size=8)
TEXTS = st.none() | NASTY | st.text(max_size=8)
ROWS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6)


def _split_plain(body: str, dialect: CsvDialect) -> list[tuple[str | None, ...]]:
    """Leftmost separator first, as a server splits."""
    rows: list[tuple[str, ...]] = []
    row: list[str] = []
    field, position = "", 0
    while position < len(body):
        if body.startswith(dialect.line_delimiter, position):
            rows.append((*row, field))
            row, field, position = [], "", position + len(dialect.line_delimiter)
        elif body.startswith(dialect.column_separator, position):
            row.append(field)
            field, position = "", position + len(dialect.column_separator)
        else:
            field += body[position]
            position += 1
    assert not row
    assert not field
    return [tuple(None if cell == "\\N" else cell for cell in cells) for cells in rows]


def _split_enclosed(body: str) -> list[tuple[str | None, ...]]:
    cells: list[str | None] = []
    position = 0
    while position < len(body):
        if body[position] == "'":
            text, position = "", position + 1
            while body[position] != "'":
                position += body[position] == "\\"
                text += body[position]
                position += 1
            position += 1
            cells.append(text)
        else:
            assert body.startswith("\\N", position)
            position += 2
            cells.append(None)
        assert body[position] == ("\x01" if len(cells) % 2 else "\x02")
        position += 1
    return list(zip(cells[::2], cells[1::2], strict=True))


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_csv_in_the_chosen_dialect_splits_into_the_same_rows(
    rows: list[tuple[str | None, str | None]],
) -> None:
    batch = RowPacker(COLUMNS).pack(rows)
    dialect = choose_dialect(batch, COLUMNS)
    body = CsvLinesEncoder(COLUMNS, dialect).encode(batch).decode()
    assert (_split_enclosed(body) if dialect == ENCLOSED else _split_plain(body, dialect)) == rows


@settings(max_examples=100, deadline=None)
@given(
    ROWS,
    st.sampled_from([",", "\t", "aa", "aba", "\x01"]),
    st.sampled_from(["\n", "\r\n", "\x02\x03\x02"]),
)
def test_csv_of_any_separators_is_right_or_refused(
    rows: list[tuple[str | None, str | None]], separator: str, delimiter: str
) -> None:
    try:
        dialect = CsvDialect(column_separator=separator, line_delimiter=delimiter, fixed=True)
        body = CsvLinesEncoder(COLUMNS, dialect).encode(RowPacker(COLUMNS).pack(rows)).decode()
    except (RowEncodingError, ConfigError):
        return
    assert _split_plain(body, dialect) == rows


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_enclosed_csv_takes_every_text(rows: list[tuple[str | None, str | None]]) -> None:
    body = CsvLinesEncoder(COLUMNS, ENCLOSED).encode(RowPacker(COLUMNS).pack(rows))
    assert _split_enclosed(body.decode()) == rows


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_json_takes_every_text(rows: list[tuple[str | None, str | None]]) -> None:
    body = JsonLinesEncoder(COLUMNS).encode(RowPacker(COLUMNS).pack(rows))
    decoded = [orjson.loads(line) for line in body[:-1].split(b"\n")]
    assert [(row["a"], row["b"]) for row in decoded] == rows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats() | st.none(), min_size=1, max_size=8))
def test_json_and_csv_keep_every_double(values: list[float | None]) -> None:
    columns = (
        Column(name="k", type=DorisType(Kind.INT)),
        Column(name="x", type=DorisType(Kind.DOUBLE)),
    )
    batch = RowPacker(columns).pack(list(enumerate(values)))
    lines = JsonLinesEncoder(columns).encode(batch).splitlines()
    read = [orjson.loads(line)["x"] for line in lines]
    assert [None if x is None else repr(float(x)) for x in read] == [
        None if x is None else repr(x) for x in values
    ]
    cells = CsvLinesEncoder(columns, PLAIN).encode(batch).decode().split("\x02")[:-1]
    texts = [cell.split("\x01")[1] for cell in cells]
    assert [None if x == "\\N" else repr(float(x)) for x in texts] == [
        None if x is None else repr(x) for x in values
    ]


def _types() -> st.SearchStrategy[DorisType]:
    decimals = st.integers(1, 76).flatmap(
        lambda precision: st.builds(
            DorisType, st.just(Kind.DECIMAL), st.just(precision), st.integers(0, precision)
        )
    )
    plain = st.sampled_from(
        [Kind.BOOLEAN, Kind.BIGINT, Kind.LARGEINT, Kind.STRING, Kind.JSON, Kind.IPV6, Kind.DATE]
    ).map(DorisType)
    times = st.integers(0, 6).map(lambda scale: DorisType(Kind.DATETIME, scale=scale))
    texts = st.integers(1, 65533).map(lambda length: DorisType(Kind.VARCHAR, length=length))
    names = st.lists(
        st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=5),
        min_size=1,
        max_size=3,
        unique_by=str.lower,
    )

    def nest(inner: st.SearchStrategy[DorisType]) -> st.SearchStrategy[DorisType]:
        arrays = inner.map(lambda child: DorisType(Kind.ARRAY, children=(child,)))
        maps = st.tuples(inner, inner).map(lambda pair: DorisType(Kind.MAP, children=pair))
        structs = names.flatmap(
            lambda given: st.tuples(*[inner] * len(given)).map(
                lambda children: DorisType(Kind.STRUCT, children=children, names=tuple(given))
            )
        )
        return arrays | maps | structs

    return st.recursive(decimals | plain | times | texts, nest, max_leaves=6)


@settings(max_examples=100, deadline=None)
@given(_types())
def test_every_type_reads_what_it_writes(doris: DorisType) -> None:
    assert parse_type(doris.sql()) == doris
    assert parse_type(doris.shown()) == doris


@settings(max_examples=100, deadline=None)
@given(st.text("arymp<>(),:`'int0123 \\\"", max_size=20))
def test_any_text_is_a_type_or_a_type_error(text: str) -> None:
    try:
        parsed = parse_type(text)
    except TypeMappingError:
        return
    assert parsed.sql()


@settings(max_examples=150, deadline=None)
@given(st.text("()'\"`\\;-#/* a=", max_size=12))
def test_an_accepted_filter_ends_where_its_parentheses_end(text: str) -> None:
    try:
        wrapped = raw_filter(text)
    except ConfigError:
        return
    depth, quote, position = 0, "", 0
    while position < len(wrapped):
        char = wrapped[position]
        if quote:
            if char == "\\" and quote != "`":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "'\"`":
            quote = char
        else:
            depth += (char == "(") - (char == ")")
            assert char != ";"
            assert depth > 0 or position == len(wrapped) - 1
        position += 1
    assert depth == 0
    assert not quote


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.integers(-(2**127), 2**127 - 1), min_size=1, max_size=10))
def test_largeints_survive_packing(values: list[int | None]) -> None:
    columns = (Column(name="x", type=DorisType(Kind.LARGEINT)),)
    batch = RowPacker(columns).pack([(value,) for value in values])
    texts = pc.cast(batch.column(0), pa.string()).to_pylist()
    assert [None if text is None else int(text) for text in texts] == values
