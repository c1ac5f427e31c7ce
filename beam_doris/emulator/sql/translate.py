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
"""Queries and expressions of Doris, turned into DuckDB's."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from beam_doris.emulator.sql.expressions import ExpressionRewriter
from beam_doris.emulator.sql.nodes import duck
from beam_doris.emulator.sql.prepare import HINT_PREFIX, Prepared, TableHint, prepare
from beam_doris.emulator.sql.scope import Columns, Scope, merged, type_of
from beam_doris.emulator.sql.tokens import SyntaxFault, Token, Unsupported, tokenize
from beam_doris.emulator.types import DorisType


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A table, view or made-up relation: a DuckDB SELECT and its columns."""

    sql: str
    columns: tuple[tuple[str, DorisType], ...]


class Sources(Protocol):
    """Finds what a name in FROM stands for."""

    def source(
        self, database: str | None, name: str, hint: TableHint | None, *, hidden: bool
    ) -> Source: ...


@dataclass(slots=True)
class TranslatedQuery:
    """DuckDB text of a query, and its columns as far as they are known."""

    sql: str
    columns: Columns | None
    aliases: list[str | None] = field(default_factory=list)


def _parse(text: str, into: Any = None) -> Any:
    try:
        if into is None:
            return sqlglot.parse_one(text, read="doris")
        return sqlglot.parse_one(text, read="doris", into=into)
    except (SqlglotError, RecursionError, AttributeError, IndexError) as error:
        # on some texts that are no SQL sqlglot stumbles over its own trees
        raise SyntaxFault(f"Syntax error: {_complaint(str(error))}") from error


def _complaint(text: str) -> str:
    """The parser's complaint without its own class names."""
    first = text.splitlines()[0] if text else "the statement is nested too deeply"
    if "<" not in first:
        return first
    place = re.search(r"Line (\d+), Col: (\d+)", first)
    where = f" (line {place[1]}, pos {place[2]})" if place else ""
    return f"mismatched input '<EOF>' or an incomplete clause{where}"


def expression(
    text: str, columns: Mapping[str, DorisType], *, now: datetime.datetime | None = None
) -> str:
    """DuckDB text of a Doris scalar expression over columns of these types."""
    return expression_of(tokenize(text)[:-1], columns, now=now)[0]


def expression_of(
    tokens: Sequence[Token],
    columns: Mapping[str, DorisType],
    *,
    now: datetime.datetime | None = None,
) -> tuple[str, DorisType | None]:
    """DuckDB text and, if it can be told, the Doris type of an expression."""
    prepared = prepare(tokens)
    if prepared.hints:
        raise SyntaxFault("Syntax error: a table in an expression")
    tree = _parse(prepared.text)
    if isinstance(tree, exp.Command):
        raise SyntaxFault(f"Syntax error: {prepared.text[:60]}")
    moment = now or datetime.datetime.now(tz=datetime.timezone.utc)
    result = ExpressionRewriter(moment).rewrite(tree, Scope.of(columns))
    return duck(result), type_of(result)


def query(
    tokens: Sequence[Token], sources: Sources, *, now: datetime.datetime, hidden: bool = False
) -> TranslatedQuery:
    """DuckDB text of a query. ``hidden``: ``SELECT *`` shows hidden columns (P 4.1)."""
    prepared = prepare(tokens)
    tree = _parse(prepared.text)
    if not isinstance(tree, (exp.Query, exp.Subquery)):
        raise SyntaxFault(f"Syntax error: mismatched input near '{prepared.text[:40]}'")
    return _QueryTranslator(prepared, sources, now, hidden).run(tree)


class _QueryTranslator:
    """Replaces tables by CTEs and rewrites every expression of one statement."""

    def __init__(
        self, prepared: Prepared, sources: Sources, now: datetime.datetime, hidden: bool
    ) -> None:
        self._hints = prepared.hints
        self._hidden = hidden or prepared.names_hidden
        # a hidden column that is named does not make "*" show hidden columns
        self._short_star = prepared.names_hidden and not hidden
        self._sources = sources
        self._expressions = ExpressionRewriter(now, self._inner)
        self._numbers = itertools.count()
        self._relations: dict[str, str] = {}

    def run(self, tree: Any) -> TranslatedQuery:
        aliases = self._aliases(tree)
        columns = self._query(tree, {}, None)
        sql = duck(tree)
        if self._relations:
            head = ", ".join(
                f"{name} AS NOT MATERIALIZED ({text})" for name, text in self._relations.items()
            )
            if sql.startswith("WITH RECURSIVE "):
                sql = f"WITH RECURSIVE {head}, {sql[15:]}"
            elif sql.startswith("WITH "):
                sql = f"WITH {head}, {sql[5:]}"
            else:
                sql = f"WITH {head} {sql}"
        return TranslatedQuery(sql, columns, aliases)

    @staticmethod
    def _aliases(tree: Any) -> list[str | None]:
        """The names that the first SELECT gives to its columns itself."""
        while isinstance(tree, (exp.Subquery, exp.SetOperation)):
            tree = tree.this
        return [
            item.alias or (item.name if isinstance(item, exp.Column) else None)
            for item in getattr(tree, "expressions", [])
        ]

    def _inner(self, node: Any, scope: Scope) -> Any:
        self._query(node, self._visible, scope)
        return node

    def _query(
        self, node: Any, outer: Mapping[str, Columns | None], parent: Scope | None
    ) -> Columns | None:
        tables = dict(outer)
        with_clause = node.args.get("with_")
        if with_clause is not None:
            for cte in with_clause.expressions:
                if with_clause.args.get("recursive"):
                    tables[cte.alias.lower()] = None
                columns = self._query(cte.this, tables, parent)
                tables[cte.alias.lower()] = self._renamed(columns, cte)
        if isinstance(node, exp.Subquery):
            columns = self._query(node.this, tables, parent)
            self._modifiers(node, Scope(parent=parent), tables)
            return columns
        if isinstance(node, exp.SetOperation):
            parts = [
                self._query(node.this, tables, parent),
                self._query(node.expression, tables, parent),
            ]
            self._modifiers(node, Scope(parent=parent), tables)
            return merged(parts)
        if isinstance(node, exp.Select):
            return self._select(node, tables, parent)
        if isinstance(node, exp.Values):
            scope = Scope(parent=parent)
            node.set(
                "expressions", [self._expressions.rewrite(item, scope) for item in node.expressions]
            )
            return None
        raise Unsupported(f"a query of the form {type(node).__name__}")

    @staticmethod
    def _renamed(columns: Columns | None, node: Any) -> Columns | None:
        names = [item.name for item in node.args["alias"].args.get("columns") or []]
        if columns is None or not names:
            return columns
        return [(name, kind) for name, (_, kind) in zip(names, columns, strict=False)]

    _visible: Mapping[str, Columns | None] = {}

    def _modifiers(self, node: Any, scope: Scope, tables: Mapping[str, Columns | None]) -> None:
        before, self._visible = self._visible, tables
        for key in ("order", "limit", "offset"):
            value = node.args.get(key)
            if value is not None:
                node.set(key, self._expressions.rewrite(value, scope))
        self._visible = before

    def _select(
        self, node: Any, tables: Mapping[str, Columns | None], parent: Scope | None
    ) -> Columns | None:
        if node.args.get("into") is not None:
            raise Unsupported("SELECT ... INTO")
        scope = Scope(parent=parent)
        before, self._visible = self._visible, tables
        try:
            from_clause = node.args.get("from_")
            if from_clause is not None:
                from_clause.set("this", self._relation(from_clause.this, scope, tables))
            for join in node.args.get("joins") or []:
                self._join(join, scope, tables)
            for lateral in node.args.get("laterals") or []:
                lateral.set("this", self._expressions.rewrite(lateral.this, scope))
                if lateral.alias:
                    scope.add(lateral.alias, None)
            return self._clauses(node, scope)
        finally:
            self._visible = before

    def _join(self, join: Any, scope: Scope, tables: Mapping[str, Columns | None]) -> None:
        join.set("this", self._relation(join.this, scope, tables))
        if join.args.get("on") is not None:
            join.set("on", self._expressions.rewrite(join.args["on"], scope))

    def _clauses(self, node: Any, scope: Scope) -> Columns | None:
        rewrite = self._expressions.rewrite
        output: Columns | None = []
        items: list[Any] = []
        for item in node.expressions:
            columns, new = self._projection(item, scope)
            if self._short_star and columns is not None and self._is_star(item):
                columns, shown = self._without_hidden(item, columns)
                items += shown
            else:
                items.append(new)
            output = None if output is None or columns is None else output + columns
        node.set("expressions", items)
        for name, kind in output or []:
            scope.aliases.setdefault(name.lower(), kind)
        for key in ("where", "group", "having", "qualify", "order", "limit", "offset", "distinct"):
            value = node.args.get(key)
            if value is not None:
                node.set(key, rewrite(value, scope))
        windows = node.args.get("windows")
        if windows:
            node.set("windows", [rewrite(window, scope) for window in windows])
        return output

    @staticmethod
    def _is_star(item: Any) -> bool:
        return isinstance(item, exp.Star) or (
            isinstance(item, exp.Column) and isinstance(item.this, exp.Star)
        )

    @staticmethod
    def _without_hidden(item: Any, columns: Columns) -> tuple[Columns, list[Any]]:
        table = item.table if isinstance(item, exp.Column) else ""
        kept = [column for column in columns if not column[0].upper().startswith("__DORIS_")]
        return kept, [exp.column(name, table=table or None, quoted=True) for name, _ in kept]

    def _projection(self, item: Any, scope: Scope) -> tuple[Columns | None, Any]:
        if isinstance(item, exp.Star):
            return scope.star(""), item
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            return scope.star(item.table), item
        if isinstance(item, exp.Column):
            name = item.name
            new = self._expressions.rewrite(item, scope)
            return [(name, type_of(new))], new
        if isinstance(item, exp.Alias):
            new = self._expressions.rewrite(item, scope)
            return [(item.alias, type_of(new))], new
        # an outer query may ask for the column by the text of its expression
        name = str(
            item.sql(
                dialect="doris", normalize_functions="lower", unsupported_level=ErrorLevel.IGNORE
            )
        )
        new = self._expressions.rewrite(item, scope)
        kind = type_of(new)
        return [(name, kind)], exp.alias_(new, name, quoted=True)

    # -- FROM

    def _relation(self, node: Any, scope: Scope, tables: Mapping[str, Columns | None]) -> Any:
        if isinstance(node, exp.Table):
            return self._table(node, scope, tables)
        if isinstance(node, exp.Subquery):
            if isinstance(node.this, exp.Table):
                node.set("this", self._relation(node.this, scope, tables))
            else:
                columns = self._query(node.this, tables, scope)
                scope.add(
                    node.alias or f" {next(self._numbers)}", self._renamed_table(columns, node)
                )
        elif isinstance(node, (exp.Unnest, exp.Lateral)):
            scope.add(node.alias or f" {next(self._numbers)}", None)
        elif isinstance(node, exp.Values):
            self._query(node, tables, scope)
            scope.add(node.alias or f" {next(self._numbers)}", None)
        else:
            raise Unsupported(f"{node.sql(dialect='doris')[:60]} in FROM")
        for join in node.args.get("joins") or []:
            self._join(join, scope, tables)
        return node

    @classmethod
    def _renamed_table(cls, columns: Columns | None, node: Any) -> Columns | None:
        return columns if node.args.get("alias") is None else cls._renamed(columns, node)

    def _table(self, node: Any, scope: Scope, tables: Mapping[str, Columns | None]) -> Any:
        if not isinstance(node.this, exp.Identifier):
            raise Unsupported(f"the table function {node.sql(dialect='doris')[:60]}")
        name, database = node.name, node.db or None
        if database is None and name.lower() in tables:
            scope.add(node.alias or name, tables[name.lower()])
            for join in node.args.get("joins") or []:
                self._join(join, scope, tables)
            return node
        if database is None and name.lower() == "dual":
            found = Source(sql="SELECT 1 AS dummy", columns=())
            return self._placed(node, found, name, scope)
        hint = self._hints.get(name) if name.startswith(HINT_PREFIX) else None
        if hint is not None:
            name = hint.name
        if node.catalog and node.catalog not in ("internal", "def"):
            raise SyntaxFault(f"Unknown catalog '{node.catalog}'")
        found = self._sources.source(database, name, hint, hidden=self._hidden)
        return self._placed(node, found, name, scope)

    def _placed(self, node: Any, found: Source, name: str, scope: Scope) -> Any:
        """The relation as a CTE, and a reference to it in the place of the table."""
        tables = self._visible
        marker = f"__doris_source_{next(self._numbers)}"
        self._relations[marker] = found.sql
        alias = node.alias or name
        scope.add(alias, list(found.columns))
        replacement = exp.Table(
            this=exp.to_identifier(marker, quoted=True),
            alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)),
        )
        joins = node.args.get("joins")
        if joins:
            replacement.set("joins", joins)
            for join in joins:
                self._join(join, scope, tables)
        return replacement
