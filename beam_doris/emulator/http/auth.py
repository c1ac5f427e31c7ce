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
"""Basic authentication as frontends and backends do it (P 1.2)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from beam_doris.emulator.http.message import Headers
from beam_doris.emulator.users import User, Users

NEEDED = "Need auth information."


class AuthFailed(Exception):
    """Missing or wrong credentials; the text is what the client gets to see."""


@dataclass(frozen=True)
class Credentials:
    """What an Authorization header said."""

    user: str
    password: str


def parse_basic(headers: Headers) -> Credentials:
    """Credentials of a request; ``default_cluster:`` and ``@host`` are cut off the name.

    Raises:
        AuthFailed: there are none, or they are malformed.
    """
    scheme, _, token = headers.get("authorization").partition(" ")
    if scheme.lower() != "basic" or not token:
        raise AuthFailed(NEEDED)
    try:
        text = base64.b64decode(token.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AuthFailed(NEEDED) from error
    text = text.removeprefix("default_cluster:")
    # at the first colon only: a password may hold more of them
    user, colon, password = text.partition(":")
    if not colon:
        raise AuthFailed(NEEDED)
    return Credentials(user.partition("@")[0], password)


def authenticate(users: Users, headers: Headers, peer: str) -> User:
    """The user of a request.

    Raises:
        AuthFailed: in the words of the MySQL error.
    """
    given = parse_basic(headers)
    user = users.check_plain(given.user, given.password)
    if user is None:
        using = "YES" if given.password else "NO"
        raise AuthFailed(
            f"Access denied for user '{given.user}'@'{peer}' (using password: {using})"
        )
    return user


def privilege_text(privilege: str) -> str:
    """What a user without a privilege is told."""
    word = "LOAD" if privilege.startswith("LOAD") else "SELECT"
    return f"Access denied; you need (at least one of) the ({word}) privilege(s) for this operation"
