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
"""The scanner against a backend in memory, and the small parts of Flight SQL and error logs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.flight as pf
import pytest
from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.thrift import TProcessor
from thriftpy2.transport import TMemoryBuffer

from beam_doris.client.byte_stream import Bytes, ConnectionLost
from beam_doris.client.contracts import FlightOptions, ScanOptions, TabletGroup
from beam_doris.client.deadline import Deadline
from beam_doris.client.flight_errors import flight_errors
from beam_doris.client.flight_sql import endpoint_node, statement_query, tablet_query
from beam_doris.client.rejected_rows import parse_error_log
from beam_doris.client.scanner import ThriftScanner
from beam_doris.client.thrift_transport import idl
from beam_doris.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    DorisError,
    NotFoundError,
    ProtocolError,
    QueryError,
    ServerBusy,
    SnapshotExpiredError,
    TransientError,
)
from beam_doris.options.connection import DorisConnection, Node
from beam_doris.options.table_id import TableId
from tests.unit.scripted_peers import FakeClock

TABLE = TableId("test", "student")
GROUP = TabletGroup(backend="be:9060", tablets=(3, 7))
CONNECTION = DorisConnection(
    fenodes="fe:8030", username="root", password="pw", host_map={"10.0.0.1": "be"}
)


def batch(*values: int) -> bytes:
    made = pa.record_batch({"id": pa.array(values, pa.int32())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_batch(made)
    return bytes(sink.getvalue())


class Backend:
    """The scan service, and a connector to it over memory."""

    def __init__(self, *batches: bytes | None) -> None:
        self.batches = list(batches)
        self.opened: Any = None
        self.offsets: list[int] = []
        self.closed: list[str] = []
        self.status: dict[str, Any] = {}
        self.lose: set[str] = set()
        self.hang: set[str] = set()
        self.streams = 0
        self.clock = FakeClock()

    def _status(self, method: str) -> Any:
        return self.status.get(method) or idl().TStatus(status_code=0)

    def open_scanner(self, params: Any) -> Any:
        self.opened = params
        return idl().TScanOpenResult(status=self._status("open_scanner"), context_id="ctx")

    def get_next(self, params: Any) -> Any:
        self.offsets.append(params.offset)
        if not self.batches:
            return idl().TScanBatchResult(status=self._status("get_next"), eos=True)
        return idl().TScanBatchResult(
            status=self._status("get_next"), eos=False, rows=self.batches.pop(0)
        )

    def close_scanner(self, params: Any) -> Any:
        self.closed.append(params.context_id)
        return idl().TScanCloseResult(status=self._status("close_scanner"))

    def __call__(
        self, node: Node, *, tls: bool, timeout: float, deadline: Deadline
    ) -> MemoryStream:
        assert str(node) == "be:9060"
        self.streams += 1
        return MemoryStream(self)

    def scanner(self) -> ThriftScanner:
        return ThriftScanner(CONNECTION, transport=self, clock=self.clock)


class MemoryStream:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._answer = b""
        self._hangs = False

    def send(self, data: Bytes, deadline: Deadline) -> None:
        method = next(
            name
            for name in ("open_scanner", "get_next", "close_scanner")
            if name.encode() in bytes(data)
        )
        into, out = TMemoryBuffer(bytes(data)), TMemoryBuffer()
        processor = TProcessor(idl().TDorisExternalService, self._backend)
        processor.process(TBinaryProtocol(into), TBinaryProtocol(out))
        self._hangs = method in self._backend.hang
        self._answer = b"" if method in self._backend.lose or self._hangs else out.getvalue()

    def receive(self, limit: int, deadline: Deadline) -> bytes:
        if self._hangs:
            self._backend.clock.now += deadline.remaining()
            raise DeadlineExceeded("waiting")
        data, self._answer = self._answer[: min(limit, 7)], self._answer[min(limit, 7) :]
        return data

    def readable(self, seconds: float) -> bool:
        return bool(self._answer)

    def close(self) -> None:
        self._backend.streams -= 1


def read(backend: Backend, **options: Any) -> list[int]:
    found = backend.scanner().scan(GROUP, TABLE, "plan", ScanOptions(**options))
    return [value for each in found for value in each.column(0).to_pylist()]


def test_a_scan_counts_its_offset_and_ends_closed() -> None:
    backend = Backend(batch(1, 2, 3), batch(), batch(4))
    assert read(backend, batch_rows=100, keep_alive=timedelta(minutes=7)) == [1, 2, 3, 4]
    assert backend.offsets == [0, 3, 3, 4]
    assert backend.closed == ["ctx"]
    assert backend.streams == 0
    opened = backend.opened
    assert (opened.tablet_ids, opened.opaqued_query_plan) == ([3, 7], "plan")
    assert (opened.cluster, opened.database, opened.table) == ("default_cluster", "test", "student")
    assert (opened.batch_size, opened.keep_alive_min, opened.mem_limit) == (100, 7, 8 << 30)
    assert opened.query_timeout == 21601


def test_a_batch_too_large_for_a_buffer_comes_whole() -> None:
    backend = Backend(batch(*range(40_000)), batch(1))
    assert read(backend) == [*range(40_000), 1]


def test_a_large_batch_cut_short_is_a_lost_answer() -> None:
    class Cut(MemoryStream):
        def send(self, data: Bytes, deadline: Deadline) -> None:
            super().send(data, deadline)
            self._answer = self._answer[:140_000]

    class CutBackend(Backend):
        def __call__(
            self, node: Node, *, tls: bool, timeout: float, deadline: Deadline
        ) -> MemoryStream:
            self.streams += 1
            return Cut(self)

    with pytest.raises(ConnectionLost):
        read(CutBackend(batch(*range(40_000))))


def test_an_empty_scan() -> None:
    backend = Backend()
    assert read(backend) == []
    assert backend.closed == ["ctx"]


def test_a_scan_given_up_early_is_closed() -> None:
    backend = Backend(batch(1), batch(2))
    rows = backend.scanner().scan(GROUP, TABLE, "plan")
    assert next(iter(rows)).num_rows == 1
    rows.close()  # type: ignore[attr-defined]
    assert backend.closed == ["ctx"]
    assert backend.streams == 0


def test_another_replica_is_reached_through_the_host_map() -> None:
    backend = Backend(batch(1))
    rows = list(backend.scanner().scan(GROUP, TABLE, "plan", backend="10.0.0.1:9060"))
    assert len(rows) == 1


def test_a_lost_answer_is_never_asked_for_again_and_the_context_is_closed() -> None:
    backend = Backend(batch(1), batch(2))
    rows = backend.scanner().scan(GROUP, TABLE, "plan")
    next(iter(rows))
    backend.lose.add("get_next")
    with pytest.raises(ConnectionLost) as caught:
        next(iter(rows))
    assert backend.offsets == [0, 1]
    assert backend.closed == ["ctx"]
    assert backend.streams == 0
    assert caught.value.table == "test.student"


def test_a_hang_ends_at_the_deadline() -> None:
    backend = Backend(batch(1))
    backend.hang |= {"get_next", "close_scanner"}
    started = backend.clock.now
    with pytest.raises(DeadlineExceeded):
        read(backend, query_timeout=timedelta(seconds=30))
    assert backend.clock.now - started <= 31
    assert backend.streams == 0


@pytest.mark.parametrize(
    ("code", "messages", "kind"),
    [
        (31, ["context_id: ctx not found"], TransientError),
        (31, ["context_id=ctx, send_offset=0, context_offset=3"], TransientError),
        (33, ["query_plan_info: x validate error, should not be modified"], QueryError),
        (31, ["tablet_id: 7 not found"], NotFoundError),
        (45, ["version already merged"], SnapshotExpiredError),
        (
            6,
            ["failed to initialize storage reader, err=[E-230]version already merged"],
            SnapshotExpiredError,
        ),
        (5, ["memory"], ServerBusy),
        (777, [], QueryError),
        (6, ["boom"], QueryError),
    ],
)
@pytest.mark.parametrize("method", ["open_scanner", "get_next"])
def test_every_other_status_is_an_error(
    method: str, code: int, messages: list[str], kind: type[DorisError]
) -> None:
    backend = Backend(batch(1))
    backend.status[method] = idl().TStatus(status_code=code, error_msgs=messages)
    with pytest.raises(kind) as caught:
        read(backend)
    assert type(caught.value) is kind
    assert caught.value.host == "be:9060"
    assert backend.streams == 0


@pytest.mark.parametrize("rows", [None, b"", b"not arrow", batch(1)[:40]])
def test_a_batch_that_cannot_be_read_is_a_protocol_error(rows: bytes | None) -> None:
    backend = Backend(rows)
    with pytest.raises(ProtocolError):
        read(backend)
    assert backend.closed == ["ctx"]


def test_options_out_of_range_are_refused_together() -> None:
    with pytest.raises(ConfigError) as caught:
        ScanOptions(batch_rows=0, memory_limit=0, keep_alive=timedelta(seconds=1))
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError):
        FlightOptions(max_parallel=0)


# ---------------------------------------------------------------------------------- flight


def test_the_command_is_the_protobuf_that_flight_sql_defines() -> None:
    url = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    sql = "SELECT " + "x" * 200
    inner = b"\x0a\xcf\x01" + sql.encode()
    assert statement_query(sql) == b"\x0a\x43" + url + b"\x12\xd2\x01" + inner


def test_the_statement_of_a_split() -> None:
    assert (
        tablet_query(TABLE, ["id", "a`b"], [9, 3], "x = 1 OR y = 2 -- c", 5)
        == "SELECT `id`, `a``b` FROM `test`.`student` TABLET(3,9) WHERE (x = 1 OR y = 2 -- c\n) LIMIT 5"
    )
    outside = TableId("d", "t", "hive")
    assert tablet_query(outside, []) == "SELECT * FROM `hive`.`d`.`t`"
    with pytest.raises(ConfigError):
        tablet_query(outside, [], [1])


@pytest.mark.parametrize(
    ("location", "node"),
    [
        ("grpc+tcp://10.0.0.1:8050", Node("be", 8050)),
        ("grpc://x:1", Node("x", 1)),
        ("grpc+tcp://0.0.0.0:8050", Node("fe", 8050)),
        ("grpc+tcp://[::]:8050", Node("fe", 8050)),
        ("grpc+tcp://fe:8070", None),
        ("arrow-flight-reuse-connection://?", None),
    ],
)
def test_locations_are_rewritten(location: str, node: Node | None) -> None:
    assert endpoint_node(location, Node("fe", 8070), CONNECTION) == node


@pytest.mark.parametrize("location", ["", "grpc+tcp://x", "http://x:1", "grpc+tcp://x:port"])
def test_a_location_that_cannot_be_read_is_a_protocol_error(location: str) -> None:
    with pytest.raises(ProtocolError):
        endpoint_node(location, Node("fe", 8070), CONNECTION)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (lambda: pf.FlightUnauthenticatedError("invalid bearer token: x"), AuthError),
        (lambda: pf.FlightUnavailableError("failed to connect"), ConnectError),
        (lambda: pf.FlightTimedOutError("Deadline Exceeded"), DeadlineExceeded),
        (lambda: pf.FlightInternalError("Unknown table 'x'"), NotFoundError),
        (lambda: pa.ArrowInvalid("errCode = 2, detailMessage = mismatched input"), QueryError),
        (lambda: pf.FlightInternalError("gRPC returned RESOURCE_EXHAUSTED"), ServerBusy),
        (lambda: pf.FlightInternalError("Connection reset by peer"), ConnectionLost),
    ],
)
def test_flights_errors_are_mapped(raised: Callable[[], Exception], kind: type[DorisError]) -> None:
    with pytest.raises(kind) as caught, flight_errors(Node("fe", 1), "query"):
        raise raised()
    assert type(caught.value) is kind


# -------------------------------------------------------------------------------- error log


def test_reasons_come_without_rows_unless_asked_for() -> None:
    text = (
        "Reason: column_name[id], the input string: sesame can't be cast. src line [sesame,2]; \n"
        "Reason: actual column number in csv file is less than  schema column number. "
        "src line [a\nb];\n"
    )
    first, second = parse_error_log(text)
    assert "sesame" not in first.reason
    assert first.reason == "column_name[id], the input [...]"
    assert first.line is None
    assert second.reason.startswith("actual column number in csv file is less than")
    kept = parse_error_log(text, keep_lines=True)
    assert (kept[0].line, kept[1].line) == ("sesame,2", "a\nb")
    assert "sesame" in kept[0].reason
    assert parse_error_log("") == ()


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (
            "actual number: 1, schema column number: 2; line delimiter: [\n], column separator: [,], "
            "result values:[sesame]",
            "actual number: 1, schema column number: 2; line delimiter: [\n], column separator: [,], "
            "result [...]",
        ),
        ("column(id) value is null", "column(id) value is null"),
        (
            "no partition for this tuple. tuple=[sesame]]",
            "no partition for this tuple. tuple= [...]",
        ),
        (
            "the length of input is too long than schema. column_name: name; input str: [sesame]",
            None,
        ),
        ("parse number fail, string: 'sesame'", "parse number fail, [...]"),
        ('Invalid json "sesame", column `a`', "Invalid json [...]"),
    ],
)
def test_reasons_end_where_they_begin_to_quote(reason: str, kept: str | None) -> None:
    (row,) = parse_error_log(f"Reason: {reason}. src line [x]; ")
    assert "sesame" not in row.reason
    if kept is not None:
        assert row.reason == kept
