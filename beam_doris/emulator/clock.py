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
"""Time as the emulated cluster sees it.

Expiry of labels, transactions and scanners asks this clock, so that a test moves time by hand
instead of sleeping.
"""

from __future__ import annotations

import datetime
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch."""

    def now(self) -> float: ...


class SystemClock:
    """The time of the machine, plus what has been added by hand.

    Example:
        >>> clock = SystemClock()
        >>> clock.advance(60.0)
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move ahead of the machine's time."""
        with self._lock:
            self._offset += seconds


class ManualClock:
    """A clock that stands still until it is moved.

    Example:
        >>> clock = ManualClock(start=100.0)
        >>> clock.advance(5.0)
        >>> clock.now()
        105.0
    """

    def __init__(self, *, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("time does not run backwards")
        with self._lock:
            self._now += seconds


def wall_clock(seconds: float) -> datetime.datetime:
    """Wall-clock value of a moment in the zone of the cluster, which is UTC."""
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc).replace(tzinfo=None)
