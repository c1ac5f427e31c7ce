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
"""Two frontends and two backends in memory that know labels, transactions and how to fail."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from beam_doris.client.retry import RetryPolicy
from beam_doris.client.stream_load import StreamLoader
from beam_doris.options.connection import DorisConnection
from beam_doris.options.secrets import Secret
from tests.unit.scripted_peers import Answer, CutBody, FakeClock, Network, Request

PASSWORD = "p@ss:word"
FRONTENDS = ("fe1:8030", "fe2:8030")
BACKENDS = ("be1:8040", "be2:8040")


@dataclass
class Transaction:
    id: int
    label: str
    state: str
    body: bytes = b""
    reason: str = ""


@dataclass
class Cluster:
    """The peers; `faults` are used up one by one, by the point they are for."""

    network: Network = field(default_factory=lambda: Network(FakeClock()))
    transactions: list[Transaction] = field(default_factory=list)
    faults: dict[str, list[Answer | CutBody | str]] = field(default_factory=dict)
    location: str | None = None
    publishes_late: bool = False
    next_id: int = 100
    turn: int = 0

    def __post_init__(self) -> None:
        for node in FRONTENDS:
            self.network.peers[node] = self.frontend
        for node in BACKENDS:
            self.network.peers[node] = self.backend

    # -- what tests ask

    @property
    def clock(self) -> FakeClock:
        return self.network.clock

    def connection(self, **changes: object) -> DorisConnection:
        arguments: dict[str, object] = {
            "fenodes": list(FRONTENDS),
            "username": "root",
            "password": Secret.of(PASSWORD),
            "host_map": {"10.0.0.1": "be1", "10.0.0.2": "be2"},
            **changes,
        }
        return DorisConnection(**arguments)  # type: ignore[arg-type]

    def retry(self, retries: int = 3) -> RetryPolicy:
        return RetryPolicy(retries=retries, sleep=self.clock.sleep)

    def loader(self, **changes: object) -> StreamLoader:
        return StreamLoader(
            self.connection(**changes),
            transport=self.network,
            retry=self.retry(),
            clock=self.clock,
        )

    def with_label(self, label: str) -> list[Transaction]:
        return [found for found in self.transactions if found.label == label]

    def state_of(self, label: str) -> str:
        found = self.with_label(label)
        return found[-1].state if found else "UNKNOWN"

    def add(self, label: str, state: str, body: bytes = b"") -> Transaction:
        self.next_id += 1
        transaction = Transaction(self.next_id, label, state, body)
        self.transactions.append(transaction)
        return transaction

    def fail_at(self, point: str, *faults: Answer | CutBody | str) -> None:
        self.faults.setdefault(point, []).extend(faults)

    # -- frontends

    def _fault(self, point: str) -> Answer | CutBody | str | None:
        waiting = self.faults.get(point)
        return waiting.pop(0) if waiting else None

    def _authorized(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return given == "Basic " + base64.b64encode(f"root:{PASSWORD}".encode()).decode()

    def frontend(self, request: Request) -> Answer | CutBody | None:
        if request.body is None and request.headers.get("content-length", "0") != "0":
            return None
        if not self._authorized(request):
            text = "Access denied for user 'root'@'client' (using password: YES)"
            return Answer(content={"code": 401, "msg": "Unauthorized", "data": text, "count": 0})
        if request.path.endswith("_stream_load_2pc"):
            return self._redirect(request)
        if request.path.endswith("/_stream_load"):
            fault = self._fault("fe.load")
            if fault is not None:
                assert isinstance(fault, Answer)
                return fault
            if "expect" not in request.headers:
                return Answer(
                    content={"status": "FAILED", "msg": "There is no 100-continue header"}
                )
            return self._redirect(request)
        if "get_load_state" in request.path:
            fault = self._fault("fe.state")
            if isinstance(fault, Answer):
                return fault
            state = fault or self.state_of(request.path.rpartition("=")[2])
            return Answer(content={"code": 0, "msg": "success", "data": state, "count": 0})
        if "/api/query/" in request.path:
            return self._statement(request)
        if request.path.startswith("/api/backends"):
            listed = [
                {"ip": ip, "http_port": 8040, "is_alive": True} for ip in ("10.0.0.1", "10.0.0.2")
            ]
            return Answer(
                content={"code": 0, "msg": "success", "data": {"backends": listed}, "count": 0}
            )
        return Answer(status=404)

    def _redirect(self, request: Request) -> Answer:
        self.turn += 1
        host = f"10.0.0.{self.turn % 2 + 1}"
        location = self.location or f"http://root:p%40ss%3Aword@{host}:8040{request.path}?"
        return Answer(status=307, headers={"Location": location})

    def _statement(self, request: Request) -> Answer:
        names = ["TransactionId", "Label", "TransactionStatus", "Reason"]
        rows = [
            [str(found.id), found.label, found.state, found.reason]
            for found in self.transactions
            if found.label.encode() in (request.body or b"")
        ]
        meta = [{"name": name, "type": "CHAR"} for name in names]
        data = {"type": "result_set", "meta": meta, "data": rows, "status": {}, "time": 1}
        return Answer(content={"code": 0, "msg": "success", "data": data, "count": 0})

    # -- backends

    def backend(self, request: Request) -> Answer | CutBody | None:
        if "_stream_load_2pc" in request.path:
            return self._second_phase(request)
        label = request.headers.get("label", "")
        if request.body is None:
            fault = self._fault("be.head")
            if fault is not None:
                assert not isinstance(fault, str)
                return fault
            return self._begin(request, label)
        return self._end(request, label)

    def _begin(self, request: Request, label: str) -> Answer | CutBody | None:
        if not self._authorized(request):
            return _load_answer("Fail", "[NOT_AUTHORIZED]no valid Basic authorization")
        existing = self.with_label(label)
        if existing and existing[-1].state != "ABORTED":
            status = {"PREPARE": "RUNNING", "PRECOMMITTED": "PRECOMMITTED"}.get(
                existing[-1].state, "FINISHED"
            )
            message = (
                "[LABEL_ALREADY_EXISTS]TStatus: errCode = 2, detailMessage = "
                f"Label [{label}] has already been used, relate to txn [{existing[-1].id}]"
            )
            return _load_answer("Label Already Exists", message, ExistingJobStatus=status)
        transaction = self.add(label, "PREPARE")
        fault = self._fault("be.body")
        if isinstance(fault, CutBody):
            transaction.state = self.faults.get("be.cut.state", ["ABORTED"])[0]  # type: ignore[assignment]
        return fault if isinstance(fault, CutBody) else None

    def _end(self, request: Request, label: str) -> Answer:
        transaction = self.with_label(label)[-1]
        refusal = self._fault("be.refuse")
        if refusal is not None:
            transaction.state = "ABORTED"
            assert isinstance(refusal, str)
            return _load_answer("Fail", refusal, TxnId=transaction.id)
        transaction.body = request.body or b""
        two_phase = request.headers.get("two_phase_commit") == "true"
        transaction.state = "PRECOMMITTED" if two_phase else "VISIBLE"
        late = self.publishes_late and not two_phase
        if late:
            transaction.state = "COMMITTED"
        fault = self._fault("be.answer")
        if isinstance(fault, Answer):
            return fault
        if isinstance(fault, str):
            transaction.state = fault
            return Answer(lost=True)
        return _load_answer(
            "Publish Timeout" if late else "Success",
            "transaction commit successfully, BUT data will be visible later" if late else "OK",
            TxnId=transaction.id,
            Label=label,
            TwoPhaseCommit="true" if two_phase else "false",
            NumberTotalRows=3,
            NumberLoadedRows=2,
            NumberFilteredRows=1,
            LoadTimeMs=7,
        )

    def _second_phase(self, request: Request) -> Answer:
        operation = request.headers["txn_operation"]
        fault = self._fault(f"be.{operation}")
        if isinstance(fault, Answer) and not fault.lost:
            return fault
        answer = self._operate(request, operation)
        return fault if isinstance(fault, Answer) else answer

    def _operate(self, request: Request, operation: str) -> Answer:
        if "txn_id" in request.headers:
            wanted = int(request.headers["txn_id"])
            found = [each for each in self.transactions if each.id == wanted]
        else:
            found = self.with_label(request.headers["label"])
        if not found:
            number = request.headers.get("txn_id", request.headers.get("label"))
            return _failure(f"transaction [{number}] not found")
        transaction = found[-1]
        if operation == "abort" and transaction.state in ("PREPARE", "PRECOMMITTED"):
            transaction.state = "ABORTED"
        elif operation == "commit" and transaction.state == "PRECOMMITTED":
            transaction.state = "VISIBLE"
        elif transaction.state == "ABORTED":
            separator = "." if operation == "commit" else ","
            return _failure(
                f"transaction [{transaction.id}] is already aborted{separator} "
                f"abort reason: {transaction.reason or 'timeout by txn manager'}"
            )
        elif operation == "commit" and transaction.state == "PREPARE":
            return _failure(f"transaction [{transaction.id}] is prepare, not pre-committed.")
        elif operation == "commit":
            state = transaction.state.lower()
            return _failure(
                f"transaction [{transaction.id}] is already {state}, not pre-committed."
            )
        else:
            return _failure(
                f"transaction [{transaction.id}] is already {transaction.state}, could not abort."
            )
        message = f"transaction [{transaction.id}] {operation} successfully."
        return Answer(content={"status": "Success", "msg": message})


def _failure(text: str) -> Answer:
    message = f"(10.0.0.1)[ANALYSIS_ERROR]TStatus: errCode = 2, detailMessage = {text}"
    return Answer(content={"status": "ANALYSIS_ERROR", "msg": message})


def _load_answer(status: str, message: str, **fields: object) -> Answer:
    content: Mapping[str, object] = {"TxnId": -1, "Status": status, "Message": message, **fields}
    return Answer(content=dict(content))
