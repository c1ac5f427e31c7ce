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
"""Reading and staging of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from beam_doris.emulator.catalog import Table
from beam_doris.emulator.storage.stager import Stager


class Storage:
    """Rows of all tables."""

    def visible_sql(
        self,
        table: Table,
        *,
        versions: Mapping[int, int] | None = None,
        tablets: Sequence[int] | None = None,
        partitions: Sequence[str] | None = None,
        hidden: bool = False,
    ) -> str:
        """A DuckDB SELECT of the rows visible at these partition versions (partition id ->
        version; None: the latest). Columns carry their names in table order; with ``hidden``
        also ``__DORIS_DELETE_SIGN__`` (UNIQUE tables), ``__DORIS_SEQUENCE_COL__`` (if any) and
        ``__DORIS_VERSION_COL__`` follow.

        Raises:
            VersionMerged: a version is older than the last compaction.
        """
        raise AssertionError("skeleton")

    def bucket_sql(self, table: Table, columns: Callable[[str], str], rowno: str) -> str:
        """SQL of the bucket number; ``columns`` gives the SQL of a column's value by name."""
        raise AssertionError("skeleton")

    def stager(
        self,
        txn_id: int,
        table: Table,
        *,
        partitions: Sequence[str] | None = None,
        partial_columns: Sequence[str] | None = None,
    ) -> Stager:
        """Where rows of a transaction for a table go. Asked again, it is the same stager."""
        raise AssertionError("skeleton")

    def delete_where(
        self, table: Table, condition_sql: str, *, partitions: Sequence[str] | None = None
    ) -> int:
        """Delete visible rows for which a DuckDB condition over column names holds; how many."""
        raise AssertionError("skeleton")

    def row_count(self, table: Table, *, partitions: Sequence[str] | None = None) -> int:
        """Visible rows."""
        raise AssertionError("skeleton")

    def tablet_rows(self, table: Table) -> dict[int, int]:
        """Visible rows of each tablet that has any."""
        raise AssertionError("skeleton")

    def compact(self, table: Table) -> None:
        """Drop superseded rows; older versions become unreadable (VersionMerged)."""
        raise AssertionError("skeleton")
