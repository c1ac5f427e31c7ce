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
"""`DorisEnrichmentHandler`: Doris as a source of Beam's own `Enrichment` transform.

`EnrichFromDoris` does more and is faster: Beam's transform makes one request at a time, keeps
nothing in the process, and has no dead letters. The handler is for pipelines that use `Enrichment`
already. Unlike Beam's SQL handlers it loses neither elements without a match nor elements whose
key occurs twice in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any

import apache_beam as beam

from beam_doris.beam_support.checks import Problems
from beam_doris.errors import (
    ConnectError,
    DeadlineExceeded,
    DorisError,
    RowEncodingError,
    ServerBusy,
)
from beam_doris.lookup.building import Wanted, lookup_spec
from beam_doris.lookup.cache import Rows
from beam_doris.lookup.join import JoinRule, joined_fields
from beam_doris.lookup.service import LookupService, acquire, release
from beam_doris.lookup.spec import ClashRule, Join, Matches, OnClash
from beam_doris.options.connection import DorisConnection
from beam_doris.options.lookup import LookupOptions
from beam_doris.options.table_id import TableId
from beam_doris.schema.table_schema import TableSchema

try:
    from apache_beam.io.requestresponse import (
        UserCodeExecutionException,
        UserCodeQuotaException,
        UserCodeTimeoutException,
    )
    from apache_beam.transforms.enrichment import EnrichmentSourceHandler
except ImportError as missing:
    raise ImportError(
        "Beam's Enrichment needs google-api-core: pip install beam-doris[enrichment]"
    ) from missing

SUBJECT = "DorisEnrichmentHandler"
# Beam gives a request 30 s and cannot stop one that takes longer
_DEADLINE = timedelta(seconds=25)


class DorisEnrichmentHandler(EnrichmentSourceHandler[beam.Row, beam.Row]):
    """Looks elements up in a Doris table, for `apache_beam.transforms.enrichment.Enrichment`.

    Transient failures reach Beam as `UserCodeTimeoutException` and `UserCodeQuotaException`, which
    its repeater repeats; others as `UserCodeExecutionException`. The `DorisError` is the cause.

    Args:
        connection: The cluster and the credentials.
        table: `database.table`.
        query: A SELECT instead of a table.
        keys: Element field to column, or a list of names that are alike on both sides.
        columns: The columns to look up; None for all but the keys.
        join: `"left"` (no match: None in every column) or `"inner"` (no match: left out).
        matches: `"first"`, `"all"` or `"error"`; see `EnrichFromDoris`.
        on_clash: What the handler's join does when a column has the name of a field; see
            `EnrichFromDoris`.
        min_batch_size: The fewest elements of a request, where so many come together.
        max_batch_size: The most.
        max_batch_duration_secs: How long Beam waits for a batch; None for its default.
        options: Cache, threads, retries; `cache` is on as far as they say.
        schema: The table's columns, where the frontend cannot be asked now.
        validate: Ask the frontend now; without it `schema` is needed.

    Raises:
        ConfigError: wrong arguments, unknown table or columns; all at once.

    Example:
        >>> rows | Enrichment(DorisEnrichmentHandler(doris, table="shop.items", keys=["item_id"]))
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
        min_batch_size: int = 1,
        max_batch_size: int = 1000,
        max_batch_duration_secs: float | None = None,
        options: LookupOptions | None = None,
        schema: TableSchema | None = None,
        validate: bool = True,
    ) -> None:
        problems = Problems(SUBJECT)
        kind = problems.attempt(lambda: Join.parse(join)) or Join.LEFT
        clash = problems.attempt(lambda: OnClash.parse(on_clash)) or OnClash.parse("error")
        if not 1 <= min_batch_size <= max_batch_size:
            problems.add("min_batch_size and max_batch_size: 1 <= min <= max")
        wanted = Wanted(
            keys=keys,
            table=table,
            query=query,
            columns=columns,
            matches=matches,
            options=options,
            schema=schema,
            validate=validate,
        )
        spec = lookup_spec(problems, connection, wanted, clash.prefix)
        shorter = min(spec.options.deadline, _DEADLINE)
        self._spec = replace(spec, options=replace(spec.options, deadline=shorter))
        self._join = kind
        self._on_clash = clash
        self._service: LookupService | None = None
        self._batching: dict[str, Any] = {
            "min_batch_size": min_batch_size,
            "max_batch_size": max_batch_size,
        }
        if max_batch_duration_secs is not None:
            self._batching["max_batch_duration_secs"] = max_batch_duration_secs
        self.join_fn = _JoinFn(clash, self._spec.names)

    def __enter__(self) -> DorisEnrichmentHandler:
        self._service = acquire(self._spec)
        self._rule = JoinRule.of(self._spec, self._join, self._on_clash)
        self._form = self._spec.keys
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        service, self._service = self._service, None
        if service is not None:
            release(self._spec)

    def __call__(self, request: Any, *_: Any, **__: Any) -> Any:
        """The request with its row, or for a list the pairs of all of its requests.

        A single request without a match gets a row of None also in an inner join: Beam expects an
        answer to every single request. In a batch it is left out.
        """
        if not isinstance(request, list):
            pairs = self._pairs([request])
            return pairs[0] if pairs else (request, beam.Row(**self._rule.nothing))
        return self._pairs(request)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """How Beam makes batches; always, because only a batch can answer with less or more."""
        return self._batching

    def get_cache_key(self, request: Any) -> Any:
        """The key of a request as text; a list of them for a batch."""
        if isinstance(request, list):
            return [self.get_cache_key(each) for each in request]
        values = [_fields(request).get(name) for name in self._spec.fields]
        return f"{self._spec.table}:" + ";".join(map(repr, values))

    def _pairs(self, requests: Sequence[Any]) -> list[tuple[Any, beam.Row]]:
        if self._service is None:
            raise UserCodeExecutionException("the handler is used outside of `with`")
        try:
            keys = [self._key(request) for request in requests]
            distinct = dict.fromkeys(key for key in keys if key is not None)
            found = self._service.resolve(list(distinct)).result()
            pairs = []
            for request, key in zip(requests, keys, strict=True):
                rows: Rows = () if key is None else found[key]
                for row in self._rule.chosen(rows):
                    pairs.append((request, beam.Row(**self._rule.for_row(row))))
        except DorisError as error:
            raise _for_beam(error) from error
        return pairs

    def _key(self, request: Any) -> Any:
        fields = _fields(request)
        try:
            values = [fields[name] for name in self._spec.fields]
        except KeyError:
            raise RowEncodingError("the element lacks a field of its key") from None
        return self._form.canonical(values[0] if self._form.is_single else tuple(values))


class _JoinFn:
    """The join of `Enrichment`, by the rule for clashes."""

    def __init__(self, on_clash: OnClash, names: Sequence[str]) -> None:
        self._on_clash = on_clash
        self._names = names

    def __call__(self, left: dict[str, Any], right: dict[str, Any]) -> beam.Row:
        joined_fields(tuple(left), tuple(right), self._on_clash)
        if self._on_clash.rule is ClashRule.KEEP_LEFT:
            return beam.Row(**{**left, **{k: v for k, v in right.items() if k not in left}})
        return beam.Row(**{**left, **right})


def _fields(request: Any) -> Mapping[str, Any]:
    fields: Mapping[str, Any]
    if isinstance(request, Mapping):
        return request
    if isinstance(request, beam.Row):
        fields = request.as_dict()
        return fields
    if hasattr(request, "_asdict"):
        fields = request._asdict()
        return fields
    raise RowEncodingError(f"a {type(request).__name__} is not a row; give beam.Row elements")


def _for_beam(error: DorisError) -> UserCodeExecutionException:
    """Beam's class for an error; its repeater repeats timeouts and quotas only."""
    if isinstance(error, ServerBusy):
        return UserCodeQuotaException(str(error))
    if isinstance(error, (DeadlineExceeded, ConnectError)):
        return UserCodeTimeoutException(str(error))
    return UserCodeExecutionException(str(error))
