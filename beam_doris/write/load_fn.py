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
"""Stage 1: streams a bundle's chunks into two-phase loads and emits their tokens."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.metrics import WriteMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import DorisError
from beam_doris.write.budget import WAITING
from beam_doris.write.bundle_loads import BundleLoads
from beam_doris.write.commit_fn import commit_token
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import WriteJob
from beam_doris.write.load_outputs import FAILED, LoadOutputs
from beam_doris.write.refusals import explain_refusal
from beam_doris.write.result import FailedRow
from beam_doris.write.token import LoadToken

_Output: TypeAlias = "WindowedValue | pvalue.TaggedOutput"

_log = logging.getLogger(__name__)


class LoadFn(beam.DoFn):
    """Fused with the step that packs rows, so that no row crosses a shuffle.

    Tokens leave in `finish_bundle`: a bundle that fails before emits none, and what it loaded is
    aborted here or expires on the server.
    """

    def __init__(self, job: WriteJob) -> None:
        self._job = job
        self._metrics = WriteMetrics()
        self._outputs = LoadOutputs(job, self._metrics)
        self._loads: BundleLoads | None = None

    def start_bundle(self) -> None:
        """A new attempt; whatever the last one left behind is given up."""
        self._give_up()
        self._loads = BundleLoads(self._job, shared_client(StreamLoader, self._job.connection))

    def process(self, chunk: Chunk) -> None:
        """Streams one chunk."""
        self._write(chunk)

    def finish_bundle(self) -> Iterator[_Output]:
        """Ends the loads; emits a token for each, and the rows that were refused."""
        tokens, failed = self._finished()
        yield from _in_global_window(tokens, failed)

    def teardown(self) -> None:
        """After a bundle that failed elsewhere: what was loaded and not handed out is aborted."""
        self._give_up()

    def _write(self, chunk: Chunk) -> None:
        assert self._loads is not None
        try:
            self._loads.write(chunk)
        except BaseException as error:
            self._give_up()
            self._outputs.gave_up()
            if isinstance(error, DorisError):
                explain_refusal(self._job.connection, whole(error))
            raise

    def _finished(self) -> tuple[list[LoadToken], list[FailedRow]]:
        assert self._loads is not None
        try:
            tokens = self._loads.finish()
        except BaseException as error:
            self._give_up()
            self._outputs.gave_up()
            if isinstance(error, DorisError):
                explain_refusal(self._job.connection, whole(error))
            raise
        report, self._loads = self._loads.report, None
        for token in (part for whole_token in tokens for part in whole_token.parts()):
            self._metrics.precommitted.inc()
            self._metrics.loaded_rows.inc(token.rows)
            self._metrics.loaded_bytes.inc(token.bytes)
            self._metrics.load_time.update(round(token.seconds * 1000))
        return tokens, self._outputs.take(report)

    def _give_up(self) -> None:
        loads, self._loads = self._loads, None
        if loads is not None:
            loads.abort()
            if loads.aborted:
                self._metrics.aborted.inc(loads.aborted)


class HoldingLoadFn(LoadFn):
    """For a commit stage that begins when everything is loaded: counts what waits for it."""

    def _finished(self) -> tuple[list[LoadToken], list[FailedRow]]:
        tokens, failed = super()._finished()
        for token in tokens:
            WAITING.add(token)
        return tokens, failed


class EarlyCommittingLoadFn(LoadFn):
    """Also commits when the runner has made the bundle durable, which frees the transactions.

    Only for runners on which a bundle finalizer means durable. The commit stage remains the truth:
    an exception in a finalizer is swallowed by every runner.
    """

    def __init__(self, job: WriteJob) -> None:
        super().__init__(job)
        self._finalizer: Any = None

    def process(
        self,
        chunk: Chunk,
        finalizer: Any = beam.DoFn.BundleFinalizerParam,
    ) -> None:
        """Streams one chunk; keeps the finalizer, which is offered here and nowhere else."""
        self._finalizer = finalizer
        self._write(chunk)

    def finish_bundle(self) -> Iterator[_Output]:
        """Ends the loads, registers their early commit, emits tokens and refused rows."""
        tokens, failed = self._finished()
        finalizer, self._finalizer = self._finalizer, None
        if finalizer is not None:
            # registered even for no tokens: a runner may ask for it wherever it is declared
            finalizer.register(lambda: commit_early(self._job, tokens))
        yield from _in_global_window(tokens, failed)


def commit_early(job: WriteJob, tokens: list[LoadToken]) -> None:
    """Commits what is durable now; a failure is left to the commit stage, which reports it."""
    metrics = WriteMetrics()
    for token in tokens:
        for part in token.parts():
            try:
                commit_token(job.connection, part)
            except DorisError as error:
                _log.warning(
                    "early commit of %s failed, the commit stage will try: %s",
                    part.label,
                    error.message,
                )
                break  # what follows must not overtake it
            metrics.early_commits.inc()


def _in_global_window(tokens: list[LoadToken], failed: list[FailedRow]) -> Iterator[_Output]:
    for token in tokens:
        yield GlobalWindows.windowed_value(token)
    for row in failed:
        yield pvalue.TaggedOutput(FAILED, GlobalWindows.windowed_value(row))
