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
"""Views of an engine: a name for the text of a query. They live in memory only."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beam_doris.emulator.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view; ``columns`` are the names given behind its own."""

    database: str
    name: str
    sql: str
    columns: tuple[str, ...] = ()
    comment: str = ""


class Views:
    """Thread-safe views of one engine by database and name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: dict[tuple[str, str], View] = {}

    def find(self, database: str, name: str) -> View | None:
        with self._lock:
            return self._views.get((database, name))

    def put(self, view: View) -> None:
        with self._lock:
            self._views[view.database, view.name] = view

    def drop(self, database: str, name: str) -> bool:
        with self._lock:
            return self._views.pop((database, name), None) is not None

    def drop_database(self, database: str) -> None:
        with self._lock:
            for key in [key for key in self._views if key[0] == database]:
                del self._views[key]

    def of(self, database: str) -> list[View]:
        with self._lock:
            return [view for key, view in sorted(self._views.items()) if key[0] == database]


_LOCK = threading.Lock()
_VIEWS: weakref.WeakKeyDictionary[Any, Views] = weakref.WeakKeyDictionary()


def views_of(engine: Engine) -> Views:
    """The views of an engine."""
    with _LOCK:
        return _VIEWS.setdefault(engine, Views())
