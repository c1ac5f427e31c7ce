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
"""Chunks into the staging table: conversion, checks, conditions, the count of what stayed out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.emulator.catalog import Column
from beam_doris.emulator.literals import default_sql, quote
from beam_doris.emulator.load.chunk import BadRow, Chunk
from beam_doris.emulator.load.convert import Mask, carrier, convert, valid_mask
from beam_doris.emulator.load.failure import LoadFailure
from beam_doris.emulator.load.plan import LoadPlan, Target
from beam_doris.emulator.load.quality import Quality
from beam_doris.emulator.storage import Stager
from beam_doris.emulator.types import DorisType, Kind

#: longest STRING that a backend takes (string_type_length_soft_limit_bytes)
STRING_LIMIT = 1_048_576
_SOURCE, _CHUNK = "load_source", "load_chunk"
_TINY = DorisType(Kind.TINYINT)


class ChunkLoader:
    """Loads the chunks of one body.

    Args:
        cursor: DuckDB cursor of this load.
        plan: what goes where.
        stager: takes the rows.
        quality: counts them.
        strict: whether a value that does not fit its column rejects the row.
        cut_text: whether over-long text is cut when not strict (P 13).
        now: the time for defaults.
    """

    def __init__(
        self,
        cursor: Any,
        plan: LoadPlan,
        stager: Stager,
        quality: Quality,
        *,
        strict: bool,
        cut_text: bool,
        now: Callable[[], float],
    ) -> None:
        self._cursor = cursor
        self._plan = plan
        self._stager = stager
        self._quality = quality
        self._strict = strict
        self._cut_text = cut_text
        self._now = now
        self._all = (*plan.targets, *([plan.sequence] if plan.sequence else []))
        self._computed = [target for target in self._all if target.computed]
        if plan.field_filter is not None:
            self._computed.append(plan.field_filter)
        self._compute_sql: str | None = None

    def load(self, chunk: Chunk) -> None:
        """Stage the good rows of a chunk."""
        self._quality.reject(chunk.bad)
        self._quality.total += chunk.rows + len(chunk.bad)
        if chunk.rows:
            self._load_rows(chunk)

    def _load_rows(self, chunk: Chunk) -> None:
        reasons: dict[int, str] = {}
        deletes = self._delete_signs(chunk)
        computed = self._compute(chunk)
        chosen = self._chosen(computed)
        arrays: dict[str, Any] = {}
        for target in self._all:
            if target.computed:
                raw, missing = computed[id(target)], None
            else:
                assert target.field is not None
                raw, missing = chunk.columns[target.field], chunk.missing.get(target.field)
            if missing is not None and self._left_to_store(target, missing):
                continue
            arrays[target.name] = self._column(target, raw, missing, reasons)
            self._check_null(target, arrays[target.name], deletes, reasons)
        table = self._table(chunk, arrays, deletes)
        good = chunk.rows
        if chosen is not None:
            reasons = {row: reason for row, reason in reasons.items() if chosen[row]}
            self._quality.unselected += int((~chosen).sum())
        if reasons or chosen is not None:
            keep = np.ones(chunk.rows, dtype=np.bool_) if chosen is None else chosen.copy()
            keep[list(reasons)] = False
            table = table.filter(pa.array(keep))
            good = int(keep.sum())
            self._quality.reject(BadRow(reasons[row], chunk.source(row)) for row in sorted(reasons))
        if good:
            self._append(chunk, table, list(arrays), good)

    def _compute(self, chunk: Chunk) -> dict[int, Any]:
        """Evaluate the expressions of the load over its raw fields."""
        if not self._computed:
            return {}
        source = pa.table(list(map(_as_text, chunk.columns)), names=list(self._plan.fields))
        self._cursor.register(_SOURCE, source)
        try:
            if self._compute_sql is None:
                self._compute_sql = self._prepare_compute()
            result = self._cursor.sql(self._compute_sql).to_arrow_table()
        except duckdb.Error as error:
            raise LoadFailure(f"evaluating the columns failed: {error}") from error
        finally:
            self._cursor.unregister(_SOURCE)
        return {
            id(target): _one_array(result.column(place))
            for place, target in enumerate(self._computed)
        }

    def _prepare_compute(self) -> str:
        items = [f"({target.sql}) AS e{place}" for place, target in enumerate(self._computed)]
        select = f"SELECT {', '.join(items)} FROM {_SOURCE}"
        described = self._cursor.execute(f"DESCRIBE {select}").fetchall()
        outer = []
        for name, kind, *_ in described:
            # Arrow can't carry 128-bit numbers; as text they stay exact
            wide = kind in ("HUGEINT", "UHUGEINT", "UBIGINT", "JSON")
            outer.append(f"CAST({name} AS VARCHAR) AS {name}" if wide else name)
        return f"SELECT {', '.join(outer)} FROM ({select})"

    def _chosen(self, computed: dict[int, Any]) -> Mask | None:
        """Which rows the filter over the fields lets through; None without one."""
        if self._plan.field_filter is None:
            return None
        chosen = computed[id(self._plan.field_filter)].cast(pa.bool_()).fill_null(False)
        mask: Mask = chosen.to_numpy(zero_copy_only=False)
        return mask

    def _left_to_store(self, target: Target, missing: Any) -> bool:
        """No row of the chunk mentions the column and the store fills it by itself."""
        column = target.column
        if column is None or not pc.all(missing).as_py():
            return False
        return column.auto_increment is not None

    def _column(self, target: Target, raw: Any, missing: Any, reasons: dict[int, str]) -> Any:
        done = convert(raw, target.type)
        array = done.array
        if done.bad is not None and self._strict and not target.computed:
            for row in np.flatnonzero(done.bad):
                reasons.setdefault(
                    int(row),
                    f"column({target.name}) value is incorrect while strict mode is true, "
                    f"src value is {raw[int(row)].as_py()}",
                )
        if missing is not None:
            array = self._with_default(target, array, missing, reasons)
        if target.type.kind in (Kind.CHAR, Kind.VARCHAR, Kind.STRING):
            array = self._check_length(target, array, reasons)
        return pc.negate(array) if target.negate else array

    def _check_null(
        self, target: Target, array: Any, deletes: Any, reasons: dict[int, str]
    ) -> None:
        key = target.column is not None and target.column.key
        if target.nullable or not array.null_count or (self._plan.delete_sql and not key):
            return
        null = ~valid_mask(array)
        if deletes is not None and not key:
            # a row that only deletes needs no values beside its key
            null &= ~deletes.to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(null):
            reasons.setdefault(
                int(row), f"column({target.name}) values is null while columns is not nullable"
            )

    def _with_default(
        self, target: Target, array: Any, missing: Any, reasons: dict[int, str]
    ) -> Any:
        column = target.column
        if column is None or column.default is None:
            if not target.nullable:
                for row in np.flatnonzero(missing.to_numpy(zero_copy_only=False)):
                    reasons.setdefault(
                        int(row),
                        f"The column `{target.name}` is not nullable, but it's not found in "
                        "jsondata.",
                    )
            return array
        return pc.if_else(missing, self._default(column), array)

    def _default(self, column: Column) -> Any:
        physical = column.type.physical()
        sql = default_sql(column, self._now())
        shown = f"CAST({sql} AS VARCHAR)" if "HUGEINT" in physical else sql
        value = self._cursor.sql(f"SELECT {shown} AS v").to_arrow_table().column(0)
        return _one_array(value).cast(carrier(column.type))[0]

    def _check_length(self, target: Target, array: Any, reasons: dict[int, str]) -> Any:
        limit = target.type.length or STRING_LIMIT
        lengths = pc.binary_length(array)
        longest = pc.max(lengths).as_py()
        if longest is None or longest <= limit:
            return array
        over: Mask = pc.greater(lengths, limit).fill_null(False).to_numpy(zero_copy_only=False)
        if self._cut_text and not self._strict and target.type.length:
            cells = [_cut(cell, limit) for cell in array.to_pylist()]
            return pa.array(cells, pa.string())
        for row in np.flatnonzero(over):
            text = array[int(row)].as_py()
            reasons.setdefault(
                int(row),
                f"column_name[{target.name}], the length of input is too long than vec schema. "
                f"first 32 bytes of input str: [{text[:32]}] schema length: {limit}; "
                f"limit length: {limit}; actual length: {len(text.encode())}; ",
            )
        return array

    def _delete_signs(self, chunk: Chunk) -> Any:
        if self._plan.delete_field is None:
            return None
        raw = chunk.columns[self._plan.delete_field]
        if pa.types.is_string(raw.type):
            raw = pc.if_else(pc.equal(pc.utf8_lower(raw), "true"), "1", raw)
            raw = pc.if_else(pc.equal(pc.utf8_lower(raw), "false"), "0", raw)
        signs = convert(raw, _TINY).array
        return pc.not_equal(signs, pa.scalar(0, signs.type)).fill_null(False)

    def _table(self, chunk: Chunk, arrays: dict[str, Any], deletes: Any) -> Any:
        columns = {f"t{place}": array for place, array in enumerate(arrays.values())}
        for place in self._plan.extras:
            columns[f"x{place}"] = _as_text(chunk.columns[place])
        if deletes is not None:
            columns["__del"] = deletes
        columns["__ord"] = pa.array(np.arange(chunk.rows, dtype=np.int64))
        return pa.table(columns)

    def _append(self, chunk: Chunk, table: Any, names: list[str], good: int) -> None:
        self._cursor.register(_CHUNK, table)
        try:
            result = self._stager.append(self._cursor, self._select(table, names))
        except duckdb.Error as error:
            raise LoadFailure(f"staging the rows failed: {error}") from error
        finally:
            self._cursor.unregister(_CHUNK)
        self._quality.loaded += result.loaded
        self._quality.unselected += good - result.loaded - len(result.rejected)
        self._quality.reject(
            BadRow(reason, chunk.source(ordinal)) for ordinal, reason in result.rejected
        )

    def _select(self, table: Any, names: list[str]) -> str:
        """The SELECT that the stager takes: columns of the table, in physical types."""
        plan = self._plan
        types = {target.name: target.type for target in self._all}
        inner = ["__ord"]
        outer = ["__ord"]
        for place, name in enumerate(names):
            alias = "__seq" if plan.sequence and name == plan.sequence.name else name
            inner.append(f"CAST(t{place} AS {types[name].physical()}) AS {quote(alias)}")
            outer.append(quote(alias))
        inner += [f"x{place} AS {quote(plan.fields[place])}" for place in plan.extras]
        if plan.delete_all:
            outer.append("TRUE AS __del")
        elif plan.delete_sql is not None:
            outer.append(f"COALESCE(CAST(({plan.delete_sql}) AS BOOLEAN), FALSE) AS __del")
        elif "__del" in table.column_names:
            inner.append("__del")
            outer.append("__del")
        select = f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {_CHUNK})"
        return select if plan.where_sql is None else f"{select} WHERE ({plan.where_sql})"


def _cut(text: str | None, limit: int) -> str | None:
    if text is None:
        return None
    raw = text.encode()
    return text if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore")


def _as_text(array: Any) -> Any:
    """A field as expressions see it: text, whatever the body's format."""
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_nested(array.type):
        cells = (
            None if cell is None else json.dumps(cell, default=str) for cell in array.to_pylist()
        )
        return pa.array(cells, pa.string())
    return array.cast(pa.string())


def _one_array(column: Any) -> Any:
    if isinstance(column, pa.ChunkedArray):
        combined = column.combine_chunks()
        return combined if not isinstance(combined, pa.ChunkedArray) else combined.chunk(0)
    return column
