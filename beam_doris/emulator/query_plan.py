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
"""Query plans of the frontend: one table, some columns, a condition (P 1.5)."""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Sequence
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from beam_doris.emulator.catalog import Partition, Table, Tablet
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.plan_cookie import PlanCookie, PlanError, decode, encode
from beam_doris.emulator.pruning import Pruner
from beam_doris.emulator.sql.prepare import prepare
from beam_doris.emulator.sql.tokens import tokenize
from beam_doris.emulator.sql.translate import expression

__all__ = ["PlanCookie", "PlanError", "PlanRefused", "Planner", "decode", "encode"]

_EMBEDDED = "Select statement must not embed another statement"
_ONE_TABLE = "Select statement must have only one table"
_FILTER_ONLY = "only support single table filter-prune-scan, but found [ {}]"
_UNSUPPORTED = (
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "distinct",
    "qualify",
    "windows",
    "laterals",
    "cluster",
    "distribute",
    "sort",
)
_WHERE = re.compile(r"\bwhere\b", re.IGNORECASE)


class PlanRefused(Exception):
    """The statement is no scan of one table; ``status`` is shown inside of data."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Planner:
    """Plans scans of tables."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def plan(self, sql: str, table: Table) -> dict[str, Any]:
        """The ``data`` of a plan.

        Args:
            sql: the statement.
            table: the table of the path.

        Raises:
            PlanRefused: in Doris' words.
        """
        tree, named = _parse(sql)
        _check_shape(tree, sql, table)
        condition = tree.args.get("where")
        node = None if condition is None else condition.this
        columns = _columns(tree, table)
        filter_sql = self._filter(sql, node, table)
        tablets = self._tablets(table, node, named)
        shuffled = random.Random(self._engine.random.getrandbits(63))
        places = {}
        for partition, tablet in tablets:
            places[str(tablet.id)] = {
                "routings": self._routings(tablet, shuffled),
                "version": partition.version,
                "versionHash": 0,
                "schemaHash": 0,
            }
        cookie = PlanCookie(
            table_id=table.id,
            columns=columns,
            filter_sql=filter_sql,
            tablets={tablet.id: partition.version for partition, tablet in tablets},
        )
        return {"partitions": places, "opaqued_query_plan": encode(cookie), "status": 200}

    def _filter(self, sql: str, node: Any, table: Table) -> str:
        if node is None:
            return ""
        types = {column.name: column.type for column in table.columns}
        for column in node.find_all(exp.Column):
            if not table.has_column(column.name):
                raise EmulatorError(f"Unknown column '{column.name}' in 'table list'", 1054)
        found = _outside_quotes(sql, _WHERE)
        text = node.sql(dialect="doris") if found is None else sql[found:].rstrip().rstrip(";")
        now = datetime.datetime.fromtimestamp(self._engine.clock.now(), tz=datetime.timezone.utc)
        # a qualifier says nothing in a statement of one table
        if any(column.table for column in node.find_all(exp.Column)):
            plain = node.copy()
            for column in list(plain.find_all(exp.Column)):
                column.replace(exp.column(column.name, quoted=True))
            text = plain.sql(dialect="doris", normalize_functions=False)
        return f"({expression(text, types, now=now)})"

    def _tablets(
        self, table: Table, node: Any, named: Sequence[str] | None
    ) -> list[tuple[Partition, Tablet]]:
        pruner = Pruner(table, node, self._constant)
        partitions = list(pruner.partitions())
        if named is not None:
            wanted = {table.partition(name).id for name in named}
            partitions = [partition for partition in partitions if partition.id in wanted]
        counts = {len(partition.tablets) for partition in partitions}
        buckets = pruner.buckets(self._run, counts)
        return [
            (partition, tablet)
            for partition in partitions
            for tablet in partition.tablets
            if buckets is None or tablet.bucket in buckets[len(partition.tablets)]
        ]

    def _constant(self, node: Any) -> bool | None:
        try:
            value = self._run(f"CAST(({expression(node.sql(dialect='doris'), {})}) AS BOOLEAN)")
        except (EmulatorError, duckdb.Error):
            return None
        # NULL lets no row through either
        return bool(value)

    def _run(self, sql: str) -> Any:
        with self._engine.cursor() as cursor:
            return cursor.execute(f"SELECT {sql}").fetchone()[0]

    def _routings(self, tablet: Tablet, shuffled: random.Random) -> list[str]:
        """Thrift addresses of the living replicas, in no particular order."""
        wanted = set(tablet.backend_ids)
        routings = [
            f"{backend.host}:{backend.be_port}"
            for backend in self._engine.backends
            if backend.id in wanted and backend.alive
        ]
        if not routings:
            raise EmulatorError(f"tablet {tablet.id} has no queryable replicas")
        shuffled.shuffle(routings)
        return routings


def _parse(sql: str) -> tuple[Any, tuple[str, ...] | None]:
    """The statement, and the partitions that it names."""
    try:
        prepared = prepare(tokenize(sql)[:-1])
        tree = sqlglot.parse_one(prepared.text, read="doris")
    except sqlglot.errors.SqlglotError as error:
        first = str(error).splitlines()[0]
        raise PlanRefused(f"Syntax error: {first}") from error
    except EmulatorError as error:
        raise PlanRefused(error.message) from error
    if any(hint.tablets is not None for hint in prepared.hints.values()):
        raise PlanRefused(_FILTER_ONLY.format(sql))
    if not isinstance(tree, (exp.Query, exp.Subquery)):
        raise PlanRefused(f"Select statement needed, but found [{sql} ]")
    named = None
    for relation in tree.find_all(exp.Table):
        hint = prepared.hints.get(relation.name)
        if hint is not None:
            # PARTITION(...) only narrows the scan, which is all that a plan may do (P 1.5)
            named = hint.partitions
            relation.set("this", exp.to_identifier(hint.name, quoted=True))
    return tree, named


def _check_shape(tree: Any, sql: str, table: Table) -> None:
    refusal = PlanRefused(_FILTER_ONLY.format(sql))
    if not isinstance(tree, exp.Select):
        raise refusal
    if tree.args.get("with_") or tree.args.get("with"):
        raise PlanRefused(_EMBEDDED)
    source = tree.args.get("from_") or tree.args.get("from")
    if source is None:
        raise PlanRefused(_ONE_TABLE)
    relation = source.this
    joins = tree.args.get("joins") or relation.args.get("joins") or []
    relations = [relation, *(join.this for join in joins)]
    # an alias makes another relation of the table, which counts as an embedded statement
    if any(not isinstance(one, exp.Table) or one.alias for one in relations):
        raise PlanRefused(_EMBEDDED)
    if joins:
        raise PlanRefused(_ONE_TABLE)
    if tree.find(exp.Subquery, exp.Exists) or any(
        node is not tree for node in tree.find_all(exp.Select)
    ):
        raise PlanRefused(_EMBEDDED)
    database = relation.db or table.database
    if (database, relation.name) != (table.database, table.name):
        raise PlanRefused(
            "requested database and table must consistent with sql: request "
            f"[ {table.database}.{table.name}]and sql [{database}.{relation.name}]"
        )
    if any(tree.args.get(name) for name in _UNSUPPORTED):
        raise refusal
    if any(tree.find(kind) for kind in (exp.AggFunc, exp.Window)):
        raise refusal


def _columns(tree: Any, table: Table) -> tuple[str, ...]:
    names: list[str] = []
    for item in tree.expressions:
        if isinstance(item, exp.Star) or item.is_star:
            names.extend(column.name for column in table.columns)
            continue
        if isinstance(item, exp.Alias) or not isinstance(item, exp.Column):
            raise PlanRefused(
                f"the emulator plans plain columns only, but found [{item.sql(dialect='doris')}]",
                500,
            )
        if not table.has_column(item.name):
            raise EmulatorError(f"Unknown column '{item.name}' in 'table list'", 1054)
        names.append(table.column(item.name).name)
    return _distinct(names)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _outside_quotes(sql: str, pattern: re.Pattern[str]) -> int | None:
    """Where the text behind the first match outside of quotes begins."""
    blanked = re.sub(
        r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`",
        lambda found: "_" * len(found.group()),
        sql,
        flags=re.DOTALL,
    )
    found = pattern.search(blanked)
    return None if found is None else found.end()
