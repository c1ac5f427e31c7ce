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
"""Finds what is wrong with a lookup when the pipeline is built."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Any

from beam_doris.beam_support.checks import Problems, with_hint
from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.contracts import QueryRows
from beam_doris.client.deadline import Deadline
from beam_doris.client.frontend import Frontend
from beam_doris.client.sql import SqlClient
from beam_doris.errors import (
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    NotFoundError,
    QueryError,
)
from beam_doris.lookup.keys import key_problem
from beam_doris.lookup.query import source_sql
from beam_doris.lookup.spec import Cache
from beam_doris.options.connection import DorisConnection
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import DorisType, Kind

UNREACHABLE_HINT = (
    "check fenodes (a frontend's HTTP port, usually 8030) and that this machine may reach it; "
    "where the cluster is reachable only from the workers, pass validate=False and schema="
)
QUERY_NAME = TableId("lookup", "query")

_MYSQL_KINDS = {
    "TINY": Kind.TINYINT,
    "CHAR": Kind.TINYINT,  # the client's other name for TINY
    "SHORT": Kind.SMALLINT,
    "INT24": Kind.INT,
    "LONG": Kind.INT,
    "LONGLONG": Kind.BIGINT,
    "FLOAT": Kind.FLOAT,
    "DOUBLE": Kind.DOUBLE,
    "DATE": Kind.DATE,
    "NEWDATE": Kind.DATE,
}


def parse_source(table: object, query: object) -> TableId | str:
    """The one of both that was given.

    Raises:
        ConfigError: both or none, or no name and no SELECT.
    """
    if (table is None) == (query is None):
        raise ConfigError("give either table= or query=")
    if table is not None:
        return TableId.parse(typing.cast(Any, table))
    if not isinstance(query, str) or not query.strip():
        raise ConfigError("query is a SELECT statement")
    text = query.strip().rstrip(";").rstrip()
    if not text.lower().startswith(("select", "with", "(")):
        raise ConfigError("query is a SELECT statement")
    return text


def parse_keys(keys: object) -> dict[str, str]:
    """Element field to column; a sequence names fields and columns alike.

    Raises:
        ConfigError: it is neither, is empty, or names a column twice.
    """
    if isinstance(keys, str):
        keys = [keys]
    if isinstance(keys, Sequence):
        keys = {name: name for name in keys}
    if not isinstance(keys, Mapping) or not keys:
        raise ConfigError("keys is a mapping of element field to column, or a list of names")
    problems = [
        f"keys: {name!r} is not a name"
        for name in (*keys.keys(), *keys.values())
        if not isinstance(name, str) or not name
    ]
    columns = [str(column).lower() for column in keys.values()]
    problems += [
        f"keys: column {column!r} is named twice"
        for column in dict.fromkeys(columns)
        if columns.count(column) > 1
    ]
    if problems:
        raise ConfigError(problems)
    return dict(keys)


def cache_problems(cache: Cache | None, options: LookupOptions) -> tuple[Cache, list[str]]:
    """The cache that the options mean, and what contradicts it."""
    keeps = options.cache_rows > 0 and options.cache_ttl.total_seconds() > 0
    if cache is None:
        return (Cache.LRU if keeps else Cache.NONE), []
    problems = []
    if cache is Cache.LRU and not keeps:
        problems.append('cache="lru" needs cache_rows and cache_ttl above 0')
    if cache is Cache.FULL and options.cache_ttl.total_seconds() <= 0:
        problems.append('cache="full" needs a cache_ttl above 0, the time between loads')
    return cache, problems


def fetch_schema(connection: DorisConnection, source: TableId | str) -> TableSchema:
    """The columns of a table or of a query's result.

    Raises:
        NotFoundError, ConfigError: there is no such table, or the server refuses the query.
        AuthError, ConnectError: the frontend refuses us, or cannot be reached.
    """
    try:
        frontend = shared_client(Frontend, connection)
        if isinstance(source, TableId):
            return frontend.schema(source)
        return _query_schema(connection, frontend, source)
    except (ConnectError, DeadlineExceeded) as error:
        raise with_hint(error, UNREACHABLE_HINT) from error


def _query_schema(connection: DorisConnection, frontend: Frontend, query: str) -> TableSchema:
    wait = Deadline.after(connection.timeouts.read)
    with SqlClient(connection, frontend=frontend) as sql:
        try:
            result = sql.query(f"SELECT * FROM {source_sql(query)} LIMIT 0", deadline=wait)
        except (QueryError, NotFoundError) as error:
            raise ConfigError(f"the server refuses the query: {error.message}") from error
    return TableSchema(table=QUERY_NAME, columns=_result_columns(result))


def _result_columns(result: QueryRows) -> tuple[Column, ...]:
    columns = []
    for name, text, scale in zip(result.columns, result.types, result.scales, strict=True):
        if text in ("NEWDECIMAL", "DECIMAL"):
            doris = DorisType(Kind.DECIMAL, precision=38, scale=min(scale, 38))
        elif text in ("DATETIME", "TIMESTAMP"):
            doris = DorisType(Kind.DATETIME, scale=6)
        else:
            doris = DorisType(_MYSQL_KINDS.get(text, Kind.STRING))
        columns.append(Column(name=name, type=doris))
    return tuple(columns)


def key_columns(
    schema: TableSchema, keys: Mapping[str, str], problems: Problems
) -> tuple[Column, ...]:
    """The columns that keys are compared with."""
    found = []
    for name in keys.values():
        column = problems.attempt(lambda name=name: schema.column(name))  # type: ignore[misc]
        if column is None:
            continue
        unfit = key_problem(column)
        if unfit is not None:
            problems.add(unfit)
        found.append(column)
    return tuple(found)


def looked_up(
    schema: TableSchema, columns: Sequence[str] | None, keys: Mapping[str, str]
) -> TableSchema:
    """The columns that are looked up: those named, or all that can be read and are no keys.

    Raises:
        ConfigError: unknown, repeated or unreadable columns, or none at all.
    """
    if columns is None:
        compared = {name.lower() for name in keys.values()}
        columns = [
            column.name
            for column in schema.columns
            if column.type.is_readable and column.name.lower() not in compared
        ]
        if not columns:
            raise ConfigError("the table has no column beside its keys; name the columns=")
    if isinstance(columns, str) or not columns:
        raise ConfigError("columns is a sequence of names")
    selected = schema.select(columns)
    problems = [
        f"column {column.name!r} is a {column.type.sql()}, which cannot be read as it is"
        for column in selected.columns
        if not column.type.is_readable
    ]
    if problems:
        raise ConfigError(problems, hint="leave such columns out, or give a query= over them")
    return selected
