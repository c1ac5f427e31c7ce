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
"""information_schema and mysql: relations made from the catalog when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from beam_doris.emulator.catalog import Column, KeysModel, Table
from beam_doris.emulator.clock import wall_clock
from beam_doris.emulator.errors import UnknownTable
from beam_doris.emulator.sql.render import literal
from beam_doris.emulator.sql.translate import Source
from beam_doris.emulator.sql.views import views_of
from beam_doris.emulator.types import DorisType, Kind

if TYPE_CHECKING:
    from beam_doris.emulator.sql.session import SessionState

CATALOG = "internal"
_VIRTUAL = ("information_schema", "mysql", "__internal_schema")
_TEXT = DorisType(Kind.VARCHAR, length=1024)
_NUMBER = DorisType(Kind.BIGINT)
_TIME = DorisType(Kind.DATETIME)

Cell = str | int | None
Rows = list[Sequence[Cell]]


def is_virtual(database: str) -> bool:
    """Whether a database holds no tables of its own."""
    return database.lower() in _VIRTUAL


def virtual_databases() -> tuple[str, ...]:
    return _VIRTUAL


def _schemata(state: SessionState) -> Rows:
    names = sorted(
        [database.name for database in state.engine.catalog.databases()] + list(_VIRTUAL)
    )
    return [(CATALOG, name, "utf8mb4", "utf8mb4_0900_bin", None) for name in names]


def tables_of(state: SessionState) -> list[Table]:
    catalog = state.engine.catalog
    return [table for database in catalog.databases() for table in catalog.tables(database.name)]


def _tables(state: SessionState) -> Rows:
    rows: Rows = []
    for table in tables_of(state):
        made = f"{wall_clock(table.created_at):%Y-%m-%d %H:%M:%S}"
        rows.append(
            (CATALOG, table.database, table.name, "BASE TABLE", "Doris", None, None,
             state.engine.storage.row_count(table), 0, 0, None, None, None, None, made, made, None,
             "utf8mb4_0900_bin", None, None, table.comment)
        )  # fmt: skip
    for database in state.engine.catalog.databases():
        for view in views_of(state.engine).of(database.name):
            rows.append(
                (CATALOG, view.database, view.name, "VIEW", None, None, None, 0, 0, 0, None, None,
                 None, None, None, None, None, "utf8mb4_0900_bin", None, None, view.comment)
            )  # fmt: skip
    for name in sorted(_RELATIONS):
        rows.append(
            (CATALOG, "information_schema", name.lower(), "SYSTEM VIEW", "MEMORY", None, None, 0, 0,
             0, None, None, None, None, None, None, None, "utf8mb4_0900_bin", None, None, "")
        )  # fmt: skip
    return rows


_DATA_TYPES = {
    Kind.STRING: "text",
    Kind.DECIMALV2: "decimal",
    Kind.LARGEINT: "bigint unsigned",
    Kind.BOOLEAN: "tinyint",
}


def data_type(kind: DorisType) -> str:
    """DATA_TYPE of COLUMNS: the bare word, in the vocabulary of MySQL."""
    return _DATA_TYPES.get(kind.kind, kind.kind.value.lower())


def column_key(table: Table, column: Column) -> str:
    if not column.key:
        return ""
    return {
        KeysModel.DUP_KEYS: "DUP",
        KeysModel.UNIQUE_KEYS: "UNI",
        KeysModel.AGG_KEYS: "AGG",
    }[table.model]


_SIZES = {Kind.TINYINT: 3, Kind.SMALLINT: 5, Kind.INT: 10, Kind.BIGINT: 19, Kind.LARGEINT: 39}


def _columns(state: SessionState) -> Rows:
    rows: Rows = []
    for table in tables_of(state):
        for position, column in enumerate(table.columns, 1):
            kind = column.type
            decimal = kind.kind in (Kind.DECIMAL, Kind.DECIMALV2)
            length = kind.length if kind.kind in (Kind.CHAR, Kind.VARCHAR) else None
            rows.append(
                (CATALOG, table.database, table.name, column.name, position, column.default,
                 "YES" if column.nullable else "NO", data_type(kind), length, length,
                 kind.precision if decimal else _SIZES.get(kind.kind),
                 kind.scale if decimal else None if kind.kind not in _SIZES else 0,
                 kind.scale if kind.kind is Kind.DATETIME else None, None, None, kind.shown(),
                 column_key(table, column),
                 "auto_increment" if column.auto_increment is not None else "",
                 "", column.comment, length if length is not None else None,
                 kind.scale if decimal else None, column.generated or "", None)
            )  # fmt: skip
    return rows


def _views(state: SessionState) -> Rows:
    return [
        (CATALOG, view.database, view.name, view.sql, "NONE", "NO", "root@%", "DEFINER", "utf8", "utf8_general_ci")
        for database in state.engine.catalog.databases()
        for view in views_of(state.engine).of(database.name)
    ]  # fmt: skip


def _partitions(state: SessionState) -> Rows:
    return [
        (CATALOG, table.database, table.name, partition.name, position,
         None if table.partition_by is None else table.partition_by.kind,
         None if table.partition_by is None else ", ".join(table.partition_by.columns),
         state.engine.storage.row_count(table, partitions=[partition.name]))
        for table in tables_of(state)
        for position, partition in enumerate(table.partitions, 1)
    ]  # fmt: skip


def _engines(_state: SessionState) -> Rows:
    return [("OLAP", "YES", "Default storage engine of palo", "NO", "NO", "NO")]


def _character_sets(_state: SessionState) -> Rows:
    return [("utf8mb4", "utf8mb4_0900_bin", "UTF-8 Unicode", 4)]


def _collations(_state: SessionState) -> Rows:
    return [("utf8mb4_0900_bin", "utf8mb4", 309, "Yes", "Yes", 1)]


def _variables(state: SessionState) -> Rows:
    return [row[:2] for row in state.variables.rows()]


def _processes(state: SessionState) -> Rows:
    entries = [] if state.directory is None else state.directory.entries()
    return [
        (entry.id, entry.user, entry.host, entry.database, entry.command, 0, "", entry.info)
        for entry in entries
    ]


def _nothing(_state: SessionState) -> Rows:
    return []


def _typed(texts: str, numbers: str = "", times: str = "") -> list[tuple[str, DorisType]]:
    """Columns in the order of ``texts``; the other two say which are no texts."""
    return [
        (name, _NUMBER if name in numbers.split() else _TIME if name in times.split() else _TEXT)
        for name in texts.split()
    ]


Relation = tuple[list[tuple[str, DorisType]], Callable[["SessionState"], Rows]]

_RELATIONS: dict[str, Relation] = {
    "SCHEMATA": (
        _typed(
            "CATALOG_NAME SCHEMA_NAME DEFAULT_CHARACTER_SET_NAME DEFAULT_COLLATION_NAME SQL_PATH"
        ),
        _schemata,
    ),
    "TABLES": (
        _typed(
            "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME TABLE_TYPE ENGINE VERSION ROW_FORMAT TABLE_ROWS "
            "AVG_ROW_LENGTH DATA_LENGTH MAX_DATA_LENGTH INDEX_LENGTH DATA_FREE AUTO_INCREMENT "
            "CREATE_TIME UPDATE_TIME CHECK_TIME TABLE_COLLATION CHECKSUM CREATE_OPTIONS TABLE_COMMENT",
            "VERSION TABLE_ROWS AVG_ROW_LENGTH DATA_LENGTH MAX_DATA_LENGTH INDEX_LENGTH DATA_FREE "
            "AUTO_INCREMENT CHECKSUM",
            "CREATE_TIME UPDATE_TIME CHECK_TIME",
        ),
        _tables,
    ),
    "COLUMNS": (
        _typed(
            "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION COLUMN_DEFAULT "
            "IS_NULLABLE DATA_TYPE CHARACTER_MAXIMUM_LENGTH CHARACTER_OCTET_LENGTH NUMERIC_PRECISION "
            "NUMERIC_SCALE DATETIME_PRECISION CHARACTER_SET_NAME COLLATION_NAME COLUMN_TYPE COLUMN_KEY "
            "EXTRA PRIVILEGES COLUMN_COMMENT COLUMN_SIZE DECIMAL_DIGITS GENERATION_EXPRESSION SRS_ID",
            "ORDINAL_POSITION CHARACTER_MAXIMUM_LENGTH CHARACTER_OCTET_LENGTH NUMERIC_PRECISION "
            "NUMERIC_SCALE DATETIME_PRECISION COLUMN_SIZE DECIMAL_DIGITS SRS_ID",
        ),
        _columns,
    ),
    "VIEWS": (
        _typed(
            "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME VIEW_DEFINITION CHECK_OPTION IS_UPDATABLE DEFINER "
            "SECURITY_TYPE CHARACTER_SET_CLIENT COLLATION_CONNECTION"
        ),
        _views,
    ),
    "PARTITIONS": (
        _typed(
            "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME PARTITION_NAME PARTITION_ORDINAL_POSITION "
            "PARTITION_METHOD PARTITION_EXPRESSION TABLE_ROWS",
            "PARTITION_ORDINAL_POSITION TABLE_ROWS",
        ),
        _partitions,
    ),
    "ENGINES": (_typed("ENGINE SUPPORT COMMENT TRANSACTIONS XA SAVEPOINTS"), _engines),
    "CHARACTER_SETS": (
        _typed("CHARACTER_SET_NAME DEFAULT_COLLATE_NAME DESCRIPTION MAXLEN", "MAXLEN"),
        _character_sets,
    ),
    "COLLATIONS": (
        _typed("COLLATION_NAME CHARACTER_SET_NAME ID IS_DEFAULT IS_COMPILED SORTLEN", "ID SORTLEN"),
        _collations,
    ),
    "SESSION_VARIABLES": (_typed("VARIABLE_NAME VARIABLE_VALUE"), _variables),
    "GLOBAL_VARIABLES": (_typed("VARIABLE_NAME VARIABLE_VALUE"), _variables),
    "PROCESSLIST": (_typed("ID USER HOST DB COMMAND TIME STATE INFO", "ID TIME"), _processes),
    "STATISTICS": (
        _typed(
            "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME NON_UNIQUE INDEX_SCHEMA INDEX_NAME SEQ_IN_INDEX "
            "COLUMN_NAME COLLATION CARDINALITY SUB_PART PACKED NULLABLE INDEX_TYPE COMMENT",
            "NON_UNIQUE SEQ_IN_INDEX CARDINALITY SUB_PART",
        ),
        _nothing,
    ),
    "KEY_COLUMN_USAGE": (
        _typed(
            "CONSTRAINT_CATALOG CONSTRAINT_SCHEMA CONSTRAINT_NAME TABLE_CATALOG TABLE_SCHEMA TABLE_NAME "
            "COLUMN_NAME ORDINAL_POSITION POSITION_IN_UNIQUE_CONSTRAINT REFERENCED_TABLE_SCHEMA "
            "REFERENCED_TABLE_NAME REFERENCED_COLUMN_NAME",
            "ORDINAL_POSITION POSITION_IN_UNIQUE_CONSTRAINT",
        ),
        _nothing,
    ),
    "TABLE_CONSTRAINTS": (
        _typed(
            "CONSTRAINT_CATALOG CONSTRAINT_SCHEMA CONSTRAINT_NAME TABLE_SCHEMA TABLE_NAME CONSTRAINT_TYPE"
        ),
        _nothing,
    ),
    "REFERENTIAL_CONSTRAINTS": (
        _typed(
            "CONSTRAINT_CATALOG CONSTRAINT_SCHEMA CONSTRAINT_NAME UNIQUE_CONSTRAINT_CATALOG "
            "UNIQUE_CONSTRAINT_SCHEMA UNIQUE_CONSTRAINT_NAME MATCH_OPTION UPDATE_RULE DELETE_RULE "
            "TABLE_NAME REFERENCED_TABLE_NAME"
        ),
        _nothing,
    ),
    "ROUTINES": (
        _typed("SPECIFIC_NAME ROUTINE_CATALOG ROUTINE_SCHEMA ROUTINE_NAME ROUTINE_TYPE"),
        _nothing,
    ),
    "TRIGGERS": (_typed("TRIGGER_CATALOG TRIGGER_SCHEMA TRIGGER_NAME"), _nothing),
    "EVENTS": (_typed("EVENT_CATALOG EVENT_SCHEMA EVENT_NAME"), _nothing),
    "TABLE_PRIVILEGES": (
        _typed("GRANTEE TABLE_CATALOG TABLE_SCHEMA TABLE_NAME PRIVILEGE_TYPE IS_GRANTABLE"),
        _nothing,
    ),
    "FILES": (_typed("FILE_ID FILE_NAME FILE_TYPE TABLESPACE_NAME"), _nothing),
}


def _users(state: SessionState) -> Rows:
    return [("%", name) for name in state.engine.users.names()]


_MYSQL: dict[str, Relation] = {"USER": (_typed("Host User"), _users)}


def relation_names(database: str) -> list[str]:
    relations = _RELATIONS if database.lower() == "information_schema" else _MYSQL
    return (
        sorted(name.lower() for name in relations)
        if database.lower() != "__internal_schema"
        else []
    )


def relation_columns(database: str, name: str) -> list[tuple[str, DorisType]]:
    """Raises UnknownTable."""
    return _relation(database, name)[0]


def _relation(database: str, name: str) -> Relation:
    lower = database.lower()
    relations = {"information_schema": _RELATIONS, "mysql": _MYSQL}.get(lower, {})
    found = relations.get(name.upper())
    if found is None:
        raise UnknownTable(database, name)
    return found


def _cell(value: Cell, kind: DorisType) -> str:
    if value is None:
        return f"CAST(NULL AS {kind.physical()})"
    return f"CAST({literal(str(value))} AS {kind.physical()})"


def source(state: SessionState, database: str, name: str) -> Source:
    """A relation by name. Raises UnknownTable."""
    columns, rows_of = _relation(database, name)
    names = ", ".join(f'"{column}"' for column, _ in columns)
    rows = rows_of(state)
    if not rows:
        nulls = ", ".join(_cell(None, kind) for _, kind in columns)
        sql = f"SELECT * FROM (SELECT {nulls}) AS r({names}) WHERE FALSE"
        return Source(sql=sql, columns=tuple(columns))
    lines = ", ".join(
        "("
        + ", ".join(_cell(cell, kind) for cell, (_, kind) in zip(row, columns, strict=True))
        + ")"
        for row in rows
    )
    return Source(sql=f"SELECT * FROM (VALUES {lines}) AS r({names})", columns=tuple(columns))
