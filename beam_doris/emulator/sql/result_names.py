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
"""Names of result columns: an alias, a column, or the text of the expression."""

from __future__ import annotations

from collections.abc import Sequence

from beam_doris.emulator.sql.prepare import split
from beam_doris.emulator.sql.tokens import Token, TokenKind
from beam_doris.emulator.sql.translate import TranslatedQuery

_ENDS = frozenset(
    (
        "FROM",
        "WHERE",
        "GROUP",
        "HAVING",
        "ORDER",
        "LIMIT",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "MINUS",
        "QUALIFY",
    )
)


def _select_items(tokens: Sequence[Token]) -> list[list[Token]]:
    """The items of the first SELECT that stands outside of brackets."""
    begin = 0
    while begin < len(tokens) and tokens[begin].text == "(":
        begin += 1
    depth = 0
    start = -1
    for index in range(begin, len(tokens)):
        token = tokens[index]
        if token.kind is TokenKind.SYMBOL:
            depth += (token.text in "([{") - (token.text in ")]}")
            if depth < 0:
                return split(tokens[start:index], ",") if start >= 0 else []
        elif depth == 0 and start < 0 and token.upper == "SELECT":
            start = index + 1
        elif depth == 0 and start >= 0 and token.upper in _ENDS:
            return split(tokens[start:index], ",")
    return split(tokens[start:], ",") if start >= 0 else []


def result_names(
    tokens: Sequence[Token], sql: str, found: Sequence[str], translated: TranslatedQuery
) -> list[str]:
    """One name for each of the ``found`` columns of the engine."""
    known = translated.columns
    names = list(found)
    if known is not None and len(known) == len(found):
        names = [name or names[index] for index, (name, _) in enumerate(known)]
    items = _select_items(tokens)
    if len(items) != len(names) or len(translated.aliases) != len(names):
        return names
    for index, (alias, item) in enumerate(zip(translated.aliases, items, strict=True)):
        if alias:
            names[index] = alias
        elif item and item[-1].text != "*":
            first = item[1] if item[0].upper in ("DISTINCT", "ALL") and len(item) > 1 else item[0]
            names[index] = sql[first.start : item[-1].end]
    return names
