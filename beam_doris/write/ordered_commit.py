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
"""Stage 2 of a stream: commits the tokens of a shard in the order of their sequence, each once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.transactions import Transactions
from beam_doris.errors import DorisError
from beam_doris.options.connection import DorisConnection
from beam_doris.write.commit_fn import CommitFn
from beam_doris.write.stored import CommitState, CommitStateCoder
from beam_doris.write.token import CommittedLoad, LoadToken

_log = logging.getLogger(__name__)

STATE = ReadModifyWriteStateSpec("committed", CommitStateCoder())
END = TimerSpec("end", TimeDomain.WATERMARK)
_STATE = beam.DoFn.StateParam(STATE)
_END = beam.DoFn.TimerParam(END)


def commit_key(token: LoadToken) -> tuple[str, str, int]:
    """What has an order of its own: run, table, shard."""
    return token.run_id, str(token.table_id), token.shard


class OrderedCommitFn(CommitFn):
    """Commits in order, one token per sequence; a second one for a sequence is aborted.

    A later attempt can only have made a second token where the runner handed out both, which is
    what the runner promised not to do. The first one is the truth then.
    """

    def __init__(self, connection: DorisConnection) -> None:
        super().__init__(connection)

    def process(  # type: ignore[override]
        self,
        element: tuple[tuple[str, str, int], LoadToken],
        state: Any = _STATE,
        end: Any = _END,
    ) -> Iterator[CommittedLoad]:
        """Commits the token, and those that waited for it; or keeps it until its turn."""
        token = element[1]
        known: CommitState = state.read() or CommitState()
        if token.sequence < known.next:
            if token.label != known.last_label:
                self._refuse(token)
            return
        if token.sequence > known.next:
            same = [waiting for waiting in known.pending if waiting.sequence == token.sequence]
            if not same:
                state.write(replace(known, pending=(*known.pending, token)))
                end.set(GlobalWindow().max_timestamp())
            elif same[0].label != token.label:
                self._refuse(token)
            return
        waiting = {other.sequence: other for other in known.pending}
        yield from self.committed(token)
        sequence, label = token.sequence, token.label
        while sequence + 1 in waiting:
            following = waiting.pop(sequence + 1)
            yield from self.committed(following)
            sequence, label = following.sequence, following.label
        if not waiting and known.pending:
            end.clear()
        state.write(
            CommitState(next=sequence + 1, last_label=label, pending=tuple(waiting.values()))
        )

    @on_timer(END)
    def at_end(self, state: Any = _STATE) -> Iterator[CommittedLoad]:
        """The input has ended: what still waits is durable, so it is committed all the same."""
        known: CommitState = state.read() or CommitState()
        pending = sorted(known.pending, key=lambda token: token.sequence)
        for token in pending:
            _log.warning(
                "load %s is committed although number %d of its shard never came",
                token.label,
                known.next,
            )
            yield from self.committed(token)
        if pending:
            last = pending[-1]
            state.write(CommitState(next=last.sequence + 1, last_label=last.label))

    def _refuse(self, token: LoadToken) -> None:
        """Aborts a second load of what is committed; one that is committed itself stays."""
        _log.error(
            "load %s repeats number %d of its shard, which has a load already: aborting it",
            token.label,
            token.sequence,
        )
        for part in token.parts():
            self._metrics.aborted.inc()
            try:
                shared_client(Transactions, self._connection).abort(
                    part.database, txn_id=part.txn_id, label=part.label
                )
            except DorisError as error:
                _log.warning("load %s is left as it is: %s", part.label, error.message)
