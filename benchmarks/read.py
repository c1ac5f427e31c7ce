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
"""Reading: what the connector adds to the bare wire, and rivals on the emulator.

The peer of the ratios is canned (see `benchmarks.canned`): 5 million rows of ten mixed columns in
12 tablets on 3 backends, two tablets at a time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from beam_doris.beam_support.beam_rows import RowMaker
from beam_doris.options.reading import ReadProtocol
from beam_doris.schema.python_values import to_dicts
from benchmarks import read_pipelines, read_rivals
from benchmarks.canned.peers import Peers
from benchmarks.canned.table import table_schema
from benchmarks.measure import Result, Timing, in_turn
from benchmarks.scans import Scan

TABLETS = 12
BACKENDS = 3
THREADS = 2
ROWS = 5_000_000
QUICK_ROWS = 24_000
MEMORY_LIMIT_MB = 400
_BARE_FLIGHT = "pyarrow.flight alone, the same tablets by as many threads"
_BARE_THRIFT = "a loop of thriftpy2 calls and pyarrow.ipc, the same tablets by as many threads"


def run(quick: bool) -> list[Result]:
    """All cases."""
    rows = QUICK_ROWS if quick else ROWS
    rounds = 1 if quick else 5
    results: list[Result] = []
    with Peers(tablet_rows=rows // TABLETS, tablets=TABLETS, backends=BACKENDS) as peers:
        results += _arrow(peers, ReadProtocol.FLIGHT, _BARE_FLIGHT, rounds)
        results += _arrow(peers, ReadProtocol.THRIFT, _BARE_THRIFT, rounds)
        results += read_pipelines.split_overhead(scan_of(peers, ReadProtocol.FLIGHT), rounds)
        results += [_memory(peers, protocol) for protocol in ("flight", "thrift")]
    with Peers(tablet_rows=rows // TABLETS // 20, tablets=TABLETS, backends=BACKENDS) as peers:
        results += _python_values(peers, min(rounds, 3))
        results.append(_wide(peers, rows // TABLETS // 20, rounds))
    return results + read_rivals.run(quick)


def scan_of(peers: Peers, protocol: ReadProtocol, wide: int = 1, threads: int = THREADS) -> Scan:
    """All tablets of the canned table, one task each."""
    scanners = peers.ready["scanners"]
    return Scan(
        connection=peers.connection(),
        schema=table_schema(wide),
        protocol=protocol,
        tablets=[(number, scanners[number % len(scanners)]) for number in range(TABLETS)],
        threads=threads,
    )


def _arrow(peers: Peers, protocol: ReadProtocol, reference: str, rounds: int) -> list[Result]:
    scan = scan_of(peers, protocol)
    rows, size = peers.ready["rows"], peers.ready["bytes"]
    ours, bare = in_turn(
        _whole(scan.ours, _ignore, rows), _whole(scan.bare, _ignore, rows), rounds=rounds
    )
    name = f"read.{protocol.value}.arrow"
    return [
        _rate(name, ours, bare, size, reference, target=0.85),
        _cpu(f"{name}.cpu", ours, bare, size, reference, target=1.2),
    ]


def _python_values(peers: Peers, rounds: int) -> list[Result]:
    """Rows as dicts and as Beam rows, by one thread: the interpreter runs one at a time anyway."""
    scan = scan_of(peers, ReadProtocol.FLIGHT, threads=1)
    rows = peers.ready["rows"]
    maker = RowMaker(scan.schema)
    bare = _whole(scan.bare, lambda batch: batch.to_pylist(), rows)
    reference = "pyarrow.flight and RecordBatch.to_pylist"
    dicts, plain = in_turn(_whole(scan.ours, to_dicts, rows), bare, rounds=rounds)
    made, plain_again = in_turn(
        _whole(scan.ours, lambda batch: list(maker.rows(batch)), rows), bare, rounds=rounds
    )
    return [
        _row_rate("read.flight.dict", dicts, plain, rows, reference, target=0.75),
        _row_rate("read.flight.row", made, plain_again, rows, reference, target=None),
    ]


def _wide(peers: Peers, tablet_rows: int, rounds: int) -> Result:
    """What a row of a hundred columns costs, by what a row of ten costs."""
    narrow = scan_of(peers, ReadProtocol.FLIGHT)
    rows = peers.ready["rows"]
    with Peers(tablet_rows=tablet_rows, tablets=TABLETS, backends=BACKENDS, wide=10) as others:
        wide = scan_of(others, ReadProtocol.FLIGHT, wide=10)
        ours, reference = in_turn(
            _whole(wide.ours, _ignore, rows), _whole(narrow.ours, _ignore, rows), rounds=rounds
        )
    return Result(
        name="read.flight.wide",
        ours=ours.cpu_seconds / rows * 1e9,
        reference=reference.cpu_seconds / rows * 1e9,
        unit="CPU ns/row",
        what_reference_is="the connector on a tenth of the columns",
        target=10.0,
        higher_is_better=False,
    )


def _memory(peers: Peers, protocol: str) -> Result:
    """What reading the whole table costs in memory when the consumer is slow."""
    ready = json.dumps(peers.ready)
    command = [sys.executable, "-m", "benchmarks.slow_consumer", protocol, ready]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return Result(
        name=f"read.{protocol}.memory",
        ours=float(json.loads(told.stdout)["peak_mb"]),
        reference=float(MEMORY_LIMIT_MB),
        unit="MB",
        what_reference_is="the limit over the worker's base, with a slow consumer",
        target=1.0,
        higher_is_better=False,
    )


def _ignore(_batch: Any) -> None:
    return None


def _whole(read: Callable[[Any], int], sink: Callable[[Any], object], rows: int) -> Any:
    """The read, checked: all rows must have come."""

    def checked() -> None:
        count = read(sink)
        if count != rows:
            raise AssertionError(f"{count} of {rows} rows were read")

    return checked


def _rate(
    name: str, ours: Timing, bare: Timing, size: int, reference: str, target: float | None
) -> Result:
    return Result(
        name=name,
        ours=size / 1e6 / ours.seconds,
        reference=size / 1e6 / bare.seconds,
        unit="MB/s",
        what_reference_is=reference,
        target=target,
        cpu_s_per_gb=ours.cpu_seconds / size * 1e9,
        reference_cpu_s_per_gb=bare.cpu_seconds / size * 1e9,
    )


def _cpu(name: str, ours: Timing, bare: Timing, size: int, reference: str, target: float) -> Result:
    return Result(
        name=name,
        ours=ours.cpu_seconds / size * 1e9,
        reference=bare.cpu_seconds / size * 1e9,
        unit="CPU s/GB",
        what_reference_is=reference,
        target=target,
        higher_is_better=False,
    )


def _row_rate(
    name: str, ours: Timing, bare: Timing, rows: int, reference: str, target: float | None
) -> Result:
    return Result(
        name=name,
        ours=rows / ours.seconds,
        reference=rows / bare.seconds,
        unit="rows/s",
        what_reference_is=reference,
        target=target,
    )
