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
"""The open sessions of the frontend, for SHOW PROCESSLIST and KILL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class SessionEntry:
    """One open session; the fields follow what it does."""

    id: int
    user: str
    host: str
    hang_up: Callable[[], None]
    database: str | None = None
    command: str = "Sleep"
    info: str = ""
    since: float = field(default_factory=time.monotonic)

    def doing(self, command: str, info: str = "", database: str | None = None) -> None:
        self.command = command
        self.info = info
        self.database = database
        self.since = time.monotonic()


class SessionDirectory:
    """Thread-safe registry of sessions by connection id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[int, SessionEntry] = {}

    def add(self, entry: SessionEntry) -> None:
        with self._lock:
            self._entries[entry.id] = entry

    def remove(self, number: int) -> None:
        with self._lock:
            self._entries.pop(number, None)

    def entries(self) -> list[SessionEntry]:
        with self._lock:
            return sorted(self._entries.values(), key=lambda entry: entry.id)

    def kill(self, number: int) -> bool:
        """Hang up on a session; False when there is none of that id."""
        with self._lock:
            entry = self._entries.get(number)
        if entry is None:
            return False
        entry.hang_up()
        return True
