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
"""The two sides of the read benchmarks: the connector's scan, and bare clients of the wire."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
from apache_beam.io.restriction_trackers import OffsetRange
from thriftpy2.protocol.cybin import TCyBinaryProtocol
from thriftpy2.thrift import TClient
from thriftpy2.transport.buffered import TCyBufferedTransport
from thriftpy2.transport.socket import TSocket

from beam_doris.client.contracts import QueryPlan, TabletPlan
from beam_doris.client.flight_sql import statement_query, tablet_query
from beam_doris.client.thrift_transport import idl
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions, ReadProtocol
from beam_doris.read.plan import ScanPlan, ScanTask, TabletMap
from beam_doris.read.request import ReadContext, ReadRequest
from beam_doris.read.restriction import TabletRestrictions
from beam_doris.read.scan import ScanFn
from beam_doris.schema.table_schema import TableSchema

Sink = Callable[[Any], object]
Tablet = tuple[int, str]
OPAQUE = "canned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What both sides read.

    Args:
        connection: The cluster.
        schema: All columns of the table.
        protocol: FLIGHT or THRIFT.
        tablets: Ids, each with its backend.
        threads: How many tablets are read at once.
    """

    connection: DorisConnection
    schema: TableSchema
    protocol: ReadProtocol
    tablets: Sequence[Tablet]
    threads: int

    @property
    def options(self) -> ReadOptions:
        """The defaults, over this protocol."""
        return ReadOptions(protocol=self.protocol)

    def plan(self) -> ScanPlan:
        """As planning would make it."""
        told = QueryPlan(
            table=self.schema.table,
            columns=self.schema.names,
            filter=None,
            tablets=tuple(TabletPlan(number, (backend,), 2) for number, backend in self.tablets),
            opaque=OPAQUE,
        )
        return ScanPlan(
            request=ReadRequest(table=self.schema.table),
            protocol=self.protocol,
            schema=self.schema,
            opaque=OPAQUE if self.protocol is ReadProtocol.THRIFT else None,
            tablets=TabletMap.spread(told),
        )

    def ours(self, sink: Sink) -> int:
        """By the splittable DoFn, called as a runner calls it, without a runner."""
        plan = self.plan()
        splits = [
            (ScanTask(number, len(group.tablets)), OffsetRange(at, at + 1))
            for number, group in enumerate(plan.tablets.groups)
            for at in range(len(group.tablets))
        ]
        return in_threads(self.threads, splits, lambda mine: self._scanned(plan, mine, sink))

    def bare(self, sink: Sink) -> int:
        """By nothing but the library of the wire."""
        read = self._bare_thrift if self.protocol is ReadProtocol.THRIFT else self._bare_flight
        return in_threads(self.threads, self.tablets, lambda mine: read(mine, sink))

    def _scanned(
        self, plan: ScanPlan, splits: Iterable[tuple[ScanTask, OffsetRange]], sink: Sink
    ) -> int:
        context = ReadContext(connection=self.connection, options=self.options, schema=self.schema)
        scan, restrictions = ScanFn(context), TabletRestrictions()
        rows = 0
        scan.start_bundle()
        for task, split in splits:
            for batch in scan.process(task, plan, restrictions.create_tracker(split)):
                rows += batch.num_rows
                sink(batch)
        scan.finish_bundle()
        scan.teardown()
        return rows

    def _bare_flight(self, tablets: Iterable[Tablet], sink: Sink) -> int:
        host = self.connection.frontends[0].host
        frontend = flight.FlightClient(f"grpc+tcp://{host}:{self.connection.flight_port}")
        token = frontend.authenticate_basic_token(b"root", b"")
        options = flight.FlightCallOptions(headers=[token])
        backends: dict[bytes, Any] = {}
        rows = 0
        for number, _ in tablets:
            sql = tablet_query(self.schema.table, self.schema.names, [number])
            descriptor = flight.FlightDescriptor.for_command(statement_query(sql))
            for endpoint in frontend.get_flight_info(descriptor, options).endpoints:
                uri = endpoint.locations[0].uri
                if uri not in backends:
                    backends[uri] = flight.FlightClient(uri.decode())
                for chunk in backends[uri].do_get(endpoint.ticket):
                    rows += chunk.data.num_rows
                    sink(chunk.data)
        for client in (*backends.values(), frontend):
            client.close()
        return rows

    def _bare_thrift(self, tablets: Iterable[Tablet], sink: Sink) -> int:
        rows = 0
        for number, backend in tablets:
            host, _, port = backend.rpartition(":")
            transport = TCyBufferedTransport(TSocket(host, int(port)))
            transport.open()
            client = TClient(idl().TDorisExternalService, TCyBinaryProtocol(transport))
            params = idl().TScanOpenParams(
                cluster="default_cluster",
                database=self.schema.table.database,
                table=self.schema.table.table,
                tablet_ids=[number],
                opaqued_query_plan=OPAQUE,
                batch_size=16384,
            )
            context = client.open_scanner(params).context_id
            offset = 0
            while True:
                asked = idl().TScanNextBatchParams(context_id=context, offset=offset)
                result = client.get_next(asked)
                if result.eos:
                    break
                with pa.ipc.open_stream(result.rows) as reader:
                    for batch in reader:
                        offset += batch.num_rows
                        sink(batch)
            client.close_scanner(idl().TScanCloseParams(context_id=context))
            transport.close()
            rows += offset
        return rows


def in_threads(count: int, tasks: Sequence[Any], work: Callable[[Iterable[Any]], int]) -> int:
    """Runs workers over one list of tasks; the sum of what they return."""
    todo: Queue[Any] = Queue()
    for task in tasks:
        todo.put(task)
    counts: list[int] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            counts.append(work(_taken(todo)))
        except BaseException as error:  # noqa: BLE001  (raised by the caller below)
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts)


def _taken(tasks: Queue[Any]) -> Iterable[Any]:
    while True:
        try:
            yield tasks.get_nowait()
        except Empty:
            return
