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
"""What a Flight SQL client asks about the server: its name, its catalogs, its tables (P 6.3)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa

from beam_doris.emulator.catalog import Table
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.flight.messages import Command
from beam_doris.emulator.wire_arrow import UnreadableType, WireColumn, WireEncoder, WireForms

CATALOG = "internal"
_BASE_TABLE = "BASE TABLE"

_SERVER_NAME, _SERVER_VERSION, _ARROW_VERSION, _READ_ONLY = 0, 1, 2, 3
_TRANSACTIONS = 8

_INFO_VALUE = pa.dense_union(
    [
        pa.field("string_value", pa.utf8()),
        pa.field("bool_value", pa.bool_()),
        pa.field("bigint_value", pa.int64()),
        pa.field("int32_bitmask", pa.int32()),
        pa.field("string_list", pa.list_(pa.utf8())),
        pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
    ]
)
_INFO_SCHEMA = pa.schema(
    [pa.field("info_name", pa.uint32(), nullable=False), pa.field("value", _INFO_VALUE)]
)


def answer(engine: Engine, command: Command) -> pa.Table | None:
    """The rows of a metadata command, None when it is not one of those served."""
    maker = _ANSWERS.get(command.name)
    return None if maker is None else maker(engine, command)


def _sql_info(engine: Engine, command: Command) -> pa.Table:
    known: dict[int, str | bool | int] = {
        _SERVER_NAME: "DorisFE",
        _SERVER_VERSION: engine.profile.version,
        _ARROW_VERSION: pa.__version__,
        _READ_ONLY: False,
        _TRANSACTIONS: 0,
    }
    wanted = command.message.numbers(1) or sorted(known)
    names = [name for name in wanted if name in known]
    values = [known[name] for name in names]
    codes = [0 if isinstance(one, str) else 1 if isinstance(one, bool) else 3 for one in values]
    offsets = [codes[:at].count(code) for at, code in enumerate(codes)]
    children = []
    for code, field in enumerate(_INFO_VALUE):
        members = [value for value, mine in zip(values, codes, strict=True) if mine == code]
        children.append(pa.array(members, field.type))
    union = pa.UnionArray.from_dense(
        pa.array(codes, pa.int8()),
        pa.array(offsets, pa.int32()),
        children,
        [field.name for field in _INFO_VALUE],
    )
    return pa.Table.from_arrays([pa.array(names, pa.uint32()), union], schema=_INFO_SCHEMA)


def _catalogs(_engine: Engine, _command: Command) -> pa.Table:
    return pa.table({"catalog_name": [CATALOG]}, schema=pa.schema([("catalog_name", pa.utf8())]))


def _like(pattern: str | None) -> re.Pattern[str]:
    """A SQL pattern, where % is any text and _ any character."""
    if pattern is None:
        return re.compile("", re.DOTALL)
    parts = (".*" if one == "%" else "." if one == "_" else re.escape(one) for one in pattern)
    return re.compile("".join(parts) + r"\Z", re.DOTALL)


def _databases(engine: Engine, command: Command, field: int) -> list[str]:
    if command.message.optional_text(1) not in (None, "", CATALOG):
        return []
    fits = _like(command.message.optional_text(field))
    return [one.name for one in engine.catalog.databases() if fits.match(one.name)]


def _schemas(engine: Engine, command: Command) -> pa.Table:
    names = _databases(engine, command, 2)
    schema = pa.schema([("catalog_name", pa.utf8()), ("db_schema_name", pa.utf8())])
    return pa.table([[CATALOG] * len(names), names], schema=schema)


def _tables(engine: Engine, command: Command) -> pa.Table:
    message = command.message
    fits = _like(message.optional_text(3))
    kinds = [kind.decode("utf-8") for kind in message.all_raw(4)]
    with_schema = bool(message.number(5))
    rows: list[tuple[str | bytes, ...]] = []
    for database in _databases(engine, command, 2):
        for table in engine.catalog.tables(database):
            if not fits.match(table.name) or (kinds and not {_BASE_TABLE, "TABLE"} & set(kinds)):
                continue
            row: tuple[str | bytes, ...] = (CATALOG, database, table.name, _BASE_TABLE)
            rows.append((*row, _table_schema(engine, table)) if with_schema else row)
    fields = [("catalog_name", pa.utf8()), ("db_schema_name", pa.utf8())]
    fields += [("table_name", pa.utf8()), ("table_type", pa.utf8())]
    if with_schema:
        fields.append(("table_schema", pa.binary()))
    columns = [[row[at] for row in rows] for at in range(len(fields))]
    return pa.table(columns, schema=pa.schema(fields))


def _table_schema(engine: Engine, table: Table) -> bytes:
    columns = []
    for column in table.columns:
        one = WireColumn(name=column.name, type=column.type)
        try:
            WireEncoder([one], WireForms.of(engine.profile.arrow))
        except UnreadableType:
            continue
        columns.append(one)
    schema = WireEncoder(columns, WireForms.of(engine.profile.arrow)).schema
    return bytes(schema.serialize().to_pybytes())


def _table_types(_engine: Engine, _command: Command) -> pa.Table:
    return pa.table({"table_type": [_BASE_TABLE, "VIEW"]})


_ANSWERS: dict[str, Callable[[Engine, Command], pa.Table]] = {
    "CommandGetSqlInfo": _sql_info,
    "CommandGetCatalogs": _catalogs,
    "CommandGetDbSchemas": _schemas,
    "CommandGetTables": _tables,
    "CommandGetTableTypes": _table_types,
}
