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
"""Rows of every kind become batches, strictly."""

from __future__ import annotations

import collections
import datetime
import ipaddress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from beam_doris.codec.packing import Missing, RowPacker, infer_columns
from beam_doris.errors import ConfigError, RowEncodingError
from beam_doris.schema.python_values import to_dicts, to_tuples
from beam_doris.schema.table_schema import Column
from beam_doris.schema.types import DorisType, Kind, parse_type

COLUMNS = (
    Column(name="id", type=DorisType(Kind.INT), nullable=False),
    Column(name="name", type=DorisType(Kind.STRING)),
)
EXPECTED = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]


class Pair(NamedTuple):
    id: int
    name: str | None


class Swapped(NamedTuple):
    name: str | None
    id: int


@dataclass
class Record:
    id: int
    name: str | None


class RowLike:
    """What a beam.Row looks like from here."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def as_dict(self) -> dict[str, Any]:
        return self._values


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": 1, "name": "a"}, {"id": 2, "name": None}],
        [{"name": "a", "id": 1}, {"id": 2}],
        [collections.OrderedDict(id=1, name="a"), collections.OrderedDict(id=2, name=None)],
        [Pair(1, "a"), Pair(2, None)],
        [Swapped("a", 1), Swapped(None, 2)],
        [Record(1, "a"), Record(2, None)],
        [RowLike(id=1, name="a"), RowLike(id=2, name=None)],
        [(1, "a"), (2, None)],
        [[1, "a"], [2, None]],
        [{"id": 1, "name": "a"}, (2, None)],
        [Pair(1, "a"), RowLike(id=2)],
    ],
)
def test_every_kind_of_row_is_taken(rows: list[Any]) -> None:
    assert to_dicts(RowPacker(COLUMNS).pack(rows)) == EXPECTED


def test_no_rows_make_an_empty_batch() -> None:
    batch = RowPacker(COLUMNS).pack([])
    assert batch.num_rows == 0
    assert batch.schema.names == ["id", "name"]


def _column(type_text: str, **more: Any) -> tuple[Column, ...]:
    return (Column(name="c", type=parse_type(type_text), **more),)


ZONED = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("type_text", "value", "reason"),
    [
        ("INT", "1", "takes int, not str"),
        ("INT", 1.0, "takes int, not float"),
        ("INT", True, "takes int, not bool"),
        ("INT", 2**31, "out of the range of INT"),
        ("TINYINT", -129, "out of the range of TINYINT"),
        ("BIGINT", 2**63, "out of the range of BIGINT"),
        ("LARGEINT", 2**127, "out of the range of LARGEINT"),
        ("LARGEINT", 10**50, "out of the range of LARGEINT"),
        ("LARGEINT", "12x", "no whole number"),
        ("BOOLEAN", 2, "0 and 1"),
        ("BOOLEAN", "true", "takes bool"),
        ("FLOAT", 1e300, "out of the range of FLOAT"),
        ("FLOAT", "1", "takes float"),
        ("DOUBLE", 2**60 + 1, "cannot hold exactly"),
        ("DECIMAL(10, 2)", Decimal("1.005"), "more than the 2 fraction digits"),
        ("DECIMAL(4, 2)", Decimal("123"), "more digits than DECIMAL"),
        ("DECIMAL(4, 2)", Decimal("NaN"), "not finite"),
        ("DECIMAL(4, 2)", 1.5, "takes decimal.Decimal, not float"),
        ("DECIMAL(4, 2)", "1.5x", "no decimal number"),
        ("DATE", datetime.datetime(2024, 1, 1), "a datetime in a DATE"),
        ("DATE", "01.02.2024", "no date"),
        ("DATETIME", ZONED, "has a time zone"),
        ("DATETIME", "noon", "no time"),
        ("DATETIME", 5, "takes datetime.datetime, not int"),
        ("TIMESTAMPTZ", datetime.datetime(2024, 1, 1), "has no time zone"),
        ("STRING", b"x", "takes str, not bytes; decode it first"),
        ("STRING", 5, "takes str, not int"),
        ("STRING", "\ud800", "half of a surrogate pair"),
        ("JSON", {"a": float("nan")}, "cannot be written as JSON"),
        ("JSON", {"a": object()}, "cannot be written as JSON"),
        ("IPV4", 5, "takes str or ipaddress.IPv4Address"),
        ("IPV4", ipaddress.ip_address("::1"), "takes str or ipaddress.IPv4Address"),
        ("VARBINARY", "x", "takes bytes"),
        ("ARRAY<INT>", "[1]", "takes list, not str"),
        ("ARRAY<INT>", [1, "x"], "its element: takes int"),
        ("ARRAY<ARRAY<INT>>", [[1], [2**31]], "its element: its element: is out of the range"),
        ("MAP<STRING,INT>", [("a", 1)], "takes dict, not list"),
        ("MAP<STRING,INT>", {1: 1}, "its key: takes str"),
        ("MAP<STRING,INT>", {"a": "x"}, "its value: takes int"),
        ("MAP<STRING,INT>", {None: 1}, "NULL key"),
        ("STRUCT<a:INT>", {"b": 1}, "has a field that STRUCT<a:INT> has not"),
        ("STRUCT<a:INT>", {"a": "x"}, "its field 'a': takes int"),
        ("STRUCT<a:INT>", 5, "takes dict, not int"),
        ("BITMAP", 1.5, "int or str as the source"),
    ],
)
def test_a_value_that_does_not_fit_names_row_column_and_reason(
    type_text: str, value: Any, reason: str
) -> None:
    packer = RowPacker(_column(type_text))
    with pytest.raises(RowEncodingError) as caught:
        packer.pack([{"c": None}, {"c": None}, {"c": value}])
    assert reason in caught.value.reason
    assert (caught.value.column, caught.value.row) == ("c", 2)


def test_an_error_never_quotes_the_value() -> None:
    for type_text, value in (("INT", "topsecret"), ("DATE", "topsecret"), ("JSON", {"topsecret"})):
        with pytest.raises(RowEncodingError) as caught:
            RowPacker(_column(type_text)).pack([{"c": value}])
        assert "topsecret" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("type_text", "value", "expected"),
    [
        ("INT", np.int64(5), 5),
        ("TINYINT", True, 1),
        ("BOOLEAN", 1, True),
        ("BOOLEAN", np.bool_(False), False),
        ("LARGEINT", "170141183460469231731687303715884105727", 2**127 - 1),
        ("LARGEINT", np.int64(5), 5),
        ("DOUBLE", 5, 5.0),
        ("DOUBLE", np.float32(0.5), 0.5),
        ("DECIMAL(10, 2)", 5, Decimal("5.00")),
        ("DECIMAL(10, 2)", "5.5", Decimal("5.50")),
        ("DECIMAL(10, 2)", Decimal("1E+2"), Decimal("100.00")),
        ("DATE", "2024-02-29", datetime.date(2024, 2, 29)),
        ("DATETIME", datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1)),
        ("DATETIME", "2024-01-01 00:00:00.5", datetime.datetime(2024, 1, 1, 0, 0, 0, 500000)),
        ("TIMESTAMPTZ", ZONED, ZONED),
        ("JSON", {"a": [1, "ü"], "d": Decimal("1.5")}, '{"a":[1,"ü"],"d":"1.5"}'),
        ("JSON", '{"a": 1}', '{"a": 1}'),
        ("JSON", 5, "5"),
        ("IPV4", ipaddress.ip_address("1.2.3.4"), "1.2.3.4"),
        ("IPV6", ipaddress.ip_address("::1"), "::1"),
        ("VARBINARY", bytearray(b"x"), b"x"),
        ("ARRAY<INT>", (1, 2), [1, 2]),
        ("ARRAY<INT>", np.array([1, 2]), [1, 2]),
        ("ARRAY", [1, 2], [1, 2]),
        ("STRUCT<id:INT,name:STRING>", Pair(1, "a"), {"id": 1, "name": "a"}),
        ("STRUCT<id:INT,name:STRING>", {"id": 1}, {"id": 1, "name": None}),
        ("BITMAP", 5, 5),
        ("HLL", "x", "x"),
    ],
)
def test_what_a_column_can_hold_exactly_is_taken(type_text: str, value: Any, expected: Any) -> None:
    batch = RowPacker(_column(type_text)).pack([{"c": value}, {"c": None}])
    assert [row[0] for row in to_tuples(batch)] == [expected, None]


def test_null_in_a_not_null_column_is_refused_unless_the_server_fills_it() -> None:
    with pytest.raises(RowEncodingError, match="NOT NULL") as caught:
        RowPacker(COLUMNS).pack([(1, "a"), (None, "b")])
    assert caught.value.row == 1
    numbered = _column("INT", nullable=False, auto_increment=True)
    assert RowPacker(numbered).pack([{"c": None}]).num_rows == 1


def test_a_missing_column_is_null_or_an_error() -> None:
    assert RowPacker(COLUMNS).pack([{"id": 1}]).column(1).to_pylist() == [None]
    with pytest.raises(RowEncodingError, match="'id': is missing") as caught:
        RowPacker(COLUMNS).pack([{"id": 1, "name": "a"}, {"name": "a"}])
    assert caught.value.row == 1
    with pytest.raises(RowEncodingError, match="'name': is missing"):
        RowPacker(COLUMNS, missing=Missing.ERROR).pack([{"id": 1}])


@pytest.mark.parametrize("row", [{"id": 1, "nmae": "x"}, {"id": 1, "name": "a", "nmae": "x"}])
def test_a_column_too_many_is_refused_and_not_dropped(row: dict[str, Any]) -> None:
    with pytest.raises(RowEncodingError, match=r"'nmae': is not a column.* id, name"):
        RowPacker(COLUMNS).pack([row])


def test_a_name_in_another_case_is_told_the_right_one() -> None:
    with pytest.raises(RowEncodingError, match="write 'name'"):
        RowPacker(COLUMNS).pack([{"id": 1, "NAME": "x"}])


def test_a_tuple_of_another_length_is_refused() -> None:
    with pytest.raises(RowEncodingError, match="has 3 values, but 2 columns"):
        RowPacker(COLUMNS).pack([(1, "a"), (1, "a", 5)])
    with pytest.raises(RowEncodingError, match="has 1 values"):
        RowPacker(COLUMNS).pack([{"id": 1}, (1,)])


def test_what_is_no_row_is_refused() -> None:
    with pytest.raises(RowEncodingError, match="a str is not a row"):
        RowPacker(COLUMNS).pack(["x"])
    with pytest.raises(ConfigError):
        RowPacker(())


def test_sound_rows_are_told_from_the_others() -> None:
    rows: list[Any] = [{"id": n, "name": str(n)} for n in range(1000)]
    rows[0] = {"id": "x", "name": ""}
    rows[500] = {"id": 1, "name": 5}
    rows[999] = {"idd": 1}
    packed = RowPacker(COLUMNS).pack_sound(rows)
    assert [position for position, _ in packed.rejected] == [0, 500, 999]
    assert [error.row for _, error in packed.rejected] == [0, 500, 999]
    assert packed.batch.column(0).to_pylist() == [n for n in range(1000) if n not in (0, 500, 999)]


def test_nothing_sound_makes_an_empty_batch() -> None:
    packed = RowPacker(COLUMNS).pack_sound([{"id": "x", "name": ""}] * 3)
    assert packed.batch.num_rows == 0
    assert len(packed.rejected) == 3


def test_an_arrow_batch_is_made_to_fit_without_loss() -> None:
    batch = pa.record_batch(
        [pa.array(["a", None], pa.large_string()), pa.array([1, 2], pa.int64())],
        names=["name", "id"],
    )
    assert to_dicts(RowPacker(COLUMNS).conform(batch)) == EXPECTED
    table = pa.Table.from_batches([batch, batch])
    assert RowPacker(COLUMNS).conform(table).num_rows == 4
    assert RowPacker(COLUMNS).conform(table.slice(0, 0)).num_rows == 0
    assert RowPacker(COLUMNS).conform(batch.select(["id"])).column(1).null_count == 2


@pytest.mark.parametrize(
    ("array", "type_text", "reason"),
    [
        (pa.array([2**40]), "INT", "out of the range of INT"),
        (pa.array([1.5]), "INT", "takes Arrow type int32, not double"),
        (pa.array(["1"]), "INT", "takes Arrow type int32, not string"),
        (pa.array([ZONED]), "DATETIME", "has a time zone"),
        (pa.array([Decimal("1.005")]), "DECIMAL(10, 2)", "cannot hold exactly"),
        (pa.array([None], pa.int32()), "INT NOT NULL", "NOT NULL"),
    ],
)
def test_an_arrow_column_that_does_not_fit_is_refused(
    array: pa.Array, type_text: str, reason: str
) -> None:
    nullable = not type_text.endswith("NOT NULL")
    columns = _column(type_text.removesuffix(" NOT NULL"), nullable=nullable)
    with pytest.raises(RowEncodingError, match=reason):
        RowPacker(columns).conform(pa.record_batch([array], names=["c"]))


def test_columns_are_inferred_from_rows() -> None:
    rows = [{"a": 1, "b": "x"}, {"b": None, "c": [1.5], "d": 2**100}]
    inferred = {column.name: column.type.sql() for column in infer_columns(rows)}
    assert inferred == {"a": "BIGINT", "b": "STRING", "c": "ARRAY<DOUBLE>", "d": "LARGEINT"}
    with pytest.raises(RowEncodingError, match="'a': has values without a common type"):
        infer_columns([{"a": 1}, {"a": "x"}])
