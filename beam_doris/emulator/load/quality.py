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
"""Counting rows, keeping the first rejected ones, and the limit on their share (P 2.2, 2.3)."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable

from beam_doris.emulator.load.chunk import BadRow
from beam_doris.emulator.load.failure import LoadFailure

#: a backend writes no more rows than this into the error log of a load
SHOWN_ROWS = 50
SHOWN_BYTES = 4096
KEPT_LOGS = 1000


class Quality:
    """The counts of one load."""

    def __init__(self) -> None:
        self.total = 0
        self.loaded = 0
        self.filtered = 0
        self.unselected = 0
        self._lines: list[str] = []

    def reject(self, rows: Iterable[BadRow]) -> None:
        """Count rows that are left out, and note the first of them."""
        for row in rows:
            self.filtered += 1
            if len(self._lines) < SHOWN_ROWS:
                source = row.source
                if len(source) > SHOWN_BYTES:
                    source = source[:SHOWN_BYTES] + "..."
                self._lines.append(f"Reason: {row.reason}. src line [{source}]; ")

    @property
    def first_error(self) -> str:
        """The first line of the error log."""
        return self._lines[0] if self._lines else ""

    @property
    def log(self) -> str:
        """The text behind the ErrorURL, empty without rejected rows."""
        return "".join(line + "\n" for line in self._lines)

    def check(self, max_filter_ratio: float) -> None:
        """Fail the load when too large a share of its rows was bad; the limit is inclusive."""
        selected = self.total - self.unselected
        if self.filtered and self.filtered > selected * max_filter_ratio + 1e-9:
            raise LoadFailure("too many filtered rows", "DATA_QUALITY_ERROR")


class ErrorLogs:
    """Texts behind the ErrorURLs of a backend; the oldest are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logs: OrderedDict[str, str] = OrderedDict()

    def keep(self, text: str) -> str:
        """Store a log and tell the name under which it is served."""
        token = uuid.uuid4().hex
        name = f"__shard_0/error_log_insert_stmt_{token[:16]}_{token[16:]}"
        with self._lock:
            self._logs[name] = text
            while len(self._logs) > KEPT_LOGS:
                self._logs.popitem(last=False)
        return name

    def get(self, name: str) -> str | None:
        """A stored log."""
        with self._lock:
            return self._logs.get(name)
