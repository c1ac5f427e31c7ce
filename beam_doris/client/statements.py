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
"""Statements that go to a frontend over HTTP, and what comes back (P 1.9, 8.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from beam_doris.client.contracts import LoadState, QueryRows
from beam_doris.errors import ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRecord:
    """One row of SHOW TRANSACTION."""

    txn_id: int
    label: str
    state: LoadState
    reason: str = ""


def only_reads(sql: str) -> bool:
    """Whether a statement may be repeated because it changes nothing."""
    first = sql.lstrip().split(None, 1)[:1]
    return bool(first) and first[0].upper() in ("SELECT", "SHOW", "DESC", "DESCRIBE", "EXPLAIN")


def query_rows_of(data: object) -> QueryRows:
    """The payload of `/api/query`.

    Raises:
        ProtocolError: it cannot be read.
    """
    if not isinstance(data, dict) or data.get("type") != "result_set":
        return QueryRows()
    try:
        meta = data.get("meta") or []
        return QueryRows(
            columns=tuple(str(column["name"]) for column in meta),
            types=tuple(str(column.get("type", "")) for column in meta),
            rows=tuple(tuple(row) for row in data.get("data") or []),
        )
    except (KeyError, TypeError) as error:
        raise ProtocolError("the result of a statement cannot be read") from error


def transaction_of(row: Mapping[str, object]) -> TransactionRecord:
    """One row of SHOW TRANSACTION.

    Raises:
        ProtocolError: it is none.
    """
    try:
        return TransactionRecord(
            txn_id=int(str(row["TransactionId"])),
            label=str(row.get("Label", "")),
            state=LoadState(str(row["TransactionStatus"]).upper()),
            reason=str(row.get("Reason") or ""),
        )
    except (KeyError, ValueError) as error:
        raise ProtocolError("SHOW TRANSACTION answered something unreadable") from error


def sql_text(value: str) -> str:
    """A text fit to stand between single quotes."""
    return value.replace("\\", "\\\\").replace("'", "''")
