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
"""CREATE, ALTER, DROP and TRUNCATE, carried out on the engine."""

from __future__ import annotations

from dataclasses import replace

from beam_doris.emulator.catalog import KeysModel, Table
from beam_doris.emulator.errors import DatabaseExists, EmulatorError, TableExists, UnknownTable
from beam_doris.emulator.sql import accounts
from beam_doris.emulator.sql.ddl import CreateTable, create_table
from beam_doris.emulator.sql.ddl_alter import changes
from beam_doris.emulator.sql.ddl_columns import properties
from beam_doris.emulator.sql.information_schema import is_virtual
from beam_doris.emulator.sql.insert import Insert, Inserter
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.sql.session import SessionState
from beam_doris.emulator.sql.sources import SessionSources
from beam_doris.emulator.sql.tokens import Reader, Token, Unsupported, join
from beam_doris.emulator.sql.translate import query
from beam_doris.emulator.sql.views import View, views_of
from beam_doris.emulator.table_spec import ColumnSpec, PartitionSpec, TableSpec
from beam_doris.emulator.types import TEXTS, DorisType, Kind, of_physical
from beam_doris.emulator.users import LOAD

ALTER = "ALTER_PRIV"
CREATE = "CREATE_PRIV"
DROP = "DROP_PRIV"


def create(state: SessionState, reader: Reader) -> Result:
    """Everything behind CREATE."""
    if reader.take("DATABASE") or reader.take("SCHEMA"):
        return _create_database(state, reader)
    if (
        reader.take("EXTERNAL", "TABLE")
        or reader.take("TEMPORARY", "TABLE")
        or reader.take("TABLE")
    ):
        return _create_table(state, create_table(reader))
    replaced = reader.take("OR", "REPLACE")
    if reader.take("VIEW"):
        return _create_view(state, reader, replaced=replaced)
    if reader.take("USER"):
        return accounts.create_user(state, reader)
    if reader.take("ROLE") or reader.sees("INDEX"):
        # neither changes what a connector gets to see
        reader.rest()
        return Result.ok()
    raise Unsupported(f"CREATE {reader.peek().text}")


def _create_database(state: SessionState, reader: Reader) -> Result:
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    name = reader.name()
    while reader.take("."):
        name = reader.name()
    if reader.take("PROPERTIES"):
        properties(reader)
    reader.finish()
    if is_virtual(name):
        if if_not_exists:
            return Result.ok()
        raise DatabaseExists(name)
    state.require_on(CREATE, name)
    state.engine.create_database(name, if_not_exists=if_not_exists)
    return Result.ok()


def _create_table(state: SessionState, statement: CreateTable) -> Result:
    database = state.database_or_current(statement.database)
    state.require_on(CREATE, database)
    if views_of(state.engine).find(database, statement.name) is not None:
        raise TableExists(statement.name)
    if statement.like is not None:
        _create_like(state, database, statement)
        return Result.ok()
    columns = tuple(statement.columns)
    if statement.query is not None:
        if statement.if_not_exists and state.engine.catalog.has_table(database, statement.name):
            return Result.ok()
        columns = _query_columns(state, statement)
    state.engine.create_table(
        TableSpec(
            database=database,
            name=statement.name,
            columns=columns,
            model=statement.model,
            keys=statement.keys,
            partition_by=statement.partition_by,
            partitions=statement.partitions,
            distribution=statement.distribution,
            properties=statement.properties,
            comment=statement.comment,
            if_not_exists=statement.if_not_exists,
        )
    )
    if statement.query is None:
        return Result.ok()
    table = state.table(database, statement.name)
    try:
        return Inserter(state, table).run(Insert(database, table.name, query=statement.query))
    except EmulatorError:
        state.engine.drop_table(database, table.name, if_exists=True)
        raise


def _query_columns(state: SessionState, statement: CreateTable) -> tuple[ColumnSpec, ...]:
    """The columns of CREATE TABLE ... AS: a text that may become a key is a VARCHAR."""
    translated = query(statement.query or [], SessionSources(state), now=state.now())
    with state.cursor() as cursor:
        relation = cursor.sql(translated.sql)
        names = list(statement.column_names or relation.columns)
        physical = [str(kind) for kind in relation.types]
    known = translated.columns or []
    specs: list[ColumnSpec] = []
    for index, name in enumerate(names):
        kind = (known[index][1] if len(known) == len(names) else None) or of_physical(
            physical[index]
        )
        if index == 0 and kind.kind in TEXTS:
            kind = DorisType(Kind.VARCHAR, length=65533)
        if kind.kind is Kind.NULL:
            kind = DorisType(Kind.TINYINT)
        specs.append(ColumnSpec(name=name, type=kind))
    return tuple(specs)


def spec_of(table: Table, name: str, database: str, *, if_not_exists: bool) -> TableSpec:
    """A specification that makes an empty table of the same shape."""
    return TableSpec(
        database=database,
        name=name,
        columns=tuple(
            ColumnSpec(
                name=column.name,
                type=column.type,
                nullable=column.nullable,
                aggregation=None
                if table.model is not KeysModel.AGG_KEYS or column.key
                else column.aggregation,
                default=column.default,
                default_is_function=column.default_is_function,
                comment=column.comment,
                auto_increment=column.auto_increment,
                generated=column.generated,
            )
            for column in table.columns
        ),
        model=table.model,
        keys=tuple(column.name for column in table.key_columns),
        partition_by=table.partition_by,
        partitions=tuple(
            PartitionSpec(
                name=partition.name,
                lower=partition.lower,
                upper=partition.upper,
                values=partition.values,
            )
            for partition in table.partitions
            if table.partition_by is not None
        ),
        distribution=table.distribution,
        properties=dict(table.properties),
        comment=table.comment,
        if_not_exists=if_not_exists,
    )


def _create_like(state: SessionState, database: str, statement: CreateTable) -> None:
    assert statement.like is not None
    source = state.table(*statement.like)
    spec = spec_of(source, statement.name, database, if_not_exists=statement.if_not_exists)
    if source.partition_by is not None and source.partition_by.kind == "RANGE":
        # bounds that are open below are written as LESS THAN
        spec = replace(spec, partitions=tuple(_closed(part) for part in spec.partitions))
    state.engine.create_table(spec)


def _closed(part: PartitionSpec) -> PartitionSpec:
    if part.lower is None or any(bound is None for bound in part.lower):
        return PartitionSpec(name=part.name, less_than=part.upper)
    return part


def _create_view(state: SessionState, reader: Reader, *, replaced: bool) -> Result:
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    database, name = reader.qualified()
    where = state.database_or_current(database)
    columns: tuple[str, ...] = ()
    if reader.sees("("):
        names: list[str] = []
        inner = Reader(reader.parenthesized())
        while not inner.done:
            names.append(inner.name())
            if inner.take("COMMENT"):
                inner.text()
            inner.take(",")
        columns = tuple(names)
    comment = reader.text() if reader.take("COMMENT") else ""
    state.require_on(CREATE, where)
    reader.expect("AS")
    body: list[Token] = reader.rest()
    views = views_of(state.engine)
    state.engine.catalog.database(where)
    taken = views.find(where, name) is not None or state.engine.catalog.has_table(where, name)
    if taken and not replaced:
        if if_not_exists:
            return Result.ok()
        raise TableExists(name)
    query(body, SessionSources(state), now=state.now())
    views.put(View(database=where, name=name, sql=join(body), columns=columns, comment=comment))
    return Result.ok()


def drop(state: SessionState, reader: Reader) -> Result:
    """Everything behind DROP."""
    if reader.take("DATABASE") or reader.take("SCHEMA"):
        if_exists = reader.take("IF", "EXISTS")
        name = reader.name()
        while reader.take("."):
            name = reader.name()
        reader.take("FORCE")
        reader.finish()
        state.require_on(DROP, name)
        state.engine.drop_database(name, if_exists=if_exists)
        views_of(state.engine).drop_database(name)
        if state.database == name:
            state.database = None
        return Result.ok()
    reader.take("TEMPORARY")
    if reader.take("TABLE"):
        if_exists = reader.take("IF", "EXISTS")
        database, name = reader.qualified()
        reader.take("FORCE")
        reader.finish()
        where = state.database_or_current(database)
        state.require(DROP, where, name)
        state.engine.drop_table(where, name, if_exists=if_exists)
        return Result.ok()
    if reader.take("VIEW"):
        if_exists = reader.take("IF", "EXISTS")
        database, name = reader.qualified()
        where = state.database_or_current(database)
        if not views_of(state.engine).drop(where, name) and not if_exists:
            raise UnknownTable(where, name)
        return Result.ok()
    if reader.take("USER"):
        return accounts.drop_user(state, reader)
    if reader.take("ROLE"):
        reader.rest()
        return Result.ok()
    raise Unsupported(f"DROP {reader.peek().text}")


def alter(state: SessionState, reader: Reader) -> Result:
    """Everything behind ALTER."""
    if reader.take("USER"):
        return accounts.alter_user(state, reader)
    if reader.take("TABLE"):
        table = state.table(*reader.qualified())
        state.require(ALTER, table.database, table.name)
        for change in changes(reader):
            table = state.engine.alter(table, change)
        return Result.ok()
    if reader.take("DATABASE") or reader.take("SYSTEM"):
        raise Unsupported("ALTER DATABASE and ALTER SYSTEM")
    raise Unsupported(f"ALTER {reader.peek().text}")


def truncate(state: SessionState, reader: Reader) -> Result:
    """Everything behind TRUNCATE."""
    reader.take("TABLE")
    table = state.table(*reader.qualified())
    partitions = None
    if reader.take("PARTITION") or reader.take("PARTITIONS"):
        partitions = reader.names() if reader.sees("(") else (reader.name(),)
    reader.take("FORCE")
    reader.finish()
    state.require(LOAD, table.database, table.name)
    state.engine.truncate(table, partitions)
    return Result.ok()
