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
"""Tablets of a query plan, and who reads which of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from beam_doris.client.contracts import QueryPlan, TabletGroup, TabletPlan
from beam_doris.errors import ConfigError, ProtocolError
from beam_doris.options.table_id import TableId


def parse_plan(
    table: TableId,
    columns: tuple[str, ...],
    filter: str | None,
    data: Mapping[str, Any],
    *,
    host: object | None = None,
) -> QueryPlan:
    """Reads the payload of `_query_plan` (P 1.5).

    Raises:
        ProtocolError: it cannot be read, or a tablet has no replica that is alive.
    """
    # replicas of different tablets live on the same few backends: one tuple each is enough
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    try:
        tablets = []
        for tablet_id, told in data["partitions"].items():
            routings = tuple(told["routings"])
            routings = known.setdefault(routings, routings)
            tablets.append(TabletPlan(int(tablet_id), routings, int(told["version"])))
        opaque = str(data["opaqued_query_plan"]) if tablets else ""
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(
            f"the query plan of {table} cannot be read", table=table, host=host
        ) from error
    orphan = next((tablet.id for tablet in tablets if not tablet.backends), None)
    if orphan is not None:
        raise ProtocolError(
            f"tablet {orphan} has no replica that is alive",
            table=table,
            host=host,
            hint="check SHOW BACKENDS",
        )
    tablets.sort(key=lambda tablet: tablet.id)
    return QueryPlan(
        table=table, columns=columns, filter=filter, tablets=tuple(tablets), opaque=opaque
    )


def choose_backends(
    plan: QueryPlan,
    *,
    tablets_per_group: int = 1,
    load: Mapping[str, int] | None = None,
    excluded: Iterable[str] = (),
) -> tuple[TabletGroup, ...]:
    """Spreads the tablets over the backends that hold them, evenly, and groups them.

    Every tablet is in exactly one group, although several backends hold it (trap 40); the other
    replicas stay known as alternatives.

    Args:
        plan: The plan.
        tablets_per_group: Tablets that one scan reads; the unit of parallelism.
        load: Tablets that each backend has to read already.
        excluded: Backends to be avoided where another replica exists.

    Returns:
        The groups, those of different backends in turn.
    """
    if tablets_per_group < 1:
        raise ConfigError("tablets_per_group is under 1")
    busy: dict[str, int] = dict(load or {})
    shunned = frozenset(excluded)
    chosen: dict[str, list[TabletPlan]] = {}
    # tablets with few replicas have least choice: they choose first
    for tablet in sorted(plan.tablets, key=lambda tablet: len(tablet.backends)):
        backend = min(
            tablet.backends, key=lambda backend: (backend in shunned, busy.get(backend, 0))
        )
        busy[backend] = busy.get(backend, 0) + 1
        chosen.setdefault(backend, []).append(tablet)
    queues = [
        [
            _group(backend, tablets[start : start + tablets_per_group])
            for start in range(0, len(tablets), tablets_per_group)
        ]
        for backend, tablets in sorted(chosen.items())
    ]
    longest = max(map(len, queues), default=0)
    return tuple(
        queue[position] for position in range(longest) for queue in queues if position < len(queue)
    )


def _group(backend: str, tablets: list[TabletPlan]) -> TabletGroup:
    shared = set(tablets[0].backends)
    for tablet in tablets[1:]:
        shared &= set(tablet.backends)
    shared.discard(backend)
    return TabletGroup(
        backend=backend,
        tablets=tuple(sorted(tablet.id for tablet in tablets)),
        alternatives=tuple(sorted(shared)),
    )
