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

import pyarrow as pa
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
    AttributeError,  # of a text as long as a batch, which is no text
)

# What is read ahead for the small fields of an answer, and what goes around that, uncopied.
_AHEAD = 512
_LARGE = 128 << 10

_IDL = Path(__file__).resolve().parent.parent / "idl" / "DorisExternalService.thrift"


@functools.lru_cache(maxsize=1)
def idl() -> ModuleType:
    """The structs and services of the backend's scan interface (P 5.2)."""
    return thriftpy2.load(str(_IDL), module_name="beam_doris_external_service_thrift")  # type: ignore[no-any-return]


class _StreamTransport:
    """What the Thrift library calls a transport; reads with few copies.

    The library's own buffers copy every byte of a batch three times.
    """

    def __init__(self, stream: ByteStream, node: Node) -> None:
        self.deadline: Deadline | None = None
        self._stream = stream
        self._node = node
        self._ahead = b""

    def _current(self) -> Deadline:
        assert self.deadline is not None
        return self.deadline

    def read(self, size: int) -> Any:
        """So many bytes, exactly; something large as an Arrow buffer."""
        if size >= _LARGE:
            return self._large(size)
        while len(self._ahead) < size:
            self._ahead += self._received(max(_AHEAD, size - len(self._ahead)))
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def _large(self, size: int) -> pa.Buffer:
        data = pa.allocate_buffer(size)
        view = memoryview(data).cast("B")
        have = min(size, len(self._ahead))
        view[:have], self._ahead = self._ahead[:have], self._ahead[have:]
        into = getattr(self._stream, "receive_into", None)
        while have < size:
            if into is None:
                piece = self._received(size - have)
                view[have : have + len(piece)] = piece
                have += len(piece)
                continue
            count = into(view[have:], self._current())
            self._require(count)
            have += count
        return data

    def _received(self, limit: int) -> bytes:
        data = self._stream.receive(limit, self._current())
        self._require(len(data))
        return data

    def _require(self, count: int) -> None:
        if not count:
            raise ConnectionLost(f"{self._node} hung up", host=self._node)

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
        # an answer is a few small fields and one large one: decoding it takes no compiled code
        incoming = TBinaryProtocol(self._transport)
        outgoing = TCyBinaryProtocol(TCyBufferedTransport(self._transport))
        self._client = TClient(idl().TDorisExternalService, incoming, outgoing)

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
