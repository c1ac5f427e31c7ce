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
"""Two-phase loads of a run that may be repeated: the same unit and bytes have the same label.

Where the user names the run, a repetition of the whole pipeline finds what the run has loaded: a
load that is committed already is not loaded again, and one that waits for its commit is taken over.
Nothing is ever aborted here: the load may be that of the attempt which goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

from beam_doris.client.contracts import LoadRequest, LoadState
from beam_doris.client.deadline import Deadline
from beam_doris.client.labels import load_label
from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import LabelConflictError, RejectedRowsError
from beam_doris.write.bundle_loads import Unit
from beam_doris.write.chunks import rows_of_chunk
from beam_doris.write.encoding import Body, Chunk
from beam_doris.write.isolation import Isolation, reasons_from_log
from beam_doris.write.job import WriteJob
from beam_doris.write.kept_chunks import keeper_for
from beam_doris.write.load_report import LoadReport
from beam_doris.write.one_phase import body_digest
from beam_doris.write.token import LoadToken, chained

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


def precommit_chunks(
    job: WriteJob,
    loader: StreamLoader,
    chunks: Sequence[Chunk],
    unit: Unit,
    report: LoadReport,
) -> list[LoadToken]:
    """Pre-commits chunks of one table and set of columns, unless an earlier attempt has.

    Returns:
        One token; none when the server refused every row.

    Raises:
        DorisError: nothing of it is visible, unless an earlier attempt committed it.
    """

    def send(part: Iterable[Chunk], place: str = "") -> LoadToken:
        return _precommit_once(job, loader, list(part), (unit, place), report)

    try:
        return [send(chunks)]
    except RejectedRowsError as error:
        kept = keeper_for(job)
        if kept is None:
            raise
        report.refused += 1
        for chunk in chunks:
            kept.add(chunk)
        reasons = reasons_from_log(job.connection)
        try:
            found = Isolation(kept, send, reasons, job.options.bad_rows.max_loads).run(error)
        finally:
            kept.close()
        report.failed += found.failed
        report.searched += found.attempts
        return [chained(found.loads)] if found.loads else []


def _precommit_once(
    job: WriteJob,
    loader: StreamLoader,
    chunks: Sequence[Chunk],
    what: tuple[Unit, str],
    report: LoadReport,
) -> LoadToken:
    unit, place = what
    body = Body(job, chunks[0])
    pieces = [piece for chunk in chunks if (piece := body.encode(chunk))]
    last = body.end()
    if last:
        pieces.append(last)
    parts = (unit.shard, unit.sequence, *((place,) if place else ()), body_digest(pieces))
    label = load_label(job.label_prefix, job.table, job.run_id, *parts)
    rows = sum(rows_of_chunk(chunk) for chunk in chunks)
    request = LoadRequest(
        table=job.table,
        label=label,
        headers=body.headers(),
        two_phase=True,
        gzip=job.options.compress,
        deadline=job.options.load_timeout,
        retries=job.options.retries,
    )
    deadline = Deadline.after(job.options.load_timeout)
    started = time.monotonic()
    txn_id: int | None = None
    while True:
        try:
            result = loader.load(request, pieces)
        except LabelConflictError:
            state = loader.transactions.resolve(job.table.database, label, deadline=deadline)
            if state is LoadState.PRECOMMITTED or state.is_committed:
                _log.info("load %s is %s by an earlier attempt", label, state.name)
                break
            # an attempt that died is still being cleared away, or its label was just freed
            if deadline.remaining() <= _POLL_SECONDS:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            report.accepted(job, result, rows)
            txn_id = result.txn_id
            break
    return LoadToken(
        catalog=job.table.catalog,
        database=job.table.database,
        table=job.table.table,
        label=label,
        txn_id=txn_id,
        run_id=job.run_id,
        sequence=unit.sequence,
        rows=rows,
        bytes=sum(len(piece) for piece in pieces),
        loaded_at=time.time(),
        seconds=time.monotonic() - started,
        shard=unit.shard,
    )
