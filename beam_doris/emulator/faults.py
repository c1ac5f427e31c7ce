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
"""The fault plan: how the emulated cluster is told to misbehave.

A rule waits at a point (for example ``be.load.body``) and acts the first time, the n-th time or
some number of times that facts given at the point match it. The code at the point carries the
action out; the plan only decides.

Points: fe.load, be.load.headers, be.load.body, be.load.before_commit, be.load.after_commit,
txn.begin, txn.precommit, txn.commit, txn.abort, txn.publish, scan.open, scan.next, scan.close,
flight.info, flight.get, mysql.query.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the plan.

    Attributes:
        point: where it acts.
        action: what to do there, a word that the code at the point knows.
        match: facts that must be equal (as text), such as ``{"table": "t"}``.
        nth: act on the n-th matching event only (1 is the first); None: from the first on.
        count: act at most so often; None: without limit.
        args: details of the action.
    """

    point: str
    action: str
    match: Mapping[str, Any] = field(default_factory=dict)
    nth: int | None = None
    count: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.point or not self.action:
            raise ValueError("a rule needs a point and an action")
        for name in ("nth", "count"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1")

    def matches(self, facts: Mapping[str, Any]) -> bool:
        return all(str(facts.get(key)) == str(value) for key, value in self.match.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A rule that acted, with the facts it acted on."""

    rule_id: int
    rule: Rule
    facts: Mapping[str, Any]


@dataclass(slots=True)
class _Armed:
    rule: Rule
    seen: int = 0
    acted: int = 0


class FaultPlan:
    """Thread-safe set of rules.

    Example:
        >>> plan = FaultPlan()
        >>> plan.add(Rule(point="txn.commit", action="fail", count=1))
        1
        >>> plan.fire("txn.commit", db="d").action
        'fail'
        >>> plan.fire("txn.commit", db="d") is None
        True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[int, _Armed] = {}
        self._next = 1
        self._fired: list[Fired] = []

    def add(self, rule: Rule) -> int:
        """Arm a rule and tell its id."""
        with self._lock:
            rule_id = self._next
            self._next += 1
            self._rules[rule_id] = _Armed(rule)
            return rule_id

    def remove(self, rule_id: int) -> bool:
        with self._lock:
            return self._rules.pop(rule_id, None) is not None

    def clear(self) -> None:
        """Disarm all rules and forget what fired."""
        with self._lock:
            self._rules.clear()
            self._fired.clear()

    def rules(self) -> dict[int, Rule]:
        with self._lock:
            return {rule_id: armed.rule for rule_id, armed in self._rules.items()}

    def fire(self, point: str, **facts: Any) -> Rule | None:
        """The rule that acts on this event, or None. The oldest fitting rule wins."""
        with self._lock:
            for rule_id, armed in self._rules.items():
                rule = armed.rule
                if rule.point != point or not rule.matches(facts):
                    continue
                armed.seen += 1
                if rule.nth is not None and armed.seen != rule.nth:
                    continue
                if rule.count is not None and armed.acted >= rule.count:
                    continue
                armed.acted += 1
                self._fired.append(Fired(rule_id=rule_id, rule=rule, facts=dict(facts)))
                return rule
            return None

    def fired(self) -> list[Fired]:
        with self._lock:
            return list(self._fired)
