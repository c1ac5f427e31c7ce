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
"""Loads by SQL: ``insert into t (..) select .. from http_stream(..)`` (P 2.2, header ``sql``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import orjson

from beam_doris.emulator.load.body import READ_BYTES, ByteSource
from beam_doris.emulator.load.columns import ColumnList, split_outside
from beam_doris.emulator.load.failure import frontend_failure
from beam_doris.emulator.load.request import HeaderFields, LoadRequest, parse_load_request

_NAME = r"(?:`[^`]+`|[A-Za-z_]\w*)"
_INSERT = re.compile(
    rf"\s*insert\s+into\s+(?P<table>{_NAME}(?:\s*\.\s*{_NAME}){{0,2}})"
    rf"(?:\s+with\s+label\s+(?P<label>{_NAME}))?"
    r"\s*(?:\((?P<columns>[^()]*)\))?"
    r"\s*select\s+(?P<items>.+?)\s+from\s+http_stream\s*\((?P<options>[^()]*)\)"
    r"(?:\s+(?:as\s+)?(?!where\b)[A-Za-z_]\w*)?"
    r"(?:\s+where\s+(?P<where>.+?))?\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_OPTION = re.compile(r"\s*[\"']([^\"']+)[\"']\s*=\s*(\"[^\"]*\"|'[^']*')\s*", re.DOTALL)
_ALIAS = re.compile(r"\s+as\s+(?:`[^`]+`|\w+)\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class HttpStream:
    """A parsed statement: where to, which columns, from what."""

    database: str | None
    table: str
    label: str
    columns: tuple[str, ...]
    items: tuple[str, ...]
    where: str
    options: dict[str, str]


class _Options:
    """Options of the function, then the headers of the request."""

    def __init__(self, options: dict[str, str], headers: HeaderFields) -> None:
        self._options = options
        self._headers = headers

    def get(self, name: str, default: str = "") -> str:
        if name in self._options:
            return self._options[name]
        return self._headers.get(name, default)

    def __contains__(self, name: str) -> bool:
        return name in self._options or name in self._headers


class Peeked:
    """A source whose first line has been looked at."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._held = b""

    def first_line(self, delimiter: bytes) -> bytes:
        """The first line, which stays in the source."""
        while delimiter not in self._held:
            data = self._source.read(READ_BYTES)
            if not data:
                break
            self._held += data
        return self._held.partition(delimiter)[0]

    def read(self, size: int = READ_BYTES) -> bytes:
        """The held bytes first."""
        if self._held:
            data, self._held = self._held[:size], self._held[size:]
            return data
        return self._source.read(size)


def parse_http_stream(sql: str) -> HttpStream:
    """Take the statement apart.

    Raises:
        LoadFailure: it is no insert from ``http_stream``.
    """
    found = _INSERT.fullmatch(sql)
    if found is None:
        raise frontend_failure(f"stream load only support http_stream insert, sql: {sql}")
    path = [part.strip().strip("`") for part in found["table"].split(".")]
    options = {}
    for item in split_outside(found["options"], ","):
        option = _OPTION.fullmatch(item)
        if option is not None:
            options[option[1].lower()] = option[2][1:-1]
        elif item.strip():
            raise frontend_failure(f"Syntax error in http_stream: {item.strip()}")
    columns = tuple(
        name.strip().strip("`") for name in (found["columns"] or "").split(",") if name.strip()
    )
    items = tuple(_ALIAS.sub("", item.strip()) for item in split_outside(found["items"], ","))
    return HttpStream(
        database=path[-2] if len(path) > 1 else None,
        table=path[-1],
        label=(found["label"] or "").strip("`"),
        columns=columns,
        items=items,
        where=found["where"] or "",
        options=options,
    )


def stream_request(statement: HttpStream, headers: HeaderFields, *, content: str) -> LoadRequest:
    """The load that the statement stands for; its fields are not known yet."""
    request = parse_load_request(_Options(statement.options, headers), content=content)
    return replace(request, label=request.label or statement.label, where=statement.where)


def with_fields(
    request: LoadRequest, statement: HttpStream, table_columns: tuple[str, ...], source: Peeked
) -> LoadRequest:
    """The load with its fields, which the first line of the body tells."""
    fields = _fields(request, source)
    items: list[str] = []
    for item in statement.items:
        items.extend([f"`{name}`" for name in fields] if item == "*" else [item])
    columns = statement.columns or table_columns
    if len(items) != len(columns):
        raise frontend_failure(
            f"insert into cols should be corresponding to the query output: {len(columns)} "
            f"columns, {len(items)} values"
        )
    computed = tuple(zip(columns, items, strict=True))
    return replace(request, columns=ColumnList(fields=fields, computed=computed))


def _fields(request: LoadRequest, source: Peeked) -> tuple[str, ...]:
    if request.format == "json":
        line = source.first_line(request.json.delimiter)
        try:
            value = orjson.loads(line)
        except ValueError as error:
            raise frontend_failure(f"can't read the first row: {error}") from error
        if isinstance(value, list):
            value = value[0] if value else {}
        return tuple(map(str, value)) if isinstance(value, dict) else ()
    if not request.format.startswith("csv"):
        raise frontend_failure(f"the emulator can't do http_stream with {request.format}")
    line = source.first_line(request.csv.delimiter)
    parts = line.removesuffix(b"\r").split(request.csv.separator)
    if request.format != "csv":
        return tuple(part.decode("utf-8", "replace").strip() for part in parts)
    return tuple(f"c{place}" for place in range(1, len(parts) + 1))
