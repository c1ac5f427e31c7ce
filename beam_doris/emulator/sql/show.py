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
"""SHOW and DESCRIBE of databases, tables, columns and the session (P 8.2, 13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from beam_doris.emulator.catalog import Column, KeysModel, Table
from beam_doris.emulator.errors import EmulatorError, UnknownTable
from beam_doris.emulator.sql import show_cluster
from beam_doris.emulator.sql.filtering import Filter, filtered
from beam_doris.emulator.sql.information_schema import (
    is_virtual,
    relation_columns,
    relation_names,
    virtual_databases,
)
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.sql.session import SessionState
from beam_doris.emulator.sql.show_create import create_table_text
from beam_doris.emulator.sql.sources import SessionSources, hidden_columns
from beam_doris.emulator.sql.tokens import Reader, Unsupported
from beam_doris.emulator.sql.views import views_of

Row = Sequence["str | None"]


def show(state: SessionState, reader: Reader) -> Result:
    """Everything behind SHOW."""
    full = reader.take("FULL")
    if reader.sees("FULL"):
        reader.next()
    for words, handler in _FORMS:
        if reader.take(*words):
            return handler(state, reader, full)
    for words, answer in show_cluster.FORMS:
        if reader.take(*words):
            return answer(state, reader)
    raise Unsupported(f"SHOW {reader.peek().text}")


def _databases(state: SessionState, reader: Reader, _full: bool) -> Result:
    if reader.take("FROM"):
        reader.name()
    names = sorted(
        [database.name for database in state.engine.catalog.databases()] + list(virtual_databases())
    )
    return filtered(["Database"], [(name,) for name in names], Filter.read(reader))


def _tables(state: SessionState, reader: Reader, full: bool) -> Result:
    database = None
    if reader.take("FROM") or reader.take("IN"):
        database = reader.name()
        while reader.take("."):
            database = reader.name()
    where = state.database_or_current(database)
    rows: list[Row]
    if is_virtual(where):
        rows = [(name, "SYSTEM VIEW", "utf8") for name in relation_names(where)]
    else:
        rows = [(table.name, "BASE TABLE", "utf8") for table in state.engine.catalog.tables(where)]
        rows += [(view.name, "VIEW", "utf8") for view in views_of(state.engine).of(where)]
    names = [f"Tables_in_{where}", "Table_type", "Storage_format"]
    if not full:
        names, rows = names[:1], [row[:1] for row in rows]
    return filtered(names, sorted(rows, key=lambda row: str(row[0])), Filter.read(reader))


def _table_status(state: SessionState, reader: Reader, _full: bool) -> Result:
    database = reader.name() if reader.take("FROM") or reader.take("IN") else None
    where = state.database_or_current(database)
    names = [
        "Name",
        "Engine",
        "Version",
        "Row_format",
        "Rows",
        "Avg_row_length",
        "Data_length",
        "Max_data_length",
        "Index_length",
        "Data_free",
        "Auto_increment",
        "Create_time",
        "Update_time",
        "Check_time",
        "Collation",
        "Checksum",
        "Create_options",
        "Comment",
    ]
    tables = [] if is_virtual(where) else state.engine.catalog.tables(where)
    rows = [
        (table.name, "Doris", None, None, str(state.engine.storage.row_count(table)), "0", "0", None,
         None, None, None, None, None, None, "utf-8", None, None, table.comment)
        for table in tables
    ]  # fmt: skip
    return filtered(names, rows, Filter.read(reader))


def _extra(table: Table, column: Column) -> str:
    """Extra of DESC: how a value column is folded, and who fills the column."""
    parts: list[str] = []
    if not column.key:
        if table.model is KeysModel.AGG_KEYS:
            parts.append(column.aggregation or "NONE")
        elif table.model is KeysModel.UNIQUE_KEYS:
            parts.append("NONE" if table.merge_on_write else "REPLACE")
        elif table.key_columns:
            parts.append("NONE")
    if column.auto_increment is not None:
        parts.append("AUTO_INCREMENT")
    if column.generated is not None:
        parts.append("STORED GENERATED")
    return ",".join(parts)


def _default(column: Column) -> str | None:
    return column.default


def _relation_rows(state: SessionState, database: str, name: str) -> list[Row] | None:
    """Columns of a view or a made-up relation; None when it is a table."""
    if is_virtual(database):
        found = relation_columns(database, name)
    elif views_of(state.engine).find(database, name) is not None:
        found = list(SessionSources(state).source(database, name, None, hidden=False).columns)
    else:
        return None
    return [(column, kind.shown(), "Yes", "false", None, "") for column, kind in found]


def describe(state: SessionState, reader: Reader) -> Result:
    """``DESC [table] [ALL]``: Yes and No, true and false (P 13)."""
    reader.take("TABLE")
    database, name = reader.qualified()
    reader.take("ALL")
    reader.finish()
    where = state.database_or_current(database)
    names = ["Field", "Type", "Null", "Key", "Default", "Extra"]
    rows = _relation_rows(state, where, name)
    if rows is not None:
        return Result.table(names, rows)
    table = state.table(where, name)
    found: list[Row] = [
        (
            column.name,
            column.type.shown(),
            "Yes" if column.nullable else "No",
            "true" if column.key else "false",
            _default(column),
            _extra(table, column),
        )
        for column in table.columns
    ]
    if state.variables.flag("show_hidden_columns"):
        found += [
            (name, kind.shown(), "No", "false", "0", "REPLACE")
            for name, kind in hidden_columns(table)
        ]
    return Result.table(names, found)


def _columns(state: SessionState, reader: Reader, full: bool) -> Result:
    if not (reader.take("FROM") or reader.take("IN")):
        reader.fail("FROM")
    database, name = reader.qualified()
    if reader.take("FROM") or reader.take("IN"):
        database = reader.name()
    where = state.database_or_current(database)
    names = ["Field", "Type", "Null", "Key", "Default", "Extra"]
    wide = [
        "Field",
        "Type",
        "Collation",
        "Null",
        "Key",
        "Default",
        "Extra",
        "Privileges",
        "Comment",
    ]
    rows = _relation_rows(state, where, name)
    if rows is None:
        table = state.table(where, name)
        cells = [
            (column.name, column.type.shown(), "YES" if column.nullable else "NO",
             "YES" if column.key else "NO", _default(column), _extra(table, column), column.comment)
            for column in table.columns
        ]  # fmt: skip
    else:
        cells = [(str(row[0]), str(row[1]), "YES", "NO", None, "", "") for row in rows]
    if not full:
        return filtered(names, [cell[:6] for cell in cells], Filter.read(reader))
    found: list[Row] = [
        (field, kind, "", null, key, default, extra, "", comment)
        for field, kind, null, key, default, extra, comment in cells
    ]
    return filtered(wide, found, Filter.read(reader))


def _create_table(state: SessionState, reader: Reader, _full: bool) -> Result:
    database, name = reader.qualified()
    where = state.database_or_current(database)
    view = views_of(state.engine).find(where, name)
    if view is not None:
        return _view_text(state, where, name)
    return Result.table(
        ["Table", "Create Table"], [(name, create_table_text(state.table(where, name)))]
    )


def _view_text(state: SessionState, database: str, name: str) -> Result:
    view = views_of(state.engine).find(database, name)
    if view is None:
        raise UnknownTable(database, name)
    text = f"CREATE VIEW `{view.name}` AS {view.sql};"
    return Result.table(
        ["View", "Create View", "character_set_client", "collation_connection"],
        [(view.name, text, "utf8mb4", "utf8mb4_0900_bin")],
    )


def _create_view(state: SessionState, reader: Reader, _full: bool) -> Result:
    database, name = reader.qualified()
    return _view_text(state, state.database_or_current(database), name)


def _create_database(state: SessionState, reader: Reader, _full: bool) -> Result:
    name = reader.name()
    if not is_virtual(name):
        state.engine.catalog.database(name)
    return Result.table(["Database", "Create Database"], [(name, f"CREATE DATABASE `{name}`")])


def _variables(state: SessionState, reader: Reader, _full: bool) -> Result:
    rows = [tuple(row) for row in state.variables.rows()]
    return filtered(
        ["Variable_name", "Value", "Default_Value", "Changed"], rows, Filter.read(reader)
    )


def _status(_state: SessionState, reader: Reader, _full: bool) -> Result:
    return filtered(["Variable_name", "Value"], [], Filter.read(reader))


def _warnings(_state: SessionState, reader: Reader, _full: bool) -> Result:
    reader.rest()
    return Result.table(["Level", "Code", "Message"], [])


def _index(state: SessionState, reader: Reader, _full: bool) -> Result:
    if reader.take("FROM") or reader.take("IN"):
        database, name = reader.qualified()
        if reader.take("FROM") or reader.take("IN"):
            database = reader.name()
        state.table(database, name)
    reader.rest()
    names = [
        "Table",
        "Non_unique",
        "Key_name",
        "Seq_in_index",
        "Column_name",
        "Collation",
        "Cardinality",
        "Sub_part",
        "Packed",
        "Null",
        "Index_type",
        "Comment",
        "Properties",
    ]
    return Result.table(names, [])


def _grants(state: SessionState, reader: Reader, _full: bool) -> Result:
    name = state.user.name
    if reader.take("FOR"):
        name = reader.name_or_text()
    reader.rest()
    user = state.engine.users.get(name)
    if user is None:
        raise EmulatorError(f"User: '{name}'@'%' does not exist")

    def shown(want: Callable[[str], bool]) -> str | None:
        texts = [
            f"{scope}: {','.join(sorted(words))}" for scope, words in user.grants if want(scope)
        ]
        return "; ".join(texts) or None

    everywhere = shown(lambda scope: scope == "*")
    databases = shown(lambda scope: scope != "*" and "." not in scope)
    tables = shown(lambda scope: "." in scope)
    names = [
        "UserIdentity",
        "Comment",
        "Password",
        "Roles",
        "GlobalPrivs",
        "CatalogPrivs",
        "DatabasePrivs",
        "TablePrivs",
    ]
    row = (
        f"'{name}'@'%'",
        "",
        "Yes" if user.password_hash else "No",
        "",
        everywhere,
        None,
        databases,
        tables,
    )
    return Result.table(names, [row])


def _process_list(state: SessionState, reader: Reader, _full: bool) -> Result:
    reader.rest()
    names = "CurrentConnected Id User Host LoginTime Catalog Db Command Time State QueryId TraceId Info FE CloudCluster"
    entries = [] if state.directory is None else state.directory.entries()
    rows = [
        ("Yes" if entry.id == state.connection_id else "No", str(entry.id), entry.user, entry.host, "",
         "internal", entry.database or "", entry.command, "0", "OK", "", "", entry.info, "127.0.0.1", "")
        for entry in entries
    ]  # fmt: skip
    return Result.table(names.split(), rows)


def _engines(_state: SessionState, reader: Reader, _full: bool) -> Result:
    reader.rest()
    return Result.table(
        ["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"],
        [("OLAP", "YES", "Default storage engine", "NO", "NO", "NO")],
    )


def _collation(_state: SessionState, reader: Reader, _full: bool) -> Result:
    return filtered(
        ["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"],
        [("utf8mb4_0900_bin", "utf8mb4", "309", "Yes", "Yes", "1")],
        Filter.read(reader),
    )


def _charset(_state: SessionState, reader: Reader, _full: bool) -> Result:
    return filtered(
        ["Charset", "Description", "Default collation", "Maxlen"],
        [("utf8mb4", "UTF-8 Unicode", "utf8mb4_0900_bin", "4")],
        Filter.read(reader),
    )


Form = Callable[[SessionState, Reader, bool], Result]

_FORMS: tuple[tuple[tuple[str, ...], Form], ...] = (
    (("DATABASES",), _databases),
    (("SCHEMAS",), _databases),
    (("TABLES",), _tables),
    (("TABLE", "STATUS"), _table_status),
    (("COLUMNS",), _columns),
    (("FIELDS",), _columns),
    (("CREATE", "TABLE"), _create_table),
    (("CREATE", "VIEW"), _create_view),
    (("CREATE", "DATABASE"), _create_database),
    (("CREATE", "SCHEMA"), _create_database),
    (("SESSION", "VARIABLES"), _variables),
    (("GLOBAL", "VARIABLES"), _variables),
    (("VARIABLES",), _variables),
    (("SESSION", "STATUS"), _status),
    (("GLOBAL", "STATUS"), _status),
    (("STATUS",), _status),
    (("WARNINGS",), _warnings),
    (("ERRORS",), _warnings),
    (("INDEX",), _index),
    (("INDEXES",), _index),
    (("KEYS",), _index),
    (("ALL", "GRANTS"), _grants),
    (("GRANTS",), _grants),
    (("PROCESSLIST",), _process_list),
    (("ENGINES",), _engines),
    (("STORAGE", "ENGINES"), _engines),
    (("COLLATION",), _collation),
    (("CHARACTER", "SET"), _charset),
    (("CHARSET",), _charset),
)
