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
"""Which of several equal nodes to ask next, and which hosts may be talked to at all."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from beam_doris.client.deadline import Clock
from beam_doris.errors import ConfigError, ProtocolError
from beam_doris.options.connection import DorisConnection, Node


@dataclass(slots=True)
class _Trouble:
    failures: int = 0
    until: float = 0.0


class NodeRing:
    """Equal nodes, asked in turn; one that failed rests for a while.

    The rest doubles with every failure in a row. A ring never runs dry: when all nodes rest, those
    that rested longest come first, because a wrong guess about a node must not stop the work.

    Args:
        nodes: The nodes, without repetitions.
        clock: Monotonic seconds.
        start: Where to begin; drawn by default, so that workers spread over the nodes.
        cooldown: Rest after the first failure, in seconds.
        longest: Longest rest.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        clock: Clock,
        start: int | None = None,
        cooldown: float = 1.0,
        longest: float = 60.0,
    ) -> None:
        if not nodes:
            raise ConfigError("there is no node to ask")
        self._nodes = tuple(dict.fromkeys(nodes))
        self._clock = clock
        self._position = random.randrange(len(self._nodes)) if start is None else start
        self._cooldown = cooldown
        self._longest = longest
        self._trouble: dict[Node, _Trouble] = {}
        self._lock = threading.Lock()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, in the order given."""
        return self._nodes

    def candidates(self) -> Iterator[Node]:
        """Every node once, the best first; each call starts one further."""
        with self._lock:
            start = self._position % len(self._nodes)
            self._position += 1
            now = self._clock()
            turn = self._nodes[start:] + self._nodes[:start]
            resting = {node: self._trouble[node].until for node in turn if self._rests(node, now)}
        healthy = [node for node in turn if node not in resting]
        return iter(healthy + sorted(resting, key=lambda node: resting[node]))

    def next(self) -> Node:
        """The best node to ask now."""
        return next(self.candidates())

    def succeeded(self, node: Node) -> None:
        """The node answered: it is well again."""
        with self._lock:
            self._trouble.pop(node, None)

    def failed(self, node: Node) -> None:
        """The node did not answer: let it rest."""
        with self._lock:
            trouble = self._trouble.setdefault(node, _Trouble())
            trouble.failures += 1
            rest = min(self._longest, self._cooldown * 2.0 ** min(trouble.failures - 1, 30))
            trouble.until = self._clock() + rest

    def _rests(self, node: Node, now: float) -> bool:
        trouble = self._trouble.get(node)
        return trouble is not None and trouble.until > now

    def __repr__(self) -> str:
        with self._lock:
            now = self._clock()
            shown = [
                f"{node}{' resting' if self._rests(node, now) else ''}" for node in self._nodes
            ]
        return f"<NodeRing {', '.join(shown)}>"


class HostPolicy:
    """Which hosts may see the user's credentials.

    Allowed are the configured frontends and backends, whatever the host map names on either side,
    and the backends that a frontend of ours listed. A redirect anywhere else is refused: it would
    hand user and password to a stranger (P 1.3, 2.1).

    Args:
        connection: The configured addresses.
        discover: Asks a frontend for the hosts of the backends; called when a host is not known,
            and not again for a host that it did not name.
    """

    def __init__(
        self, connection: DorisConnection, discover: Callable[[], Iterable[str]] | None = None
    ) -> None:
        self._connection = connection
        self._discover = discover
        self._lock = threading.Lock()
        hosts = {node.host for node in (*connection.frontends, *connection.backends)}
        for inner, outer in connection.host_map.items():
            for address in (inner, outer):
                hosts.add(Node.parse(address).host if ":" in address else address)
        self._allowed = {host.lower() for host in hosts}

    def learn(self, hosts: Iterable[str]) -> None:
        """Adds hosts that the cluster named as its own."""
        with self._lock:
            for host in hosts:
                self._allowed.add(host.lower())
                self._allowed.add(self._connection.mapped(Node(host, 1)).host.lower())

    def allows(self, host: str) -> bool:
        """Whether the host belongs to the cluster; asks a frontend if that is not known yet."""
        if host.lower() in self._allowed:
            return True
        if self._discover is None:
            return False
        self.learn(self._discover())
        return host.lower() in self._allowed

    def check(self, node: Node, asked: Node) -> Node:
        """The node behind a redirect, as it is reached from here.

        Raises:
            ProtocolError: the host is not one of the cluster's.
        """
        mapped = self._connection.mapped(node)
        if self.allows(mapped.host) or self.allows(node.host):
            return mapped
        raise ProtocolError(
            f"refused a redirect to {node}: not a host of this cluster",
            host=asked,
            hint="if it is one, name it in benodes or host_map",
        )
