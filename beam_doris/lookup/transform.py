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
"""`EnrichFromDoris`: elements joined with the rows of a dimension table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions

from beam_doris.beam_support import coders as _coders  # noqa: F401  (registers the batch coder)
from beam_doris.beam_support.checks import Problems
from beam_doris.errors import ConfigError, TypeMappingError
from beam_doris.lookup.building import Wanted, lookup_spec
from beam_doris.lookup.enrich_fn import FAILED, EnrichEachWindowFn, EnrichFn, EnrichJob
from beam_doris.lookup.output_type import output_type
from beam_doris.lookup.result import EnrichResult, FailedLookup
from beam_doris.lookup.spec import Cache, Join, LookupSpec, Matches, OnClash, OnError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import TableSchema

SUBJECT = "EnrichFromDoris"
_ONE_WINDOW = (GlobalWindows, FixedWindows, Sessions)


class EnrichFromDoris(beam.PTransform):
    """Joins elements with the rows of a Doris table, by key.

    Every element keeps its window and timestamp. The order of the elements of a bundle is not
    kept: those that the cache knows overtake those that are being asked for.

    Elements are dict, NamedTuple, `beam.Row` or `pyarrow.RecordBatch`; the outputs are of the same
    kind, with the looked up columns after their own.

    Args:
        connection: The cluster and the credentials.
        table: `database.table`.
        query: A SELECT instead of a table.
        keys: Element field to column, such as `{"carrier": "code"}`; or a list of names that are
            alike on both sides.
        columns: The columns to look up; None for all but the keys.
        join: `"left"` (no match: None in every column) or `"inner"` (no match: left out).
        matches: `"first"` (by the order of the columns' values), `"all"` (one output for each
            row), or `"error"`.
        on_clash: What happens when a column has the name of a field: `"error"`, `"prefix:..."`
            (every column gets the prefix), `"keep_left"` or `"take_right"`.
        cache: `"lru"`, `"full"` or `"none"`; by default as the options say.
        on_error: `"fail"`, or `"dead_letter"`: elements that cannot be looked up leave through
            `failed_rows`, which you must then store.
        options: Cache, batches, threads, retries.
        schema: The table's columns, where the frontend cannot be asked now.
        validate: Ask the frontend now; without it `schema` is needed.

    Returns:
        The enriched PCollection; with `on_error="dead_letter"` an `EnrichResult`.

    Raises:
        ConfigError: wrong arguments, an unknown table or column, a name clash; all at once.
        AuthError: user or password are refused.
        ConnectError: no frontend can be reached.

    Example:
        >>> named = flights | EnrichFromDoris(
        ...     doris, table="nycflights.airlines", keys=["carrier"],
        ...     columns=["name"], on_clash="prefix:airline_")
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        keys: Mapping[str, str] | Sequence[str],
        table: str | TableId | None = None,
        query: str | None = None,
        columns: Sequence[str] | None = None,
        join: str | Join = Join.LEFT,
        matches: str | Matches = Matches.FIRST,
        on_clash: str | OnClash = "error",
        cache: str | Cache | None = None,
        on_error: str | OnError = OnError.FAIL,
        options: LookupOptions | None = None,
        schema: TableSchema | None = None,
        validate: bool = True,
    ) -> None:
        super().__init__()
        problems = Problems(SUBJECT)
        self._join = problems.attempt(lambda: Join.parse(join)) or Join.LEFT
        self._on_error = problems.attempt(lambda: OnError.parse(on_error)) or OnError.FAIL
        self._on_clash = problems.attempt(lambda: OnClash.parse(on_clash)) or OnClash.parse("error")
        wanted = Wanted(
            keys=keys,
            table=table,
            query=query,
            columns=columns,
            matches=matches,
            cache=cache,
            options=options,
            schema=schema,
            validate=validate,
        )
        self._spec = lookup_spec(problems, connection, wanted, self._on_clash.prefix)

    @property
    def spec(self) -> LookupSpec:
        """The checked lookup, as it travels to the workers."""
        return self._spec

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the looked up columns in the output."""
        return self._spec.names

    def expand(self, elements: pvalue.PCollection) -> pvalue.PCollection | EnrichResult:
        """One step."""
        try:
            out = output_type(elements.element_type, self._spec, self._on_clash)
        except TypeMappingError as error:
            raise ConfigError(error.message, subject=SUBJECT, hint=error.hint) from error
        except ConfigError as error:
            raise ConfigError(error.problems, subject=SUBJECT, hint=error.hint) from error
        job = EnrichJob(
            spec=self._spec,
            join=self._join,
            on_clash=self._on_clash,
            on_error=self._on_error,
            rows=out.rows,
        )
        simple = isinstance(elements.windowing.windowfn, _ONE_WINDOW)
        work = beam.ParDo(EnrichFn(job) if simple else EnrichEachWindowFn(job))
        if self._on_error is OnError.FAIL:
            return elements | "LookUp" >> work.with_output_types(out.hint)
        outputs = elements | "LookUp" >> work.with_outputs(FAILED, main="enriched")
        enriched, failed = outputs.enriched, outputs[FAILED]
        enriched.element_type = out.hint
        failed.element_type = FailedLookup
        return EnrichResult(enriched=enriched, failed_rows=failed)

    def display_data(self) -> dict[str, Any]:
        """What a runner's pages show; nothing of the credentials."""
        spec = self._spec
        return {
            "source": spec.table,
            "fenodes": ",".join(str(node) for node in spec.connection.frontends),
            "keys": ",".join(spec.fields),
            "columns": ",".join(spec.columns.names),
            "join": self._join.value,
            "matches": spec.matches.value,
            "cache": spec.cache.value,
            "on_error": self._on_error.value,
        }
