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
"""An enrichment without a cluster: the DoFn is driven by hand, DuckDB answers its queries."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_doris.lookup import service as services
from beam_doris.lookup.cache import Rows
from beam_doris.lookup.enrich_fn import EnrichFn, EnrichJob
from beam_doris.lookup.grouping import grouped
from beam_doris.lookup.query import select
from beam_doris.lookup.service import LookupService
from beam_doris.lookup.spec import Cache, Join, LookupSpec, Matches, OnClash, OnError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import Column, TableSchema
from beam_doris.schema.types import parse_type

TABLE = TableId("main", "dim")


def columns_of(types: dict[str, str]) -> tuple[Column, ...]:
    """Columns by name and type."""
    return tuple(Column(name=name, type=parse_type(text)) for name, text in types.items())


def spec_of(keys: dict[str, str], values: dict[str, str], **changes: Any) -> LookupSpec:
    """A lookup in `main.dim` by the key columns, which the elements' fields are named like."""
    arguments: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "connection": DorisConnection(fenodes="127.0.0.1:1", username="root", password=""),
        "source": TABLE,
        "fields": tuple(f"f_{name}" for name in keys),
        "key_columns": columns_of(keys),
        "columns": TableSchema(table=TABLE, columns=columns_of(values)),
        "matches": Matches.ALL,
        "cache": Cache.LRU,
        "options": LookupOptions(parallel=False),
    }
    return LookupSpec(**{**arguments, **changes})


@dataclasses.dataclass
class DuckSource:
    """Answers the queries that the connector builds; DuckDB's SQL is near enough to Doris'."""

    spec: LookupSpec
    database: Any
    queries: list[Sequence[Any]] = dataclasses.field(default_factory=list)

    def fetch(self, keys: Sequence[Any]) -> dict[Any, Rows]:
        self.queries.append(keys)
        names = [column.name for column in self.spec.selected]
        statement = select(self.spec.source, names, keys, self.spec.keys)
        # DuckDB has other quotes and other escapes than Doris
        sql = (statement.sql % (("?",) * len(statement.parameters))).replace("`", '"')
        with self.database.cursor() as cursor:
            found = grouped(self.spec, cursor.execute(sql, statement.parameters).fetchall())
        return {key: found.get(key, ()) for key in keys}

    def by_flight(self, keys: int) -> bool:
        return False

    def close(self) -> None:
        pass


def enrich(
    spec: LookupSpec,
    source: Any,
    elements: Iterable[Any],
    *,
    join: Join = Join.LEFT,
    on_clash: str = "error",
    on_error: OnError = OnError.FAIL,
    rows: bool = False,
) -> tuple[list[Any], list[Any]]:
    """All outputs of one bundle, and the failed ones."""
    services.lend(spec, LookupService(spec, source))
    job = EnrichJob(spec, join, OnClash.parse(on_clash), on_error, rows)
    step = EnrichFn(job)
    step.setup()
    good: list[Any] = []
    bad: list[Any] = []
    try:
        step.start_bundle()
        for number, element in enumerate(elements):
            windowed = WindowedValue(element, Timestamp(number), (GlobalWindow(),))
            sort_out(step.process(element, windowed), good, bad)
        sort_out(step.finish_bundle(), good, bad)
    finally:
        step.teardown()
        services.drop_services()
    return good, bad


def sort_out(outputs: Iterable[Any], good: list[Any], bad: list[Any]) -> None:
    """Puts outputs, without their windows, where they belong."""
    for output in outputs:
        into = good
        if isinstance(output, pvalue.TaggedOutput):
            into, output = bad, output.value
        into.append(output.value if isinstance(output, WindowedValue) else output)


def database() -> Any:
    """An empty DuckDB."""
    return duckdb.connect(":memory:")
