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
"""Small parts that every rewriting of an expression needs."""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from beam_doris.emulator.sql.convert import cast_sql
from beam_doris.emulator.sql.scope import type_of, typed
from beam_doris.emulator.types import DorisType, Kind

TEXT = DorisType(Kind.VARCHAR, length=65533)
BOOLEAN = DorisType(Kind.BOOLEAN)
BIGINT = DorisType(Kind.BIGINT)
INT = DorisType(Kind.INT)
DOUBLE = DorisType(Kind.DOUBLE)
DATE = DorisType(Kind.DATE)
DATETIME = DorisType(Kind.DATETIME)


def duck(node: Any) -> str:
    """The DuckDB text of a rewritten node."""
    return str(node.sql(dialect="duckdb", identify=True, unsupported_level=ErrorLevel.IGNORE))


def raw(text: str, kind: DorisType | None = None) -> Any:
    """A node that is written as this text."""
    return typed(exp.Var(this=text), kind)


def as_sql(node: Any, target: DorisType) -> str:
    """The DuckDB text of a node's value cast to a type."""
    return cast_sql(f"({duck(node)})", type_of(node), target)
