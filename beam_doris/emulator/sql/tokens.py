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
"""The words of a Doris statement.

Statements are cut into tokens once. DDL, SHOW and hints are read from the tokens; queries are
written back from them, so that parameters and session variables enter as tokens, never as text.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from beam_doris.emulator.errors import EmulatorError


class TokenKind(enum.Enum):
    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    NUMBER = "number"
    SYMBOL = "symbol"
    VARIABLE = "variable"
    END = "end"


class Token(NamedTuple):
    kind: TokenKind
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind is TokenKind.WORD else ""

    @property
    def is_name(self) -> bool:
        return self.kind in (TokenKind.WORD, TokenKind.QUOTED)


class SyntaxFault(EmulatorError):
    """A statement that Doris' parser would refuse."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 1105, "HY000")


class Unsupported(EmulatorError):
    """A statement that Doris knows and the emulator does not."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the emulator does not support {what}", 1105, "HY000")


_SCANNER = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*(?:\n|$)|\#[^\n]*(?:\n|$)|/\*(?!!)(?:.|\n)*?\*/)
    |(?P<open>/\*!\d*)
    |(?P<close>\*/)
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?![\w$]))
    |(?P<word>[^\W\d][\w$]*|\d+[\w$]+)
    |(?P<single>'(?:[^'\\]|\\.|'')*')
    |(?P<double>"(?:[^"\\]|\\.|"")*")
    |(?P<quoted>`(?:[^`]|``)*`)
    |(?P<variable>@@(?:(?:session|global|local)\s*\.\s*)?[\w$]+|@[\w$.]+)
    |(?P<symbol><=>|<>|!=|<=|>=|<<|>>|\|\||&&|:=|::|->|=>|[-+*/%(),.;=<>!?\[\]{}:&|^~@])
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


_KINDS = {
    "word": TokenKind.WORD,
    "number": TokenKind.NUMBER,
    "symbol": TokenKind.SYMBOL,
    "variable": TokenKind.VARIABLE,
}


def _unescape(match: re.Match[str]) -> str:
    letter = match.group(1)
    if letter in "%_":
        # LIKE still needs to see these two
        return "\\" + letter
    return _ESCAPES.get(letter, letter)


def _text(raw: str) -> str:
    quote = raw[0]
    inner = raw[1:-1].replace(quote * 2, quote)
    return _ESCAPE.sub(_unescape, inner) if "\\" in inner else inner


def tokenize(sql: str) -> list[Token]:
    """Cut a text into tokens; the last one is END."""
    tokens: list[Token] = []
    add = tokens.append
    position = 0
    versioned = 0
    size = len(sql)
    for match in _SCANNER.finditer(sql):
        start, end = match.span()
        if start != position:
            break
        position = end
        group = match.lastgroup
        if group == "space":
            continue
        raw = match.group()
        kind = _KINDS.get(group or "")
        if kind is not None:
            add(Token(kind, raw, start, end))
        elif group in ("single", "double"):
            add(Token(TokenKind.STRING, _text(raw), start, end))
        elif group == "quoted":
            add(Token(TokenKind.QUOTED, raw[1:-1].replace("``", "`"), start, end))
        elif group == "open":
            versioned += 1
        elif group == "close":
            if not versioned:
                raise SyntaxFault("Syntax error: '*/' without a comment")
            versioned -= 1
    if position != size:
        near = sql[position : position + 20]
        raise SyntaxFault(f"Syntax error: unexpected character near '{near}'")
    tokens.append(Token(TokenKind.END, "", size, size))
    return tokens


def split_statements(tokens: Sequence[Token]) -> list[list[Token]]:
    """The statements between semicolons, without empty ones and without END."""
    statements: list[list[Token]] = []
    current: list[Token] = []
    for token in tokens:
        if token.kind is TokenKind.END or (token.kind is TokenKind.SYMBOL and token.text == ";"):
            if current:
                statements.append(current)
            current = []
        else:
            current.append(token)
    return statements


def string(text: str) -> Token:
    return Token(TokenKind.STRING, text, 0, 0)


def number(text: str) -> Token:
    return Token(TokenKind.NUMBER, text, 0, 0)


def word(text: str) -> Token:
    return Token(TokenKind.WORD, text, 0, 0)


def quoted(text: str) -> Token:
    return Token(TokenKind.QUOTED, text, 0, 0)


def symbol(text: str) -> Token:
    return Token(TokenKind.SYMBOL, text, 0, 0)


def written(token: Token) -> str:
    """The token as text that both this scanner and sqlglot read back as the same token."""
    if token.kind is TokenKind.STRING:
        inner = token.text.replace("\\", "\\\\").replace("'", "''")
        return f"'{inner}'"
    if token.kind is TokenKind.QUOTED:
        return "`" + token.text.replace("`", "``") + "`"
    return token.text


def join(tokens: Iterable[Token]) -> str:
    """One text of all tokens."""
    return " ".join(written(token) for token in tokens if token.kind is not TokenKind.END)


class Reader:
    """A position in the tokens of one statement, for recursive descent."""

    def __init__(self, tokens: Sequence[Token], sql: str = "") -> None:
        self.tokens = [token for token in tokens if token.kind is not TokenKind.END]
        self.sql = sql
        self.at = 0
        last = self.tokens[-1].end if self.tokens else 0
        self._end = Token(TokenKind.END, "", last, last)

    def peek(self, ahead: int = 0) -> Token:
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else self._end

    @property
    def done(self) -> bool:
        return self.at >= len(self.tokens)

    def next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def sees(self, *words: str) -> bool:
        """Whether these key words (or symbols) come next."""
        for index, wanted in enumerate(words):
            token = self.peek(index)
            if token.kind is TokenKind.WORD:
                if token.upper != wanted:
                    return False
            elif token.kind is not TokenKind.SYMBOL or token.text != wanted:
                return False
        return True

    def take(self, *words: str) -> bool:
        """Skip these key words if they come next."""
        if not self.sees(*words):
            return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        for wanted in words:
            if not self.take(wanted):
                self.fail(wanted)

    def fault(self, wanted: str = "") -> SyntaxFault:
        """What is wrong with the next token."""
        token = self.peek()
        near = token.text if token.kind is not TokenKind.END else "<EOF>"
        more = f", expecting {wanted}" if wanted else ""
        return SyntaxFault(f"Syntax error: mismatched input '{near}'{more}")

    def fail(self, wanted: str = "") -> NoReturn:
        raise self.fault(wanted)

    def finish(self) -> None:
        """The statement must end here."""
        self.take(";")
        if not self.done:
            self.fail("<EOF>")

    def name(self) -> str:
        """An identifier, quoted or not."""
        token = self.peek()
        if not token.is_name:
            self.fail("an identifier")
        self.at += 1
        return token.text

    def name_or_text(self) -> str:
        token = self.peek()
        if token.kind is TokenKind.STRING:
            self.at += 1
            return token.text
        return self.name()

    def text(self) -> str:
        token = self.peek()
        if token.kind is not TokenKind.STRING:
            self.fail("a string")
        self.at += 1
        return token.text

    def integer(self) -> int:
        token = self.peek()
        if token.kind is not TokenKind.NUMBER or not token.text.isdigit():
            self.fail("a number")
        self.at += 1
        return int(token.text)

    def qualified(self) -> tuple[str | None, str]:
        """``[catalog.][db.]table`` as (database, table); only the internal catalog exists (P 1.4)."""
        parts = [self.name()]
        while self.take("."):
            parts.append(self.name())
        if len(parts) > 3:
            self.fail("a table name")
        if len(parts) == 3 and parts[0] not in ("internal", "def"):
            raise EmulatorError(f"Unknown catalog '{parts[0]}'", 5086)
        return (parts[-2] if len(parts) > 1 else None), parts[-1]

    def names(self) -> tuple[str, ...]:
        """``(a, b, c)``."""
        self.expect("(")
        found = [self.name()]
        while self.take(","):
            found.append(self.name())
        self.expect(")")
        return tuple(found)

    def parenthesized(self) -> list[Token]:
        """The tokens inside the parentheses that open here."""
        self.expect("(")
        begin = self.at
        depth = 1
        while not self.done:
            token = self.next()
            if token.kind is TokenKind.SYMBOL:
                if token.text in "([{":
                    depth += 1
                elif token.text in ")]}":
                    depth -= 1
                    if depth == 0:
                        return list(self.tokens[begin : self.at - 1])
        raise self.fault(")")

    def rest(self) -> list[Token]:
        """Every token from here on."""
        found = list(self.tokens[self.at :])
        self.at = len(self.tokens)
        return found

    def source(self, begin: int, end: int) -> str:
        """The original text of the tokens [begin, end)."""
        if begin >= end:
            return ""
        return self.sql[self.tokens[begin].start : self.tokens[end - 1].end]
