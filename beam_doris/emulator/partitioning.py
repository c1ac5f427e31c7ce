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
"""Rules of partitions: bounds, overlaps, names, and the partitions that rows make by themselves."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beam_doris.emulator.catalog import Partition, PartitionBy, Tablet
from beam_doris.emulator.errors import DdlError
from beam_doris.emulator.literals import decimal_text, parse_datetime
from beam_doris.emulator.table_spec import PartitionSpec
from beam_doris.emulator.types import INTEGERS, DorisType, Kind

_TRUNC = re.compile(r"\s*date_trunc\s*\(\s*`?(\w+)`?\s*,\s*['\"](\w+)['\"]\s*\)\s*", re.IGNORECASE)
UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")

Bound = tuple["str | None", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionShape:
    """What makes a partition, before it has ids and tablets."""

    name: str
    lower: Bound | None = None
    upper: Bound | None = None
    values: tuple[Bound, ...] | None = None
    is_default: bool = False
    buckets: int | None = None


def item_key(doris_type: DorisType, text: str) -> Any:
    """Something that orders bounds of this type as the values are ordered."""
    kind = doris_type.kind
    try:
        if kind in INTEGERS:
            return int(text)
        if kind in (Kind.DATE, Kind.DATETIME):
            return parse_datetime(text)
        if kind in (Kind.DECIMAL, Kind.DECIMALV2):
            return float(decimal_text(text, doris_type.scale))
    except (ValueError, ArithmeticError):
        raise DdlError(
            f"Invalid {doris_type.sql().lower()} literal in partition bound: {text}"
        ) from None
    return text


def _key(bound: Bound | None, types: Sequence[DorisType], *, upper: bool) -> tuple[Any, ...]:
    if bound is None:
        return ((2 if upper else 0, 0),)
    given = [
        (2, 0) if item is None else (1, item_key(doris_type, item))
        for doris_type, item in zip(types, bound, strict=False)
    ]
    return (*given, *([(0, 0)] * (len(types) - len(given))))


def lower_key(partition: Partition | PartitionShape, types: Sequence[DorisType]) -> Any:
    """Order of partitions by lower bound."""
    return _key(partition.lower, types, upper=False)


def upper_key(partition: Partition | PartitionShape, types: Sequence[DorisType]) -> Any:
    """Order of partitions by upper bound."""
    return _key(partition.upper, types, upper=True)


def shape_of(
    spec: PartitionSpec,
    by: PartitionBy,
    types: Sequence[DorisType],
    existing: Sequence[Partition | PartitionShape],
) -> PartitionShape:
    """Check one partition against its table and the partitions there are.

    Raises:
        DdlError: a rule of Doris is broken.
    """
    if any(known.name.lower() == spec.name.lower() for known in existing):
        raise DdlError(f"Duplicate partition name {spec.name}", 1517)
    if by.kind == "LIST":
        return _list_shape(spec, types, existing)
    return _range_shape(spec, types, existing)


def _range_shape(
    spec: PartitionSpec,
    types: Sequence[DorisType],
    existing: Sequence[Partition | PartitionShape],
) -> PartitionShape:
    if spec.values is not None:
        raise DdlError("You can only use fixed or less than values to create range partitions")
    if spec.less_than is not None:
        if len(spec.less_than) > len(types):
            raise DdlError(
                f"Partition values number is more than partition column number: {spec.name}"
            )
        upper = spec.less_than
        mine = _key(upper, types, upper=True)
        below = [known for known in existing if upper_key(known, types) <= mine]
        last = max(below, key=lambda known: upper_key(known, types), default=None)
        shape = PartitionShape(
            name=spec.name,
            lower=None if last is None else last.upper,
            upper=None if all(item is None for item in upper) else upper,
            buckets=spec.buckets,
        )
        if last is not None and upper_key(last, types) == upper_key(shape, types):
            raise _overlap(shape, last)
    elif spec.lower is not None and spec.upper is not None:
        shape = PartitionShape(
            name=spec.name,
            lower=spec.lower,
            upper=spec.upper,
            buckets=spec.buckets,
        )
    else:
        raise DdlError("Partition key desc is needed for a range partition")
    if lower_key(shape, types) >= upper_key(shape, types):
        raise DdlError(
            f"Lower values {_shown(shape.lower)} should be less than upper values "
            f"{_shown(shape.upper)}"
        )
    for known in existing:
        apart = upper_key(known, types) <= lower_key(shape, types) or (
            upper_key(shape, types) <= lower_key(known, types)
        )
        if not apart:
            raise _overlap(shape, known)
    return shape


def _shown(bound: Bound | None) -> str:
    items = () if bound is None else bound
    return "[" + ", ".join("MAXVALUE" if item is None else f"'{item}'" for item in items) + "]"


def _overlap(mine: PartitionShape, other: Partition | PartitionShape) -> DdlError:
    return DdlError(
        f"Range [types: [...]; keys: {_shown(mine.lower)}; ..keys: {_shown(mine.upper)}) is "
        f"intersected with range: [keys: {_shown(other.lower)}; ..keys: {_shown(other.upper)})"
    )


def _list_shape(
    spec: PartitionSpec,
    types: Sequence[DorisType],
    existing: Sequence[Partition | PartitionShape],
) -> PartitionShape:
    if spec.less_than is not None or spec.lower is not None:
        raise DdlError("You can only use in values to create list partitions")
    if spec.values is None:
        if any(known.is_default for known in existing):
            raise DdlError("Duplicate default partition: only one partition may have no values")
        return PartitionShape(name=spec.name, is_default=True, values=(), buckets=spec.buckets)
    taken = {
        tuple(
            None if item is None else item_key(kind, item)
            for kind, item in zip(types, items, strict=False)
        )
        for known in existing
        for items in known.values or ()
    }
    seen = set()
    for items in spec.values:
        if len(items) != len(types):
            raise DdlError(
                f"partition item's size out of index, partition column size: {len(types)}"
            )
        key = tuple(
            None if item is None else item_key(kind, item)
            for kind, item in zip(types, items, strict=True)
        )
        if key in seen:
            raise DdlError(f"The partition key[{items}] is duplicated in partition {spec.name}")
        if key in taken:
            raise DdlError(
                f"The partition key[{items}] in partition item[{spec.name}] is "
                "conflict with current partitionKeys"
            )
        seen.add(key)
    return PartitionShape(name=spec.name, values=spec.values, buckets=spec.buckets)


def shapes_of(
    specs: Sequence[PartitionSpec], by: PartitionBy, types: Sequence[DorisType]
) -> list[PartitionShape]:
    """Check the partitions of a CREATE TABLE one after the other."""
    shapes: list[PartitionShape] = []
    for spec in specs:
        shapes.append(shape_of(spec, by, types, shapes))
    return shapes


@dataclass(frozen=True, slots=True)
class AutoRange:
    """AUTO PARTITION BY RANGE (date_trunc(column, unit))."""

    column: str
    unit: str


def auto_range(expression: str) -> AutoRange:
    """Read the expression of an automatic RANGE partitioning.

    Raises:
        DdlError: it is not ``date_trunc(column, 'unit')``.
    """
    found = _TRUNC.fullmatch(expression)
    if found is None or found.group(2).lower() not in UNITS:
        raise DdlError(
            "auto create partition only support date_trunc function of RANGE partition: "
            f"{expression}"
        )
    return AutoRange(found.group(1), found.group(2).lower())


def auto_range_shape(start: datetime.datetime, unit: str, doris_type: DorisType) -> PartitionShape:
    """The partition that a truncated value makes; named by its start, as Doris names it."""
    end = _after(start, unit)
    form = "%Y-%m-%d" if doris_type.kind is Kind.DATE else "%Y-%m-%d %H:%M:%S"
    return PartitionShape(
        name=f"p{start:%Y%m%d%H%M%S}",
        lower=(start.strftime(form),),
        upper=(end.strftime(form),),
    )


def _after(start: datetime.datetime, unit: str) -> datetime.datetime:
    months = {"month": 1, "quarter": 3, "year": 12}.get(unit)
    if months is not None:
        count = start.year * 12 + start.month - 1 + months
        return start.replace(year=count // 12, month=count % 12 + 1)
    return start + datetime.timedelta(**{f"{unit}s": 1})


def auto_list_shape(items: Bound) -> PartitionShape:
    """The partition that a value (or tuple of values) of AUTO PARTITION BY LIST makes."""
    name = "p"
    for item in items:
        if item is None:
            name += "X"
            continue
        safe = "".join(char if char.isalnum() else f"{ord(char):x}" for char in item)
        name += f"{safe}{len(item)}"
    return PartitionShape(name=name[:50], values=(items,))


def build_partition(
    shape: PartitionShape,
    *,
    partition_id: int,
    first_tablet: int,
    buckets: int,
    replicas: Sequence[tuple[int, ...]],
) -> Partition:
    """A partition with its tablets; ``replicas`` are the backends of each bucket."""
    return Partition(
        id=partition_id,
        name=shape.name,
        version=1,
        tablets=tuple(
            Tablet(first_tablet + bucket, bucket, replicas[bucket]) for bucket in range(buckets)
        ),
        lower=shape.lower,
        upper=shape.upper,
        values=shape.values,
        is_default=shape.is_default,
    )
