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
"""What the server's words mean: one table from message texts to classes of our tree.

Doris tells most failures as text under an HTTP 200 or a generic code, worded differently by
version (P 3.8, 13). The table is read from top to bottom; what it does not know is a permanent
error of the kind that the caller names.
"""

from __future__ import annotations

import re
from typing import Any

from beam_doris.client.urls import redact_url
from beam_doris.errors import (
    AuthError,
    DorisError,
    NotFoundError,
    ServerBusy,
    SnapshotExpiredError,
    TooManyTransactionsError,
)

_TOO_OFTEN = "load less often and more at once: every load makes a new version of each tablet"
_TRY_LATER = "it is tried again until the deadline; raise the deadline if that is too short"

_MEANINGS: tuple[tuple[re.Pattern[str], type[DorisError], str | None], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, hint)
    for pattern, kind, hint in (
        (
            r"access denied|need auth information|no valid basic authorization|"
            r"cookie is invalid|invalid token|not_authorized",
            AuthError,
            "check user, password and privileges",
        ),
        (
            r"(?<!\d)-230\b|e-230\b|version already merged|version_already_merged|"
            r"versions? .{0,40}already merged",
            SnapshotExpiredError,
            "plan again: the versions that the plan pinned have been merged away",
        ),
        (
            r"(?<!\d)-235\b|e-235\b|version count: \d+, exceed limit|too many versions|"
            r"(?<!\d)-238\b|e-238\b|too many segments",
            ServerBusy,
            _TOO_OFTEN,
        ),
        (
            r"current running txns on db .* larger than limit",
            TooManyTransactionsError,
            "too many loads of this database are not committed yet",
        ),
        (
            r"no backend load available|load available backend|no available backend|"
            r"there is no scannode backend|have not get fe master heartbeat|not_master|"
            r"blocked on schema change|e-3115\b|mem_limit_exceeded|memory limit exceeded|"
            r"memory exceed|process memory not enough|success replica num .* < quorum|"
            r"replica num .* < .*quorum|rpc .*timeout|timeout.*rpc|service_unavailable|"
            r"too many connections|reach limit of connections|\bnot ready\b",
            ServerBusy,
            _TRY_LATER,
        ),
        (
            r"unknown (database|table|column|catalog|partition)|unknown_table|"
            r"table .* (does not exist|not found|doesn't exist)|"
            r"database .* (does not exist|not found|doesn't exist)|"
            r"tablet.?id: \d+ not found|"
            r"(could not|can not|cannot) resolve (column|table)|"
            r"partition .* (does not exist|not found)",
            NotFoundError,
            "check the name; names of tables are case-sensitive",
        ),
    )
)


def error_of(text: str, otherwise: type[DorisError], what: str, **where: Any) -> DorisError:
    """The typed error that a message of the server stands for.

    Args:
        text: The server's message.
        otherwise: The class for words that the table does not know.
        what: What was being done, as the beginning of the error's message.
        where: Coordinates of the error: table, label, txn_id, host.
    """
    kind, hint = otherwise, None
    for pattern, known, advice in _MEANINGS:
        if pattern.search(text):
            kind, hint = known, advice
            break
    return kind(f"{what}: {cleaned(text)}", hint=hint, **where)


def cleaned(text: str, limit: int = 1000) -> str:
    """A server's message made fit for an error: one line, no user info, no quoted row."""
    line = " ".join(redact_url(text).split())
    line = re.split(r"[;,.]?\s*(?:src line|first_error_msg)\b", line, maxsplit=1, flags=re.I)[0]
    return line if len(line) <= limit else line[:limit] + " ..."
