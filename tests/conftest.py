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
"""Fixtures of all tests: an emulated cluster in this process, and one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator
    from beam_doris.emulator.process import EmulatorProcess


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """A cluster of three backends in memory, shared by the tests of a module."""
    from beam_doris.emulator import Emulator

    with Emulator(backends=3, seed=1) as running:
        yield running


@pytest.fixture
def emulator_process(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """A cluster of three backends in a process of its own, with data that survive a kill."""
    from beam_doris.emulator.process import EmulatorProcess

    with EmulatorProcess(data=tmp_path / "doris", backends=3, seed=1) as running:
        yield running
