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
"""A stand-in for a Doris cluster: a program of its own, for tests and first steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beam_doris.emulator.clock import Clock, ManualClock, SystemClock
from beam_doris.emulator.faults import FaultPlan, Rule
from beam_doris.emulator.process import EmulatorProcess
from beam_doris.emulator.profile import PROFILES, Profile

if TYPE_CHECKING:
    from beam_doris.emulator.server import Emulator

__all__ = [
    "PROFILES",
    "Clock",
    "Emulator",
    "EmulatorProcess",
    "FaultPlan",
    "ManualClock",
    "Profile",
    "Rule",
    "SystemClock",
]


def __getattr__(name: str) -> Any:
    # Late: whoever only starts the program needs neither its store nor its servers.
    if name == "Emulator":
        from beam_doris.emulator.server import Emulator

        return Emulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
