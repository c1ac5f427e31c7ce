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
"""The rows that were asked for, kept for a while: by rows, by bytes, by age."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Rows = tuple[dict[str, Any], ...]
"""The matching rows of one key; empty when there is none."""

_ENTRY_BYTES = 250  # the entry, its place in the dict, the tuple of rows


class Entry:
    """The rows of one key.

    Attributes:
        rows: The matches.
        expires: When they are no longer fresh, on the cache's clock.
        used: Whether they were asked for since the entry was last looked at by the eviction.
    """

    __slots__ = ("bytes", "expires", "rows", "used")

    def __init__(self, rows: Rows, expires: float, size: int) -> None:
        self.rows = rows
        self.expires = expires
        self.used = False
        self.bytes = size

    @property
    def count(self) -> int:
        """What it counts against the limit of rows; a key without a match counts as one."""
        return max(1, len(self.rows))


class LookupCache:
    """Rows by key, for all threads of a process.

    A hit takes no lock: it reads the dict and marks the entry. When the cache is full the oldest
    entries go, but an entry that was used since it was stored is passed over once ("second
    chance"), which is least-recently-used to that accuracy.

    Args:
        max_rows: The most rows.
        max_bytes: About the most bytes.
        ttl: Seconds for which rows are fresh, counted from before they were asked for.
        clock: Monotonic seconds.
    """

    def __init__(
        self, max_rows: int, max_bytes: int, ttl: float, clock: Callable[[], float]
    ) -> None:
        # ordered: the first of a plain dict whose front was deleted is slow to find
        self.entries: OrderedDict[Any, Entry] = OrderedDict()
        self.clock = clock
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._lock = threading.Lock()
        self._rows = 0
        self._bytes = 0

    @property
    def rows(self) -> int:
        """The rows that are kept."""
        return self._rows

    @property
    def bytes(self) -> int:
        """About the bytes that are kept."""
        return self._bytes

    def get(self, key: Any) -> Rows | None:
        """The rows of a key, None when they are not known or no longer fresh."""
        entry = self.entries.get(key)
        if entry is None or entry.expires <= self.clock():
            return None
        entry.used = True
        return entry.rows

    def put(self, found: Mapping[Any, Rows], asked_at: float) -> None:
        """Keeps rows that were asked for at that time."""
        expires = asked_at + self._ttl
        if not self._max_rows or expires <= self.clock():
            return
        entries = [(key, Entry(rows, expires, size_of(key, rows))) for key, rows in found.items()]
        with self._lock:
            for key, entry in entries:
                known = self.entries.get(key)
                if known is not None:
                    if known.expires > expires:
                        continue
                    self._remove(key, known)
                if entry.count > self._max_rows or entry.bytes > self._max_bytes:
                    continue
                self._make_room(entry)
                self.entries[key] = entry
                self._rows += entry.count
                self._bytes += entry.bytes

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self.entries.clear()
            self._rows = self._bytes = 0

    def _make_room(self, entry: Entry) -> None:
        now = self.clock()
        while self.entries and (
            self._rows + entry.count > self._max_rows or self._bytes + entry.bytes > self._max_bytes
        ):
            key = next(iter(self.entries))
            oldest = self.entries[key]
            if oldest.used and oldest.expires > now:
                oldest.used = False
                self.entries.move_to_end(key)
            else:
                self._remove(key, oldest)

    def _remove(self, key: Any, entry: Entry) -> None:
        del self.entries[key]
        self._rows -= entry.count
        self._bytes -= entry.bytes


def size_of(key: Any, rows: Iterable[Mapping[str, Any]]) -> int:
    """About the bytes of an entry; what lists and dicts in cells hold is counted one level deep."""
    size = _ENTRY_BYTES + sys.getsizeof(key)
    for row in rows:
        size += sys.getsizeof(row)
        for value in row.values():
            size += sys.getsizeof(value)
            if isinstance(value, (list, dict)):
                size += sum(map(sys.getsizeof, value))
    return size
