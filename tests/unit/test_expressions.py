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
"""Typed conditions: how they are made, refused, printed and checked."""

from __future__ import annotations

import datetime
import ipaddress
import math
import pickle
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import beam_doris
from beam_doris.errors import ConfigError
from beam_doris.options.table_id import TableId
from beam_doris.schema.expression_check import condition_problems
from beam_doris.schema.expressions import Condition, col
from beam_doris.schema.filters import filter_sql, raw_filter, typed_filter
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import parse_type
from tests.predicates import random_condition

UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    ("condition", "sql"),
    [
        (col("age") > 18, "(`age` > 18)"),
        (col("age") != -1, "(`age` != -1)"),
        (col("a") <= col("b"), "(`a` <= `b`)"),
        (col("odd `name`") == "x", "(`odd ``name``` = 'x')"),
        (col("a") == "O'Neil \\ \n\0", r"(`a` = 'O''Neil \\ \n\0')"),
        (col("a") == 'say "hi" -- 日本', "(`a` = 'say \"hi\" -- 日本')"),
        (col("a") == True, "(`a` = TRUE)"),  # noqa: E712
        (col("a") == 2**63, "(`a` = CAST('9223372036854775808' AS LARGEINT))"),
        (col("a") == -(2**127), f"(`a` = CAST('-{2**127}' AS LARGEINT))"),
        (col("a") < 0.1, "(`a` < CAST('0.1' AS DOUBLE))"),
        (col("a") < Decimal("1E+3"), "(`a` < 1000)"),
        (col("a") < Decimal("-0.50"), "(`a` < -0.50)"),
        (col("a") > datetime.date(5, 1, 2), "(`a` > CAST('0005-01-02' AS DATE))"),
        (
            col("a") > datetime.datetime(2024, 2, 29, 1, 2, 3),
            "(`a` > CAST('2024-02-29 01:02:03' AS DATETIME))",
        ),
        (
            col("a") > datetime.datetime(2024, 2, 29, microsecond=7),
            "(`a` > CAST('2024-02-29 00:00:00.000007' AS DATETIME(6)))",
        ),
        (col("a") == ipaddress.ip_address("::1"), "(`a` = CAST('::1' AS IPV6))"),
        (col("a") == np.int64(7), "(`a` = 7)"),
        (col("a").isin([1, 2]), "(`a` IN (1, 2))"),
        (col("a").not_in({"x"}), "(`a` NOT IN ('x'))"),
        (col("a").isin([]), "(FALSE)"),
        (col("a").not_in([]), "(TRUE)"),
        (col("a").between(1, col("b")), "(`a` BETWEEN 1 AND `b`)"),
        (col("a").like(r"50\%_"), r"(`a` LIKE '50\\%_')"),
        (col("a").is_null(), "(`a` IS NULL)"),
        (col("a").is_not_null(), "(`a` IS NOT NULL)"),
        (~(col("a") == 1), "(NOT (`a` = 1))"),
        (
            (col("a") == 1) & (col("b") == 2) & (col("c") == 3) | ~col("vip"),
            "(((`a` = 1) AND (`b` = 2) AND (`c` = 3)) OR (NOT (`vip` = TRUE)))",
        ),
    ],
)
def test_every_condition_is_printed_in_parentheses(condition: Condition, sql: str) -> None:
    assert filter_sql(condition) == sql


@pytest.mark.parametrize("seed", range(200))
def test_whatever_is_printed_cannot_leave_its_parentheses(seed: int) -> None:
    sql = filter_sql(random_condition(random.Random(seed), 4))
    assert raw_filter(sql) == f"({sql})"


@pytest.mark.parametrize("seed", range(200))
def test_a_condition_survives_pickling_and_its_repr(seed: int) -> None:
    condition = random_condition(random.Random(seed), 4)
    assert pickle.loads(pickle.dumps(condition)) == condition
    names = {"col": col, "datetime": datetime, "Decimal": Decimal, **vars(ipaddress)}
    assert filter_sql(eval(repr(condition), names)) == filter_sql(condition)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: col("a") == None, "is_null"),  # noqa: E711
        (lambda: col("a").isin([math.nan]), "NaN"),
        (lambda: col("a") > float("-inf"), "infinity"),
        (lambda: col("a") > Decimal("NaN"), "NaN"),
        (lambda: col("a") > Decimal("1e80"), "76 digits"),
        (lambda: col("a") > 2**127, "LARGEINT"),
        (lambda: col("a") > datetime.datetime.now(UTC), "zone"),
        (lambda: col("a") == "\ud800", "surrogate"),
        (lambda: col("a") == b"x", "bytes is no literal"),
        (lambda: col("a") == datetime.time(1), "time is no literal"),
        (lambda: col("a").isin([1, None]), "holds None"),  # type: ignore[list-item]
        (lambda: col("a").isin("abc"), "a list"),
        (lambda: col("a").between(1, None), "is_null"),  # type: ignore[arg-type]
        (lambda: col("a").like("a\\b"), "backslash"),
        (lambda: col("a").like("a\\"), "backslash"),
        (lambda: col("a").like(5), "LIKE pattern"),  # type: ignore[arg-type]
        (lambda: col(""), "no column's name"),
        (lambda: col(5), "a str"),  # type: ignore[arg-type]
    ],
)
def test_what_has_no_meaning_is_refused_with_the_reason(
    make: Callable[[], Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: bool(col("a") > 1),
        lambda: 1 < col("a") < 5,
        lambda: col("a") > 1 and col("b") > 2,
        lambda: not col("vip"),
        lambda: col("a") > 1 & col("b") > 2,  # type: ignore[operator]
        lambda: (col("a") > 1) | 5,  # type: ignore[operator]
    ],
)
def test_python_s_own_logic_is_refused_with_advice(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"& "):
        make()


def test_columns_cannot_be_changed_or_used_as_keys() -> None:
    with pytest.raises(AttributeError):
        col("a").term = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        hash(col("a"))


def test_a_condition_tells_its_columns() -> None:
    condition = (col("a") > col("b")) | ~col("c").like("%") & col("d").isin([])
    assert condition.columns() == {"a", "b", "c", "d"}


def test_long_chains_stay_flat() -> None:
    condition = col("a") == 0
    for number in range(1, 3000):
        condition = condition | (col("a") == number)
    assert filter_sql(condition).count(" OR ") == 2999


def test_raw_and_typed_filters_are_told_apart() -> None:
    assert typed_filter("a > 1") is None
    assert filter_sql("a > 1 OR b") == "(a > 1 OR b)"
    assert filter_sql(col("vip")) == "(`vip` = TRUE)"
    with pytest.raises(ConfigError, match="not opened"):
        filter_sql("1) OR (1")


def schema_of(**types: str) -> TableSchema:
    columns = tuple(Column(name=name, type=parse_type(text)) for name, text in types.items())
    return TableSchema(table=TableId("test", "student"), columns=columns)


SCHEMA = schema_of(
    age="int", name="varchar(20)", born="date", vip="boolean", tags="array<int>", ip="ipv4"
)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        (col("agee") > 1, "did you mean 'age'"),
        (col("age") > "18", "compared with a str"),
        (col("name") == 5, "compared with a int"),
        (col("age") == col("name"), "compared with 'name', a VARCHAR"),
        (col("age").like("1%"), "LIKE is for texts"),
        (col("tags") == 1, "which no typed filter compares"),
        (col("vip") > True, "only equal or not equal"),
        (col("age") & (col("vip")), "compared with a bool"),
        (col("born").isin([datetime.date(2020, 1, 1), "2020-01-02"]), "compared with a str"),
        (col("ip") == ipaddress.ip_address("::1"), "compared with a IPv6Address"),
    ],
)
def test_a_condition_that_does_not_fit_the_table_is_told(
    condition: Condition, problem: str
) -> None:
    assert any(problem in each for each in condition_problems(condition, SCHEMA))


def test_a_condition_that_fits_the_table_has_no_problems() -> None:
    condition = (
        (col("AGE") > Decimal("1.5"))
        & col("name").like("A%")
        & (col("born") < datetime.datetime(2020, 1, 1, 12))
        & col("vip")
        & col("tags").is_not_null()
    )
    assert condition_problems(condition, SCHEMA) == ()


def test_all_problems_come_together() -> None:
    condition = (col("agee") > 1) | ~(col("nam") == "x")
    assert len(condition_problems(condition, SCHEMA)) == 2


def test_col_is_public() -> None:
    assert beam_doris.col is col
