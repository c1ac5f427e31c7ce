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
"""Numbers that are never given twice, also across restarts."""

from __future__ import annotations

import threading
from collections.abc import Callable

BLOCK = 10_000


class Numbers:
    """Named counters.

    A block is reserved durably before its first number is given, as Doris' own generators do, so
    that a restart skips numbers and never repeats one.

    Args:
        known: first number not reserved yet, by counter.
        persist: writes the first unreserved number of a counter durably.
    """

    def __init__(self, known: dict[str, int], persist: Callable[[str, int], None]) -> None:
        self._lock = threading.Lock()
        self._reserved = dict(known)
        self._next = dict(known)
        self._persist = persist

    def take(self, name: str, count: int = 1, *, start: int = 1) -> int:
        """The first of ``count`` consecutive numbers. ``start`` is where a new counter begins."""
        with self._lock:
            first = self._next.get(name, start)
            after = first + count
            if after > self._reserved.get(name, start):
                ceiling = after + BLOCK
                self._persist(name, ceiling)
                self._reserved[name] = ceiling
            self._next[name] = after
            return first
