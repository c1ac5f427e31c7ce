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
"""Reading tablets through a backend's scan interface (P 5).

A scan has a context on the backend and an offset that both sides count. A call for the next batch
is not idempotent: when its answer is lost the backend has moved on, so it is never repeated; the
scan fails as a whole and its tablets are read anew (trap 38). The context is closed on every path.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from beam_doris.client.byte_stream import Connector, SocketConnector
from beam_doris.client.contracts import ScanOptions, TabletGroup
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.server_messages import error_of
from beam_doris.client.thrift_transport import ThriftConnection, idl
from beam_doris.errors import (
    DeadlineExceeded,
    DorisError,
    NotFoundError,
    ProtocolError,
    QueryError,
    ServerBusy,
    SnapshotExpiredError,
    TransientError,
)
from beam_doris.options.connection import DorisConnection, Node
from beam_doris.options.table_id import TableId

logger = logging.getLogger(__name__)

_CLUSTER = "default_cluster"
_CLOSE_SECONDS = 1.0
_OK = 0
# P 5.2; a code that is not listed is an error like any other
_CODE_NAMES = {
    1: "CANCELLED",
    2: "ANALYSIS_ERROR",
    3: "NOT_IMPLEMENTED_ERROR",
    4: "RUNTIME_ERROR",
    5: "MEM_LIMIT_EXCEEDED",
    6: "INTERNAL_ERROR",
    7: "THRIFT_RPC_ERROR",
    8: "TIMEOUT",
    11: "MEM_ALLOC_FAILED",
    16: "TOO_MANY_TASKS",
    30: "END_OF_FILE",
    31: "NOT_FOUND",
    32: "CORRUPTION",
    33: "INVALID_ARGUMENT",
    34: "IO_ERROR",
    36: "NETWORK_ERROR",
    37: "ILLEGAL_STATE",
    38: "NOT_AUTHORIZED",
    39: "ABORTED",
    40: "REMOTE_ERROR",
    41: "SERVICE_UNAVAILABLE",
    45: "VERSION_ALREADY_MERGED",
    46: "DATA_QUALITY_ERROR",
}
# of a context that is gone, or whose offset is another (P 5.3)
_LOST = re.compile(r"context_id\s*[:=]")
_KINDS: dict[int, type[DorisError]] = {
    5: ServerBusy,
    8: ServerBusy,
    11: ServerBusy,
    16: ServerBusy,
    31: NotFoundError,
    41: ServerBusy,
    45: SnapshotExpiredError,
}


class ThriftScanner:
    """Scans tablets; safe to share between threads, each scan has a connection of its own.

    Args:
        connection: Host map and timeouts; credentials, which backends do not check.
        transport: How connections are made; sockets by default.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        transport: Connector | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.connection = connection
        self._connect = transport or SocketConnector(connection.timeouts.read.total_seconds())
        self._clock = clock

    def scan(
        self,
        group: TabletGroup,
        table: TableId,
        opaque: str,
        options: ScanOptions | None = None,
        *,
        backend: str | None = None,
        deadline: Deadline | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of some tablets, as the batches came over the wire.

        The result is a generator: exhaust it or close it, then the scan is closed too.

        Args:
            group: The tablets and their backend.
            table: Their table.
            opaque: The plan, unread; it pins the versions.
            options: Batch size and limits.
            backend: Another backend that holds all of them.
            deadline: For the scan as a whole; by default the options' query timeout.

        Raises:
            ConnectError: the backend is not reached, or is gone; rows may have come out before.
            SnapshotExpiredError: the plan's versions were merged away: plan again.
            NotFoundError: a tablet is gone.
            QueryError: the backend failed otherwise.
        """
        options = options or ScanOptions()
        deadline = deadline or Deadline.after(options.query_timeout, self._clock)
        node = self.connection.mapped(Node.parse(backend or group.backend))
        scan = _Scan(self._open, node, table, deadline)
        try:
            scan.open(group.tablets, opaque, options, self.connection, deadline)
            yield from scan.batches(deadline)
        finally:
            scan.close(Deadline.after(_CLOSE_SECONDS, self._clock))

    def _open(self, node: Node, deadline: Deadline) -> ThriftConnection:
        timeout = self.connection.timeouts.connect.total_seconds()
        stream = self._connect(node, tls=False, timeout=timeout, deadline=deadline)
        return ThriftConnection(stream, node)


class _Scan:
    """One scan: its context and its offset."""

    def __init__(
        self,
        connect: Callable[[Node, Deadline], ThriftConnection],
        node: Node,
        table: TableId,
        deadline: Deadline,
    ) -> None:
        self._connect = connect
        self._thrift = connect(node, deadline)
        self._node = node
        self._table = table
        self._context: str | None = None
        self._offset = 0
        self._broken = False

    def open(
        self,
        tablets: tuple[int, ...],
        opaque: str,
        options: ScanOptions,
        connection: DorisConnection,
        deadline: Deadline,
    ) -> None:
        user, password = connection.credentials()
        keep_alive = options.keep_alive
        params = idl().TScanOpenParams(
            cluster=_CLUSTER,
            database=self._table.database,
            table=self._table.table,
            tablet_ids=list(tablets),
            opaqued_query_plan=opaque,
            batch_size=options.batch_rows,
            user=user,
            passwd=password,
            keep_alive_min=(
                None if keep_alive is None else min(32767, int(keep_alive.total_seconds() // 60))
            ),
            query_timeout=min(2**31 - 1, int(deadline.remaining()) + 1),
            mem_limit=options.memory_limit,
        )
        result = self._call("open_scanner", params, deadline)
        if not result.context_id:
            raise ProtocolError("a scan without a context", host=self._node, table=self._table)
        self._context = result.context_id

    def batches(self, deadline: Deadline) -> Iterator[pa.RecordBatch]:
        """Batches until the end; an empty one is no end."""
        while True:
            params = idl().TScanNextBatchParams(context_id=self._context, offset=self._offset)
            result = self._call("get_next", params, deadline)
            if result.eos:
                return
            if result.rows is None:
                raise ProtocolError(
                    "a batch without rows before the end", host=self._node, table=self._table
                )
            for batch in self._decoded(result.rows):
                self._offset += batch.num_rows
                if batch.num_rows:
                    yield batch

    def _decoded(self, rows: bytes) -> list[pa.RecordBatch]:
        try:
            with pa.ipc.open_stream(pa.py_buffer(rows)) as reader:
                return list(reader)
        except (pa.ArrowException, OSError) as error:
            raise ProtocolError(
                "a batch is not an Arrow stream",
                host=self._node,
                table=self._table,
                cause=type(error).__name__,
            ) from error

    def _call(self, method: str, params: object, deadline: Deadline) -> Any:
        deadline.check("the scan", host=self._node)
        try:
            result = self._thrift.call(method, params, deadline)
        except DorisError as error:
            # the connection may hold half an answer: nothing more can be said on it
            self._broken = True
            error.table = error.table or str(self._table)
            if isinstance(error, DeadlineExceeded):
                error.host = error.host or str(self._node)
            raise
        code = result.status.status_code
        if code != _OK:
            raise self._status_error(code, result.status.error_msgs or ())
        return result

    def _status_error(self, code: int, messages: Any) -> DorisError:
        name = _CODE_NAMES.get(code, "unknown status")
        kind = _KINDS.get(code, QueryError)
        if any(map(_LOST.search, messages)):
            return TransientError(
                "the backend has lost the scan, or counts its rows otherwise",
                host=self._node,
                table=self._table,
                cause="; ".join(messages)[:1000],
                hint="raise keep_alive where batches are processed slowly",
            )
        if kind in (SnapshotExpiredError, ServerBusy):
            text = "; ".join(messages) or name
            return kind(
                f"scan refused: {name} ({code}): {text}"[:1000],
                host=self._node,
                table=self._table,
                hint="plan again" if kind is SnapshotExpiredError else None,
            )
        return error_of(
            "; ".join(messages),
            kind,
            f"scan refused: {name} ({code})",
            host=self._node,
            table=self._table,
        )

    def close(self, deadline: Deadline) -> None:
        """Ends the scan on the backend, then the connection; never raises for the network."""
        try:
            if self._context is not None:
                params = idl().TScanCloseParams(context_id=self._context)
                with contextlib.suppress(DorisError):
                    if self._broken:
                        self._thrift.close()
                        self._thrift = self._connect(self._node, deadline)
                    self._thrift.call("close_scanner", params, deadline)
        finally:
            self._thrift.close()
