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
"""CSV bodies (P 4.2): Arrow's reader where nothing is special, an own splitter otherwise."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv

from beam_doris.emulator.load.body import ByteSource, line_blocks
from beam_doris.emulator.load.chunk import CHUNK_BYTES, BadRow, Chunk
from beam_doris.emulator.load.request import CsvFormat

_NULL = "\\N"
Row = list["str | None"]


class CsvReader:
    """Reads CSV; every field is text or NULL.

    Args:
        source: decompressed body.
        form: separators and flags.
        fields: names of the fields, in the order of the body.
    """

    def __init__(self, source: ByteSource, form: CsvFormat, fields: Sequence[str]) -> None:
        self._source = source
        self._form = form
        self._width = len(fields)
        self._skip = form.skip_lines
        self._nulls = {_NULL, ""} if form.empty_as_null else {_NULL}
        self._separator = form.separator.decode("utf-8", "replace")
        self._simple = (
            len(form.separator) == 1
            and form.separator.isascii()
            and form.separator not in (b"\r", b"\n", b"\x00")
            and form.delimiter == b"\n"
            and not form.enclose
            and not form.trim_quotes
        )

    def chunks(self) -> Iterator[Chunk]:
        """Rows of the body, without skipped and empty lines."""
        if self._form.enclose:
            yield from self._enclosed_chunks()
            return
        for block in line_blocks(self._source, self._form.delimiter):
            rest = self._skipped(block)
            if rest:
                chunk = self._fast(rest) if self._simple else None
                yield self._slow(rest) if chunk is None else chunk

    def _skipped(self, block: bytes) -> bytes:
        delimiter = self._form.delimiter
        while self._skip and block:
            head, found, block = block.partition(delimiter)
            self._skip -= bool(head or found)
        return block

    def _fast(self, block: bytes) -> Chunk | None:
        """Arrow's reader; None when the block holds what it would treat in its own way."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
            if b"\r" in block:
                return None
        if b"\x00" in block or not _is_utf8(block):
            return None
        bad: list[BadRow] = []

        def on_bad(row: Any) -> str:
            bad.append(self._bad_width(row.actual_columns, row.text))
            return "skip"

        names = [f"s{i}" for i in range(self._width)]
        if not block.strip(b"\n"):
            return self._chunk([], [])
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(block),
                read_options=pyarrow.csv.ReadOptions(
                    column_names=names, block_size=min(len(block) + 1, (1 << 31) - 1)
                ),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=self._form.separator.decode("ascii"),
                    quote_char=False,
                    escape_char=False,
                    invalid_row_handler=on_bad,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    check_utf8=False,
                    column_types=dict.fromkeys(names, pa.string()),
                    null_values=sorted(self._nulls),
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid:
            return None
        columns = [_single(table.column(i)) for i in range(self._width)]
        return Chunk(table.num_rows, columns, self._source_of(columns), bad)

    def _slow(self, block: bytes) -> Chunk:
        delimiter = self._form.delimiter
        lines = block.split(delimiter)
        if not lines[-1]:
            lines.pop()
        rows: list[Row] = []
        bad: list[BadRow] = []
        for line in lines:
            if delimiter == b"\n":
                line = line.removesuffix(b"\r")
            if not line:
                continue
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                # what is no UTF-8 is not shown, and counts as a bad row
                bad.append(BadRow("Unable to display", "Unable to display"))
                continue
            self._keep([self._cell(part) for part in text.split(self._separator)], text, rows, bad)
        return self._chunk(rows, bad)

    def _cell(self, text: str) -> str | None:
        if text in self._nulls:
            return None
        if self._form.trim_quotes and len(text) > 1 and text[0] == text[-1] == '"':
            return text[1:-1]
        return text

    def _keep(self, row: Row, text: str, rows: list[Row], bad: list[BadRow]) -> None:
        if len(row) == self._width:
            rows.append(row)
        else:
            bad.append(self._bad_width(len(row), text))

    def _bad_width(self, actual: int, text: str) -> BadRow:
        word = "more than" if actual > self._width else "less than"
        form = self._form
        values = ", ".join(text.split(self._separator))
        return BadRow(
            f"actual column number in csv file is  {word}  schema column number."
            f"actual number: {actual}, schema column number: {self._width}; "
            f"line delimiter: [{form.delimiter.decode('utf-8', 'replace')}], "
            f"column separator: [{self._separator}], result values:[{values}]",
            text,
        )

    def _chunk(self, rows: list[Row], bad: list[BadRow]) -> Chunk:
        parts: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * self._width
        columns = [pa.array(part, pa.string()) for part in parts]
        return Chunk(len(rows), columns, self._source_of(columns), bad)

    def _source_of(self, columns: Sequence[Any]) -> Any:
        def line(row: int) -> str:
            cells = (column[row].as_py() for column in columns)
            return self._separator.join(_NULL if cell is None else cell for cell in cells)

        return line

    def _enclosed_chunks(self) -> Iterator[Chunk]:
        splitter = _Enclosed(self._form)
        rest = b""
        ended = False
        while not ended:
            data = _read_block(self._source)
            ended = not data
            rows: list[Row] = []
            bad: list[BadRow] = []
            text_bytes = rest + data
            at = 0
            while at < len(text_bytes):
                record = splitter.record(text_bytes, at, final=ended)
                if record is None:
                    break
                parts, line, at = record
                if self._skip:
                    self._skip -= 1
                elif line:
                    self._add_enclosed(parts, line, rows, bad)
            rest = text_bytes[at:]
            if rows or bad:
                yield self._chunk(rows, bad)

    def _add_enclosed(
        self, parts: list[bytes] | None, line: bytes, rows: list[Row], bad: list[BadRow]
    ) -> None:
        shown = line.decode("utf-8", "replace")
        if parts is None:
            bad.append(BadRow("the enclose character of a field is never closed", shown))
            return
        try:
            row = [self._enclosed_cell(part.decode("utf-8")) for part in parts]
        except UnicodeDecodeError:
            bad.append(BadRow("Unable to display", "Unable to display"))
            return
        self._keep(row, shown, rows, bad)

    def _enclosed_cell(self, text: str) -> str | None:
        if text in self._nulls:
            return None
        form = self._form
        enclose = form.enclose.decode("latin-1")
        if len(text) > 1 and text[0] == text[-1] == enclose:
            # quotes go away only when asked for, other characters always
            strips = form.trim_quotes or enclose != '"'
            inner = _unescape(text[1:-1], form.escape.decode("latin-1"), enclose)
            return inner if strips else f"{enclose}{inner}{enclose}"
        if form.trim_quotes and len(text) > 1 and text[0] == text[-1] == '"':
            return text[1:-1]
        return text


def _unescape(text: str, escape: str, enclose: str) -> str:
    if escape and escape in text:
        return re.sub(re.escape(escape) + r"(.)", r"\1", text, flags=re.DOTALL)
    return text.replace(enclose * 2, enclose)


class _Enclosed:
    """Finds records in which separators may stand inside enclosed fields."""

    def __init__(self, form: CsvFormat) -> None:
        self._separator = form.separator
        self._delimiter = form.delimiter
        self._enclose = form.enclose
        self._escape = form.escape
        enclose, escape = re.escape(form.enclose), re.escape(form.escape)
        plain = b"[^" + enclose + (escape if form.escape else b"") + b"]"
        pair = enclose + enclose
        if form.escape and form.escape != form.enclose:
            pair = escape + b"(?s:.)|" + pair
        self._closed = re.compile(b"(?:" + plain + b"|" + pair + b")*" + enclose, re.DOTALL)

    def record(
        self, data: bytes, start: int, *, final: bool
    ) -> tuple[list[bytes] | None, bytes, int] | None:
        """Fields, text and end of the record at ``start``; None: more bytes are needed."""
        line_end = data.find(self._delimiter, start)
        if line_end >= 0:
            text = data[start:line_end]
            if self._delimiter == b"\n":
                text = text.removesuffix(b"\r")
            fields = text.split(self._separator)
            if self._enclose not in text or self._all_closed(text, fields):
                return fields, text, line_end + len(self._delimiter)
        parts: list[bytes] = []
        at = start
        while True:
            end = self._field_end(data, at)
            if end is None:
                return (None, data[start:], len(data)) if final else None
            separator = data.find(self._separator, end)
            line_end = data.find(self._delimiter, end)
            if not final and (line_end < 0 or end >= len(data)):
                return None
            if separator >= 0 and (line_end < 0 or separator < line_end):
                parts.append(data[at:separator])
                at = separator + len(self._separator)
                continue
            stop = line_end if line_end >= 0 else len(data)
            parts.append(data[at:stop])
            text = data[start:stop]
            if self._delimiter == b"\n" and text.endswith(b"\r"):
                text = text[:-1]
                parts[-1] = parts[-1].removesuffix(b"\r")
            return parts, text, stop + len(self._delimiter) if line_end >= 0 else stop

    def _all_closed(self, text: bytes, fields: list[bytes]) -> bool:
        """Whether every enclosed field is a whole one: no separator stands inside of any."""
        enclose = self._enclose
        if self._escape and self._escape in text:
            return False
        return all(
            enclose not in one or (one[:1] == enclose == one[-1:] and one.count(enclose) == 2)
            for one in fields
        )

    def _field_end(self, data: bytes, at: int) -> int | None:
        """Where an enclosed field ends; ``at`` for a plain one; None when it never closes."""
        if data[at : at + 1] != self._enclose:
            return at
        found = self._closed.match(data, at + 1)
        return None if found is None else found.end()


def _read_block(source: ByteSource) -> bytes:
    block = io.BytesIO()
    while block.tell() < CHUNK_BYTES:
        data = source.read()
        if not data:
            break
        block.write(data)
    return block.getvalue()


def _is_utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _single(column: Any) -> Any:
    combined = column.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
