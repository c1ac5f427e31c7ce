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
"""How tables are written."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from beam_doris.errors import ConfigError
from beam_doris.options.bad_rows import BadRows
from beam_doris.options.csv_dialect import CsvDialect
from beam_doris.options.delivery import StreamBuffer, TransactionBudget
from beam_doris.options.many_tables import ManyTables

_MIB = 1024 * 1024
_GIB = 1024 * _MIB
MAX_LOAD_BYTES = 10 * _GIB

# Headers that the writer itself sets, and where to say the same thing.
_OWN_HEADERS = {
    "label": "label_prefix",
    "two_phase_commit": "mode=TwoPhaseCommit()",
    "authorization": "DorisConnection",
    "expect": None,
    "content-length": None,
    "transfer-encoding": None,
    "compress_type": "compress=True",
}
_SEPARATORS = frozenset({"column_separator", "line_delimiter"})
_LABEL_PREFIX = re.compile(r"[-_A-Za-z0-9:]{1,64}")


class LoadFormat(enum.Enum):
    """The form of a load's body."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"

    @staticmethod
    def parse(text: str) -> LoadFormat:
        """Reads the stream load's `format` value, in any case."""
        lowered = text.strip().lower()
        for choice in LoadFormat:
            if choice.value == lowered:
                return choice
        raise ConfigError(
            f"load format {text!r} is not one of json, csv, arrow",
            hint="csv_with_names, parquet, orc and others are forms of files; rows are sent "
            "as json, csv or arrow",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPhaseCommit:
    """Every load is pre-committed, and committed once its token is durable: exactly once.

    Args:
        explicit: Whether the user asked for it by name: then a server that cannot do it is an
            error, not a reason to fall back.
    """

    explicit: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainLoad:
    """Every load is visible when it is answered.

    A load's label says which unit of the input it is, and which bytes: what is finished under it
    is never loaded again. Exactly once where the input of the write is stable; at least once
    elsewhere. Bounded input is gathered by the limits of `WriteOptions.stream` too.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLoad:
    """Loads run beside the pipeline and are awaited at the end of each bundle: at least once.

    Args:
        max_rows: A load is sent when it holds that many rows,
        max_bytes: or that many bytes,
        interval: or when its first row is that old.
        queue_size: How many loads wait for a sender at most.
        in_flight: How many loads are sent at the same time.
    """

    max_rows: int = 500_000
    max_bytes: int = 100 * _MIB
    interval: timedelta = timedelta(seconds=10)
    queue_size: int = 2
    in_flight: int = 1

    def __post_init__(self) -> None:
        problems = [
            f"{name} is not positive"
            for name in ("max_rows", "max_bytes", "queue_size", "in_flight")
            if getattr(self, name) <= 0
        ]
        if self.interval < timedelta(seconds=1):
            problems.append("interval is less than a second: the server would drown in versions")
        if problems:
            raise ConfigError(problems, subject="BatchLoad")


class GroupCommitMode(enum.Enum):
    """When the server answers a group-committed load."""

    SYNC = "sync_mode"
    ASYNC = "async_mode"

    @property
    def names(self) -> tuple[str, str]:
        """What a user may call it."""
        return self.value, self.value.removesuffix("_mode")


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """The server gathers small loads into one transaction: at least once, no label.

    Args:
        mode: `"sync"` answers when the rows are visible, `"async"` when they are logged.
        max_bytes: A load is sent when it holds that many bytes.
    """

    mode: GroupCommitMode | str = GroupCommitMode.SYNC
    max_bytes: int = 16 * _MIB

    def __post_init__(self) -> None:
        given: object = self.mode
        if isinstance(given, str):
            known = {name: choice for choice in GroupCommitMode for name in choice.names}
            if given not in known:
                raise ConfigError(f"mode {given!r} is not 'sync' or 'async'", subject="GroupCommit")
            object.__setattr__(self, "mode", known[given])
        if self.max_bytes <= 0:
            raise ConfigError("max_bytes is not positive", subject="GroupCommit")

    @property
    def header(self) -> str:
        """The value of the stream-load header `group_commit`."""
        return GroupCommitMode(self.mode).value


WriteMode = TwoPhaseCommit | PlainLoad | BatchLoad | GroupCommit
_MODES = (TwoPhaseCommit, PlainLoad, BatchLoad, GroupCommit)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """Tuning of a write.

    Args:
        mode: The delivery guarantee; one of `TwoPhaseCommit`, `PlainLoad`, `BatchLoad`,
            `GroupCommit`.
        label_prefix: Labels begin with it; it is unique per job.
        load_format: The form of the bodies.
        batch_rows: The most rows of one batch.
        batch_bytes: About the most bytes of one batch.
        max_load_bytes: A load is closed and the next one opened beyond that.
        compress: Send bodies as gzip.
        load_timeout: The server gives up on an open load after that.
        retries: How often a load is repeated, when it is certain that it did not take effect.
        enable_delete: Rows may carry a delete sign (UNIQUE tables).
        ignore_update_before: Images before an update are dropped.
        load_properties: Stream-load headers to pass through.
        stream: How unbounded input is gathered into loads.
        budget: What the server allows to stay uncommitted.
        bad_rows: What may be spent on rows that the table refuses.
        many_tables: What a sink that writes many tables may hold.
    """

    mode: WriteMode = field(default_factory=lambda: TwoPhaseCommit(explicit=False))
    label_prefix: str | None = None
    load_format: LoadFormat = LoadFormat.JSON
    batch_rows: int = 16384
    batch_bytes: int = 8 * _MIB
    max_load_bytes: int = _GIB
    compress: bool = False
    load_timeout: timedelta = timedelta(hours=1)
    retries: int = 3
    enable_delete: bool = True
    ignore_update_before: bool = True
    load_properties: Mapping[str, str] = field(default_factory=dict, hash=False)
    stream: StreamBuffer = field(default_factory=StreamBuffer)
    budget: TransactionBudget = field(default_factory=TransactionBudget)
    bad_rows: BadRows = field(default_factory=BadRows)
    many_tables: ManyTables = field(default_factory=ManyTables)

    def __post_init__(self) -> None:
        problems = []
        if not isinstance(self.mode, _MODES):
            problems.append("mode is one of TwoPhaseCommit, PlainLoad, BatchLoad, GroupCommit")
        if self.label_prefix is not None and not _LABEL_PREFIX.fullmatch(self.label_prefix):
            problems.append(
                "label_prefix is not 1 to 64 of the characters A-Z a-z 0-9 _ - :, "
                "which is what a label may hold"
            )
        if not isinstance(self.load_format, LoadFormat):
            problems.append("load_format is a LoadFormat")
        problems += [
            f"{name} is not positive"
            for name in (
                "batch_rows",
                "batch_bytes",
                "max_load_bytes",
            )
            if getattr(self, name) <= 0
        ]
        if self.max_load_bytes > MAX_LOAD_BYTES:
            problems.append("max_load_bytes is beyond the 10 GiB that a server accepts")
        if not timedelta(seconds=1) <= self.load_timeout <= timedelta(days=3):
            problems.append("load_timeout is outside a second to three days")
        if self.retries < 0:
            problems.append("retries is at least 0")
        if self.compress and self.load_format is LoadFormat.ARROW:
            problems.append("compress: the server does not unpack Arrow bodies; use json or csv")
        problems += self._property_problems()
        if problems:
            raise ConfigError(problems, subject="WriteOptions")
        object.__setattr__(self, "load_properties", self._header_safe_properties())

    def _header_safe_properties(self) -> dict[str, str]:
        properties = dict(self.load_properties)
        for name in _SEPARATORS & properties.keys():
            # the server decodes the escape; the raw character cannot travel in a header
            properties[name] = re.sub(
                r"[\x00-\x1f\x7f]", lambda match: f"\\x{ord(match[0]):02x}", properties[name]
            )
        return properties

    def _property_problems(self) -> list[str]:
        problems = []
        for name, value in self.load_properties.items():
            lowered = name.lower()
            if lowered in _OWN_HEADERS:
                instead = _OWN_HEADERS[lowered]
                advice = f"; use {instead}" if instead else ""
                problems.append(f"load property {name!r} is set by the writer{advice}")
            if not isinstance(value, str):
                problems.append(f"load property {name!r} is a {type(value).__name__}, not a str")
            elif name not in _SEPARATORS and ("\r" in value or "\n" in value):
                problems.append(f"load property {name!r} holds a line break")
        group_commit = self.load_properties.get("group_commit", "off_mode").lower()
        if group_commit != "off_mode" and not isinstance(self.mode, GroupCommit):
            problems.append(
                "load property 'group_commit' contradicts the mode; use mode=GroupCommit(...)"
            )
        if self.load_format is LoadFormat.CSV:
            try:
                CsvDialect.from_properties(self.load_properties)
            except ConfigError as error:
                problems.extend(error.problems)
        stated = self.load_properties.get("format", self.load_format.value).lower()
        if stated != self.load_format.value:
            problems.append(
                f"load property 'format' says {stated!r}, load_format {self.load_format.value!r}"
            )
        return problems

    @staticmethod
    def from_properties(properties: Mapping[str, str]) -> WriteOptions:
        """Options by the Flink connector's keys, with its 24.1.0 defaults.

        Raises:
            ConfigError: unknown keys (with the nearest known name) and bad values, all at once.
        """
        from beam_doris.options.from_flink import build, write_arguments

        return build(WriteOptions, write_arguments, properties)
