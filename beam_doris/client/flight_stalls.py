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
"""Noticing that a Flight stream stands still.

A gRPC call has one deadline for all of it, which for a large scan is hours; that no batch arrives
any more has to be noticed by somebody else, who cancels the call.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any

import pyarrow as pa

from beam_doris.client.deadline import Clock
from beam_doris.errors import DorisError, TransientError
from beam_doris.options.connection import Node


def begun(start: Callable[[], Any], node: Node, stall: timedelta | None) -> Any:
    """The stream that `start` opens, which waits for the first bytes of the peer.

    There is nothing to be cancelled before it returns, so it has a thread of its own, which is
    left behind when the wait is over; the deadline of its call ends it.

    Args:
        start: Opens a stream that has `cancel()`.
        node: The peer.
        stall: The longest wait; None for no limit but the call's own.

    Raises:
        TransientError: the stream did not begin in time.
    """
    if stall is None:
        return start()
    opening = _Opening(start)
    threading.Thread(target=opening.run, name="flight-open", daemon=True).start()
    if not opening.ended.wait(stall.total_seconds()) and opening.give_up():
        raise _stood_still(node, stall.total_seconds())
    if opening.error is not None:
        raise opening.error
    return opening.stream


def _stood_still(node: Node, seconds: float) -> TransientError:
    return TransientError(
        f"{node} stood still for {seconds:g} s during Arrow Flight rows",
        host=node,
        hint="raise timeouts.read where a batch may take longer",
    )


class _Opening:
    """A stream that is being opened in a thread."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._given_up = False
        self.ended = threading.Event()
        self.stream: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        stream = error = None
        try:
            stream = self._start()
        except BaseException as caught:  # noqa: BLE001
            # whatever it is, it belongs to the thread that waits
            error = caught
        with self._lock:
            self.stream, self.error = stream, error
            self.ended.set()
            late = self._given_up
        if late and stream is not None:
            with contextlib.suppress(pa.ArrowException, OSError):
                stream.cancel()

    def give_up(self) -> bool:
        """Waits no longer; False when it has ended in the last moment."""
        with self._lock:
            self._given_up = not self.ended.is_set()
            return self._given_up


class StallGuard:
    """Cancels a reader that waits too long for one batch.

    Args:
        reader: The stream.
        node: The peer.
        stall: The longest wait for one batch; None for no limit but the call's own.
        clock: Monotonic seconds.
    """

    def __init__(self, reader: Any, node: Node, stall: timedelta | None, clock: Clock) -> None:
        self._reader = reader
        self._node = node
        self._stall = None if stall is None else stall.total_seconds()
        self._clock = clock
        self._since: float | None = None
        self._fired = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> StallGuard:
        if self._stall is not None:
            self._thread = threading.Thread(target=self._watch, name="flight-stall", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Around the wait for one batch.

        Raises:
            TransientError: no batch came in time.
        """
        self._since = self._clock()
        try:
            yield
        except DorisError as error:
            if self._fired:
                raise _stood_still(self._node, self._stall or 0.0) from error
            raise
        finally:
            self._since = None

    def _watch(self) -> None:
        assert self._stall is not None
        turn = min(1.0, self._stall / 4)
        while not self._ended.wait(turn):
            since = self._since
            if since is not None and self._clock() - since > self._stall:
                self._fired = True
                with contextlib.suppress(pa.ArrowException, OSError):
                    self._reader.cancel()
                return
