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
"""The frontend's part in loads: check, and send the client on to a backend (P 2.1, 3.1)."""

from __future__ import annotations

import itertools
import threading
import urllib.parse

from beam_doris.emulator.engine import Backend, Engine
from beam_doris.emulator.http import auth, envelope
from beam_doris.emulator.http.message import Request, Response
from beam_doris.emulator.http.misbehave import Misbehavior, cut
from beam_doris.emulator.load.failure import LoadFailure
from beam_doris.emulator.users import LOAD

_POLICIES = ("", "direct", "random-be", "public", "private", "public-private")


class LoadRedirects:
    """Answers loads and second phases with a 307, or says why not."""

    def __init__(self, engine: Engine, faults: Misbehavior) -> None:
        self._engine = engine
        self._faults = faults
        self._turn = itertools.count()
        self._lock = threading.Lock()

    def handle(self, request: Request, parts: tuple[str, ...]) -> Response:
        """Route to the checks of the endpoint."""
        headers = request.headers
        facts = {
            "path": request.path,
            "label": headers.get("label"),
            "db": parts[1] if len(parts) > 2 else "",
            "table": parts[2] if len(parts) > 3 else "",
        }
        point = "fe.2pc" if parts[-1] == "_stream_load_2pc" else "fe.load"
        try:
            keep = self._faults.at(point, **facts)
        except LoadFailure as failure:
            return envelope.load_failed(failure.text)
        if request.method != "PUT":
            return envelope.not_found(f"{request.method} is not supported")
        if parts[-1] == "_stream_load_2pc":
            return cut(self._second_phase(request, parts), keep)
        return cut(self._load(request, parts), keep)

    def _load(self, request: Request, parts: tuple[str, ...]) -> Response:
        mode = request.headers.get("group_commit").lower()
        if mode and mode not in ("async_mode", "sync_mode", "off_mode"):
            return envelope.load_failed(
                "Header `group_commit` can only be `sync_mode`, `async_mode` or `off_mode`."
            )
        user = auth.authenticate(self._engine.users, request.headers, request.peer)
        if "expect" not in request.headers:
            return envelope.load_failed("There is no 100-continue header")
        if parts[-1] == "_http_stream":
            return self._redirect(request)
        if len(parts) < 3 or not parts[1]:
            return envelope.load_failed("No database selected.")
        if len(parts) < 4 or not parts[2]:
            return envelope.load_failed("No table selected.")
        if not user.may(LOAD, parts[1], parts[2]):
            return envelope.load_failed(auth.privilege_text(LOAD))
        return self._redirect(request)

    def _second_phase(self, request: Request, parts: tuple[str, ...]) -> Response:
        auth.authenticate(self._engine.users, request.headers, request.peer)
        headers = request.headers
        if len(parts) < 3:
            return envelope.load_failed("No database selected.")
        if not headers.get("txn_id") and not headers.get("label"):
            return envelope.load_failed("No transaction id or label selected.")
        if not headers.get("txn_operation"):
            return envelope.load_failed("No transaction operation('commit' or 'abort') selected.")
        return self._redirect(request)

    def _redirect(self, request: Request) -> Response:
        policy = request.headers.get("redirect-policy").lower()
        if policy in ("public", "private"):
            # no backend of the emulator has such an endpoint
            return envelope.load_failed(
                f"{policy} endpoint is null, please check be {policy} endpoint config"
            )
        if policy not in _POLICIES:
            policy = ""
        backend = self._backend()
        if backend is None:
            return envelope.load_failed(
                "No backend load available or there is no available backend, policy: "
                "computeNode=false | query=false | load=true | schedule=false"
            )
        location = self._location(request, backend)
        return Response(
            status=307, content_type="text/html;charset=utf-8", headers=(("Location", location),)
        )

    def _backend(self) -> Backend | None:
        """The next backend that is alive, in turn."""
        alive = [backend for backend in self._engine.backends if backend.alive]
        if not alive:
            return None
        with self._lock:
            return alive[next(self._turn) % len(alive)]

    def _location(self, request: Request, backend: Backend) -> str:
        # whoever authenticated finds the credentials in the authority (P 2.1)
        given = auth.parse_basic(request.headers)
        user = urllib.parse.quote(given.user, safe="")
        password = urllib.parse.quote(given.password, safe="")
        path = urllib.parse.urlsplit(request.target).path
        tail = f"?{request.raw_query}" if request.raw_query else ""
        if not tail and self._engine.profile.http.redirect_ends_with_question_mark:
            tail = "?"
        return f"http://{user}:{password}@{backend.host}:{backend.http_port}{path}{tail}"
