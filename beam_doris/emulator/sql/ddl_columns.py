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
"""Column definitions, types and property lists: the parts that CREATE and ALTER share."""

from __future__ import annotations

from beam_doris.emulator.sql.tokens import Reader, Token, TokenKind, written
from beam_doris.emulator.table_spec import ColumnSpec
from beam_doris.emulator.types import DorisType, parse_type

AGGREGATIONS = (
    "SUM",
    "MIN",
    "MAX",
    "REPLACE",
    "REPLACE_IF_NOT_NULL",
    "HLL_UNION",
    "BITMAP_UNION",
    "QUANTILE_UNION",
    "GENERIC",
)


def type_text(reader: Reader) -> str:
    """Take a type, with its brackets, and give it back as text."""
    first = reader.peek()
    if first.kind is not TokenKind.WORD:
        reader.fail("a data type")
    parts: list[Token] = [reader.next()]
    if reader.sees("SIGNED") or reader.sees("UNSIGNED"):
        reader.next()
    if reader.sees("<"):
        parts += _bracketed(reader, "<", ">")
    if reader.sees("("):
        parts += _bracketed(reader, "(", ")")
    return " ".join(written(part) for part in parts)


def _bracketed(reader: Reader, opening: str, closing: str) -> list[Token]:
    found: list[Token] = []
    depth = 0
    while not reader.done:
        token = reader.next()
        if token.kind is TokenKind.SYMBOL:
            depth += token.text.count(opening) - token.text.count(closing)
            # ">>" closes two brackets
            found += [Token(TokenKind.SYMBOL, sign, token.start, token.end) for sign in token.text]
        else:
            found.append(token)
        if depth <= 0:
            return found
    raise reader.fault(closing)


def data_type(reader: Reader) -> DorisType:
    text = type_text(reader)
    synonyms = {"SIGNED": "BIGINT", "UNSIGNED": "LARGEINT"}
    return parse_type(synonyms.get(text.upper(), text))


class _ColumnOptions:
    """The words behind a column's type, in any order."""

    def __init__(self) -> None:
        self.nullable = True
        self.key = False
        self.aggregation: str | None = None
        self.default: str | None = None
        self.default_is_function = False
        self.comment = ""
        self.auto_increment: int | None = None
        self.generated: str | None = None

    def read(self, reader: Reader) -> bool:
        """Take one option; False when none comes next."""
        if reader.take("NOT", "NULL"):
            self.nullable = False
        elif reader.take("NULL"):
            self.nullable = True
        elif reader.take("KEY"):
            self.key = True
        elif reader.take("COMMENT"):
            self.comment = reader.text()
        elif reader.take("AUTO_INCREMENT"):
            self.auto_increment = 1
            if reader.take("("):
                self.auto_increment = reader.integer()
                reader.expect(")")
        elif reader.take("DEFAULT"):
            self._default(reader)
        elif reader.take("ON", "UPDATE"):
            reader.name()
            if reader.sees("("):
                reader.parenthesized()
        elif reader.take("GENERATED", "ALWAYS") or reader.sees("AS", "("):
            self._generated(reader)
        elif reader.peek().upper in AGGREGATIONS:
            self.aggregation = reader.next().upper
        else:
            return False
        return True

    def _generated(self, reader: Reader) -> None:
        reader.expect("AS")
        begin = reader.at + 1
        inner = reader.parenthesized()
        self.generated = reader.source(begin, begin + len(inner))

    def _default(self, reader: Reader) -> None:
        token = reader.next()
        if token.kind is TokenKind.STRING or token.kind is TokenKind.NUMBER:
            self.default = token.text
        elif token.kind is TokenKind.SYMBOL and token.text in "+-":
            sign = "-" if token.text == "-" else ""
            self.default = sign + reader.next().text
        elif token.upper == "NULL":
            self.default = None
        elif token.upper in ("TRUE", "FALSE"):
            self.default = "1" if token.upper == "TRUE" else "0"
        elif token.kind is TokenKind.WORD:
            self.default_is_function = True
            self.default = token.upper
            if reader.sees("("):
                inner = "".join(written(part) for part in reader.parenthesized())
                self.default += f"({inner})" if inner else ""
        else:
            reader.at -= 1
            reader.fail("a default value")


def column(reader: Reader) -> ColumnSpec:
    """``name type [options]``."""
    name = reader.name()
    kind = data_type(reader)
    options = _ColumnOptions()
    while options.read(reader):
        continue
    return ColumnSpec(
        name=name,
        type=kind,
        nullable=options.nullable,
        key=options.key,
        aggregation=options.aggregation,
        default=options.default,
        default_is_function=options.default_is_function,
        comment=options.comment,
        auto_increment=options.auto_increment,
        generated=options.generated,
    )


def properties(reader: Reader) -> dict[str, str]:
    """``("a" = "b", ...)``."""
    found: dict[str, str] = {}
    reader.expect("(")
    if reader.take(")"):
        return found
    while True:
        key = reader.name_or_text()
        while reader.take("."):
            key += "." + reader.name_or_text()
        reader.expect("=")
        token = reader.next()
        if token.kind in (TokenKind.SYMBOL, TokenKind.END):
            reader.at -= 1
            reader.fail("a property value")
        found[key] = token.text
        if not reader.take(","):
            break
    reader.expect(")")
    return found
