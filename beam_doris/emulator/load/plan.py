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
"""What a load does with its fields: which column gets which, and what is refused beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from beam_doris.emulator.catalog import DELETE_SIGN, SEQUENCE_COLUMN, Column, KeysModel, Table
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.load.coercion import unknown_name, with_numbers
from beam_doris.emulator.load.failure import frontend_failure
from beam_doris.emulator.load.request import LoadRequest
from beam_doris.emulator.types import DorisType, Kind

#: Doris expression and the types of its columns -> DuckDB SQL
Translate = Callable[[str, Mapping[str, DorisType]], str]
TEXT = DorisType(Kind.STRING)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One column of the table (or the hidden sequence) and where its values come from."""

    name: str
    type: DorisType
    field: int | None = None
    sql: str | None = None
    nullable: bool = True
    column: Column | None = None
    negate: bool = False

    @property
    def computed(self) -> bool:
        """Whether an expression gives the values; strict mode leaves those alone."""
        return self.sql is not None


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """The checked plan of a load.

    Attributes:
        table: the table as it is when the load begins.
        fields: names of the fields, in the order of the body.
        targets: columns that the load fills.
        sequence: the hidden sequence column, when the load fills it.
        delete_field: the field that carries the delete sign.
        delete_all: every row deletes its key.
        delete_sql: condition under which a row deletes its key.
        where_sql: condition that rows must meet.
        field_filter: condition over the fields, of loads by SQL.
        extras: fields that conditions may name although no column takes them.
    """

    table: Table
    fields: tuple[str, ...]
    targets: tuple[Target, ...]
    sequence: Target | None = None
    delete_field: int | None = None
    delete_all: bool = False
    delete_sql: str | None = None
    where_sql: str | None = None
    field_filter: Target | None = None
    extras: tuple[int, ...] = ()


def plan_load(
    request: LoadRequest, table: Table, translate: Translate, *, by_select: bool = False
) -> LoadPlan:
    """Check a request against its table.

    Args:
        request: the headers.
        table: where the rows go.
        translate: the SQL layer's expressions.
        by_select: whether the columns are those of a SELECT over the fields (loads by SQL): then
            a field reaches a column by an expression only, and ``where`` speaks of the fields.

    Raises:
        LoadFailure: in Doris' words.
    """
    _check_model(request, table)
    fields = _fields(request, table)
    lower = [name.lower() for name in fields]
    targets = _targets(request, table, () if by_select else fields, fields, translate)
    filled = {target.name.lower() for target in targets}
    _check_missing(request, table, filled)
    sequence = _sequence(request, table, targets, fields, translate)
    extras = tuple(place for place, name in enumerate(lower) if name not in filled)
    known: dict[str, DorisType] = {column.name: column.type for column in table.columns}
    with_extras = {**known, **{fields[place]: TEXT for place in extras}}
    unique = table.model is KeysModel.UNIQUE_KEYS
    sign = lower.index(DELETE_SIGN.lower()) if DELETE_SIGN.lower() in lower else None
    delete_sql = where_sql = field_filter = None
    if request.delete_condition:
        delete_sql = _condition(request.delete_condition, with_extras, translate, "delete on")
    elif unique:
        delete_sql = _computed_sign(request, with_extras, translate)
    if request.where and by_select:
        names = dict.fromkeys(fields, TEXT)
        sql = _condition(request.where, names, translate, "where")
        field_filter = Target(name="", type=DorisType(Kind.BOOLEAN), sql=sql)
    elif request.where:
        where_sql = _condition(request.where, known, translate, "where")
    return LoadPlan(
        table=table,
        fields=fields,
        targets=targets,
        # a mapped sequence travels under its column's own name
        sequence=sequence if table.sequence_column is None else None,
        delete_field=sign if unique else None,
        delete_all=request.merge_type == "DELETE",
        delete_sql=delete_sql,
        where_sql=where_sql,
        field_filter=field_filter,
        extras=extras if delete_sql else (),
    )


def _computed_sign(
    request: LoadRequest, types: Mapping[str, DorisType], translate: Translate
) -> str | None:
    """SQL of a delete sign that ``columns`` computes."""
    for name, text in request.columns.computed:
        if name.upper() == DELETE_SIGN:
            return _expression(text, types, translate, name)
    return None


def _check_model(request: LoadRequest, table: Table) -> None:
    if request.merge_type != "APPEND" and table.model is not KeysModel.UNIQUE_KEYS:
        raise frontend_failure("load by MERGE or DELETE is only supported in unique tables.")
    if request.partial and not table.merge_on_write:
        raise frontend_failure("Only unique key merge on write support partial update")
    for name in request.partitions:
        try:
            table.partition(name)
        except EmulatorError as error:
            raise frontend_failure(
                f"unknown partition, table={table.name}, partition={name}"
            ) from error


def _fields(request: LoadRequest, table: Table) -> tuple[str, ...]:
    listed = request.columns
    if listed.fields:
        return listed.fields
    # hidden_columns counts only when columns is absent (P 2.2, trap 18)
    hidden = () if listed.given else request.hidden_columns
    own = tuple(column.name for column in table.columns if column.generated is None)
    return (*own, *hidden)


def _targets(
    request: LoadRequest,
    table: Table,
    direct: tuple[str, ...],
    fields: tuple[str, ...],
    translate: Translate,
) -> tuple[Target, ...]:
    computed = {name.lower(): text for name, text in request.columns.computed}
    places: dict[str, int] = {}
    for place, name in enumerate(direct):
        if name.lower() in places:
            raise frontend_failure(f"Duplicate column: {name}")
        places[name.lower()] = place
    types = dict.fromkeys(fields, TEXT)
    targets = []
    for column in table.columns:
        key = column.name.lower()
        if key in computed:
            sql = _expression(computed[key], types, translate, column.name)
            targets.append(_target(request, column, sql=sql))
        elif key in places:
            if column.generated is not None:
                raise frontend_failure(
                    f"The value specified for generated column '{column.name}' in table "
                    f"'{table.name}' is not allowed."
                )
            if column.type.kind in (Kind.BITMAP, Kind.HLL):
                word = column.type.kind.value
                raise frontend_failure(
                    f"{word} column must use {word.lower()} function in stream load: column "
                    f"{column.name} require the function return type is {word}"
                )
            targets.append(_target(request, column, field=places[key]))
    known = {column.name.lower() for column in table.columns}
    for name, _ in request.columns.computed:
        if name.lower() not in known and name.upper() not in (SEQUENCE_COLUMN, DELETE_SIGN):
            raise frontend_failure(f"Column[{name}] not exist")
    return tuple(targets)


def _target(
    request: LoadRequest, column: Column, *, field: int | None = None, sql: str | None = None
) -> Target:
    if request.negative and column.aggregation == "SUM" and column.type.kind is Kind.LARGEINT:
        raise frontend_failure("the emulator can't load negative LARGEINT sums")
    free = column.auto_increment is not None or column.nullable
    # a row that only deletes needs no values beside its key (P 4.1)
    free = free or (request.merge_type == "DELETE" and not column.key)
    return Target(
        name=column.name,
        type=column.type,
        field=field,
        sql=sql,
        nullable=free,
        column=column,
        negate=request.negative and column.aggregation == "SUM",
    )


def _check_missing(request: LoadRequest, table: Table, filled: set[str]) -> None:
    for column in table.columns:
        if column.name.lower() in filled:
            continue
        if request.partial:
            if column.key and column.auto_increment is None:
                raise frontend_failure(
                    f"Partial update should include all key columns, missing: {column.name}"
                )
            continue
        given = (
            column.nullable
            or column.default is not None
            or column.auto_increment is not None
            or column.generated is not None
            or (request.merge_type == "DELETE" and not column.key)
        )
        if not given:
            raise frontend_failure(f"Column has no default value, column={column.name}")


def _sequence(
    request: LoadRequest,
    table: Table,
    targets: tuple[Target, ...],
    fields: tuple[str, ...],
    translate: Translate,
) -> Target | None:
    doris = table.sequence_type
    if doris is None:
        return None
    by_name = {target.name.lower(): target for target in targets}
    lower = [name.lower() for name in fields]
    wanted = request.sequence_column.lower() or SEQUENCE_COLUMN.lower()
    mapped = table.sequence_column
    if mapped is not None and wanted == SEQUENCE_COLUMN.lower():
        wanted = mapped.lower()
    computed = {name.lower(): text for name, text in request.columns.computed}
    if wanted in by_name:
        source = by_name[wanted]
        return Target(
            name=SEQUENCE_COLUMN, type=doris, field=source.field, sql=source.sql, nullable=True
        )
    if wanted in lower:
        return Target(name=SEQUENCE_COLUMN, type=doris, field=lower.index(wanted))
    if wanted in computed:
        types = dict.fromkeys(fields, TEXT)
        sql = _expression(computed[wanted], types, translate, wanted)
        return Target(name=SEQUENCE_COLUMN, type=doris, sql=sql)
    if request.sequence_column:
        raise frontend_failure(
            f"There is no sequence column in the table or in columns: {request.sequence_column}"
        )
    if request.partial or request.merge_type == "DELETE":
        return None
    column = None if mapped is None else table.column(mapped)
    if column is not None and (column.default or "").upper().startswith("CURRENT_TIMESTAMP"):
        return None
    raise frontend_failure(
        f"Table {table.name} has sequence column, need to specify the sequence column"
    )


def _expression(text: str, types: Mapping[str, DorisType], translate: Translate, name: str) -> str:
    with _frontend_words():
        unknown = unknown_name(text, types)
        if unknown is not None:
            raise EmulatorError(f"unknown reference column, column={name}, reference={unknown}")
        return translate(with_numbers(text, types), types)


def _condition(text: str, types: Mapping[str, DorisType], translate: Translate, where: str) -> str:
    with _frontend_words():
        unknown = unknown_name(text, types)
        if unknown is not None:
            raise EmulatorError(
                f"unknown column reference in {where} statement, reference={unknown}"
            )
        return translate(with_numbers(text, types), types)


@contextmanager
def _frontend_words() -> Iterator[None]:
    try:
        yield
    except EmulatorError as error:
        raise frontend_failure(error.message) from error
