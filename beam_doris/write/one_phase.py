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
"""Loads that commit themselves: one request, and what was asked for is visible."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from beam_doris.client.contracts import LoadRequest, LoadResult
from beam_doris.client.labels import load_label, new_nonce
from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import RejectedRowsError
from beam_doris.options.writing import GroupCommit, PlainLoad
from beam_doris.write.bundle_loads import Unit
from beam_doris.write.chunks import rows_of_chunk
from beam_doris.write.encoding import Body, Chunk
from beam_doris.write.isolation import Isolation, reasons_from_log
from beam_doris.write.job import WriteJob
from beam_doris.write.kept_chunks import keeper_for
from beam_doris.write.load_report import LoadReport
from beam_doris.write.token import CommittedLoad

_DIGEST_BYTES = 8


@dataclass(slots=True)
class Sent:
    """What became of chunks.

    Args:
        loads: The loads that are visible, in the order of their rows.
        report: What they told.
    """

    loads: list[CommittedLoad]
    report: LoadReport


def send_chunks(
    job: WriteJob, loader: StreamLoader, chunks: Sequence[Chunk], unit: Unit | None = None
) -> Sent:
    """Loads chunks of one table and set of columns.

    Args:
        job: The table and the options; their mode says what the label is.
        loader: Loads.
        chunks: At least one.
        unit: What the load is called after, in `PlainLoad`.

    Raises:
        LoadUnknownError: its answer was lost, and cannot be asked for.
        DorisError: nothing of it is visible.
    """
    report = LoadReport()

    def send(part: Iterable[Chunk], place: str = "") -> CommittedLoad:
        return _send_once(job, loader, list(part), (unit, place), report)

    try:
        return Sent([send(chunks)], report)
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
        return Sent(found.loads, report)


def _send_once(
    job: WriteJob,
    loader: StreamLoader,
    chunks: Sequence[Chunk],
    what: tuple[Unit | None, str],
    report: LoadReport,
) -> CommittedLoad:
    body = Body(job, chunks[0])
    pieces = [piece for chunk in chunks if (piece := body.encode(chunk))]
    last = body.end()
    if last:
        pieces.append(last)
    headers = body.headers()
    if isinstance(job.options.mode, GroupCommit):
        headers["group_commit"] = job.options.mode.header
    request = LoadRequest(
        table=job.table,
        label=_label(job, pieces, *what),
        headers=headers,
        two_phase=False,
        gzip=job.options.compress,
        deadline=job.options.load_timeout,
        retries=job.options.retries,
    )
    result = loader.load(request, pieces)
    rows = sum(rows_of_chunk(chunk) for chunk in chunks)
    report.accepted(job, result, rows)
    return _committed(result, rows)


def _label(job: WriteJob, pieces: Sequence[bytes], unit: Unit | None, place: str) -> str | None:
    """A label that is found again by those, and only those, that load the same again.

    The place tells parts of one refused load apart, which may hold equal rows.
    """
    if isinstance(job.options.mode, GroupCommit):
        return None
    if not isinstance(job.options.mode, PlainLoad):
        return load_label(job.label_prefix, job.table, job.run_id, new_nonce())
    assert unit is not None
    parts = (unit.shard, unit.sequence, *((place,) if place else ()), body_digest(pieces))
    return load_label(job.label_prefix, job.table, job.run_id, *parts)


def body_digest(pieces: Sequence[bytes]) -> str:
    """64 bits of the body: a load that is finished under it has loaded these very bytes."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _committed(result: LoadResult, rows: int) -> CommittedLoad:
    return CommittedLoad(
        table=str(result.table),
        label=result.label,
        txn_id=-1 if result.txn_id is None else result.txn_id,
        rows=rows if result.rows_loaded is None else result.rows_loaded,
        bytes=result.load_bytes,
        load_seconds=result.seconds,
        commit_seconds=0.0,
        already=result.adopted,
    )
