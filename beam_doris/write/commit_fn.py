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
"""Stage 2: commits loads whose tokens are durable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.load_metrics import LoadMetrics
from beam_doris.beam_support.metrics import Stopwatch, WriteMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.client.contracts import CommitOutcome
from beam_doris.client.transactions import Transactions
from beam_doris.errors import CommitUnknownError, DorisError, TransactionExpiredError
from beam_doris.options.connection import DorisConnection
from beam_doris.write.budget import WAITING
from beam_doris.write.token import CommittedLoad, LoadToken


def commit_token(connection: DorisConnection, token: LoadToken) -> CommitOutcome:
    """Commits one load; doing it twice is doing it once.

    Raises:
        TransactionExpiredError: the server gave the load up: its rows are lost to this run.
        CommitUnknownError: nobody can say whether it was committed.
        TransientError: no node could be asked in time.
    """
    transactions = shared_client(Transactions, connection)
    try:
        return transactions.commit(token.database, token.txn_id, token.label)
    except (TransactionExpiredError, CommitUnknownError) as error:
        # the client knows the transaction only, the token what is in it
        error.rows = token.rows
        error.table = str(token.table_id)
        raise


class CommitFn(beam.DoFn):
    """Commits tokens one by one and says what became visible.

    A failure fails the bundle: the runner repeats it with the same tokens, which is harmless.
    """

    def __init__(self, connection: DorisConnection) -> None:
        self._connection = connection
        self._metrics = WriteMetrics()
        self._loads = LoadMetrics()

    def process(self, token: LoadToken) -> Iterator[CommittedLoad]:
        """Commits one token."""
        yield from self.committed(token)

    def committed(self, token: LoadToken) -> Iterator[CommittedLoad]:
        """Commits one token, with what follows it, and says what became visible."""
        for part in token.parts():
            yield self._committed_part(part)

    def _committed_part(self, token: LoadToken) -> CommittedLoad:
        try:
            with Stopwatch() as watch:
                outcome = commit_token(self._connection, token)
        except DorisError as error:
            raise whole(error) from error.__cause__
        self._metrics.committed.inc()
        self._metrics.committed_rows.inc(token.rows)
        self._metrics.commit_time.update(watch.milliseconds)
        self._loads.committed(watch.milliseconds)
        txn_id = outcome.txn_id if outcome.txn_id is not None else token.txn_id
        return CommittedLoad(
            table=str(token.table_id),
            label=token.label,
            txn_id=-1 if txn_id is None else txn_id,
            rows=token.rows,
            bytes=token.bytes,
            load_seconds=token.seconds,
            commit_seconds=watch.milliseconds / 1000,
            already=outcome.already,
        )


class GroupedCommitFn(CommitFn):
    """Commits all loads of a table, or of everything, when all of them are there."""

    def process(  # type: ignore[override]
        self, element: tuple[str, Iterable[LoadToken]]
    ) -> Iterator[CommittedLoad]:
        """Commits one group, in the order of the loads."""
        tokens = sorted(element[1], key=lambda token: (token.loaded_at, token.label))
        for token in tokens:
            for part in token.parts():
                yield from self.committed(part)
                WAITING.settled(part)
