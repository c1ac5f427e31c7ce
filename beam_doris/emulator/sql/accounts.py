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
"""Users, passwords and grants."""

from __future__ import annotations

from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.sql.session import SessionState
from beam_doris.emulator.sql.tokens import Reader, Unsupported
from beam_doris.emulator.users import ADMIN, LOAD, SELECT

_WORDS = {
    "ALL": (SELECT, LOAD, "ALTER_PRIV", "CREATE_PRIV", "DROP_PRIV"),
    "ADMIN_PRIV": (ADMIN,),
    "NODE_PRIV": ("NODE_PRIV",),
    "GRANT_PRIV": ("GRANT_PRIV",),
    "SELECT_PRIV": (SELECT,),
    "LOAD_PRIV": (LOAD,),
    "ALTER_PRIV": ("ALTER_PRIV",),
    "CREATE_PRIV": ("CREATE_PRIV",),
    "DROP_PRIV": ("DROP_PRIV",),
    "USAGE_PRIV": ("USAGE_PRIV",),
    "SHOW_VIEW_PRIV": ("SHOW_VIEW_PRIV",),
}


def _user(reader: Reader) -> str:
    """``'name'[@'host']``: the host of a user is not told apart."""
    name = reader.name_or_text()
    token = reader.peek()
    if token.text.startswith("@"):
        reader.next()
        if token.text == "@":
            if reader.take("("):
                reader.name_or_text()
                reader.expect(")")
            else:
                reader.name_or_text()
    return name


def _password(reader: Reader) -> str:
    if not reader.take("IDENTIFIED", "BY"):
        return ""
    if reader.take("PASSWORD"):
        raise Unsupported("IDENTIFIED BY PASSWORD with a hash")
    return reader.text()


def create_user(state: SessionState, reader: Reader) -> Result:
    state.require_global(ADMIN)
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    name = _user(reader)
    password = _password(reader)
    reader.rest()
    if state.engine.users.get(name) is not None:
        if if_not_exists:
            return Result.ok()
        raise EmulatorError(f"User '{name}'@'%' already exist")
    state.engine.users.create(name, password)
    return Result.ok()


def _known(state: SessionState, name: str) -> None:
    if state.engine.users.get(name) is None:
        raise EmulatorError(f"user '{name}'@'%' does not exist")


def alter_user(state: SessionState, reader: Reader) -> Result:
    state.require_global(ADMIN)
    if_exists = reader.take("IF", "EXISTS")
    name = _user(reader)
    if not if_exists:
        _known(state, name)
    if reader.sees("IDENTIFIED"):
        state.engine.users.create(name, _password(reader))
    reader.rest()
    return Result.ok()


def drop_user(state: SessionState, reader: Reader) -> Result:
    state.require_global(ADMIN)
    if_exists = reader.take("IF", "EXISTS")
    name = _user(reader)
    reader.finish()
    if not state.engine.users.drop(name) and not if_exists:
        raise EmulatorError(f"User '{name}'@'%' does not exist")
    return Result.ok()


def set_password(state: SessionState, reader: Reader) -> Result:
    """``SET PASSWORD [FOR user] = PASSWORD('...')``, behind PASSWORD."""
    name = _user(reader) if reader.take("FOR") else state.user.name
    reader.expect("=")
    if reader.take("PASSWORD"):
        reader.expect("(")
        password = reader.text()
        reader.expect(")")
    else:
        raise Unsupported("SET PASSWORD with a hash")
    if name != state.user.name:
        state.require_global(ADMIN)
    _known(state, name)
    state.engine.users.create(name, password)
    return Result.ok()


def _privileges(reader: Reader) -> list[str]:
    found: list[str] = []
    while True:
        word = reader.name().upper()
        reader.take("PRIVILEGES")
        known = _WORDS.get(word) or _WORDS.get(f"{word}_PRIV")
        if known is None:
            raise EmulatorError(f"Unknown privilege {word}")
        found += known
        if reader.sees("("):
            raise Unsupported("grants on columns")
        if not reader.take(","):
            return found


def _scope(reader: Reader) -> str:
    """``*.*.*``, ``db.*`` or ``db.table`` as a scope of the users' registry."""
    reader.expect("ON")
    if reader.peek().upper in ("RESOURCE", "WORKLOAD", "COMPUTE", "STAGE"):
        reader.rest()
        return ""
    parts: list[str] = []
    while True:
        parts.append("*" if reader.take("*") else reader.name())
        if not reader.take("."):
            break
    if len(parts) == 3:
        parts = parts[1:]
    named = [part for part in parts if part != "*"]
    return ".".join(named) if named else "*"


def change_grant(state: SessionState, reader: Reader, *, grant: bool) -> Result:
    """Everything behind GRANT or REVOKE."""
    state.require_global(ADMIN)
    words = _privileges(reader)
    scope = _scope(reader)
    if not scope:
        return Result.ok()
    reader.expect("TO" if grant else "FROM")
    if reader.take("ROLE"):
        reader.rest()
        return Result.ok()
    name = _user(reader)
    reader.rest()
    _known(state, name)
    users = state.engine.users
    if grant:
        users.grant(name, scope, words)
    else:
        users.revoke(name, scope, words)
    return Result.ok()
