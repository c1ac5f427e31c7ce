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
"""JSON bodies: one object a line (P 4.3).

Exactness: LARGEINT, decimals and whole numbers beyond 2^53 travel as JSON strings, which the
server parses by the column's type; NaN and the infinities, which JSON has not, as the strings
"nan", "inf", "-inf"; JSON and VARIANT columns as strings that hold the JSON text; nested columns
as JSON.

A batch is encoded by column in compiled code: every line is joined from the constant keys and the
texts of its values. Rows that are dicts already, and whose table has only plain types, can go to
JSON directly with `encode_dicts`, which is faster still.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.codec.encoder import check_columns, columns_header
from beam_doris.codec.text_columns import (
    MAX_SAFE_INTEGER,
    is_text,
    json_text,
    plain_text,
)
from beam_doris.errors import RowEncodingError
from beam_doris.options.writing import LoadFormat
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import Kind

# Everything that JSON must escape and that Arrow's replacements below do not.
_CONTROL = r"[\x00-\x1f]"


class JsonLinesEncoder:
    """Encodes batches, or dicts, as JSON lines.

    Args:
        columns: What the batches carry, in order.

    Example:
        >>> JsonLinesEncoder(schema.columns).encode(batch)
        b'{"id":1,"name":"Ann"}\\n'
    """

    load_format = LoadFormat.JSON

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._names = [column.name for column in self._columns]
        self._pieces = [
            (b"," if position else b"{") + orjson.dumps(name) + b":"
            for position, name in enumerate(self._names)
        ]
        kinds = {column.name: column.type.kind for column in self._columns}
        self._float_names = [n for n, k in kinds.items() if k in (Kind.FLOAT, Kind.DOUBLE)]
        self._bigint_names = [n for n, k in kinds.items() if k is Kind.BIGINT]
        self.takes_dicts = all(kind in _DIRECT for kind in kinds.values())
        """Whether `encode_dicts` can be used for these columns."""

    def headers(self) -> Mapping[str, str]:
        """The stream-load headers that go with the body."""
        return {
            "format": "json",
            "read_json_by_line": "true",
            "strip_outer_array": "false",
            "columns": columns_header(self._names),
        }

    def encode(self, batch: pa.RecordBatch) -> bytes:
        """One batch as lines, each with its line feed."""
        if not batch.num_rows:
            return b""
        check_columns(batch, self._names)
        parts: list[Any] = []
        for piece, column, field in zip(self._pieces, batch.columns, batch.schema, strict=True):
            parts.append(pa.scalar(piece.decode(), pa.large_string()))
            parts.append(_json_column(column, field).cast(pa.large_string()))
        parts.append(pa.scalar("}\n", pa.large_string()))
        lines = pc.binary_join_element_wise(*parts, pa.scalar("", pa.large_string()))
        return body_of(lines)

    def encode_dicts(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """Dicts as lines, without a detour over Arrow; only while `takes_dicts`.

        The values are checked less than by packing: what does not fit its column is refused by
        the server.

        Raises:
            RowEncodingError: a value has no JSON form.
        """
        rows, columns = self._whole(rows)
        if self._need_rewriting(columns):
            rows = [self._rewritten(row) for row in rows]
        body = bytearray()
        dumps = orjson.dumps
        try:
            for row in rows:
                body += dumps(row, _plain, _OPTIONS)
        except (TypeError, ValueError) as error:
            raise _explain(rows, error) from None
        return bytes(body)

    def _whole(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Sequence[Any]]]:
        """The rows with every column and no other, and the values of every column."""
        names = self._names
        if not rows:
            return rows, dict.fromkeys(names, ())
        try:
            if sum(map(len, rows)) == len(rows) * len(names):
                # a column at a time: a tuple per row would keep the garbage collector busy
                return rows, {name: list(map(itemgetter(name), rows)) for name in names}
        except KeyError:
            pass
        known = set(names)
        for position, row in enumerate(rows):
            for name in row:
                if name not in known:
                    # the server would ignore it without a word
                    raise RowEncodingError(
                        "is not a column that is written", column=str(name), row=position
                    )
        rows = [{name: row.get(name) for name in names} for row in rows]
        return rows, {name: [row[name] for row in rows] for name in names}

    def _need_rewriting(self, columns: Mapping[str, Sequence[Any]]) -> bool:
        try:
            for name in self._float_names:
                # NaN and the infinities show in the sum; a false alarm costs only time
                if not math.isfinite(sum(filter(None, columns[name]))):
                    return True
            for name in self._bigint_names:
                values = list(filter(None, columns[name])) or [0]
                if max(values) > MAX_SAFE_INTEGER or min(values) < -MAX_SAFE_INTEGER:
                    return True
        except (TypeError, OverflowError):
            return True
        return False

    def _rewritten(self, row: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(row)
        for name in self._float_names:
            value = made[name]
            if isinstance(value, float) and not math.isfinite(value):
                made[name] = str(value)
        for name in self._bigint_names:
            value = made[name]
            if isinstance(value, int) and not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
                made[name] = str(value)
        return made


_DIRECT = frozenset(
    {
        Kind.BOOLEAN,
        Kind.TINYINT,
        Kind.SMALLINT,
        Kind.INT,
        Kind.BIGINT,
        Kind.DOUBLE,
        Kind.DECIMAL,
        Kind.DECIMALV2,
        Kind.DATE,
        Kind.DATETIME,
        Kind.CHAR,
        Kind.VARCHAR,
        Kind.STRING,
    }
)
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            raise TypeError("a datetime with a time zone")
        return value.isoformat(" ")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError("a decimal that is not finite")
        return format(value, "f")
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__}")


def _explain(rows: Sequence[Mapping[str, Any]], error: Exception) -> RowEncodingError:
    for position, row in enumerate(rows):
        for name, value in row.items():
            try:
                orjson.dumps({name: value}, _plain, _OPTIONS)
            except (TypeError, ValueError) as cause:
                reason = cause.__cause__ or cause
                # orjson's own words about a value do not quote it
                return RowEncodingError(
                    f"has no JSON form: {reason}", column=str(name), row=position
                )
    return RowEncodingError(f"rows have no JSON form: {type(error).__name__}")


def _json_column(column: pa.Array, field: pa.Field) -> pa.Array:
    """Every value as JSON, NULL as `null`."""
    arrow = column.type
    if pa.types.is_nested(arrow):
        return pc.fill_null(json_text(column, field), "null")
    if pa.types.is_null(arrow):
        return pa.array(["null"] * len(column), pa.string())
    text = plain_text(column, field)
    if is_text(arrow):
        text = _escaped(text)
    elif pa.types.is_floating(arrow):
        return pc.fill_null(_float_texts(column, text), "null")
    elif pa.types.is_boolean(arrow) or (
        pa.types.is_integer(arrow) and not pa.types.is_int64(arrow)
    ):
        return pc.fill_null(text, "null")
    return pc.fill_null(_quoted(text), "null")


def _quoted(text: pa.Array) -> pa.Array:
    mark = pa.scalar('"', text.type)
    return pc.binary_join_element_wise(mark, text, mark, pa.scalar("", text.type))


def _float_texts(column: pa.Array, text: pa.Array) -> pa.Array:
    finite = pc.is_finite(column)
    if pc.all(finite, min_count=0).as_py():
        return text
    return pc.if_else(finite, text, _quoted(text))


def _escaped(text: pa.Array) -> pa.Array:
    # one search tells whether the rarer characters occur at all
    if pc.any(pc.match_substring_regex(text, _CONTROL), min_count=0).as_py():
        escaped = [
            None if value is None else orjson.dumps(value).decode()[1:-1]
            for value in text.to_pylist()
        ]
        return pa.array(escaped, text.type)
    text = pc.replace_substring(text, "\\", "\\\\")
    return pc.replace_substring(text, '"', '\\"')


def body_of(lines: pa.Array) -> bytes:
    """The bytes of all texts of an array, one after the other.

    They stand like that in the array's memory.
    """
    offsets = lines.buffers()[1]
    width = 8 if lines.type == pa.large_string() else 4
    first = int.from_bytes(offsets[lines.offset * width : (lines.offset + 1) * width], "little")
    end = lines.offset + len(lines)
    last = int.from_bytes(offsets[end * width : (end + 1) * width], "little")
    data = lines.buffers()[2]
    return b"" if data is None else data[first:last].to_pybytes()
