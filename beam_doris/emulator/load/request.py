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
"""The headers of a stream load as a checked value (P 2.2)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Protocol

from beam_doris.emulator.load.columns import ColumnList, parse_columns
from beam_doris.emulator.load.failure import LoadFailure

FORMATS = frozenset(
    {"csv", "csv_with_names", "csv_with_names_and_types", "json", "arrow", "parquet", "orc"}
)
#: names that Doris knows; what is missing here and known there is refused by name
COMPRESSIONS = frozenset({"gz", "bz2", "lz4", "deflate"})
_KNOWN_COMPRESSIONS = COMPRESSIONS | {"lzo", "lzop", "lz4_block", "snappy_block"}
_HEX = re.compile(r"\\x([0-9a-fA-F]{2})")
DELETE_SIGN = "__DORIS_DELETE_SIGN__"
SEQUENCE_COLUMN = "__DORIS_SEQUENCE_COL__"
MAX_BODY_MEGABYTES = 10240
MAX_JSON_MEGABYTES = 100
_GROUP_COMMIT_MODES = ("async_mode", "sync_mode", "off_mode")


class HeaderFields(Protocol):
    """Case-insensitive access to the fields of a request."""

    def get(self, name: str, default: str = "") -> str:
        """The value of a field."""

    def __contains__(self, name: str) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """How lines and fields of a CSV body are told apart."""

    separator: bytes = b"\t"
    delimiter: bytes = b"\n"
    enclose: bytes = b""
    escape: bytes = b""
    trim_quotes: bool = False
    empty_as_null: bool = False
    skip_lines: int = 0


@dataclass(frozen=True, kw_only=True)
class JsonFormat:
    """How rows are found in a JSON body."""

    by_line: bool = True
    strip_array: bool = False
    paths: tuple[str, ...] = ()
    root: str = ""
    numbers_as_text: bool = False
    delimiter: bytes = b"\n"


@dataclass(frozen=True, kw_only=True)
class LoadRequest:
    """What a load is to do, apart from its table."""

    label: str
    format: str
    compression: str
    csv: CsvFormat
    json: JsonFormat
    columns: ColumnList
    hidden_columns: tuple[str, ...]
    where: str
    partitions: tuple[str, ...]
    max_filter_ratio: float
    strict: bool
    timeout_seconds: int | None
    merge_type: str
    delete_condition: str
    sequence_column: str
    two_phase: bool
    partial: bool
    group_commit: str
    negative: bool
    comment: str

    @property
    def grouped(self) -> bool:
        """Whether the load is committed together with others (P 2.5)."""
        return self.group_commit in ("async_mode", "sync_mode")


def parse_load_request(headers: HeaderFields, *, content: str) -> LoadRequest:
    """Check the headers in the order in which a backend does.

    Args:
        headers: the fields of the request.
        content: value of Transfer-Encoding, or empty.
    """
    _check_body_length(headers, content)
    compression, form = _format(headers)
    group_commit = _group_commit(headers)
    label = headers.get("label")
    if label and group_commit in ("async_mode", "sync_mode"):
        raise LoadFailure(
            "label and group_commit can't be set at the same time", "INVALID_ARGUMENT"
        )
    merge_type, delete_condition = _merge_type(headers)
    _check_tuning(headers)
    return LoadRequest(
        label=label,
        format=form,
        compression=compression,
        csv=_csv(headers, form),
        json=_json(headers),
        columns=parse_columns(headers.get("columns")),
        hidden_columns=_names(headers.get("hidden_columns")),
        where=headers.get("where"),
        partitions=_partitions(headers),
        max_filter_ratio=_ratio(headers),
        strict=_strict(headers),
        timeout_seconds=_timeout(headers),
        merge_type=merge_type,
        delete_condition=delete_condition,
        sequence_column=headers.get("function_column.sequence_col"),
        # case matters here, as it does for no other flag (P 2.2)
        two_phase=headers.get("two_phase_commit") == "true",
        partial=_partial(headers),
        group_commit=group_commit,
        negative=_flag(headers, "negative"),
        comment=headers.get("comment"),
    )


def unescape(text: str) -> bytes:
    r"""The bytes of a separator: ``\xHH`` anywhere, and the two-letter forms of tab and newline."""
    plain = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n"}.get(text, text)
    if not _HEX.search(plain):
        return plain.encode("utf-8")
    out, at = bytearray(), 0
    for found in _HEX.finditer(plain):
        out += plain[at : found.start()].encode("utf-8")
        out.append(int(found.group(1), 16))
        at = found.end()
    return bytes(out + plain[at:].encode("utf-8"))


def _check_body_length(headers: HeaderFields, content: str) -> None:
    has_length = bool(headers.get("content-length"))
    chunked = "chunked" in content.lower()
    if has_length and chunked:
        raise LoadFailure(
            "please do not set both content_length and transfer-encoding", "INVALID_ARGUMENT"
        )
    if not has_length and not chunked:
        raise LoadFailure(
            "content_length is empty and transfer-encoding!=chunked, please set content_length "
            "or transfer-encoding=chunked",
            "INVALID_ARGUMENT",
        )
    if not has_length or not headers.get("content-length").isdigit():
        return
    size = int(headers.get("content-length"))
    json_whole = headers.get("format").lower() == "json" and not _json(headers).by_line
    if json_whole and size > MAX_JSON_MEGABYTES << 20:
        raise LoadFailure(
            f"json body size {size} exceed BE's conf `streaming_load_json_max_mb` "
            f"{MAX_JSON_MEGABYTES << 20}. increase it if you are sure this load is reasonable"
        )
    if size > MAX_BODY_MEGABYTES << 20:
        raise LoadFailure(
            f"body size {size} exceed BE's conf `streaming_load_max_mb` "
            f"{MAX_BODY_MEGABYTES << 20}. increase it if you are sure this load is reasonable"
        )


def _format(headers: HeaderFields) -> tuple[str, str]:
    form = headers.get("format", "csv").lower() or "csv"
    compression = headers.get("compress_type").lower()
    unknown = LoadFailure(f"unknown data format, format={headers.get('format') or 'csv'}")
    if form not in FORMATS:
        raise unknown
    if form in ("arrow", "parquet", "orc"):
        return "", form
    if compression and compression not in _KNOWN_COMPRESSIONS:
        raise unknown
    if compression and compression not in COMPRESSIONS:
        raise LoadFailure(f"the emulator can't decompress {compression}", "NOT_IMPLEMENTED_ERROR")
    return compression, form


def _check_tuning(headers: HeaderFields) -> None:
    """Headers that change nothing here must still be well formed."""
    limit = headers.get("exec_mem_limit")
    if limit and not limit.isdigit():
        raise LoadFailure(f"Invalid mem limit format, {limit}", "INVALID_ARGUMENT")
    if headers.get("partial_update_new_key_behavior").upper() == "ERROR":
        raise LoadFailure(
            "the emulator can't do partial_update_new_key_behavior=ERROR", "NOT_IMPLEMENTED_ERROR"
        )


def _csv(headers: HeaderFields, form: str) -> CsvFormat:
    enclose, escape = (
        _single(headers, "enclose"),
        _single(headers, "escape"),
    )
    skip = _number(headers, "skip_lines") or 0
    if skip < 0:
        raise LoadFailure(f"skip_lines: {skip} is less than 0", "INVALID_ARGUMENT")
    # the names take one line and the types another; skip_lines is ignored then (P 2.2)
    skip = {"csv_with_names": 1, "csv_with_names_and_types": 2}.get(form, skip)
    return CsvFormat(
        separator=unescape(headers.get("column_separator") or "\t"),
        delimiter=unescape(headers.get("line_delimiter") or "\n"),
        enclose=enclose,
        escape=escape,
        trim_quotes=_flag(headers, "trim_double_quotes"),
        empty_as_null=_flag(headers, "empty_field_as_null"),
        skip_lines=skip,
    )


def _json(headers: HeaderFields) -> JsonFormat:
    by_line = _flag(headers, "read_json_by_line")
    strip = _flag(headers, "strip_outer_array")
    if "read_json_by_line" not in headers and "strip_outer_array" not in headers:
        by_line = True
    paths: tuple[str, ...] = ()
    if text := headers.get("jsonpaths"):
        try:
            found = json.loads(text)
        except ValueError as error:
            raise LoadFailure(f"Invalid json path: {text}", "INVALID_ARGUMENT") from error
        if not isinstance(found, list) or not all(isinstance(path, str) for path in found):
            raise LoadFailure(f"Invalid json path: {text}", "INVALID_ARGUMENT")
        paths = tuple(found)
    return JsonFormat(
        by_line=by_line,
        strip_array=strip,
        paths=paths,
        root=headers.get("json_root"),
        numbers_as_text=_flag(headers, "num_as_string"),
        delimiter=unescape(headers.get("line_delimiter") or "\n"),
    )


def _group_commit(headers: HeaderFields) -> str:
    mode = headers.get("group_commit").lower()
    if mode and mode not in _GROUP_COMMIT_MODES:
        raise LoadFailure(
            "group_commit can only be [async_mode, sync_mode, off_mode]", "INVALID_ARGUMENT"
        )
    plain = (
        headers.get("two_phase_commit") == "true"
        or _partial(headers)
        or bool(headers.get("partitions") or headers.get("temporary_partitions"))
        or headers.get("content-length") == "0"
    )
    return "" if plain or mode == "off_mode" else mode


def _merge_type(headers: HeaderFields) -> tuple[str, str]:
    raw = headers.get("merge_type")
    merge_type = raw.upper() or "APPEND"
    condition = headers.get("delete")
    if merge_type not in ("APPEND", "DELETE", "MERGE"):
        raise LoadFailure(f"Invalid merge type {raw}", "INVALID_ARGUMENT")
    if merge_type == "MERGE" and not condition:
        raise LoadFailure("Excepted DELETE ON clause when merge type is MERGE.", "INVALID_ARGUMENT")
    if merge_type != "MERGE" and condition:
        raise LoadFailure(
            "Not support DELETE ON clause when merge type is not MERGE.", "INVALID_ARGUMENT"
        )
    return merge_type, condition


def _partial(headers: HeaderFields) -> bool:
    mode = headers.get("unique_key_update_mode").upper()
    if not mode:
        return _flag(headers, "partial_columns")
    if mode == "UPDATE_FLEXIBLE_COLUMNS":
        raise LoadFailure("the emulator can't do flexible partial updates", "NOT_IMPLEMENTED_ERROR")
    if mode not in ("UPSERT", "UPDATE_FIXED_COLUMNS"):
        raise LoadFailure(
            f"Invalid unique_key_update_mode {mode}, must be one of 'UPSERT', "
            "'UPDATE_FIXED_COLUMNS' or 'UPDATE_FLEXIBLE_COLUMNS'",
            "INVALID_ARGUMENT",
        )
    return mode == "UPDATE_FIXED_COLUMNS"


def _partitions(headers: HeaderFields) -> tuple[str, ...]:
    named, temporary = headers.get("partitions"), headers.get("temporary_partitions")
    if named and temporary:
        raise LoadFailure(
            "Can not specify both partitions and temporary partitions", "INVALID_ARGUMENT"
        )
    if temporary:
        raise LoadFailure("the emulator has no temporary partitions", "NOT_IMPLEMENTED_ERROR")
    return _names(named)


def _ratio(headers: HeaderFields) -> float:
    text = headers.get("max_filter_ratio")
    if not text:
        return 0.0
    try:
        ratio = float(text)
    except ValueError as error:
        raise LoadFailure(f"Invalid max_filter_ratio format, {text}", "INVALID_ARGUMENT") from error
    if not 0.0 <= ratio <= 1.0:
        raise LoadFailure("Invalid max_filter_ratio", "INVALID_ARGUMENT")
    return ratio


def _strict(headers: HeaderFields) -> bool:
    text = headers.get("strict_mode").lower()
    if text not in ("", "true", "false"):
        raise LoadFailure("Invalid strict mode format. Must be bool type", "INVALID_ARGUMENT")
    return text == "true"


def _timeout(headers: HeaderFields) -> int | None:
    seconds = _number(headers, "timeout")
    if seconds is not None and not 1 <= seconds <= 259200:
        raise LoadFailure(
            f"Invalid timeout: {seconds}, timeout must be between 1 and 259200", "INVALID_ARGUMENT"
        )
    return seconds


def _number(headers: HeaderFields, name: str) -> int | None:
    text = headers.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise LoadFailure(f"Invalid {name} format, {text}", "INVALID_ARGUMENT") from error


def _single(headers: HeaderFields, name: str) -> bytes:
    value = unescape(headers.get(name))
    if len(value) > 1:
        raise LoadFailure(
            f"{name} must be single-char, actually is {headers.get(name)}", "INVALID_ARGUMENT"
        )
    return value


def _flag(headers: HeaderFields, name: str) -> bool:
    return headers.get(name).lower() == "true"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip().strip("`") for name in text.split(",") if name.strip())
