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
"""Which partitions and buckets a condition can reach.

Pruning is on the safe side: what it does not understand may be true everywhere.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from beam_doris.emulator.catalog import Partition, Table
from beam_doris.emulator.errors import DdlError
from beam_doris.emulator.literals import literal
from beam_doris.emulator.partitioning import item_key
from beam_doris.emulator.storage.placement import bucket_sql

_MAX_KEYS = 100
_FLIPPED = {exp.LT: exp.GT, exp.GT: exp.LT, exp.LTE: exp.GTE, exp.GTE: exp.LTE, exp.EQ: exp.EQ}
#: whether a condition without columns holds
Constant = Callable[[Any], "bool | None"]


@dataclass(frozen=True)
class Domain:
    """Values that a column can have in a partition; None as a bound is no bound."""

    low: Any = None
    high: Any = None
    high_inclusive: bool = True
    null: bool = False
    only_null: bool = False

    def may(self, kind: Any, key: Any) -> bool:
        """Whether ``column <kind> key`` can be true for one of the values."""
        if self.only_null:
            return False
        below_high = operator.le if self.high_inclusive else operator.lt
        if kind is exp.EQ:
            return (self.low is None or self.low <= key) and (
                self.high is None or bool(below_high(key, self.high))
            )
        if kind is exp.LT:
            return self.low is None or bool(self.low < key)
        if kind is exp.LTE:
            return self.low is None or bool(self.low <= key)
        if kind is exp.GT:
            return self.high is None or bool(self.high > key)
        return self.high is None or bool(
            self.high >= key if self.high_inclusive else self.high > key
        )


class Pruner:
    """Prunes one table by one condition.

    Args:
        table: the table.
        condition: syntax tree of the condition, None when there is none.
        constant: evaluates conditions without columns.
    """

    def __init__(self, table: Table, condition: Any, constant: Constant) -> None:
        self._table = table
        self._condition = condition
        self._constant = constant
        self._constants: dict[int, bool | None] = {}

    def partitions(self) -> list[Partition]:
        """Partitions that may hold rows."""
        if self._condition is None:
            return list(self._table.partitions)
        return [
            partition
            for partition in self._table.partitions
            if any(self._may(self._condition, one) for one in self._domains(partition))
        ]

    def buckets(self, run: Callable[[str], Any], counts: set[int]) -> dict[int, set[int]] | None:
        """By number of buckets, the buckets that equal keys lead to; None: all of them."""
        distribution = self._table.distribution
        if distribution.kind != "HASH" or self._condition is None:
            return None
        fixed = self._fixed()
        try:
            columns = [self._table.column(name) for name in distribution.columns]
            choices = [
                [literal(column.type, text) for text in fixed[column.name.lower()]]
                for column in columns
            ]
        except (KeyError, DdlError):
            return None
        found: dict[int, set[int]] = {count: set() for count in counts}
        combined = list(itertools.islice(itertools.product(*choices), _MAX_KEYS + 1))
        if len(combined) > _MAX_KEYS:
            return None
        for values in combined:
            by_name = {column.name: value for column, value in zip(columns, values, strict=True)}
            for count in counts:
                sql = bucket_sql(self._table, by_name.__getitem__, "0", str(count))
                found[count].add(run(sql))
        return found

    def _domains(self, partition: Partition) -> Iterator[Mapping[str, Domain]]:
        by = self._table.partition_by
        if by is None or partition.is_default:
            yield {}
            return
        names = [name.lower() for name in by.columns]
        types = [self._table.column(name).type for name in by.columns]
        if by.kind == "RANGE":
            yield {names[0]: _range_domain(partition, types[0], len(names))}
            return
        for items in partition.values or ():
            keys = [
                None if text is None else item_key(doris, text)
                for text, doris in zip(items, types, strict=True)
            ]
            yield {
                name: Domain(key, key, null=key is None, only_null=key is None)
                for name, key in zip(names, keys, strict=True)
            }

    def _may(self, node: Any, domains: Mapping[str, Domain]) -> bool:
        if isinstance(node, exp.Paren):
            return self._may(node.this, domains)
        if isinstance(node, exp.And):
            return self._may(node.left, domains) and self._may(node.right, domains)
        if isinstance(node, exp.Or):
            return self._may(node.left, domains) or self._may(node.right, domains)
        if node.find(exp.Column) is None:
            if id(node) not in self._constants:
                self._constants[id(node)] = self._constant(node)
            return self._constants[id(node)] is not False
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            domain = domains.get(_column_name(node.this))
            return domain is None or domain.null
        if isinstance(node, exp.In):
            items = node.expressions
            return not items or any(
                self._compare(exp.EQ, node.this, item, domains) for item in items
            )
        if isinstance(node, exp.Between):
            return self._compare(exp.GTE, node.this, node.args["low"], domains) and (
                self._compare(exp.LTE, node.this, node.args["high"], domains)
            )
        kind = type(node)
        if kind in _FLIPPED:
            if _column_name(node.left):
                return self._compare(kind, node.left, node.right, domains)
            return self._compare(_FLIPPED[kind], node.right, node.left, domains)
        return True

    def _compare(self, kind: Any, column: Any, value: Any, domains: Mapping[str, Domain]) -> bool:
        name = _column_name(column)
        domain = domains.get(name)
        text = literal_text(value)
        if domain is None or text is None:
            return True
        try:
            return domain.may(kind, item_key(self._table.column(name).type, text))
        except (DdlError, TypeError):
            return True

    def _fixed(self) -> dict[str, list[str]]:
        """Columns that the condition fixes to one or a few texts."""
        fixed: dict[str, list[str]] = {}
        for node in _conjuncts(self._condition):
            if isinstance(node, exp.EQ):
                for column, value in ((node.left, node.right), (node.right, node.left)):
                    text = literal_text(value)
                    if _column_name(column) and text is not None:
                        fixed.setdefault(_column_name(column), [text])
            elif isinstance(node, exp.In) and node.expressions and _column_name(node.this):
                texts = [literal_text(item) for item in node.expressions]
                known = [text for text in texts if text is not None]
                if len(known) == len(texts):
                    fixed.setdefault(_column_name(node.this), known)
        return fixed


def _range_domain(partition: Partition, doris: Any, width: int) -> Domain:
    low = high = None
    if partition.lower and partition.lower[0] is not None:
        low = item_key(doris, partition.lower[0])
    if partition.upper and partition.upper[0] is not None:
        high = item_key(doris, partition.upper[0])
    # NULL is the smallest value: it lives in the partition without a lower bound
    return Domain(low, high, high_inclusive=width > 1, null=partition.lower is None)


def _conjuncts(node: Any) -> Sequence[Any]:
    if isinstance(node, exp.Paren):
        return _conjuncts(node.this)
    if isinstance(node, exp.And):
        return [*_conjuncts(node.left), *_conjuncts(node.right)]
    return [node]


def _column_name(node: Any) -> str:
    while isinstance(node, exp.Paren):
        node = node.this
    return node.name.lower() if isinstance(node, exp.Column) else ""


def literal_text(node: Any) -> str | None:
    """The text of a literal or a negative number; None for anything else."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Literal):
        return str(node.this)
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
        return f"-{node.this.this}"
    if isinstance(node, exp.Boolean):
        return "1" if node.this else "0"
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
        return str(node.this.this)
    return None
