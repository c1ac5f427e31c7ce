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
"""The Flink connector's options made into ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from beam_doris.errors import ConfigError
from beam_doris.options.connection import Timeouts
from beam_doris.options.flink_keys import FlinkValues, parse_properties
from beam_doris.options.reading import ReadProtocol
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    GroupCommitMode,
    LoadFormat,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
)

_T = TypeVar("_T")


def build(
    kind: type[_T],
    arguments: Callable[[FlinkValues], dict[str, Any]],
    properties: Mapping[str, str],
) -> _T:
    """Makes one of the option classes; the caller is its `from_properties`.

    Raises:
        ConfigError: with all problems of the keys, of their values, and of what they add up to.
    """
    values = parse_properties(properties, stacklevel=4)
    problems = list(values.problems)
    try:
        made = kind(**arguments(values))
    except ConfigError as error:
        problems.extend(error.problems)
    else:
        if not problems:
            return made
    raise ConfigError(problems, subject=f"{kind.__name__}.from_properties")


def connection_arguments(flink: FlinkValues) -> dict[str, Any]:
    """Arguments of `DorisConnection`."""
    values = flink.values
    return {
        "fenodes": values.get("fenodes", ""),
        "username": values.get("username", ""),
        "password": values.get("password"),
        "benodes": values.get("benodes", ""),
        "jdbc_url": values.get("jdbc-url"),
        "flight_port": values["source.flight-sql-port"],
        "auto_redirect": values["auto-redirect"],
        "timeouts": Timeouts(
            connect=values["doris.request.connect.timeout"],
            read=values["doris.request.read.timeout"],
            query=values["doris.request.query.timeout"],
        ),
        "retries": values["doris.request.retries"],
    }


def read_arguments(flink: FlinkValues) -> dict[str, Any]:
    """Arguments of `ReadOptions`."""
    values = flink.values
    flight = values["source.use-flight-sql"]
    return {
        "protocol": ReadProtocol.FLIGHT if flight else ReadProtocol.THRIFT,
        "flight_port": values["source.flight-sql-port"],
        "tablets_per_split": values["doris.request.tablet.size"],
        "batch_rows": values["doris.batch.size"],
        "scan_memory_bytes": values["doris.exec.mem.limit"],
        "prefetch": values["doris.deserialize.arrow.async"],
        "prefetch_batches": values["doris.deserialize.queue.size"],
        "columns": values.get("doris.read.field") or None,
        "filter": values.get("doris.filter.query") or None,
    }


def write_arguments(flink: FlinkValues) -> dict[str, Any]:
    """Arguments of `WriteOptions`."""
    values = flink.values
    load_properties = dict(flink.load_properties)
    mode, problems = _mode(flink, load_properties.pop("group_commit", "off_mode").lower())
    load_format = LoadFormat.CSV
    try:
        load_format = LoadFormat.parse(load_properties.get("format", "csv"))
    except ConfigError as error:
        problems.append(f"sink.properties.format: {error.message}")
        load_properties.pop("format")
    if problems:
        raise ConfigError(problems)
    return {
        "mode": mode,
        "label_prefix": values.get("sink.label-prefix") or None,
        "load_format": load_format,
        "compress": load_properties.pop("compress_type", "").lower() == "gz",
        "retries": values["sink.max-retries"],
        "enable_delete": values["sink.enable-delete"],
        "ignore_update_before": values["sink.ignore.update-before"],
        "load_properties": load_properties,
    }


def _mode(flink: FlinkValues, group_commit: str) -> tuple[WriteMode, list[str]]:
    values = flink.values
    write_mode = str(values.get("sink.write-mode", "STREAM_LOAD")).upper()
    two_phase = bool(values["sink.enable-2pc"])
    problems = []
    if write_mode not in ("STREAM_LOAD", "STREAM_LOAD_BATCH"):
        problems.append(f"sink.write-mode {write_mode!r} is not STREAM_LOAD or STREAM_LOAD_BATCH")
    if group_commit != "off_mode":
        if group_commit not in ("sync_mode", "async_mode"):
            problems.append(
                f"sink.properties.group_commit {group_commit!r} is not sync_mode, async_mode "
                "or off_mode"
            )
        elif two_phase:
            # the server would turn group commit off without a word
            problems.append(
                "sink.properties.group_commit cannot be two-phase; "
                "set sink.enable-2pc = false, which gives up exactly-once"
            )
        else:
            return GroupCommit(GroupCommitMode(group_commit)), problems
    if values["sink.enable.batch-mode"] or write_mode == "STREAM_LOAD_BATCH":
        batch = BatchLoad(
            max_rows=values["sink.buffer-flush.max-rows"],
            max_bytes=values["sink.buffer-flush.max-bytes"],
            interval=values["sink.buffer-flush.interval"],
            queue_size=values["sink.flush.queue-size"],
        )
        return batch, problems
    if not two_phase:
        return PlainLoad(), problems
    explicit = "sink.enable-2pc" in flink.given
    return TwoPhaseCommit(explicit=explicit), problems


def lookup_arguments(flink: FlinkValues) -> dict[str, Any]:
    """Arguments of `LookupOptions`."""
    values = flink.values
    return {
        "cache_rows": max(0, values["lookup.cache.max-rows"]),
        "cache_ttl": values["lookup.cache.ttl"],
        "retries": values["lookup.max-retries"],
        "parallel": values["lookup.jdbc.async"],
        "batch_size": values["lookup.jdbc.read.batch.size"],
        "queue_size": values["lookup.jdbc.read.batch.queue-size"],
        "threads": values["lookup.jdbc.read.thread-size"],
    }
