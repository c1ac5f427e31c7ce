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
"""Carrying out rules of the fault plan on HTTP requests.

Actions: ``status`` (args ``status``, ``body``), ``fail`` (args ``message``, ``status``: a load
answers Fail), ``too_many_versions``, ``redirect`` (args ``location``), ``reset``, ``close``,
``hang`` and ``delay`` (args ``seconds``: wait, then go on), ``half_response`` (args ``bytes``),
``slow_body`` (args ``bytes_per_second``), ``kill_backend``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from beam_doris.emulator.faults import FaultPlan, Rule
from beam_doris.emulator.http.message import Body, Response
from beam_doris.emulator.http.server import DropConnection
from beam_doris.emulator.load.failure import LoadFailure

HANG_SECONDS = 600.0
TOO_MANY_VERSIONS = (
    "cancelled: tablet error: tablet writer write failed, tablet_id={tablet}, txn_id={txn_id}, "
    "err=[E-235]failed to init rowset builder. version count: 2001, exceed limit: 2000, tablet: "
    "{tablet}. Please reduce the frequency of loading data or adjust the "
    "max_tablet_version_num in be.conf to a larger value."
)


class Answered(Exception):
    """A rule answers in place of the server."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered by a fault")
        self.response = response


@dataclass
class Misbehavior:
    """Applies the plan for one server.

    Args:
        plan: the rules.
        stopping: set when the server stops; ends every wait.
        die: closes the ports of this backend; None on the frontend.
    """

    plan: FaultPlan
    stopping: threading.Event
    die: Callable[[], None] | None = None

    def at(self, point: str, **facts: Any) -> int | None:
        """Let a rule act here; a number is how many bytes of the answer's body to send.

        Raises:
            Answered: with the answer of the rule.
            LoadFailure: the load is to fail.
            DropConnection: the connection is to end.
        """
        rule = self.plan.fire(point, **facts)
        return None if rule is None else self.act(rule, facts)

    def act(self, rule: Rule, facts: dict[str, Any]) -> int | None:
        """Carry out a rule, as `at` does."""
        action, args = rule.action, rule.args
        if action in ("hang", "delay", "slow_reply"):
            # a request that hung is still carried out: that is what makes its outcome unknown
            self.stopping.wait(float(args.get("seconds", HANG_SECONDS)))
            return None
        if action == "half_response":
            return int(args.get("bytes", 10))
        if action in ("reset", "rst", "close"):
            raise DropConnection(reset=action != "close")
        if action == "kill_backend" and self.die is not None:
            threading.Thread(target=self.die, name="backend-death", daemon=True).start()
            raise DropConnection(reset=True)
        if action == "too_many_versions":
            raise LoadFailure(TOO_MANY_VERSIONS.format(tablet=10001, txn_id=facts.get("txn_id")))
        if action == "fail":
            raise LoadFailure(
                str(args.get("message", "injected failure")),
                str(args.get("status", "INTERNAL_ERROR")),
            )
        raise Answered(_answer(action, args))


def _answer(action: str, args: Any) -> Response:
    if action not in ("status", "redirect"):
        # a plan that asks for what is not there must not look like a fault
        text = f"the emulator does not support the fault action {action!r} here"
        return Response(status=500, body=text.encode(), content_type="text/plain;charset=utf-8")
    if action == "redirect":
        location = str(args["location"])
        return Response(status=307, headers=(("Location", location),), content_type="text/html")
    body = args.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/plain;charset=utf-8" if isinstance(body, str) else "application/json"
    return Response(status=int(args.get("status", 503)), body=text.encode(), content_type=kind)


def cut(response: Response, keep: int | None) -> Response:
    """The answer, of which only some bytes are sent."""
    return response if keep is None else replace(response, keep_bytes=keep, close=True)


class FaultyBody:
    """A body whose reading meets the rules of a point once so many bytes have come.

    A rule of ``be.load.body`` waits for ``args["bytes"]`` bytes (0: the first read).
    """

    def __init__(self, body: Body, rule: Rule | None, act: Callable[[Rule], None]) -> None:
        self._body = body
        self._rule = rule
        self._act = act
        self._after = 0 if rule is None else int(rule.args.get("bytes", 0))
        rate = None if rule is None else rule.args.get("bytes_per_second")
        self._rate = float(rate) if rate and rule and rule.action == "slow_body" else None

    def read(self, size: int = 65536) -> bytes:
        """Bytes of the body, or the misfortune."""
        if self._rate is not None:
            data = self._body.read(min(size, 4096))
            time.sleep(len(data) / self._rate)
            return data
        if self._rule is not None and self._body.received >= self._after:
            rule, self._rule = self._rule, None
            self._body.allow()
            self._act(rule)
        if self._rule is not None:
            size = max(1, min(size, self._after - self._body.received))
        return self._body.read(size)
