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
"""Reading a backend's answer to a stream load, and a frontend's refusal of one (P 2.1, 2.3)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from beam_doris.client.contracts import LoadRequest
from beam_doris.client.envelopes import check_status, unwrap
from beam_doris.client.http_wire import HttpReply
from beam_doris.client.server_messages import cleaned, error_of
from beam_doris.errors import (
    DorisError,
    LabelConflictError,
    LoadError,
    ProtocolError,
    RejectedRowsError,
)

_LABEL_USED = re.compile(r"Label \[(?P<label>.*)\] has already been used", re.IGNORECASE)
_RELATED_TXN = re.compile(r"relate to txn \[(?P<txn>\d+)\]", re.IGNORECASE)
_REJECTED = re.compile(r"too many filtered rows|data_quality_error|unqualified data", re.I)


class LoadStatus(enum.Enum):
    """The four words of the server; anything else is not an answer of this protocol."""

    SUCCESS = "Success"
    PUBLISH_TIMEOUT = "Publish Timeout"
    LABEL_EXISTS = "Label Already Exists"
    FAIL = "Fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReply:
    """One answer; counts are None where it does not tell them."""

    status: LoadStatus
    message: str = ""
    txn_id: int | None = None
    label: str | None = None
    two_phase: bool | None = None
    existing_status: str = ""
    existing_txn_id: int | None = None
    rows_total: int | None = None
    rows_loaded: int | None = None
    rows_filtered: int | None = None
    rows_unselected: int | None = None
    error_url: str | None = None
    first_error: str | None = None
    times: Mapping[str, int] = field(default_factory=dict)
    host: str | None = None

    @staticmethod
    def parse(reply: HttpReply) -> LoadReply:
        """Reads an answer.

        Raises:
            AuthError: a 401 at either level.
            ServerBusy: HTTP 5xx. The load's outcome is then as unknown as without an answer.
            ProtocolError: the answer is not one of this protocol.
        """
        what = "stream load"
        check_status(reply, what)
        body = reply.json()
        if not isinstance(body, dict):
            raise ProtocolError(f"{what}: the answer is no object", host=reply.node)
        if "Status" not in body:
            # refused before any transaction began: both envelopes of the frontend
            unwrap(reply, what)
            raise ProtocolError(f"{what}: the answer has no Status", host=reply.node)
        return _parsed(body, str(reply.node))


def _parsed(body: Mapping[str, Any], host: str) -> LoadReply:
    try:
        status = LoadStatus(body["Status"])
    except ValueError:
        raise ProtocolError(f"stream load: unknown Status {body['Status']!r}", host=host) from None
    message = str(body.get("Message") or "")
    used = _LABEL_USED.search(message)
    if status is LoadStatus.FAIL and used:
        status = LoadStatus.LABEL_EXISTS
    related = _RELATED_TXN.search(message)
    txn_id = _count(body, "TxnId")
    return LoadReply(
        status=status,
        message=message,
        txn_id=txn_id if txn_id is not None and txn_id > 0 else None,
        label=body.get("Label"),
        two_phase=_flag(body.get("TwoPhaseCommit")),
        existing_status=str(body.get("ExistingJobStatus") or ""),
        existing_txn_id=int(related["txn"]) if related else None,
        rows_total=_count(body, "NumberTotalRows"),
        rows_loaded=_count(body, "NumberLoadedRows"),
        rows_filtered=_count(body, "NumberFilteredRows"),
        rows_unselected=_count(body, "NumberUnselectedRows"),
        error_url=body.get("ErrorURL") or None,
        first_error=body.get("FirstErrorMsg") or None,
        times={
            name: value
            for name, value in body.items()
            if name.endswith("TimeMs") and isinstance(value, int)
        },
        host=host,
    )


def failure_of(reply: LoadReply, request: LoadRequest) -> DorisError:
    """The typed error of an answer that says Fail (P 3.8)."""
    where: dict[str, Any] = {
        "table": request.table,
        "label": request.label,
        "txn_id": reply.txn_id,
        "host": reply.host,
    }
    if _REJECTED.search(reply.message):
        counts = ""
        if reply.rows_filtered is not None and reply.rows_total is not None:
            counts = f" ({reply.rows_filtered} of {reply.rows_total})"
        return RejectedRowsError(
            f"rows do not fit the table{counts}",
            error_url=reply.error_url,
            first_error=reply.first_error,
            total_rows=reply.rows_total,
            filtered_rows=reply.rows_filtered,
            hint="the error log of the load says which rows and why",
            **where,
        )
    return error_of(reply.message, LoadError, "stream load refused", **where)


def conflict_of(reply: LoadReply | None, request: LoadRequest, status: str) -> LabelConflictError:
    """The error of a label that belongs to another load."""
    said = f": {cleaned(reply.message)}" if reply and reply.message else ""
    return LabelConflictError(
        f"the label is another load's, which is {status or 'there already'}{said}",
        existing_status=status or None,
        table=request.table,
        label=request.label,
        txn_id=reply.existing_txn_id if reply else None,
        host=reply.host if reply else None,
        hint="it was left alone; use another label prefix or run id",
    )


def _count(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if isinstance(value, bool) or value is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _flag(value: object) -> bool | None:
    return None if value is None else str(value).lower() == "true"
