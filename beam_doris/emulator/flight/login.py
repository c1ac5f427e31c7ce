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
"""Who calls: Basic credentials become a bearer token, a bearer token finds its session (P 6.1)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow.flight as flight

from beam_doris.emulator.flight.sessions import FlightSession, Sessions, TooManySessions

Login = Callable[[str, str], FlightSession | None]


class SessionMiddleware(flight.ServerMiddleware):
    """Holds the session of one call; tells the token to a client that came with a password."""

    def __init__(self, session: FlightSession, *, fresh: bool) -> None:
        self.session = session
        self._fresh = fresh

    def sending_headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.session.token}"} if self._fresh else {}


class SessionMiddlewareFactory(flight.ServerMiddlewareFactory):
    """Refuses every call that brings neither a right password nor a live token."""

    def __init__(self, sessions: Sessions, login: Login) -> None:
        self._sessions = sessions
        self._login = login

    def start_call(
        self, _info: Any, headers: Mapping[str, Sequence[str | bytes]]
    ) -> SessionMiddleware:
        values = [
            value.decode("latin-1") if isinstance(value, bytes) else value
            for name, found in headers.items()
            if name.lower() == "authorization"
            for value in found
        ]
        scheme, _, secret = (values[-1] if values else "").partition(" ")
        if scheme.lower() == "bearer":
            session = self._sessions.find(secret.strip())
            if session is None:
                raise flight.FlightUnauthenticatedError(
                    "invalid bearer token: the session is closed or the token was never given"
                )
            return SessionMiddleware(session, fresh=False)
        if scheme.lower() == "basic":
            return SessionMiddleware(self._enter(secret), fresh=True)
        raise flight.FlightUnauthenticatedError("the call carries no credentials")

    def _enter(self, secret: str) -> FlightSession:
        # Go clients leave the padding out.
        padded = secret.strip().rstrip("=")
        padded += "=" * (-len(padded) % 4)
        try:
            plain = base64.b64decode(padded, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise flight.FlightUnauthenticatedError("the credentials are malformed") from error
        name, _, password = plain.partition(":")
        try:
            session = self._login(name, password)
        except TooManySessions as error:
            raise flight.FlightUnavailableError(str(error)) from error
        if session is None:
            raise flight.FlightUnauthenticatedError(
                f"Access denied for user '{name}' (using password: {'YES' if password else 'NO'})"
            )
        return session
