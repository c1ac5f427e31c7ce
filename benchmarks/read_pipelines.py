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
"""What the splittable DoFn costs inside a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions
from beam_doris.read.plan import ScanPlan
from beam_doris.read.scanners import TabletScanner, open_scanner
from beam_doris.read.source import ReadFromDoris
from benchmarks.measure import Result, in_turn
from benchmarks.scans import Scan, Tablet


class _PlainScan(beam.DoFn):
    """Reads a tablet as an ordinary DoFn: no restriction, no tracker, no metrics."""

    def __init__(self, connection: DorisConnection, options: ReadOptions, plan: ScanPlan) -> None:
        self._connection = connection
        self._options = options
        self._plan = plan
        self._scanner: TabletScanner | None = None

    def process(self, tablet: Tablet) -> Iterator[Any]:
        number, backend = tablet
        if self._scanner is None:
            self._scanner = open_scanner(
                self._connection, self._options, self._plan, self._plan.opaque
            )
        with closing(self._scanner.scan(backend, [number])) as batches:
            yield from batches

    def finish_bundle(self) -> None:
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            scanner.close()


class _Discard(beam.DoFn):
    def process(self, batch: Any) -> None:
        """Nothing."""


def split_overhead(scan: Scan, rounds: int) -> list[Result]:
    """The whole transform by a pipeline that reads the same tablets with an ordinary DoFn."""

    def ours(pipeline: beam.Pipeline) -> Any:
        return pipeline | ReadFromDoris(
            scan.connection,
            table=scan.schema.table,
            schema=scan.schema,
            output="arrow",
            options=scan.options,
            validate=False,
        )

    def plain(pipeline: beam.Pipeline) -> Any:
        read = _PlainScan(scan.connection, scan.options, scan.plan())
        return pipeline | beam.Create(list(scan.tablets), reshuffle=False) | beam.ParDo(read)

    with_splits, without = in_turn(_piped(ours), _piped(plain), rounds=rounds)
    return [
        Result(
            name="read.split.overhead",
            ours=with_splits.seconds,
            reference=without.seconds,
            unit="s",
            what_reference_is="a pipeline that scans the same tablets in an ordinary DoFn",
            target=1.05,
            higher_is_better=False,
        )
    ]


def _piped(make: Callable[[beam.Pipeline], Any]) -> Callable[[], None]:
    def run() -> None:
        options = PipelineOptions(["--direct_num_workers=1"])
        with beam.Pipeline(runner=fn_runner.FnApiRunner(), options=options) as pipeline:
            make(pipeline) | beam.ParDo(_Discard())

    return run
