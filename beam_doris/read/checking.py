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
"""Finds what is wrong with a read when the pipeline is built."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from beam_doris.beam_support.checks import Problems, with_hint
from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.frontend import Frontend
from beam_doris.errors import (
    ConfigError,
    ConnectError,
    DeadlineExceeded,
    NotFoundError,
    QueryError,
)
from beam_doris.read.request import ReadRequest
from beam_doris.schema.expression_check import condition_problems
from beam_doris.schema.expressions import Condition
from beam_doris.schema.table_schema import TableSchema

_log = logging.getLogger(__name__)

SUBJECT = "ReadFromDoris"
UNREACHABLE_HINT = (
    "check fenodes (a frontend's HTTP port, usually 8030) and that this machine may reach it; "
    "where the cluster is reachable only from the workers, pass validate=False and, for "
    'output="row", schema='
)


def selected_schema(schema: TableSchema, columns: Sequence[str] | None) -> TableSchema:
    """The columns that will be read.

    Raises:
        ConfigError: unknown, repeated or unreadable columns, all at once.
    """
    if columns is not None:
        selected = schema.select(columns)
        problems = [
            f"column {column.name!r} is a {column.type.sql()}, which cannot be read as it is"
            for column in selected.columns
            if not column.type.is_readable
        ]
        if problems:
            raise ConfigError(problems, table=schema.table, hint="leave such columns out")
        return selected
    readable = [column.name for column in schema.columns if column.type.is_readable]
    left_out = [name for name in schema.names if name not in readable]
    if left_out:
        _log.warning("%s: columns that cannot be read are left out: %s", schema.table, left_out)
    if not readable:
        raise ConfigError("no column of the table can be read", table=schema.table)
    return schema.select(readable)


def check_read(request: ReadRequest, typed: Condition | None = None) -> TableSchema:
    """Asks the frontend whether the table, the columns and the filter exist.

    Args:
        request: What will be read.
        typed: Its filter, where it is a typed one.

    Returns:
        The selected columns.

    Raises:
        ConfigError: everything that is wrong, at once.
        AuthError, ConnectError: the frontend refuses us, or cannot be reached.
    """
    frontend = shared_client(Frontend, request.connection)
    problems = Problems(SUBJECT)
    try:
        schema = problems.attempt(lambda: frontend.schema(request.table))
    except (ConnectError, DeadlineExceeded) as error:
        raise with_hint(error, UNREACHABLE_HINT) from error
    problems.raise_if_any(request.table)
    assert schema is not None
    selected = problems.attempt(lambda: selected_schema(schema, request.columns))
    unfit = () if typed is None else condition_problems(typed, schema)
    problems.extend(unfit or _filter_problems(frontend, request, schema))
    problems.raise_if_any(request.table)
    assert selected is not None
    return selected


def _filter_problems(frontend: Frontend, request: ReadRequest, schema: TableSchema) -> list[str]:
    """Lets the server judge the condition, by the very call that will plan the read."""
    if request.filter is None:
        return []
    try:
        frontend.plan(request.table, schema.names[:1], request.filter)
    except (QueryError, NotFoundError) as error:
        return [f"the server refuses the filter: {error.message}"]
    return []
