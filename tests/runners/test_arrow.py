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
"""Arrow batches between stages and in state keep their coder and every value."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal

import apache_beam as beam
import pyarrow as pa
from apache_beam.testing.util import assert_that

from beam_doris.beam_support.coders import ArrowRecordBatchCoder
from tests.runners import stages
from tests.runners.platforms import Platform, Runners, on_all

ROWS = 60
BATCHES = 6


def _all_rows() -> pa.RecordBatch:
    ids = range(ROWS)
    moment = datetime.datetime(2024, 2, 29, 23, 59, 59, 999_999)
    columns = {
        "id": pa.array(ids, pa.int64()),
        "amount": pa.array([Decimal(f"-{10**35 + i}.25") for i in ids], pa.decimal128(38, 2)),
        "at": pa.array([None if i % 7 == 0 else moment for i in ids], pa.timestamp("us")),
        "tags": pa.array([[f"ä{i}", None][: i % 3] for i in ids], pa.list_(pa.string())),
        "map": pa.array([[(f"k{i}", i)] for i in ids], pa.map_(pa.string(), pa.int32())),
        "blob": pa.array([bytes([i, 0, 255]) for i in ids], pa.binary()),
        "ratio": pa.array([float("nan") if i == 3 else i / 3 for i in ids], pa.float64()),
    }
    return pa.RecordBatch.from_pydict(columns)


def _batches() -> list[pa.RecordBatch]:
    # slices share their parent's buffers: only the slice must travel
    step = ROWS // BATCHES
    return [_all_rows().slice(start, step) for start in range(0, ROWS, step)]


def _keyed(pipeline: beam.Pipeline) -> beam.PCollection:
    return (
        pipeline
        | beam.Impulse()
        | beam.FlatMap(lambda _: _batches()).with_output_types(pa.RecordBatch)
        | beam.Reshuffle()
        | beam.Map(lambda batch: ("k", batch)).with_output_types(tuple[str, pa.RecordBatch])
    )


def _is_everything(batches: int) -> Callable[[list[tuple[str, int, bytes]]], None]:
    def check(found: list[tuple[str, int, bytes]]) -> None:
        ((key, count, encoded),) = found
        assert (key, count) == ("k", batches)
        batch = ArrowRecordBatchCoder().decode(encoded)
        assert batch.schema == _all_rows().schema
        # NaN is equal to nothing, so its bits are compared
        assert repr(batch.to_pylist()) == repr(_all_rows().to_pylist())

    return check


@on_all
def test_batches_pass_a_shuffle_and_the_state_of_a_key_unharmed(
    runners: Runners, platform: Platform
) -> None:
    with runners.pipeline(platform) as pipeline:
        gathered = _keyed(pipeline) | beam.ParDo(stages.Gather())
        assert_that(gathered, _is_everything(BATCHES))


def test_batches_travel_in_their_own_coder_not_pickled() -> None:
    pipeline = beam.Pipeline()
    _ = _keyed(pipeline)
    components = pipeline.to_runner_api().components
    payloads = {
        bytes(components.coders[collection.coder_id].spec.payload)
        for collection in components.pcollections.values()
    }
    assert any(b"ArrowRecordBatchCoder" in payload for payload in payloads)
