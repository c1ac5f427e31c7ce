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
"""Typed conditions mean on the server what they mean in Python: 10,000 random ones."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from beam_doris.client.contracts import ScanOptions
from beam_doris.client.flight import FlightSession
from beam_doris.client.query_plan import choose_backends
from beam_doris.client.scanner import ThriftScanner
from beam_doris.emulator import Emulator
from beam_doris.options.table_id import quote
from beam_doris.schema.expression_check import condition_problems
from beam_doris.schema.expressions import Condition
from beam_doris.schema.filters import filter_sql
from tests.integration.client_tables import Bench, bench_on
from tests.predicates import TYPES, Row, random_condition, random_rows, truth

CONDITIONS = int(os.environ.get("BEAM_DORIS_CONDITIONS", "10000"))
SCANS = 120
PER_QUERY = 250
ROWS = 24
SEED = 20


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return random_rows(random.Random(SEED), ROWS)


@pytest.fixture(scope="module")
def table(emulator: Emulator, rows: list[dict[str, Any]]) -> Iterator[Bench]:
    columns = ", ".join(f"{quote(name)} {kind}" for name, kind in TYPES.items())
    bench = bench_on(emulator, columns, buckets=3)
    marks = ", ".join(["%s"] * len(TYPES))
    sql = f"INSERT INTO {bench.table.sql()} VALUES " + ", ".join([f"({marks})"] * len(rows))
    bench.sql.execute(sql, [_parameter(value) for row in rows for value in row.values()])
    yield bench
    bench.close()


def _parameter(value: Any) -> Any:
    return str(value) if type(value).__module__ == "ipaddress" else value


def _evaluated(
    session: FlightSession, table: Bench, conditions: Sequence[Condition]
) -> list[dict[int, bool | None]]:
    """What the server says of each condition for each row, all in one query."""
    selected = ", ".join(f"{filter_sql(each)} AS c{n}" for n, each in enumerate(conditions))
    said: list[dict[int, bool | None]] = [{} for _ in conditions]
    for batch in session.query(f"SELECT id, {selected} FROM {table.table.sql()}"):
        ids = batch.column(0).to_pylist()
        for number, answers in enumerate(said):
            answers.update(zip(ids, batch.column(number + 1).to_pylist(), strict=True))
    return said


def test_the_server_agrees_with_python_on_random_conditions(
    table: Bench, rows: list[dict[str, Any]]
) -> None:
    chance = random.Random(SEED + 1)
    seen: set[bool | None] = set()
    with FlightSession(table.connection) as session:
        for start in range(0, CONDITIONS, PER_QUERY):
            count = min(PER_QUERY, CONDITIONS - start)
            # one in ten is deep, so that all of them together take seconds, not minutes
            conditions = [random_condition(chance, 4 if n % 10 == 0 else 1) for n in range(count)]
            for condition, said in zip(
                conditions, _evaluated(session, table, conditions), strict=True
            ):
                expected = {row["id"]: truth(condition, row) for row in rows}
                assert said == expected, repr(condition)
                seen.update(expected.values())
    assert seen == {True, False, None}


def test_scans_take_exactly_the_rows_of_which_a_condition_is_true(
    table: Bench, rows: list[dict[str, Any]]
) -> None:
    chance = random.Random(SEED + 2)
    scanner = ThriftScanner(table.connection)
    schema = table.frontend.schema(table.table)
    for _ in range(SCANS):
        condition = random_condition(chance)
        assert condition_problems(condition, schema) == ()
        plan = table.frontend.plan(table.table, ("id",), filter_sql(condition))
        found: list[int] = []
        for group in choose_backends(plan, tablets_per_group=3):
            for batch in scanner.scan(group, table.table, plan.opaque, ScanOptions()):
                found += batch.column(0).to_pylist()
        assert sorted(found) == _true_of(condition, rows), repr(condition)


def _true_of(condition: Condition, rows: Sequence[Row]) -> list[int]:
    return [row["id"] for row in rows if truth(condition, row)]
