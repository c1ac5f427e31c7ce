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
"""HTTP of the frontend: routing, and the answers that every endpoint shares (P 1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from beam_doris.emulator import admin
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.http import auth, envelope
from beam_doris.emulator.http.fe_load import LoadRedirects
from beam_doris.emulator.http.fe_nodes import NodePages
from beam_doris.emulator.http.fe_query import QueryPages
from beam_doris.emulator.http.fe_tables import TablePages
from beam_doris.emulator.http.message import BadRequest, Request, Response, text_response
from beam_doris.emulator.http.misbehave import Answered, Misbehavior, cut
from beam_doris.emulator.http.server import HttpServer
from beam_doris.emulator.load.failure import LoadFailure
from beam_doris.emulator.sql.executor import prepare_engine
from beam_doris.emulator.users import User

BODY_LIMIT = 64 << 20
Page = Callable[[Request], Response]


class FrontendHttp:
    """The HTTP port of the frontend.

    Args:
        engine: the cluster.
        host: address to listen on.
        port: port to listen on, 0 for any.
        control: what stops and starts backends for the admin path; by default only their alive
            flag changes.
    """

    def __init__(
        self,
        engine: Engine,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        control: admin.BackendControl | None = None,
    ) -> None:
        prepare_engine(engine)
        self._engine = engine
        self._server = HttpServer(self.handle, host=host, port=port, name="fe-http")
        self.port = self._server.port
        self._faults = Misbehavior(engine.faults, self._server.stopping)
        self._loads = LoadRedirects(engine, self._faults)
        self._tables = TablePages(engine)
        self._queries = QueryPages(engine)
        self._nodes = NodePages(engine)
        self._admin = admin.AdminPages(engine, control)

    def start(self) -> None:
        """Accept connections."""
        self._server.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.stop()

    def handle(self, request: Request) -> Response:
        """Answer a request; the rules of the point ``fe.request`` act first."""
        if request.segments[:1] == ("_emulator",):
            return self._admin.handle(request, _json_body)
        try:
            keep = self._faults.at("fe.request", path=request.path, method=request.method)
            return cut(self._route(request), keep)
        except Answered as answered:
            return answered.response
        except LoadFailure as failure:
            return envelope.common_error(failure.text)
        except auth.AuthFailed as error:
            return envelope.unauthorized(str(error))
        except BadRequest as error:
            return envelope.bad_request(str(error))
        except EmulatorError as error:
            return envelope.common_error(error.message)

    def _route(self, request: Request) -> Response:
        parts = request.segments
        if not parts:
            return text_response("Doris frontend (emulated)\n")
        if parts[0] == "rest" and parts[1:4] == ("v2", "manager", "node") and len(parts) == 5:
            return self._nodes.manager(request, self._user(request), parts[4])
        if parts[0] != "api" or len(parts) < 2:
            return text_response("Not Found", status=404)
        if parts[-1] in ("_stream_load", "_stream_load_2pc", "_http_stream"):
            return self._loads.handle(request, parts)
        if parts == ("api", "bootstrap"):
            return self._nodes.bootstrap()
        if parts == ("api", "health"):
            return self._nodes.health()
        return self._authorized(request, parts)

    def _authorized(self, request: Request, parts: tuple[str, ...]) -> Response:
        user = self._user(request)
        if parts == ("api", "backends"):
            return self._nodes.backends(request)
        if parts[1] == "query" and len(parts) == 4:
            return self._queries.query(request, user, parts[2], parts[3], _json_body)
        if parts[1] == "query_schema" and len(parts) == 4:
            return self._queries.query_schema(request, user, parts[3])
        if parts[1] == "enable_light_schema_change" and len(parts) == 4:
            return self._tables.light_schema_change(request, user, parts[2], parts[3], _json_body)
        if len(parts) == 3 and parts[2] == "get_load_state":
            return self._tables.load_state(request, parts[1])
        if len(parts) == 3 and parts[2] == "_load_info":
            return self._tables.load_info(request, user, parts[1])
        page = self._tables.page(parts[-1])
        if page is None or len(parts) not in (4, 5):
            return text_response("Not Found", status=404)
        if len(parts) == 5:
            if parts[1] not in ("internal", "default_cluster"):
                return envelope.common_error(f"Unknown catalog '{parts[1]}'")
            parts = (parts[0], *parts[2:])
        return page(request, user, parts[1], parts[2])

    def _user(self, request: Request) -> User:
        return auth.authenticate(self._engine.users, request.headers, request.peer)


def _json_body(request: Request) -> Any:
    """The JSON body of a request, None when there is none.

    Raises:
        BadRequest: it is not JSON.
    """
    raw = request.body.read_all(BODY_LIMIT)
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        text = raw.decode("utf-8", "replace")
        raise BadRequest(f"malformed json: {text}") from error
