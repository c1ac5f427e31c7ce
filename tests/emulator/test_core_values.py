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
"""Types, users and the fault plan of the emulator, each by itself (P 5.2, 5.5)."""

from __future__ import annotations

import pytest

from beam_doris.emulator.errors import TypeSyntaxError
from beam_doris.emulator.faults import FaultPlan, Rule
from beam_doris.emulator.profile import PROFILES, Profile
from beam_doris.emulator.types import of_physical, parse_type
from beam_doris.emulator.users import Users, native_response


@pytest.mark.parametrize(
    ("text", "sql", "shown", "primitive", "thrift", "physical"),
    [
        ("integer", "INT", "int", "INT", 5, "INTEGER"),
        ("bool", "BOOLEAN", "boolean", "BOOLEAN", 2, "BOOLEAN"),
        ("LARGEINT", "LARGEINT", "largeint", "LARGEINT", 14, "HUGEINT"),
        ("decimalv3(9,2)", "DECIMAL(9, 2)", "decimal(9,2)", "DECIMAL32", 29, "DECIMAL(9,2)"),
        ("decimal(18)", "DECIMAL(18, 0)", "decimal(18,0)", "DECIMAL64", 30, "DECIMAL(18,0)"),
        ("decimal", "DECIMAL(38, 9)", "decimal(38,9)", "DECIMAL128I", 31, "DECIMAL(38,9)"),
        ("decimal(76,6)", "DECIMAL(76, 6)", "decimal(76,6)", "DECIMAL256", 37, "VARCHAR"),
        ("datev2", "DATE", "date", "DATEV2", 26, "DATE"),
        ("datetime", "DATETIME", "datetime", "DATETIMEV2", 27, "TIMESTAMP_S"),
        ("datetimev2(3)", "DATETIME(3)", "datetime(3)", "DATETIMEV2", 27, "TIMESTAMP_MS"),
        ("datetime(6)", "DATETIME(6)", "datetime(6)", "DATETIMEV2", 27, "TIMESTAMP"),
        ("char(5)", "CHAR(5)", "char(5)", "CHAR", 13, "VARCHAR"),
        ("varchar(*)", "VARCHAR(65533)", "varchar(65533)", "VARCHAR", 15, "VARCHAR"),
        ("string", "TEXT", "text", "STRING", 23, "VARCHAR"),
        ("jsonb", "JSON", "json", "JSON", 32, "VARCHAR"),
        ("variant<'a':int>", "VARIANT", "variant", "VARIANT", 34, "VARCHAR"),
        ("ipv4", "IPV4", "ipv4", "IPV4", 38, "UINTEGER"),
        ("ipv6", "IPV6", "ipv6", "IPV6", 39, "UHUGEINT"),
        ("bitmap", "BITMAP", "bitmap", "BITMAP", 19, "UBIGINT[]"),
        ("array<int>", "ARRAY<INT>", "array<int>", "ARRAY", 20, "INTEGER[]"),
        (
            "map<string, array<decimal(5,2)>>",
            "MAP<TEXT,ARRAY<DECIMAL(5, 2)>>",
            "map<text,array<decimal(5,2)>>",
            "MAP",
            21,
            "MAP(VARCHAR, DECIMAL(5,2)[])",
        ),
        (
            "struct<a:int comment 'x', `b` datetime(3)>",
            "STRUCT<a:INT,b:DATETIME(3)>",
            "struct<a:int,b:datetime(3)>",
            "STRUCT",
            22,
            'STRUCT("a" INTEGER, "b" TIMESTAMP_MS)',
        ),
    ],
)
def test_names_of_a_type(
    text: str, sql: str, shown: str, primitive: str, thrift: int, physical: str
) -> None:
    found = parse_type(text)
    assert (found.sql(), found.shown(), found.primitive()) == (sql, shown, primitive)
    assert (found.thrift_id(), found.physical()) == (thrift, physical)
    assert parse_type(found.sql()) == found
    assert parse_type(found.shown()) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "INTT",
        "DECIMAL(77)",
        "DECIMAL(5,6)",
        "DATETIME(7)",
        "VARCHAR(65534)",
        "CHAR(256)",
        "ARRAY",
        "ARRAY<>",
        "MAP<INT>",
        "ARRAY<INT",
        "STRUCT<a>",
        "INT)",
        "TIME",
    ],
)
def test_text_that_is_no_type(text: str) -> None:
    with pytest.raises(TypeSyntaxError):
        parse_type(text)


@pytest.mark.parametrize(
    "text",
    [
        "BIGINT",
        "LARGEINT",
        "DECIMAL(20,4)",
        "DATETIME(3)",
        "ARRAY<MAP<STRING,DATE>>",
        "IPV6",
        "STRUCT<a:INT,b:ARRAY<STRUCT<c:DOUBLE,d:DECIMAL(9,2)>>>",
        "BITMAP",
        "HLL",
        "BOOLEAN",
    ],
)
def test_physical_type_tells_the_doris_type(text: str) -> None:
    wanted = parse_type(text)
    assert of_physical(wanted.physical()) == wanted


def test_passwords_are_checked_plainly_and_by_proof() -> None:
    users = Users()
    users.create("u", "pass:word")
    salt = bytes(range(20))
    assert users.check_plain("u", "pass:word") is not None
    assert users.check_plain("u", "") is None
    assert users.check_plain("nobody", "") is None
    assert users.check_native("u", salt, native_response("pass:word", salt)) is not None
    assert users.check_native("u", salt, native_response("other", salt)) is None
    assert users.check_native("u", salt, b"") is None
    assert users.check_native("root", salt, b"") is not None, "root has an empty password"
    assert users.check_native("root", salt, native_response("x", salt)) is None


def test_rules_fire_by_match_order_and_count() -> None:
    plan = FaultPlan()
    third = plan.add(Rule(point="p", action="third", match={"table": "t"}, nth=3))
    plan.add(Rule(point="p", action="twice", match={"backend": 1}, count=2))
    facts = {"table": "t", "backend": "1"}
    fired = [plan.fire("p", **facts) for _ in range(4)]
    assert [rule.action if rule else None for rule in fired] == ["twice", "twice", "third", None]
    assert plan.fire("other", **facts) is None
    assert [event.rule.action for event in plan.fired()] == ["twice", "twice", "third"]
    assert plan.remove(third)
    assert not plan.remove(third)
    with pytest.raises(ValueError, match="nth must be at least 1"):
        Rule(point="p", action="a", nth=0)


def test_profiles_are_found_by_name() -> None:
    assert {Profile.named(name).name for name in PROFILES} == set(PROFILES)
    with pytest.raises(ValueError, match="unknown profile '9'"):
        Profile.named("9")
