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
"""The element type of an enrichment's output, by that of its input."""

from __future__ import annotations

import collections.abc
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import apache_beam as beam
import pyarrow as pa
from apache_beam import coders
from apache_beam.typehints import typehints
from apache_beam.typehints.row_type import GeneratedClassRowTypeConstraint, RowTypeConstraint

from beam_doris.beam_support.beam_rows import beam_type
from beam_doris.errors import ConfigError
from beam_doris.lookup.join import joined_fields
from beam_doris.lookup.spec import ClashRule, LookupSpec, OnClash

ACCEPTED = "dict, NamedTuple, beam.Row or pyarrow.RecordBatch"


class OutputType(NamedTuple):
    """What is known of the outputs.

    Attributes:
        hint: Their type.
        rows: Whether they are `beam.Row`.
    """

    hint: Any
    rows: bool


def output_type(element_type: Any, spec: LookupSpec, on_clash: OnClash) -> OutputType:
    """The type of the outputs.

    Raises:
        ConfigError: elements of that type cannot be enriched, lack a field of the key, or have one
            of the name of a looked up column.
        TypeMappingError: a column has no form in a typed row.
    """
    if element_type is None or element_type in (Any, object, typehints.Any):
        return OutputType(Any, False)
    if isinstance(element_type, RowTypeConstraint):
        return _of_row(element_type, spec, on_clash)
    if isinstance(element_type, (typehints.UnionConstraint, typehints.TypeVariable)):
        return OutputType(Any, False)
    if isinstance(element_type, typehints.DictHint.DictConstraint):
        return OutputType(dict[str, Any], False)
    origin = typing.get_origin(element_type) or element_type
    if isinstance(origin, type):
        if issubclass(origin, pa.RecordBatch):
            return OutputType(pa.RecordBatch, False)
        if issubclass(origin, beam.Row):
            return OutputType(Any, True)
        if issubclass(origin, collections.abc.Mapping):
            return OutputType(dict[str, Any], False)
        if issubclass(origin, tuple) and hasattr(origin, "_fields"):
            return OutputType(_named_tuple_type(origin, spec, on_clash), False)
    raise _refused(element_type)


def _refused(element_type: Any) -> ConfigError:
    name = element_type.__name__ if isinstance(element_type, type) else str(element_type)
    return ConfigError(
        f"elements of type {name} cannot be enriched", hint=f"give elements that are {ACCEPTED}"
    )


def _of_row(row: RowTypeConstraint, spec: LookupSpec, on_clash: OnClash) -> OutputType:
    if not isinstance(row, GeneratedClassRowTypeConstraint):
        if not issubclass(row.user_type, tuple):
            raise _refused(row.user_type)
        return OutputType(_named_tuple_type(row.user_type, spec, on_clash), False)
    fields = _joined_types(dict(row._fields), spec, on_clash)
    return OutputType(RowTypeConstraint.from_fields(list(fields.items())), True)


def _named_tuple_type(kind: Any, spec: LookupSpec, on_clash: OnClash) -> Any:
    hints = typing.get_type_hints(kind)
    left = {name: hints.get(name, Any) for name in kind._fields}
    fields = _joined_types(left, spec, on_clash)
    made = NamedTuple(f"Enriched{kind.__name__}", list(fields.items()))  # type: ignore[misc]
    if isinstance(coders.registry.get_coder(kind), coders.RowCoder):
        coders.registry.register_coder(made, coders.RowCoder)
    return made


def _joined_types(left: Mapping[str, Any], spec: LookupSpec, on_clash: OnClash) -> dict[str, Any]:
    missing = [name for name in spec.fields if name not in left]
    if missing:
        raise ConfigError(
            f"the elements have no field {', '.join(map(repr, missing))}, which keys= names; they "
            f"have {', '.join(left)}"
        )
    # a key without a match has None in every column
    right = {
        name: Optional[beam_type(column.type)]  # noqa: UP045  (a row type is no class)
        for name, column in zip(spec.names, spec.columns.columns, strict=True)
    }
    names = joined_fields(tuple(left), spec.names, on_clash)
    first = right if on_clash.rule is ClashRule.TAKE_RIGHT else left
    return {name: first.get(name) or left.get(name) or right[name] for name in names}
