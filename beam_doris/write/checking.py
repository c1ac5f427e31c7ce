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
"""Finds what is wrong with a write when the pipeline is built."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from beam_doris.beam_support.checks import Problems, with_hint
from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.frontend import Frontend
from beam_doris.errors import ConfigError, ConnectError, DeadlineExceeded
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.schema.table_schema import TableSchema
from beam_doris.write.elements import Form, Hint, hint_of
from beam_doris.write.encoding import contradictions
from beam_doris.write.job import WriteJob
from beam_doris.write.row_changes import ChangePlan

SUBJECT = "WriteToDoris"
UNREACHABLE_HINT = (
    "check fenodes (a frontend's HTTP port, usually 8030) and that this machine may reach it; "
    "where the cluster is reachable only from the workers, pass validate=False: the table is "
    "then checked when the pipeline runs"
)

_LABEL_CHARACTERS = re.compile(r"[-_A-Za-z0-9:]+")
_MAX_PREFIX = 60
_MAX_RUN_ID = 24
_RUN_ID = re.compile(r"[-A-Za-z0-9:]{1,24}")


def label_prefix_problems(prefix: object) -> list[str]:
    """What is wrong with a label prefix."""
    if not isinstance(prefix, str) or not prefix:
        return ["label_prefix is missing: name the job, such as 'nightly-orders'"]
    problems = []
    if not _LABEL_CHARACTERS.fullmatch(prefix):
        problems.append(
            f"label_prefix {prefix!r} holds other characters than letters, digits, '-', '_', ':'"
        )
    if len(prefix) > _MAX_PREFIX:
        problems.append(
            f"label_prefix has {len(prefix)} characters; {_MAX_PREFIX} leave room for the rest "
            "of a label"
        )
    return problems


def run_id_problems(run_id: object) -> list[str]:
    """What is wrong with a run id that the user gives."""
    if run_id is None or (isinstance(run_id, str) and _RUN_ID.fullmatch(run_id)):
        return []
    return [
        f"run_id {run_id!r} is not 1 to {_MAX_RUN_ID} letters, digits, '-' or ':'; give the id "
        "of the run that is to be repeated"
    ]


def table_problems(table: TableId | None) -> list[str]:
    """What is wrong with the table's name."""
    if table is None or table.is_internal:
        return []
    return [f"{table} is in catalog {table.catalog!r}; loads go to the internal catalog only"]


def fetch_schema(connection: DorisConnection, table: TableId) -> TableSchema:
    """The table as the frontend describes it now.

    Raises:
        ConfigError: there is no such database or table.
        AuthError, ConnectError: the frontend refuses us, or cannot be reached.
    """
    problems = Problems(SUBJECT)
    try:
        schema = problems.attempt(lambda: shared_client(Frontend, connection).schema(table))
    except (ConnectError, DeadlineExceeded) as error:
        raise with_hint(error, UNREACHABLE_HINT) from error
    problems.raise_if_any(table)
    assert schema is not None
    return schema


def check_elements(job: WriteJob, element_type: object) -> Hint:
    """Checks the type of the elements against the job and the table.

    Raises:
        ConfigError: everything that is wrong, at once.
    """
    if job.destinations is not None:
        return Hint()  # each table has columns of its own
    problems = Problems(SUBJECT)
    hint = problems.attempt(lambda: hint_of(element_type)) or Hint()
    options = job.options
    if hint.form is Form.TUPLE and job.columns is None:
        problems.add("tuples have no field names: pass columns= with the columns they carry")
    if hint.arity is not None and job.columns is not None and hint.arity != len(job.columns):
        problems.add(f"tuples of {hint.arity} for {len(job.columns)} columns")
    if hint.form is Form.LINE and options.load_format is LoadFormat.ARROW:
        problems.add("raw lines cannot be sent as Arrow; use load_format CSV or JSON")
    if hint.fields is not None and job.columns is not None:
        missing = [name for name in job.columns if name not in hint.fields]
        if missing:
            problems.add(f"the elements have no fields {missing} that columns= names")
    if hint.form not in (None, Form.LINE):
        problems.extend(contradictions(options))
    names = job.columns if job.columns is not None else hint.fields
    if names is not None:
        problems.extend(_missing_fields(job, names))
    if names is not None and job.schema is not None and "columns" not in _expressions(options):
        plan = ChangePlan.of(job.changes, options, job.schema)
        carried = [name for name in plan.columns(tuple(names)) or () if name not in plan.extra]
        problems.extend(job.schema.write_problems(carried, partial_update=job.is_partial))
    problems.raise_if_any(job.table)
    return hint


def _missing_fields(job: WriteJob, names: Sequence[str]) -> list[str]:
    """Fields that row changes need and the elements do not have."""
    return [
        f"{what} names the field {field!r}, which the elements do not carry"
        for what, field in (
            ("change_type", job.changes.change_type),
            ("sequence", job.changes.sequence),
        )
        if isinstance(field, str) and field not in names
    ]


def check_changes(job: WriteJob, schema: TableSchema) -> None:
    """Checks the row changes against the table.

    Raises:
        ConfigError: the table cannot be changed so.
    """
    problems = Problems(SUBJECT)
    problems.extend(replace(job.changes, partial_columns=job.is_partial).table_problems(schema))
    problems.raise_if_any(job.table)


def _expressions(options: WriteOptions) -> set[str]:
    return {name.lower() for name in options.load_properties}


__all__ = [
    "SUBJECT",
    "ConfigError",
    "check_changes",
    "check_elements",
    "fetch_schema",
    "label_prefix_problems",
    "run_id_problems",
    "table_problems",
]
