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
"""How a list of tablets is split: in halves or stretches, but never inside a tablet.

A scan cannot be resumed inside a tablet (the server hands out rows in another order each time),
so the positions of the restriction are tablets, not rows. All parallelism comes from the initial
split; splits by the runner, where it makes any, cut the tablets that were not yet claimed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from apache_beam import coders
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from beam_doris.read.request import ScanTask


class TabletRangeCoder(coders.Coder):
    """A restriction as two small integers, about 4 bytes; a big table has thousands of them."""

    def encode(self, value: OffsetRange) -> bytes:
        """`start,stop`."""
        return b"%d,%d" % (value.start, value.stop)

    def decode(self, encoded: bytes) -> OffsetRange:
        """The range."""
        start, stop = encoded.split(b",")
        return OffsetRange(int(start), int(stop))

    def is_deterministic(self) -> bool:
        """Equal ranges are equal bytes."""
        return True


class ScanTaskCoder(coders.Coder):
    """A task as compact JSON; its first item is the version of the form."""

    VERSION = 1

    def encode(self, value: ScanTask) -> bytes:
        """The fields in order, without names."""
        fields = [
            self.VERSION,
            value.backend,
            value.tablets,
            value.alternatives,
            value.tablets_per_split,
            value.rows_per_tablet,
        ]
        return json.dumps(fields, separators=(",", ":")).encode()

    def decode(self, encoded: bytes) -> ScanTask:
        """The task."""
        _, backend, tablets, alternatives, length, rows = json.loads(encoded)
        return ScanTask(backend, tuple(tablets), tuple(alternatives), length, rows)

    def is_deterministic(self) -> bool:
        """Equal tasks are equal bytes."""
        return True

    def to_type_hint(self) -> Any:
        """The type this coder is for."""
        return ScanTask


coders.registry.register_coder(ScanTask, ScanTaskCoder)


class TabletRestrictions(RestrictionProvider):
    """Restrictions over the positions of a task's tablet list."""

    def initial_restriction(self, element: ScanTask) -> OffsetRange:
        """All tablets of the task."""
        return OffsetRange(0, len(element.tablets))

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        """Claims tablets; `try_split` keeps those that were claimed."""
        return OffsetRestrictionTracker(restriction)

    def split(self, element: ScanTask, restriction: OffsetRange) -> Iterator[OffsetRange]:
        """Stretches of `tablets_per_split`."""
        length = element.tablets_per_split
        for start in range(restriction.start, restriction.stop, length):
            yield OffsetRange(start, min(start + length, restriction.stop))

    def restriction_size(self, element: ScanTask, restriction: OffsetRange) -> int:
        """Rows, by estimate; at least one per tablet."""
        return int(restriction.size()) * max(1, element.rows_per_tablet)

    def restriction_coder(self) -> coders.Coder:
        """Small and plain."""
        return TabletRangeCoder()
