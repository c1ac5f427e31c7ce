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
"""Keys of every scalar type: what they become, what matches nothing, what is refused."""

from __future__ import annotations

import datetime
import ipaddress
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from beam_doris.errors import RowEncodingError
from beam_doris.lookup.cells import cell_reader
from beam_doris.lookup.keys import KeyForm, key_problem
from beam_doris.lookup.query import select
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import parse_type

BERLIN = datetime.timezone(datetime.timedelta(hours=1))


def form(*types: str) -> KeyForm:
    return KeyForm(
        [Column(name=f"k{place}", type=parse_type(text)) for place, text in enumerate(types)]
    )


@pytest.mark.parametrize(
    ("kind", "raw", "key"),
    [
        ("BOOLEAN", 1, True),
        ("TINYINT", np.int64(-128), -128),
        ("INT", 7.0, 7),
        ("INT", Decimal("7.00"), 7),
        ("LARGEINT", -(2**127), -(2**127)),
        ("FLOAT", 0.1, 0.10000000149011612),
        ("DOUBLE", -0.0, 0.0),
        ("DOUBLE", True, 1.0),
        ("DECIMAL(10, 2)", True, Decimal(1)),
        ("DOUBLE", 2**53, 9007199254740992.0),
        ("DECIMAL(10, 2)", "1.50", Decimal("1.5")),
        ("DECIMAL(10, 2)", 0.1, Decimal("0.1")),
        ("DECIMAL(10, 2)", Decimal("1E+7"), Decimal(10000000)),
        ("DECIMAL(10, 2)", Decimal("-0.0000"), Decimal(0)),
        ("DATE", datetime.datetime(2024, 2, 29), datetime.date(2024, 2, 29)),
        ("DATE", "2024-02-29", datetime.date(2024, 2, 29)),
        ("DATETIME(3)", datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29)),
        ("DATETIME(3)", "2024-02-29 01:02:03", datetime.datetime(2024, 2, 29, 1, 2, 3)),
        ("CHAR(3)", np.str_("ab"), "ab"),
        ("IPV4", ipaddress.IPv4Address("1.2.3.4"), "1.2.3.4"),
        ("IPV6", "2001:0DB8:0::1", "2001:db8::1"),
    ],
)
def test_value_becomes_what_a_matching_row_holds(kind: str, raw: Any, key: Any) -> None:
    made = form(kind).canonical(raw)
    assert made == key
    assert type(made) is type(key)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("INT", None),
        ("TINYINT", 128),
        ("INT", 1.5),
        ("INT", float("nan")),
        ("BOOLEAN", 2),
        ("DOUBLE", float("nan")),
        ("DOUBLE", 2**53 + 1),
        ("FLOAT", 1e300),
        ("DECIMAL(10, 2)", Decimal("NaN")),
        ("DECIMAL(10, 2)", Decimal("0.125")),
        ("DECIMAL(10, 2)", Decimal("1E+8")),
        ("DATE", datetime.datetime(2024, 2, 29, 1)),
        ("DATETIME", datetime.datetime(2024, 2, 29, 1, 2, 3, 4)),
        ("DATETIME(3)", datetime.datetime(2024, 2, 29, 1, 2, 3, 1001)),
    ],
)
def test_value_that_no_row_can_hold_is_not_asked_for(kind: str, raw: Any) -> None:
    assert form(kind).canonical(raw) is None


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("INT", "secret"),
        ("INT", [1]),
        ("VARCHAR(9)", 1),
        ("VARCHAR(9)", b"secret"),
        ("DATE", "secret"),
        ("DATETIME", datetime.datetime(2024, 1, 1, tzinfo=BERLIN)),
        ("DECIMAL(9, 2)", "secret"),
        ("DOUBLE", "secret"),
        ("IPV4", "secret"),
        ("IPV6", 1),
    ],
)
def test_value_of_another_kind_is_refused_unquoted(kind: str, raw: Any) -> None:
    with pytest.raises(RowEncodingError) as caught:
        form(kind).canonical(raw)
    assert caught.value.column == "k0"
    assert "secret" not in str(caught.value)


def test_composite_key_with_a_null_matches_nothing() -> None:
    assert form("INT", "VARCHAR(9)").canonical((1, None)) is None
    assert form("INT", "VARCHAR(9)").canonical((1, "a")) == (1, "a")


@pytest.mark.parametrize("kind", ["JSON", "VARIANT", "ARRAY<INT>", "BITMAP", "HLL"])
def test_types_without_equality_are_no_keys(kind: str) -> None:
    assert "cannot compare" in (key_problem(Column(name="k", type=parse_type(kind))) or "")


# ------------------------------------------------------------------------------ statements


def statement(keys: list[Any], *types: str) -> tuple[str, tuple[Any, ...]]:
    made = select(TableId("d", "t"), ["v"], keys, form(*types))
    return made.sql, made.parameters


def test_one_key_is_an_equation_and_several_are_a_list() -> None:
    assert statement([1], "INT") == ("SELECT `v` FROM `d`.`t` WHERE `k0` = %s", (1,))
    assert statement([1, 2], "INT") == ("SELECT `v` FROM `d`.`t` WHERE `k0` IN (%s, %s)", (1, 2))


def test_composite_keys_are_grouped_by_the_column_with_the_fewest_values() -> None:
    sql, parameters = statement([(1, "a"), (2, "a"), (3, "b")], "INT", "VARCHAR(9)")
    assert sql.endswith("((`k1` = %s AND `k0` IN (%s, %s)) OR (`k1` = %s AND `k0` = %s))")
    assert parameters == ("a", 1, 2, "b", 3)


def test_thousand_composite_keys_do_not_nest_deeply() -> None:
    sql, _ = statement([(number, str(number)) for number in range(1024)], "INT", "VARCHAR(9)")
    depth = deepest = 0
    for character in sql:
        depth += {"(": 1, ")": -1}.get(character, 0)
        deepest = max(deepest, depth)
    assert depth == 0
    assert deepest <= 12


def test_percent_signs_of_names_and_queries_are_no_parameters() -> None:
    made = select("SELECT a FROM t WHERE b LIKE '5%' -- end", ["a%b"], ["x%s"], form("STRING"))
    assert made.rendered() == (
        "SELECT `a%b` FROM (SELECT a FROM t WHERE b LIKE '5%' -- end\n) AS `lookup_source` "
        "WHERE `k0` = 'x%s'"
    )


def test_quotes_and_backslashes_of_keys_stay_inside_their_literal() -> None:
    made = select(TableId("d", "t"), ["v"], ["it's \\ 1=1"], form("STRING"))
    assert made.parameters == ("it's \\ 1=1",)
    assert made.rendered().endswith("= 'it\\'s \\\\ 1=1'")


@pytest.mark.parametrize(
    ("kind", "key", "mark", "value"),
    [
        ("LARGEINT", -(2**127), "CAST(%s AS LARGEINT)", str(-(2**127))),
        ("DECIMAL(10, 7)", Decimal("1E-7"), "CAST(%s AS DECIMAL(8, 7))", "0.0000001"),
        ("DECIMAL(10, 2)", Decimal("1E+5"), "CAST(%s AS DECIMAL(6, 0))", "100000"),
        ("DOUBLE", float("-inf"), "CAST(%s AS DOUBLE)", "-Infinity"),
        ("IPV4", "1.2.3.4", "CAST(%s AS IPV4)", "1.2.3.4"),
        ("DATETIME", datetime.datetime(2024, 1, 2), "%s", "2024-01-02 00:00:00"),
    ],
)
def test_keys_without_an_exact_literal_are_cast(kind: str, key: Any, mark: str, value: Any) -> None:
    sql, parameters = statement([key], kind)
    assert sql.endswith(f"`k0` = {mark}")
    assert parameters == (value,)


# ----------------------------------------------------------------------------------- cells


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("BOOLEAN", 1, True),
        ("LARGEINT", "170141183460469231731687303715884105727", 2**127 - 1),
        ("FLOAT", 0.1, 0.10000000149011612),
        ("DECIMAL(76, 1)", "1" * 70 + ".5", Decimal("1" * 70 + ".5")),
        ("DATE", "0000-01-01", "0000-01-01"),
        ("DATETIME", "0000-01-01 00:00:00", "0000-01-01 00:00:00.000000"),
        ("DATETIME(3)", "2024-01-02 03:04:05.678", datetime.datetime(2024, 1, 2, 3, 4, 5, 678000)),
        ("STRING", b"bytes", "bytes"),
        ("INT", None, None),
    ],
)
def test_cell_is_what_a_read_gives_for_the_column(kind: str, cell: Any, value: Any) -> None:
    read = cell_reader(Column(name="c", type=parse_type(kind)))
    assert read(cell) == value
    assert type(read(cell)) is type(value)


def test_cell_of_a_changed_column_is_named_but_not_quoted() -> None:
    with pytest.raises(Exception, match="'c' is no longer a INT") as caught:
        cell_reader(Column(name="c", type=parse_type("INT")))("secret")
    assert "secret" not in str(caught.value)
