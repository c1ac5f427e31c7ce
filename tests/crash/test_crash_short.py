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
"""A few cells of the crash matrix, and a mutant that they have to notice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.matrix import UNSTABLE, Cell, run_cell
from tests.crash.points import Kind, Point
from tests.crash.rig import Rig


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """A cluster that can be killed."""
    with Rig() as made:
        yield made


@pytest.mark.parametrize(
    ("mode", "again", "unbounded", "point", "kind"),
    [
        ("two-phase", "same", False, Point.AFTER_PRECOMMIT, Kind.KILL),
        ("two-phase", "same", False, Point.AFTER_COMMIT, Kind.KILL),
        ("two-phase", "another", False, Point.BEFORE_COMMIT, Kind.EXCEPTION),
        ("two-phase", "another", False, Point.BODY_50, Kind.SERVER),
        ("two-phase", "another", True, Point.COMMIT_ANSWER_LOST, Kind.KILL),
        ("plain", "same", False, Point.ANSWER_LOST, Kind.CUT),
    ],
)
def test_a_pipeline_that_is_hurt_keeps_its_promise(
    rig: Rig, mode: str, again: str, unbounded: bool, point: Point, kind: Kind
) -> None:
    cell = Cell(
        runner="FnApiRunner",
        mode=mode,
        again=again,
        unbounded=unbounded,
        point=point,
        kind=kind,
    )
    outcome = run_cell(rig, cell, range(1))
    assert outcome.sprung == 1, outcome
    assert outcome.passed, outcome


def test_a_label_without_the_digest_of_its_bytes_is_noticed(rig: Rig) -> None:
    outcome = run_cell(rig, UNSTABLE, range(1, 2), mutant="FINISHED taken as done without digest")
    assert outcome.lost, outcome
