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
"""The wire: heads, answers in all framings, redirects, the pool."""

from __future__ import annotations

import base64

import pytest

from beam_doris.client.byte_stream import Bytes, ConnectionLost
from beam_doris.client.deadline import Deadline
from beam_doris.client.http import HttpClient
from beam_doris.client.http_wire import HttpConnection, request_head
from beam_doris.client.urls import Target
from beam_doris.errors import ConfigError, DeadlineExceeded, ProtocolError
from beam_doris.options.connection import DorisConnection, Node
from tests.unit.scripted_peers import Answer, FakeClock, Network, Request

NODE = Node("fe", 8030)


class Bits:
    """A stream that gives out prepared bytes in small pieces and notes what is sent."""

    def __init__(self, data: bytes, piece: int = 3) -> None:
        self.data = data
        self.piece = piece
        self.sent = b""
        self.closed = False

    def send(self, data: Bytes, deadline: Deadline) -> None:
        self.sent += bytes(data)

    def receive(self, limit: int, deadline: Deadline) -> bytes:
        piece, self.data = self.data[: self.piece], self.data[self.piece :]
        return piece

    def readable(self, seconds: float) -> bool:
        return bool(self.data)

    def close(self) -> None:
        self.closed = True


def soon() -> Deadline:
    return Deadline.after(60)


def ask(data: bytes, method: str = "GET", max_bytes: int = 1000) -> tuple[HttpConnection, Bits]:
    bits = Bits(data)
    connection = HttpConnection(bits, NODE, max_bytes=max_bytes)
    connection.start(method, "/x", {}, soon())
    return connection, bits


# ------------------------------------------------------------------------------------- wire


def test_header_values_are_utf8() -> None:
    head = request_head("PUT", "/p", NODE, {"columns": "größe,名"})
    assert head == "PUT /p HTTP/1.1\r\nHost: fe:8030\r\ncolumns: größe,名\r\n\r\n".encode()


@pytest.mark.parametrize(
    "headers", [{"a b": "x"}, {"a": "x\ny"}, {"a": "x\ry"}, {"a": "\0"}, {"": "x"}]
)
def test_headers_that_would_break_the_head_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        request_head("PUT", "/", NODE, headers)


def test_an_answer_with_a_length_leaves_the_connection_fit_for_the_next() -> None:
    connection, _ = ask(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y:  z \r\n\r\nhello"
    )
    reply = connection.answer(soon())
    assert (reply.status, reply.body, reply.headers["x-y"]) == (200, b"hello", "z")
    assert connection.reusable


def test_a_chunked_answer() -> None:
    connection, _ = ask(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\nabc\r\n0a\r\n0123456789\r\n0\r\ntrailer: t\r\n\r\n"
    )
    assert connection.answer(soon()).body == b"abc0123456789"
    assert connection.reusable


def test_an_answer_up_to_the_end_cannot_be_followed_by_another() -> None:
    connection, _ = ask(b"HTTP/1.0 200 OK\r\n\r\nall of it")
    assert connection.answer(soon()).body == b"all of it"
    assert not connection.reusable


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
    ],
)
def test_an_answer_that_ends_too_early_is_a_lost_connection(data: bytes) -> None:
    connection, _ = ask(data)
    with pytest.raises(ConnectionLost):
        connection.answer(soon())


@pytest.mark.parametrize(
    "data",
    [
        b"\x4a\x00\x00\x00\x0a5.7.99\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
)
def test_an_answer_that_is_no_answer_or_too_large_is_a_protocol_error(data: bytes) -> None:
    connection, _ = ask(data)
    with pytest.raises(ProtocolError):
        connection.answer(soon())


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n14\r\ndefghijklmnopqrstuvw\r\n0\r\n\r\n",
        b"X: y\r\n\r\nabcdefghijklmnopqrstuvwxyz",
    ],
)
def test_of_a_larger_answer_the_beginning_may_be_enough(head: bytes) -> None:
    connection, _ = ask(b"HTTP/1.1 200 OK\r\n" + head, max_bytes=10)
    connection.truncates = True
    reply = connection.answer(soon())
    assert (reply.body, reply.truncated) == (b"abcdefghij", True)
    assert not connection.reusable


def test_an_early_answer_is_seen_before_the_body_leaves() -> None:
    bits = Bits(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", piece=1000)
    connection = HttpConnection(bits, NODE)
    connection.start("PUT", "/x", {"Transfer-Encoding": "chunked"}, soon())
    assert connection.answered(1.0, soon())
    assert connection.answered(0.0, soon())
    assert connection.answer(soon()).body == b"no"


def test_continue_is_no_answer() -> None:
    bits = Bits(b"HTTP/1.1 100 Continue\r\n\r\n", piece=1000)
    connection = HttpConnection(bits, NODE)
    connection.start("PUT", "/x", {"Transfer-Encoding": "chunked"}, soon())
    assert not connection.answered(1.0, soon())
    connection.send(b"ab", soon())
    connection.send(b"", soon())
    connection.send(b"c" * 40_000, soon())
    connection.end_body(soon())
    assert bits.sent.endswith(b"2\r\nab\r\n9c40\r\n" + b"c" * 40_000 + b"\r\n0\r\n\r\n")


# ----------------------------------------------------------------------------------- client


def client(network: Network, password: str = "") -> HttpClient:
    connection = DorisConnection(
        fenodes="fe:8030",
        username="root",
        password=password,
        host_map={"10.0.0.9": "be"},
    )
    return HttpClient(connection, transport=network, clock=network.clock)


def deadline(network: Network, seconds: float = 30) -> Deadline:
    return Deadline.after(seconds, network.clock)


def test_credentials_are_utf8_and_may_hold_colons() -> None:
    network = Network()
    network.peers["fe:8030"] = lambda request: Answer(content={})
    client(network, "pä:ss").request("GET", NODE, "/", deadline=deadline(network))
    given = network.log[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(given).decode() == "root:pä:ss"


def test_connections_are_kept_and_stale_ones_dropped() -> None:
    network = Network()
    network.peers["fe:8030"] = lambda request: Answer(content={"a": 1})
    http = client(network)
    for _ in range(5):
        assert http.request("GET", NODE, "/", deadline=deadline(network)).json() == {"a": 1}
    assert network.connections == 1
    network.clock.now += 60
    http.request("GET", NODE, "/", deadline=deadline(network))
    assert network.connections == 2
    http.close()
    assert network.open_connections == 0
    http.request("GET", NODE, "/", deadline=deadline(network))
    assert network.open_connections == 0


def test_a_redirect_keeps_method_headers_and_body_and_maps_the_host() -> None:
    network = Network()

    def frontend(request: Request) -> Answer | None:
        if request.body is None and request.headers.get("content-length") != "0":
            return None
        return Answer(status=307, headers={"Location": "http://root:secret@10.0.0.9:8040/y?"})

    network.peers["fe:8030"] = frontend
    network.peers["be:8040"] = lambda each: None if each.body is None else Answer(content={})
    client(network, "pw").request(
        "PUT", NODE, "/x", headers={"label": "l"}, body=b"abc", deadline=deadline(network)
    )
    second = network.requests("be:8040")[0]
    assert (second.method, second.path, second.body) == ("PUT", "/y", b"abc")
    assert second.headers["label"] == "l"
    assert second.headers["authorization"] == "Basic " + base64.b64encode(b"root:pw").decode()


@pytest.mark.parametrize(
    "location", ["http://stranger:8040/x", "", "ftp://fe/x", "http://fe:8030 /x", "/relative"]
)
def test_a_redirect_elsewhere_is_refused(location: str) -> None:
    network = Network()
    network.peers["fe:8030"] = lambda each: Answer(status=307, headers={"Location": location})
    network.peers["stranger:8040"] = lambda each: Answer(content={})
    with pytest.raises(ProtocolError):
        client(network).request("GET", NODE, "/", deadline=deadline(network))
    assert not network.requests("stranger:8040")


def test_redirects_in_a_circle_end() -> None:
    network = Network()
    network.peers["fe:8030"] = lambda each: Answer(
        status=307, headers={"Location": "http://fe:8030/x"}
    )
    with pytest.raises(ProtocolError, match="too many"):
        client(network).request("GET", NODE, "/", deadline=deadline(network))
    assert len(network.log) == 3


def test_a_redirect_from_tls_to_plain_is_refused() -> None:
    network = Network()
    network.peers["fe:8030"] = lambda each: Answer(
        status=307, headers={"Location": "http://fe:8030/x"}
    )
    with pytest.raises(ProtocolError, match="TLS to plain"):
        client(network).request("GET", NODE, "/", deadline=deadline(network), tls=True)


def test_an_exchange_that_fails_closes_its_connection() -> None:
    network = Network()
    network.peers["fe:8030"] = lambda each: Answer(hang=True)
    http = client(network)
    with pytest.raises(DeadlineExceeded):
        http.request("GET", NODE, "/", deadline=deadline(network))
    assert network.open_connections == 0
    network.peers["fe:8030"] = lambda each: Answer(torn=True, content={"a": 1})
    with pytest.raises(ConnectionLost):
        http.request("GET", NODE, "/", deadline=deadline(network))
    assert network.open_connections == 0


def test_a_dedicated_connection_is_not_pooled() -> None:
    network = Network(FakeClock())
    network.peers["fe:8030"] = lambda each: Answer(content={})
    http = client(network)
    connection = http.dedicated(Target(node=NODE, path="/", tls=False), deadline(network))
    connection.close()
    assert network.open_connections == 0
