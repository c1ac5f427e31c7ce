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
"""Asks the frontend which tablets hold the rows: once per run, on a worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import apache_beam as beam
from apache_beam import pvalue

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.lineage import report_source
from beam_doris.beam_support.metrics import ReadMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.client.frontend import Frontend
from beam_doris.client.query_plan import choose_backends
from beam_doris.errors import DorisError
from beam_doris.options.reading import ReadProtocol
from beam_doris.read.checking import selected_schema
from beam_doris.read.request import ReadRequest, ScanPlan, ScanTask

PLAN = "plan"

_log = logging.getLogger(__name__)


class PlanFn(beam.DoFn):
    """Emits the tasks of a read, and beside them (tag `plan`) what all of them share."""

    def __init__(self, request: ReadRequest) -> None:
        self._request = request
        self._metrics = ReadMetrics()

    def process(self, element: bytes) -> Iterator[ScanTask | pvalue.TaggedOutput]:  # noqa: ARG002
        """Plans now: the versions that a Thrift read sees are pinned here."""
        try:
            yield from self._outputs()
        except DorisError as error:
            raise whole(error) from error.__cause__

    def _outputs(self) -> Iterator[ScanTask | pvalue.TaggedOutput]:
        request = self._request
        frontend = shared_client(Frontend, request.connection)
        schema = request.schema
        if schema is None:
            schema = selected_schema(frontend.schema(request.table), request.columns)
        protocol = self._protocol(frontend)
        plan = frontend.plan(request.table, schema.names, request.filter)
        per_split = request.options.tablets_per_split
        groups = choose_backends(plan, tablets_per_group=per_split)
        report_source(request.connection, request.table)
        self._metrics.planned.inc(len(plan.tablets))
        _log.info(
            "%s: %d tablets on %d backends, by %s",
            request.table,
            len(plan.tablets),
            len({group.backend for group in groups}),
            protocol.value,
        )
        rows = self._rows_per_tablet(frontend, len(plan.tablets))
        for group in groups:
            yield ScanTask(group.backend, group.tablets, group.alternatives, per_split, rows)
        opaque = plan.opaque if protocol is ReadProtocol.THRIFT else None
        yield pvalue.TaggedOutput(PLAN, ScanPlan(opaque=opaque, protocol=protocol, schema=schema))

    def _protocol(self, frontend: Frontend) -> ReadProtocol:
        wanted = self._request.options.protocol
        if wanted is not ReadProtocol.AUTO:
            return wanted
        connection = self._request.connection
        if connection.flight_port is not None:
            return ReadProtocol.FLIGHT
        try:
            offered = any(node.alive and node.flight_port for node in frontend.frontends())
        except DorisError as error:
            # listing frontends may need a right that reading does not
            _log.info("reading by Thrift: the frontends cannot be listed (%s)", error.message)
            return ReadProtocol.THRIFT
        return ReadProtocol.FLIGHT if offered else ReadProtocol.THRIFT

    def _rows_per_tablet(self, frontend: Frontend, tablets: int) -> int:
        try:
            return frontend.count(self._request.table) // max(1, tablets)
        except DorisError:
            # only an estimate for progress: a read must not fail for want of it
            return 1
