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
"""The admin path of the emulator: faults, the clock, backends, compaction, in JSON.

It belongs to the emulator, not to Doris, and asks for no password: it listens on 127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from beam_doris.emulator.engine import Engine
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.faults import Rule
from beam_doris.emulator.http.message import BadRequest, Request, Response, json_response

JsonBody = Callable[[Request], Any]
_RULE_KEYS = {"point", "action", "match", "nth", "count", "args"}


class BackendControl(Protocol):
    """Stops and starts backends as a whole, all their ports."""

    def stop_backend(self, index: int) -> None:
        """The backend dies."""

    def start_backend(self, index: int) -> None:
        """It comes back on its ports."""


class AdminPages:
    """Pages below /_emulator."""

    def __init__(self, engine: Engine, control: BackendControl | None) -> None:
        self._engine = engine
        self._control = control

    def handle(self, request: Request, json_body: JsonBody) -> Response:
        """Answer a request; an error is a 400 or 404 with its text."""
        try:
            body = json_body(request)
            value = self._route(request, request.segments[1:], body)
        except (BadRequest, EmulatorError, ValueError, TypeError, KeyError) as error:
            return json_response({"error": str(error)}, status=400)
        if value is None:
            return json_response({"error": "no such page"}, status=404)
        return json_response(value)

    def _route(self, request: Request, parts: tuple[str, ...], body: Any) -> Any:
        method = request.method
        if parts[:1] == ("faults",):
            return self._faults(method, parts[1:], body)
        if parts[:1] == ("clock",):
            return self._clock(method, body)
        if parts[:1] == ("backends",):
            return self._backends(method, parts[1:], body)
        if parts == ("compact",) and method == "POST":
            table = self._engine.catalog.table(str(body["db"]), str(body["table"]))
            self._engine.storage.compact(table)
            return {"ok": True}
        return None

    def _faults(self, method: str, rest: tuple[str, ...], body: Any) -> Any:
        plan = self._engine.faults
        if method == "GET":
            rules = [_shown(rule_id, rule) for rule_id, rule in plan.rules().items()]
            fired = [
                {"id": item.rule_id, "point": item.rule.point, "facts": dict(item.facts)}
                for item in plan.fired()
            ]
            return {"rules": rules, "fired": fired}
        if method == "POST":
            return {"id": plan.add(_rule(body))}
        if method == "DELETE" and rest:
            return {"removed": plan.remove(int(rest[0]))}
        if method == "DELETE":
            plan.clear()
            return {"removed": True}
        return None

    def _clock(self, method: str, body: Any) -> Any:
        clock = self._engine.clock
        if method == "POST":
            seconds = float(body["advance"])
            advance = getattr(clock, "advance", None)
            if advance is None:
                raise ValueError("this clock can't be moved")
            advance(seconds)
            self._engine.transactions.tick()
        elif method != "GET":
            return None
        return {"now": clock.now()}

    def _backends(self, method: str, rest: tuple[str, ...], body: Any) -> Any:
        backends = self._engine.backends
        if method == "POST" and rest:
            wanted = int(rest[0])
            index = next((at for at, one in enumerate(backends) if one.id == wanted), None)
            if index is None:
                raise ValueError(f"no backend has the id {wanted}")
            self._set_alive(index, alive=bool(body["alive"]))
        elif method != "GET":
            return None
        return {
            "backends": [
                {"id": one.id, "http_port": one.http_port, "alive": one.alive} for one in backends
            ]
        }

    def _set_alive(self, index: int, *, alive: bool) -> None:
        if self._control is None:
            self._engine.backends[index].alive = alive
        elif alive:
            self._control.start_backend(index)
        else:
            self._control.stop_backend(index)


def _rule(body: Any) -> Rule:
    if not isinstance(body, Mapping):
        raise ValueError("a rule is a JSON object")
    unknown = set(body) - _RULE_KEYS
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    return Rule(**body)


def _shown(rule_id: int, rule: Rule) -> dict[str, Any]:
    return {
        "id": rule_id,
        "point": rule.point,
        "action": rule.action,
        "match": dict(rule.match),
        "nth": rule.nth,
        "count": rule.count,
        "args": dict(rule.args),
    }
