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
"""Flight sessions: a bearer token is a session, and lives as long as it (P 6.1)."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from beam_doris.emulator.sql.directory import SessionDirectory, SessionEntry
from beam_doris.emulator.sql.executor import Session

TOKEN_SECONDS = 86400.0  #: arrow_flight_token_alive_time_second
FIRST_CONNECTION_ID = 1_000_001  #: apart from the ids of MySQL connections


class TooManySessions(Exception):
    """The user's connection quota is used up."""


@dataclass(slots=True, kw_only=True)
class FlightSession:
    """One token's session; its statements run one after another."""

    token: str
    user: str
    sql: Session
    entry: SessionEntry
    used: float
    prepared: dict[bytes, str] = field(default_factory=dict)
    bound: dict[bytes, tuple[object, ...]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def idle_seconds(self) -> float:
        """How long the session may lie idle: its token's life, or its wait_timeout."""
        text = self.sql.state.variables.get("wait_timeout")
        return min(TOKEN_SECONDS, float(text)) if text.isdigit() else TOKEN_SECONDS


class Sessions:
    """All live sessions of the frontend.

    Args:
        now: the emulator's clock.
        most: how many sessions may be open.
        directory: where SHOW PROCESSLIST and KILL find them, beside the MySQL connections.
        on_close: told the token of a session that ended.
    """

    def __init__(
        self,
        now: Callable[[], float],
        most: int,
        directory: SessionDirectory,
        on_close: Callable[[str], None],
    ) -> None:
        self._now = now
        self._most = most
        self._directory = directory
        self._on_close = on_close
        self._ids = itertools.count(FIRST_CONNECTION_ID)
        self._sessions: dict[str, FlightSession] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._sessions)

    def open(self, user: str, make: Callable[[int], Session]) -> FlightSession:
        """A new session under a token nobody can guess; ``make`` gets its connection id."""
        self._forget_idle()
        token, number = secrets.token_urlsafe(24), next(self._ids)
        entry = SessionEntry(
            id=number, user=user, host="127.0.0.1", hang_up=lambda: self.close(token)
        )
        session = FlightSession(
            token=token, user=user, sql=make(number), entry=entry, used=self._now()
        )
        with self._lock:
            if len(self._sessions) < self._most:
                self._sessions[token] = session
                self._directory.add(entry)
                return session
        raise TooManySessions(f"Reach limit of connections. Total: {self._most}, User: {user}")

    def find(self, token: str) -> FlightSession | None:
        """The session of a token, None when the token is unknown or has lapsed."""
        self._forget_idle()
        with self._lock:
            session = self._sessions.get(token)
            if session is not None:
                session.used = self._now()
            return session

    def close(self, token: str) -> None:
        with self._lock:
            session = self._sessions.pop(token, None)
        if session is not None:
            self._end(session)

    def close_all(self) -> None:
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            self._end(session)

    def _forget_idle(self) -> None:
        now = self._now()
        with self._lock:
            idle = [one for one in self._sessions.values() if now - one.used > one.idle_seconds]
            for session in idle:
                del self._sessions[session.token]
        for session in idle:
            self._end(session)

    def _end(self, session: FlightSession) -> None:
        self._directory.remove(session.entry.id)
        self._on_close(session.token)
