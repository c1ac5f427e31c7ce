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
"""The load step of the modes without a second phase, inside the bundle."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.metrics import WriteMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import DorisError
from beam_doris.write.encoding import Chunk
from beam_doris.write.job import WriteJob
from beam_doris.write.load_outputs import FAILED, LoadOutputs
from beam_doris.write.queued_loads import QueuedLoads
from beam_doris.write.refusals import explain_refusal
from beam_doris.write.token import CommittedLoad


class OnePhaseLoadFn(beam.DoFn):
    """Sends chunks beside the bundle and waits for all loads at its end: at least once.

    A bundle that fails after some of its loads is repeated by the runner, with those rows too.
    """

    def __init__(self, job: WriteJob) -> None:
        self._job = job
        self._metrics = WriteMetrics()
        self._outputs = LoadOutputs(job, self._metrics)
        self._loads: QueuedLoads | None = None

    def start_bundle(self) -> None:
        """A queue for this bundle."""
        self._give_up()
        self._loads = QueuedLoads(self._job, shared_client(StreamLoader, self._job.connection))

    def process(self, chunk: Chunk) -> None:
        """Queues one chunk."""
        assert self._loads is not None
        try:
            self._loads.write(chunk)
        except DorisError as error:
            self._give_up()
            self._outputs.gave_up()
            explain_refusal(self._job.connection, whole(error))
            raise

    def finish_bundle(self) -> Iterator[WindowedValue | pvalue.TaggedOutput]:
        """Waits for every load of the bundle."""
        assert self._loads is not None
        try:
            loads = self._loads.finish()
        except DorisError as error:
            self._give_up()
            self._outputs.gave_up()
            explain_refusal(self._job.connection, whole(error))
            raise
        report, self._loads = self._loads.report, None
        for load in loads:
            self._count(load)
            yield GlobalWindows.windowed_value(load)
        for row in self._outputs.take(report):
            yield pvalue.TaggedOutput(FAILED, GlobalWindows.windowed_value(row))

    def teardown(self) -> None:
        """After a bundle that failed elsewhere: nothing more is sent."""
        self._give_up()

    def _count(self, load: CommittedLoad) -> None:
        self._metrics.loaded_rows.inc(load.rows)
        self._metrics.loaded_bytes.inc(load.bytes)
        self._metrics.load_time.update(round(load.load_seconds * 1000))
        self._metrics.committed.inc()
        self._metrics.committed_rows.inc(load.rows)

    def _give_up(self) -> None:
        loads, self._loads = self._loads, None
        if loads is not None:
            loads.abort()
