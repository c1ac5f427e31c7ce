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
"""How the tablets of a task are split: in stretches, but never inside a tablet.

A scan cannot be resumed inside a tablet (the server hands out rows in another order each time),
so the positions of the restriction are tablets, not rows. All parallelism comes from the initial
split; splits by the runner, where it makes any, cut the tablets that were not yet claimed.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

from apache_beam import coders
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from beam_doris.read.plan import ScanTask


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(encoded: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = encoded[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


class TabletRangeCoder(coders.Coder):
    """A restriction as its start and its length: 2 to 4 bytes, of which a table has thousands."""

    def encode(self, value: OffsetRange) -> bytes:
        """Two variable-length integers."""
        return _varint(value.start) + _varint(value.stop - value.start)

    def decode(self, encoded: bytes) -> OffsetRange:
        """The range."""
        start, position = _read_varint(encoded, 0)
        length, _ = _read_varint(encoded, position)
        return OffsetRange(start, start + length)

    def is_deterministic(self) -> bool:
        """Equal ranges are equal bytes."""
        return True


class ScanTaskCoder(coders.Coder):
    """A task in a few bytes; only a task that brings its own plan is large."""

    def encode(self, value: ScanTask) -> bytes:
        """Variable-length integers, then the plan."""
        # the group is -1 for none
        numbers = (value.group + 1, value.tablets, value.per_split, value.rows)
        plan = b"" if value.plan is None else pickle.dumps(value.plan, pickle.HIGHEST_PROTOCOL)
        return b"".join(map(_varint, numbers)) + plan

    def decode(self, encoded: bytes) -> ScanTask:
        """The task."""
        position = 0
        numbers = []
        for _ in range(4):
            number, position = _read_varint(encoded, position)
            numbers.append(number)
        group, tablets, per_split, rows = numbers
        plan = pickle.loads(encoded[position:]) if position < len(encoded) else None
        return ScanTask(group - 1, tablets, per_split, rows, plan)

    def is_deterministic(self) -> bool:
        """Equal tasks are equal bytes."""
        return True

    def to_type_hint(self) -> Any:
        """The type this coder is for."""
        return ScanTask


coders.registry.register_coder(ScanTask, ScanTaskCoder)


class TabletRestrictions(RestrictionProvider):
    """Restrictions over the positions of a task's tablets."""

    def initial_restriction(self, element: ScanTask) -> OffsetRange:
        """All tablets of the task."""
        return OffsetRange(0, element.tablets)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        """Claims tablets; `try_split` keeps those that were claimed."""
        return OffsetRestrictionTracker(restriction)

    def split(self, element: ScanTask, restriction: OffsetRange) -> Iterator[OffsetRange]:
        """Stretches of `per_split` tablets."""
        length = element.per_split
        for start in range(restriction.start, restriction.stop, length):
            yield OffsetRange(start, min(start + length, restriction.stop))

    def restriction_size(self, element: ScanTask, restriction: OffsetRange) -> int:
        """Rows, by estimate; at least one per tablet."""
        return int(restriction.size()) * max(1, element.rows)

    def restriction_coder(self) -> coders.Coder:
        """Small and plain."""
        return TabletRangeCoder()
