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
"""Python values of one column, nested or not, as a canonical Arrow array, strictly.

A nested column is taken apart into the flat columns of its leaves, which are converted as any
other and put together again. A leaf that does not fit is reported by the position of the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from beam_doris.codec.scalar_arrays import BadValue, accept, scalar_array, types_of
from beam_doris.errors import TypeMappingError
from beam_doris.schema.arrow_types import arrow_type, infer_type
from beam_doris.schema.types import DorisType, Kind

__all__ = ["BadValue", "column_array"]


def column_array(values: Sequence[Any], doris: DorisType) -> pa.Array:
    """Values of one column; None is NULL.

    Raises:
        BadValue: the first value that the column cannot hold exactly.
    """
    if doris.is_nested:
        if not doris.is_complete:
            doris = _shape_of(values, doris)
        return _NESTED[doris.kind](values, doris)
    return scalar_array(values, doris)


def _child(values: list[Any], owners: list[int], doris: DorisType, what: str) -> pa.Array:
    try:
        return column_array(values, doris)
    except BadValue as bad:
        raise BadValue(owners[bad.position], f"{what}: {bad.reason}") from None


def _array(values: Sequence[Any], doris: DorisType) -> pa.Array:
    accept(values, types_of(values), (list, tuple, np.ndarray), "list")
    offsets = [0]
    flat: list[Any] = []
    owners: list[int] = []
    for position, value in enumerate(values):
        if value is not None:
            flat.extend(value)
            owners.extend([position] * len(value))
        offsets.append(len(flat))
    child = _child(flat, owners, doris.children[0], "its element")
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), child, mask=_null_mask(values))


def _map(values: Sequence[Any], doris: DorisType) -> pa.Array:
    accept(values, types_of(values), (Mapping,), "dict")
    offsets = [0]
    keys: list[Any] = []
    items: list[Any] = []
    owners: list[int] = []
    for position, value in enumerate(values):
        if value is not None:
            if None in value:
                raise BadValue(position, "has a NULL key")
            keys.extend(value.keys())
            items.extend(value.values())
            owners.extend([position] * len(value))
        offsets.append(len(keys))
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()),
        _child(keys, owners, doris.children[0], "its key"),
        _child(items, owners, doris.children[1], "its value"),
        arrow_type(doris),
        mask=_null_mask(values),
    )


def _struct(values: Sequence[Any], doris: DorisType) -> pa.Array:
    known = set(doris.names)
    dicts: list[Mapping[str, Any] | None] = []
    for position, value in enumerate(values):
        fields = _as_mapping(position, value)
        if fields is not None and not fields.keys() <= known:
            raise BadValue(position, f"has a field that {doris.sql()} has not")
        dicts.append(fields)
    owners = list(range(len(dicts)))
    children = [
        _child(
            [None if fields is None else fields.get(name) for fields in dicts],
            owners,
            child,
            f"its field {name!r}",
        )
        for name, child in zip(doris.names, doris.children, strict=True)
    ]
    target = arrow_type(doris)
    return pa.StructArray.from_arrays(
        children,
        fields=[target.field(position) for position in range(target.num_fields)],
        mask=_null_mask(values),
    )


def _as_mapping(position: int, value: Any) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value
    as_dict = getattr(value, "_asdict", None) or getattr(value, "as_dict", None)
    if as_dict is None:
        raise BadValue(position, f"takes dict, not {type(value).__name__}")
    made: Mapping[str, Any] = as_dict()
    return made


def _null_mask(values: Sequence[Any]) -> pa.Array | None:
    mask = [value is None for value in values]
    return pa.array(mask, pa.bool_()) if any(mask) else None


def _shape_of(values: Sequence[Any], doris: DorisType) -> DorisType:
    """The shape of a nested type that the server did not tell, taken from the values."""
    if doris.kind is Kind.MAP:
        inferred_from = [None if value is None else list(value.items()) for value in values]
        keys = [pair[0] for pairs in inferred_from if pairs for pair in pairs]
        items = [pair[1] for pairs in inferred_from if pairs for pair in pairs]
        return DorisType(Kind.MAP, children=(_guess(keys), _guess(items)))
    return _guess(values, doris.kind)


def _guess(values: Sequence[Any], kind: Kind | None = None) -> DorisType:
    try:
        return infer_type(pa.array(values).type)
    except (pa.ArrowException, TypeMappingError, OverflowError):
        named = kind.value if kind else "nested"
        raise BadValue(0, f"has no type in common with the other {named} values") from None


_NESTED: dict[Kind, Callable[[Sequence[Any], DorisType], pa.Array]] = {
    Kind.ARRAY: _array,
    Kind.MAP: _map,
    Kind.STRUCT: _struct,
}
