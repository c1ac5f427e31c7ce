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
"""What elements are, by type hint and by value."""

from __future__ import annotations

import collections
from typing import Any, NamedTuple, Optional, Union

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type
from apache_beam.typehints.row_type import RowTypeConstraint

from beam_doris.errors import ConfigError
from beam_doris.write.elements import Form, Hint, form_of, hint_of


class Pair(NamedTuple):
    """A named tuple."""

    a: int
    b: str


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (Any, Hint()),
        (None, Hint()),
        (Union[dict[str, int], str], Hint()),  # noqa: UP007
        (Optional[Pair], Hint()),  # noqa: UP045
        (dict, Hint(Form.DICT)),
        (dict[str, int], Hint(Form.DICT)),
        (Pair, Hint(Form.NAMED, ("a", "b"))),
        (RowTypeConstraint.from_fields([("x", int)]), Hint(Form.NAMED, ("x",))),
        (beam.Row, Hint(Form.NAMED)),
        (tuple, Hint(Form.TUPLE)),
        (tuple[int, str], Hint(Form.TUPLE, arity=2)),
        (tuple[int, ...], Hint(Form.TUPLE)),
        (pa.RecordBatch, Hint(Form.ARROW)),
        (pa.Table, Hint(Form.ARROW)),
        (str, Hint(Form.LINE)),
        (bytes, Hint(Form.LINE)),
    ],
)
def test_a_type_hint_tells_the_form(kind: Any, hint: Hint) -> None:
    assert hint_of(convert_to_beam_type(kind)) == hint


@pytest.mark.parametrize("kind", [int, float, bool, type(None), list[int], set[str], frozenset])
def test_a_type_that_is_no_row_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be written") as failure:
        hint_of(convert_to_beam_type(kind))
    assert "RecordBatch" in str(failure.value)


@pytest.mark.parametrize(
    ("element", "form"),
    [
        ({"a": 1}, Form.DICT),
        (collections.OrderedDict(a=1), Form.DICT),
        (Pair(1, "x"), Form.NAMED),
        (beam.Row(a=1), Form.NAMED),
        ((1, 2), Form.TUPLE),
        (pa.record_batch({"a": [1]}), Form.ARROW),
        (pa.table({"a": [1]}), Form.ARROW),
        ("line", Form.LINE),
        (b"line", Form.LINE),
        (7, None),
        (None, None),
        ([1], None),
    ],
)
def test_a_value_tells_the_form(element: Any, form: Form | None) -> None:
    assert form_of(element) is form
