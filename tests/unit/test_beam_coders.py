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
"""Coders: what is written can be read, also by a later version."""

from __future__ import annotations

import json
import pickle

import pyarrow as pa
import pytest
from apache_beam import coders
from apache_beam.io.restriction_trackers import OffsetRange

from beam_doris.beam_support.coders import ArrowRecordBatchCoder
from beam_doris.errors import ProtocolError
from beam_doris.read.plan import ScanTask
from beam_doris.read.restriction import ScanTaskCoder, TabletRangeCoder
from beam_doris.write.token import LoadToken, LoadTokenCoder

TOKEN = LoadToken(
    catalog="internal",
    database="db",
    table="t",
    label="job_1",
    txn_id=7,
    run_id="r1",
    sequence=2,
    rows=10,
    bytes=100,
    loaded_at=1700000000.5,
    seconds=0.25,
)
# what version 1 wrote; it must be readable for ever
STORED_TOKEN = (
    b'\x01{"bytes":100,"catalog":"internal","database":"db","label":"job_1",'
    b'"loaded_at":1700000000.5,"rows":10,"run_id":"r1","seconds":0.25,"sequence":2,'
    b'"table":"t","txn_id":7}'
)


def test_arrow_batches_survive_with_types_and_metadata() -> None:
    schema = pa.schema([pa.field("a", pa.decimal256(39, 0), metadata={b"doris.type": b"LARGEINT"})])
    batch = pa.RecordBatch.from_arrays([pa.array([1, None], pa.decimal256(39, 0))], schema=schema)
    coder = coders.registry.get_coder(pa.RecordBatch)
    assert isinstance(coder, ArrowRecordBatchCoder)
    decoded = coder.decode(coder.encode(batch))
    assert decoded.equals(batch, check_metadata=True)
    assert coder.estimate_size(batch) >= batch.nbytes


def test_a_slice_of_a_batch_is_encoded_without_the_rest() -> None:
    batch = pa.record_batch({"a": pa.array(range(100_000), pa.int64())})
    coder = ArrowRecordBatchCoder()
    encoded = coder.encode(batch.slice(500, 10))
    assert len(encoded) < 2_000
    assert coder.decode(encoded).column(0).to_pylist() == list(range(500, 510))


def test_what_the_first_version_wrote_is_still_written() -> None:
    written = LoadTokenCoder().encode(TOKEN)
    assert written[0] == STORED_TOKEN[0]
    assert json.loads(STORED_TOKEN[1:]).items() <= json.loads(written[1:]).items()
    assert LoadTokenCoder().decode(written) == TOKEN


def test_a_token_of_version_1_is_read() -> None:
    assert LoadTokenCoder().decode(STORED_TOKEN) == TOKEN
    assert isinstance(coders.registry.get_coder(LoadToken), LoadTokenCoder)


@pytest.mark.parametrize("broken", [b"", b"\x02{}", b"\xff"])
def test_a_token_of_a_later_version_is_refused(broken: bytes) -> None:
    with pytest.raises(ProtocolError, match="later version"):
        LoadTokenCoder().decode(broken)


def test_a_scan_task_survives() -> None:
    task = ScanTask(-1, 100_000, 200, 99)
    coder = coders.registry.get_coder(ScanTask)
    assert isinstance(coder, ScanTaskCoder)
    assert coder.decode(coder.encode(task)) == task


def test_a_thousand_restrictions_fit_in_ten_kilobytes() -> None:
    coder = TabletRangeCoder()
    encoded = [coder.encode(OffsetRange(i, i + 1)) for i in range(1_000)]
    assert sum(map(len, encoded)) < 10_000
    assert [coder.decode(e).start for e in encoded] == list(range(1_000))


def test_what_travels_to_workers_pickles() -> None:
    assert pickle.loads(pickle.dumps(TOKEN)) == TOKEN
