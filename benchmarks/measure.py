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
"""What a benchmark reports, and how ours and its reference are timed in turn in one run."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One case.

    Args:
        name: `group.case`.
        ours: Our rate (or seconds, by `unit`), median of the rounds.
        reference: The reference's, from the same rounds.
        unit: Of both, such as `MB/s` or `rows/s`.
        what_reference_is: In words.
        target: The ratio to reach, None where the case is only reported.
        higher_is_better: False where `ours` and `reference` are costs.
        cpu_s_per_gb: Our own process' CPU seconds per 10^9 bytes of payload, None if not measured.
        reference_cpu_s_per_gb: The same of the reference.
    """

    name: str
    ours: float
    reference: float
    unit: str
    what_reference_is: str
    target: float | None = None
    higher_is_better: bool = True
    cpu_s_per_gb: float | None = None
    reference_cpu_s_per_gb: float | None = None

    @property
    def ratio(self) -> float:
        """Ours by the reference's."""
        return self.ours / self.reference if self.reference else float("nan")

    def to_json(self) -> dict[str, object]:
        """For `build/bench.json`."""
        return {**asdict(self), "ratio": round(self.ratio, 4)}


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall and own CPU seconds of one round."""

    seconds: float
    cpu_seconds: float


def timed(work: Callable[[], object]) -> Timing:
    """Runs `work` once; CPU is of this process with all its threads (getrusage)."""
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    end, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Timing(end - begin, cpu)


def in_turn(
    ours: Callable[[], object], reference: Callable[[], object], *, rounds: int
) -> tuple[Timing, Timing]:
    """Medians of both over `rounds` rounds, taken in turn so that drift meets both alike.

    One round of each runs first and is thrown away.
    """
    ours()
    reference()
    pairs: list[tuple[Timing, Timing]] = []
    for number in range(rounds):
        if number % 2:
            late = timed(reference)
            pairs.append((timed(ours), late))
        else:
            early = timed(ours)
            pairs.append((early, timed(reference)))
    return _median([a for a, _ in pairs]), _median([b for _, b in pairs])


def _median(timings: list[Timing]) -> Timing:
    return Timing(
        statistics.median(t.seconds for t in timings),
        statistics.median(t.cpu_seconds for t in timings),
    )
