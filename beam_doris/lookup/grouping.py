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
"""Rows of a result put under the keys they match."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from beam_doris.errors import RowEncodingError
from beam_doris.lookup.cache import Rows
from beam_doris.lookup.spec import LookupSpec, Matches


def grouped(spec: LookupSpec, rows: Iterable[tuple[Any, ...]]) -> dict[Any, Rows]:
    """The kept rows by canonical key.

    Args:
        spec: The lookup.
        rows: Values of `spec.selected`.
    """
    form = spec.keys
    names = [column.name for column in spec.selected]
    places = [names.index(column.name) for column in spec.key_columns]
    width = len(spec.columns.columns)
    single = places[0] if form.is_single else None
    found: dict[Any, list[tuple[Any, ...]]] = {}
    for row in rows:
        raw = row[single] if single is not None else tuple([row[place] for place in places])
        try:
            key = form.canonical(raw)
        except RowEncodingError:
            # a date of the year 0, which no element can hold
            continue
        if key is not None:
            found.setdefault(key, []).append(row[:width])
    value_names = spec.names
    return {key: _kept(spec.matches, value_names, matches) for key, matches in found.items()}


def _kept(policy: Matches, names: Sequence[str], matches: Sequence[tuple[Any, ...]]) -> Rows:
    if len(matches) > 1:
        # the server's order differs from query to query; this one does not
        matches = sorted(matches, key=_order)
        if policy is Matches.FIRST:
            matches = matches[:1]
    return tuple([dict(zip(names, row)) for row in matches])  # noqa: B905  (hot path)


def _order(row: tuple[Any, ...]) -> tuple[tuple[int, str, Any], ...]:
    return tuple([_rank(value) for value in row])


def _rank(value: Any) -> tuple[int, str, Any]:
    if value is None:
        return 0, "", 0
    if isinstance(value, float) and value != value:
        return 2, "", 0
    if isinstance(value, (bool, int, float)):
        return 1, "number", value
    if isinstance(value, (list, dict)):
        return 1, type(value).__name__, repr(value)
    return 1, type(value).__name__, value
