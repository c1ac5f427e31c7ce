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
"""Moments and days: what Doris' functions of time mean in DuckDB."""

from __future__ import annotations

import datetime
from typing import Any

from sqlglot import exp

from beam_doris.emulator.sql.convert import is_text, parse_sql
from beam_doris.emulator.sql.nodes import DATE, DATETIME, INT, TEXT, as_sql, duck, raw
from beam_doris.emulator.sql.scope import Scope, type_of
from beam_doris.emulator.types import DorisType, Kind

_DAYS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")


class TimeExpressions:
    """Rewrites functions of time; ``now`` is the moment of the statement."""

    def __init__(self, now: datetime.datetime) -> None:
        self._now = now.replace(tzinfo=None)

    def _moment(self, scale: int) -> Any:
        text = self._now.strftime("%Y-%m-%d %H:%M:%S.%f")
        text = text[: 20 + scale] if scale else text[:19]
        kind = DorisType(Kind.DATETIME, scale=scale)
        return raw(f"CAST('{text}' AS {kind.physical()})", kind)

    def now(self, node: Any, _scope: Scope) -> Any:
        argument = node.args.get("this")
        return self._moment(int(argument.name) if argument is not None else 0)

    def today(self, _node: Any, _scope: Scope) -> Any:
        return raw(f"DATE '{self._now:%Y-%m-%d}'", DATE)

    @staticmethod
    def _moved(kind: DorisType | None, unit: str) -> DorisType | None:
        if kind is None:
            return None
        if kind.kind is Kind.DATE and unit in _DAYS:
            return DATE
        if kind.kind is Kind.DATETIME:
            return kind
        return DATETIME if is_text(kind) or kind.kind is Kind.DATE else None

    def move(self, node: Any, _scope: Scope) -> Any:
        """date_add and date_sub: a DATE moved by whole days stays a DATE."""
        forward = (exp.DateAdd, exp.TsOrDsAdd, exp.TimestampAdd, exp.AddMonths)
        sign = "+" if isinstance(node, forward) else "-"
        unit = (
            "MONTH" if isinstance(node, exp.AddMonths) else str(node.text("unit") or "DAY").upper()
        )
        amount = node.expression
        if isinstance(amount, exp.Interval):
            unit = str(amount.text("unit") or unit).upper()
            amount = amount.this
        unit = unit.rstrip("S") if unit.endswith("S") else unit
        target = self._moved(type_of(node.this), unit) or DATETIME
        base = node.this
        if type_of(base) is not None and is_text(type_of(base) or TEXT):
            base = raw(parse_sql(f"({duck(base)})", target))
        sql = f"({duck(base)}) {sign} CAST({duck(amount)} AS BIGINT) * INTERVAL 1 {unit}"
        return raw(f"CAST(({sql}) AS {target.physical()})", target)

    def difference(self, node: Any, _scope: Scope) -> Any:
        left, right = (as_sql(item, DATE) for item in (node.this, node.expression))
        return raw(f"CAST(date_diff('day', {right}, {left}) AS INTEGER)", INT)

    def to_date(self, node: Any, _scope: Scope) -> Any:
        return raw(as_sql(node.this, DATE), DATE)

    def parsed_time(self, node: Any, _scope: Scope) -> Any:
        """str_to_date: a DATETIME when the format has a part of the day."""
        shape = node.args["format"]
        text = duck(shape)
        kind = DATETIME if any(mark in text for mark in ("%H", "%I", "%M", "%S", "%T")) else DATE
        moment = f"try_strptime({duck(node.this)}, {text})"
        return raw(f"CAST({moment} AS {kind.physical()})", kind)

    def truncated(self, node: Any, _scope: Scope) -> Any:
        kind = type_of(node.this)
        target = kind if kind is not None and kind.kind in (Kind.DATE, Kind.DATETIME) else DATETIME
        unit = str(node.text("unit")).lower()
        moment = as_sql(node.this, target)
        return raw(f"CAST(date_trunc('{unit}', {moment}) AS {target.physical()})", target)

    def extract(self, node: Any, _scope: Scope) -> Any:
        moment = as_sql(node.expression, DATETIME)
        return raw(f"CAST(date_part('{node.name.lower()}', {moment}) AS INTEGER)", INT)

    def shown_time(self, node: Any, _scope: Scope) -> Any:
        inner = node.this
        inner = inner.this if isinstance(inner, exp.TsOrDsToTimestamp) else inner
        moment = as_sql(inner, DorisType(Kind.DATETIME, scale=6))
        return raw(f"strftime(CAST({moment} AS TIMESTAMP), {duck(node.args['format'])})", TEXT)

    def from_unixtime(self, node: Any, _scope: Scope) -> Any:
        shape = node.args.get("format")
        if shape is None:
            return raw(f"doris_from_unixtime({duck(node.this)})", TEXT)
        moment = f"make_timestamp(CAST({duck(node.this)} AS BIGINT) * 1000000)"
        return raw(f"strftime({moment}, {self._shape(shape)})", TEXT)

    @staticmethod
    def _shape(node: Any) -> str:
        """The words of MySQL in a format, where DuckDB has others."""
        text = duck(node)
        for mine, other in (("%i", "%M"), ("%s", "%S"), ("%T", "%H:%M:%S")):
            text = text.replace(mine, other)
        return text

    def part(self, node: Any, _scope: Scope) -> Any:
        inner = node.this
        inner = inner.this if isinstance(inner, exp.TsOrDsToDate) else inner
        name = type(node).__name__.lower()
        return raw(f"CAST({name}({as_sql(inner, DATETIME)}) AS INTEGER)", INT)
