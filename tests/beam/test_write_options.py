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
"""Load properties, the manual's sink options and metrics, and error handlers have their effect."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import equal_to
from apache_beam.transforms.error_handling import ErrorHandler

from beam_doris.beam_support import load_metrics
from beam_doris.client.contracts import LoadRequest
from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import ConfigError
from beam_doris.options.bad_rows import BadRows
from beam_doris.options.writing import LoadFormat, PlainLoad, WriteOptions
from beam_doris.write.sink import WriteToDoris
from tests.beam.cluster import Cluster, pipeline
from tests.beam.collecting import collect, collected

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator


@pytest.fixture(scope="module")
def cluster(emulator: Emulator) -> Cluster:
    """A cluster with a database of its own."""
    cluster = Cluster(emulator)
    cluster.sql("CREATE DATABASE opt")
    return cluster


@pytest.fixture
def table(cluster: Cluster) -> Iterator[str]:
    """A table with a row per key."""
    cluster.sql(
        "CREATE TABLE opt.t (id INT, v STRING) UNIQUE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 "
        'PROPERTIES ("replication_num" = "1")'
    )
    yield "opt.t"
    cluster.sql("DROP TABLE opt.t")


def sink(cluster: Cluster, **more: Any) -> WriteToDoris:
    """A write."""
    return WriteToDoris(cluster.doris, **{"table": "opt.t", "label_prefix": "o", **more})


def content(cluster: Cluster) -> list[tuple[Any, ...]]:
    """Every row that is visible."""
    return cluster.sql("SELECT id, v FROM opt.t ORDER BY id")


ROWS = [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]


@pytest.mark.parametrize(
    "properties",
    [
        {"strip_outer_array": "true"},
        {"read_json_by_line": "false"},
        {"jsonpaths": '["$.id"]'},
        {"json_root": "$.x"},
        {"hidden_columns": "__DORIS_DELETE_SIGN__"},
        {"skip_lines": "1"},
        {"line_delimiter": ";"},
    ],
    ids=lambda properties: next(iter(properties)),
)
def test_properties_that_would_have_rows_misread_are_refused(
    cluster: Cluster, table: str, properties: dict[str, str]
) -> None:
    write = sink(cluster, options=WriteOptions(load_properties=properties))
    with pytest.raises(ConfigError, match=next(iter(properties))), pipeline() as p:
        p | beam.Create(ROWS) | write
    assert content(cluster) == []


def test_the_same_properties_are_the_user_s_business_for_raw_lines(
    cluster: Cluster, table: str
) -> None:
    properties = {"jsonpaths": '["$.a", "$.b"]', "columns": "id, v"}
    with pipeline() as p:
        lines = p | beam.Create(['{"a": 1, "b": "x"}'])
        lines | sink(cluster, options=WriteOptions(load_properties=properties))
    assert content(cluster) == [(1, "x")]


def test_a_body_that_is_not_compressed_is_not_called_so() -> None:
    with pytest.raises(ConfigError, match="compress=True"):
        WriteOptions(load_properties={"compress_type": "gz"})


def test_a_row_beyond_the_limit_leaves_alone(cluster: Cluster, table: str) -> None:
    options = WriteOptions(bad_rows=BadRows(max_row_bytes=2_000))
    rows = [{"id": i, "v": "x" * (3_000 if i == 5 else 10)} for i in range(9)]
    with pipeline() as p:
        written = p | beam.Create(rows) | sink(cluster, options=options, on_row_error="dead_letter")
        collect(written.failed_rows | beam.Map(lambda r: (r.row["id"], r.reason)))
    (found,) = collected()
    assert found[0] == 5
    assert "max_row_bytes" in found[1]
    assert [row[0] for row in content(cluster)] == [0, 1, 2, 3, 4, 6, 7, 8]


# each key of the manual that shows in the loads: what is given, and what the server is sent
SENT: list[tuple[dict[str, str], dict[str, str | None]]] = [
    ({"sink.properties.format": "json"}, {"format": "json", "read_json_by_line": "true"}),
    ({"sink.properties.format": "csv"}, {"format": "csv"}),
    ({"sink.properties.format": "arrow"}, {"format": "arrow"}),
    (
        {
            "sink.properties.format": "csv",
            "sink.properties.column_separator": r"\x01",
            "sink.properties.line_delimiter": r"\x02",
            "sink.properties.escape_delimiters": "true",
        },
        {"column_separator": r"\x01", "line_delimiter": r"\x02"},
    ),
    ({"sink.properties.max_filter_ratio": "0.1"}, {"max_filter_ratio": "0.1"}),
    ({"sink.properties.strict_mode": "true"}, {"strict_mode": "true"}),
    ({"sink.properties.timeout": "77"}, {"timeout": "77"}),
    ({"sink.properties.compress_type": "gz"}, {"two-phase": "true", "gzip": "true"}),
    ({"sink.properties.columns": "id, v, v = upper(v)"}, {"columns": "id, v, v = upper(v)"}),
    ({"sink.properties.partial_columns": "true"}, {"partial_columns": "true"}),
    ({"sink.enable-2pc": "false"}, {"two-phase": "false"}),
    ({"sink.enable-2pc": "true"}, {"two-phase": "true"}),
    ({"sink.label-prefix": "mine"}, {"prefix": "mine_"}),
    ({"sink.enable.batch-mode": "true"}, {"two-phase": "false"}),
    ({"sink.write-mode": "STREAM_LOAD_BATCH"}, {"two-phase": "false"}),
    (
        {"sink.enable-2pc": "false", "sink.properties.group_commit": "sync_mode"},
        {"group_commit": "sync_mode", "label": None},
    ),
    (
        {"sink.enable.batch-mode": "true", "sink.buffer-flush.max-rows": "1"},
        {"loads": "2"},
    ),
    ({"sink.enable.batch-mode": "true", "sink.batch.size": "1"}, {"loads": "2"}),
    (
        {"sink.enable.batch-mode": "true", "sink.buffer-flush.max-bytes": "1b"},
        {"loads": "2"},
    ),
    ({"sink.enable.batch-mode": "true", "sink.batch.interval": "1s"}, {"loads": "1"}),
]


@pytest.mark.parametrize(("given", "sent"), SENT, ids=" ".join)
def test_the_manual_s_options_show_in_what_the_server_is_sent(
    cluster: Cluster,
    table: str,
    given: dict[str, str],
    sent: dict[str, str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests: list[LoadRequest] = []
    for name in ("load", "open"):
        original = getattr(StreamLoader, name)

        def spied(
            self: Any, request: LoadRequest, *more: Any, _original: Any = original, **named: Any
        ) -> Any:
            requests.append(request)
            return _original(self, request, *more, **named)

        monkeypatch.setattr(StreamLoader, name, spied)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = WriteOptions.from_properties({"sink.label-prefix": "o", **given})
    # rows one by one, so that limits have something to count
    options = WriteOptions(**{**_fields(options), "batch_rows": 1})
    with pipeline() as p:
        (
            p
            | beam.Create(ROWS, reshuffle=False)
            | WriteToDoris(cluster.doris, table="opt.t", options=options)
        )
    upper = "upper" in given.get("sink.properties.columns", "")
    assert content(cluster) == [(1, "A" if upper else "a"), (2, "B" if upper else "b")]
    request = requests[0]
    shown: dict[str, str | None] = {
        **{name.lower(): value for name, value in request.headers.items()},
        "two-phase": str(request.two_phase).lower(),
        "gzip": str(request.gzip).lower(),
        "label": request.label,
        "prefix": (request.label or "")[: len(sent.get("prefix") or "")],
        "loads": str(len(requests)),
    }
    assert {name: shown.get(name) for name in sent} == sent


def _fields(options: WriteOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in WriteOptions.__slots__}


@pytest.mark.parametrize("mode", ["two-phase", "plain"])
def test_every_metric_of_the_manual_is_there_and_right(
    cluster: Cluster, table: str, mode: str
) -> None:
    options = WriteOptions(
        load_format=LoadFormat.CSV,
        load_properties={
            "column_separator": ",",
            "max_filter_ratio": "0.9",
            "where": "id < 100",
            "columns": "id, v",
        },
    )
    if mode == "plain":
        options = WriteOptions(**{**_fields(options), "mode": PlainLoad()})
    p = pipeline()
    p | beam.Create(["1,a", "2,b", "3", "200,d"]) | sink(cluster, options=options)
    result = p.run()
    result.wait_until_finish()
    found = result.metrics().query()
    counters = {entry.key.metric.name: entry.committed for entry in found["counters"]}
    times = {entry.key.metric.name: entry.committed for entry in found["distributions"]}
    assert set(load_metrics.COUNTERS) <= set(counters)
    assert set(load_metrics.DISTRIBUTIONS) <= set(times)
    loads = counters[load_metrics.SUCCEEDED]
    assert loads >= 1
    assert counters[load_metrics.TOTAL_ROWS] == 4
    assert counters[load_metrics.LOADED_ROWS] == 2
    assert counters[load_metrics.FILTERED_ROWS] == 1
    assert counters[load_metrics.UNSELECTED_ROWS] == 1
    assert counters[load_metrics.LOAD_BYTES] == len("1,a\n2,b\n3\n200,d\n")
    assert counters[load_metrics.FAILED] == 0
    assert times[load_metrics.COMMIT_TIME].count == loads
    assert content(cluster) == [(1, "a"), (2, "b")]


class _Handled(beam.PTransform):
    """Stands for a dead-letter store."""

    def expand(self, errors: Any) -> Any:
        """Keeps what comes."""
        collect(errors | beam.Map(lambda row: row.row))
        return errors


def test_an_error_handler_of_beam_takes_the_failed_rows(cluster: Cluster, table: str) -> None:
    with pipeline() as p, ErrorHandler(_Handled()) as handler:
        rows = p | beam.Create([{"id": "one", "v": "x"}, *ROWS])
        rows | sink(cluster).with_error_handler(handler)
    equal_to([{"id": "one", "v": "x"}])(collected())
    assert [row[0] for row in content(cluster)] == [1, 2]
