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
"""The elements that can be written, told apart by type hint and by value."""

from __future__ import annotations

import collections.abc
import enum
import typing
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints import typehints
from apache_beam.typehints.row_type import RowTypeConstraint

from beam_doris.errors import ConfigError

ACCEPTED = (
    "dict, NamedTuple, beam.Row, tuple (with columns=), pyarrow.RecordBatch, pyarrow.Table, "
    "or raw lines as str or bytes"
)


class Form(enum.Enum):
    """What an element is."""

    DICT = "dict"
    NAMED = "NamedTuple or Row"
    TUPLE = "tuple"
    ARROW = "Arrow"
    LINE = "raw line"


@dataclass(frozen=True, slots=True)
class Hint:
    """What a type hint tells about the elements.

    Args:
        form: What they are; None when only the elements themselves will tell.
        fields: Their field names, where the type has them.
        arity: The length of a tuple, where the type has one.
    """

    form: Form | None = None
    fields: tuple[str, ...] | None = None
    arity: int | None = None


def form_of(element: object) -> Form | None:
    """What an element is; None when it cannot be written."""
    if isinstance(element, dict):
        return Form.DICT
    if isinstance(element, (pa.RecordBatch, pa.Table)):
        return Form.ARROW
    if isinstance(element, beam.Row) or hasattr(element, "_fields"):
        return Form.NAMED
    if isinstance(element, tuple):
        return Form.TUPLE
    if isinstance(element, (str, bytes)):
        return Form.LINE
    if isinstance(element, collections.abc.Mapping):
        return Form.DICT
    return None


def is_empty(element: Any) -> bool:
    """Whether an element that is not Arrow holds nothing at all."""
    return len(element.as_dict() if isinstance(element, beam.Row) else element) == 0


def hint_of(element_type: Any) -> Hint:
    """What the type of a PCollection tells.

    Raises:
        ConfigError: no element of that type can be written.
    """
    if element_type is None or element_type in (Any, object, typehints.Any):
        return Hint()
    if isinstance(element_type, RowTypeConstraint):
        names = tuple(name for name, _ in element_type._fields)
        return Hint(Form.NAMED, names)
    if isinstance(element_type, (typehints.UnionConstraint, typehints.TypeVariable)):
        return Hint()
    if isinstance(element_type, typehints.TupleHint.TupleConstraint):
        return Hint(Form.TUPLE, arity=len(element_type.tuple_types))
    if isinstance(element_type, typehints.TupleHint.TupleSequenceConstraint):
        return Hint(Form.TUPLE)
    if isinstance(element_type, typehints.DictHint.DictConstraint):
        return Hint(Form.DICT)
    origin = typing.get_origin(element_type) or element_type
    if isinstance(origin, type):
        found = _hint_of_class(origin)
        if found is not None:
            return found
    raise ConfigError(
        f"elements of type {_name(element_type)} cannot be written",
        hint=f"write {ACCEPTED}",
    )


def _hint_of_class(kind: type) -> Hint | None:
    if issubclass(kind, (pa.RecordBatch, pa.Table)):
        return Hint(Form.ARROW)
    if issubclass(kind, tuple):
        fields = getattr(kind, "_fields", None)
        return Hint(Form.TUPLE) if fields is None else Hint(Form.NAMED, tuple(fields))
    if issubclass(kind, beam.Row):
        return Hint(Form.NAMED)
    if issubclass(kind, (str, bytes)):
        return Hint(Form.LINE)
    if issubclass(kind, collections.abc.Mapping):
        return Hint(Form.DICT)
    return None


def _name(element_type: Any) -> str:
    return element_type.__name__ if isinstance(element_type, type) else str(element_type)
