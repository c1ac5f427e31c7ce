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
"""Users of the emulated cluster, their passwords and coarse grants."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

ADMIN = "ADMIN"
SELECT = "SELECT_PRIV"
LOAD = "LOAD_PRIV"


def native_hash(password: str) -> bytes:
    """What mysql_native_password stores: SHA1(SHA1(password)); empty for an empty password."""
    if not password:
        return b""
    return hashlib.sha1(hashlib.sha1(password.encode()).digest()).digest()


def native_response(password: str, salt: bytes) -> bytes:
    """What a client of mysql_native_password sends for a 20-byte salt."""
    if not password:
        return b""
    stage1 = hashlib.sha1(password.encode()).digest()
    mask = hashlib.sha1(salt + hashlib.sha1(stage1).digest()).digest()
    return bytes(left ^ right for left, right in zip(stage1, mask, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user. ``grants`` maps ``*`` or a database or ``database.table`` to privilege words."""

    name: str
    password_hash: bytes = field(default=b"", repr=False)
    grants: tuple[tuple[str, frozenset[str]], ...] = ()

    def may(self, privilege: str, database: str | None = None, table: str | None = None) -> bool:
        """Whether a privilege holds on the whole cluster, a database or a table."""
        scopes = {"*"}
        if database is not None:
            scopes.add(database)
            if table is not None:
                scopes.add(f"{database}.{table}")
        return any(
            scope in scopes and (privilege in words or ADMIN in words)
            for scope, words in self.grants
        )


class Users:
    """Registered users. ``root`` and ``admin`` exist from the start, with empty passwords.

    Args:
        stored: users of an earlier process; none at all means a new cluster.
        persist: writes a user durably, or removes it when given its name only.
    """

    def __init__(
        self,
        stored: Iterable[User] = (),
        persist: Callable[[str, User | None], None] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._persist = persist
        stored = list(stored)
        self._saved = bool(stored)
        everything = (("*", frozenset({ADMIN, SELECT, LOAD})),)
        self._users = {user.name: user for user in stored} or {
            name: User(name=name, grants=everything) for name in ("root", "admin")
        }

    def _put(self, user: User) -> User:
        if self._persist is not None:
            if not self._saved:
                # the first change writes the users that a new cluster starts with, too
                for known in self._users.values():
                    self._persist(known.name, known)
                self._saved = True
            self._persist(user.name, user)
        self._users[user.name] = user
        return user

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._users)

    def get(self, name: str) -> User | None:
        with self._lock:
            return self._users.get(name)

    def create(self, name: str, password: str = "") -> User:
        """Add a user without grants, or set the password of a known one."""
        with self._lock:
            user = self._users.get(name, User(name=name))
            return self._put(replace(user, password_hash=native_hash(password)))

    def drop(self, name: str) -> bool:
        with self._lock:
            user = self._users.get(name)
            if user is None:
                return False
            self._put(user)
            del self._users[name]
            if self._persist is not None:
                self._persist(name, None)
            return True

    def grant(self, name: str, scope: str, privileges: Iterable[str]) -> None:
        """Add privileges to ``*``, a database or ``database.table``. Unknown user: KeyError."""
        with self._lock:
            user = self._users[name]
            grants = dict(user.grants)
            grants[scope] = grants.get(scope, frozenset()) | frozenset(privileges)
            self._put(replace(user, grants=tuple(grants.items())))

    def revoke(self, name: str, scope: str, privileges: Iterable[str]) -> None:
        with self._lock:
            user = self._users[name]
            grants = dict(user.grants)
            grants[scope] = grants.get(scope, frozenset()) - frozenset(privileges)
            self._put(replace(user, grants=tuple(grants.items())))

    def check_plain(self, name: str, password: str) -> User | None:
        """The user, if the password is right."""
        user = self.get(name)
        if user is None or not hmac.compare_digest(user.password_hash, native_hash(password)):
            return None
        return user

    def check_native(self, name: str, salt: bytes, response: bytes) -> User | None:
        """The user, if the answer to the 20-byte salt proves the password."""
        user = self.get(name)
        if user is None:
            return None
        if not user.password_hash:
            return user if not response else None
        if len(response) != 20:
            return None
        mask = hashlib.sha1(salt + user.password_hash).digest()
        stage1 = bytes(left ^ right for left, right in zip(response, mask, strict=True))
        proven = hmac.compare_digest(hashlib.sha1(stage1).digest(), user.password_hash)
        return user if proven else None
