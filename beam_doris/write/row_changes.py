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
"""What kind of change a row is: the values of a change type, and what they become.

| value | kind | what is loaded |
|---|---|---|
| `INSERT`, `+I`, `I`, `c`, `create`, `r`, `read`, `upsert` | insert | the row |
| `UPDATE_AFTER`, `+U`, `U`, `update` | after an update | the row |
| `UPDATE_BEFORE`, `-U` | before an update | nothing, or a delete with `ignore_update_before=False` |
| `DELETE`, `-D`, `D`, `remove` | delete | the row with the delete sign |

Case does not matter.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beam_doris.errors import RowEncodingError
from beam_doris.options.writing import GroupCommit, WriteOptions
from beam_doris.schema.table_schema import DELETE_SIGN, Column, TableModel, TableSchema
from beam_doris.schema.types import DorisType, Kind

# The source column of a sequence that a callable computes; the table has none of that name.
SEQUENCE_SOURCE = "beam_doris_sequence"
_SEQUENCE_HEADER = "function_column.sequence_col"


class RowKind(enum.Enum):
    """The kinds of a changelog."""

    INSERT = "INSERT"
    UPDATE_BEFORE = "UPDATE_BEFORE"
    UPDATE_AFTER = "UPDATE_AFTER"
    DELETE = "DELETE"

    @staticmethod
    def parse(value: object) -> RowKind:
        """Reads a change type.

        Raises:
            RowEncodingError: it is none; the value itself is not quoted.
        """
        if isinstance(value, RowKind):
            return value
        found = _KINDS.get(value.lower()) if isinstance(value, str) else None
        if found is None:
            raise RowEncodingError(f"the change type is not one of {', '.join(_KINDS)}")
        return found


_KINDS: Mapping[str, RowKind] = {
    **dict.fromkeys(("insert", "+i", "i", "c", "create", "r", "read", "upsert"), RowKind.INSERT),
    **dict.fromkeys(("update_after", "+u", "u", "update"), RowKind.UPDATE_AFTER),
    **dict.fromkeys(("update_before", "-u"), RowKind.UPDATE_BEFORE),
    **dict.fromkeys(("delete", "-d", "d", "remove"), RowKind.DELETE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChanges:
    """How rows change the table.

    Args:
        change_type: The field that tells the kind of a change, or what computes it from an
            element. None: every row is an upsert.
        sequence: The field whose highest value wins among rows of equal keys, or what computes
            it.
        partial_columns: Columns that a row does not carry keep their values.
    """

    change_type: str | Callable[[Any], Any] | None = None
    sequence: str | Callable[[Any], Any] | None = None
    partial_columns: bool = False

    @property
    def maps_rows(self) -> bool:
        """Whether elements are not loaded as they are."""
        return self.change_type is not None or callable(self.sequence)

    def problems(self, options: WriteOptions) -> list[str]:
        """What contradicts itself, whatever the table is."""
        found = []
        for name in ("change_type", "sequence"):
            value = getattr(self, name)
            if value is not None and not callable(value) and not (isinstance(value, str) and value):
                found.append(f"{name} is the name of a field, or a callable")
        if self.change_type is not None and not options.enable_delete:
            found.append("change_type contradicts enable_delete=False")
        if self.partial_columns and isinstance(options.mode, GroupCommit):
            found.append("partial_columns: the server groups no partial updates; use another mode")
        return found

    def table_problems(self, schema: TableSchema) -> list[str]:
        """What the table cannot do."""
        problems: list[str] = []
        unique = schema.model in (TableModel.UNIQUE, TableModel.UNKNOWN)
        model = schema.model.name
        if self.change_type is not None and not unique:
            problems.append(f"change_type needs a UNIQUE KEY table; {schema.table} is {model}")
        if self.partial_columns and not unique:
            problems.append(f"partial_columns needs a UNIQUE KEY table; {schema.table} is {model}")
        elif self.partial_columns and schema.merge_on_write is False:
            problems.append(
                f"partial_columns needs merge-on-write; {schema.table} was created with "
                "enable_unique_key_merge_on_write = false"
            )
        if self.sequence is not None:
            problems.extend(_sequence_problems(self.sequence, schema))
        return problems


def _sequence_problems(sequence: str | Callable[[Any], Any], schema: TableSchema) -> list[str]:
    if not schema.properties:
        return []
    mapped = schema.sequence_column
    if mapped is None and schema.sequence_type is None:
        return [
            f"sequence: {schema.table} has no sequence column; it is created with the property "
            "function_column.sequence_col or function_column.sequence_type"
        ]
    if mapped is not None and isinstance(sequence, str) and sequence.lower() != mapped.lower():
        return [f"sequence: {schema.table} takes it from its column {mapped!r}, not {sequence!r}"]
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """Row changes for one table.

    Args:
        changes: What is asked for.
        keep_type: The change type is a column of the table too.
        sequence_name: What the sequence is carried as; None without.
        extra: Columns that loads carry and the table does not have.
        ignore_update_before: Images before an update are dropped.
        left_out: Fields that are not written: the table's name is made of them.
    """

    changes: RowChanges
    keep_type: bool
    sequence_name: str | None
    extra: Mapping[str, Column]
    ignore_update_before: bool
    left_out: frozenset[str] = frozenset()

    @staticmethod
    def of(
        changes: RowChanges,
        options: WriteOptions,
        schema: TableSchema,
        route_fields: Sequence[str] = (),
    ) -> ChangePlan:
        """The plan for a table that was checked.

        Args:
            changes: What is asked for.
            options: Of the write.
            schema: The table.
            route_fields: What the table's name is made of; where the table has no such column,
                it is not written.
        """
        mapped = any(name.lower() == "columns" for name in options.load_properties)
        left_out = [name for name in route_fields if schema.find(name) is None and not mapped]
        extra: dict[str, Column] = {}
        name: str | None = None
        if changes.sequence is not None:
            name = changes.sequence if isinstance(changes.sequence, str) else None
            if schema.sequence_column is not None:
                name = schema.sequence_column
            elif name is None:
                name = SEQUENCE_SOURCE
            if schema.find(name) is None:
                doris = schema.sequence_type or DorisType(Kind.UNKNOWN, detail=name)
                extra[name] = Column(name=name, type=doris)
        if changes.change_type is not None:
            extra[DELETE_SIGN] = Column(
                name=DELETE_SIGN, type=DorisType(Kind.TINYINT), nullable=False
            )
        field = changes.change_type
        return ChangePlan(
            changes=changes,
            keep_type=isinstance(field, str) and schema.find(field) is not None,
            sequence_name=name,
            extra=extra,
            ignore_update_before=options.ignore_update_before,
            left_out=frozenset(left_out),
        )

    @property
    def maps_rows(self) -> bool:
        """Whether elements are not loaded as they are."""
        return self.changes.maps_rows or bool(self.left_out)

    def headers(self, schema: TableSchema) -> dict[str, str]:
        """The stream-load headers that go with it."""
        headers = {}
        if self.changes.partial_columns:
            headers["partial_columns"] = "true"
        if self.sequence_name is not None and schema.sequence_column is None:
            headers[_SEQUENCE_HEADER] = self.sequence_name
        return headers

    def columns(self, declared: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """The declared columns of an element, after `apply`."""
        if declared is None:
            return None
        drop = None if self.keep_type else self.changes.change_type
        names = [name for name in declared if name != drop and name not in self.left_out]
        return (*names, *(name for name in self._added() if name not in names))

    def _added(self) -> list[str]:
        added = [] if self.changes.change_type is None else [DELETE_SIGN]
        if callable(self.changes.sequence) and self.sequence_name is not None:
            added.append(self.sequence_name)
        return added

    def apply(self, element: Any, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """One row as it is loaded; None when it is to be dropped.

        Raises:
            RowEncodingError: it has no change type, or an unknown one.
        """
        made = dict(row)
        for name in self.left_out:
            made.pop(name, None)
        field = self.changes.change_type
        if field is not None:
            if callable(field):
                value = field(element)
            elif field not in made:
                raise RowEncodingError(f"the element has no field {field!r}, its change type")
            else:
                value = made[field] if self.keep_type else made.pop(field)
            kind = RowKind.parse(value)
            if kind is RowKind.UPDATE_BEFORE and self.ignore_update_before:
                return None
            made[DELETE_SIGN] = int(kind in (RowKind.DELETE, RowKind.UPDATE_BEFORE))
        if callable(self.changes.sequence):
            assert self.sequence_name is not None
            made[self.sequence_name] = self.changes.sequence(element)
        return made

    def apply_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch as they are loaded, by column.

        Raises:
            RowEncodingError: a change type is missing or unknown, or computed by a callable,
                which is for single rows.
        """
        field = self.changes.change_type
        if callable(field) or callable(self.changes.sequence):
            raise RowEncodingError(
                "a callable change_type or sequence is for single rows, not for Arrow batches; "
                "name a column"
            )
        if field is None:
            return batch
        position = batch.schema.get_field_index(field)
        if position < 0:
            raise RowEncodingError(f"the batch has no column {field!r}, its change type")
        kinds = batch.column(position).cast(pa.string()).dictionary_encode()
        # a change type that is unknown or NULL is refused even if no row has it any more
        known = [RowKind.parse(value) for value in kinds.dictionary.to_pylist()]
        if kinds.null_count:
            RowKind.parse(None)
        signs = [int(kind in (RowKind.DELETE, RowKind.UPDATE_BEFORE)) for kind in known]
        kept = [
            kind is not RowKind.UPDATE_BEFORE or not self.ignore_update_before for kind in known
        ]
        sign = pc.take(pa.array(signs, pa.int8()), kinds.indices)
        made = batch if self.keep_type else batch.drop_columns([field])
        made = made.append_column(DELETE_SIGN, sign)
        return made if all(kept) else made.filter(pc.take(pa.array(kept), kinds.indices))
