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

from beam_doris.beam_support.checks import Problems, with_hint
from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.frontend import Frontend
from beam_doris.client.table_facts import table_facts
from beam_doris.errors import (
    ConnectError,
    DeadlineExceeded,
    NotFoundError,
    QueryError,
)
from beam_doris.read.columns import selected_schema
from beam_doris.read.planner import Planner, tablet_plan
from beam_doris.read.request import ReadContext, ReadRequest
from beam_doris.schema.expression_check import condition_problems
from beam_doris.schema.expressions import Condition
from beam_doris.schema.table_schema import TableSchema

SUBJECT = "ReadFromDoris"
UNREACHABLE_HINT = (
    "check fenodes (a frontend's HTTP port, usually 8030) and that this machine may reach it; "
    "where the cluster is reachable only from the workers, pass validate=False and, for "
    'output="row", schema='
)


def check_read(
    context: ReadContext, request: ReadRequest, typed: Condition | None = None
) -> TableSchema:
    """Asks the frontend whether the table, the columns and the filter exist.

    Args:
        context: Where and how will be read.
        request: What will be read.
        typed: Its filter, where it is a typed one.

    Returns:
        The selected columns.

    Raises:
        ConfigError: everything that is wrong, at once.
        AuthError, ConnectError: the frontend refuses us, or cannot be reached.
    """
    try:
        return _checked(context, request, typed)
    except (ConnectError, DeadlineExceeded) as error:
        raise with_hint(error, UNREACHABLE_HINT) from error


def _checked(context: ReadContext, request: ReadRequest, typed: Condition | None) -> TableSchema:
    problems = Problems(SUBJECT)
    if request.query is not None or not request.table.is_internal:
        return _described(context, request, typed, problems)
    frontend = shared_client(Frontend, context.cluster())
    try:
        schema = frontend.schema(request.table)
    except (NotFoundError, QueryError) as error:
        # older servers tell the columns of views in no other way than by a statement
        if table_facts(frontend, request.table).is_view:
            return _described(context, request, typed, problems)
        problems.add(error.message)
        raise problems.error(request.table, error.hint) from error
    selected = problems.attempt(lambda: selected_schema(schema, request.columns))
    unfit = () if typed is None else condition_problems(typed, schema)
    problems.extend(unfit or _plan_problems(frontend, request, schema))
    problems.raise_if_any(request.table)
    assert selected is not None
    return selected


def _described(
    context: ReadContext, request: ReadRequest, typed: Condition | None, problems: Problems
) -> TableSchema:
    """What a statement over Flight tells of a view, an external table or a query."""
    planner = Planner(context)
    try:
        schema = planner.describe(request)
        if request.filter is not None and typed is None:
            planner.describe(request, filtered=True)
    except (NotFoundError, QueryError) as error:
        what = "query" if request.query is not None else "read"
        problems.add(f"the server refuses the {what}: {error.message}")
        raise problems.error(request.subject, error.hint) from error
    if typed is not None:
        problems.extend(condition_problems(typed, schema))
    problems.raise_if_any(request.subject)
    return schema


def _plan_problems(frontend: Frontend, request: ReadRequest, schema: TableSchema) -> list[str]:
    """Lets the server judge condition and partitions, by the very call that will plan the read."""
    if request.filter is None and request.partitions is None:
        return []
    try:
        tablet_plan(frontend, request, schema.names[:1])
    except (QueryError, NotFoundError) as error:
        named = [name for name in ("filter", "partitions") if getattr(request, name) is not None]
        return [f"the server refuses the {' or the '.join(named)}: {error.message}"]
    return []
