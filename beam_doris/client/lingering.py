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
"""Finds pre-committed loads that nobody is going to commit."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass

from beam_doris.client.contracts import LoadState
from beam_doris.client.frontend import Frontend
from beam_doris.errors import AuthError, ProtocolError, QueryError
from beam_doris.options.table_id import quote

_LIMIT = 1_000_000
_RIGHTS = (
    "listing transactions needs ADMIN_PRIV or LOAD_PRIV on the database: let an administrator run "
    "this, or wait until the server drops what was not committed "
    "(stream_load_default_precommit_timeout_second, 1 hour by default)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LingeringLoad:
    """A load that waits for its commit.

    Args:
        database: Its database.
        txn_id: Its transaction.
        label: Its label.
        run_id: The run that loaded it, as its label says.
        age: How long ago it was pre-committed, by the server's clock.
    """

    database: str
    txn_id: int
    label: str
    run_id: str
    age: datetime.timedelta


def lingering_loads(
    frontend: Frontend,
    database: str,
    prefix: str,
    *,
    run_id: str | None = None,
    older_than: datetime.timedelta = datetime.timedelta(0),
) -> list[LingeringLoad]:
    """The pre-committed loads of a job, oldest first.

    Args:
        frontend: Is asked.
        database: Where.
        prefix: The job's label prefix, whole.
        run_id: Of one run only.
        older_than: Only those that are at least that old.

    Raises:
        AuthError: the user may not list transactions.
    """
    try:
        rows = frontend.query(
            f"SHOW TRANSACTION FROM {quote(database)} WHERE transactionstatus = 'PRECOMMITTED'",
            database,
            limit=_LIMIT,
        )
        now = _moment(frontend.query("SELECT CAST(NOW() AS STRING)", database).scalar())
    except (AuthError, QueryError) as error:
        raise AuthError(
            f"transactions of {database} cannot be listed: {error.message}",
            host=error.host,
            hint=_RIGHTS,
        ) from error
    found = [
        load
        for load in _loads(rows.dicts(), database, prefix, now)
        if (run_id is None or load.run_id == run_id) and load.age >= older_than
    ]
    return sorted(found, key=lambda load: load.age, reverse=True)


def _loads(
    rows: Iterator[dict[str, object]], database: str, prefix: str, now: datetime.datetime
) -> Iterator[LingeringLoad]:
    # <prefix>_<hash of the table>_<run id>_...
    ours = re.compile(re.escape(prefix) + r"_[0-9a-f]{12}_(?P<run>[-A-Za-z0-9:]+)_")
    for row in rows:
        label = str(row.get("Label", ""))
        match = ours.match(label)
        state = str(row.get("TransactionStatus", "")).upper()
        if match is None or state != LoadState.PRECOMMITTED.value:
            continue
        since = row.get("PreCommitTime") or row.get("PrepareTime")
        yield LingeringLoad(
            database=database,
            txn_id=int(str(row["TransactionId"])),
            label=label,
            run_id=match["run"],
            age=max(now - _moment(since), datetime.timedelta(0)),
        )


def _moment(text: object) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(str(text))
    except ValueError:
        raise ProtocolError(f"{str(text)[:40]!r} is not a time") from None
