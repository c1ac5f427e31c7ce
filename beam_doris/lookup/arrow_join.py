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
"""Arrow batches and the rows they match made into one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from beam_doris.codec.column_arrays import column_array
from beam_doris.errors import RowEncodingError
from beam_doris.lookup.cache import Rows
from beam_doris.lookup.join import JoinRule, joined_fields
from beam_doris.lookup.keys import KeyForm
from beam_doris.lookup.spec import ClashRule
from beam_doris.schema.arrow_types import TYPE_KEY, arrow_type, doris_type_of
from beam_doris.schema.python_values import column_values
from beam_doris.schema.table_schema import TableSchema


@dataclass(frozen=True, slots=True)
class BatchKeys:
    """The keys of a batch.

    Args:
        keys: Canonical, one a row; None where nothing can match.
        refused: The rows whose key cannot be compared, with the reason.
    """

    keys: list[Any]
    refused: dict[int, RowEncodingError]


def batch_keys(batch: pa.RecordBatch, fields: Sequence[str], form: KeyForm) -> BatchKeys:
    """The keys of all rows of a batch.

    Raises:
        RowEncodingError: a field is missing.
    """
    columns = []
    for name in fields:
        position = batch.schema.get_field_index(name)
        if position < 0:
            raise RowEncodingError("is missing from the batch, or there twice", column=name)
        columns.append(_values(batch.column(position), batch.schema.field(position)))
    raws: Any = columns[0] if form.is_single else zip(*columns, strict=True)
    known: dict[Any, Any] = {}
    keys: list[Any] = []
    refused: dict[int, RowEncodingError] = {}
    for position, raw in enumerate(raws):
        try:
            if raw in known:
                keys.append(known[raw])
                continue
            known[raw] = key = form.canonical(raw)
            keys.append(key)
        except RowEncodingError as error:
            refused[position] = error
            keys.append(None)
        except TypeError:
            refused[position] = RowEncodingError("a list or a struct is no key")
            keys.append(None)
    return BatchKeys(keys, refused)


def _values(column: pa.Array, field: pa.Field) -> list[Any]:
    doris = doris_type_of(field)
    zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    if not zoned and column.type == arrow_type(doris):
        return column_values(column, doris)
    values: list[Any] = column.to_pylist()
    return values


class ArrowJoiner:
    """Batches; the output has the columns of both.

    Args:
        rule: How to join.
        columns: The looked up columns.
    """

    def __init__(self, rule: JoinRule, columns: TableSchema) -> None:
        self._rule = rule
        self._types = [column.type for column in columns.columns]

    def join(
        self, batch: pa.RecordBatch, keys: BatchKeys, found: Mapping[Any, Rows]
    ) -> tuple[pa.RecordBatch, dict[int, RowEncodingError]]:
        """The joined batch, and the rows that could not be joined.

        Raises:
            RowEncodingError: the batch has columns of the looked up names.
        """
        left: list[int] = []
        right: list[Mapping[str, Any]] = []
        refused = dict(keys.refused)
        nothing: Rows = ()
        for position, key in enumerate(keys.keys):
            if position in refused:
                continue
            try:
                rows = self._rule.chosen(nothing if key is None else found[key])
            except RowEncodingError as error:
                refused[position] = error
                continue
            left.extend([position] * len(rows))
            right.extend(rows)
        whole = len(left) == batch.num_rows and left == list(range(batch.num_rows))
        taken = batch if whole else batch.take(pa.array(left, pa.int64()))
        return self._put_together(taken, right), refused

    def _put_together(
        self, batch: pa.RecordBatch, rows: Sequence[Mapping[str, Any]]
    ) -> pa.RecordBatch:
        rule = self._rule.on_clash.rule
        both = [name for name in self._rule.names if name in batch.schema.names]
        if both and rule in (ClashRule.ERROR, ClashRule.PREFIX):
            raise self._rule.clash(both)
        joined_fields(batch.schema.names, self._rule.names, self._rule.on_clash)
        arrays = list(batch.columns)
        fields = list(batch.schema)
        for name, doris in zip(self._rule.names, self._types, strict=True):
            if name in both and rule is ClashRule.KEEP_LEFT:
                continue
            array = column_array([row[name] for row in rows], doris)
            field = pa.field(name, array.type, metadata={TYPE_KEY: doris.sql().encode()})
            if name in both:
                place = batch.schema.get_field_index(name)
                arrays[place], fields[place] = array, field
            else:
                arrays.append(array)
                fields.append(field)
        schema = pa.schema(fields, metadata=batch.schema.metadata)
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
