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
"""Where a pipeline is hurt, and how; installed in the process of the pipeline."""

from __future__ import annotations

import enum
import functools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from beam_doris.client import load_upload, stream_load, transactions
from beam_doris.client.byte_stream import ConnectionLost
from beam_doris.write import buffer_fn, commit_fn, load_fn

_WAIT_SECONDS = 40.0
_TO_BE_ANSWERED = 0.2  # seconds in which the emulator takes a load whose body has ended


class Point(enum.Enum):
    """The moments of a load's life."""

    BEFORE_PUT = "before PUT"
    BODY_0 = "mid-body at 0 %"
    BODY_50 = "mid-body at 50 %"
    BODY_99 = "mid-body at 99 %"
    ANSWER_LOST = "body sent and answer lost"
    AFTER_PRECOMMIT = "after pre-commit"
    TOKEN_EMITTED = "token emitted"
    BEFORE_COMMIT = "before commit"
    COMMIT_ANSWER_LOST = "commit sent and answer lost"
    AFTER_COMMIT = "after commit before acknowledgement"

    @property
    def needs_tokens(self) -> bool:
        """Whether only two-phase loads come there."""
        return self in _OF_TOKENS


_OF_TOKENS = (
    Point.TOKEN_EMITTED,
    Point.BEFORE_COMMIT,
    Point.COMMIT_ANSWER_LOST,
    Point.AFTER_COMMIT,
)


class Kind(enum.Enum):
    """What happens there."""

    EXCEPTION = "exception"
    KILL = "kill -9 of the pipeline's process"
    STALL = "stall beyond the deadline"
    SERVER = "emulator kill -9 and restart"
    CUT = "connections cut by a TCP proxy"


class Crash(Exception):
    """The planned failure."""


class Trap:
    """Springs once, at the n-th time that its point is reached.

    Args:
        kind: What happens.
        nth: When, counted from 1.
        stall: Seconds of a stall.
        folder: Where parent and child leave notes for each other.
    """

    def __init__(self, kind: Kind, nth: int, stall: float, folder: Path) -> None:
        self._kind = kind
        self._left = nth
        self._stall = stall
        self._folder = folder

    def reached(self) -> bool:
        """Does what is planned when it is time; whether it was."""
        self._left -= 1
        if self._left:
            return False
        (self._folder / "reached").write_text(str(os.getpid()))
        if self._kind is Kind.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._kind is Kind.EXCEPTION:
            raise Crash("the planned failure")
        if self._kind is Kind.STALL:
            time.sleep(self._stall)
            return True
        end = time.monotonic() + _WAIT_SECONDS
        while not (self._folder / "go").exists():
            if time.monotonic() > end:
                raise TimeoutError("nobody did what was planned")
            time.sleep(0.005)
        return True


def install(point: Point, trap: Trap, body_bytes: int) -> None:
    """Makes a point spring the trap.

    Args:
        point: The point.
        trap: The trap.
        body_bytes: About how much all bodies are together.
    """
    body = {Point.BODY_0: 0.0, Point.BODY_50: 0.5, Point.BODY_99: 0.99}
    if point in body:
        _in_body(trap, int(body_bytes * body[point]))
    elif point is Point.BEFORE_PUT:
        stream_load.begin_upload = _before(stream_load.begin_upload, trap)  # type: ignore[attr-defined]
    elif point is Point.ANSWER_LOST:
        _before_the_answer(trap)
    elif point is Point.AFTER_PRECOMMIT:
        _wrap(stream_load.OpenLoad, "finish", _after, trap)
    elif point is Point.TOKEN_EMITTED:
        for kind in (load_fn.LoadFn, load_fn.EarlyCommittingLoadFn):
            _wrap(kind, "finish_bundle", _after_all, trap)
        _wrap(buffer_fn.BufferFn, "finish_bundle", _before, trap)
    elif point is Point.BEFORE_COMMIT:
        hurt = _before(commit_fn.commit_token, trap)
        commit_fn.commit_token = load_fn.commit_token = hurt  # type: ignore[attr-defined]
    elif point is Point.COMMIT_ANSWER_LOST:
        _answer_of_commit(trap)
    else:
        _wrap(commit_fn.CommitFn, "_committed_part", _after, trap)


def _wrap(owner: Any, name: str, how: Callable[[Any, Trap], Any], trap: Trap) -> None:
    setattr(owner, name, how(getattr(owner, name), trap))


def _before(work: Callable[..., Any], trap: Trap) -> Callable[..., Any]:
    @functools.wraps(work)
    def hurt(*arguments: Any, **more: Any) -> Any:
        trap.reached()
        return work(*arguments, **more)

    return hurt


def _after(work: Callable[..., Any], trap: Trap) -> Callable[..., Any]:
    @functools.wraps(work)
    def hurt(*arguments: Any, **more: Any) -> Any:
        result = work(*arguments, **more)
        trap.reached()
        return result

    return hurt


def _after_all(work: Callable[..., Any], trap: Trap) -> Callable[..., Any]:
    @functools.wraps(work)
    def hurt(*arguments: Any, **more: Any) -> Iterator[Any]:
        yield from work(*arguments, **more)
        trap.reached()

    return hurt


def _in_body(trap: Trap, at: int) -> None:
    original = load_upload.Upload.send
    sent = 0

    def hurt(self: Any, chunk: Any) -> bool:
        nonlocal sent
        view = memoryview(chunk).cast("B")
        first = at - sent
        sent += len(view)
        if not 0 <= first < len(view):
            return original(self, chunk)
        if first and not original(self, view[:first]):
            return False
        trap.reached()
        return original(self, view[first:])

    load_upload.Upload.send = hurt  # type: ignore[method-assign]


def _before_the_answer(trap: Trap) -> None:
    original = load_upload.Upload.finish

    def hurt(self: Any) -> Any:
        connection = self._connection
        end = connection.end_body

        def end_body(*arguments: Any) -> None:
            end(*arguments)
            time.sleep(_TO_BE_ANSWERED)
            if trap.reached():
                connection.answer = lost

        def lost(*_: Any) -> Any:
            raise ConnectionLost("the answer to a load was lost")

        connection.end_body = end_body
        return original(self)

    load_upload.Upload.finish = hurt  # type: ignore[method-assign]


def _answer_of_commit(trap: Trap) -> None:
    original = transactions.Transactions._operate

    def hurt(self: Any, subject: Any, operation: str, deadline: Any) -> Any:
        reply = original(self, subject, operation, deadline)
        if operation == "commit" and trap.reached():
            raise ConnectionLost("the answer to a commit was lost")
        return reply

    transactions.Transactions._operate = hurt  # type: ignore[method-assign]
