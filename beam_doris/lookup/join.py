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
"""Elements and the rows they match made into one element of the same kind."""

from __future__ import annotations

import collections
import collections.abc
import functools
import keyword
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Any

import apache_beam as beam

from beam_doris.beam_support.beam_rows import row_converter
from beam_doris.errors import ConfigError, RowEncodingError
from beam_doris.lookup.spec import ClashRule, Join, LookupSpec, Matches, OnClash


@dataclass(frozen=True)
class JoinRule:
    """How elements and rows are put together.

    Args:
        join: What becomes of elements without a match.
        matches: What becomes of elements with several.
        on_clash: What happens when both sides have a name.
        names: The looked up columns, by the names that the output has for them.
        fields: The elements' fields with the keys.
        table: Where rows come from, for messages.
        row_converters: What makes the values of nested columns those of a `beam.Row`.
    """

    join: Join
    matches: Matches
    on_clash: OnClash
    names: tuple[str, ...]
    fields: tuple[str, ...]
    table: str
    row_converters: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)

    @staticmethod
    def of(spec: LookupSpec, join: Join, on_clash: OnClash) -> JoinRule:
        """The rule of a lookup."""
        return JoinRule(
            join=join,
            matches=spec.matches,
            on_clash=on_clash,
            names=spec.names,
            fields=spec.fields,
            table=spec.table,
            row_converters={
                name: convert
                for name, column in zip(spec.names, spec.columns.columns, strict=True)
                if (convert := row_converter(column.type)) is not None
            },
        )

    def chosen(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The rows that an element goes on with; none when it is left out.

        Raises:
            RowEncodingError: several match, and that is an error.
        """
        if not rows:
            return () if self.join is Join.INNER else (self.nothing,)
        if len(rows) > 1 and self.matches is Matches.ERROR:
            raise RowEncodingError("more than one row matches the key", table=self.table)
        return rows

    @functools.cached_property
    def nothing(self) -> dict[str, Any]:
        """What stands for a row when none matches."""
        return dict.fromkeys(self.names)

    def for_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The values as a `beam.Row` holds them: a STRUCT is a row of its own."""
        if not self.row_converters:
            return row
        return {**row, **{name: make(row[name]) for name, make in self.row_converters.items()}}

    def clash(self, names: Iterable[str]) -> RowEncodingError:
        """The error of an element that has a field of these names."""
        listed = ", ".join(sorted(names))
        return RowEncodingError(
            f"the element has fields with the names of looked up columns: {listed}",
            table=self.table,
            hint=CLASH_HINT,
        )


CLASH_HINT = (
    'choose other columns=, or say what shall happen with on_clash="prefix:...", "keep_left" or '
    '"take_right"'
)


def joined_fields(left: Sequence[str], right: Sequence[str], on_clash: OnClash) -> tuple[str, ...]:
    """The names of an output, in order: those of the element, then those that it has not.

    Raises:
        ConfigError: a name is on both sides, and that is an error.
    """
    both = [name for name in right if name in left]
    if both and on_clash.rule in (ClashRule.ERROR, ClashRule.PREFIX):
        raise ConfigError(
            f"the elements have fields with the names of looked up columns: {', '.join(both)}",
            hint=CLASH_HINT,
        )
    return (*left, *[name for name in right if name not in left])


class Joiner(typing.Protocol):
    """Puts one kind of element together with rows."""

    extract: Callable[[Any], Any]
    """The raw key of an element: the value, or a tuple of several."""

    def join(self, element: Any, row: Mapping[str, Any]) -> Any:
        """The element with one row."""


class DictJoiner:
    """Dicts; their keys may differ from element to element, so clashes are looked for in each."""

    def __init__(self, rule: JoinRule) -> None:
        self._rule = rule
        self.extract: Callable[[Any], Any] = itemgetter(*rule.fields)
        self._width = len(rule.names)

    def join(self, element: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the element, then the columns."""
        made = {**element, **row}
        if len(made) != len(element) + len(row):
            return self._clashed(element, made)
        return made

    def _clashed(self, element: Mapping[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        rule = self._rule.on_clash.rule
        if rule is ClashRule.TAKE_RIGHT:
            return made
        if rule is ClashRule.KEEP_LEFT:
            made.update(element)
            return made
        raise self._rule.clash(set(element) & set(self._rule.names))


class RowJoiner:
    """`beam.Row`, and the named tuples that Beam's coder makes of them."""

    def __init__(self, rule: JoinRule) -> None:
        self._inner = DictJoiner(rule)
        self.extract: Callable[[Any], Any] = attrgetter(*rule.fields)
        self._rule = rule

    def join(self, element: Any, row: Mapping[str, Any]) -> beam.Row:
        """A row with the fields of both."""
        fields = element.as_dict() if isinstance(element, beam.Row) else element._asdict()
        return beam.Row(**self._inner.join(fields, self._rule.for_row(row)))


class NamedTupleJoiner:
    """Named tuples of one class."""

    def __init__(self, rule: JoinRule, kind: Any) -> None:
        self.extract: Callable[[Any], Any] = attrgetter(*rule.fields)
        left = kind._fields
        names = joined_fields(left, rule.names, rule.on_clash)
        self._make = named_tuple(f"Enriched{kind.__name__}", names)._make
        replaced = rule.on_clash.rule is ClashRule.TAKE_RIGHT
        self._replaced = [
            (left.index(name), name) for name in rule.names if name in left and replaced
        ]
        self._added = [name for name in rule.names if name not in left]

    def join(self, element: Any, row: Mapping[str, Any]) -> Any:
        """A named tuple with the fields of both."""
        values = [*element, *[row[name] for name in self._added]]
        for place, name in self._replaced:
            values[place] = row[name]
        return self._make(values)


@functools.lru_cache(maxsize=256)
def named_tuple(name: str, fields: tuple[str, ...]) -> Any:
    """A class of named tuples; one for all equal names and fields of this process."""
    bad = [field for field in fields if not field.isidentifier() or keyword.iskeyword(field)]
    bad += [field for field in fields if field.startswith("_")]
    if bad:
        raise ConfigError(f"no named tuple can have the fields {', '.join(map(repr, bad))}")
    base: Any = collections.namedtuple(name, fields)  # type: ignore[misc]

    def reduced(self: Any) -> tuple[Any, ...]:
        # the class exists in no module: another process makes its own
        return _named_tuple_of, (name, fields, tuple(self))

    return type(name, (base,), {"__slots__": (), "__reduce__": reduced})


def _named_tuple_of(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return named_tuple(name, fields)._make(values)


def joiner_for(element: Any, rule: JoinRule, rows: bool) -> Joiner:
    """What fits an element.

    Args:
        element: One of them.
        rule: How to join.
        rows: Whether the PCollection is one of `beam.Row`, whatever class they have by now.

    Raises:
        RowEncodingError: it is no row.
    """
    if isinstance(element, collections.abc.Mapping):
        return DictJoiner(rule)
    if isinstance(element, beam.Row) or (rows and hasattr(element, "_fields")):
        return RowJoiner(rule)
    if isinstance(element, tuple) and hasattr(element, "_fields"):
        return NamedTupleJoiner(rule, type(element))
    raise RowEncodingError(
        f"a {type(element).__name__} is not a row; give a dict, NamedTuple, beam.Row, or a "
        "pyarrow.RecordBatch",
        table=rule.table,
    )
