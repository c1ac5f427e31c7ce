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
"""Finds the rows that a server refuses: it refuses a load as a whole, and seldom says which rows.

The load is halved until each refused part is bad through and through. What is accepted on the way
is loaded already, so that nothing is sent in vain but the refused parts. Nothing rests on the
server's error log but the reasons: it may be cut, out of order, or gone.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.rejected_rows import RejectedRowsReader
from beam_doris.errors import DorisError, RejectedRowsError
from beam_doris.options.connection import DorisConnection
from beam_doris.write.encoding import Chunk
from beam_doris.write.kept_chunks import KeptChunks
from beam_doris.write.result import FailedRow

_log = logging.getLogger(__name__)

_LoadT = TypeVar("_LoadT")
# Loads a part, which is named by its first and last position; raises RejectedRowsError.
LoadPart = Callable[[Iterable[Chunk], str], _LoadT]
Reasons = Callable[[RejectedRowsError], tuple[str, ...]]


@dataclass(slots=True)
class Isolated(Generic[_LoadT]):
    """What became of a refused load.

    Args:
        loads: The accepted parts, in the order of their rows.
        failed: The refused rows, in the same order.
        attempts: How many loads it took.
    """

    loads: list[_LoadT] = field(default_factory=list)
    failed: list[FailedRow] = field(default_factory=list)
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Bad:
    """Rows among which some are refused.

    Args:
        start: The first of them.
        end: Behind the last of them.
        error: What the server said about them, or about rows that hold them and as many refused.
    """

    start: int
    end: int
    error: RejectedRowsError

    @property
    def size(self) -> int:
        return self.end - self.start

    def __lt__(self, other: _Bad) -> bool:
        return (-self.size, self.start) < (-other.size, other.start)


class Isolation(Generic[_LoadT]):
    """One search; the largest refused part is halved first, so that few rows stay undecided.

    Args:
        kept: The rows of the refused load.
        load: Loads a part of them.
        reasons: The server's reasons for a refusal, one for each row.
        max_loads: The search ends after that many loads.
    """

    def __init__(
        self, kept: KeptChunks, load: LoadPart[_LoadT], reasons: Reasons, max_loads: int
    ) -> None:
        self._kept = kept
        self._load = load
        self._reasons = reasons
        self._max_loads = max_loads
        self._found = Isolated[_LoadT]()
        self._placed: list[tuple[int, _LoadT]] = []
        self._failed: list[tuple[int, list[FailedRow]]] = []
        # errors do not hash by content; each is kept beside its reasons, so that its id stays its own
        self._told: dict[int, tuple[RejectedRowsError, tuple[str, ...]]] = {}

    def run(self, error: RejectedRowsError) -> Isolated[_LoadT]:
        """Searches.

        Raises:
            DorisError: a part could not be loaded for another reason than its rows.
        """
        pending = [_Bad(0, self._kept.rows, error)]
        while pending:
            bad = heapq.heappop(pending)
            if self._is_bad_throughout(bad):
                self._give_out(bad, unisolated=False)
            elif not self._kept.can_be_cut or self._found.attempts + 2 > self._max_loads:
                self._give_out(bad, unisolated=True)
            else:
                for part in self._halve(bad):
                    heapq.heappush(pending, part)
        found = self._found
        found.loads = [load for _, load in sorted(self._placed, key=lambda placed: placed[0])]
        found.failed = [row for _, rows in sorted(self._failed, key=lambda f: f[0]) for row in rows]
        return found

    def _halve(self, bad: _Bad) -> list[_Bad]:
        middle = (bad.start + bad.end) // 2
        left = self._attempt(bad.start, middle)
        if left is not None:
            right = self._attempt(middle, bad.end)
            return [left] if right is None else [left, right]
        if bad.end - middle == 1 and len(self._told_of(bad.error)) != 1:
            # alone, it is told its own reason
            right = self._attempt(middle, bad.end)
            return [] if right is None else [right]
        # the left half is sound, so the refusal was about the right one: no need to ask again
        return [_Bad(middle, bad.end, bad.error)]

    def _attempt(self, start: int, end: int) -> _Bad | None:
        self._found.attempts += 1
        try:
            load = self._load(self._kept.between(start, end), f"{start}-{end}")
        except RejectedRowsError as error:
            return _Bad(start, end, error)
        self._placed.append((start, load))
        return None

    def _is_bad_throughout(self, bad: _Bad) -> bool:
        if bad.size == 1:
            return True
        if bad.error.filtered_rows != bad.size:
            return False
        # all of them; but only one common reason can be told of each
        return len(set(self._told_of(bad.error))) == 1

    def _told_of(self, error: RejectedRowsError) -> tuple[str, ...]:
        known = self._told.get(id(error))
        if known is None:
            known = self._told[id(error)] = error, self._reasons(error)
        return known[1]

    def _give_out(self, bad: _Bad, *, unisolated: bool) -> None:
        told = self._told_of(bad.error)
        said = "; ".join(dict.fromkeys(told)) or bad.error.message
        if unisolated:
            counted = bad.error.filtered_rows
            some = "some" if counted is None else str(counted)
            said = f"refused together with others, {some} of {bad.size} rows are bad: {said}"
            _log.warning(
                "%s: %d rows of load %s leave undecided, %s of them are bad",
                bad.error.table,
                bad.size,
                bad.error.label,
                some,
            )
        rows = [
            FailedRow(
                table=str(bad.error.table),
                label=bad.error.label,
                reason=said,
                column=None,
                row=value,
                unisolated=unisolated,
            )
            for value in self._kept.values(bad.start, bad.end)
        ]
        self._failed.append((bad.start, rows))


def reasons_from_log(connection: DorisConnection) -> Reasons:
    """Asks the backends for their error logs; what they quote of the rows is left out."""

    def ask(error: RejectedRowsError) -> tuple[str, ...]:
        if not error.error_url:
            return ()
        try:
            told = shared_client(RejectedRowsReader, connection).fetch(error.error_url)
        except DorisError as failure:
            # membership never rests on the log: the rows leave without the server's reason
            _log.warning("the error log of load %s cannot be had: %s", error.label, failure.message)
            return ()
        return tuple(row.reason for row in told.rows)

    return ask
