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
"""The error tree: branches, messages, pickling."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from beam_doris import errors


def _classes(root: type[errors.DorisError]) -> Iterator[type[errors.DorisError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _classes(kind)


ALL = sorted(set(_classes(errors.DorisError)), key=lambda kind: kind.__name__)
EXTRA: dict[str, dict[str, Any]] = {
    "QueryError": {"code": 1064},
    "RejectedRowsError": {
        "error_url": "http://be/err",
        "first_error": "cell 42 is bad",
        "total_rows": 3,
        "filtered_rows": 1,
    },
    "LabelConflictError": {"existing_status": "FINISHED"},
    "TransactionExpiredError": {"rows": 7},
    "CommitUnknownError": {"rows": 7},
    "SchemaError": {"column": "c"},
    "TypeMappingError": {"column": "c", "expected": "INT", "got": "string"},
    "RowEncodingError": {"column": "c", "row": 3},
}


def _make(kind: type[errors.DorisError]) -> errors.DorisError:
    if issubclass(kind, errors.ConfigError):
        return kind(["one", "two"], subject="Thing", table="a.b", host="h:1", hint="do")
    return kind(
        "it broke",
        table="a.b",
        label="l1",
        txn_id=5,
        host="h:1",
        hint="do this",
        cause=ValueError("why"),
        **EXTRA.get(kind.__name__, {}),
    )


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_with_all_its_fields(kind: type[errors.DorisError]) -> None:
    error = _make(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert copy.__dict__ == error.__dict__
    assert str(copy) == str(error)
    assert copy.args == error.args


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_in_exactly_one_branch(kind: type[errors.DorisError]) -> None:
    branches = (errors.TransientError, errors.PermanentError, errors.OutcomeUnknownError)
    assert sum(issubclass(kind, branch) for branch in branches) == 1
    assert kind.retryable is issubclass(kind, errors.TransientError)


def test_an_error_says_what_where_why_and_what_to_do() -> None:
    text = str(_make(errors.CommitFailedError))
    assert text == (
        "it broke [table=a.b, label=l1, txn_id=5, host=h:1] (cause: ValueError: why)\n  -> do this"
    )


def test_a_config_error_numbers_all_problems() -> None:
    error = errors.ConfigError(["no host", "no user"], subject="DorisConnection")
    assert str(error) == "DorisConnection: 2 problems\n  1. no host\n  2. no user"
    assert error.problems == ("no host", "no user")
    assert isinstance(error, ValueError)


def test_a_single_problem_needs_no_number() -> None:
    assert str(errors.ConfigError("no host", subject="X")) == "X: no host"


def test_the_servers_first_reason_is_a_field_and_no_part_of_the_message() -> None:
    error = _make(errors.RejectedRowsError)
    assert isinstance(error, errors.RejectedRowsError)
    assert error.first_error == "cell 42 is bad"
    assert "42" not in str(error) + repr(error)


def test_a_row_error_names_row_and_column() -> None:
    error = errors.RowEncodingError("is too long", column="name", row=3)
    assert str(error) == "row 3 of the batch: column 'name': is too long"
