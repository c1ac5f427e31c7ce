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
"""Conditions that the server evaluates.

A raw filter is Doris SQL and is passed on as it is; it is only checked for what would let it reach
beyond its own parentheses. A typed one is printed so that it never does.
"""

from __future__ import annotations

from beam_doris.errors import ConfigError
from beam_doris.schema.expression_sql import condition_sql
from beam_doris.schema.expressions import Comparison, Condition, Constant, FilterColumn

Filter = str | Condition | FilterColumn
"""Doris SQL, a typed condition, or a BOOLEAN column."""

_OPENERS = {"(": ")", "[": "]"}
_CLOSERS = frozenset(_OPENERS.values())


def filter_sql(condition: Filter) -> str:
    """Any kind of filter as SQL in parentheses.

    Example:
        >>> from beam_doris.schema.expressions import col
        >>> filter_sql("age > 18"), filter_sql(col("age") > 18)
        ('(age > 18)', '(`age` > 18)')

    Raises:
        ConfigError: a raw filter that cannot stand in parentheses; see `raw_filter`.
    """
    typed = typed_filter(condition)
    return raw_filter(condition) if typed is None else condition_sql(typed)  # type: ignore[arg-type]


def typed_filter(condition: Filter) -> Condition | None:
    """The condition when it is a typed one, None when it is SQL."""
    if isinstance(condition, FilterColumn):
        return Comparison(condition.term, "=", Constant(True))
    return condition if isinstance(condition, Condition) else None


def raw_filter(text: str) -> str:
    """A raw condition, checked and in parentheses, so that it can stand beside others.

    Example:
        >>> raw_filter("age > 18 OR vip")
        '(age > 18 OR vip)'

    Raises:
        ConfigError: it is empty, a whole statement, holds a comment, or its quotes or parentheses
            do not match; all problems at once.
    """
    problems = _problems(text)
    if problems:
        raise ConfigError(problems, subject="filter")
    return f"({text.strip()})"


def all_of(*conditions: str) -> str:
    """Conditions that all must hold, each in parentheses already; "" where there are none."""
    return " AND ".join(condition for condition in conditions if condition)


def _problems(text: str) -> list[str]:
    if not isinstance(text, str):
        return [f"is a {type(text).__name__}, not a str"]
    stripped = text.strip()
    if not stripped:
        return ["is empty; leave it out to take all rows"]
    problems = []
    first = stripped.split(None, 1)[0].lower()
    if first == "where":
        problems.append("begins with WHERE; give only the condition")
    elif first in ("select", "insert", "update", "delete", "drop", "truncate", "set"):
        problems.append("is a statement; give only a condition")
    return problems + _structure_problems(stripped)


def _structure_problems(text: str) -> list[str]:
    problems: list[str] = []
    expected: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character in "'\"`":
            end = _quote_end(text, position)
            if end is None:
                return [*problems, f"has an unclosed {character} at position {position}"]
            position = end
            continue
        if character in _OPENERS:
            expected.append(_OPENERS[character])
        elif character in _CLOSERS and (not expected or expected.pop() != character):
            return [*problems, f"closes a {character} that was not opened, at position {position}"]
        elif character == ";":
            problems.append("holds a semicolon; give a single condition")
        elif character == "#" or text[position : position + 2] in ("--", "/*"):
            problems.append("holds a comment, which would swallow what stands behind it")
        position += 1
    if expected:
        problems.append(f"leaves {len(expected)} parentheses open")
    return list(dict.fromkeys(problems))


def _quote_end(text: str, start: int) -> int | None:
    """The position behind a quoted piece; a doubled quote, or one behind a backslash, is inside."""
    mark = text[start]
    position = start + 1
    while position < len(text):
        if text[position] == "\\" and mark != "`":
            position += 2
        elif text[position] != mark:
            position += 1
        elif text[position + 1 : position + 2] == mark:
            position += 2
        else:
            return position + 1
    return None
