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
"""Texts in a numeric place: Doris reads them as DOUBLE without being asked to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlglot
from sqlglot import exp

from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.prepare import prepare
from beam_doris.emulator.sql.tokens import tokenize
from beam_doris.emulator.types import TEXTS, DorisType

_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod)
_COMPARISON = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


def parse(text: str) -> Any:
    """The syntax tree of a Doris expression.

    Raises:
        EmulatorError: it has no syntax.
    """
    try:
        return sqlglot.parse_one(prepare(tokenize(text)[:-1]).text, read="doris")
    except sqlglot.errors.SqlglotError as error:
        raise EmulatorError(f"Syntax error in expression: {text}") from error


def unknown_name(text: str, types: Mapping[str, DorisType]) -> str | None:
    """The first name in an expression that is none of the given ones."""
    known = {name.lower() for name in types}
    for column in parse(text).find_all(exp.Column):
        if column.name.lower() not in known:
            return str(column.name)
    return None


def with_numbers(text: str, types: Mapping[str, DorisType]) -> str:
    """The expression with a cast around every text column that is computed or compared with."""
    texts = {name.lower() for name, doris in types.items() if doris.kind in TEXTS}
    tree = parse(text)
    found = [
        column
        for column in tree.find_all(exp.Column)
        if column.name.lower() in texts and _numeric_place(column)
    ]
    if not found:
        return text
    for column in found:
        cast = exp.Cast(this=column.copy(), to=exp.DataType.build("double"))
        if column is tree:
            tree = cast
        else:
            column.replace(cast)
    return str(tree.sql(dialect="doris", normalize_functions=False))


def _numeric_place(column: Any) -> bool:
    node, parent = column, column.parent
    while isinstance(parent, exp.Paren):
        node, parent = parent, parent.parent
    if isinstance(parent, (*_ARITHMETIC, exp.Neg)):
        return not isinstance(parent, exp.Binary) or not _is_interval(parent.expression)
    if isinstance(parent, _COMPARISON):
        other = parent.right if parent.left is node else parent.left
        return _is_number(other)
    if isinstance(parent, exp.Between):
        return parent.this is node and _is_number(parent.args["low"])
    if isinstance(parent, exp.In):
        items = parent.expressions
        return parent.this is node and bool(items) and all(map(_is_number, items))
    return False


def _is_interval(node: Any) -> bool:
    return isinstance(node, exp.Interval)


def _is_number(node: Any) -> bool:
    while isinstance(node, (exp.Paren, exp.Neg)):
        node = node.this
    return isinstance(node, (exp.Literal, *_ARITHMETIC)) and not (
        isinstance(node, exp.Literal) and node.is_string
    )
