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
"""What is to be read."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from beam_doris.beam_support.deferred import DeferredConnection, is_deferred, settled
from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions
from beam_doris.options.table_id import TableId
from beam_doris.schema.expressions import Condition
from beam_doris.schema.filters import Filter, filter_sql, typed_filter
from beam_doris.schema.table_schema import TableSchema

_READS = re.compile(r"[\s(]*(?:SELECT|WITH|VALUES)\b", re.IGNORECASE)
_QUERY = TableId("query", "result")


class Output(enum.Enum):
    """The elements that a read emits."""

    ROW = "row"
    """`beam.Row` with a schema."""
    DICT = "dict"
    TUPLE = "tuple"
    ARROW = "arrow"
    """`pyarrow.RecordBatch`, as the server sent them, normalized."""

    @staticmethod
    def parse(text: str | Output) -> Output:
        """Reads the name of an output form."""
        if isinstance(text, Output):
            return text
        for choice in Output:
            if choice.value == text:
                return choice
        known = ", ".join(repr(choice.value) for choice in Output)
        raise ConfigError(f"output {text!r} is not one of {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """One table, or the rows of one query.

    Any argument may be a value provider; then it is checked on the worker that reads.

    Args:
        table: `database.table` or `catalog.database.table`.
        query: A SELECT in Doris' SQL, instead of a table.
        columns: The columns, in order; None for all that can be read.
        filter: A condition, evaluated by the server: typed, such as `col("age") > 18`, or SQL.
        partitions: Names of partitions; None for all.
        limit: The most rows that come out, in all.

    Raises:
        ConfigError: the arguments contradict each other; all problems at once.

    Example:
        >>> ReadRequest(table="test.student", columns=["id"], limit=10).table
        TableId(database='test', table='student', catalog='internal')
    """

    table: Any = None
    query: Any = None
    columns: Any = None
    filter: Any = None
    partitions: Any = None
    limit: Any = None

    def __post_init__(self) -> None:
        problems = self._shape_problems()
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is None or is_deferred(value):
                continue
            try:
                object.__setattr__(self, name, check(settled(value)))
            except ConfigError as error:
                about = f"{name} " if name == "filter" else ""
                problems.extend(about + problem for problem in error.problems)
                if error.hint:
                    problems[-1] += f" ({error.hint})"
        if problems:
            raise ConfigError(problems, subject="ReadRequest")

    def _shape_problems(self) -> list[str]:
        if (self.table is None) == (self.query is None):
            return ["give either table= or query="]
        if self.query is None:
            return []
        return [
            f"{name}= belongs to a table; write it into the query"
            for name in ("columns", "filter", "partitions", "limit")
            if getattr(self, name) is not None
        ]

    @staticmethod
    def of(element: ReadRequest | Mapping[str, Any]) -> ReadRequest:
        """A request given as such or as a dict of its arguments.

        Raises:
            ConfigError: the element is neither, or is wrong.
        """
        if isinstance(element, ReadRequest):
            return element
        if not isinstance(element, Mapping):
            raise ConfigError(
                f"a {type(element).__name__} is no read request; give a dict or a ReadRequest",
                subject="ReadRequest",
            )
        known = [field.name for field in fields(ReadRequest)]
        unknown = [str(name) for name in element if name not in known]
        if unknown:
            raise ConfigError(
                [f"there is no {name!r} in a read request; it has {known}" for name in unknown],
                subject="ReadRequest",
            )
        return ReadRequest(**element)

    @property
    def is_deferred(self) -> bool:
        """Whether some argument is known only on a worker."""
        return any(is_deferred(getattr(self, field.name)) for field in fields(self))

    def settled(self) -> ReadRequest:
        """The same with every value provider's value; on a worker."""
        if not self.is_deferred:
            return self
        given = {field.name: settled(getattr(self, field.name)) for field in fields(self)}
        return ReadRequest(**given)

    @property
    def subject(self) -> TableId:
        """The table, or the name that stands for the rows of a query."""
        return self.table if isinstance(self.table, TableId) else _QUERY

    def __str__(self) -> str:
        if self.query is not None:
            return "a query"
        return "a table" if is_deferred(self.table) else str(self.table)


def _names(value: Sequence[str], what: str) -> tuple[str, ...]:
    if isinstance(value, str):
        raise ConfigError(f"{what} is a sequence of names, not one text")
    names = tuple(value)
    if not names:
        raise ConfigError(f"{what} is empty; leave it out to read all")
    wrong = [type(name).__name__ for name in names if not isinstance(name, str)]
    if wrong:
        raise ConfigError(f"{what} holds a {wrong[0]}, not a name")
    return names


def _limit(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError("limit is a positive int")
    return value


def _query(value: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError("query is a SELECT in Doris' SQL")
    text = value.strip().rstrip(";").rstrip()
    if not _READS.match(text):
        raise ConfigError("query is not a SELECT")
    return text


_CHECKS: dict[str, Any] = {
    "table": TableId.parse,
    "query": _query,
    "columns": lambda value: _names(value, "columns"),
    "filter": filter_sql,
    "partitions": lambda value: _names(value, "partitions"),
    "limit": _limit,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadContext:
    """Where and how requests are read.

    Args:
        connection: The cluster.
        options: Tuning.
        schema: The selected columns, where they are known; else asked for at run time.
    """

    connection: DorisConnection | DeferredConnection
    options: ReadOptions
    schema: TableSchema | None = None

    @property
    def is_deferred(self) -> bool:
        """Whether the cluster is known only on a worker."""
        return not isinstance(self.connection, DorisConnection)

    def cluster(self) -> DorisConnection:
        """The connection, with what the options say of it."""
        known = self.connection
        if not isinstance(known, DorisConnection):
            known = known.resolve()
        if self.options.flight_port is None:
            return known
        return replace(known, flight_port=self.options.flight_port)


def merged_request(request: ReadRequest, options: ReadOptions) -> ReadRequest:
    """The request with the columns and the filter that only the options name."""
    if request.query is not None:
        return request
    columns = request.columns if request.columns is not None else options.columns
    condition = request.filter if request.filter is not None else options.filter
    if (columns, condition) == (request.columns, request.filter):
        return request
    return replace(request, columns=columns, filter=condition)


def typed_condition(condition: Filter | object | None) -> Condition | None:
    """The condition, where it is a typed one."""
    if condition is None or is_deferred(condition):
        return None
    return typed_filter(condition)  # type: ignore[arg-type]
