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
"""The search for refused rows, without a server."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_doris.errors import ConnectError, RejectedRowsError
from beam_doris.options.bad_rows import BadRows
from beam_doris.write.chunks import rows_of_chunk
from beam_doris.write.encoding import Chunk
from beam_doris.write.isolation import Isolated, Isolation
from beam_doris.write.job import RawLines
from beam_doris.write.kept_chunks import KeptChunks


class Server:
    """Refuses any load that holds a bad row; tells counts and reasons where it is asked to."""

    def __init__(self, bad: set[int], *, counts: bool = True, common_reason: bool = False) -> None:
        self.bad = bad
        self.counts = counts
        self.common_reason = common_reason
        self.loaded: list[int] = []
        self.loads = 0

    def load(self, chunks: Iterable[Chunk], place: str) -> str:
        """One load."""
        self.loads += 1
        ids = [i for chunk in chunks for i in ids_of(chunk)]
        if self.bad & set(ids):
            raise self.refusal(ids)
        self.loaded += ids
        return place

    def refusal(self, ids: list[int]) -> RejectedRowsError:
        """What the server says."""
        bad = [i for i in ids if i in self.bad]
        error = RejectedRowsError(
            "too many filtered rows",
            table="d.t",
            label="l",
            filtered_rows=len(bad) if self.counts else None,
            total_rows=len(ids) if self.counts else None,
        )
        error.error_url = ",".join(str(i) for i in bad)
        return error

    def reasons(self, error: RejectedRowsError) -> tuple[str, ...]:
        """The error log."""
        names = (error.error_url or "").split(",")
        return tuple("bad" if self.common_reason else f"bad {name}" for name in names)


def ids_of(chunk: Chunk) -> list[int]:
    """The rows of a chunk."""
    if isinstance(chunk, RawLines):
        return [int(line) for line in chunk.body.split(b"\n")[:-1]]
    found: list[int] = chunk.column("id").to_pylist()
    return found


def kept(count: int, chunk_rows: int = 7, memory: int = 1 << 20) -> KeptChunks:
    """Rows 0 to count."""
    chunks = KeptChunks(memory)
    for start in range(0, count, chunk_rows):
        ids = list(range(start, min(count, start + chunk_rows)))
        chunks.add(pa.record_batch({"id": pa.array(ids, pa.int64())}))
    return chunks


def search(server: Server, chunks: KeptChunks, max_loads: int = 10_000) -> Isolated[str]:
    """Runs the search as a refused load begins it."""
    first = server.refusal(list(range(chunks.rows)))
    try:
        return Isolation(chunks, server.load, server.reasons, max_loads).run(first)
    finally:
        chunks.close()


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 300),
    chosen=st.sets(st.integers(0, 299), min_size=1, max_size=12),
    counts=st.booleans(),
    common=st.booleans(),
    memory=st.sampled_from([0, 200, 1 << 20]),
)
def test_exactly_the_bad_rows_come_out_and_all_others_are_loaded_once(
    count: int, chosen: set[int], counts: bool, common: bool, memory: int
) -> None:
    bad = {i % count for i in chosen}
    server = Server(bad, counts=counts, common_reason=common)
    found = search(server, kept(count, memory=memory))
    assert sorted(server.loaded) == [i for i in range(count) if i not in bad]
    assert [row.row["id"] for row in found.failed] == sorted(bad)
    assert not any(row.unisolated for row in found.failed)
    expected = "bad" if common else None
    assert all(row.reason == (expected or f"bad {row.row['id']}") for row in found.failed)
    bound = 2 * len(bad) * max(1.0, math.ceil(math.log2(count)))
    assert found.attempts == server.loads <= bound


def test_accepted_parts_come_in_the_order_of_their_rows() -> None:
    found = search(Server({3, 50, 51, 90}), kept(100))
    starts = [int(place.split("-")[0]) for place in found.loads]
    assert starts == sorted(starts)
    assert len(starts) > 4


def test_a_load_that_is_bad_throughout_for_one_reason_costs_nothing() -> None:
    server = Server(set(range(50)), common_reason=True)
    found = search(server, kept(50))
    assert server.loads == 0
    assert {row.reason for row in found.failed} == {"bad"}
    assert len(found.failed) == 50


def test_what_is_undecided_at_the_limit_leaves_as_unisolated_and_nothing_is_lost() -> None:
    bad = set(range(0, 200, 9))
    server = Server(bad)
    found = search(server, kept(200), max_loads=20)
    assert server.loads <= 20
    out = [row.row["id"] for row in found.failed]
    assert sorted(out + server.loaded) == list(range(200))
    undecided = [row for row in found.failed if row.unisolated]
    assert undecided
    assert "of" in undecided[0].reason
    assert "rows are bad" in undecided[0].reason
    assert all(row.row["id"] in bad for row in found.failed if not row.unisolated)


def test_raw_lines_come_out_as_they_were() -> None:
    chunks = KeptChunks(0)
    for start in (0, 4):
        lines = [b"%d\n" % i for i in range(start, start + 4)]
        chunks.add(RawLines(b"".join(lines), 4))
    server = Server({5})
    found = search(server, chunks)
    assert [row.row for row in found.failed] == [b"5"]
    assert sorted(server.loaded) == [0, 1, 2, 3, 4, 6, 7]


def test_lines_that_cannot_be_told_apart_leave_whole() -> None:
    chunks = KeptChunks(1 << 20)
    chunks.add(RawLines(b"1\n2\n3\n", 2))
    found = search(Server({1}), chunks)
    assert [(row.row, row.unisolated) for row in found.failed] == [(b"1\n2\n3\n", True)]


def test_another_failure_ends_the_search() -> None:
    def load(chunks: Iterable[Chunk], place: str) -> str:
        raise ConnectError("gone")

    server = Server({1})
    with pytest.raises(ConnectError):
        Isolation(kept(8), load, server.reasons, 100).run(server.refusal(list(range(8))))


def test_chunks_beyond_the_memory_are_read_back_from_the_file() -> None:
    chunks = kept(100, chunk_rows=10, memory=160)
    assert [i for c in chunks.between(5, 95) for i in ids_of(c)] == list(range(5, 95))
    assert sum(rows_of_chunk(c) for c in chunks.between(0, 100)) == 100
    chunks.close()


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="max_loads"):
        BadRows(max_loads=0)
