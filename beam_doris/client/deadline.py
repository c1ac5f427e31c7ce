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
"""One point in time that an operation and everything it waits for must not outlive."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from beam_doris.errors import DeadlineExceeded

Clock = Callable[[], float]
"""Monotonic seconds."""


class Deadline:
    """A moment on a monotonic clock.

    A deadline is made once, where an operation begins, and handed down: every connect, send,
    receive and pause asks it how long it may still take.

    Example:
        >>> deadline = Deadline.after(30)
        >>> deadline.cap(60) <= 30
        True
    """

    __slots__ = ("_at", "_clock", "_started")

    def __init__(self, at: float, clock: Clock = time.monotonic) -> None:
        self._at = at
        self._clock = clock
        self._started = clock()

    @staticmethod
    def after(span: float | timedelta, clock: Clock = time.monotonic) -> Deadline:
        """The deadline that lies a span of seconds ahead."""
        seconds = span.total_seconds() if isinstance(span, timedelta) else span
        return Deadline(clock() + seconds, clock)

    @property
    def elapsed(self) -> float:
        """Seconds since this deadline was made."""
        return self._clock() - self._started

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self._clock() >= self._at

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self._at - self._clock())

    def cap(self, seconds: float, what: str = "the operation") -> float:
        """The smaller of `seconds` and what is left, for a single wait.

        Raises:
            DeadlineExceeded: nothing is left.
        """
        left = self._at - self._clock()
        if left <= 0:
            self.check(what)
        return min(seconds, left)

    def check(self, what: str, *, host: object | None = None) -> None:
        """Raises `DeadlineExceeded` when no time is left."""
        if self.expired:
            raise DeadlineExceeded(
                f"{what} did not end within its deadline",
                host=host,
                hint="raise the deadline or timeout, or find out why the server is slow",
            )

    def within(self, span: float | timedelta) -> Deadline:
        """A deadline for a part of the work: at most `span` ahead, never after this one."""
        seconds = span.total_seconds() if isinstance(span, timedelta) else span
        return Deadline(min(self._at, self._clock() + seconds), self._clock)

    def __repr__(self) -> str:
        return f"<Deadline in {self._at - self._clock():.3f} s>"
