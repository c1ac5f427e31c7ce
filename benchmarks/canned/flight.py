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
"""Flight peers: one that names endpoints, and one per backend that streams prepared batches."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight

_TABLETS = re.compile(rb"TABLET\(([\d,]+)\)")


class _AnyLogin(flight.ServerMiddlewareFactory):
    """Everybody gets a token."""

    def start_call(self, _info: Any, _headers: Mapping[str, Sequence[str]]) -> Any:
        return _Token()


class _Token(flight.ServerMiddleware):
    def sending_headers(self) -> dict[str, str]:
        return {"authorization": "Bearer canned"}


class _NoHandshake(flight.ServerAuthHandler):
    def authenticate(self, _outgoing: Any, _incoming: Any) -> None:
        """Accept."""

    def is_valid(self, _token: bytes) -> bytes:
        return b""


class CannedBackend(flight.FlightServerBase):
    """Streams the same batches for every tablet of a ticket, in compiled code.

    Args:
        batches: Of one tablet.
    """

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        super().__init__("grpc+tcp://127.0.0.1:0", auth_handler=_NoHandshake())
        self._batches = list(batches)

    def do_get(self, _context: Any, ticket: flight.Ticket) -> flight.RecordBatchStream:
        count = int(ticket.ticket)
        table = pa.Table.from_batches(self._batches * count, self._batches[0].schema)
        return flight.RecordBatchStream(table)


class CannedFrontend(flight.FlightServerBase):
    """Names the backend whose turn it is as the one endpoint of a statement.

    Args:
        schema: Of the rows.
        ports: The backends'.
    """

    def __init__(self, schema: pa.Schema, ports: Sequence[int]) -> None:
        super().__init__(
            "grpc+tcp://127.0.0.1:0",
            auth_handler=_NoHandshake(),
            middleware={"login": _AnyLogin()},
        )
        self._schema = schema
        self._ports = list(ports)

    def get_flight_info(
        self, _context: Any, descriptor: flight.FlightDescriptor
    ) -> flight.FlightInfo:
        named = _TABLETS.search(descriptor.command)
        if named is None:
            return flight.FlightInfo(pa.schema([]), descriptor, [], 0, 0)
        tablets = named.group(1).split(b",")
        port = self._ports[int(tablets[0]) % len(self._ports)]
        endpoint = flight.FlightEndpoint(
            str(len(tablets)).encode(), [f"grpc+tcp://127.0.0.1:{port}"]
        )
        return flight.FlightInfo(self._schema, descriptor, [endpoint], -1, -1)

    def do_action(self, _context: Any, _action: flight.Action) -> list[Any]:
        return []
