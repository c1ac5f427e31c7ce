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
"""CSV bodies that are safe for any content (P 4.2).

A server's CSV has no quoting by default, so that a separator inside a value shifts the columns of
its row or splits it: rows are refused or, worse, loaded wrong. Here no body leaves before it is
proven that this cannot happen:

* In a plain dialect the separators are control characters. A body is right if and only if it holds
  exactly rows x (columns - 1) column separators and rows line delimiters, which are counted in the
  finished body. What plain CSV cannot say at all, such as the text `\\N`, which means NULL, is looked
  for by column.
* Where a batch does not fit, another dialect does: other separators, and last the enclosed one,
  in which every text is enclosed and escaped.

The dialect is announced in headers, so that it holds for a whole load: a writer asks `fits` before
it adds a batch to an open load, and begins another load in the dialect that `choose_dialect`
names. With separators that the user fixed, a value that does not fit is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.codec.encoder import check_columns, columns_header
from beam_doris.codec.json_lines import body_of
from beam_doris.codec.text_columns import is_text, json_text, plain_text
from beam_doris.errors import RowEncodingError
from beam_doris.options.csv_dialect import CsvDialect
from beam_doris.options.writing import LoadFormat
from beam_doris.schema.arrow_types import doris_type_of
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import Kind

NULL_TEXT = "\\N"
_BYTE_ORDER_MARK = "\ufeff"
_USE_OTHERS = "write it as JSON or Arrow, or leave the separators to the writer"


PLAIN = CsvDialect()
ENCLOSED = CsvDialect(enclose="'", escape="\\")
CANDIDATES = (
    PLAIN,
    CsvDialect(column_separator="\x03\x04", line_delimiter="\x05\x06"),
    CsvDialect(column_separator="\x1d\x1e\x1f\x03", line_delimiter="\x1c\x1e\x1f\x04"),
    ENCLOSED,
)


def choose_dialect(batch: pa.RecordBatch, columns: Sequence[Column]) -> CsvDialect:
    """The first dialect that a batch fits into; the last takes every text."""
    for dialect in CANDIDATES:
        if CsvLinesEncoder(columns, dialect).fits(batch):
            return dialect
    return ENCLOSED


class CsvLinesEncoder:
    """Encodes batches as CSV.

    Args:
        columns: What the batches carry, in order.
        dialect: How values and rows are told apart.
    """

    load_format = LoadFormat.CSV

    def __init__(self, columns: Sequence[Column], dialect: CsvDialect = PLAIN) -> None:
        self._names = [column.name for column in columns]
        self.dialect = dialect

    def headers(self) -> Mapping[str, str]:
        """The stream-load headers that go with the body."""
        return {
            "format": "csv",
            **self.dialect.headers(),
            "columns": columns_header(self._names),
        }

    def fits(self, batch: pa.RecordBatch) -> bool:
        """Whether the batch can be encoded in this dialect."""
        try:
            self.encode(batch)
        except RowEncodingError:
            return False
        return True

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """One batch as rows, each with its delimiter.

        Raises:
            RowEncodingError: a value does not fit into this dialect.
        """
        if not batch.num_rows:
            return b""
        check_columns(batch, self._names)
        dialect = self.dialect
        texts = [
            self._column(column, field)
            for column, field in zip(batch.columns, batch.schema, strict=True)
        ]
        separator = _scalar(dialect.column_separator)
        lines = pc.binary_join_element_wise(*texts, separator) if len(texts) > 1 else texts[0]
        lines = pc.binary_join_element_wise(lines, _scalar(""), _scalar(dialect.line_delimiter))
        body = body_of(lines)
        if dialect.enclose is None:
            self._prove(body, batch, texts)
        return body

    def _column(self, column: pa.Array, field: pa.Field) -> pa.Array:
        if pa.types.is_nested(column.type):
            texts = json_text(column, field)
        else:
            texts = plain_text(column, field)
        texts = texts.cast(pa.large_string())
        if is_text(column.type):
            if doris_type_of(field).kind in (Kind.JSON, Kind.VARIANT):
                self._check_unenclosed(texts, field.name)
            else:
                texts = self._user_text(texts, field.name)
        return pc.fill_null(texts, NULL_TEXT)

    def _user_text(self, texts: pa.Array, name: str) -> pa.Array:
        dialect = self.dialect
        if dialect.escape is not None:
            texts = pc.replace_substring(texts, dialect.escape, dialect.escape * 2)
        if dialect.enclose is None:
            if dialect.escape is None:
                _refuse_any(
                    pc.equal(texts, NULL_TEXT),
                    name,
                    "is the text \\N, which means NULL in CSV that is not enclosed",
                )
            if len(self._names) == 1:
                _refuse_any(
                    pc.equal(texts, ""),
                    name,
                    "is an empty text, and so is its line, which CSV skips",
                )
            return texts
        if dialect.escape is None:
            _refuse_any(
                pc.match_substring(texts, dialect.enclose),
                name,
                "holds the enclosing character, and no escape character is set",
            )
        else:
            texts = pc.replace_substring(texts, dialect.enclose, dialect.escape + dialect.enclose)
        mark = _scalar(dialect.enclose)
        return pc.binary_join_element_wise(mark, texts, mark, _scalar(""))

    def _check_unenclosed(self, texts: pa.Array, name: str) -> None:
        """JSON text is not enclosed: servers do not take the escapes out of it again."""
        dialect = self.dialect
        if dialect.enclose is None:
            return
        for separator in (dialect.column_separator, dialect.line_delimiter):
            _refuse_any(
                pc.match_substring(texts, separator), name, "holds a separator, which no JSON may"
            )
        _refuse_any(
            pc.starts_with(texts, dialect.enclose), name, "begins with the enclosing character"
        )

    def _prove(self, body: bytes, batch: pa.RecordBatch, texts: Sequence[pa.Array]) -> None:
        rows = batch.num_rows
        separator = self.dialect.column_separator.encode()
        delimiter = self.dialect.line_delimiter.encode()
        sound = (
            _occurrences(body, separator) == rows * (len(texts) - 1)
            and _occurrences(body, delimiter) == rows
            and not body.startswith(_BYTE_ORDER_MARK.encode())
            and not (delimiter == b"\n" and b"\r\n" in body)
        )
        if sound:
            return
        for column, name in zip(texts, self._names, strict=True):
            for mark in (self.dialect.column_separator, self.dialect.line_delimiter):
                _refuse_any(pc.match_substring(column, mark), name, "holds a CSV separator")
            if self.dialect.line_delimiter == "\n":
                _refuse_any(pc.ends_with(column, "\r"), name, "ends with a carriage return")
            _refuse_any(
                pc.starts_with(column, _BYTE_ORDER_MARK), name, "begins with a byte order mark"
            )
        raise RowEncodingError("values next to a CSV separator form another one", hint=_USE_OTHERS)


def _occurrences(body: bytes, mark: bytes) -> int:
    """How often a separator can be found, also where two of them overlap.

    Only one that ends as it begins, such as `||`, can overlap: behind a value that ends in `|`.
    """
    if not any(mark.endswith(mark[:size]) for size in range(1, len(mark))):
        return body.count(mark)
    return len(re.findall(b"(?=" + re.escape(mark) + b")", body))


def _scalar(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _refuse_any(found: pa.Array, name: str, reason: str) -> None:
    position = pc.index(found, pa.scalar(True)).as_py()
    if position >= 0:
        raise RowEncodingError(reason, column=name, row=position, hint=_USE_OTHERS)
