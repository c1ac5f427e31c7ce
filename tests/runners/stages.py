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
"""DoFns that tell what a runner does with them. They live here so that workers can import them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp

from beam_doris.beam_support.coders import ArrowRecordBatchCoder
from tests.runners.diary import Diary


class Note(beam.DoFn):
    """Notes every element under a word.

    Args:
        diary: Where to.
        word: What the lines begin with.
    """

    def __init__(self, diary: Diary, word: str) -> None:
        self._diary = diary
        self._word = word

    def process(self, element: Any) -> Iterator[Any]:
        """Passes it on."""
        self._diary.note(f"{self._word} {element}")
        yield element


class Size(beam.DoFn):
    """Notes the size of every bundle under a word.

    Args:
        diary: Where to.
        word: What the lines begin with.
    """

    def __init__(self, diary: Diary, word: str) -> None:
        self._diary = diary
        self._word = word
        self._seen = 0

    def start_bundle(self) -> None:
        """A new one."""
        self._seen = 0

    def process(self, element: Any) -> Iterator[Any]:
        """Passes it on."""
        self._seen += 1
        yield element

    def finish_bundle(self) -> None:
        """Ends it."""
        self._diary.note(f"{self._word} {self._seen}")


class Finalize(beam.DoFn):
    """Registers a callback for its bundle, in `finish_bundle`.

    Args:
        diary: Where it and the callback note what happens.
        fails: Whether the callback raises.
        registers: Whether the callback is registered at all.
    """

    def __init__(self, diary: Diary, *, fails: bool = False, registers: bool = True) -> None:
        self._diary = diary
        self._fails = fails
        self._registers = registers
        self._seen = 0
        self._finalizer: Any = None

    def start_bundle(self) -> None:
        """A new one."""
        self._seen = 0

    def process(
        self, element: Any, finalizer: Any = beam.DoFn.BundleFinalizerParam
    ) -> Iterator[Any]:
        """Passes it on."""
        self._seen += 1
        self._finalizer = finalizer
        yield element

    def finish_bundle(self) -> None:
        """Registers."""
        self._diary.note(f"bundle {self._seen}")
        if self._finalizer is not None and self._registers:
            diary, seen, fails = self._diary, self._seen, self._fails

            def callback() -> None:
                diary.note(f"finalized {seen}")
                if fails:
                    raise ValueError("the callback failed")

            self._finalizer.register(callback)
        self._finalizer = None


class FailsAlways(beam.DoFn):
    """Raises."""

    def process(self, element: Any) -> None:
        """Never well."""
        raise ValueError(f"refused: {element}")


class _Offsets(RestrictionProvider):
    """Zero to the element."""

    def initial_restriction(self, element: int) -> OffsetRange:
        """All."""
        return OffsetRange(0, element)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        """Of offsets."""
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: OffsetRange) -> int:
        """The length."""
        return int(restriction.size())


_RANGE = beam.DoFn.RestrictionParam(_Offsets())


class Claims(beam.DoFn):
    """A bounded splittable DoFn: emits 0, 1, ... up to the element, and notes each attempt.

    Args:
        diary: Where to.
        per_attempt: After so many it hands the rest back to the runner; 0: never.
        pause: Seconds for each.
    """

    def __init__(self, diary: Diary, *, per_attempt: int = 0, pause: float = 0.0) -> None:
        self._diary = diary
        self._per_attempt = per_attempt
        self._pause = pause

    def process(self, element: int, tracker: Any = _RANGE) -> Iterator[int]:
        """One attempt."""
        begin = tracker.current_restriction().start
        self._diary.note(f"attempt {begin}")
        for number in range(begin, element):
            if self._per_attempt and number == begin + self._per_attempt:
                tracker.defer_remainder()
                return
            if not tracker.try_claim(number):
                return
            if self._pause:
                time.sleep(self._pause)
            yield number


_END = TimerSpec("end", TimeDomain.WATERMARK)
_BATCHES = beam.DoFn.StateParam(BagStateSpec("batches", ArrowRecordBatchCoder()))
_KEY = beam.DoFn.StateParam(ReadModifyWriteStateSpec("key", beam.coders.StrUtf8Coder()))
_END_TIMER = beam.DoFn.TimerParam(_END)


class Gather(beam.DoFn):
    """Keeps Arrow batches of a key in the runner's state until the window ends."""

    def process(
        self,
        element: tuple[str, pa.RecordBatch],
        batches: Any = _BATCHES,
        key: Any = _KEY,
        end: Any = _END_TIMER,
    ) -> None:
        """Adds one."""
        key.write(element[0])
        batches.add(element[1])
        end.set(GlobalWindow().max_timestamp())

    @on_timer(_END)
    def emit(
        self,
        batches: Any = _BATCHES,
        key: Any = _KEY,
    ) -> Iterable[tuple[str, int, bytes]]:
        """The key, how many batches, and all of their rows as one stream."""
        found = list(batches.read())
        table = pa.Table.from_batches(found).combine_chunks().sort_by("id")
        yield key.read(), len(found), ArrowRecordBatchCoder().encode(table.to_batches()[0])


_SOON = TimerSpec("soon", TimeDomain.REAL_TIME)
_BAG = beam.DoFn.StateParam(BagStateSpec("elements", beam.coders.VarIntCoder()))
_SOON_TIMER = beam.DoFn.TimerParam(_SOON)


class Later(beam.DoFn):
    """Passes on by a processing-time timer.

    Args:
        delay: After so many seconds.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay

    def process(
        self,
        element: tuple[str, int],
        bag: Any = _BAG,
        soon: Any = _SOON_TIMER,
    ) -> None:
        """Keeps it."""
        bag.add(element[1])
        soon.set(Timestamp.now() + self._delay)

    @on_timer(_SOON)
    def emit(self, bag: Any = _BAG) -> Iterable[int]:
        """All that was kept."""
        yield from bag.read()
        bag.clear()


class WhichRunner(beam.DoFn):
    """Notes by which machinery it is run."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    def process(self, element: Any) -> Iterator[Any]:
        """Asks the stack."""
        frame: Any = sys._getframe()
        machinery = set()
        while frame is not None:
            machinery.add(frame.f_globals.get("__name__", ""))
            frame = frame.f_back
        old = "apache_beam.runners.direct.transform_evaluator" in machinery
        self._diary.note("runner " + ("BundleBasedDirectRunner" if old else "SDK harness"))
        yield element
