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
"""A backend's Thrift port: the three scan methods over unframed binary Thrift (P 5)."""

from __future__ import annotations

import contextlib
import importlib.resources
import logging
import socket
import struct
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa
import thriftpy2
from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.thrift import TApplicationException, TProcessor
from thriftpy2.transport import TCyBufferedTransport, TMemoryBuffer, TSocket, TTransportException

from beam_doris.emulator.faults import FaultPlan, Rule
from beam_doris.emulator.scan.contexts import (
    DEFAULT_BATCH_ROWS,
    MAX_BATCH_ROWS,
    ScanContexts,
    ScanError,
    ScanRequest,
    StatusCode,
)

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5.0  #: how long a stop waits for the threads of the connections
_HANG_SECONDS = 600.0  #: a hang without a length ends here, long after any sane client
_RESET = struct.pack("ii", 1, 0)  #: SO_LINGER that makes close() send RST


@cache
def interface() -> Any:
    """The Thrift module of the scan interface (package data, shared with no code)."""
    idl = importlib.resources.files("beam_doris.idl").joinpath("DorisExternalService.thrift")
    with importlib.resources.as_file(idl) as path:
        return thriftpy2.load(str(path), module_name="beam_doris_emulator_scan_thrift")


class _Dropped(Exception):
    """The connection is to be cut instead of an answer."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("the connection is dropped")
        self.reset = reset


class _Scanner:
    """The methods of the service, for one connection."""

    def __init__(self, contexts: ScanContexts, connection: _Connection) -> None:
        self._contexts = contexts
        self._connection = connection

    def open_scanner(self, params: Any) -> Any:
        types = interface()
        try:
            self._connection.fire("scan.open", db=params.database, table=params.table)
            rows = params.batch_size or DEFAULT_BATCH_ROWS
            opened = self._contexts.open(
                ScanRequest(
                    database=params.database,
                    table=params.table,
                    tablets=tuple(params.tablet_ids),
                    opaque=params.opaqued_query_plan,
                    batch_rows=max(1, min(rows, MAX_BATCH_ROWS)),
                ),
                params.keep_alive_min,
            )
        except ScanError as error:
            return types.TScanOpenResult(status=_status(error))
        return types.TScanOpenResult(
            status=_status(None),
            context_id=opened.context_id,
            selected_columns=[
                types.TScanColumnDesc(name=column.name, type=column.type.thrift_id())
                for column in opened.columns
            ],
        )

    def get_next(self, params: Any) -> Any:
        types = interface()
        try:
            self._connection.fire("scan.next", offset=params.offset)
            batch = self._contexts.next(params.context_id or "", params.offset or 0)
        except ScanError as error:
            return types.TScanBatchResult(status=_status(error))
        if batch is None:
            # The end carries no rows (P 5.3).
            return types.TScanBatchResult(status=_status(None), eos=True)
        return types.TScanBatchResult(status=_status(None), eos=False, rows=_stream(batch))

    def close_scanner(self, params: Any) -> Any:
        types = interface()
        try:
            self._connection.fire("scan.close")
            self._contexts.close(params.context_id or "")
        except ScanError as error:
            return types.TScanCloseResult(status=_status(error))
        return types.TScanCloseResult(status=_status(None))


def _status(error: ScanError | None) -> Any:
    if error is None:
        return interface().TStatus(status_code=StatusCode.OK)
    return interface().TStatus(status_code=error.code, error_msgs=[error.message])


def _stream(batch: pa.RecordBatch) -> bytes:
    """A complete IPC stream of one batch: schema, batch, end (P 5.4)."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


class _Connection:
    """One client, served on its own thread."""

    def __init__(self, server: ThriftServer, peer: socket.socket) -> None:
        self._server = server
        self._peer = peer
        self._after: Rule | None = None

    def fire(self, point: str, **facts: object) -> None:
        """Ask the fault plan, and do what happens before the call is executed."""
        rule = self._server.faults.fire(point, backend=self._server.index, **facts)
        if rule is None:
            return
        action, args = rule.action, rule.args
        if action in ("hang", "delay"):
            # A call that hung is still carried out, after its client has given up.
            self._server.stopping.wait(float(args.get("seconds", _HANG_SECONDS)))
        elif action == "status":
            code = int(args.get("code", StatusCode.INTERNAL_ERROR))
            raise ScanError(code, str(args.get("message", "injected fault")))
        elif action in ("reset", "close"):
            raise _Dropped(reset=action == "reset")
        elif action == "kill_backend":
            self._server.die()
            raise _Dropped(reset=True)
        elif action in ("half_response", "reset_after"):
            self._after = rule
        else:
            raise ScanError(StatusCode.INTERNAL_ERROR, f"unknown fault action {action!r}")

    def serve(self) -> None:
        try:
            self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._answer_calls()
        except _Dropped as dropped:
            if dropped.reset:
                self.reset()
        except (TTransportException, OSError, EOFError):
            logger.debug("a scan client went away")
        except Exception:
            # Bytes that are no Thrift call end the connection, as in a backend.
            logger.exception("a scan connection ended")
        finally:
            self.close()

    def _answer_calls(self) -> None:
        plain = TSocket()
        plain.set_handle(self._peer)
        protocol = TCyBinaryProtocol(TCyBufferedTransport(plain))
        service = next(
            value
            for value in vars(interface()).values()
            if isinstance(value, type) and hasattr(value, "thrift_services")
        )
        processor = TProcessor(service, _Scanner(self._server.contexts, self))
        while not self._server.stopping.is_set():
            name, sequence, result, call = processor.process_in(protocol)
            if isinstance(result, TApplicationException) or call is None:
                processor.send_exception(protocol, name, result, sequence)
                continue
            result.success = call()
            after, self._after = self._after, None
            if after is None:
                processor.send_result(protocol, name, result, sequence)
                continue
            if after.action == "half_response":
                memory = TMemoryBuffer()
                whole = TCyBufferedTransport(memory)
                processor.send_result(TCyBinaryProtocol(whole), name, result, sequence)
                reply = memory.getvalue()
                self._peer.sendall(reply[: len(reply) // 2])
                return
            raise _Dropped(reset=True)

    def reset(self) -> None:
        """Cut the connection with RST."""
        # Closed without a shutdown, which would send FIN first.
        with contextlib.suppress(OSError):
            self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._peer.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        self._peer.close()


class ThriftServer:
    """Listens on 127.0.0.1, one thread a connection."""

    def __init__(
        self,
        contexts: ScanContexts,
        faults: FaultPlan,
        *,
        index: int = 0,
        port: int = 0,
        on_death: Callable[[], None] | None = None,
    ) -> None:
        self.contexts = contexts
        self.faults = faults
        self.index = index
        self._on_death = on_death or self.stop
        self.stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: dict[threading.Thread, _Connection] = {}
        self._lock = threading.Lock()
        self._acceptor = threading.Thread(
            target=self._accept, name=f"be{index}-thrift", daemon=True
        )

    def start(self) -> None:
        self._acceptor.start()

    def die(self) -> None:
        """A fault kills the backend; not from the thread of a connection, which would wait for
        itself."""
        threading.Thread(target=self._on_death, name="backend-death", daemon=True).start()

    def stop(self) -> None:
        """Close the listener and every connection; scans are cancelled."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._acceptor.is_alive():
            self._acceptor.join(_STOP_SECONDS)
        with self._lock:
            connections = dict(self._open)
        for connection in connections.values():
            connection.close()
        for thread in connections:
            thread.join(_STOP_SECONDS)
        self.contexts.close_all()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            connection = _Connection(self, peer)
            thread = threading.Thread(
                target=self._serve, args=(connection,), name="thrift-connection", daemon=True
            )
            with self._lock:
                self._open[thread] = connection
                # started under the lock: a stop joins only threads that run
                thread.start()

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)
