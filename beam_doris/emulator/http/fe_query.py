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
"""SQL over HTTP (P 1.9)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from beam_doris.emulator.engine import Engine
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.http import auth, envelope
from beam_doris.emulator.http.message import BadRequest, Request, Response, text_response
from beam_doris.emulator.sql.executor import Session
from beam_doris.emulator.types import DorisType, Kind
from beam_doris.emulator.users import SELECT, User

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10000
_NUMBERS = {Kind.TINYINT, Kind.SMALLINT, Kind.INT, Kind.BIGINT}
_REALS = {Kind.FLOAT, Kind.DOUBLE, Kind.DECIMAL, Kind.DECIMALV2}


class QueryPages:
    """Runs statements in a session of their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def query(
        self,
        request: Request,
        user: User,
        namespace: str,
        database: str,
        json_body: Callable[[Request], Any],
    ) -> Response:
        """POST /api/query/{ns}/{db}."""
        if request.method != "POST":
            return envelope.not_found(f"{request.method} is not supported")
        try:
            body = json_body(request)
        except BadRequest as error:
            return envelope.bad_request(str(error))
        statement = body.get("stmt") if isinstance(body, dict) else None
        if not isinstance(statement, str) or not statement.strip():
            return envelope.bad_request("Missing statement request body")
        if body.get("is_sync") is False:
            return envelope.common_error("Not support async query execution")
        if namespace not in ("default_cluster", "internal"):
            return envelope.common_error(f"Unknown catalog '{namespace}'")
        limit = _limit(body.get("limit"))
        begin = time.monotonic()
        try:
            session = Session(self._engine, user, database)
            data = _run(session, statement, limit)
        except EmulatorError as error:
            return envelope.common_error(
                "Failed to execute sql: java.sql.SQLException: (conn=1) errCode = 2, "
                f"detailMessage = {error.message}"
            )
        data["time"] = int((time.monotonic() - begin) * 1000)
        return envelope.ok(data)

    def query_schema(self, request: Request, user: User, database: str) -> Response:
        """POST /api/query_schema/{ns}/{db}: CREATE TABLE texts of the tables a query names."""
        sql = request.body.read_all(1 << 20).decode("utf-8", "replace")
        if not user.may(SELECT, database):
            return envelope.unauthorized(auth.privilege_text(SELECT))
        words = sql.replace("`", " ").replace(",", " ").replace(".", " ").split()
        texts = []
        session = Session(self._engine, user, database)
        for table in self._engine.catalog.tables(database):
            if table.name in words:
                for row in session.execute(f"SHOW CREATE TABLE `{table.name}`").text_rows():
                    texts.append(str(row[1]))
        return text_response("\n\n".join(texts))


def _limit(value: Any) -> int:
    return min(value, MAX_LIMIT) if isinstance(value, int) and value > 0 else DEFAULT_LIMIT


def _run(session: Session, statement: str, limit: int) -> dict[str, Any]:
    result = session.execute(statement)
    if result.kind != "rows":
        return {"type": "exec_status", "status": {}, "time": 0}
    types = [column.type for column in result.columns]
    rows: list[list[Any]] = []
    for row in result.text_rows():
        if len(rows) >= limit:
            break
        rows.append([_cell(text, doris) for text, doris in zip(row, types, strict=True)])
    return {
        "type": "result_set",
        "meta": [
            {"name": column.name, "type": _type_name(column.type)} for column in result.columns
        ],
        "data": rows,
        "status": {},
        "time": 0,
    }


def _type_name(doris: DorisType) -> str:
    """Names as the driver behind this page gives them."""
    if doris.kind in (Kind.CHAR, Kind.VARCHAR, Kind.STRING):
        return "CHAR" if doris.kind is Kind.CHAR else "VARCHAR"
    return str(doris.kind.value)


def _cell(text: str | None, doris: DorisType) -> Any:
    """Numbers as JSON numbers, dates and all else as text (P 1.9)."""
    if text is None:
        return None
    if doris.kind in _NUMBERS:
        return int(text)
    if doris.kind is Kind.BOOLEAN:
        return text in ("1", "true")
    if doris.kind in _REALS:
        value = float(text)
        return value if value == value and abs(value) != float("inf") else text
    return text
