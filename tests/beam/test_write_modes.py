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
"""Every mode, bounded and unbounded, against the emulator; and a stream buffer with its state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_doris.beam_support.client_pool import lend
from beam_doris.client.contracts import LoadState
from beam_doris.client.frontend import Frontend
from beam_doris.client.stream_load import StreamLoader
from beam_doris.client.transactions import Transactions
from beam_doris.errors import ConfigError
from beam_doris.options.delivery import StreamBuffer
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
    WriteOptions,
)
from beam_doris.write.buffer_fn import StreamingBufferFn
from beam_doris.write.ordered_commit import OrderedCommitFn, commit_key
from beam_doris.write.sink import WriteToDoris
from beam_doris.write.stored import CommitState, pack_chunk
from beam_doris.write.token import CommittedLoad, LoadToken
from tests.beam.cluster import Cluster
from tests.beam.endless import Stream
from tests.beam.fakes import FakeCluster, FakeFrontend, connection

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

PRISM = os.environ.get("BEAM_DORIS_PRISM")
RUNNERS = ["FnApiRunner", *(["PrismRunner"] if PRISM else [])]
MODES: list[WriteMode] = [
    TwoPhaseCommit(),
    PlainLoad(),
    BatchLoad(max_rows=100, interval=timedelta(seconds=1)),
    GroupCommit("sync"),
    GroupCommit("async"),
]


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A cluster with a database of its own."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE modes")
    return cluster


@pytest.fixture
def table(cluster: Cluster) -> Iterator[str]:
    """A table that keeps every row it gets."""
    cluster.sql(
        "CREATE TABLE modes.t (id INT NOT NULL, name VARCHAR(40)) DUPLICATE KEY(id) "
        'DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES ("replication_num" = "1")'
    )
    yield "modes.t"
    cluster.sql("DROP TABLE modes.t")


def pipeline(runner: str) -> beam.Pipeline:
    """A pipeline on a runner."""
    if runner == "FnApiRunner":
        return beam.Pipeline(runner=fn_runner.FnApiRunner())
    flags = [f"--prism_location={PRISM}", "--environment_type=LOOPBACK"]
    return beam.Pipeline(runner=runner, options=PipelineOptions(flags))


def row(number: int) -> dict[str, Any]:
    """One row."""
    return {"id": number, "name": f"n{number}"}


def write(cluster: Cluster, runner: str, mode: WriteMode, *, unbounded: bool, **more: Any) -> None:
    """Writes 500 rows."""
    stream = StreamBuffer(shards=2, max_rows=100, interval=timedelta(milliseconds=300))
    options = WriteOptions(mode=mode, batch_rows=50, stream=stream)
    with pipeline(runner) as p:
        if unbounded:
            numbers = p | beam.Create([500]) | beam.ParDo(Stream(40))
        else:
            numbers = p | beam.Create(range(500))
        (
            numbers
            | beam.Map(row)
            | WriteToDoris(
                cluster.doris, table="modes.t", label_prefix="m", options=options, **more
            )
        )


EXPECTED = [(number, f"n{number}") for number in range(500)]


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("unbounded", [False, True], ids=["bounded", "unbounded"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: type(mode).__name__)
def test_every_row_arrives_once_when_nothing_fails(
    cluster: Cluster, table: str, mode: WriteMode, unbounded: bool, runner: str
) -> None:
    stateful = isinstance(mode, PlainLoad) or (unbounded and not isinstance(mode, GroupCommit))
    if runner == "PrismRunner" and stateful:
        with pytest.raises(ConfigError, match="rows would be lost"):
            write(cluster, runner, mode, unbounded=unbounded)
        return
    write(cluster, runner, mode, unbounded=unbounded)
    assert cluster.sql("SELECT id, name FROM modes.t ORDER BY id, name") == EXPECTED


@pytest.mark.parametrize("mode", [TwoPhaseCommit(), PlainLoad()], ids=["two-phase", "plain"])
def test_a_named_run_that_is_repeated_adds_nothing(
    cluster: Cluster, table: str, mode: WriteMode
) -> None:
    for _ in range(2):
        write(cluster, "FnApiRunner", mode, unbounded=False, run_id=f"again-{type(mode).__name__}")
        assert cluster.sql("SELECT id, name FROM modes.t ORDER BY id, name") == EXPECTED
    write(cluster, "FnApiRunner", mode, unbounded=False, run_id=f"other-{type(mode).__name__}")
    assert len(cluster.sql("SELECT id FROM modes.t")) == 1000


def test_all_or_nothing_arrives_whole(cluster: Cluster, table: str) -> None:
    write(cluster, "FnApiRunner", TwoPhaseCommit(), unbounded=False, all_or_nothing=True)
    assert cluster.sql("SELECT id, name FROM modes.t ORDER BY id, name") == EXPECTED


# ------------------------------------------------------------------------------ with given state


class Cell:
    """A state cell, or a timer."""

    def __init__(self) -> None:
        self.value: Any = None
        self.items: list[Any] = []
        self.timer: Any = None

    def read(self) -> Any:
        """What is there."""
        return self.items if self.items else self.value

    def write(self, value: Any) -> None:
        """Replaces it."""
        self.value = value

    def add(self, item: Any) -> None:
        """Adds to a bag."""
        self.items.append(item)

    def clear(self) -> None:
        """Empties it; disarms a timer."""
        self.items, self.timer, self.value = [], None, None

    def set(self, at: Any) -> None:
        """Arms a timer."""
        self.timer = at


class Buffer:
    """One key of a stream buffer."""

    def __init__(self, stream: StreamBuffer, fake: FakeCluster) -> None:
        doris = connection()
        lend(Frontend, doris, FakeFrontend())
        lend(StreamLoader, doris, fake)
        lend(Transactions, doris, fake)
        sink = WriteToDoris(
            doris,
            table="test.student",
            label_prefix="job",
            options=WriteOptions(mode=TwoPhaseCommit(), stream=stream),
        )
        self.fn = StreamingBufferFn(sink._job)
        self.chunks, self.state, self.end, self.flush = Cell(), Cell(), Cell(), Cell()

    def add(self, rows: int) -> list[Any]:
        """One chunk; what leaves."""
        import pyarrow as pa

        self.fn.start_bundle()
        batch = pa.record_batch({"id": pa.array(range(rows), pa.int32())})
        element = (("test.student", 1), pack_chunk(batch))
        made = list(self.fn.process(element, self.chunks, self.state, self.end, self.flush))
        self.fn.finish_bundle()
        return made

    def when_old(self) -> list[Any]:
        """The flush timer fires."""
        return list(self.fn.when_old(("test.student", 1), self.chunks, self.state))


def test_small_bundles_make_no_small_loads() -> None:
    fake = FakeCluster()
    buffer = Buffer(StreamBuffer(max_rows=100), fake)
    tokens = [token for _ in range(45) for token in buffer.add(10)]
    assert [token.rows for token in tokens] == [100, 100, 100, 100]
    assert [token.sequence for token in tokens] == [0, 1, 2, 3]
    assert buffer.flush.timer is not None
    tokens += buffer.when_old()
    assert (tokens[-1].rows, tokens[-1].sequence, tokens[-1].shard) == (50, 4, 1)
    assert buffer.when_old() == []
    labels = list(fake.loads)
    assert all(label.split("_")[3:5] == ["1", str(n)] for n, label in enumerate(labels))


def test_a_buffer_is_loaded_by_its_bytes_too() -> None:
    buffer = Buffer(StreamBuffer(max_bytes=2000), FakeCluster())
    counts = [len(buffer.add(100)) for _ in range(8)]
    assert sum(counts) >= 2
    assert counts[0] == 0


def test_what_a_failed_bundle_loaded_is_aborted_by_the_next_attempt() -> None:
    fake = FakeCluster()
    buffer = Buffer(StreamBuffer(max_rows=10), fake)
    element = (("test.student", 1), pack_chunk(_batch(10)))
    buffer.fn.start_bundle()
    list(buffer.fn.process(element, buffer.chunks, buffer.state, buffer.end, buffer.flush))
    assert fake.states() == [LoadState.PRECOMMITTED]
    buffer.fn.start_bundle()  # the bundle failed before its end
    assert fake.states() == [LoadState.ABORTED]


def _batch(rows: int) -> Any:
    import pyarrow as pa

    return pa.record_batch({"id": pa.array(range(rows), pa.int32())})


class Stage:
    """One key of the commit stage."""

    def __init__(self, fake: FakeCluster) -> None:
        self.doris = connection()
        lend(StreamLoader, self.doris, fake)
        lend(Transactions, self.doris, fake)
        self.fn = OrderedCommitFn(self.doris)
        self.state, self.end = Cell(), Cell()

    def take(self, token: LoadToken) -> list[CommittedLoad]:
        """One token; what is committed."""
        return list(self.fn.process((commit_key(token), token), self.state, self.end))


def token(fake: FakeCluster, sequence: int, name: str) -> LoadToken:
    """A pre-committed load."""
    from beam_doris.client.contracts import LoadRequest
    from beam_doris.options.table_id import TableId

    load = fake.open(LoadRequest(table=TableId("d", "t"), label=name))
    load.finish()
    return LoadToken(
        catalog="internal",
        database="d",
        table="t",
        label=name,
        txn_id=load.txn_id,
        run_id="r",
        sequence=sequence,
        rows=1,
        bytes=1,
        loaded_at=0.0,
        seconds=0.0,
    )


def test_tokens_are_committed_in_order_however_they_come() -> None:
    fake = FakeCluster()
    stage = Stage(fake)
    tokens = [token(fake, number, f"l{number}") for number in range(4)]
    assert stage.take(tokens[2]) == []
    assert stage.take(tokens[1]) == []
    assert [load.label for load in stage.take(tokens[0])] == ["l0", "l1", "l2"]
    assert [load.label for load in stage.take(tokens[3])] == ["l3"]
    assert fake.commits == ["l0", "l1", "l2", "l3"]


def test_a_second_token_of_a_sequence_is_aborted_and_never_committed() -> None:
    fake = FakeCluster()
    stage = Stage(fake)
    first, second = token(fake, 0, "first"), token(fake, 0, "second")
    stage.take(first)
    assert stage.take(second) == []
    assert stage.take(first) == []  # the same one again is no second one
    assert fake.loads["first"].state is LoadState.VISIBLE
    assert fake.loads["second"].state is LoadState.ABORTED
    early, twin = token(fake, 5, "early"), token(fake, 5, "twin")
    stage.take(early)
    stage.take(twin)
    assert fake.loads["early"].state is LoadState.PRECOMMITTED
    assert fake.loads["twin"].state is LoadState.ABORTED


def test_what_still_waits_at_the_end_is_committed() -> None:
    fake = FakeCluster()
    stage = Stage(fake)
    stage.take(token(fake, 3, "late"))
    assert stage.end.timer is not None
    assert [load.label for load in stage.fn.at_end(stage.state)] == ["late"]
    assert isinstance(stage.state.value, CommitState)
    assert stage.state.value.next == 4
