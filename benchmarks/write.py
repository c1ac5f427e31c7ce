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
"""Writing: what the connector adds to the bare wire, and rivals on the emulator.

The peer of the ratios is canned (see `benchmarks.canned`): a frontend that redirects and a backend
that swallows bodies at the speed of the socket.
"""

from __future__ import annotations

import io
import resource
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from beam_doris.options.writing import LoadFormat
from beam_doris.schema.arrow_normalize import normalize
from beam_doris.schema.python_values import to_dicts
from benchmarks import write_rivals
from benchmarks.canned.peers import Peers
from benchmarks.canned.table import rows_of, table_schema
from benchmarks.loads import Load, beam_rows
from benchmarks.measure import Result, Timing, in_turn
from benchmarks.scans import in_threads

PARALLEL = 2
BATCH_ROWS = 32768
AT_ONCE = 10_000
_CURL = "curl sending the same bodies, encoded beforehand, with as many processes"
_BY_HAND = "orjson and requests in one loop"


def run(quick: bool) -> list[Result]:
    """All cases."""
    rounds = 1 if quick else 5
    results: list[Result] = []
    with Peers(tablet_rows=1) as peers, tempfile.TemporaryDirectory() as folder:
        results += _arrow(peers, Path(folder), 20_000 if quick else 4_000_000, rounds)
        rows = to_dicts(_canonical(2_000 if quick else 200_000))
        results += _json(peers, rows, rounds)
        results.append(_csv(peers, 20_000 if quick else 1_000_000, rounds))
    return results + write_rivals.run(quick)


def _load(peers: Peers, load_format: LoadFormat) -> Load:
    return Load(
        connection=peers.connection(),
        drain=peers.ready["drain"],
        schema=table_schema(),
        load_format=load_format,
    )


def _canonical(count: int) -> pa.RecordBatch:
    return normalize(rows_of(count), table_schema())


def _cut(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    return [batch.slice(at, BATCH_ROWS) for at in range(0, batch.num_rows, BATCH_ROWS)]


def _arrow(peers: Peers, folder: Path, rows: int, rounds: int) -> list[Result]:
    """Batches to an Arrow stream load, encoded on the way; curl gets them encoded."""
    load = _load(peers, LoadFormat.ARROW)
    batches = _cut(_canonical(rows // PARALLEL))
    body = folder / "body.arrow"
    body.write_bytes(_encoded(batches))
    size = body.stat().st_size * PARALLEL
    copies, files = [batches] * PARALLEL, [body] * PARALLEL

    def ours() -> None:
        _same(
            in_threads(PARALLEL, copies, lambda mine: sum(load.ours(each) for each in mine)), size
        )

    def curl() -> None:
        _same(in_threads(PARALLEL, files, lambda mine: sum(load.curl(each) for each in mine)), size)

    mine, theirs = in_turn(ours, curl, rounds=rounds)
    encode = _cpu_of(lambda: [_encoded(batches) for _ in range(PARALLEL)], rounds)
    children = _cpu_of(curl, rounds, resource.RUSAGE_CHILDREN)
    return [
        _rate("write.arrow", mine, theirs, size, _CURL, 0.85, (children + encode) / size * 1e9),
        Result(
            name="write.arrow.cpu",
            ours=mine.cpu_seconds / size * 1e9,
            reference=(children + encode) / size * 1e9,
            unit="CPU s/GB",
            what_reference_is="the CPU time of those curl processes, plus that of encoding",
            target=1.5,
            higher_is_better=False,
        ),
    ]


def _encoded(batches: list[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _json(peers: Peers, rows: list[dict[str, Any]], rounds: int) -> list[Result]:
    """Dicts and Beam rows to JSON lines, by one thread."""
    load = _load(peers, LoadFormat.JSON)
    made = beam_rows(rows)

    def by_hand() -> int:
        return load.orjson_and_requests(rows, AT_ONCE)

    dicts, first = in_turn(lambda: load.ours(rows), by_hand, rounds=rounds)
    objects, second = in_turn(lambda: load.ours(made), by_hand, rounds=rounds)
    return [
        _row_rate("write.json.dict", dicts, first, len(rows), _BY_HAND, 0.7),
        _row_rate("write.json.row", objects, second, len(rows), _BY_HAND + ", of dicts", None),
    ]


def _csv(peers: Peers, rows: int, rounds: int) -> Result:
    load = _load(peers, LoadFormat.CSV)
    batches = _cut(_canonical(rows))
    options = arrow_csv.WriteOptions(include_header=False)

    def by_hand() -> int:
        return load.put((_csv_body(batch, options) for batch in batches), "csv")

    ours, bare = in_turn(lambda: load.ours(batches), by_hand, rounds=rounds)
    reference = "pyarrow.csv and requests in one loop"
    return _row_rate("write.csv.arrow", ours, bare, rows, reference, None)


def _csv_body(batch: pa.RecordBatch, options: arrow_csv.WriteOptions) -> bytes:
    sink = io.BytesIO()
    arrow_csv.write_csv(batch, sink, options)
    return sink.getvalue()


def _same(sent: int, size: int) -> None:
    if abs(sent - size) > 0.02 * size + 100_000:
        raise AssertionError(f"{sent} bytes were sent, not about {size}")


def _cpu_of(work: Callable[[], object], rounds: int, whose: int = resource.RUSAGE_SELF) -> float:
    """The median CPU seconds of this process or of the children that it waited for."""
    found = []
    for _ in range(rounds):
        before = resource.getrusage(whose)
        work()
        after = resource.getrusage(whose)
        found.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(found)


def _rate(
    name: str,
    ours: Timing,
    bare: Timing,
    size: int,
    reference: str,
    target: float,
    reference_cpu: float,
) -> Result:
    return Result(
        name=name,
        ours=size / 1e6 / ours.seconds,
        reference=size / 1e6 / bare.seconds,
        unit="MB/s",
        what_reference_is=reference,
        target=target,
        cpu_s_per_gb=ours.cpu_seconds / size * 1e9,
        reference_cpu_s_per_gb=reference_cpu,
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
