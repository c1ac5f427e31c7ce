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
"""Raw filters cannot reach beyond their parentheses."""

from __future__ import annotations

import pytest

from beam_doris.errors import ConfigError
from beam_doris.schema.filters import all_of, raw_filter


@pytest.mark.parametrize(
    "text",
    [
        "age > 18 OR vip",
        " name = 'it''s; -- fine' ",
        "name = 'a\\'b)'",
        "`odd`` name)` IS NULL",
        'x = "("',
        "a IN (1, (2), f(3)[1])",
        "a - -1 = 2",
        "selection = 1",
    ],
)
def test_a_condition_is_put_in_parentheses(text: str) -> None:
    assert raw_filter(text) == f"({text.strip()})"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("1) OR (1", "that was not opened"),
        ("(a = 1", "parentheses open"),
        ("a = [1)", "not opened"),
        ("a = 'x", "unclosed '"),
        ("a = `x", "unclosed `"),
        ("a = 1; DROP TABLE t", "semicolon"),
        ("a = 1 -- x", "comment"),
        ("a = 1 /* x", "comment"),
        ("a = 1 # x", "comment"),
        ("WHERE a = 1", "begins with WHERE"),
        ("select 1", "statement"),
    ],
)
def test_what_is_no_single_condition_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        raw_filter(text)


def test_conditions_are_joined() -> None:
    assert all_of(raw_filter("a OR b"), "", raw_filter("c")) == "(a OR b) AND (c)"
    assert all_of() == ""
