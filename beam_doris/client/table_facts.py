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
"""What kind of relation a name stands for, and how big it is."""

from __future__ import annotations

from dataclasses import dataclass

from beam_doris.client.frontend import Frontend
from beam_doris.client.statements import sql_text
from beam_doris.errors import DorisError
from beam_doris.options.table_id import TableId


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """What the cluster tells of a table; the sizes lag behind loads.

    Args:
        is_view: Whether it is a view, which has no tablets.
        rows: About how many rows it has; None where that is not told.
        bytes: About how many bytes it takes; None where that is not told.
    """

    is_view: bool = False
    rows: int | None = None
    bytes: int | None = None


def table_facts(frontend: Frontend, table: TableId) -> TableFacts:
    """Asks for a table of the internal catalog; what cannot be found out stays unknown."""
    found: dict[str, object] = {}
    try:
        rows = frontend.query(
            "SELECT TABLE_TYPE, TABLE_ROWS, DATA_LENGTH FROM information_schema.tables "
            f"WHERE TABLE_SCHEMA = '{sql_text(table.database)}' "
            f"AND TABLE_NAME = '{sql_text(table.table)}'",
            "information_schema",
        )
        found = next(iter(rows.dicts()), {})
    except DorisError:
        # sizes only weigh splits, and a view is found out by the plan too
        found = {}
    told = {name.upper(): value for name, value in found.items()}
    is_view = "VIEW" in str(told.get("TABLE_TYPE") or "").upper().split()
    count = _positive(told.get("TABLE_ROWS"))
    if count is None and not is_view:
        try:
            count = _positive(frontend.count(table))
        except DorisError:
            count = None
    return TableFacts(is_view=is_view, rows=count, bytes=_positive(told.get("DATA_LENGTH")))


def _positive(value: object) -> int | None:
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if number > 0 else None
