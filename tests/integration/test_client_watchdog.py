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
"""Peers that are neither alive nor dead: no operation outlives its deadline by a second."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from beam_doris.client.contracts import LoadRequest, ScanOptions, TabletGroup
from beam_doris.client.deadline import Deadline
from beam_doris.client.flight import FlightSession
from beam_doris.client.frontend import Frontend
from beam_doris.client.scanner import ThriftScanner
from beam_doris.client.sql import SqlClient
from beam_doris.client.stream_load import StreamLoader
from beam_doris.client.transactions import Transactions
from beam_doris.errors import DorisError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId

SPAN = 0.7
TABLE = TableId("test", "student")


def deaf(peer: socket.socket, stop: threading.Event) -> None:
    """Accepts and does nothing at all."""
    stop.wait(5)


def dripping(peer: socket.socket, stop: threading.Event) -> None:
    """Answers one byte at a time, for ever: every single read makes progress."""
    answer = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000
    for byte in answer:
        if stop.wait(0.05):
            return
        peer.sendall(bytes([byte]))


def dripping_header(peer: socket.socket, stop: threading.Event) -> None:
    """Gives the status at once and then a header one byte at a time."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not stop.wait(0.05):
        peer.sendall(b"x")


def dripping_body(peer: socket.socket, stop: threading.Event) -> None:
    """Gives the head at once and then the body one byte at a time."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while not stop.wait(0.05):
        peer.sendall(b"{")


def endless(peer: socket.socket, stop: threading.Event) -> None:
    """Answers a body that never ends."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not stop.wait(0.02):
        peer.sendall(b"1\r\n{\r\n")


def babbling(peer: socket.socket, stop: threading.Event) -> None:
    """Says 100 Continue for ever."""
    while not stop.wait(0.01):
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def hanging_up(peer: socket.socket, stop: threading.Event) -> None:
    """Hangs up at once."""


def garbage(peer: socket.socket, stop: threading.Event) -> None:
    """Answers what no protocol here knows, then goes on listening."""
    peer.sendall(b"\xff\x00\x80garbage\r\n\r\n\r\n" * 10)
    stop.wait(5)


Behavior = Callable[[socket.socket, threading.Event], None]
BEHAVIORS: list[Behavior] = [deaf, dripping, endless, babbling, hanging_up, garbage]


@contextlib.contextmanager
def peer_that_is(behavior: Behavior) -> Iterator[int]:
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def talk(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            behavior(peer, stop)

    def accept() -> None:
        while not stop.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=talk, args=(peer,))
            thread.start()
            threads.append(thread)

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        # closing alone does not wake a thread that waits in accept
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(timeout=5)
        for thread in threads:
            thread.join(timeout=5)


def load(connection: DorisConnection, *, two_phase: bool = True) -> None:
    request = LoadRequest(
        table=TABLE, label="l", two_phase=two_phase, deadline=timedelta(seconds=SPAN)
    )
    with StreamLoader(connection) as loader:
        loader.load(request, b"x" * 30_000_000)


def load_in_one_phase(connection: DorisConnection) -> None:
    load(connection, two_phase=False)


def load_at_a_backend(connection: DorisConnection) -> None:
    node = connection.frontends[0]
    load(DorisConnection(fenodes=[node], benodes=[node], username="root", password=""))


def schema(connection: DorisConnection) -> None:
    with Frontend(connection) as frontend:
        frontend.schema(TABLE, deadline=Deadline.after(SPAN))


def commit(connection: DorisConnection) -> None:
    with Transactions(connection) as transactions:
        transactions.commit("test", 1, "l", deadline=Deadline.after(SPAN))


def scan(connection: DorisConnection) -> None:
    group = TabletGroup(backend=str(connection.frontends[0]), tablets=(1,))
    options = ScanOptions(query_timeout=timedelta(seconds=SPAN))
    for _ in ThriftScanner(connection).scan(group, TABLE, "plan", options):
        pass


def query(connection: DorisConnection) -> None:
    known = DorisConnection(
        fenodes=connection.fenodes,
        username="root",
        password="",
        query_port=connection.frontends[0].port,
    )
    with SqlClient(known) as sql:
        sql.query("SELECT 1", deadline=Deadline.after(SPAN))


def flight(connection: DorisConnection) -> None:
    known = DorisConnection(
        fenodes=connection.fenodes,
        username="root",
        password="",
        flight_port=connection.frontends[0].port,
    )
    with FlightSession(known) as session:
        list(session.query("SELECT 1", deadline=Deadline.after(SPAN)))


OPERATIONS: list[Callable[[DorisConnection], None]] = [
    load,
    load_in_one_phase,
    load_at_a_backend,
    schema,
    commit,
    scan,
    query,
    flight,
]
HTTP_OPERATIONS = [load, load_at_a_backend, schema, commit]


@pytest.mark.parametrize("behavior", BEHAVIORS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__)
def test_no_operation_outlives_its_deadline(
    operation: Callable[[DorisConnection], None], behavior: Behavior
) -> None:
    assert_in_time(operation, behavior)


@pytest.mark.parametrize(
    "behavior", [dripping_header, dripping_body], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("operation", HTTP_OPERATIONS, ids=lambda each: each.__name__)
def test_no_exchange_outlives_its_deadline_by_bytes_that_drip(
    operation: Callable[[DorisConnection], None], behavior: Behavior
) -> None:
    assert_in_time(operation, behavior)


def assert_in_time(operation: Callable[[DorisConnection], None], behavior: Behavior) -> None:
    with peer_that_is(behavior) as port:
        connection = DorisConnection(fenodes=f"127.0.0.1:{port}", username="root", password="")
        started = time.monotonic()
        with pytest.raises(DorisError):
            operation(connection)
        assert time.monotonic() - started < SPAN + 1
