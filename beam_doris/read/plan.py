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
"""What one read is to do, as values that travel to the workers.

The plan travels once, as a side input: the server's own plan, and which tablets are read from
which backend. Tasks and restrictions only name stretches of it, in a few bytes each, so that a
table of a hundred thousand tablets stays below a megabyte of them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from beam_doris.client.contracts import QueryPlan
from beam_doris.options.reading import ReadProtocol
from beam_doris.read.request import ReadRequest
from beam_doris.schema.table_schema import TableSchema

_FORM = 1


@dataclass(frozen=True, slots=True)
class TabletGroup:
    """Tablets that are read from one backend.

    Args:
        host: The backend, by its number in the map.
        tablets: Ids, ascending.
        replicas: For each tablet the number of its set of replicas.
    """

    host: int
    tablets: tuple[int, ...]
    replicas: tuple[int, ...]


class TabletMap:
    """All tablets of a read, by the backend that was chosen for each.

    Hosts and sets of replicas are few and named once; ids are ascending and travel as differences.
    """

    __slots__ = ("groups", "hosts", "replica_sets")

    def __init__(
        self,
        hosts: Sequence[str] = (),
        replica_sets: Sequence[Sequence[int]] = (),
        groups: Sequence[TabletGroup] = (),
    ) -> None:
        self.hosts = tuple(hosts)
        self.replica_sets = tuple(tuple(one) for one in replica_sets)
        self.groups = tuple(groups)

    @staticmethod
    def spread(plan: QueryPlan) -> TabletMap:
        """Chooses for each tablet the backend with the least to read, among those that hold it."""
        hosts: dict[str, int] = {}
        sets: dict[tuple[str, ...], int] = {}
        load: list[int] = []
        chosen: list[list[tuple[int, int]]] = []
        # tablets with few replicas have least choice: they choose first
        for tablet in sorted(plan.tablets, key=lambda one: len(one.backends)):
            number = sets.setdefault(tablet.backends, len(sets))
            for backend in tablet.backends:
                if backend not in hosts:
                    hosts[backend] = len(hosts)
                    load.append(0)
                    chosen.append([])
            best = min((hosts[backend] for backend in tablet.backends), key=load.__getitem__)
            load[best] += 1
            chosen[best].append((tablet.id, number))
        groups = []
        for host, tablets in enumerate(chosen):
            if tablets:
                tablets.sort()
                ids, numbers = zip(*tablets, strict=True)
                groups.append(TabletGroup(host, ids, numbers))
        names = [[hosts[backend] for backend in backends] for backends in sets]
        return TabletMap(tuple(hosts), names, groups)

    def __len__(self) -> int:
        return sum(len(group.tablets) for group in self.groups)

    def encode(self) -> bytes:
        """A compact form; its first item is the version of it."""
        groups = [
            [group.host, _differences(group.tablets), group.replicas] for group in self.groups
        ]
        value = [_FORM, self.hosts, self.replica_sets, groups]
        return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 6)

    @staticmethod
    def decode(encoded: bytes) -> TabletMap:
        """The map again."""
        _, hosts, sets, groups = json.loads(zlib.decompress(encoded))
        return TabletMap(
            hosts,
            sets,
            [
                TabletGroup(host, tuple(accumulate(steps)), tuple(replicas))
                for host, steps, replicas in groups
            ],
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return TabletMap.decode, (self.encode(),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TabletMap):
            return NotImplemented
        return (self.hosts, self.replica_sets, self.groups) == (
            other.hosts,
            other.replica_sets,
            other.groups,
        )

    def __hash__(self) -> int:
        return hash((self.hosts, len(self)))


def _differences(ids: Iterable[int]) -> list[int]:
    steps = []
    before = 0
    for one in ids:
        steps.append(one - before)
        before = one
    return steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What all scans of one read share.

    Args:
        request: What is read.
        protocol: FLIGHT or THRIFT, decided.
        schema: The columns that come out, in their order.
        opaque: The server's plan, which pins a version per tablet; None for Flight.
        tablets: Who reads which tablet; empty where one statement reads everything.
        statement: That statement; None where tablets are read.
    """

    request: ReadRequest
    protocol: ReadProtocol
    schema: TableSchema
    opaque: str | None = None
    tablets: TabletMap = field(default_factory=TabletMap)
    statement: str | None = None

    @property
    def is_serial(self) -> bool:
        """Whether everything is read by one task: a statement, or rows counted to a limit."""
        return self.statement is not None or self.request.limit is not None


@dataclass(frozen=True, slots=True)
class ScanTask:
    """The element of the splittable DoFn: the tablets of one group of a plan.

    Args:
        group: The group's number; -1 for all groups, one after the other, or a statement.
        tablets: How many tablets it has; 1 for a task that cannot be divided.
        per_split: The length of the initial splits.
        rows: About how many rows a tablet has, for progress and for the weighing of splits.
        plan: The plan, where it does not come as a side input.
    """

    group: int
    tablets: int
    per_split: int = 1
    rows: int = 1
    plan: ScanPlan | None = None
