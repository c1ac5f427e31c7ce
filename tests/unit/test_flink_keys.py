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
"""Options of the Flink connector by their keys."""

from __future__ import annotations

import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from beam_doris.errors import ConfigError
from beam_doris.options import document
from beam_doris.options.connection import DorisConnection, Node
from beam_doris.options.flink_keys import FLINK_KEYS, FlinkOptionWarning
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    GroupCommitMode,
    LoadFormat,
    PlainLoad,
    TwoPhaseCommit,
    WriteOptions,
)

MIB = 1024 * 1024
# The manual's tables: every key with its default, as printed there.
MANUAL: dict[str, str | None] = {
    "fenodes": None,
    "benodes": None,
    "jdbc-url": None,
    "table.identifier": None,
    "username": None,
    "password": None,
    "auto-redirect": "TRUE",
    "doris.request.retries": "3",
    "doris.request.connect.timeout": "30s",
    "doris.request.read.timeout": "30s",
    "doris.request.query.timeout": "21600s",
    "doris.request.tablet.size": "1",
    "doris.batch.size": "1024",
    "doris.exec.mem.limit": "8192mb",
    "doris.deserialize.arrow.async": "FALSE",
    "doris.deserialize.queue.size": "64",
    "source.use-flight-sql": "FALSE",
    "source.flight-sql-port": "-",
    "doris.read.field": None,
    "doris.filter.query": None,
    "sink.label-prefix": None,
    "sink.enable-delete": "TRUE",
    "sink.enable-2pc": "TRUE",
    "sink.buffer-size": "1MB",
    "sink.buffer-count": "3",
    "sink.max-retries": "3",
    "sink.enable.batch-mode": "FALSE",
    "sink.flush.queue-size": "2",
    "sink.buffer-flush.max-rows": "500000",
    "sink.buffer-flush.max-bytes": "100MB",
    "sink.buffer-flush.interval": "10s",
    "sink.ignore.update-before": "TRUE",
    "lookup.cache.max-rows": "-1",
    "lookup.cache.ttl": "10s",
    "lookup.max-retries": "1",
    "lookup.jdbc.async": "FALSE",
    "lookup.jdbc.read.batch.size": "128",
    "lookup.jdbc.read.batch.queue-size": "256",
    "lookup.jdbc.read.thread-size": "3",
}
CLUSTER = {"fenodes": "fe:8030", "username": "root", "password": "pw"}


@pytest.mark.parametrize("name", sorted(MANUAL))
def test_every_key_of_the_manual_is_known_with_its_default(name: str) -> None:
    key = next(key for key in FLINK_KEYS if key.name == name)
    default = MANUAL[name]
    if default is None:
        assert key.default is None
    else:
        assert key.default is not None
        assert key.default.lower() == default.lower()
    # a key without a field says why it has no meaning here
    assert key.field is not None or key.why


@pytest.mark.filterwarnings("ignore::beam_doris.options.flink_keys.FlinkOptionWarning")
@pytest.mark.parametrize("key", FLINK_KEYS, ids=lambda key: key.name)
def test_every_class_accepts_every_key(key: Any) -> None:
    value = {"fenodes": "h:1", "benodes": "h:1", "jdbc-url": "jdbc:mysql://h:1"}.get(key.name)
    properties = {**CLUSTER, key.name: value or key.default or _sample(key.parse.__name__)}
    if key.name == "sink.write-mode":
        properties[key.name] = "STREAM_LOAD_BATCH"
    DorisConnection.from_properties(properties)
    ReadOptions.from_properties(properties)
    WriteOptions.from_properties(properties)
    LookupOptions.from_properties(properties)


def _sample(unit: str) -> str:
    return {"boolean": "false", "integer": "5", "duration": "5s", "size": "5mb"}.get(unit, "abc")


def test_the_defaults_are_those_of_24_1_0() -> None:
    connection = DorisConnection.from_properties(CLUSTER)
    assert connection.timeouts.connect == connection.timeouts.read == timedelta(seconds=30)
    assert connection.timeouts.query == timedelta(hours=6)
    assert connection.retries == 3
    assert connection.auto_redirect
    read = ReadOptions.from_properties(CLUSTER)
    assert read.protocol is ReadProtocol.THRIFT
    assert (read.batch_rows, read.tablets_per_split, read.prefetch) == (1024, 1, False)
    assert read.scan_memory_bytes == 8192 * MIB
    write = WriteOptions.from_properties(CLUSTER)
    assert write.mode == TwoPhaseCommit(explicit=False)
    assert write.load_format is LoadFormat.CSV
    assert write.retries == 3
    lookup = LookupOptions.from_properties(CLUSTER)
    assert (lookup.cache_rows, lookup.cache_ttl) == (0, timedelta(seconds=10))
    assert (lookup.batch_size, lookup.queue_size, lookup.threads) == (128, 256, 3)


def test_values_reach_their_fields() -> None:
    properties = {
        **CLUSTER,
        "benodes": "be1:8040,be2:8040",
        "jdbc-url": "jdbc:mysql://fe:9030",
        "doris.request.connect.timeout": "500",
        "doris.request.read.timeout.ms": "700",
        "doris.request.query.timeout.s": "60",
        "doris.exec.mem.limit": "1048576",
        "doris.read.field": "id, `name`",
        "doris.filter.query": "age=18",
        "source.use-flight-sql": "true",
        "source.flight-sql-port": "9040",
        "sink.label-prefix": "doris_label",
        "sink.properties.format": "json",
        "sink.properties.read_json_by_line": "true",
        "read.batch.size": "7",
        "read.batch.queue-size": "8",
        "read.thread-size": "9",
        "connector": "doris",
    }
    with pytest.warns(FlinkOptionWarning, match="old spelling"):
        connection = DorisConnection.from_properties(properties)
    assert connection.backends == (Node("be1", 8040), Node("be2", 8040))
    assert connection.sql_nodes == (Node("fe", 9030),)
    assert connection.timeouts.connect == timedelta(milliseconds=500)
    assert connection.timeouts.read == timedelta(milliseconds=700)
    assert connection.timeouts.query == timedelta(seconds=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = ReadOptions.from_properties(properties)
        write = WriteOptions.from_properties(properties)
        lookup = LookupOptions.from_properties(properties)
    assert read.protocol is ReadProtocol.FLIGHT
    assert (read.flight_port, read.scan_memory_bytes) == (9040, MIB)
    assert (read.columns, read.filter) == (("id", "name"), "age=18")
    assert write.label_prefix == "doris_label"
    assert write.load_format is LoadFormat.JSON
    assert write.load_properties["read_json_by_line"] == "true"
    assert (lookup.batch_size, lookup.queue_size, lookup.threads) == (7, 8, 9)


def test_the_batch_mode_keys_make_a_batch_load() -> None:
    expected = BatchLoad(
        max_rows=10, max_bytes=20 * MIB, interval=timedelta(minutes=1), queue_size=4
    )
    values = {
        "sink.buffer-flush.max-rows": "10",
        "sink.buffer-flush.max-bytes": "20MB",
        "sink.buffer-flush.interval": "1 min",
        "sink.flush.queue-size": "4",
    }
    for switch in ({"sink.enable.batch-mode": "true"}, {"sink.write-mode": "stream_load_batch"}):
        assert WriteOptions.from_properties({**values, **switch}).mode == expected


def test_the_old_batch_keys_of_the_manuals_faq_are_taken_with_a_warning() -> None:
    with pytest.warns(FlinkOptionWarning, match="is an old spelling") as caught:
        options = WriteOptions.from_properties(
            {"sink.batch.size": "5", "sink.batch.interval": "2s", "sink.enable.batch-mode": "true"}
        )
    assert options.mode == BatchLoad(max_rows=5, interval=timedelta(seconds=2))
    assert len(caught) == 2


def test_two_phase_can_be_switched_off_and_asked_for() -> None:
    off = WriteOptions.from_properties({"sink.enable-2pc": "false"})
    assert off.mode == PlainLoad()
    on = WriteOptions.from_properties({"sink.enable-2pc": "true", "sink.max-retries": "5"})
    assert on.mode == TwoPhaseCommit(explicit=True)


def test_group_commit_is_a_mode_and_never_silently_two_phase() -> None:
    group = {"sink.properties.group_commit": "async_mode"}
    with pytest.raises(ConfigError, match=r"set sink\.enable-2pc = false"):
        WriteOptions.from_properties(group)
    options = WriteOptions.from_properties({**group, "sink.enable-2pc": "false"})
    assert options.mode == GroupCommit(GroupCommitMode.ASYNC)
    assert "group_commit" not in options.load_properties


def test_unknown_keys_name_the_nearest_known_one_and_all_problems_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        DorisConnection.from_properties(
            {
                "fenode": "x",
                "sink.lable-prefix": "x",
                "doris.request.retries": "many",
                "auto-redirect": "yes",
                "doris.exec.mem.limit": "8 parsecs",
                "username": "u",
            }
        )
    text = str(caught.value)
    assert "unknown option 'fenode'; the nearest known one is 'fenodes'" in text
    assert "'sink.lable-prefix'; the nearest known one is 'sink.label-prefix'" in text
    for part in (
        "'many' is not a whole",
        "'yes' is neither",
        "'8 parsecs' is not a size",
        "fenodes is missing",
        "password is missing",
    ):
        assert part in text, part


def test_keys_without_meaning_are_accepted_with_a_warning_at_the_callers_line() -> None:
    with pytest.warns(FlinkOptionWarning, match="'sink.parallelism' has no effect") as caught:
        WriteOptions.from_properties({"sink.parallelism": "4"})
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("name", "value"),
    [("doris.enable.tls", "true"), ("sink.write-mode", "COPY"), ("source.scan.mode", "latest")],
)
def test_what_is_not_there_is_refused_and_not_ignored(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match="supported"):
        WriteOptions.from_properties({name: value})


def test_the_table_identifier_is_read() -> None:
    assert TableId.from_properties({"table.identifier": "a.b"}) == TableId("a", "b")
    with pytest.raises(ConfigError, match=r"table\.identifier is missing"):
        TableId.from_properties({})


def test_the_password_is_a_secret_and_never_quoted() -> None:
    connection = DorisConnection.from_properties({**CLUSTER, "password": "hunter2"})
    assert connection.credentials() == ("root", "hunter2")
    assert "hunter2" not in repr(connection)


def test_the_option_page_explains_every_difference() -> None:
    page = document.render()
    for key in FLINK_KEYS:
        assert f"`{key.name}`" in page
        if key.field is None:
            assert key.why
        elif key.default is not None and not _same_default(key):
            assert key.why, f"{key.name} differs without a reason"


def _same_default(key: Any) -> bool:
    native = document.native_default(key.field)
    parsed = key.parse(key.default)
    if key.field == "WriteOptions.mode":
        return True
    return bool(native == parsed)


def test_the_option_page_of_the_docs_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "options.md"
    assert page.read_text(encoding="utf-8") == document.render(), (
        "run python -m beam_doris.options.document > docs/options.md"
    )
