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
"""Repeating what may be repeated, with full jitter, inside one deadline.

Whether a failure may be repeated is a property of its class (`DorisError.retryable`), never of the
place that met it. The pauses grow exponentially up to a ceiling and are drawn evenly from zero to
their bound ("full jitter"), so that many workers that failed together do not come back together.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from beam_doris.client.deadline import Deadline
from beam_doris.errors import DorisError, ServerBusy

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how fast to repeat.

    Args:
        retries: Repetitions after the first attempt.
        first_pause: Bound of the first pause, in seconds; doubled for each further one.
        longest_pause: Bound that pauses never exceed.
        busy_factor: How much longer the pauses are when the server said that it is overloaded.
        random: Source of the jitter.
        sleep: How to pause.
    """

    retries: int = 3
    first_pause: float = 0.2
    longest_pause: float = 10.0
    busy_factor: float = 5.0
    random: random.Random = field(default_factory=random.Random, compare=False)
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)

    def pause_before(self, attempt: int, *, busy: bool = False) -> float:
        """Seconds to wait before repetition number `attempt`, counted from 1."""
        bound = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt - 1, 30))
        if busy:
            bound = min(self.longest_pause, bound * self.busy_factor)
        return self.random.uniform(0.0, bound)

    def wait(self, attempt: int, deadline: Deadline, *, busy: bool = False) -> bool:
        """Pauses before a repetition.

        Returns:
            False at once if the pause would not end before the deadline: give up instead.
        """
        pause = self.pause_before(attempt, busy=busy)
        if pause >= deadline.remaining():
            return False
        self.sleep(pause)
        return True

    def call(self, work: Callable[[int], _T], deadline: Deadline, what: str) -> _T:
        """Calls `work(attempt)` until it returns, fails for good, or nothing is left to try.

        Args:
            work: The work; it is told the number of the attempt, counted from 0.
            deadline: For all attempts and pauses together.
            what: Name of the work, for the log.

        Raises:
            DorisError: the last failure.
        """
        attempt = 0
        while True:
            try:
                return work(attempt)
            except DorisError as error:
                attempt += 1
                if not error.retryable or attempt > self.retries or deadline.expired:
                    raise
                if not self.wait(attempt, deadline, busy=isinstance(error, ServerBusy)):
                    raise
                logger.info("repeating %s after %s: %s", what, type(error).__name__, error.message)
