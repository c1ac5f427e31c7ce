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
from collections.abc import Callable

import pytest

from beam_doris.client.byte_stream import Bytes, ConnectionLost
from beam_doris.client.deadline import Deadline
from beam_doris.client.http import HttpClient
from beam_doris.client.http_wire import HttpReply
from beam_doris.client.push_connection import PushConnection
from beam_doris.client.requests_transport import RequestsTransport
from beam_doris.client.urls import Target
from beam_doris.errors import ConfigError, DeadlineExceeded, ProtocolError
from beam_doris.options.connection import DorisConnection, Node
from beam_doris.options.secrets import Secret
from tests.unit.scripted_peers import Answer, FakeClock, Network, Request

NODE = Node("fe", 8030)
TARGET = Target(node=NODE, path="/x", tls=False)


class Bits:
    """A stream that gives out prepared bytes in small pieces and notes what is sent."""

    def __init__(self, data: bytes, piece: int = 3) -> None:
        self.data = data
        self.piece = piece
        self.sent = b""
        self.closed = False
        self.owner: object = None

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


def pushed(
    bits: Bits,
    max_bytes: int = 1000,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> HttpReply:
    """An exchange on a connection of its own."""
    connection = PushConnection(bits, NODE, soon(), max_bytes=max_bytes)
    connection.start(method, "/x", headers or {}, soon())
    return connection.answer(soon())


def kept(
    bits: Bits,
    max_bytes: int = 1000,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    truncate: bool = False,
) -> HttpReply:
    """An exchange on a connection of a pool."""
    transport = RequestsTransport(
        lambda node, *, tls, timeout, deadline: bits, timeout=1, clock=FakeClock()
    )
    bits.owner = transport  # a pool that nobody holds closes its connections
    return transport.exchange(
        method, TARGET, headers or {}, b"", deadline=soon(), max_bytes=max_bytes, truncate=truncate
    )


Transport = Callable[..., HttpReply]
both = pytest.mark.parametrize("ask", [pushed, kept])


# ------------------------------------------------------------------------------------- wire


@both
def test_header_values_are_utf8_in_both_directions(ask: Transport) -> None:
    bits = Bits("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Y:  größe \r\n\r\n".encode())
    reply = ask(bits, method="PUT", headers={"columns": "größe,名", "Content-Length": "0"})
    first, *lines = bits.sent.decode().split("\r\n")
    assert first == "PUT /x HTTP/1.1"
    assert "Host: fe:8030" in lines
    assert "columns: größe,名" in lines
    assert lines.count("Content-Length: 0") == 1
    assert reply.headers["x-y"] == "größe"


@both
@pytest.mark.parametrize(
    "headers", [{"a b": "x"}, {"a": "x\ny"}, {"a": "x\ry"}, {"a": "\0"}, {"": "x"}]
)
def test_headers_that_would_break_the_head_are_refused(
    ask: Transport, headers: dict[str, str]
) -> None:
    bits = Bits(b"")
    with pytest.raises(ConfigError):
        ask(bits, headers=headers)
    assert not bits.sent


@both
@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_an_answer_with_a_length(ask: Transport, interim: str) -> None:
    bits = Bits(
        f"HTTP/1.1 {interim}\r\nLink: x\r\n\r\n".encode()
        + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y:  y \r\nX-Y:  z \r\n\r\nhello"
    )
    reply = ask(bits)
    assert (reply.status, reply.body, reply.headers["x-y"]) == (200, b"hello", "z")
    assert not bits.closed


@both
def test_a_chunked_answer(ask: Transport) -> None:
    bits = Bits(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\nabc\r\n0a\r\n0123456789\r\n0\r\ntrailer: t\r\n\r\n"
    )
    assert ask(bits).body == b"abc0123456789"
    assert not bits.closed


@both
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\n\r\nall of it",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nall of it",
    ],
)
def test_an_answer_that_cannot_be_followed_by_another_closes_its_connection(
    ask: Transport, data: bytes
) -> None:
    bits = Bits(data)
    assert ask(bits).body == b"all of it"
    assert bits.closed


@both
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
    ],
)
def test_an_answer_that_ends_too_early_is_a_lost_connection(ask: Transport, data: bytes) -> None:
    with pytest.raises(ConnectionLost):
        ask(Bits(data))


@both
@pytest.mark.parametrize(
    "data",
    [
        b"\x4a\x00\x00\x00\x0a5.7.99\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK" + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
)
def test_an_answer_that_is_no_answer_or_too_large_is_a_protocol_error(
    ask: Transport, data: bytes
) -> None:
    with pytest.raises(ProtocolError):
        ask(Bits(data, piece=1000))


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n14\r\ndefghijklmnopqrstuvw\r\n0\r\n\r\n",
        b"X: y\r\n\r\nabcdefghijklmnopqrstuvwxyz",
    ],
)
def test_of_a_larger_answer_the_beginning_may_be_enough(head: bytes) -> None:
    bits = Bits(b"HTTP/1.1 200 OK\r\n" + head)
    reply = kept(bits, max_bytes=10, truncate=True)
    assert (reply.body, reply.truncated) == (b"abcdefghij", True)
    assert bits.closed


def test_an_early_answer_is_seen_before_the_body_leaves() -> None:
    bits = Bits(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", piece=1000)
    connection = PushConnection(bits, NODE, soon())
    connection.start("PUT", "/x", {"Transfer-Encoding": "chunked"}, soon())
    assert connection.answered(1.0, soon())
    assert connection.answered(0.0, soon())
    assert connection.answer(soon()).body == b"no"


def test_an_answer_right_behind_continue_is_seen() -> None:
    bits = Bits(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", piece=1000
    )
    connection = PushConnection(bits, NODE, soon())
    connection.start("PUT", "/x", {"Transfer-Encoding": "chunked"}, soon())
    assert not connection.answered(1.0, soon())
    assert connection.answered(0.0, soon())
    assert connection.answer(soon()).body == b"no"


def test_continue_is_no_answer() -> None:
    bits = Bits(b"HTTP/1.1 100 Continue\r\n\r\n", piece=1000)
    connection = PushConnection(bits, NODE, soon())
    connection.start("PUT", "/x", {"Transfer-Encoding": "chunked"}, soon())
    assert not connection.answered(1.0, soon())
    connection.send(b"ab", soon())
    connection.send(b"", soon())
    connection.send(b"c" * 40_000, soon())
    connection.end_body(soon())
    assert bits.sent.endswith(b"2\r\nab\r\n9c40\r\n" + b"c" * 40_000 + b"\r\n0\r\n\r\n")


def test_a_pushed_body_is_not_copied() -> None:
    given: list[Bytes] = []

    class Noting(Bits):
        def send(self, data: Bytes, deadline: Deadline) -> None:
            given.append(data)

    connection = PushConnection(Noting(b""), NODE, soon())
    connection.start("PUT", "/x", {"Transfer-Encoding": "chunked"}, soon())
    body = bytearray(1 << 20)
    connection.send(body, soon())
    assert any(isinstance(data, memoryview) and data.obj is body for data in given)


def test_an_answer_without_a_body_leaves_its_connection_for_the_next() -> None:
    bits = Bits(b"HTTP/1.1 307 X\r\nLocation: http://fe:1/\r\nContent-Length: 0\r\n\r\n")
    assert kept(bits).body == b""
    assert not bits.closed


def test_cookies_are_not_kept() -> None:
    network = Network()
    network.peers["fe:8030"] = lambda request: Answer(headers={"Set-Cookie": "session=1; Path=/"})
    http = client(network)
    for _ in range(2):
        http.request("GET", NODE, "/", deadline=deadline(network))
    assert "cookie" not in network.log[1].headers


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
    assert given(network.log[0]) == "root:pä:ss"


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(status=401),
        Answer(content={"msg": "Unauthorized", "code": 401, "data": "no", "count": 0}),
        Answer(content={"status": "FAILED", "msg": "Access denied for user 'root'"}),
    ],
    ids=["status", "envelope", "load endpoint"],
)
def test_a_changed_password_is_read_again_once_when_the_old_one_is_refused(
    refusal: Answer,
) -> None:
    passwords = iter(["old", "new", "newer"])
    connection = DorisConnection(
        fenodes="fe:8030", username="root", password=Secret.call(lambda: next(passwords))
    )
    network = Network()
    accepted = {"root:new"}
    network.peers["fe:8030"] = lambda request: (
        Answer(content={"code": 0, "msg": "success"}) if given(request) in accepted else refusal
    )
    http = HttpClient(connection, transport=network, clock=network.clock)
    for _ in range(2):
        assert http.request("GET", NODE, "/", deadline=deadline(network)).json() == {
            "code": 0,
            "msg": "success",
        }
    assert [given(request) for request in network.log] == ["root:old", "root:new", "root:new"]
    accepted.clear()
    assert http.request("GET", NODE, "/", deadline=deadline(network)).status == refusal.status
    assert [given(request) for request in network.log[3:]] == ["root:new", "root:newer"]


def test_the_same_password_is_not_sent_again_after_a_refusal() -> None:
    network = Network()
    network.peers["fe:8030"] = lambda request: Answer(status=401)
    assert client(network, "pw").request("GET", NODE, "/", deadline=deadline(network)).status == 401
    assert len(network.log) == 1


def given(request: Request) -> str:
    """User and password of a request."""
    return base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()


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
