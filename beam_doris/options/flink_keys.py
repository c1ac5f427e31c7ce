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
"""Every option of the Flink connector: its key, its 24.1.0 default, and the field it becomes here.

The table drives `from_properties` of the option classes and the generated option reference
(`python -m beam_doris.options.document`). Defaults of keys that are newer than 24.1.0 are those of
their first release.
"""

from __future__ import annotations

import difflib
import enum
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from beam_doris.options import flink_units as units

LOAD_PROPERTY_PREFIX = "sink.properties."
# Written in Flink SQL beside the options themselves.
_IGNORED = frozenset({"connector"})


class Section(enum.Enum):
    """The manual's tables."""

    CONNECTION = "Connection"
    READ = "Source"
    WRITE = "Sink"
    LOOKUP = "Lookup"


class FlinkOptionWarning(UserWarning):
    """A Flink option was accepted that does nothing here, or is spelled in an old way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkKey:
    """One option.

    Args:
        name: The key.
        section: The manual's table that lists it.
        parse: Its unit.
        default: The 24.1.0 default as the manual writes it; None for keys without one.
        field: The field of ours it becomes, as `Class.field`; None when it means nothing here.
        why: Why the native default differs, or why the key means nothing.
        aliases: Other spellings, each with its own unit.
        refused: Values that would ask for something that is not there, with the advice.
    """

    name: str
    section: Section
    parse: Callable[[str], Any]
    default: str | None = None
    field: str | None = None
    why: str = ""
    aliases: Mapping[str, Callable[[str], Any]] | None = None
    refused: Mapping[str, str] | None = None


def _connection(name: str, parse: Callable[[str], Any], **more: Any) -> FlinkKey:
    return FlinkKey(name=name, section=Section.CONNECTION, parse=parse, **more)


def _read(name: str, parse: Callable[[str], Any], **more: Any) -> FlinkKey:
    return FlinkKey(name=name, section=Section.READ, parse=parse, **more)


def _write(name: str, parse: Callable[[str], Any], **more: Any) -> FlinkKey:
    return FlinkKey(name=name, section=Section.WRITE, parse=parse, **more)


def _lookup(name: str, parse: Callable[[str], Any], **more: Any) -> FlinkKey:
    return FlinkKey(name=name, section=Section.LOOKUP, parse=parse, **more)


_NO_TLS = {"true": "connections over TLS are not supported yet"}

FLINK_KEYS: tuple[FlinkKey, ...] = (
    _connection("fenodes", units.text, field="DorisConnection.fenodes"),
    _connection("benodes", units.text, field="DorisConnection.benodes"),
    _connection("jdbc-url", units.text, field="DorisConnection.jdbc_url"),
    _connection("table.identifier", units.text, field="TableId.from_properties"),
    _connection("username", units.text, field="DorisConnection.username"),
    _connection("password", units.text, field="DorisConnection.password"),
    _connection(
        "auto-redirect", units.boolean, default="true", field="DorisConnection.auto_redirect"
    ),
    _connection(
        "doris.request.retries", units.integer, default="3", field="DorisConnection.retries"
    ),
    _connection(
        "doris.request.connect.timeout",
        units.duration,
        default="30s",
        field="Timeouts.connect",
        why="a dead node is passed over sooner",
        aliases={"doris.request.connect.timeout.ms": units.duration},
    ),
    _connection(
        "doris.request.read.timeout",
        units.duration,
        default="30s",
        field="Timeouts.read",
        why="planning a table of many thousand tablets can take longer",
        aliases={"doris.request.read.timeout.ms": units.duration},
    ),
    _connection("doris.enable.tls", units.boolean, why="no TLS yet", refused=_NO_TLS),
    _connection("doris.tls.ca-certificate-path", units.text, why="no TLS yet"),
    _connection("doris.tls.skip-hostname-verification", units.boolean, why="no TLS yet"),
    _connection("doris.tls.excluded-protocols", units.text, why="no TLS yet"),
    _read(
        "doris.request.query.timeout",
        units.duration,
        default="21600s",
        field="Timeouts.query",
        aliases={"doris.request.query.timeout.s": units.seconds},
    ),
    _read(
        "doris.request.tablet.size",
        units.integer,
        default="1",
        field="ReadOptions.tablets_per_split",
        why="by rows and bytes where the table's size is known",
    ),
    _read(
        "doris.batch.size",
        units.integer,
        default="1024",
        field="ReadOptions.batch_rows",
        why="rows stay columnar, so that larger batches cost less per row",
    ),
    _read(
        "doris.exec.mem.limit",
        units.size,
        default="8192mb",
        field="ReadOptions.scan_memory_bytes",
    ),
    _read(
        "doris.deserialize.arrow.async",
        units.boolean,
        default="false",
        field="ReadOptions.prefetch",
        why="the next batch is fetched while the last one is processed, within bounded memory",
    ),
    _read(
        "doris.deserialize.queue.size",
        units.integer,
        default="64",
        field="ReadOptions.prefetch_batches",
        why="batches are sixteen times larger",
    ),
    _read(
        "source.use-flight-sql",
        units.boolean,
        default="false",
        field="ReadOptions.protocol",
        why="Flight is taken where the frontend offers it, else Thrift",
    ),
    _read(
        "source.flight-sql-port", units.optional_port, default="-", field="ReadOptions.flight_port"
    ),
    _read("doris.read.field", units.names, field="ReadOptions.columns"),
    _read("doris.filter.query", units.text, field="ReadOptions.filter"),
    _read(
        "doris.thrift.max.message.size",
        units.integer,
        why="a message is bounded by the batch size",
    ),
    _read("source.use-old-api", units.boolean, why="there is one source API"),
    _read(
        "source.scan.mode",
        units.text,
        why="a read is a snapshot",
        refused={
            "latest": "incremental reads are not supported yet",
            "from-timestamp": "incremental reads are not supported yet",
        },
    ),
    _read("source.scan.timestamp", units.text, why="a read is a snapshot"),
    _read("source.binlog.increment-type", units.text, why="a read is a snapshot"),
    _read("source.binlog.poll-interval", units.duration, why="a read is a snapshot"),
    _read("source.binlog.offset-table", units.text, why="a read is a snapshot"),
    _read("source.binlog.consumer-id", units.text, why="a read is a snapshot"),
    _write("sink.label-prefix", units.text, field="WriteOptions.label_prefix"),
    _write("sink.enable-delete", units.boolean, default="true", field="WriteOptions.enable_delete"),
    _write("sink.enable-2pc", units.boolean, default="true", field="WriteOptions.mode"),
    _write(
        "sink.buffer-size",
        units.size,
        default="1MB",
        why="bodies go to the socket without a buffer between",
    ),
    _write(
        "sink.buffer-count",
        units.integer,
        default="3",
        why="bodies go to the socket without a buffer between",
    ),
    _write(
        "sink.max-retries",
        units.integer,
        default="3",
        field="WriteOptions.retries",
        why="a load is repeated that often; a commit for as long as its deadline allows",
    ),
    _write("sink.enable.batch-mode", units.boolean, default="false", field="WriteOptions.mode"),
    _write(
        "sink.write-mode",
        units.text,
        field="WriteOptions.mode",
        refused={"copy": "COPY mode is not supported; use STREAM_LOAD or STREAM_LOAD_BATCH"},
    ),
    _write("sink.flush.queue-size", units.integer, default="2", field="BatchLoad.queue_size"),
    _write(
        "sink.buffer-flush.max-rows",
        units.integer,
        default="500000",
        field="BatchLoad.max_rows",
        aliases={"sink.batch.size": units.integer},
    ),
    _write("sink.buffer-flush.max-bytes", units.size, default="100MB", field="BatchLoad.max_bytes"),
    _write(
        "sink.buffer-flush.interval",
        units.duration,
        default="10s",
        field="BatchLoad.interval",
        aliases={"sink.batch.interval": units.duration},
    ),
    _write(
        "sink.ignore.update-before",
        units.boolean,
        default="true",
        field="WriteOptions.ignore_update_before",
    ),
    _write("sink.parallelism", units.integer, why="the runner chooses the parallelism of a step"),
    _write("sink.check-interval", units.text, why="an open load is watched all the time"),
    _write("sink.use-cache", units.boolean, why="the runner repeats a failed bundle"),
    _write(
        "sink.ignore.commit-error",
        units.boolean,
        why="a commit that failed means lost rows and is never ignored",
    ),
    _write("sink.http-utf8-charset", units.boolean, why="headers are always sent as UTF-8"),
    _lookup(
        "lookup.cache.max-rows",
        units.integer,
        default="-1",
        field="LookupOptions.cache_rows",
        why="a dimension row is asked for again and again; -1 and 0 turn the cache off",
    ),
    _lookup(
        "lookup.cache.ttl",
        units.duration,
        default="10s",
        field="LookupOptions.cache_ttl",
        why="dimension tables change slowly",
    ),
    _lookup(
        "lookup.max-retries",
        units.integer,
        default="1",
        field="LookupOptions.retries",
        why="a frontend that restarts is waited for",
    ),
    _lookup(
        "lookup.jdbc.async",
        units.boolean,
        default="false",
        field="LookupOptions.parallel",
        why="queries run beside the pipeline",
    ),
    _lookup(
        "lookup.jdbc.read.batch.size",
        units.integer,
        default="128",
        field="LookupOptions.batch_size",
        why="a query costs more than a key in it",
        aliases={"read.batch.size": units.integer},
    ),
    _lookup(
        "lookup.jdbc.read.batch.queue-size",
        units.integer,
        default="256",
        field="LookupOptions.queue_size",
        why="it holds several batches",
        aliases={"read.batch.queue-size": units.integer},
    ),
    _lookup(
        "lookup.jdbc.read.thread-size",
        units.integer,
        default="3",
        field="LookupOptions.threads",
        why="one query more at a time",
        aliases={"read.thread-size": units.integer},
    ),
)

_BY_NAME = {key.name: key for key in FLINK_KEYS}
_BY_ALIAS = {alias: key for key in FLINK_KEYS for alias in (key.aliases or {})}
# Other spellings that are not merely old.
_EQUAL_ALIASES = frozenset({"read.batch.size", "read.batch.queue-size", "read.thread-size"})


@dataclass(frozen=True, slots=True)
class FlinkValues:
    """Parsed options.

    Args:
        values: By key name, with 24.1.0 defaults where nothing was given.
        given: The names that were given.
        load_properties: What stood behind `sink.properties.`.
        problems: What was wrong.
    """

    values: Mapping[str, Any]
    given: frozenset[str]
    load_properties: Mapping[str, str]
    problems: tuple[str, ...]


def parse_properties(properties: Mapping[str, str], *, stacklevel: int) -> FlinkValues:
    """Reads options by the Flink connector's keys.

    Args:
        properties: Keys and value texts; values of other types are taken by their text.
        stacklevel: How far up the stack the user's call stands, for warnings.
    """
    values = {key.name: key.parse(key.default) for key in FLINK_KEYS if key.default is not None}
    given: set[str] = set()
    load_properties: dict[str, str] = {}
    problems: list[str] = []
    for name, raw in properties.items():
        value = str(raw).lower() if isinstance(raw, bool) else str(raw)
        if name.startswith(LOAD_PROPERTY_PREFIX):
            load_properties[name[len(LOAD_PROPERTY_PREFIX) :]] = value
            continue
        if name in _IGNORED:
            continue
        key = _BY_NAME.get(name) or _BY_ALIAS.get(name)
        if key is None:
            problems.append(_unknown(name))
            continue
        problem = _refusal(key, name, value)
        if problem is None:
            problem = _take(key, name, value, values)
        if problem is not None:
            problems.append(problem)
            continue
        given.add(key.name)
        _warn(key, name, stacklevel + 1)
    return FlinkValues(values, frozenset(given), load_properties, tuple(problems))


def _take(key: FlinkKey, name: str, value: str, values: dict[str, Any]) -> str | None:
    parse = key.parse if name == key.name else (key.aliases or {})[name]
    try:
        values[key.name] = parse(value)
    except ValueError as error:
        shown = "" if key.name == "password" else f" {value!r}"
        return f"{name}:{shown} {error}"
    return None


def _refusal(key: FlinkKey, name: str, value: str) -> str | None:
    advice = (key.refused or {}).get(value.strip().lower())
    return None if advice is None else f"{name} = {value!r}: {advice}"


def _warn(key: FlinkKey, name: str, stacklevel: int) -> None:
    if key.field is None:
        text = f"option {name!r} has no effect here: {key.why}"
    elif name != key.name and name not in _EQUAL_ALIASES:
        text = f"option {name!r} is an old spelling of {key.name!r}"
    else:
        return
    warnings.warn(text, FlinkOptionWarning, stacklevel=stacklevel)


def _unknown(name: str) -> str:
    known = [*_BY_NAME, *_BY_ALIAS, LOAD_PROPERTY_PREFIX + "*"]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown option {name!r}; the nearest known one is {near[0]!r}"
