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
"""Cutting statements into tokens, and what becomes of parameters (P 8.1)."""

from __future__ import annotations

import decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_doris.emulator.sql.prepare import literal_tokens, prepare
from beam_doris.emulator.sql.tokens import (
    SyntaxFault,
    TokenKind,
    join,
    split_statements,
    tokenize,
)


def texts(sql: str) -> list[str]:
    return [token.text for token in tokenize(sql)[:-1]]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", ["SELECT", "1"]),
        ("a -- b\n c # d\n e /* f */ g", ["a", "c", "e", "g"]),
        ("/*!40101 SET NAMES utf8 */", ["SET", "NAMES", "utf8"]),
        ("/*+ SET_VAR(x=1) */ 1", ["1"]),
        ("`a``b`.`c`", ["a`b", ".", "c"]),
        ("'it''s' \"a\\\"b\" 'x\\ny'", ["it's", 'a"b', "x\ny"]),
        (r"'50\%' '\N'", [r"50\%", "N"]),
        ("1.5 .5 1e3 0x1F 2abc", ["1.5", ".5", "1e3", "0x1F", "2abc"]),
        ("a<=>b!=c", ["a", "<=>", "b", "!=", "c"]),
        ("@@session.x @y", ["@@session.x", "@y"]),
    ],
)
def test_a_text_is_cut_into_tokens(sql: str, expected: list[str]) -> None:
    assert texts(sql) == expected


@pytest.mark.parametrize("sql", ["'open", '"open', "`open", "a */ b", "a \x01 b"])
def test_what_is_no_token_is_a_syntax_error(sql: str) -> None:
    with pytest.raises(SyntaxFault):
        tokenize(sql)


def test_semicolons_inside_texts_do_not_end_a_statement() -> None:
    found = split_statements(tokenize("select ';'; ; select 2;"))
    assert [[token.text for token in tokens] for tokens in found] == [
        ["select", ";"],
        ["select", "2"],
    ]


@given(st.text())
def test_any_text_survives_as_a_literal(text: str) -> None:
    (token,) = literal_tokens(text)
    (again, _) = tokenize(join([token]))
    assert again.kind is TokenKind.STRING
    assert again.text == text


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        (True, "1"),
        (-5, "( - 5 )"),
        (1.5, "1.5"),
        (decimal.Decimal("1E+2"), "100"),
        (b"x'y", "'x''y'"),
        (float("nan"), "'nan'"),
    ],
)
def test_a_python_value_becomes_a_literal(value: object, sql: str) -> None:
    assert join(literal_tokens(value)) == sql


@pytest.mark.parametrize(
    ("sql", "tablets", "partitions"),
    [
        ("select a from t tablet(1, 2) where b = 1", (1, 2), None),
        ("select a from db.t partition (p1, p2) x", None, ("p1", "p2")),
        ("select a from t partition p1", None, ("p1",)),
        ("select a from t partition(p) tablet(7)", (7,), ("p",)),
    ],
)
def test_hints_are_taken_off_the_table(
    sql: str, tablets: tuple[int, ...] | None, partitions: tuple[str, ...] | None
) -> None:
    (hint,) = prepare(tokenize(sql)[:-1]).hints.values()
    assert hint.name == "t"
    assert hint.tablets == tablets
    assert hint.partitions == partitions


@pytest.mark.parametrize(
    "sql", ["select sum(a) over (partition by b) from t", "select tablet(1)", "select a as tablet"]
)
def test_other_uses_of_the_words_are_no_hints(sql: str) -> None:
    assert prepare(tokenize(sql)[:-1]).hints == {}
