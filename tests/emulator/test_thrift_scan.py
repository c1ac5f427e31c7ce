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
"""A planned scan of real tablets: what the plan pins, what each backend serves (P 5.3, P 12)."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pymysql
import pytest
from thriftpy2.protocol import TBinaryProtocol
from thriftpy2.thrift import TClient
from thriftpy2.transport import TBufferedTransport, TSocket

from beam_doris.emulator import Emulator
from beam_doris.emulator.profile import ArrowForms
from beam_doris.emulator.thrift_server import interface

ROWS = 500


def sql(emulator: Emulator, statement: str) -> None:
    connection = pymysql.connect(
        host="127.0.0.1", port=emulator.fe_mysql[1], user="root", autocommit=True, read_timeout=30
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(scope="module")
def table(emulator: Emulator) -> str:
    sql(emulator, "CREATE DATABASE scans")
    sql(
        emulator,
        "CREATE TABLE scans.t (k INT, big LARGEINT, day DATE) UNIQUE KEY(k) "
        'DISTRIBUTED BY HASH(k) BUCKETS 7 PROPERTIES ("replication_num" = "1")',
    )
    values = ", ".join(f"({n}, '{10**30 + n}', '2024-01-01')" for n in range(ROWS))
    sql(emulator, f"INSERT INTO scans.t VALUES {values}")
    return "t"


class Plan:
    """What `_query_plan` answers."""

    def __init__(self, emulator: Emulator, table: str, statement: str) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{emulator.fe_http[1]}/api/scans/{table}/_query_plan",
            data=json.dumps({"sql": statement}).encode(),
            headers={"Authorization": "Basic cm9vdDo=", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            data = json.load(reply)["data"]
        assert data["status"] == 200, data
        self.opaque: str = data["opaqued_query_plan"]
        self.tablets: dict[int, list[int]] = {}
        for tablet, place in data["partitions"].items():
            port = int(place["routings"][0].rsplit(":", 1)[1])
            self.tablets.setdefault(port, []).append(int(tablet))


@contextmanager
def scanner(port: int) -> Iterator[Any]:
    transport = TBufferedTransport(TSocket("127.0.0.1", port, socket_timeout=30_000))
    transport.open()
    try:
        yield TClient(interface().TDorisExternalService, TBinaryProtocol(transport))
    finally:
        transport.close()


def open_scan(client: Any, plan: str, tablets: list[int], batch_size: int = 64) -> Any:
    return client.open_scanner(
        interface().TScanOpenParams(
            cluster="default_cluster",
            database="scans",
            table="t",
            tablet_ids=tablets,
            opaqued_query_plan=plan,
            batch_size=batch_size,
        )
    )


def read(client: Any, opened: Any) -> list[pa.RecordBatch]:
    assert opened.status.status_code == 0, opened.status
    found: list[pa.RecordBatch] = []
    offset = 0
    while True:
        params = interface().TScanNextBatchParams(context_id=opened.context_id, offset=offset)
        answer = client.get_next(params)
        assert answer.status.status_code == 0, answer.status
        if answer.eos:
            return found
        with pa.ipc.open_stream(answer.rows) as reader:
            (batch,) = list(reader)
        assert batch.schema.names == [column.name for column in opened.selected_columns]
        offset += batch.num_rows
        found.append(batch)


def scan(plan: Plan) -> list[pa.RecordBatch]:
    found = []
    for port, tablets in plan.tablets.items():
        with scanner(port) as client:
            found += read(client, open_scan(client, plan.opaque, tablets))
    return found


def keys(batches: list[pa.RecordBatch]) -> list[int]:
    return [value for batch in batches for value in batch.column("k").to_pylist()]


def test_the_tablets_of_a_plan_hold_every_row_once(emulator: Emulator, table: str) -> None:
    plan = Plan(emulator, table, "select k, big, day from scans.t")
    assert len(plan.tablets) == 3
    batches = scan(plan)
    assert max(batch.num_rows for batch in batches) <= 64
    assert len({batch.num_rows for batch in batches}) > 3
    assert sorted(keys(batches)) == list(range(ROWS))
    assert keys(batches) != sorted(keys(batches))
    one = batches[0].to_pylist()[0] if batches[0].num_rows else batches[1].to_pylist()[0]
    assert one["big"] == str(10**30 + one["k"])


def column_orders(emulator: Emulator, table: str) -> set[tuple[str, ...]]:
    plan = Plan(emulator, table, "select day, k, big from scans.t")
    port, tablets = next(iter(plan.tablets.items()))
    with scanner(port) as client:
        return {
            tuple(one.name for one in open_scan(client, plan.opaque, tablets).selected_columns)
            for _ in range(20)
        }


def test_the_columns_stand_in_the_order_of_the_select(emulator: Emulator, table: str) -> None:
    """The Java connector reads them by position."""
    assert column_orders(emulator, table) == {("day", "k", "big")}


def test_a_profile_can_ask_for_columns_in_no_fixed_order(
    emulator: Emulator, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shuffled = replace(emulator.engine.profile, arrow=ArrowForms(scan_columns_shuffled=True))
    monkeypatch.setattr(emulator.engine, "profile", shuffled)
    orders = column_orders(emulator, table)
    assert len(orders) > 1
    assert all(set(order) == {"k", "big", "day"} for order in orders)


def test_the_filter_of_the_plan_is_applied(emulator: Emulator, table: str) -> None:
    plan = Plan(
        emulator, table, "select k from scans.t where (`k` >= 490) and (day > '2023-01-01')"
    )
    assert sorted(keys(scan(plan))) == list(range(490, ROWS))


def test_a_plan_pins_the_versions_it_was_made_at(emulator: Emulator, table: str) -> None:
    plan = Plan(emulator, table, "select k from scans.t where k >= 0")
    sql(emulator, "INSERT INTO scans.t VALUES (100000, '1', '2024-01-01'), (1, '7', '2024-01-01')")
    sql(emulator, "DELETE FROM scans.t WHERE k = 2")
    assert sorted(keys(scan(plan))) == list(range(ROWS))
    later = sorted(keys(scan(Plan(emulator, table, "select k from scans.t"))))
    assert later == [0, 1, *range(3, ROWS), 100000]
    sql(emulator, "DELETE FROM scans.t WHERE k = 100000")
    sql(emulator, f"INSERT INTO scans.t VALUES (2, '{10**30 + 2}', '2024-01-01')")


def test_a_compacted_version_is_gone(emulator: Emulator, table: str) -> None:
    plan = Plan(emulator, table, "select k from scans.t")
    sql(emulator, "INSERT INTO scans.t VALUES (1, '8', '2024-01-01')")
    emulator.engine.storage.compact(emulator.engine.catalog.table("scans", "t"))
    port, tablets = next(iter(plan.tablets.items()))
    with scanner(port) as client:
        opened = open_scan(client, plan.opaque, tablets)
        params = interface().TScanNextBatchParams(context_id=opened.context_id, offset=0)
        status = client.get_next(params).status
    assert status.status_code == 45
    assert "-230" in status.error_msgs[0]


def test_a_tablet_of_another_backend_is_not_found(emulator: Emulator, table: str) -> None:
    plan = Plan(emulator, table, "select k from scans.t")
    (_, tablets), (other, _), *_ = plan.tablets.items()
    with scanner(other) as client:
        status = open_scan(client, plan.opaque, tablets[:1]).status
    assert status.status_code == 31
    assert status.error_msgs == [f"tablet_id: {tablets[0]} not found"]


def test_a_tablet_outside_the_plan_is_not_found(emulator: Emulator, table: str) -> None:
    plan = Plan(emulator, table, "select k from scans.t where k = 5")
    every = Plan(emulator, table, "select k from scans.t")
    planned = {tablet for tablets in plan.tablets.values() for tablet in tablets}
    port, other = next(
        (port, tablet)
        for port, tablets in every.tablets.items()
        for tablet in tablets
        if tablet not in planned
    )
    with scanner(port) as client:
        assert open_scan(client, plan.opaque, [other]).status.status_code == 31


@pytest.mark.parametrize("spoil", ["cut", "not base64", "other bytes"])
def test_a_spoiled_plan_is_an_invalid_argument(emulator: Emulator, table: str, spoil: str) -> None:
    plan = Plan(emulator, table, "select k from scans.t")
    opaque = {
        "cut": plan.opaque[: len(plan.opaque) // 2],
        "not base64": "!" + plan.opaque,
        "other bytes": base64.b64encode(b"something else").decode(),
    }[spoil]
    port, tablets = next(iter(plan.tablets.items()))
    with scanner(port) as client:
        status = open_scan(client, opaque, tablets).status
    assert status.status_code == 33
    assert status.error_msgs[0].startswith("query_plan_info: ")


def test_a_scan_of_nothing_ends_on_the_first_call(emulator: Emulator, table: str) -> None:
    plan = Plan(emulator, table, "select k from scans.t where day > '2030-01-01'")
    port, tablets = next(iter(plan.tablets.items()))
    with scanner(port) as client:
        assert read(client, open_scan(client, plan.opaque, tablets)) == []
