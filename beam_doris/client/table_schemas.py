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
"""Putting a table's schema together from what three statements tell of it.

`_schema` names model and columns, but in most versions neither nested types nor nullability;
SHOW FULL COLUMNS has full types, nullability, keys and defaults; only SHOW CREATE TABLE has the
expressions of generated columns (P 1.4, 8.1, 13). The first is required, the others add to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from beam_doris.client.contracts import QueryRows
from beam_doris.errors import ProtocolError
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import Column, TableModel, TableSchema
from beam_doris.schema.types import DorisType, parse_type

_NO_AGGREGATION = frozenset({"", "NONE"})
_AGGREGATIONS = frozenset(
    [
        "SUM",
        "MIN",
        "MAX",
        "REPLACE",
        "REPLACE_IF_NOT_NULL",
        "HLL_UNION",
        "BITMAP_UNION",
        "QUANTILE_UNION",
        "GENERIC",
    ]
)
_COLUMN_LINE = re.compile(r"^\s*`(?P<name>(?:[^`]|``)+)`\s+(?P<rest>.*)$", re.MULTILINE)
_GENERATED = re.compile(r"\bGENERATED\s+ALWAYS\s+AS\s*\(", re.IGNORECASE)
_AUTO_INCREMENT = re.compile(r"\bAUTO_INCREMENT\b", re.IGNORECASE)
_COMMENT = re.compile(r"\bCOMMENT\s+(['\"]).*$", re.IGNORECASE)
_SEQUENCE = re.compile(r"[\"']function_column\.sequence_col[\"']\s*=\s*[\"']([^\"']+)[\"']")
_PROPERTY = re.compile(r"[\"']([\w.]+)[\"']\s*=\s*[\"']([^\"']*)[\"']")
_UNTOLD = "(expression not told by the server)"


def schema_of(
    table: TableId, rest: Mapping[str, Any], full: QueryRows | None, create: QueryRows | None
) -> TableSchema:
    """The schema of a table.

    Args:
        table: Its name.
        rest: The payload of `_schema`.
        full: The rows of SHOW FULL COLUMNS, if they could be had.
        create: The row of SHOW CREATE TABLE, if it could be had.

    Raises:
        ProtocolError: an answer cannot be read.
        TypeMappingError: a type cannot be read.
    """
    details = {str(row.get("Field", "")): row for row in full.dicts()} if full else {}
    statement = str(create.rows[0][1]) if create and create.rows and len(create.rows[0]) > 1 else ""
    written = column_lines(statement)
    try:
        columns = tuple(
            _column(told, details.get(str(told["name"])), written.get(str(told["name"]), ""))
            for told in rest["properties"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"the schema of {table} cannot be read", table=table) from error
    return TableSchema(
        table=table,
        model=TableModel.parse(rest.get("keysType")),
        columns=columns,
        properties=table_properties(statement),
    )


def sequence_column(create_statement: str) -> str | None:
    """The column that orders rows of equal keys, from SHOW CREATE TABLE."""
    match = _SEQUENCE.search(create_statement)
    return match[1] if match else None


def table_properties(create_statement: str) -> dict[str, str]:
    """What SHOW CREATE TABLE writes behind PROPERTIES."""
    _, _, behind = create_statement.rpartition("PROPERTIES (")
    return {match[1]: match[2] for match in _PROPERTY.finditer(behind)}


def column_lines(create_statement: str) -> dict[str, str]:
    """What SHOW CREATE TABLE writes behind each column's name."""
    return {
        match["name"].replace("``", "`"): match["rest"]
        for match in _COLUMN_LINE.finditer(create_statement)
    }


def _column(told: Mapping[str, Any], detail: Mapping[str, Any] | None, line: str) -> Column:
    extra = str((detail or {}).get("Extra") or "").upper()
    line = _COMMENT.sub("", line)
    default = (detail or {}).get("Default")
    aggregation = str(told.get("aggregation_type") or "").upper()
    if not aggregation:
        aggregation = next((word for word in re.split(r"\W+", extra) if word in _AGGREGATIONS), "")
    return Column(
        name=str(told["name"]),
        type=_type(told, detail),
        nullable=_yes(_first(detail, "Null", told, "is_nullable"), unknown=True) is not False,
        key=_yes(_first(detail, "Key", told, "is_key"), unknown=None),
        aggregation=None if aggregation in _NO_AGGREGATION else aggregation,
        default=None if default is None else str(default),
        comment=str(told.get("comment") or (detail or {}).get("Comment") or ""),
        generated=_generated(line, extra),
        auto_increment="AUTO_INCREMENT" in extra or bool(_AUTO_INCREMENT.search(line)),
    )


def _type(told: Mapping[str, Any], detail: Mapping[str, Any] | None) -> DorisType:
    if detail and detail.get("Type"):
        return parse_type(str(detail["Type"]))
    if told.get("type_sql"):
        return parse_type(str(told["type_sql"]))
    return parse_type(
        str(told["type"]), precision=_number(told, "precision"), scale=_number(told, "scale")
    )


def _number(told: Mapping[str, Any], name: str) -> int | None:
    text = str(told.get(name, ""))
    return int(text) if text.isdigit() else None


def _first(
    detail: Mapping[str, Any] | None, name: str, told: Mapping[str, Any], other: str
) -> object:
    return detail[name] if detail and name in detail else told.get(other)


def _yes(value: object, *, unknown: bool | None) -> bool | None:
    if value is None or str(value) == "":
        # SHOW COLUMNS of some versions leaves the key of a value column empty
        return False if value == "" else unknown
    return str(value).upper() in ("YES", "TRUE", "UNI", "PRI", "DUP", "AGG")


def _generated(line: str, extra: str) -> str | None:
    match = _GENERATED.search(line)
    if match is None:
        return _UNTOLD if "GENERATED" in extra else None
    depth = 1
    for position in range(match.end(), len(line)):
        depth += {"(": 1, ")": -1}.get(line[position], 0)
        if depth == 0:
            return line[match.end() : position].strip()
    return line[match.end() :].strip()
