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
"""Typed conditions: `(col("age") > 18) & col("name").like("A%")`.

A condition is an immutable tree; `beam_doris.schema.expression_sql` prints it as Doris SQL and
`beam_doris.schema.expression_check` compares it with a table.

As in SQL, a comparison with a NULL cell is unknown, and a row is taken only where the condition is
true: `col("a") != 1` and `~(col("a") == 1)` both leave out the rows whose `a` is NULL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from beam_doris.errors import ConfigError
from beam_doris.schema.constants import Constant, Scalar

__all__ = [
    "And",
    "Between",
    "ColumnName",
    "Comparison",
    "Condition",
    "Constant",
    "FilterColumn",
    "IsIn",
    "IsNull",
    "Like",
    "Not",
    "Or",
    "Term",
    "col",
]

_SUBJECT = "filter"
_OPERATORS = frozenset({"=", "!=", "<", "<=", ">", ">="})
_ADVICE = (
    "a condition has no truth value in Python: join conditions with & | ~ instead of and, or, not, "
    "give each its own parentheses, and write col(...).between(a, b) instead of a <= col(...) <= b"
)


@dataclass(frozen=True, slots=True)
class ColumnName:
    """A column as a part of a condition."""

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ConfigError(
                f"a column's name is a str, not {type(self.name).__name__}", subject=_SUBJECT
            )
        if not self.name.strip() or any(ord(character) < 0x20 for character in self.name):
            raise ConfigError(f"{self.name!r} is no column's name", subject=_SUBJECT)

    def __repr__(self) -> str:
        return f"col({self.name!r})"


Term = ColumnName | Constant


class Condition:
    """What is true, false or unknown of a row; made by the operators of `col`."""

    __slots__ = ()

    def __and__(self, other: Condition | FilterColumn) -> Condition:
        return _joined(And, self, other)

    def __rand__(self, other: Condition | FilterColumn) -> Condition:
        return _joined(And, other, self)

    def __or__(self, other: Condition | FilterColumn) -> Condition:
        return _joined(Or, self, other)

    def __ror__(self, other: Condition | FilterColumn) -> Condition:
        return _joined(Or, other, self)

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(_ADVICE)

    def columns(self) -> frozenset[str]:
        """The names of all columns that it mentions.

        Example:
            >>> sorted(((col("a") > 1) | col("b").is_null()).columns())
            ['a', 'b']
        """
        return frozenset(
            term.name
            for leaf in leaves(self)
            for term in leaf.terms()
            if isinstance(term, ColumnName)
        )


@dataclass(frozen=True, slots=True)
class And(Condition):
    """All of several conditions."""

    parts: tuple[Condition, ...]

    def __repr__(self) -> str:
        return " & ".join(f"({part!r})" for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Condition):
    """Any of several conditions."""

    parts: tuple[Condition, ...]

    def __repr__(self) -> str:
        return " | ".join(f"({part!r})" for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """The opposite; unknown stays unknown."""

    part: Condition

    def __repr__(self) -> str:
        return f"~({self.part!r})"


class Leaf(Condition):
    """A condition that holds no other."""

    __slots__ = ()

    def terms(self) -> tuple[Term, ...]:
        """The columns and constants in it."""
        raise AssertionError("every kind of condition tells its terms")


@dataclass(frozen=True, slots=True)
class Comparison(Leaf):
    """Two terms and one of = != < <= > >=."""

    left: Term
    operator: str
    right: Term

    def __post_init__(self) -> None:
        if self.operator not in _OPERATORS:
            raise ConfigError(f"{self.operator!r} is no comparison", subject=_SUBJECT)

    def terms(self) -> tuple[Term, ...]:
        return (self.left, self.right)

    def __repr__(self) -> str:
        sign = "==" if self.operator == "=" else self.operator
        return f"{self.left!r} {sign} {self.right!r}"


@dataclass(frozen=True, slots=True)
class IsIn(Leaf):
    """A column's value is one of a list; an empty list holds no value, not even NULL."""

    column: ColumnName
    values: tuple[Constant, ...]
    negated: bool = False

    def terms(self) -> tuple[Term, ...]:
        return (self.column, *self.values)

    def __repr__(self) -> str:
        method = "not_in" if self.negated else "isin"
        return f"{self.column!r}.{method}([{', '.join(map(repr, self.values))}])"


@dataclass(frozen=True, slots=True)
class Between(Leaf):
    """A column's value lies between two others, or is one of them."""

    column: ColumnName
    low: Term
    high: Term

    def terms(self) -> tuple[Term, ...]:
        return (self.column, self.low, self.high)

    def __repr__(self) -> str:
        return f"{self.column!r}.between({self.low!r}, {self.high!r})"


@dataclass(frozen=True, slots=True)
class Like(Leaf):
    """A text matches a pattern of % (any text) and _ (one character)."""

    column: ColumnName
    pattern: str

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str):
            raise ConfigError(
                f"a LIKE pattern is a str, not {type(self.pattern).__name__}", subject=_SUBJECT
            )
        Constant(self.pattern)
        rest = self.pattern.replace("\\\\", "").replace("\\%", "").replace("\\_", "")
        if "\\" in rest:
            # servers differ in what a backslash before anything else means
            raise ConfigError(
                r"a backslash in a LIKE pattern stands before %, _ or \ only", subject=_SUBJECT
            )

    def terms(self) -> tuple[Term, ...]:
        return (self.column,)

    def __repr__(self) -> str:
        return f"{self.column!r}.like({self.pattern!r})"


@dataclass(frozen=True, slots=True)
class IsNull(Leaf):
    """A column is NULL, or is not."""

    column: ColumnName
    negated: bool = False

    def terms(self) -> tuple[Term, ...]:
        return (self.column,)

    def __repr__(self) -> str:
        return f"{self.column!r}.{'is_not_null' if self.negated else 'is_null'}()"


def leaves(condition: Condition) -> Iterable[Leaf]:
    """The conditions of a tree that hold no others, from left to right."""
    waiting = [condition]
    while waiting:
        current = waiting.pop()
        if isinstance(current, (And, Or)):
            waiting.extend(reversed(current.parts))
        elif isinstance(current, Not):
            waiting.append(current.part)
        elif isinstance(current, Leaf):
            yield current


def _joined(
    kind: type[And] | type[Or], left: Condition | FilterColumn, right: Condition | FilterColumn
) -> Condition:
    """One flat list per operator, so that long chains do not become deep trees."""
    parts: list[Condition] = []
    for side in (left, right):
        made = _condition(side)
        parts += made.parts if isinstance(made, kind) else (made,)
    return kind(tuple(parts))


def _condition(side: object) -> Condition:
    """A condition as it is, a BOOLEAN column as one."""
    if isinstance(side, FilterColumn):
        return Comparison(side.term, "=", Constant(True))
    if isinstance(side, Condition):
        return side
    raise TypeError(
        f"& and | join conditions, not a {type(side).__name__}; they bind tighter than comparisons: "
        'write (col("a") > 1) & (col("b") > 2)'
    )


class FilterColumn:
    """A column that conditions are made of; see `col`."""

    __slots__ = ("term",)

    term: ColumnName

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "term", ColumnName(name))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: Scalar | FilterColumn) -> Condition:  # type: ignore[override]
        return self._compared("=", other)

    def __ne__(self, other: Scalar | FilterColumn) -> Condition:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: Scalar | FilterColumn) -> Condition:
        return self._compared("<", other)

    def __le__(self, other: Scalar | FilterColumn) -> Condition:
        return self._compared("<=", other)

    def __gt__(self, other: Scalar | FilterColumn) -> Condition:
        return self._compared(">", other)

    def __ge__(self, other: Scalar | FilterColumn) -> Condition:
        return self._compared(">=", other)

    def __and__(self, other: Condition | FilterColumn) -> Condition:
        return _joined(And, self, other)

    def __or__(self, other: Condition | FilterColumn) -> Condition:
        return _joined(Or, self, other)

    def __rand__(self, other: Condition | FilterColumn) -> Condition:
        return _joined(And, other, self)

    def __ror__(self, other: Condition | FilterColumn) -> Condition:
        return _joined(Or, other, self)

    def __invert__(self) -> Condition:
        return Not(Comparison(self.term, "=", Constant(True)))

    def __bool__(self) -> NoReturn:
        raise TypeError(_ADVICE)

    __hash__ = None  # type: ignore[assignment]  # == makes a condition: no use as a key

    def __reduce__(self) -> tuple[type[FilterColumn], tuple[str]]:
        return (FilterColumn, (self.term.name,))

    def __repr__(self) -> str:
        return repr(self.term)

    def isin(self, values: Iterable[Scalar]) -> Condition:
        """Whether the value is one of these; of an empty list, none ever is.

        Raises:
            ConfigError: the list holds None: IN never finds NULL; add `| col(...).is_null()`.
        """
        return IsIn(self.term, _constants(values))

    def not_in(self, values: Iterable[Scalar]) -> Condition:
        """Whether the value is none of these; NULL is unknown unless the list is empty."""
        return IsIn(self.term, _constants(values), negated=True)

    def between(self, low: Scalar | FilterColumn, high: Scalar | FilterColumn) -> Condition:
        """Whether the value is at least `low` and at most `high`."""
        return Between(self.term, _term(low), _term(high))

    def like(self, pattern: str) -> Condition:
        r"""Whether a text matches; % is any text, _ one character, and \ makes either plain."""
        return Like(self.term, pattern)

    def is_null(self) -> Condition:
        """Whether the cell is NULL."""
        return IsNull(self.term)

    def is_not_null(self) -> Condition:
        """Whether the cell is not NULL."""
        return IsNull(self.term, negated=True)

    def _compared(self, operator: str, other: Scalar | FilterColumn) -> Condition:
        return Comparison(self.term, operator, _term(other))


def col(name: str) -> FilterColumn:
    """A column for a typed filter.

    Literals may be str, int, float, bool, Decimal, date, datetime without a zone, and IP addresses.
    A BOOLEAN column is a condition by itself.

    Example:
        >>> from beam_doris.schema.expression_sql import condition_sql
        >>> condition_sql((col("age") > 18) & ~col("name").like("A%"))
        "((`age` > 18) AND (NOT (`name` LIKE 'A%')))"
    """
    return FilterColumn(name)


def _term(value: Scalar | FilterColumn) -> Term:
    return value.term if isinstance(value, FilterColumn) else Constant(value)


def _constants(values: Iterable[Scalar]) -> tuple[Constant, ...]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ConfigError("isin takes a list of values, not a single one", subject=_SUBJECT)
    found = list(values)
    if any(value is None for value in found):
        raise ConfigError(
            "a list for isin holds None, which SQL's IN never finds",
            subject=_SUBJECT,
            hint="write col(...).isin([...]) | col(...).is_null()",
        )
    return tuple(Constant(value) for value in found)
