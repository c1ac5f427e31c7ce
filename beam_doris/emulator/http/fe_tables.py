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
"""Pages about one table: schema, plan, count, schema change; and load states (P 1.4, 1.5, 1.10)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from beam_doris.emulator.catalog import Column, KeysModel, Table
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.http import auth, envelope
from beam_doris.emulator.http.message import Request, Response
from beam_doris.emulator.query_plan import Planner, PlanRefused
from beam_doris.emulator.types import Kind
from beam_doris.emulator.users import LOAD, SELECT, User

TablePage = Callable[[Request, User, str, str], Response]
_BODY_LIMIT = 16 << 20


class TablePages:
    """Pages below /api/{db}/{table}."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._planner = Planner(engine)

    def page(self, name: str) -> TablePage | None:
        """The page of a path's last part."""
        return {
            "_schema": self._schema,
            "_query_plan": self._query_plan,
            "_count": self._count,
        }.get(name)

    def _table(self, user: User, database: str, name: str) -> Table:
        if not user.may(SELECT, database, name):
            raise auth.AuthFailed(auth.privilege_text(SELECT))
        return self._engine.catalog.table(database, name)

    def _schema(self, _request: Request, user: User, database: str, name: str) -> Response:
        table = self._table(user, database, name)
        details = self._engine.profile.http.schema_has_type_details
        properties = [self._property(table, column, details) for column in table.columns]
        return envelope.ok({"status": 200, "keysType": table.model.value, "properties": properties})

    def _property(self, table: Table, column: Column, details: bool) -> dict[str, Any]:
        doris = column.type
        primitive = doris.primitive()
        if primitive == "JSON":
            primitive = self._engine.profile.json_type_name
        out: dict[str, Any] = {
            "name": column.name,
            "type": primitive,
            "comment": column.comment,
            "aggregation_type": _aggregation(table, column),
        }
        if doris.kind in (Kind.DECIMAL, Kind.DECIMALV2):
            # texts, as every value of the older form is (P 1.4)
            out["precision"] = str(doris.precision)
            out["scale"] = str(doris.scale)
        if details:
            out["type_sql"] = doris.shown()
            out["is_nullable"] = "Yes" if column.nullable else "No"
            out["is_key"] = "Yes" if column.key else "No"
        return out

    def _count(self, _request: Request, user: User, database: str, name: str) -> Response:
        table = self._table(user, database, name)
        return envelope.ok({"status": 200, "size": self._engine.storage.row_count(table)})

    def _query_plan(self, request: Request, user: User, database: str, name: str) -> Response:
        sql = _sql_of(request)
        if isinstance(sql, Response):
            return sql
        table = self._table(user, database, name)
        try:
            return envelope.ok(self._planner.plan(sql, table))
        except PlanRefused as refusal:
            # refusals stand inside of data, the outer code is 0 (P 1.5)
            return envelope.ok({"status": refusal.status, "exception": str(refusal)})
        except EmulatorError as error:
            text = f"errCode = 2, detailMessage = {error.message}"
            return envelope.ok({"status": "1", "exception": text})

    def light_schema_change(
        self,
        request: Request,
        user: User,
        database: str,
        name: str,
        json_body: Callable[[Request], Any],
    ) -> Response:
        """Whether a column can be added or dropped at once (P 8.4)."""
        body = json_body(request)
        table = self._table(user, database, name)
        if not isinstance(body, dict):
            return envelope.bad_request("malformed json: the body must be an object")
        if table.properties.get("light_schema_change", "true").lower() != "true":
            return envelope.common_error(f"table {name} disable light schema change")
        column_name = str(body.get("columnName", ""))
        drops = str(body.get("isDropColumn", "")).lower() == "true"
        if drops and table.has_column(column_name) and table.column(column_name).key:
            return envelope.common_error(
                f"Column {column_name} is primary key in materializedIndex that can't do the "
                "light schema change"
            )
        return envelope.ok(None)

    def load_state(self, request: Request, database: str) -> Response:
        """The state of the newest transaction of a label (P 1.10)."""
        label = request.query.get("label", "")
        if not label:
            return envelope.bad_request("No label selected")
        self._engine.catalog.database(database)
        return envelope.ok(self._engine.transactions.load_state(database, label))

    def load_info(self, request: Request, user: User, database: str) -> Response:
        """What is known of a load, in the older envelope (P 1.10)."""
        label = request.query.get("label", "")
        if not label:
            return envelope.load_failed("No label selected.")
        if not user.may(LOAD, database):
            return envelope.load_failed(auth.privilege_text(LOAD))
        found = self._engine.transactions.find(database, label=label)
        if not found:
            return envelope.load_failed(f"DB: {database} has no job with label: {label}")
        newest = found[0]
        names = [
            table.name
            for table_id in newest.table_ids
            if (table := self._engine.catalog.table_by_id(table_id)) is not None
        ]
        info = {
            "dbName": database,
            "tblNames": names,
            "label": label,
            "clusterName": "default_cluster",
            "state": newest.state.value,
            "failMsg": newest.reason,
            "trackingUrl": "",
        }
        from beam_doris.emulator.http.message import json_response

        return json_response({"status": "OK", "msg": "Success", "jobInfo": info})


def _aggregation(table: Table, column: Column) -> str:
    if column.aggregation:
        return column.aggregation
    if table.model is KeysModel.UNIQUE_KEYS and not column.key:
        # merge-on-write tables need no replacing on read (P 1.4)
        return "NONE" if table.merge_on_write else "REPLACE"
    return ""


def _sql_of(request: Request) -> str | Response:
    """The statement of a plan request, or the refusal of its body."""
    raw = request.body.read_all(_BODY_LIMIT)
    missing = "POST body must contains [sql] root object"
    if not raw.strip():
        return envelope.bad_request(missing)
    try:
        # the Java connector puts the SQL into JSON without escaping it
        body = json.loads(raw, strict=False)
    except ValueError:
        return envelope.bad_request(f"malformed json: {raw.decode('utf-8', 'replace')}")
    sql = body.get("sql") if isinstance(body, dict) else None
    return sql if isinstance(sql, str) and sql else envelope.bad_request(missing)
