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
"""The pipeline that is hurt: a process of its own, forked from one that has Beam loaded."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_doris.beam_support.client_pool import drop_clients
from beam_doris.options.connection import DorisConnection, Timeouts
from beam_doris.options.delivery import StreamBuffer
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
    WriteOptions,
)
from beam_doris.write.sink import WriteToDoris
from tests.beam.endless import Stream
from tests.crash import mutants
from tests.crash.points import Kind, Point, Trap, install

ROWS = 600
_PER_BUNDLE = 150
MODES: dict[str, WriteMode] = {
    "two-phase": TwoPhaseCommit(),
    "plain": PlainLoad(),
    "batch": BatchLoad(max_rows=200),
    "group": GroupCommit("sync", max_bytes=8_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is to do.

    Args:
        frontend: Port of the frontend, or of a proxy before it.
        backends: Ports of the backends.
        table: The table.
        mode: Name of the mode.
        runner: FnApiRunner or PrismRunner.
        endpoint: Where a running Prism takes jobs.
        unbounded: Whether the input is a stream.
        run_id: As the user would give it.
        load_seconds: The load timeout.
        point: Where it is hurt; None for a run that is left alone.
        kind: How.
        nth: At which time that it comes there.
        folder: For notes.
        mutant: A fault that is put into the code on purpose.
        backwards: Whether the rows come in another order.
    """

    frontend: int
    backends: tuple[int, ...]
    table: str
    mode: str
    runner: str
    endpoint: str
    unbounded: bool
    run_id: str | None
    load_seconds: float
    point: Point | None
    kind: Kind | None
    nth: int
    folder: str
    mutant: str | None
    backwards: bool = False


def row(number: int) -> dict[str, Any]:
    """One row of the table."""
    return {"id": number, "name": f"name of {number}", "value": number / 4}


def body_bytes() -> int:
    """About how long all bodies are together."""
    return sum(len(str(row(number))) - 6 for number in range(ROWS))


def main(order: Order) -> None:
    """Runs the pipeline once; leaves with status 0, 1 or a signal."""
    folder = Path(order.folder)
    logging.basicConfig(filename=folder / "log", level=logging.INFO, force=True)
    drop_clients()
    if order.mutant is not None:
        mutants.install(order.mutant)
    if order.point is not None:
        assert order.kind is not None
        trap = Trap(order.kind, order.nth, order.load_seconds + 1.5, folder)
        install(order.point, trap, body_bytes())
    try:
        _run(order)
    except Exception:
        logging.getLogger(__name__).exception("the pipeline failed")
        sys.exit(1)


def _run(order: Order) -> None:
    times = Timeouts(connect=timedelta(seconds=2), read=timedelta(seconds=order.load_seconds))
    doris = DorisConnection(
        fenodes=f"127.0.0.1:{order.frontend}",
        benodes=",".join(f"127.0.0.1:{port}" for port in order.backends),
        username="root",
        password="",
        timeouts=times,
    )
    options = WriteOptions(
        mode=MODES[order.mode],
        batch_rows=100,
        max_load_bytes=10_000,
        load_timeout=timedelta(seconds=order.load_seconds),
        stream=StreamBuffer(shards=2, max_rows=150, interval=timedelta(milliseconds=500)),
    )
    sink = WriteToDoris(
        doris, table=order.table, label_prefix="crash", options=options, run_id=order.run_id
    )
    runner: Any = fn_runner.FnApiRunner() if order.runner == "FnApiRunner" else order.runner
    flags = ["--environment_type=LOOPBACK"]
    if order.endpoint:
        flags.append(f"--job_endpoint={order.endpoint}")
    with beam.Pipeline(runner=runner, options=PipelineOptions(flags)) as pipeline:
        if order.unbounded:
            numbers = pipeline | beam.Create([ROWS]) | beam.ParDo(Stream(_PER_BUNDLE))
        else:
            ids = list(range(ROWS))
            if order.backwards:
                ids.reverse()
            numbers = pipeline | beam.Create(ids, reshuffle=False)
        numbers | beam.Map(row) | sink
