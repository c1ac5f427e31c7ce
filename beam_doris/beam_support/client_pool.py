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
"""Clients that are shared by everything on one worker process.

Runners keep several copies of a DoFn alive, some of them hundreds (a bundle whose finalizer was
not yet called keeps its own). Connections must not multiply with them, so clients live here and
DoFns borrow them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from beam_doris.options.connection import DorisConnection

_ClientT = TypeVar("_ClientT")

_lock = threading.Lock()
# a list, not a dict: connections are few, and compare but do not hash
_clients: list[tuple[Any, DorisConnection, Any]] = []


def shared_client(
    factory: Callable[[DorisConnection], _ClientT], connection: DorisConnection
) -> _ClientT:
    """The one client of this kind for this connection in this process.

    Args:
        factory: A client class that takes a connection; its clients are safe to share.
        connection: Connections with equal content share.
    """
    with _lock:
        for kind, known, client in _clients:
            if kind is factory and known == connection:
                found: _ClientT = client
                return found
        made = factory(connection)
        _clients.append((factory, connection, made))
        return made


def lend(factory: Any, connection: DorisConnection, client: Any) -> None:
    """Puts a client into the pool, in place of the one that would be made; for tests."""
    with _lock:
        _clients.insert(0, (factory, connection, client))


def drop_clients() -> None:
    """Closes and forgets all clients of this process; for tests, between servers."""
    with _lock:
        clients = [client for _, _, client in _clients]
        _clients.clear()
    for client in clients:
        close = getattr(client, "close", None)
        if close is not None:
            close()
