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
"""Which columns a read has."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pyarrow as pa

from beam_doris.errors import ConfigError
from beam_doris.options.table_id import TableId
from beam_doris.schema.arrow_types import columns_of
from beam_doris.schema.table_schema import TableSchema

_log = logging.getLogger(__name__)


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


def statement_schema(subject: TableId, arrow: pa.Schema) -> TableSchema:
    """The columns of a statement's rows, by the types in which they are sent.

    What Arrow does not tell is not known: a LARGEINT of an old server comes as text, and every
    column may be NULL.
    """
    return TableSchema(table=subject, columns=columns_of(arrow))
