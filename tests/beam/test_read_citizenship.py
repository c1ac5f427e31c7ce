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
"""What other parts of Beam see of a read: schemas, frames, YAML, metrics, lineage, sessions."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam import coders
from apache_beam.metrics.metric import Lineage
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.typehints import schemas

import beam_doris
from beam_doris import ConfigError, ReadFromDoris, ReadOptions
from beam_doris.beam_support import metrics
from beam_doris.beam_support.coders import ArrowRecordBatchCoder
from beam_doris.read.scanners import flight_slots
from beam_doris.read.yaml_source import read_from_doris
from tests.beam.cluster import Cluster, pipeline

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

ROWS = 300


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """One table with a column of every shape."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE citizen")
    cluster.sql(
        "CREATE TABLE citizen.things (id INT NOT NULL, day DATE, at DATETIME(3), "
        "price DECIMAL(10, 2), big LARGEINT, tags ARRAY<STRING>, name VARCHAR(20), "
        "x DOUBLE NOT NULL) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 6 "
        'PROPERTIES ("replication_num" = "1")'
    )
    values = ", ".join(
        f"({i}, '2024-01-05', '2024-01-05 01:02:03', {i}.5, {i}, ['a'], 'n{i % 3}', {i})"
        for i in range(ROWS)
    )
    cluster.sql(f"INSERT INTO citizen.things VALUES {values}")
    return cluster


def read(cluster: Cluster, **more: Any) -> ReadFromDoris:
    """A read of the table."""
    return ReadFromDoris(cluster.doris, **{"table": "citizen.things", **more})


def test_the_schema_is_one_that_beam_sql_in_java_knows(cluster: Cluster) -> None:
    rows = pipeline() | read(cluster)
    fields = schemas.typing_to_runner_api(rows.element_type).row_type.schema.fields
    types = {field.name: field.type for field in fields}
    assert types["id"].atomic_type == schemas.typing_to_runner_api(int).atomic_type - 1
    assert not types["id"].nullable
    assert types["name"].nullable
    assert types["day"].logical_type.urn == "beam:logical_type:date:v1"
    assert types["price"].logical_type.urn == "beam:logical_type:decimal:v1"
    assert types["at"].logical_type.urn == "beam:logical_type:datetime:v1"
    # Java's type of a wall clock is represented by exactly these two integers
    parts = types["at"].logical_type.representation.row_type.schema.fields
    int64 = schemas.typing_to_runner_api(int).atomic_type
    told = [(part.name, part.type.atomic_type, part.type.nullable) for part in parts]
    assert told == [("Date", int64, False), ("Time", int64, False)]
    assert types["tags"].array_type.element_type.nullable
    assert not any("pythonsdk_any" in str(kind) for kind in types.values())


def test_the_rows_become_a_data_frame(cluster: Cluster) -> None:
    try:
        from apache_beam.dataframe.convert import to_dataframe, to_pcollection
    except (ImportError, AttributeError):
        pytest.skip("this Beam cannot work with this pandas")
    with pipeline() as p:
        frame = to_dataframe(p | read(cluster))
        large = frame.loc[frame.x >= ROWS - 3][["id", "x"]]
        values = to_pcollection(large) | beam.Map(lambda row: (int(row.id), float(row.x)))
        assert_that(values, equal_to([(i, float(i)) for i in range(ROWS - 3, ROWS)]))


def test_rows_can_be_grouped_by_their_fields(cluster: Cluster) -> None:
    with pipeline() as p:
        sums = p | read(cluster) | beam.GroupBy("name").aggregate_field("id", sum, "total")
        values = sums | beam.Map(lambda row: (row.name, row.total))
        expected = [(f"n{n}", sum(range(n, ROWS, 3))) for n in range(3)]
        assert_that(values, equal_to(expected))


def test_a_step_of_beam_yaml(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml = pytest.importorskip("apache_beam.yaml.yaml_transform")
    monkeypatch.setenv("YAML_DORIS_PASSWORD", "")
    provider = Path(beam_doris.__file__).parent / "yaml" / "doris_provider.yaml"
    text = f"""
providers:
  - include: {provider}
pipeline:
  type: chain
  transforms:
    - type: ReadFromDoris
      config:
        fenodes: 127.0.0.1:{cluster.ready["fe_http"]}
        username: root
        password_env: YAML_DORIS_PASSWORD
        table: citizen.things
        columns: [id, name]
        read: {{filter: "id < 4"}}
    - type: Filter
      config: {{language: python, keep: "id > 1"}}
"""
    with pipeline(pickle_library="cloudpickle") as p:
        rows = yaml.expand_pipeline(p, text)
        assert_that(
            rows | beam.Map(lambda row: (row.id, row.name)), equal_to([(2, "n2"), (3, "n0")])
        )


def test_the_yaml_step_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match="password"):
        read_from_doris(fenodes="a:1", username="root", table="a.b")
    with pytest.raises(ConfigError, match="fliter"):
        read_from_doris(fenodes="a:1", username="u", password="", read={"fliter": "x"})


@pytest.mark.parametrize(
    ("output", "kind"),
    [("arrow", pa.RecordBatch), ("dict", dict[str, Any]), ("tuple", tuple[Any, ...])],
)
def test_the_type_hints_say_what_comes_out(cluster: Cluster, output: str, kind: Any) -> None:
    from apache_beam.typehints.native_type_compatibility import convert_to_beam_type

    rows = pipeline() | read(cluster, output=output)
    assert convert_to_beam_type(rows.element_type) == convert_to_beam_type(kind)


def test_arrow_batches_have_a_coder_of_their_own() -> None:
    assert isinstance(coders.registry.get_coder(pa.RecordBatch), ArrowRecordBatchCoder)


@pytest.mark.parametrize("protocol", ["thrift", "flight"])
def test_metrics_and_lineage_tell_what_was_read(cluster: Cluster, protocol: str) -> None:
    p = pipeline()
    options = ReadOptions(protocol=protocol, tablets_per_split=2, batch_rows=20)
    p | read(cluster, output="arrow", options=options)
    result = p.run()
    result.wait_until_finish()
    told = result.metrics().query()
    counters = {
        one.key.metric.name: one.committed
        for one in told["counters"]
        if one.key.metric.namespace == metrics.NAMESPACE
    }
    assert counters[metrics.ROWS_READ] == ROWS
    assert counters[metrics.BYTES_READ] > ROWS * 20
    assert counters[metrics.BATCHES_READ] >= 6
    assert counters[metrics.TABLETS_READ] == counters[metrics.TABLETS_PLANNED] == 6
    assert counters[metrics.SPLITS_READ] == 3
    assert counters.get(metrics.SCAN_RETRIES, 0) == 0
    times = [one for one in told["distributions"] if one.key.metric.name == "scan_ms"]
    assert sum(one.committed.count for one in times) > 6
    sources = Lineage.query(result.metrics(), Lineage.SOURCE)
    node = f"127.0.0.1:{cluster.ready['fe_http']}"
    assert sources == {f"doris:{node}.internal.citizen.things"}


# ------------------------------------------------------------------------------ flight sessions


def open_sessions(cluster: Cluster) -> int:
    """How many Flight sessions the cluster holds."""
    rows = cluster.sql("SHOW PROCESSLIST")
    # the one that asks is a MySQL session
    return len(rows) - 1


@pytest.mark.parametrize("fails", [False, True])
def test_every_flight_session_is_closed(cluster: Cluster, fails: bool) -> None:
    def check(batch: Any) -> None:
        if fails:
            raise RuntimeError("the user's code fails")

    before = open_sessions(cluster)
    p = pipeline()
    options = ReadOptions(protocol="flight")
    p | read(cluster, output="arrow", options=options) | beam.Map(check)
    if fails:
        with pytest.raises(RuntimeError, match="the user's code fails"):
            p.run()
    else:
        p.run()
    deadline = time.monotonic() + 5
    while open_sessions(cluster) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open_sessions(cluster) == before


def test_a_worker_opens_no_more_sessions_than_it_may(cluster: Cluster) -> None:
    seen: list[int] = []
    before = open_sessions(cluster)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            seen.append(open_sessions(cluster) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    options = ReadOptions(protocol="flight", flight_sessions=1, tablets_per_split=1)
    try:
        with pipeline(direct_num_workers=2, direct_running_mode="multi_threading") as p:
            rows = p | read(cluster, output="tuple", columns=["id"], options=options)
            assert_that(rows, equal_to([(i,) for i in range(ROWS)]))
    finally:
        ended.set()
        watcher.join()
    assert max(seen) == 1
    # and what was taken was given back
    slots = flight_slots(cluster.doris, 1)
    assert slots.acquire(blocking=False)
    slots.release()


def test_slots_are_shared_by_all_readers_of_a_cluster(cluster: Cluster) -> None:
    assert flight_slots(cluster.doris, 3) is flight_slots(cluster.connection(), 3)
    assert flight_slots(cluster.doris, 3) is not flight_slots(cluster.connection(retries=9), 3)
