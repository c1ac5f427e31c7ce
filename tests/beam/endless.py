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
"""An unbounded source that ends: ids in bundles of a few, with the watermark held back until then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.utils.timestamp import Timestamp


class _Ids(RestrictionProvider):
    """Offsets from zero to the element."""

    def initial_restriction(self, element: int) -> OffsetRange:
        """All of them."""
        return OffsetRange(0, element)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        """Of offsets."""
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: OffsetRange) -> int:
        """How many ids."""
        return int(restriction.size())


_RANGE = beam.DoFn.RestrictionParam(_Ids())
_WATERMARK = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class Stream(beam.DoFn):
    """Emits 0, 1, ... up to the element, a few a bundle.

    Args:
        per_bundle: How many a bundle.
        pause: Seconds between bundles.
    """

    def __init__(self, per_bundle: int, pause: float = 0.0) -> None:
        self._per_bundle = per_bundle
        self._pause = pause

    @beam.DoFn.unbounded_per_element()
    def process(
        self, element: int, tracker: Any = _RANGE, watermark: Any = _WATERMARK
    ) -> Iterator[int]:
        """One bundle of ids; the rest comes in later ones."""
        watermark.set_watermark(Timestamp(0))
        begin = tracker.current_restriction().start
        if begin and self._pause:
            time.sleep(self._pause)
        for number in range(begin, element):
            if number == begin + self._per_bundle:
                tracker.defer_remainder()
                return
            if not tracker.try_claim(number):
                return
            yield number
