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
"""A backend's Flight port: hands out the results that the frontend's tickets name (P 6.2)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

from beam_doris.emulator.faults import FaultPlan, Rule
from beam_doris.emulator.flight.messages import MalformedMessage, unpack
from beam_doris.emulator.flight.tickets import Stream, Tickets

STOP_SECONDS = 3.0  #: how long a stop waits for calls that are still running
HANG_SECONDS = 600.0  #: a hang without a length ends here, long after any sane client

_ERRORS: dict[str, Callable[[str], Exception]] = {
    "internal": flight.FlightInternalError,
    "unavailable": flight.FlightUnavailableError,
    "unauthenticated": flight.FlightUnauthenticatedError,
    "cancelled": flight.FlightCancelledError,
    "timeout": flight.FlightTimedOutError,
    "invalid_argument": pa.ArrowInvalid,
}


def location(host: str, port: int) -> str:
    """The location of a Flight port as Doris writes it."""
    return f"grpc+tcp://{host}:{port}"


def statement_handle(ticket: bytes) -> bytes:
    """The handle inside a ``TicketStatementQuery``."""
    try:
        command = unpack(ticket)
    except MalformedMessage as error:
        raise pa.ArrowInvalid(f"the ticket is malformed: {error}") from error
    if command.name != "TicketStatementQuery":
        raise NotImplementedError(f"a ticket of {command.name} is not served here")
    return command.message.raw(1)


def injected(rule: Rule) -> Exception:
    """The gRPC error that a rule asks for; a lost connection shows as UNAVAILABLE in gRPC."""
    kind, message = "unavailable", str(rule.args.get("message", "injected fault"))
    if rule.action == "status":
        kind = str(rule.args.get("code", "internal"))
    elif rule.action not in ("reset", "close", "kill_backend"):
        kind, message = "internal", f"unknown fault action {rule.action!r}"
    return (_ERRORS.get(kind) or _ERRORS["internal"])(message)


class Served:
    """What frontend and backends share: faults before a call, streams that stop with the server."""

    def __init__(self, faults: FaultPlan, on_death: Callable[[], None] | None = None) -> None:
        self._faults = faults
        self._on_death = on_death
        self.stopping = threading.Event()

    def before(self, point: str, **facts: object) -> Rule | None:
        """Carry out what happens before the call; the rule if its answer is to be halved."""
        rule = self._faults.fire(point, **facts)
        if rule is None:
            return None
        if rule.action in ("hang", "delay"):
            self.stopping.wait(float(rule.args.get("seconds", HANG_SECONDS)))
            return None
        if rule.action in ("half_response", "slow_body"):
            return rule
        if rule.action == "kill_backend" and self._on_death is not None:
            threading.Thread(target=self._on_death, name="backend-death", daemon=True).start()
        raise injected(rule)

    def send(self, stream: Stream, after: Rule | None) -> flight.GeneratorStream:
        """The answer of a DoGet."""
        return flight.GeneratorStream(stream.schema, self._batches(stream, after))

    def _batches(self, stream: Stream, after: Rule | None) -> Iterator[pa.RecordBatch]:
        try:
            for number, batch in enumerate(stream.batches):
                if self.stopping.is_set():
                    raise flight.FlightUnavailableError("the server is shutting down")
                if after is not None and after.action == "half_response" and number == 0:
                    yield batch.slice(0, batch.num_rows // 2)
                    raise flight.FlightUnavailableError("injected fault: the stream broke off")
                if after is not None and after.action == "slow_body":
                    self.stopping.wait(float(after.args.get("seconds", 1.0)))
                yield batch
        finally:
            stream.close()


def shut_down(server: flight.FlightServerBase, stopping: threading.Event) -> None:
    """Stop a Flight server within seconds, also when a client does not read what it asked for."""
    stopping.set()
    thread = threading.Thread(target=server.shutdown, name="flight-shutdown", daemon=True)
    thread.start()
    thread.join(STOP_SECONDS)


class NoHandshake(flight.ServerAuthHandler):
    """Lets the handshake through: the middleware has judged its header already."""

    def authenticate(self, _outgoing: Any, _incoming: Any) -> None:
        """Accept."""

    def is_valid(self, _token: bytes) -> bytes:
        return b""


class BackendFlightServer(flight.FlightServerBase):
    """Serves DoGet; like a backend it asks for no authorization."""

    def __init__(
        self,
        tickets: Tickets,
        faults: FaultPlan,
        *,
        index: int = 0,
        port: int = 0,
        on_death: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(location("127.0.0.1", port), auth_handler=NoHandshake())
        self._tickets = tickets
        self._index = index
        self._served = Served(faults, on_death)

    def do_get(self, _context: Any, ticket: flight.Ticket) -> flight.GeneratorStream:
        after = self._served.before("flight.get", backend=self._index)
        stream = self._tickets.take(statement_handle(ticket.ticket))
        if stream is None:
            raise pa.ArrowKeyError("the result of this ticket is not here: unknown or already read")
        return self._served.send(stream, after)

    def stop(self) -> None:
        shut_down(self, self._served.stopping)
