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
"""Prints the option reference: `python -m beam_doris.options.document > docs/options.md`."""

from __future__ import annotations

import dataclasses
import enum
import sys
from datetime import timedelta
from typing import Any

from beam_doris.options.connection import DorisConnection, Timeouts
from beam_doris.options.flink_keys import FLINK_KEYS, FlinkKey, Section
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.reading import ReadOptions
from beam_doris.options.writing import BatchLoad, TwoPhaseCommit, WriteOptions

_CLASSES = {
    kind.__name__: kind
    for kind in (
        DorisConnection,
        Timeouts,
        ReadOptions,
        WriteOptions,
        TwoPhaseCommit,
        BatchLoad,
        LookupOptions,
    )
}
_HEAD = """# Options

Every option of the Flink connector works by its key in `from_properties` of the class named in
the second column, with the defaults of release 24.1.0. The classes themselves have defaults of
their own; where they differ, the last column says why.
"""


def native_default(field: str) -> Any:
    """The default of `Class.field`; `dataclasses.MISSING` where there is none."""
    class_name, _, name = field.partition(".")
    kind = _CLASSES.get(class_name)
    if kind is None:
        return dataclasses.MISSING
    for candidate in dataclasses.fields(kind):
        if candidate.name == name:
            if candidate.default is not dataclasses.MISSING:
                return candidate.default
            if candidate.default_factory is not dataclasses.MISSING:
                return candidate.default_factory()
            return dataclasses.MISSING
    raise LookupError(f"{field} is not a field")


def render() -> str:
    """The whole page as Markdown."""
    parts = [_HEAD]
    for section in Section:
        keys = [key for key in FLINK_KEYS if key.section is section]
        parts.append(f"## {section.value}\n")
        parts.append(_table([key for key in keys if key.field is not None]))
        without = [key for key in keys if key.field is None]
        if without:
            parts.append("Accepted with a warning, because they have nothing to do here:\n")
            parts.append("".join(f"- `{key.name}`: {key.why}\n" for key in without))
    parts.append(
        "`sink.properties.*` become `WriteOptions.load_properties`: headers of the stream load, "
        "passed through after a check for contradictions.\n"
    )
    return "\n".join(parts)


def _table(keys: list[FlinkKey]) -> str:
    lines = [
        "| Flink key | Here | 24.1.0 default | Own default | Why it differs |",
        "| --- | --- | --- | --- | --- |",
    ]
    for key in keys:
        spelled = "<br>".join(f"`{name}`" for name in (key.name, *(key.aliases or {})))
        flink = "" if key.default is None else f"`{key.default}`"
        lines.append(f"| {spelled} | `{key.field}` | {flink} | {_own(key)} | {key.why} |")
    return "\n".join(lines) + "\n"


def _own(key: FlinkKey) -> str:
    value = native_default(key.field or "")
    if value is dataclasses.MISSING or value is None or value in ((), ""):
        return ""
    return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, int) and value >= 1024 * 1024 and value % (1024 * 1024) == 0:
        return f"{value // (1024 * 1024)}MB"
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    return str(value)


if __name__ == "__main__":
    sys.stdout.write(render())
