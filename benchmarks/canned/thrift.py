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
"""A backend's scan interface whose answers were encoded beforehand."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import thriftpy2
from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.thrift import TMessageType
from thriftpy2.transport import TMemoryBuffer
from thriftpy2.transport.buffered import TBufferedTransport
from thriftpy2.transport.socket import TSocket

from beam_doris.client import thrift_transport

_OK = {"status_code": 0}
_LENGTH = struct.Struct("!i")


def ipc_stream(batch: pa.RecordBatch) -> bytes:
    """One batch as a whole IPC stream, as a backend sends it (P 5.4)."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


class CannedScanner:
    """Serves one port; every connection has a thread.

    Args:
        batches: Of one tablet.
    """

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._idl: Any = thriftpy2.load(
            str(thrift_transport._IDL), module_name="canned_external_service_thrift"
        )
        self._service = self._idl.TDorisExternalService
        self._rows = [batch.num_rows for batch in batches]
        self._replies = [self._batch_reply(ipc_stream(batch)) for batch in batches]
        status = self._idl.TStatus(**_OK)
        self._end = self._reply("get_next", self._idl.TScanBatchResult(status=status, eos=True))
        self._closed = self._reply("close_scanner", self._idl.TScanCloseResult(status=status))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        """Accepts connections until the process ends."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _reply(self, method: str, result: Any) -> bytes:
        buffer = TMemoryBuffer()
        protocol = TBinaryProtocol(buffer)
        protocol.write_message_begin(method, TMessageType.REPLY, 0)
        protocol.write_struct(getattr(self._service, f"{method}_result")(success=result))
        protocol.write_message_end()
        return bytes(buffer.getvalue())

    def _batch_reply(self, rows: bytes) -> bytes:
        return self._reply(
            "get_next",
            self._idl.TScanBatchResult(status=self._idl.TStatus(**_OK), eos=False, rows=rows),
        )

    def _accept(self) -> None:
        while True:
            peer, _ = self._listener.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        transport = TSocket()
        transport.set_handle(peer)
        protocol = TBinaryProtocol(TBufferedTransport(transport))
        next_batch = last = 0
        while True:
            try:
                method, _, _ = protocol.read_message_begin()
            except Exception:  # noqa: BLE001  (whatever ends the connection ends its thread)
                peer.close()
                return
            arguments = getattr(self._service, f"{method}_args")()
            protocol.read_struct(arguments)
            protocol.read_message_end()
            if method == "open_scanner":
                next_batch, last = 0, len(self._rows) * len(arguments.params.tablet_ids)
                peer.sendall(self._opened())
            elif method == "close_scanner":
                peer.sendall(self._closed)
            elif next_batch == last:
                peer.sendall(self._end)
            else:
                peer.sendall(self._replies[next_batch % len(self._replies)])
                next_batch += 1

    def _opened(self) -> bytes:
        status = self._idl.TStatus(**_OK)
        result = self._idl.TScanOpenResult(status=status, context_id="canned")
        return self._reply("open_scanner", result)
