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
"""The scan port: statuses, offsets, ends, expiry and faults (P 5.3, P 5.4)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest
from thriftpy2.protocol import TBinaryProtocol
from thriftpy2.thrift import TApplicationException, TClient
from thriftpy2.transport import TBufferedTransport, TSocket, TTransportException

from beam_doris.emulator.clock import ManualClock
from beam_doris.emulator.faults import FaultPlan, Rule
from beam_doris.emulator.scan.contexts import RunningScan, ScanContexts, ScanError, ScanRequest
from beam_doris.emulator.thrift_server import ThriftServer, interface
from beam_doris.emulator.types import parse_type
from beam_doris.emulator.wire_arrow import WireColumn


class FakeSource:
    """Hands out ten rows in batches of four."""

    def __init__(self) -> None:
        self.requests: list[ScanRequest] = []
        self.closed = 0

    def open(self, request: ScanRequest) -> RunningScan:
        if request.opaque == "bad":
            raise ScanError(33, "query_plan_info: bad deserialize error")
        self.requests.append(request)
        batch = pa.record_batch([pa.array(range(10), pa.int32())], names=["k"])
        return RunningScan(
            columns=(WireColumn(name="k", type=parse_type("INT")),),
            batches=iter([batch.slice(0, 4), batch.slice(4, 4), batch.slice(8)]),
            close=self.count_close,
        )

    def count_close(self) -> None:
        self.closed += 1


class Rig:
    """A running server and what it is made of."""

    def __init__(self) -> None:
        self.source = FakeSource()
        self.clock = ManualClock()
        self.faults = FaultPlan()
        self.contexts = ScanContexts(self.source, self.clock.now)
        self.server = ThriftServer(self.contexts, self.faults)
        self.server.start()

    @contextmanager
    def client(self) -> Iterator[Any]:
        plain = TSocket("127.0.0.1", self.server.port, socket_timeout=10_000)
        transport = TBufferedTransport(plain)
        transport.open()
        try:
            service = interface().TDorisExternalService
            yield TClient(service, TBinaryProtocol(transport))
        finally:
            transport.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    try:
        yield made
    finally:
        made.server.stop()


def open_params(**more: Any) -> Any:
    values = {
        "cluster": "default_cluster",
        "database": "d",
        "table": "t",
        "tablet_ids": [1, 2],
        "opaqued_query_plan": "plan",
        "batch_size": 4064,
    }
    return interface().TScanOpenParams(**{**values, **more})


def next_params(context_id: str, offset: int) -> Any:
    return interface().TScanNextBatchParams(context_id=context_id, offset=offset)


def close_params(context_id: str) -> Any:
    return interface().TScanCloseParams(context_id=context_id)


def test_a_scan_hands_out_whole_streams_and_ends_without_rows(rig: Rig) -> None:
    with rig.client() as client:
        opened = client.open_scanner(open_params())
        assert opened.status.status_code == 0
        assert [(one.name, one.type) for one in opened.selected_columns] == [("k", 5)]
        rows: list[int] = []
        while True:
            answer = client.get_next(next_params(opened.context_id, len(rows)))
            assert answer.status.status_code == 0
            if answer.eos:
                assert answer.rows is None
                break
            with pa.ipc.open_stream(answer.rows) as reader:
                batches = list(reader)
            assert len(batches) == 1
            rows += batches[0].column(0).to_pylist()
        assert rows == list(range(10))
        assert rig.source.requests[0].tablets == (1, 2)


def test_a_repeated_offset_is_refused(rig: Rig) -> None:
    with rig.client() as client:
        context_id = client.open_scanner(open_params()).context_id
        client.get_next(next_params(context_id, 0))
        again = client.get_next(next_params(context_id, 0))
    assert again.status.status_code == 31
    assert again.status.error_msgs == [f"context_id={context_id}, send_offset=0, context_offset=4"]


def test_an_unknown_context_is_not_found_but_closes_well(rig: Rig) -> None:
    with rig.client() as client:
        answer = client.get_next(next_params("none", 0))
        closed = client.close_scanner(close_params("none"))
    assert answer.status.status_code == 31
    assert answer.status.error_msgs == ["context_id: none not found"]
    assert closed.status.status_code == 0


def test_a_bad_plan_is_an_invalid_argument(rig: Rig) -> None:
    with rig.client() as client:
        answer = client.open_scanner(open_params(opaqued_query_plan="bad"))
    assert answer.status.status_code == 33
    assert answer.context_id is None


def test_closing_ends_the_scan(rig: Rig) -> None:
    with rig.client() as client:
        context_id = client.open_scanner(open_params()).context_id
        client.close_scanner(close_params(context_id))
        assert rig.source.closed == 1
        assert client.get_next(next_params(context_id, 0)).status.status_code == 31


def test_an_idle_context_expires_and_a_used_one_lives(rig: Rig) -> None:
    with rig.client() as client:
        context_id = client.open_scanner(open_params(keep_alive_min=2)).context_id
        rig.clock.advance(100)
        assert client.get_next(next_params(context_id, 0)).status.status_code == 0
        rig.clock.advance(100)
        assert client.get_next(next_params(context_id, 4)).status.status_code == 0
        rig.clock.advance(121)
        assert client.get_next(next_params(context_id, 8)).status.status_code == 31
    assert rig.source.closed == 1


def test_batch_size_is_capped(rig: Rig) -> None:
    with rig.client() as client:
        client.open_scanner(open_params(batch_size=1_000_000))
    assert rig.source.requests[0].batch_rows == 65535


def test_an_injected_status_reaches_the_client_once(rig: Rig) -> None:
    rig.faults.add(
        Rule(point="scan.open", action="status", count=1, args={"code": 6, "message": "busy"})
    )
    with rig.client() as client:
        first = client.open_scanner(open_params())
        second = client.open_scanner(open_params())
    assert (first.status.status_code, first.status.error_msgs) == (6, ["busy"])
    assert second.status.status_code == 0


@pytest.mark.parametrize(
    ("action", "offset"), [("reset", 0), ("reset_after", 4), ("half_response", 4)]
)
def test_a_lost_reply_may_or_may_not_have_moved_the_offset(
    rig: Rig, action: str, offset: int
) -> None:
    with rig.client() as client:
        context_id = client.open_scanner(open_params()).context_id
        rig.faults.add(Rule(point="scan.next", action=action, count=1))
        with pytest.raises((TTransportException, OSError, EOFError)):
            client.get_next(next_params(context_id, 0))
    with rig.client() as client:
        assert client.get_next(next_params(context_id, offset)).status.status_code == 0


def test_an_unknown_method_leaves_the_connection_usable(rig: Rig) -> None:
    with rig.client() as client:
        client._oprot.write_message_begin("submit_tasks", 1, 0)
        client._oprot.write_struct(next_params("x", 0))
        client._oprot.write_message_end()
        client._oprot.trans.flush()
        name, kind, _ = client._iprot.read_message_begin()
        problem = TApplicationException()
        problem.read(client._iprot)
        client._iprot.read_message_end()
        assert (name, kind) == ("submit_tasks", 3)
        assert client.get_next(next_params("none", 0)).status.status_code == 31


def test_garbage_ends_the_connection_only(rig: Rig) -> None:
    with socket.create_connection(("127.0.0.1", rig.server.port), timeout=10) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(100) in (b"",)
    with rig.client() as client:
        assert client.open_scanner(open_params()).status.status_code == 0


def test_stop_ends_open_connections_and_scans(rig: Rig) -> None:
    with rig.client() as client:
        client.open_scanner(open_params())
        rig.server.stop()
        assert rig.source.closed == 1
        with pytest.raises((TTransportException, OSError, EOFError)):
            client.open_scanner(open_params())
