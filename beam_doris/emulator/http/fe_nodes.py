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
"""Pages about the nodes of the cluster (P 1.6 to 1.8)."""

from __future__ import annotations

from collections.abc import Sequence

from beam_doris.emulator.engine import Engine
from beam_doris.emulator.http import auth, envelope
from beam_doris.emulator.http.message import Request, Response
from beam_doris.emulator.sql.executor import Session
from beam_doris.emulator.users import SELECT, User


class NodePages:
    """Readiness and lists of nodes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def bootstrap(self) -> Response:
        """Ready; without cluster id and token nothing real is told (P 1.8)."""
        return envelope.ok(
            {
                "replayedJournalId": 0,
                "queryPort": 0,
                "rpcPort": 0,
                "arrowFlightSqlPort": 0,
                "version": "",
            }
        )

    def health(self) -> Response:
        """How many backends there are and live."""
        backends = self._engine.backends
        alive = sum(backend.alive for backend in backends)
        return envelope.ok({"total_backend_num": len(backends), "online_backend_num": alive})

    def backends(self, request: Request) -> Response:
        """HTTP addresses of the backends; any user with the right password may ask (P 1.6)."""
        only_alive = request.query.get("is_alive", "").lower() == "true"
        rows = [
            {"ip": backend.host, "http_port": backend.http_port, "is_alive": backend.alive}
            for backend in self._engine.backends
            if backend.alive or not only_alive
        ]
        return envelope.ok({"backends": rows})

    def manager(self, _request: Request, user: User, what: str) -> Response:
        """The rows of SHOW FRONTENDS or SHOW BACKENDS (P 1.7)."""
        if what not in ("frontends", "backends"):
            return envelope.not_found(f"unknown node type {what}")
        if not user.may(SELECT, "information_schema"):
            return envelope.unauthorized(auth.privilege_text(SELECT))
        names, rows = self._show(user, f"SHOW {what.upper()}")
        return envelope.ok({"columnNames": names, "rows": rows})

    def _show(self, user: User, statement: str) -> tuple[list[str], list[Sequence[str | None]]]:
        session = Session(self._engine, user, None)
        result = session.execute(statement)
        return [column.name for column in result.columns], [list(r) for r in result.text_rows()]
