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
"""Every type over both read ports, by server generation (P 5.5)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from beam_doris.emulator import PROFILES, Emulator
from tests.emulator.test_flight_sql import Client
from tests.emulator.test_thrift_scan import Plan, open_scan, read, scanner

COLUMNS = {
    "k": ("INT", "1"),
    "big": ("LARGEINT", "'-170141183460469231731687303715884105728'"),
    "day": ("DATE", "'2024-02-29'"),
    "moment": ("DATETIME(3)", "'9999-12-31 23:59:59.999'"),
    "v4": ("IPV4", "'255.255.255.255'"),
    "v6": ("IPV6", "'::ffff:1.2.3.4'"),
    "doc": ("JSON", """'{"a":1}'"""),
    "free": ("VARIANT", """'{"b":[1,2]}'"""),
    "bigs": ("ARRAY<LARGEINT>", "[1, NULL]"),
    "sixes": ("ARRAY<IPV6>", "['::1']"),
    "times": ("MAP<STRING, DATETIME(6)>", "{'a': '2024-01-01 00:00:00.123456'}"),
    "both": ("STRUCT<a: INT, b: ARRAY<DECIMAL(5, 2)>>", "{1, [1.25, NULL]}"),
    "word": ("CHAR(5)", "'ab'"),
    "small": ("FLOAT", "1.5"),
    "deep": ("MAP<INT, STRUCT<x: LARGEINT>>", "{1: {'5'}}"),
}
WIDE = {"wide": ("DECIMAL(50, 3)", "'" + "9" * 47 + ".125'")}


@pytest.fixture(scope="module", params=sorted(PROFILES))
def cluster(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """One table of every type; a row of values and a row of NULLs."""
    columns = {**COLUMNS, **WIDE}
    with Emulator(backends=2, profile=request.param, seed=3) as emulator:
        client = Client(emulator)
        client.run("CREATE DATABASE scans")
        definition = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
        client.run(
            f"CREATE TABLE scans.t ({definition}) DUPLICATE KEY(k) "
            'DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES ("replication_num" = "1")'
        )
        values = ", ".join(value for _, value in columns.values())
        nulls = ", ".join(["2", *["NULL"] * (len(columns) - 1)])
        client.run(f"INSERT INTO scans.t VALUES ({values}), ({nulls})")
        client.close()
        yield emulator


def readable(emulator: Emulator) -> str:
    wide = emulator.profile.arrow.sends_decimal256
    return ", ".join(COLUMNS if not wide else {**COLUMNS, **WIDE})


def by_key(table: pa.Table) -> dict[int, dict[str, Any]]:
    return {row["k"]: row for row in table.to_pylist()}


def flight_table(emulator: Emulator, columns: str) -> pa.Table:
    client = Client(emulator)
    try:
        return client.run(f"SELECT {columns} FROM scans.t")
    finally:
        client.close()


def test_both_ports_send_the_same(cluster: Emulator) -> None:
    columns = readable(cluster)
    over_flight = flight_table(cluster, columns)
    plan = Plan(cluster, "t", f"select {columns} from scans.t")
    batches = []
    for port, tablets in plan.tablets.items():
        with scanner(port) as client:
            batches += read(client, open_scan(client, plan.opaque, tablets))
    names = over_flight.column_names
    over_thrift = pa.concat_tables(
        [pa.Table.from_batches([batch]).select(names) for batch in batches]
    )
    assert over_thrift.schema.equals(over_flight.schema, check_metadata=True)
    assert by_key(over_thrift) == by_key(over_flight)
    assert set(by_key(over_flight)) == {1, 2}
    assert set(by_key(over_flight)[2].values()) == {2, None}


def test_old_servers_refuse_what_they_cannot_send(cluster: Emulator) -> None:
    if cluster.profile.arrow.sends_decimal256:
        assert flight_table(cluster, "k, wide").num_rows == 2
        return
    with pytest.raises(pa.flight.FlightInternalError, match="Not support serialize type"):
        flight_table(cluster, "wide")
    plan = Plan(cluster, "t", "select wide from scans.t")
    port, tablets = next(iter(plan.tablets.items()))
    with scanner(port) as client:
        status = open_scan(client, plan.opaque, tablets).status
    assert status.status_code == 6


def test_zoned_timestamps_follow_the_session() -> None:
    with Emulator(profile="3.0") as emulator:
        client = Client(emulator)
        client.run("SET time_zone = 'Asia/Shanghai'")
        table = client.run("SELECT CAST('2024-07-19 12:00:00' AS DATETIME) AS m")
        client.close()
    assert table.schema.field("m").type == pa.timestamp("s", "Asia/Shanghai")
    assert table["m"][0].as_py().replace(tzinfo=None) == datetime(2024, 7, 19, 12)
    assert table["m"].cast(pa.int64())[0].as_py() == 1721361600
