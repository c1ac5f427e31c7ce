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
"""The schemas of the tables that a process writes, asked for once in a while."""

from __future__ import annotations

import threading
import time

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.frontend import Frontend
from beam_doris.errors import NotFoundError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import TableSchema

_FRESH = 60.0  # seconds that a schema is believed
_ABSENT = 5.0  # seconds that a table is believed not to be there


class TableSchemas:
    """A client for `shared_client`: workers with a thousand tables ask once for each.

    Args:
        connection: The cluster.
    """

    def __init__(self, connection: DorisConnection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._known: dict[TableId, tuple[float, TableSchema | NotFoundError]] = {}

    def of(self, table: TableId) -> TableSchema:
        """The table's schema.

        Raises:
            NotFoundError: there is no such table, as of a few seconds ago.
        """
        with self._lock:
            known = self._known.get(table)
        if known is not None and time.monotonic() < known[0]:
            if isinstance(known[1], NotFoundError):
                raise NotFoundError(known[1].message, table=table)
            return known[1]
        try:
            found = shared_client(Frontend, self._connection).schema(table)
        except NotFoundError as error:
            self._keep(table, error, _ABSENT)
            raise
        self._keep(table, found, _FRESH)
        return found

    def forget(self, table: TableId) -> None:
        """It has just changed."""
        with self._lock:
            self._known.pop(table, None)

    def _keep(self, table: TableId, found: TableSchema | NotFoundError, seconds: float) -> None:
        with self._lock:
            self._known[table] = time.monotonic() + seconds, found
