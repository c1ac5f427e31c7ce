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
"""Scalar and aggregate expressions of Doris, turned into DuckDB's.

A tree of sqlglot is rewritten from the leaves up. Each node may carry the Doris type of its value;
where DuckDB means something else by the same words, the node is replaced by plain DuckDB text.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from beam_doris.emulator.sql import prepare
from beam_doris.emulator.sql.convert import cast_sql, is_text, parse_sql
from beam_doris.emulator.sql.folding import folded
from beam_doris.emulator.sql.function_types import RENAMED, RESULT_TYPES, common_type, promoted
from beam_doris.emulator.sql.nodes import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INT,
    TEXT,
    as_sql,
    duck,
    raw,
)
from beam_doris.emulator.sql.render import literal
from beam_doris.emulator.sql.scope import Scope, type_of, typed
from beam_doris.emulator.sql.time_expressions import TimeExpressions
from beam_doris.emulator.sql.tokens import SyntaxFault, Unsupported
from beam_doris.emulator.types import INTEGERS, DorisType, Kind, parse_type


class ExpressionRewriter(TimeExpressions):
    """Rewrites expressions; queries inside of them go to ``subquery``."""

    def __init__(
        self, now: datetime.datetime, subquery: Callable[[Any, Scope], Any] | None = None
    ) -> None:
        super().__init__(now)
        self._subquery = subquery
        self._handlers = _handlers()

    def rewrite(self, node: Any, scope: Scope) -> Any:
        if isinstance(node, (exp.Query, exp.Subquery)):
            if self._subquery is None:
                raise Unsupported("a query inside this expression")
            return self._subquery(node, scope)
        for key, value in list(node.args.items()):
            if isinstance(value, exp.Expression):
                node.set(key, self.rewrite(value, scope))
            elif isinstance(value, list):
                node.set(key, [self._item(item, scope) for item in value])
        handler = self._handlers.get(type(node).__name__)
        return node if handler is None else handler(self, node, scope)

    def _item(self, item: Any, scope: Scope) -> Any:
        return self.rewrite(item, scope) if isinstance(item, exp.Expression) else item

    # -- names and literals

    def column(self, node: Any, scope: Scope) -> Any:
        table = node.table or ""
        for part in ("db", "catalog"):
            node.set(part, None)
        kind = scope.find(table, node.name)
        if kind is None and not table and node.name.lower() in ("current_user", "session_user"):
            return node
        return typed(node, kind)

    def literal(self, node: Any, _scope: Scope) -> Any:
        if node.is_string:
            return typed(node, TEXT)
        text = node.name
        if text.isdigit():
            size = int(text)
            for kind, bits in zip(INTEGERS, (7, 15, 31, 63, 127), strict=True):
                if size < 1 << bits:
                    return typed(node, DorisType(kind))
            raise SyntaxFault(f"Number out of range[{text}]. type: largeint")
        if "e" in text.lower():
            return typed(node, DOUBLE)
        whole, _, fraction = text.partition(".")
        precision = max(len(whole.lstrip("0")) + len(fraction), 1)
        if precision > 38:
            return typed(node, DOUBLE)
        return typed(node, DorisType(Kind.DECIMAL, precision=precision, scale=len(fraction)))

    def collate(self, node: Any, _scope: Scope) -> Any:
        """Doris has one collation: the clause changes nothing."""
        return node.this

    def null(self, node: Any, _scope: Scope) -> Any:
        return typed(node, DorisType(Kind.NULL))

    def same(self, node: Any, _scope: Scope) -> Any:
        return typed(node, type_of(node.this))

    def boolean(self, node: Any, _scope: Scope) -> Any:
        return typed(node, BOOLEAN)

    # -- casts

    def anonymous(self, node: Any, scope: Scope) -> Any:
        name = str(node.this).lower()
        if name == prepare.CAST:
            return self.cast(node.expressions[1], parse_cast_type(node.expressions[0].name))
        if name == prepare.MAP:
            keys = ", ".join(duck(item) for item in node.expressions[0::2])
            values = ", ".join(duck(item) for item in node.expressions[1::2])
            kinds = (
                common_type([type_of(item) for item in node.expressions[0::2]]),
                common_type([type_of(item) for item in node.expressions[1::2]]),
            )
            kind = None
            if kinds[0] is not None and kinds[1] is not None:
                kind = DorisType(Kind.MAP, children=(kinds[0], kinds[1]))
            return raw(f"MAP([{keys}], [{values}])", kind)
        if name == prepare.STRUCT:
            return self.struct(node, [f"col{at + 1}" for at in range(len(node.expressions))])
        if name == "named_struct":
            names = [item.name for item in node.expressions[0::2]]
            node.set("expressions", node.expressions[1::2])
            return self.struct(node, names)
        return self._call(node, name, scope)

    def struct(self, node: Any, names: list[str]) -> Any:
        parts = ", ".join(
            f"{literal(name)}: {duck(item)}"
            for name, item in zip(names, node.expressions, strict=True)
        )
        kinds = [type_of(item) for item in node.expressions]
        kind = None
        if all(item is not None for item in kinds):
            children = tuple(item for item in kinds if item is not None)
            kind = DorisType(Kind.STRUCT, children=children, names=tuple(names))
        return raw("{" + parts + "}", kind)

    def cast(self, operand: Any, target: DorisType) -> Any:
        if target.kind in (Kind.CHAR, Kind.VARCHAR):
            return raw(f"left({as_sql(operand, target)}, {target.length})", target)
        if isinstance(operand, exp.Literal) and operand.is_string:
            constant = folded(operand.name, target)
            if constant is not None:
                return raw(constant, target)
        return raw(cast_sql(f"({duck(operand)})", type_of(operand), target), target)

    def plain_cast(self, node: Any, _scope: Scope) -> Any:
        """A cast that sqlglot made, such as DATE '2024-01-01'."""
        text = node.args["to"].sql(dialect="doris")
        if text.upper().startswith("TIMESTAMP"):
            text = "DATETIME(6)" if "." in node.this.name else "DATETIME"
        return self.cast(node.this, parse_cast_type(text))

    def _call(self, node: Any, name: str, _scope: Scope) -> Any:
        arguments = node.expressions
        kinds = [type_of(item) for item in arguments]
        if name in ("now", "current_timestamp", "localtime", "localtimestamp", "sysdate"):
            return self._moment(int(arguments[0].name) if arguments else 0)
        if name in ("curdate", "current_date"):
            return self.today(node, _scope)
        if name in ("size", "cardinality", "array_size", "map_size"):
            function = "cardinality" if kinds and kinds[0] and kinds[0].kind is Kind.MAP else "len"
            return raw(f"CAST({function}({duck(arguments[0])}) AS BIGINT)", BIGINT)
        if name in ("array_map", "array_filter"):
            # sqlglot reads the arrow of a lambda as a JSON path
            raise Unsupported(f"the function {name}")
        if name == "element_at":
            return self.bracket(exp.Bracket(this=arguments[0], expressions=arguments[1:]), _scope)
        if name in ("unix_timestamp",) and not arguments:
            seconds = int(self._now.replace(tzinfo=datetime.timezone.utc).timestamp())
            return raw(str(seconds), INT)
        node.set("this", RENAMED.get(name, name))
        kind = RESULT_TYPES.get(name)
        if kind is None and name.endswith(("_add", "_sub")) and kinds:
            kind = self._moved(kinds[0], name.split("s_", 1)[0].upper())
        return typed(node, kind)

    # -- numbers

    @staticmethod
    def _number(node: Any) -> Any:
        """A text that is computed with is read as a DOUBLE."""
        kind = type_of(node)
        if kind is None or not is_text(kind):
            return node
        return raw(parse_sql(f"({duck(node)})", DOUBLE), DOUBLE)

    def arithmetic(self, node: Any, _scope: Scope) -> Any:
        if not isinstance(node.expression, exp.Interval):
            node.set("this", self._number(node.this))
            node.set("expression", self._number(node.expression))
        left, right = type_of(node.this), type_of(node.expression)
        if isinstance(node.expression, exp.Interval):
            verb = exp.DateAdd if isinstance(node, exp.Add) else exp.DateSub
            moved = verb(this=node.this, expression=node.expression.this)
            moved.set("unit", node.expression.args.get("unit"))
            return self.move(moved, _scope)
        kind = promoted(left, right)
        if kind is None or (node.this.is_number and node.expression.is_number):
            return typed(node, kind)
        # Doris widens integers before it computes, DuckDB would overflow
        node.set("this", raw(f"CAST({duck(node.this)} AS {kind.physical()})", kind))
        return typed(node, kind)

    def division(self, node: Any, _scope: Scope) -> Any:
        left, right = duck(self._number(node.this)), duck(self._number(node.expression))
        return raw(f"(({left}) / NULLIF({right}, 0))")

    def total(self, node: Any, _scope: Scope) -> Any:
        if isinstance(node.parent, exp.Window):
            # the cast belongs around the whole window
            return node
        return self._summed(node, node)

    def window(self, node: Any, _scope: Scope) -> Any:
        if isinstance(node.this, exp.Sum):
            return self._summed(node, node.this)
        return typed(node, type_of(node.this))

    @staticmethod
    def _summed(node: Any, total: Any) -> Any:
        argument = total.this
        kind = type_of(argument.expressions[0] if isinstance(argument, exp.Distinct) else argument)
        if kind is None or kind.kind not in (*INTEGERS, Kind.BOOLEAN):
            return node
        result = DorisType(Kind.LARGEINT) if kind.kind is Kind.LARGEINT else BIGINT
        if kind.kind is Kind.BOOLEAN:
            total.set("this", raw(f"CAST({duck(argument)} AS INTEGER)"))
        return raw(f"CAST({duck(node)} AS {result.physical()})", result)

    def count(self, node: Any, _scope: Scope) -> Any:
        return typed(node, BIGINT)

    # -- texts

    def length(self, node: Any, _scope: Scope) -> Any:
        text = as_sql(node.this, TEXT)
        if node.args.get("binary"):
            return raw(f"CAST(strlen({text}) AS INTEGER)", INT)
        return raw(f"CAST(length({text}) AS INTEGER)", INT)

    def concat(self, node: Any, _scope: Scope) -> Any:
        parts = " || ".join(f"({as_sql(item, TEXT)})" for item in node.expressions)
        return raw(f"({parts})", TEXT)

    def group_concat(self, node: Any, _scope: Scope) -> Any:
        separator = node.args.get("separator")
        inner, order = node.this, ""
        if isinstance(inner, exp.Order):
            order = " " + duck(exp.Order(expressions=inner.expressions))
            inner = inner.this
        mark = "', '" if separator is None else duck(separator)
        distinct = ""
        if isinstance(inner, exp.Distinct):
            distinct, inner = "DISTINCT ", inner.expressions[0]
        return raw(f"string_agg({distinct}{as_sql(inner, TEXT)}, {mark}{order})", TEXT)

    def like(self, node: Any, _scope: Scope) -> Any:
        """A backslash escapes in Doris' LIKE without being asked to."""
        verb = "NOT LIKE" if node.args.get("negate") else "LIKE"
        sql = f"({as_sql(node.this, TEXT)} {verb} {duck(node.expression)} ESCAPE '\\')"
        return raw(sql, BOOLEAN)

    # -- comparisons

    def comparison(self, node: Any, _scope: Scope) -> Any:
        left, right = node.this, node.expression
        node.set("this", self._aligned(left, right))
        node.set("expression", self._aligned(right, left))
        return typed(node, BOOLEAN)

    def between(self, node: Any, _scope: Scope) -> Any:
        for key in ("low", "high"):
            node.set(key, self._aligned(node.args[key], node.this))
        return typed(node, BOOLEAN)

    def membership(self, node: Any, _scope: Scope) -> Any:
        if node.expressions:
            items = [self._aligned(item, node.this) for item in node.expressions]
            node.set("expressions", items)
        return typed(node, BOOLEAN)

    @staticmethod
    def _aligned(node: Any, other: Any) -> Any:
        """A text next to an address, a date or a document is read as such."""
        kind, wanted = type_of(node), type_of(other)
        if kind is None or wanted is None or kind == wanted:
            return node
        if kind.kind in (Kind.VARIANT, Kind.JSON) and wanted.kind not in (Kind.VARIANT, Kind.JSON):
            return raw(cast_sql(f"({duck(node)})", kind, wanted), wanted)
        if not is_text(kind):
            return node
        if wanted.kind in (*INTEGERS, Kind.FLOAT, Kind.DOUBLE, Kind.DECIMAL, Kind.DECIMALV2):
            whole = node.is_string and node.name.strip().lstrip("+-").isdigit()
            target = DorisType(Kind.LARGEINT) if whole else DOUBLE
            return raw(parse_sql(f"({duck(node)})", target), target)
        if wanted.kind in (Kind.IPV4, Kind.IPV6, Kind.BOOLEAN):
            return raw(parse_sql(f"({duck(node)})", wanted), wanted)
        if wanted.kind in (Kind.DATE, Kind.DATETIME):
            long = DorisType(Kind.DATETIME, scale=6)
            target = DATE if node.is_string and len(node.name) <= 10 else long
            return raw(parse_sql(f"({duck(node)})", target), target)
        return node

    # -- choices

    @staticmethod
    def _unified(items: list[Any]) -> tuple[list[Any], DorisType | None]:
        """Values of one type: a text among numbers makes all of them texts."""
        kinds = [type_of(item) for item in items]
        kind = common_type(kinds)
        known = [item for item in kinds if item is not None]
        if kind is None and len(known) == len(kinds) and any(is_text(item) for item in known):
            shown = [
                item if item_kind is None or is_text(item_kind) or item_kind.kind is Kind.NULL
                else raw(cast_sql(f"({duck(item)})", item_kind, TEXT), TEXT)
                for item, item_kind in zip(items, kinds, strict=True)
            ]  # fmt: skip
            return shown, TEXT
        return items, kind

    def choice(self, node: Any, _scope: Scope) -> Any:
        """CASE and IF."""
        single = isinstance(node, exp.If)
        if single and isinstance(node.parent, exp.Case):
            return node
        holders = [(node, "true")] if single else [(item, "true") for item in node.args["ifs"]]
        key = "false" if single else "default"
        if node.args.get(key) is not None:
            holders.append((node, key))
        items, kind = self._unified([holder.args[name] for holder, name in holders])
        for (holder, name), item in zip(holders, items, strict=True):
            holder.set(name, item)
        return typed(node, kind)

    def coalesce(self, node: Any, _scope: Scope) -> Any:
        items, kind = self._unified([node.this, *node.expressions])
        node.set("this", items[0])
        node.set("expressions", items[1:])
        return typed(node, kind)

    # -- collections

    def bracket(self, node: Any, _scope: Scope) -> Any:
        kind = type_of(node.this)
        index = node.expressions[0]
        x = duck(node.this)
        if kind is not None and kind.kind in (Kind.VARIANT, Kind.JSON):
            if index.is_string:
                path = '$."' + index.name + '"'
            else:
                path = f"$[{duck(index)}]"
            return raw(f"CAST(json_extract({x}, {literal(path)}) AS VARCHAR)", kind)
        if kind is not None and kind.kind is Kind.MAP:
            return raw(f"({x})[{as_sql(index, kind.children[0])}]", kind.children[1])
        if kind is not None and kind.kind is Kind.STRUCT:
            return self._field(x, kind, index)
        if kind is not None and kind.kind is Kind.ARRAY:
            return raw(f"({x})[{duck(index)}]", kind.children[0])
        return node

    @staticmethod
    def _field(x: str, kind: DorisType, index: Any) -> Any:
        name = index.name if index.is_string else kind.names[int(index.name) - 1]
        for field, child in zip(kind.names, kind.children, strict=True):
            if field.lower() == name.lower():
                return raw(f"struct_extract({x}, {literal(field)})", child)
        raise SyntaxFault(f"the specified field name {name} was not found: {kind.shown()}")

    def array(self, node: Any, _scope: Scope) -> Any:
        child = common_type([type_of(item) for item in node.expressions])
        if child is not None:
            return typed(node, DorisType(Kind.ARRAY, children=(child,)))
        return node


def parse_cast_type(text: str) -> DorisType:
    """The target of a CAST; CHAR without a length, SIGNED and INTEGER come from MySQL."""
    word = text.upper().partition(" CHARACTER SET")[0].strip()
    text = text[: len(word)] if text.upper().startswith(word) else text
    if word in ("CHAR", "VARCHAR", "STRING", "TEXT"):
        return DorisType(Kind.STRING)
    if word in ("SIGNED", "SIGNED INTEGER", "SIGNED INT"):
        return BIGINT
    if word in ("UNSIGNED", "UNSIGNED INTEGER"):
        return DorisType(Kind.LARGEINT)
    return parse_type(text)


def _handlers() -> dict[str, Callable[[ExpressionRewriter, Any, Scope], Any]]:
    r = ExpressionRewriter
    table: dict[str, Callable[[ExpressionRewriter, Any, Scope], Any]] = {
        "Column": r.column, "Literal": r.literal, "Anonymous": r.anonymous, "Cast": r.plain_cast,
        "TryCast": r.plain_cast, "CurrentTimestamp": r.now, "CurrentDatetime": r.now,
        "Localtimestamp": r.now, "Localtime": r.now, "CurrentDate": r.today, "DateDiff": r.difference,
        "TsOrDsToDate": r.to_date, "StrToTime": r.parsed_time, "StrToDate": r.parsed_time,
        "TimeToStr": r.shown_time, "UnixToTime": r.from_unixtime, "UnixToStr": r.from_unixtime,
        "Div": r.division, "Sum": r.total, "Count": r.count, "Length": r.length,
        "Concat": r.concat, "GroupConcat": r.group_concat, "Like": r.like, "Between": r.between,
        "In": r.membership, "Case": r.choice, "If": r.choice, "Coalesce": r.coalesce,
        "Bracket": r.bracket, "Array": r.array, "Null": r.null, "Collate": r.collate,
        "Window": r.window, "TimestampTrunc": r.truncated, "DateTrunc": r.truncated,
        "Greatest": r.coalesce, "Least": r.coalesce, "AddMonths": r.move, "Nullif": r.same,
        "Extract": r.extract,
    }  # fmt: skip
    for name in ("Paren", "Neg", "Min", "Max", "AnyValue", "Alias", "First", "Last", "Lower", "Upper",
                 "Abs"):  # fmt: skip
        table[name] = r.same
    for name in ("EQ", "NEQ", "GT", "GTE", "LT", "LTE", "NullSafeEQ", "NullSafeNEQ"):
        table[name] = r.comparison
    for name in ("Add", "Sub", "Mul"):
        table[name] = r.arithmetic
    for name in ("DateAdd", "DateSub", "TsOrDsAdd", "TimestampAdd", "TimestampSub"):
        table[name] = r.move
    for name in ("Boolean", "And", "Or", "Not", "Is", "Exists", "RegexpLike"):
        table[name] = r.boolean
    for name in ("Year", "Month", "Day", "Hour", "Minute", "Second", "Quarter"):
        table[name] = r.part
    return table
