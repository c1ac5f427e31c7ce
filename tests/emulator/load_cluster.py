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
"""The HTTP half of a cluster for tests, and a client that speaks the load protocol by hand."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from beam_doris.emulator.catalog import Distribution, KeysModel
from beam_doris.emulator.clock import ManualClock
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.http.backend import BackendHttp
from beam_doris.emulator.http.frontend import FrontendHttp
from beam_doris.emulator.profile import Profile
from beam_doris.emulator.table_spec import ColumnSpec, TableSpec
from beam_doris.emulator.types import parse_type

SECONDS = 20.0
ROOT = "Basic " + base64.b64encode(b"root:").decode()


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Wire:
    """One connection, bytes by hand."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.stream = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both ends."""
        self.stream.close()
        self.socket.close()

    def head(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Send a request's head."""
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")

    def answer(self, *, bodiless: bool = False) -> Answer:
        """Read the next answer, a 100 too."""
        status = int(self.stream.readline().split()[1])
        headers = {}
        while line := self.stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        length = 0 if bodiless else int(headers.get("content-length", "0"))
        return Answer(status, headers, self.stream.read(length))


class LoadCluster:
    """An engine with a frontend and backends, HTTP only."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.backends = [BackendHttp(engine, backend) for backend in engine.backends]
        for backend, server in zip(engine.backends, self.backends, strict=True):
            backend.http_port = server.port
            backend.be_port = 20000 + backend.id
            server.start()
        self.frontend = FrontendHttp(engine)
        self.frontend.start()
        engine.create_database("d")

    def close(self) -> None:
        """Close all ports and the engine."""
        self.frontend.stop()
        for server in self.backends:
            server.stop()
        self.engine.close()

    def table(
        self,
        columns: str,
        *,
        name: str = "t",
        model: KeysModel | None = None,
        not_null: Iterable[str] = (),
        buckets: int = 2,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Create a table; its first column is the key."""
        required = set(not_null)
        specs = []
        for item in columns.split(";"):
            column, _, kind = item.strip().partition(" ")
            specs.append(
                ColumnSpec(name=column, type=parse_type(kind), nullable=column not in required)
            )
        first = specs[0].name
        self.engine.create_table(
            TableSpec(
                database="d",
                name=name,
                columns=tuple(specs),
                model=model,
                keys=(first,) if model is not None else (),
                distribution=Distribution(kind="HASH", columns=(first,), buckets=buckets),
                properties={"replication_num": "1", **(properties or {})},
            )
        )

    def rows(self, name: str = "t") -> list[tuple[Any, ...]]:
        """Visible rows in order."""
        visible = self.engine.storage.visible_sql(self.engine.catalog.table("d", name))
        with self.engine.cursor() as cursor:
            return sorted(cursor.sql(visible).fetchall(), key=str)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        backend: int | None = None,
        auth: str | None = ROOT,
    ) -> Answer:
        """One request to the frontend or a backend."""
        port = self.frontend.port if backend is None else self.backends[backend].port
        sent = {} if auth is None else {"Authorization": auth}
        if body is not None:
            sent["Content-Length"] = str(len(body))
        sent.update(headers or {})
        with Wire(port) as wire:
            wire.head(method, path, sent)
            if body:
                wire.socket.sendall(body)
            return wire.answer(bodiless=method == "HEAD")

    def load(
        self,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        table: str = "t",
        backend: int = 0,
        auth: str = ROOT,
    ) -> Any:
        """A stream load straight to a backend; its reply."""
        path = f"/api/d/{table}/_stream_load"
        return self.request("PUT", path, body, headers, backend=backend, auth=auth).json

    def second_phase(self, operation: str, **named: Any) -> Any:
        """Commit or abort at the first backend."""
        headers = {"txn_operation": operation, **{k: str(v) for k, v in named.items()}}
        return self.request("PUT", "/api/d/_stream_load_2pc", b"", headers, backend=0).json

    def admin(self, method: str, path: str, value: Any = None) -> Any:
        """A request to the admin path."""
        body = None if value is None else json.dumps(value).encode()
        return self.request(method, f"/_emulator/{path}", body, auth=None).json


@contextmanager
def cluster(
    *, backends: int = 1, profile: str | None = None, seed: int = 1
) -> Iterator[LoadCluster]:
    """A cluster with a clock that stands still."""
    engine = Engine(
        backends=backends,
        profile=None if profile is None else Profile.named(profile),
        clock=ManualClock(),
        seed=seed,
    )
    running = LoadCluster(engine)
    try:
        yield running
    finally:
        running.close()
