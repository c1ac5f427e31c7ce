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
"""What happens to a query's tokens before sqlglot sees them.

sqlglot reads ``t TABLET(1)`` as an alias, knows none of the types LARGEINT, IPV4 or BITMAP, and
has no literals of maps and structs: these become plain function calls and marked table names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from beam_doris.emulator.sql.tokens import (
    Reader,
    SyntaxFault,
    Token,
    TokenKind,
    Unsupported,
    join,
    number,
    quoted,
    string,
    symbol,
    word,
)

CAST = "__doris_cast"
MAP = "__doris_map"
STRUCT = "__doris_struct"
HINT_PREFIX = "__doris_hint_"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHint:
    """What stands between a table's name and its alias."""

    name: str
    tablets: tuple[int, ...] | None = None
    partitions: tuple[str, ...] | None = None


@dataclass(slots=True)
class Prepared:
    """Text for sqlglot, and the hints whose tables it names."""

    tokens: list[Token]
    hints: dict[str, TableHint] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return join(self.tokens)

    @property
    def names_hidden(self) -> bool:
        """Whether a hidden column is named (P 4.1)."""
        return any(
            token.is_name and token.text.upper().startswith("__DORIS_")
            and not token.text.startswith("__doris_")
            for token in self.tokens
        )  # fmt: skip


def prepare(tokens: Sequence[Token]) -> Prepared:
    """Rewrite the tokens of a query or an expression."""
    prepared = Prepared([])
    prepared.tokens = _rewrite(list(tokens), prepared.hints)
    return prepared


def _closing(tokens: Sequence[Token], opening: int) -> int:
    """Index of the bracket that closes the one at ``opening``."""
    depth = 0
    for index in range(opening, len(tokens)):
        token = tokens[index]
        if token.kind is TokenKind.SYMBOL:
            if token.text in "([{":
                depth += 1
            elif token.text in ")]}":
                depth -= 1
                if depth == 0:
                    return index
    raise SyntaxFault(f"Syntax error: '{tokens[opening].text}' is not closed")


def split(tokens: Sequence[Token], separator: str) -> list[list[Token]]:
    """Parts between separators outside of brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind is TokenKind.SYMBOL:
            if token.text in "([{":
                depth += 1
            elif token.text in ")]}":
                depth -= 1
            elif token.text == separator and depth == 0:
                parts.append([])
                continue
        parts[-1].append(token)
    return parts


def _is(token: Token | None, text: str) -> bool:
    return token is not None and token.kind is TokenKind.SYMBOL and token.text == text


def _rewrite(tokens: list[Token], hints: dict[str, TableHint]) -> list[Token]:
    out: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        after = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.upper in ("CAST", "TRY_CAST") and _is(after, "("):
            end = _closing(tokens, index + 1)
            out += _cast(tokens[index + 2 : end], hints)
            index = end + 1
        elif token.upper == "MAP" and _is(after, "("):
            # sqlglot's map() takes two lists only
            out.append(word(MAP))
            index += 1
        elif _is(token, "{"):
            end = _closing(tokens, index)
            out += _braces(tokens[index + 1 : end], hints)
            index = end + 1
        elif _is_hint(token, after, out):
            index = _hint(tokens, index, out, hints)
        elif _is(token, "?"):
            raise SyntaxFault("Syntax error: a parameter marker without a value")
        else:
            out.append(token)
            index += 1
    return out


def _cast(inner: list[Token], hints: dict[str, TableHint]) -> list[Token]:
    depth = 0
    at = -1
    for index, token in enumerate(inner):
        if token.kind is TokenKind.SYMBOL:
            depth += (token.text in "([{") - (token.text in ")]}")
        elif token.upper == "AS" and depth == 0:
            at = index
    if at < 0:
        raise SyntaxFault("Syntax error: CAST without AS")
    kind = join(inner[at + 1 :])
    return [
        word(CAST),
        symbol("("),
        string(kind),
        symbol(","),
        *_rewrite(inner[:at], hints),
        symbol(")"),
    ]


def _braces(inner: list[Token], hints: dict[str, TableHint]) -> list[Token]:
    if len(inner) == 2 and inner[0].upper in ("D", "T", "TS") and inner[1].kind is TokenKind.STRING:
        # the escapes of JDBC: {ts '2024-01-01 00:00:00'}
        return [inner[1]]
    if inner and inner[0].upper == "FN":
        return _rewrite(inner[1:], hints)
    items = split(inner, ",") if inner else []
    pairs = [split(item, ":") for item in items]
    is_map = not items or len(pairs[0]) == 2
    parts = [part for pair in pairs for part in pair] if is_map else items
    out = [word(MAP if is_map else STRUCT), symbol("(")]
    for position, part in enumerate(parts):
        if position:
            out.append(symbol(","))
        out += _rewrite(part, hints)
    return [*out, symbol(")")]


_CLAUSE_WORDS = frozenset(
    ("SELECT", "FROM", "JOIN", "WHERE", "BY", "AND", "OR", "NOT", "ON", "OVER", "AS", "SET")
)


def _is_hint(token: Token, after: Token | None, out: Sequence[Token]) -> bool:
    """Whether TABLET(...) or PARTITION ... follows the name of a table."""
    if not out or not out[-1].is_name or out[-1].upper in _CLAUSE_WORDS or after is None:
        return False
    if token.upper in ("TABLET", "PARTITIONS", "TABLESAMPLE") and _is(after, "("):
        return True
    return token.upper == "PARTITION" and (
        _is(after, "(") or (after.is_name and after.upper != "BY")
    )


def _hint(tokens: list[Token], index: int, out: list[Token], hints: dict[str, TableHint]) -> int:
    name = out.pop()
    tablets: tuple[int, ...] | None = None
    partitions: tuple[str, ...] | None = None
    reader = Reader(tokens)
    reader.at = index
    while True:
        if reader.sees("TABLET", "("):
            reader.next()
            tablets = _numbers(reader.parenthesized())
        elif reader.sees("PARTITION") or reader.sees("PARTITIONS"):
            reader.next()
            partitions = reader.names() if reader.sees("(") else (reader.name(),)
        elif reader.sees("TABLESAMPLE", "("):
            raise Unsupported("TABLESAMPLE")
        else:
            break
    marker = f"{HINT_PREFIX}{len(hints)}"
    hints[marker] = TableHint(name=name.text, tablets=tablets, partitions=partitions)
    out.append(quoted(marker))
    return reader.at


def _numbers(tokens: Sequence[Token]) -> tuple[int, ...]:
    found: list[int] = []
    for item in split(tokens, ","):
        if len(item) != 1 or not item[0].text.isdigit():
            raise SyntaxFault("Syntax error: TABLET takes numbers")
        found.append(int(item[0].text))
    return tuple(found)


def substitute(tokens: Sequence[Token], find: Callable[[Token], list[Token] | None]) -> list[Token]:
    """Replace single tokens, such as parameter markers and variables, by others."""
    out: list[Token] = []
    for token in tokens:
        replacement = find(token)
        if replacement is None:
            out.append(token)
        else:
            out += replacement
    return out


def literal_tokens(value: object) -> list[Token]:
    """A Python value as tokens of a literal."""
    if value is None:
        return [word("NULL")]
    if isinstance(value, bool):
        return [number("1" if value else "0")]
    if isinstance(value, bytes):
        return [string(value.decode("utf-8", "surrogateescape"))]
    text = repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, str):
        return [string(value)]
    if text.startswith("-"):
        return [symbol("("), symbol("-"), number(text[1:]), symbol(")")]
    if text[:1].isdigit():
        return [number(format(value, "f") if "E" in text else text)]
    # the special numbers nan and inf
    return [string(text)]
