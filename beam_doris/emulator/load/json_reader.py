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
"""JSON bodies (P 4.3): an object a line, or one array of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa

from beam_doris.emulator.load.body import READ_BYTES, ByteSource, line_blocks
from beam_doris.emulator.load.chunk import BadRow, Chunk
from beam_doris.emulator.load.failure import LoadFailure
from beam_doris.emulator.load.request import MAX_JSON_MEGABYTES, JsonFormat

_STEP = re.compile(r"\.?([^.\[\]\"]+)|\.?\"([^\"]*)\"|\[\s*(\d+|\*|\"[^\"]*\"|'[^']*')\s*\]")
_LINE_BLOCK = 4 << 20
_CUTS = 16


class _Missing:
    pass


_MISSING = _Missing()
Step = Callable[[Any], Any]


def parse_path(path: str) -> Step:
    """``$.a.b[0]["c"]`` as a function; what is not there gives the missing mark."""
    if not path.startswith("$"):
        raise LoadFailure(f"Invalid json path: {path}", "INVALID_ARGUMENT")
    steps: list[str | int | None] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise LoadFailure(f"Invalid json path: {path}", "INVALID_ARGUMENT")
        name, quoted, index = found.groups()
        if index is None:
            steps.append(quoted if name is None else name)
        elif index == "*":
            steps.append(None)
        else:
            steps.append(int(index) if index.isdigit() else index[1:-1])
        at = found.end()
    return lambda value: _walk(value, steps)


def _walk(value: Any, steps: Sequence[str | int | None]) -> Any:
    for place, step in enumerate(steps):
        if step is None:
            if not isinstance(value, list):
                return _MISSING
            found = [_walk(item, steps[place + 1 :]) for item in value]
            return [item for item in found if item is not _MISSING]
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return _MISSING
            value = value[step]
        else:
            if not isinstance(value, dict) or step not in value:
                return _MISSING
            value = value[step]
    return value


class JsonReader:
    """Reads JSON; a field is text, a number column, a boolean column, or absent.

    Args:
        source: decompressed body.
        form: how rows are found.
        fields: keys, or with paths the names that the paths fill in order.
    """

    def __init__(self, source: ByteSource, form: JsonFormat, fields: Sequence[str]) -> None:
        self._source = source
        self._form = form
        self._fields = list(fields)
        self._paths = [parse_path(path) for path in form.paths]
        self._root = parse_path(form.root) if form.root else None

    def chunks(self) -> Iterator[Chunk]:
        """Rows of the body; what does not parse is a bad row."""
        if self._form.by_line:
            for block in line_blocks(self._source, self._form.delimiter, _LINE_BLOCK):
                yield self._line_chunk(block)
        elif self._form.strip_array and self._root is None:
            yield from self._array_chunks()
        else:
            yield self._whole_chunk()

    def _loads(self, data: bytes) -> Any:
        if self._form.numbers_as_text:
            return json.loads(data, parse_int=str, parse_float=str)
        return orjson.loads(data)

    def _line_chunk(self, block: bytes) -> Chunk:
        lines = [line for line in block.split(self._form.delimiter) if line.strip()]
        values = self._together(lines)
        bad: list[BadRow] = []
        if values is None:
            values = []
            for line in lines:
                try:
                    values.append(self._loads(line))
                except ValueError as error:
                    bad.append(_unparsed(error, line))
        return self._chunk(values, bad)

    def _together(self, lines: list[bytes]) -> list[Any] | None:
        """Parse all lines at once; None when that is not sure to give a value a line."""
        if self._form.numbers_as_text:
            return None
        try:
            values: list[Any] = orjson.loads(b"[" + b",".join(lines) + b"]")
        except ValueError:
            return None
        return values if len(values) == len(lines) else None

    def _array_chunks(self) -> Iterator[Chunk]:
        """One array of any length, cut where a prefix of its elements parses."""
        pending = bytearray()
        want = _LINE_BLOCK
        opened = False
        while data := self._source.read(READ_BYTES):
            pending += data
            if not opened:
                opened = self._open_array(pending)
            if not opened or len(pending) < want:
                continue
            found = self._cut(pending)
            if found is None:
                want = len(pending) * 2
                continue
            values, end = found
            del pending[:end]
            want = _LINE_BLOCK
            yield self._chunk(values, [])
        if not opened:
            if pending.strip():
                yield self._chunk(*self._parse_rest(bytes(pending)))
            return
        yield self._chunk(*self._parse_rest(b"[" + bytes(pending)))

    @staticmethod
    def _open_array(pending: bytearray) -> bool:
        text = pending.lstrip()
        if not text.startswith(b"["):
            return False
        pending[:] = text[1:]
        return True

    def _cut(self, pending: bytearray) -> tuple[list[Any], int] | None:
        # only the end of a whole element gives text that parses: quotes and brackets are balanced
        # nowhere else
        end = len(pending)
        for _ in range(_CUTS):
            end = pending.rfind(b"}", 0, end)
            if end < 0:
                return None
            comma = end + 1
            while comma < len(pending) and pending[comma] in b" \t\r\n":
                comma += 1
            if pending[comma : comma + 1] != b",":
                continue
            try:
                values = self._loads(b"[" + bytes(pending[: end + 1]) + b"]")
            except ValueError:
                continue
            return values, comma + 1
        return None

    def _parse_rest(self, data: bytes) -> tuple[list[Any], list[BadRow]]:
        try:
            value = self._loads(data)
        except ValueError as error:
            return [], [_unparsed(error, data[:1024])]
        return (value if isinstance(value, list) else [value]), []

    def _whole_chunk(self) -> Chunk:
        pieces, size = [], 0
        while data := self._source.read(READ_BYTES):
            pieces.append(data)
            size += len(data)
            if size > MAX_JSON_MEGABYTES << 20:
                raise LoadFailure(
                    f"json body size {size} exceed BE's conf `streaming_load_json_max_mb` "
                    f"{MAX_JSON_MEGABYTES << 20}. increase it if you are sure this load is "
                    "reasonable"
                )
        body = b"".join(pieces)
        if not body.strip():
            return self._chunk([], [])
        try:
            return self._chunk([self._loads(body)], [])
        except ValueError as error:
            return self._chunk([], [_unparsed(error, body[:1024])])

    def _chunk(self, values: list[Any], bad: list[BadRow]) -> Chunk:
        rows = values
        if not all(type(value) is dict for value in values) or self._root is not None:
            rows = []
            for value in values:
                self._rows_of(value, rows, bad)
        columns_of = self._path_columns if self._paths else self._key_columns
        raw = columns_of(rows)
        empty = self._without_any(raw)
        if empty:
            for place in empty:
                bad.append(
                    BadRow("All fields is null, this is a invalid row.", _shown(rows[place]))
                )
            drop = set(empty)
            rows = [row for place, row in enumerate(rows) if place not in drop]
            raw = columns_of(rows)
        missing: dict[int, Any] = {}
        columns = []
        for place, cells in enumerate(raw):
            kinds = set(map(type, cells))
            if _Missing in kinds:
                kinds.discard(_Missing)
                missing[place] = pa.array([cell is _MISSING for cell in cells])
                cells = [None if cell is _MISSING else cell for cell in cells]
            columns.append(_array(cells, kinds))
        return Chunk(len(rows), columns, lambda row: _shown(rows[row]), bad, missing)

    @staticmethod
    def _without_any(raw: list[list[Any]]) -> list[int]:
        """Rows that mention no field at all."""
        if not raw:
            return []
        suspects = [place for place, cell in enumerate(raw[0]) if cell is _MISSING]
        for cells in raw[1:]:
            if not suspects:
                break
            suspects = [place for place in suspects if cells[place] is _MISSING]
        return suspects

    def _key_columns(self, rows: list[Any]) -> list[list[Any]]:
        return [[row.get(name, _MISSING) for row in rows] for name in self._fields]

    def _path_columns(self, rows: list[Any]) -> list[list[Any]]:
        paths: list[Step] = self._paths[: len(self._fields)]
        columns = [[path(row) for row in rows] for path in paths]
        columns += [[_MISSING] * len(rows) for _ in self._fields[len(paths) :]]
        return columns

    def _rows_of(self, value: Any, rows: list[Any], bad: list[BadRow]) -> None:
        if self._root is not None:
            value = self._root(value)
            if value is _MISSING:
                bad.append(BadRow("JSON Root not found.", ""))
                return
        if isinstance(value, list):
            if not self._form.strip_array:
                bad.append(
                    BadRow(
                        "JSON data is array-object, `strip_outer_array` must be TRUE.",
                        _shown(value),
                    )
                )
                return
            items = value
        else:
            items = [value]
        for item in items:
            if isinstance(item, dict):
                rows.append(item)
            else:
                bad.append(BadRow("Expect json object value", _shown(item)))


def _array(cells: list[Any], kinds: set[type]) -> Any:
    kinds.discard(type(None))
    if len(kinds) == 1 and kinds <= {str, bool, int, float}:
        try:
            return pa.array(cells, _ARROW[next(iter(kinds))])
        except (OverflowError, pa.ArrowInvalid):
            return pa.array([_text(cell) for cell in cells], pa.string())
    if not kinds:
        return pa.nulls(len(cells), pa.string())
    return pa.array([_text(cell) for cell in cells], pa.string())


_ARROW = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def _text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (int, float)):
        return repr(cell)
    return _shown(cell)


def _shown(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unparsed(error: ValueError, data: bytes) -> BadRow:
    return BadRow(
        f"Parse json data for JsonDoc failed. code: 3, error info: {error}",
        data.decode("utf-8", "replace"),
    )
