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
"""Thrift calls over a byte stream, every one of them inside a deadline."""

from __future__ import annotations

import functools
from pathlib import Path
from types import ModuleType
from typing import Any

import thriftpy2
from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.protocol.exc import TProtocolException
from thriftpy2.thrift import TClient, TException
from thriftpy2.transport.buffered import TBufferedTransport

from beam_doris.client.byte_stream import ByteStream, ConnectionLost
from beam_doris.client.deadline import Deadline
from beam_doris.errors import ProtocolError
from beam_doris.options.connection import Node

try:  # the compiled forms are several times faster; both speak the same bytes
    from thriftpy2.protocol.cybin import ProtocolError as CyProtocolError
    from thriftpy2.protocol.cybin import TCyBinaryProtocol
    from thriftpy2.transport.buffered import TCyBufferedTransport
except ImportError:  # pragma: no cover - depends on how thriftpy2 was built
    TCyBinaryProtocol, TCyBufferedTransport = TBinaryProtocol, TBufferedTransport
    CyProtocolError = TProtocolException

_UNREADABLE = (
    TException,
    CyProtocolError,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    MemoryError,
)

_IDL = Path(__file__).resolve().parent.parent / "idl" / "DorisExternalService.thrift"


@functools.lru_cache(maxsize=1)
def idl() -> ModuleType:
    """The structs and services of the backend's scan interface (P 5.2)."""
    return thriftpy2.load(str(_IDL), module_name="beam_doris_external_service_thrift")  # type: ignore[no-any-return]


class _StreamTransport:
    """What the Thrift library calls a transport."""

    def __init__(self, stream: ByteStream, node: Node) -> None:
        self.deadline: Deadline | None = None
        self._stream = stream
        self._node = node

    def _current(self) -> Deadline:
        assert self.deadline is not None
        return self.deadline

    def read(self, size: int) -> bytes:
        # the buffered layer above asks for what it needs, and again for what is missing
        data = self._stream.receive(size, self._current())
        if not data:
            raise ConnectionLost(f"{self._node} hung up", host=self._node)
        return data

    def write(self, data: bytes) -> None:
        self._stream.send(data, self._current())

    def flush(self) -> None:
        pass

    def is_open(self) -> bool:
        return True

    def open(self) -> None:
        pass

    def close(self) -> None:
        self._stream.close()


class ThriftConnection:
    """One connection to a backend's scan interface; used by one thread.

    Args:
        stream: The connection's bytes, owned from now on.
        node: The peer.
    """

    def __init__(self, stream: ByteStream, node: Node) -> None:
        self._transport = _StreamTransport(stream, node)
        self._node = node
        protocol = TCyBinaryProtocol(TCyBufferedTransport(self._transport))
        self._client = TClient(idl().TDorisExternalService, protocol)

    def call(self, method: str, params: object, deadline: Deadline) -> Any:
        """One call.

        Raises:
            ConnectionLost: the connection broke; whether the call was executed is not known.
            DeadlineExceeded: no answer in time.
            ProtocolError: the answer cannot be read.
        """
        self._transport.deadline = deadline
        try:
            return getattr(self._client, method)(params)
        except EOFError as error:
            raise ConnectionLost(f"{self._node} hung up", host=self._node) from error
        except _UNREADABLE as error:
            raise ProtocolError(
                f"the answer to {method} cannot be read",
                host=self._node,
                cause=type(error).__name__,
                hint="is it the backend's be_port (9060 by default)?",
            ) from error

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()
