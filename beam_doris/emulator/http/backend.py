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
"""HTTP of a backend: stream loads, the second phase of two-phase commits, error logs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from beam_doris.emulator.engine import Backend, Engine
from beam_doris.emulator.errors import EmulatorError, LabelAlreadyUsed
from beam_doris.emulator.faults import Rule
from beam_doris.emulator.http import auth
from beam_doris.emulator.http.message import (
    BodyBroken,
    Request,
    Response,
    json_response,
    text_response,
)
from beam_doris.emulator.http.misbehave import Answered, FaultyBody, Misbehavior, cut
from beam_doris.emulator.http.server import DropConnection, HttpServer
from beam_doris.emulator.load.failure import LoadFailure
from beam_doris.emulator.load.http_stream import parse_http_stream, stream_request
from beam_doris.emulator.load.pipeline import LoadRun
from beam_doris.emulator.load.quality import ErrorLogs
from beam_doris.emulator.load.reply import FAIL, LoadReply
from beam_doris.emulator.load.request import parse_load_request
from beam_doris.emulator.sql.executor import prepare_engine
from beam_doris.emulator.users import LOAD, User

IDLE_SECONDS = 300.0


class BackendHttp:
    """The HTTP port of one backend.

    Args:
        engine: the cluster.
        backend: which backend this is.
        host: address to listen on.
        port: port to listen on, 0 for any.
        on_death: what a fault that kills this backend calls; by default only this port closes.
    """

    def __init__(
        self,
        engine: Engine,
        backend: Backend,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        on_death: Callable[[], None] | None = None,
    ) -> None:
        prepare_engine(engine)
        self._engine = engine
        self._backend = backend
        self._index = engine.backends.index(backend)
        self._logs = ErrorLogs()
        self._on_death = on_death
        self._server = HttpServer(self.handle, host=host, port=port, name=f"be-http-{backend.id}")
        self.port = self._server.port
        self._faults = Misbehavior(engine.faults, self._server.stopping, self._die)

    def start(self) -> None:
        """Accept connections."""
        self._server.start()

    def stop(self) -> None:
        """Close the port; open loads break off."""
        self._server.stop()

    def _die(self) -> None:
        self._backend.alive = False
        if self._on_death is not None:
            self._on_death()
        else:
            self.stop()

    def handle(self, request: Request) -> Response:
        """Route a request."""
        parts = request.segments
        try:
            if request.method == "PUT" and parts[:1] == ("api",):
                if len(parts) == 4 and parts[3] == "_stream_load":
                    return self._stream_load(request, parts[1], parts[2])
                if parts == ("api", "_http_stream"):
                    return self._http_stream(request)
                if len(parts) in (3, 4) and parts[-1] == "_stream_load_2pc":
                    return self._two_phase(request, parts[1])
            if request.method in ("GET", "HEAD"):
                if parts == ("api", "_load_error_log"):
                    return self._error_log(request)
                if parts == ("api", "health"):
                    return json_response({"status": "OK", "msg": "To Be Added"})
                if not parts:
                    return text_response("Doris backend (emulated)\n")
        except Answered as answered:
            return answered.response
        return text_response("Not Found", status=404)

    # stream load

    def _stream_load(self, request: Request, database: str, table: str) -> Response:
        def prepare() -> LoadRun:
            parsed = parse_load_request(
                request.headers, content=request.headers.get("transfer-encoding")
            )
            return LoadRun(self._engine, parsed, database, table)

        return self._load(request, prepare, {"db": database, "table": table})

    def _http_stream(self, request: Request) -> Response:
        def prepare() -> LoadRun:
            sql = request.headers.get("sql")
            if not sql:
                raise LoadFailure("http stream load sql is empty", "INVALID_ARGUMENT")
            statement = parse_http_stream(sql)
            parsed = stream_request(
                statement, request.headers, content=request.headers.get("transfer-encoding")
            )
            database = statement.database or request.headers.get("db")
            return LoadRun(self._engine, parsed, database, statement.table, statement)

        return self._load(request, prepare, {})

    def _load(
        self, request: Request, prepare: Callable[[], LoadRun], facts: dict[str, Any]
    ) -> Response:
        """Everything of a load; nothing is read of the body before the transaction has begun."""
        facts = {**facts, "backend": self._index, "label": request.headers.get("label")}
        prefix = self._engine.profile.http.load_error_prefix
        run: LoadRun | None = None
        keep: int | None = None
        try:
            keep = self._faults.at("be.load.headers", **facts)
            user = auth.authenticate(self._engine.users, request.headers, request.peer)
            run = prepare()
            facts["db"], facts["table"] = run.database, run.table_name
            if not user.may(LOAD, run.database, run.table_name):
                raise LoadFailure(auth.privilege_text(LOAD), "ANALYSIS_ERROR", frontend=True)
            self._attach(run, facts)
            run.begin()
            facts["txn_id"], facts["label"] = run.txn_id, run.label
            outcome: Any = run.load(self._body(request, run, facts))
        except auth.AuthFailed as error:
            outcome = _auth_failure(error)
        except (LoadFailure, LabelAlreadyUsed) as error:
            outcome = error
            _drain(request)
        except BodyBroken as error:
            raise DropConnection(reset=True) from error
        return self._answer(request, run, outcome, prefix, keep)

    def _attach(self, run: LoadRun, facts: dict[str, Any]) -> None:
        def before(_run: LoadRun) -> None:
            self._faults.at("be.load.before_commit", **facts)

        run.before_commit = before

    def _body(self, request: Request, run: LoadRun, facts: dict[str, Any]) -> FaultyBody:
        timeout = run.request.timeout_seconds
        request.body.idle_timeout(IDLE_SECONDS if timeout is None else min(IDLE_SECONDS, timeout))
        rule = self._engine.faults.fire("be.load.body", **facts)

        def act(rule: Rule) -> None:
            self._faults.act(rule, facts)

        request.body.allow()
        return FaultyBody(request.body, rule, act)

    def _answer(
        self,
        request: Request,
        run: LoadRun | None,
        outcome: Any,
        prefix: str,
        keep: int | None,
    ) -> Response:
        if run is None:
            reply = LoadReply(
                label=request.headers.get("label"),
                comment=request.headers.get("comment"),
                two_phase=request.headers.get("two_phase_commit") == "true",
                status=FAIL,
                message=outcome.message(prefix),
            )
        else:
            reply = run.reply(prefix, outcome)
            if not isinstance(outcome, Exception):
                after = self._faults.at(
                    "be.load.after_commit",
                    db=run.database,
                    table=run.table_name,
                    label=run.label,
                    txn_id=run.txn_id,
                    backend=self._index,
                )
                keep = after if keep is None else keep
            self._add_error_log(reply)
        reply.load_bytes = request.body.received
        return cut(json_response(reply.to_json(), pretty=True), keep)

    def _add_error_log(self, reply: LoadReply) -> None:
        text = reply.quality.log
        if not text:
            return
        name = self._logs.keep(text)
        backend = self._backend
        reply.error_url = f"http://{backend.host}:{self.port}/api/_load_error_log?file={name}"
        if self._engine.profile.http.first_error_message:
            reply.first_error = reply.quality.first_error

    def _error_log(self, request: Request) -> Response:
        text = self._logs.get(request.query.get("file", ""))
        if text is None:
            return text_response("file not exist", status=404)
        return text_response(text)

    # two-phase commit

    def _two_phase(self, request: Request, database: str) -> Response:
        try:
            status, message = self._second_phase(request, database)
        except auth.AuthFailed as error:
            status, message = "NOT_AUTHORIZED", str(_auth_failure(error).text)
        except LoadFailure as failure:
            status, message = failure.status, failure.text
        except EmulatorError as error:
            status = "ANALYSIS_ERROR"
            message = self._engine.profile.http.two_phase_prefix + error.message
        return json_response({"status": status, "msg": message}, pretty=True)

    def _second_phase(self, request: Request, database: str) -> tuple[str, str]:
        headers, transactions = request.headers, self._engine.transactions
        user = auth.authenticate(self._engine.users, headers, request.peer)
        text, label = headers.get("txn_id"), headers.get("label")
        operation = headers.get("txn_operation")
        if not text and not label:
            raise LoadFailure("transaction id and label are empty, or wrong", "INVALID_ARGUMENT")
        if operation not in ("commit", "abort"):
            # the backend wants it in lower case, exactly (P 3.1)
            raise LoadFailure(
                "transaction operation should be 'commit' or 'abort'", "INVALID_ARGUMENT"
            )
        txn_id = _txn_id(text) if text else None
        facts = {"db": database, "txn_id": txn_id, "label": label, "backend": self._index}
        self._faults.at("be.2pc.headers", operation=operation, **facts)
        self._check_tables(user, database, txn_id, label)
        if operation == "commit":
            transactions.commit_precommitted(database, txn_id=txn_id, label=label or None)
        else:
            transactions.abort(database, txn_id=txn_id, label=label or None)
        self._faults.at("be.2pc.reply", operation=operation, **facts)
        named = f"label [{label}] " if label else ""
        named += f"transaction [{txn_id}] " if txn_id is not None else ""
        return "Success", f"{named}{operation} successfully."

    def _check_tables(self, user: User, database: str, txn_id: int | None, label: str) -> None:
        """LOAD is asked for on each table of the transaction (P 3.1)."""
        catalog = self._engine.catalog
        if not catalog.has_database(database):
            return
        found = self._engine.transactions.find(
            database, txn_id=txn_id, label=None if txn_id is not None else label
        )
        tables = [catalog.table_by_id(one) for one in (found[0].table_ids if found else ())]
        for table in tables:
            if table is not None and not user.may(LOAD, database, table.name):
                raise EmulatorError(auth.privilege_text(LOAD))


def _drain(request: Request) -> None:
    """Take in the rest of a body that was asked for: a backend answers at its end (P 2.1).

    A body that was not asked for is refused at once.
    """
    body = request.body
    if not body.asked_for or not body.received:
        return
    with contextlib.suppress(BodyBroken):
        while body.read():
            pass


def _txn_id(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise LoadFailure(
            f"convert txn_id [{text}] failed, reason=stoll", "INVALID_ARGUMENT"
        ) from error


def _auth_failure(error: auth.AuthFailed) -> LoadFailure:
    if str(error) == auth.NEEDED:
        return LoadFailure("no valid Basic authorization", "NOT_AUTHORIZED")
    return LoadFailure(str(error), "ANALYSIS_ERROR", frontend=True)
