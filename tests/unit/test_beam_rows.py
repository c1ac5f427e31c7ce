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
"""Beam schema types: what they are, and that values survive Beam's own coder exactly."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam import coders
from apache_beam.typehints.schemas import typing_to_runner_api

from beam_doris.beam_support.beam_rows import RowMaker, beam_type, row_type
from beam_doris.errors import TypeMappingError
from beam_doris.options.table_id import TableId
from beam_doris.schema.arrow_types import arrow_field
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import parse_type


def schema_of(**columns: str) -> TableSchema:
    """A table by the texts of its types."""
    return TableSchema(
        table=TableId("db", "t"),
        columns=tuple(Column(name=n, type=parse_type(k)) for n, k in columns.items()),
    )


def through_beam(kind: str, values: list[Any], arrow: pa.Array | None = None) -> list[Any]:
    """Values of one column, exploded to rows, encoded and decoded by Beam."""
    schema = schema_of(c=kind)
    field = arrow_field("c", schema.columns[0].type)
    array = pa.array(values, field.type) if arrow is None else arrow
    batch = pa.RecordBatch.from_arrays([array], schema=pa.schema([field]))
    coder = coders.registry.get_coder(row_type(schema))
    assert isinstance(coder, coders.RowCoder)
    rows = list(RowMaker(schema).rows(batch))
    return [coder.decode(coder.encode(row)).c for row in rows]


WIDE = Decimal("12345678901234567890123456789012345678901234567890.1234567890")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("BOOLEAN", [True, False, None]),
        ("TINYINT", [-128, 127, None]),
        ("SMALLINT", [-(2**15), 2**15 - 1, None]),
        ("INT", [-(2**31), 2**31 - 1, None]),
        ("BIGINT", [-(2**63), 2**63 - 1, None]),
        ("FLOAT", [1.5, float("inf"), None]),
        ("DOUBLE", [0.1, -0.0, float("-inf"), None]),
        ("DECIMAL(9, 2)", [Decimal("-1234567.89"), Decimal("0.00"), None]),
        ("DECIMAL(28, 4)", [Decimal("123456789012345678901234.5678"), None]),
        ("DECIMAL(38, 3)", [Decimal("12345678901234567890123456789012345.678"), None]),
        ("DECIMAL(60, 10)", [WIDE, -WIDE, None]),
        ("DATE", [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None]),
        (
            "DATETIME(6)",
            [
                datetime.datetime(1, 1, 1),
                datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
                datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
                None,
            ],
        ),
        ("VARCHAR(20)", ["", "Zoë 🦆", "a\0b", None]),
        ("JSON", ['{"a":1}', None]),
        ("ARRAY<INT>", [[1, None, 3], [], None]),
        ("ARRAY<DATETIME(3)>", [[datetime.datetime(2024, 1, 1, 1, 2, 3, 4000)], None]),
        ("MAP<STRING, INT>", [{"a": 1, "b": None}, {}, None]),
    ],
)
def test_values_survive_the_row_coder_exactly(kind: str, values: list[Any]) -> None:
    assert through_beam(kind, values) == values


def test_largeint_is_an_exact_int() -> None:
    values = [-(2**127), 2**127 - 1, 0, None]
    arrow = pa.array([None if v is None else str(v) for v in values]).cast(pa.decimal256(39, 0))
    assert through_beam("LARGEINT", [], arrow) == values


def test_a_struct_is_a_row() -> None:
    value, none = through_beam("STRUCT<a:INT, b:ARRAY<STRING>>", [{"a": 1, "b": ["x"]}, None])
    assert (value.a, list(value.b)) == (1, ["x"])
    assert none is None


def test_a_year_that_python_does_not_have_is_refused_with_advice() -> None:
    early = pa.array([-719528], pa.int32()).view(pa.date32())
    with pytest.raises(TypeMappingError, match="year") as failure:
        through_beam("DATE", [], early)
    assert 'output="arrow"' in str(failure.value)


def test_types_that_no_row_can_carry_are_refused() -> None:
    for kind in ("BITMAP", "HLL", "TIME"):
        with pytest.raises(TypeMappingError, match="no form in a Beam row"):
            beam_type(parse_type(kind))
    with pytest.raises(TypeMappingError, match="does not tell the element types"):
        beam_type(parse_type("ARRAY"))


def test_the_schema_is_portable_where_beam_has_a_type() -> None:
    proto = typing_to_runner_api(row_type(schema_of(d="DATE", t="DATETIME", p="DECIMAL(9,2)")))
    urns = [field.type.logical_type.urn for field in proto.row_type.schema.fields]
    assert urns == [
        "beam:logical_type:date:v1",
        "beam:logical_type:datetime:v1",
        "beam:logical_type:decimal:v1",
    ]


def test_nullability_is_the_table_s() -> None:
    schema = TableSchema(
        table=TableId("db", "t"),
        columns=(
            Column(name="k", type=parse_type("INT"), nullable=False),
            Column(name="v", type=parse_type("INT")),
        ),
    )
    fields = typing_to_runner_api(row_type(schema)).row_type.schema.fields
    assert [(field.name, field.type.nullable) for field in fields] == [("k", False), ("v", True)]


def test_rows_are_beam_rows_with_the_columns_in_order() -> None:
    schema = schema_of(b="INT", a="INT")
    fields = [arrow_field(c.name, c.type) for c in schema.columns]
    batch = pa.RecordBatch.from_arrays(
        [pa.array([1], pa.int32()), pa.array([2], pa.int32())], schema=pa.schema(fields)
    )
    assert list(RowMaker(schema).rows(batch)) == [beam.Row(b=1, a=2)]
