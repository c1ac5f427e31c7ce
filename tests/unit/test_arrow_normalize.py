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
"""Both server generations' Arrow forms become one (P 5.5)."""

from __future__ import annotations

import datetime
import traceback
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from beam_doris.errors import TypeMappingError
from beam_doris.options.table_id import TableId
from beam_doris.schema.arrow_normalize import normalize
from beam_doris.schema.arrow_types import (
    arrow_schema,
    arrow_type,
    columns_of,
    infer_type,
)
from beam_doris.schema.python_values import to_dicts, to_tuples
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import Kind, parse_type


def _schema(*types: str) -> TableSchema:
    columns = [
        Column(name=f"c{number}", type=parse_type(text)) for number, text in enumerate(types)
    ]
    return TableSchema(table=TableId("d", "t"), columns=tuple(columns))


def _values(wire: pa.Array, type_text: str) -> list[Any]:
    schema = _schema(type_text)
    batch = normalize(pa.record_batch([wire], names=["c0"]), schema)
    batch.validate(full=True)
    if schema.columns[0].type.is_complete:
        assert batch.schema.equals(arrow_schema(schema), check_metadata=True)
    return [row[0] for row in to_tuples(batch)]


def _little(value: int | None) -> bytes | None:
    return None if value is None else value.to_bytes(16, "little", signed=True)


LARGE = [-(2**127), 2**127 - 1, 0, None, -1]
NOON = datetime.datetime(2024, 7, 1, 12)
# 12:00 in Shanghai is 04:00 UTC; what the older servers send for the wall clock 12:00 there
NOON_SHANGHAI = 1719806400


@pytest.mark.parametrize(
    ("wire", "type_text", "expected"),
    [
        (pa.array([True, None]), "BOOLEAN", [True, None]),
        (pa.array([1, None], pa.int8()), "TINYINT", [1, None]),
        (pa.array([1, None], pa.int8()), "INT", [1, None]),
        (pa.array([str(v) if v is not None else None for v in LARGE]), "LARGEINT", LARGE),
        (pa.array([_little(v) for v in LARGE], pa.binary(16)), "LARGEINT", LARGE),
        (pa.array([_little(v) for v in LARGE], pa.binary(16)).slice(1), "LARGEINT", LARGE[1:]),
        (pa.array([1.5], pa.float32()), "DOUBLE", [1.5]),
        (
            pa.array([Decimal("1.5")], pa.decimal128(27, 9)),
            "DECIMALV2(10, 2)",
            [Decimal("1.500000000")],
        ),
        (pa.array([Decimal("1.5")], pa.decimal128(27, 9)), "DECIMAL(10, 2)", [Decimal("1.50")]),
        (pa.array([Decimal("1.5")], pa.decimal256(60, 2)), "DECIMAL(60, 2)", [Decimal("1.50")]),
        (pa.array(["0000-01-01", "9999-12-31"]), "DATE", ["0000-01-01", datetime.date.max]),
        (pa.array([datetime.date(2024, 2, 29)], pa.date32()), "DATE", [datetime.date(2024, 2, 29)]),
        (pa.array(["2024-07-01 12:00:00", None]), "DATETIME", [NOON, None]),
        (pa.array(["2024-07-01 12:00:00.000"]), "DATETIME(3)", [NOON]),
        (pa.array([NOON], pa.timestamp("s")), "DATETIME", [NOON]),
        (pa.array([NOON], pa.timestamp("ms")), "DATETIME(3)", [NOON]),
        (pa.array([NOON], pa.timestamp("us")), "DATETIME(6)", [NOON]),
        (pa.array([NOON_SHANGHAI], pa.timestamp("s", tz="Asia/Shanghai")), "DATETIME", [NOON]),
        (pa.array([NOON_SHANGHAI], pa.timestamp("s", tz="+08:00")), "DATETIME", [NOON]),
        (pa.array([NOON_SHANGHAI + 8 * 3600], pa.timestamp("s", tz="UTC")), "DATETIME", [NOON]),
        (pa.array(["x"], pa.large_string()), "JSON", ["x"]),
        (pa.array(["x"], pa.string_view()), "VARIANT", ["x"]),
        (pa.array(["x", "y"]).dictionary_encode(), "STRING", ["x", "y"]),
        (
            pa.array([-1, 2130706433, None], pa.int32()),
            "IPV4",
            ["255.255.255.255", "127.0.0.1", None],
        ),
        (pa.array([2**32 - 1, 0], pa.uint32()), "IPV4", ["255.255.255.255", "0.0.0.0"]),
        (pa.array(["1.2.3.4"]), "IPV4", ["1.2.3.4"]),
        (
            pa.array(["::1", "1", str(2**128 - 1), None]),
            "IPV6",
            ["::1", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None],
        ),
        (pa.array([b"x"], pa.binary()), "BITMAP", [b"x"]),
        (pa.nulls(2), "INT", [None, None]),
        (pa.array([[1], None, []], pa.list_(pa.int32())), "ARRAY<IPV4>", [["0.0.0.1"], None, []]),
        (
            pa.array([[9], [1], None], pa.large_list(pa.int32())).slice(1),
            "ARRAY<IPV4>",
            [["0.0.0.1"], None],
        ),
        (
            pa.array(
                [[("x", 1)], [("a", 1)], None, []], pa.map_(pa.large_string(), pa.int32())
            ).slice(1),
            "MAP<STRING,IPV4>",
            [{"a": "0.0.0.1"}, None, {}],
        ),
        (
            pa.array(
                [{"a": "0"}, {"a": "5"}, None, {"a": None}], pa.struct([("a", pa.string())])
            ).slice(1),
            "STRUCT<a:LARGEINT>",
            [{"a": 5}, None, {"a": None}],
        ),
        (
            pa.array([[NOON_SHANGHAI]], pa.list_(pa.timestamp("s", tz="Asia/Shanghai"))),
            "ARRAY<DATETIME>",
            [[NOON]],
        ),
        (pa.array([["1"]], pa.list_(pa.string())), "ARRAY<IPV6>", [["::1"]]),
        (pa.array([[1]], pa.list_(pa.int32())), "ARRAY", [[1]]),
    ],
)
def test_every_form_becomes_the_canonical_one(
    wire: pa.Array, type_text: str, expected: list[Any]
) -> None:
    assert _values(wire, type_text) == expected


@pytest.mark.parametrize(
    ("wire", "type_text"),
    [
        (pa.array([1], pa.int64()), "INT"),
        (pa.array(["1"]), "INT"),
        (pa.array([1.0]), "FLOAT"),
        (pa.array([1]), "STRING"),
        (pa.array([1]), "BOOLEAN"),
        (pa.array([1]), "DATE"),
        (pa.array([1]), "DATETIME"),
        (pa.array([1]), "IPV4"),
        (pa.array([b"x" * 16], pa.binary(16)), "IPV6"),
        (pa.array([[1]]), "MAP<INT,INT>"),
        (pa.array([{"a": 1}]), "STRUCT<b:BIGINT>"),
        (pa.array(["x"]), "ARRAY<STRING>"),
        (pa.array([NOON], pa.timestamp("us")), "TIMESTAMPTZ"),
    ],
)
def test_another_type_is_an_error_that_names_column_and_both_types(
    wire: pa.Array, type_text: str
) -> None:
    with pytest.raises(TypeMappingError) as caught:
        _values(wire, type_text)
    error = caught.value
    assert error.column == "c0"
    assert error.table == "d.t"
    assert error.expected == parse_type(type_text).sql()
    assert error.got == str(wire.type)


def test_a_value_that_cannot_be_is_an_error_without_the_value() -> None:
    with pytest.raises(TypeMappingError) as caught:
        _values(pa.array(["topsecretcell"]), "DATE")
    shown = traceback.format_exception(caught.type, caught.value, caught.tb)
    assert "topsecretcell" not in shown[-1] + str(caught.value)
    assert caught.value.__suppress_context__


def test_columns_come_in_the_order_asked_for_and_by_any_case() -> None:
    wire = pa.record_batch([pa.array([1], pa.int32()), pa.array(["x"])], names=["C1", "c0"])
    batch = normalize(wire, _schema("STRING", "INT"))
    assert to_dicts(batch) == [{"c0": "x", "c1": 1}]


def test_a_column_that_did_not_come_is_an_error() -> None:
    with pytest.raises(TypeMappingError, match="sent no column 'c1'"):
        normalize(pa.record_batch([pa.array(["x"])], names=["c0"]), _schema("STRING", "INT"))


def test_the_doris_type_survives_in_the_metadata() -> None:
    schema = _schema("LARGEINT", "DECIMAL(39, 0)", "JSON", "ARRAY<LARGEINT>")
    assert [column.type for column in columns_of(arrow_schema(schema))] == [
        column.type for column in schema.columns
    ]
    body = pa.BufferOutputStream()
    with pa.ipc.new_stream(body, arrow_schema(schema)):
        pass
    with pa.ipc.open_stream(body.getvalue()) as reader:
        assert columns_of(reader.schema)[0].type.kind is Kind.LARGEINT


@pytest.mark.parametrize(
    ("arrow", "sql"),
    [
        (pa.uint8(), "SMALLINT"),
        (pa.uint64(), "LARGEINT"),
        (pa.timestamp("ms"), "DATETIME(3)"),
        (pa.decimal128(10, 2), "DECIMAL(10, 2)"),
        (pa.map_(pa.string(), pa.list_(pa.int8())), "MAP<STRING,ARRAY<TINYINT>>"),
        (pa.struct([("a", pa.date32())]), "STRUCT<a:DATE>"),
        (pa.dictionary(pa.int8(), pa.string()), "STRING"),
    ],
)
def test_types_are_inferred_from_arrow(arrow: pa.DataType, sql: str) -> None:
    assert infer_type(arrow).sql() == sql


def test_types_without_a_counterpart_are_errors() -> None:
    with pytest.raises(TypeMappingError, match="no type for Arrow's time64"):
        infer_type(pa.time64("us"))
    with pytest.raises(TypeMappingError, match="did not tell"):
        arrow_type(parse_type("ARRAY"))
    with pytest.raises(TypeMappingError, match="geometry"):
        arrow_type(parse_type("geometry"))
