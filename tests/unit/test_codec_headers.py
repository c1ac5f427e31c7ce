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
"""Headers of the bodies, CSV dialects, and what has no form in a format."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from beam_doris.codec.arrow_stream import ArrowStreamEncoder
from beam_doris.codec.csv_lines import CANDIDATES, ENCLOSED, PLAIN, CsvLinesEncoder, choose_dialect
from beam_doris.codec.encoder import encoder_for
from beam_doris.codec.json_lines import JsonLinesEncoder
from beam_doris.codec.packing import RowPacker
from beam_doris.errors import ConfigError, RowEncodingError, TypeMappingError
from beam_doris.options.csv_dialect import CsvDialect, decode_escapes
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import parse_type


def _columns(*types: str) -> tuple[Column, ...]:
    return tuple(Column(name=f"c`{n}", type=parse_type(text)) for n, text in enumerate(types))


def _batch(columns: tuple[Column, ...], *rows: tuple[Any, ...]) -> pa.RecordBatch:
    return RowPacker(columns).pack(rows)


def test_headers_say_how_to_read_the_body() -> None:
    columns = _columns("INT", "STRING")
    names = "`c``0`,`c``1`"
    assert JsonLinesEncoder(columns).headers() == {
        "format": "json",
        "read_json_by_line": "true",
        "strip_outer_array": "false",
        "columns": names,
    }
    assert ArrowStreamEncoder(columns).headers() == {"format": "arrow", "columns": names}
    assert CsvLinesEncoder(columns).headers() == {
        "format": "csv",
        "column_separator": "\\x01",
        "line_delimiter": "\\x02",
        "columns": names,
    }
    enclosed = CsvLinesEncoder(columns, ENCLOSED).headers()
    assert (enclosed["enclose"], enclosed["escape"]) == ("'", "\\")


def test_separators_of_the_users_are_kept() -> None:
    options = WriteOptions(
        load_format=LoadFormat.CSV,
        load_properties={"column_separator": "\\x01\\x02", "line_delimiter": "\n", "enclose": '"'},
    )
    encoder = encoder_for(options, _columns("INT"))
    assert isinstance(encoder, CsvLinesEncoder)
    assert encoder.dialect == CsvDialect(
        column_separator="\x01\x02", line_delimiter="\n", enclose='"', fixed=True
    )
    assert encoder.headers()["column_separator"] == "\\x01\\x02"
    assert encoder.headers()["trim_double_quotes"] == "true"


def test_the_format_chooses_the_encoder() -> None:
    columns = _columns("INT")
    kinds = {
        choice: encoder_for(WriteOptions(load_format=choice), columns) for choice in LoadFormat
    }
    assert isinstance(kinds[LoadFormat.JSON], JsonLinesEncoder)
    assert isinstance(kinds[LoadFormat.ARROW], ArrowStreamEncoder)
    assert isinstance(kinds[LoadFormat.CSV], CsvLinesEncoder)
    assert all(encoder.load_format is choice for choice, encoder in kinds.items())


def test_csv_that_nobody_fixed_takes_any_text_or_what_the_first_batch_needs() -> None:
    columns = _columns("INT", "STRING")
    options = WriteOptions(load_format=LoadFormat.CSV)
    unseen = encoder_for(options, columns)
    seen = encoder_for(options, columns, _batch(columns, (1, "x\x01")))
    assert isinstance(unseen, CsvLinesEncoder)
    assert isinstance(seen, CsvLinesEncoder)
    assert (unseen.dialect, seen.dialect) == (ENCLOSED, CANDIDATES[1])
    assert unseen.fits(_batch(columns, (1, "\x01\x02\\N'")))
    assert not seen.fits(_batch(columns, (1, "\x03\x04")))


def test_escapes_are_decoded_like_the_server_does() -> None:
    assert decode_escapes("\\x01\\x1F\\n\\t,\\q") == "\x01\x1f\n\t,\\q"


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("harmless, with\ttabs\nand lines", CANDIDATES[0]),
        ("a\x01b", CANDIDATES[1]),
        ("a\x02b", CANDIDATES[1]),
        ("a\x01\x03\x04b", CANDIDATES[2]),
        ("\\N", ENCLOSED),
        ("\x02\x03\x04\x1c\x1e\x1f\x04", ENCLOSED),
    ],
)
def test_the_first_dialect_that_fits_is_chosen(text: str, dialect: CsvDialect) -> None:
    columns = _columns("INT", "STRING")
    assert choose_dialect(_batch(columns, (1, text)), columns) == dialect


def test_an_empty_text_alone_in_its_line_is_enclosed() -> None:
    columns = _columns("STRING")
    assert choose_dialect(_batch(columns, ("",)), columns) == ENCLOSED


def test_a_byte_order_mark_at_the_beginning_is_enclosed() -> None:
    columns = _columns("STRING", "INT")
    assert choose_dialect(_batch(columns, ("\ufeffx", 1)), columns) == ENCLOSED


def test_no_separator_can_be_formed_by_its_neighbors() -> None:
    for dialect in CANDIDATES:
        for mark in (dialect.column_separator, dialect.line_delimiter):
            borders = [mark[:size] for size in range(1, len(mark)) if mark.endswith(mark[:size])]
            assert not borders
        assert not set(dialect.column_separator) <= set(dialect.line_delimiter)


@pytest.mark.parametrize(
    ("dialect", "text", "reason"),
    [
        (CsvDialect(column_separator=",", line_delimiter="\n", fixed=True), "a,b", "separator"),
        (CsvDialect(column_separator=",", line_delimiter="\n", fixed=True), "a\nb", "separator"),
        (CsvDialect(column_separator=",", line_delimiter="\n", fixed=True), "a\r", "carriage"),
        (CsvDialect(column_separator=",", line_delimiter="\n", fixed=True), "\\N", "NULL"),
        (
            CsvDialect(column_separator=",", line_delimiter="\n", enclose='"', fixed=True),
            'a"b',
            "enclosing character",
        ),
        (PLAIN, "a\x01b", "separator"),
        (CsvDialect(column_separator="x", line_delimiter="||", fixed=True), "a|", "form another"),
    ],
)
def test_what_does_not_fit_a_dialect_is_refused_by_name(
    dialect: CsvDialect, text: str, reason: str
) -> None:
    columns = _columns("INT", "STRING")
    with pytest.raises(RowEncodingError, match=reason) as caught:
        CsvLinesEncoder(columns, dialect).encode(_batch(columns, (1, "ok"), (2, text)))
    if reason != "form another":
        assert caught.value.column == "c`1"
        assert caught.value.row == 1


def test_a_separator_may_stand_inside_an_enclosed_text() -> None:
    columns = _columns("INT", "STRING")
    dialect = CsvDialect(column_separator=",", line_delimiter="\n", enclose='"', fixed=True)
    body = CsvLinesEncoder(columns, dialect).encode(_batch(columns, (1, "a,b\nc"), (2, None)))
    assert body == b'1,"a,b\nc"\n2,\\N\n'


def test_wrong_dialects_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        CsvDialect(column_separator="", line_delimiter="", enclose="ab", escape="ü")
    assert len(caught.value.problems) == 3
    for column_separator, line_delimiter in ((",", ","), (",", ",,"), ("\r\n", "\n")):
        with pytest.raises(ConfigError, match="one holds the other"):
            CsvDialect(column_separator=column_separator, line_delimiter=line_delimiter)


@pytest.mark.parametrize("encoder", [JsonLinesEncoder, CsvLinesEncoder])
def test_bytes_have_no_text_form(encoder: Any) -> None:
    columns = _columns("VARBINARY")
    with pytest.raises(TypeMappingError, match=r"c`0.*\n.*ARROW"):
        encoder(columns).encode(_batch(columns, (b"x",)))
    nested = _columns("ARRAY<VARBINARY>")
    with pytest.raises(TypeMappingError, match="VARBINARY"):
        encoder(nested).encode(_batch(nested, ([b"x"],)))


@pytest.mark.parametrize("encoder", [JsonLinesEncoder, CsvLinesEncoder, ArrowStreamEncoder])
def test_another_column_order_is_refused(encoder: Any) -> None:
    columns = _columns("INT", "STRING")
    batch = _batch(columns, (1, "x"))
    for names in (["c`1", "c`0"], ["c`0"]):
        with pytest.raises(RowEncodingError, match="in its order"):
            encoder(columns).encode(batch.select(names))


def test_dicts_that_do_not_fit_are_refused_by_name() -> None:
    columns = (
        Column(name="a", type=parse_type("STRING")),
        Column(name="b", type=parse_type("INT")),
    )
    encoder = JsonLinesEncoder(columns)
    with pytest.raises(RowEncodingError, match="'c': is not a column"):
        encoder.encode_dicts([{"a": "x", "c": 1}])
    with pytest.raises(RowEncodingError, match="'a': has no JSON form") as caught:
        encoder.encode_dicts([{"a": "x", "b": 1}, {"a": object(), "b": 1}])
    assert caught.value.row == 1
    assert encoder.encode_dicts([{"b": 1}]) == b'{"a":null,"b":1}\n'
    assert encoder.encode_dicts([]) == b""
    assert not JsonLinesEncoder(_columns("LARGEINT")).takes_dicts
