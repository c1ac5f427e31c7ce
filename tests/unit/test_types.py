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
"""The grammar of types, and table schemas."""

from __future__ import annotations

import pickle

import pytest

from beam_doris.errors import ConfigError, NotFoundError, TypeMappingError
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import (
    DELETE_SIGN,
    Column,
    TableModel,
    TableSchema,
)
from beam_doris.schema.types import DorisType, Kind, array_of, map_of, parse_type, struct_of

INT = DorisType(Kind.INT)


@pytest.mark.parametrize(
    ("text", "sql", "shown"),
    [
        ("null_type", "NULL_TYPE", "null_type"),
        ("BOOL", "BOOLEAN", "boolean"),
        ("tinyint(4)", "TINYINT", "tinyint"),
        ("INTEGER", "INT", "int"),
        ("largeint", "LARGEINT", "largeint"),
        ("decimal(10,2)", "DECIMAL(10, 2)", "decimal(10,2)"),
        ("DecimalV3(76, 76)", "DECIMAL(76, 76)", "decimal(76,76)"),
        ("decimalv2(27,9)", "DECIMALV2(27, 9)", "decimalv2(27,9)"),
        ("DECIMALV2", "DECIMALV2(27, 9)", "decimalv2(27,9)"),
        ("decimal(5)", "DECIMAL(5, 0)", "decimal(5,0)"),
        ("DATEV2", "DATE", "date"),
        ("datetimev2(3)", "DATETIME(3)", "datetime(3)"),
        ("datetime", "DATETIME", "datetime"),
        ("timestamptz(6)", "TIMESTAMPTZ(6)", "timestamptz(6)"),
        ("char(1)", "CHAR(1)", "char(1)"),
        ("varchar(65533)", "VARCHAR(65533)", "varchar(65533)"),
        ("varchar(*)", "VARCHAR", "varchar"),
        ("text", "STRING", "text"),
        ("JSONB", "JSON", "json"),
        ("variant", "VARIANT", "variant"),
        ('variant<\'a.b\':int,properties("x"="1")>', None, None),
        ("array<int>", "ARRAY<INT>", "array<int>"),
        ("array<array<text>>", "ARRAY<ARRAY<STRING>>", "array<array<text>>"),
        ("MAP<STRING, DECIMAL(9, 2)>", "MAP<STRING,DECIMAL(9, 2)>", "map<text,decimal(9,2)>"),
        (
            "struct<a:int,b:varchar(20)>",
            "STRUCT<a:INT,b:VARCHAR(20)>",
            "struct<a:int,b:varchar(20)>",
        ),
        ("struct<`a b`:int COMMENT 'x, y>',c int NOT NULL>", "STRUCT<`a b`:INT,c:INT>", None),
        ("ipv4", "IPV4", "ipv4"),
        ("OBJECT", "BITMAP", "bitmap"),
        ("hll", "HLL", "hll"),
        ("quantile_state", "QUANTILE_STATE", "quantile_state"),
        ("agg_state<max_by(int,int)>", "AGG_STATE<max_by(int,int)>", None),
        ("varbinary(10)", "VARBINARY(10)", "varbinary(10)"),
        ("geometry(4)", "geometry(4)", "geometry(4)"),
    ],
)
def test_types_are_read_and_written(text: str, sql: str | None, shown: str | None) -> None:
    parsed = parse_type(text)
    assert sql is None or parsed.sql() == sql == str(parsed)
    assert shown is None or parsed.shown() == shown
    if parsed.kind is not Kind.VARIANT:
        assert parse_type(parsed.sql()) == parsed
        assert parse_type(parsed.shown()) == parsed
    assert pickle.loads(pickle.dumps(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "array<int",
        "array<int,int>",
        "map<int>",
        "struct<a:int,A:text>",
        "int)",
        "decimal(77,1)",
        "decimal(5,6)",
        "decimal(0,0)",
        "decimal(a)",
        "datetime(7)",
        "<int>",
        "struct<a:>",
        "int int",
        "5",
        "array<>",
        "a;b",
    ],
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(TypeMappingError):
        parse_type(text)


def test_the_schema_endpoints_decimals_take_their_digits_from_beside_the_name() -> None:
    assert parse_type("DECIMAL64", precision=10, scale=2).sql() == "DECIMAL(10, 2)"
    assert parse_type("DECIMAL256", precision=76, scale=10).precision == 76
    assert parse_type("INT", precision=10, scale=0) == INT


def test_shapes_can_be_unknown() -> None:
    assert not parse_type("ARRAY").is_complete
    assert not array_of(parse_type("MAP")).is_complete
    assert map_of(INT, struct_of(a=INT)).is_complete


def test_what_can_be_read_is_known() -> None:
    assert parse_type("ARRAY<JSON>").is_readable
    assert not parse_type("BITMAP").is_readable
    assert not parse_type("STRUCT<a:HLL>").is_readable
    assert not parse_type("geometry").is_readable


def _schema(model: TableModel = TableModel.UNIQUE) -> TableSchema:
    return TableSchema(
        table=TableId("d", "t"),
        model=model,
        columns=(
            Column(name="id", type=INT, nullable=False, key=True),
            Column(name="Name", type=DorisType(Kind.STRING), nullable=False),
            Column(name="age", type=INT),
            Column(name="kind", type=INT, nullable=False, default="0"),
            Column(name="twice", type=INT, nullable=False, generated="id * 2"),
            Column(name="seq", type=INT, nullable=False, auto_increment=True),
        ),
    )


def test_a_column_is_found_in_any_case_and_a_missing_one_names_the_nearest() -> None:
    schema = _schema()
    assert schema.column("NAME").name == "Name"
    assert [column.name for column in schema.keys] == ["id"]
    with pytest.raises(NotFoundError, match=r"no column 'nam'.*d\.t.*\n.*'Name'"):
        schema.column("nam")
    with pytest.raises(NotFoundError, match="the table has id, Name"):
        schema.column("zzz")


def test_columns_are_selected_in_the_order_asked_for() -> None:
    assert _schema().select(["age", "ID"]).names == ("age", "id")
    with pytest.raises(ConfigError) as caught:
        _schema().select(["x", "y", "id", "ID"])
    assert len(caught.value.problems) == 3


def test_a_sound_write_has_no_problems() -> None:
    assert _schema().write_problems(["id", "Name"]) == ()
    assert _schema().write_problems(["id", "Name", DELETE_SIGN]) == ()


def test_all_problems_of_a_write_are_reported_together() -> None:
    problems = _schema(TableModel.DUPLICATE).write_problems(
        ["id", "NAME", "agee", "twice", "seq", "id", DELETE_SIGN]
    )
    text = "\n".join(problems)
    for part in (
        "differs from the table's 'Name' only by case; write 'Name'",
        "unknown column 'agee'; did you mean 'age'?",
        "'twice' is generated",
        "'seq' is AUTO_INCREMENT",
        "'id' is given twice",
        "needs a UNIQUE KEY table",
    ):
        assert part in text, part
    assert len(problems) == 6


def test_a_missing_not_null_column_is_reported() -> None:
    (problem,) = _schema().write_problems(["id", "age"])
    assert problem == "column 'Name' is NOT NULL and has no default; the rows must carry it"


def test_a_partial_update_needs_only_the_keys() -> None:
    assert _schema().write_problems(["id", "age"], partial_update=True) == ()
    (problem,) = _schema().write_problems(["Name"], partial_update=True)
    assert "'id'" in problem


def test_models_are_read_as_the_server_writes_them() -> None:
    assert TableModel.parse("DUP_KEYS") is TableModel.DUPLICATE
    assert TableModel.parse(None) is TableModel.UNKNOWN
    assert TableModel.parse("") is TableModel.UNKNOWN


def test_a_table_has_no_two_columns_of_one_name() -> None:
    with pytest.raises(ConfigError, match="occurs twice"):
        TableSchema(
            table=TableId("d", "t"),
            columns=(Column(name="a", type=INT), Column(name="A", type=INT)),
        )
