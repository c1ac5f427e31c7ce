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
"""Makes a lookup of what a user gave, or says everything that is wrong with it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beam_doris.beam_support.checks import Problems
from beam_doris.lookup.checking import (
    cache_problems,
    fetch_schema,
    key_columns,
    looked_up,
    parse_keys,
    parse_source,
)
from beam_doris.lookup.spec import Cache, LookupSpec, Matches
from beam_doris.options.connection import DorisConnection
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import TableSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked up, as the user said it; see `EnrichFromDoris`."""

    keys: Mapping[str, str] | Sequence[str]
    table: str | TableId | None = None
    query: str | None = None
    columns: Sequence[str] | None = None
    matches: str | Matches = Matches.FIRST
    cache: str | Cache | None = None
    options: LookupOptions | None = None
    schema: TableSchema | None = None
    validate: bool = True


def lookup_spec(
    problems: Problems, connection: DorisConnection, wanted: Wanted, prefix: str = ""
) -> LookupSpec:
    """The checked lookup.

    Args:
        problems: What is known to be wrong already; all of it is raised together.
        connection: The cluster.
        wanted: The user's words.
        prefix: What stands before the names of the columns in the output.

    Raises:
        ConfigError: something is wrong.
        AuthError, ConnectError: the frontend refuses us, or cannot be reached.
    """
    if not isinstance(connection, DorisConnection):
        problems.add("connection is a DorisConnection(...)")
    source = problems.attempt(lambda: parse_source(wanted.table, wanted.query))
    keys = problems.attempt(lambda: parse_keys(wanted.keys))
    matches = problems.attempt(lambda: Matches.parse(wanted.matches))
    given = wanted.cache
    named = None if given is None else problems.attempt(lambda: Cache.parse(given))
    options = wanted.options if wanted.options is not None else LookupOptions()
    if not isinstance(options, LookupOptions):
        problems.add("options is a LookupOptions(...)")
        options = LookupOptions()
    cache, contradictions = cache_problems(named, options)
    problems.extend(contradictions)
    if wanted.schema is None and not wanted.validate:
        problems.add("validate=False needs schema=, the columns of the table")
    problems.raise_if_any()
    assert source is not None
    assert keys is not None
    assert matches is not None
    schema = wanted.schema
    if schema is None:
        schema = problems.attempt(lambda: fetch_schema(connection, source))
        problems.raise_if_any(str(source) if isinstance(source, TableId) else None)
        assert schema is not None
    compared = key_columns(schema, keys, problems)
    columns = problems.attempt(lambda: looked_up(schema, wanted.columns, keys))
    problems.raise_if_any(schema.table)
    assert columns is not None
    return LookupSpec(
        id=uuid.uuid4().hex,
        connection=connection,
        source=source,
        fields=tuple(keys),
        key_columns=compared,
        columns=columns,
        matches=matches,
        cache=cache,
        options=options,
        prefix=prefix,
    )
