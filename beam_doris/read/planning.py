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
"""The planning steps of the graph: once per run, on a worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from beam_doris.beam_support.lineage import report_source
from beam_doris.beam_support.metrics import ReadMetrics
from beam_doris.beam_support.step_errors import whole
from beam_doris.errors import DorisError
from beam_doris.read.columns import selected_schema
from beam_doris.read.plan import ScanTask
from beam_doris.read.planner import Planned, Planner
from beam_doris.read.request import ReadContext, ReadRequest, merged_request

PLAN = "plan"

# How many bytes the copies of a plan may take, where every split brings its own.
_COPIES_BYTES = 64 << 20


class PlanFn(beam.DoFn):
    """Emits the tasks of a read, and beside them (tag `plan`) what all of them share.

    Args:
        context: Where and how is read.
        request: What is read.
    """

    def __init__(self, context: ReadContext, request: ReadRequest) -> None:
        self._context = context
        self._request = request
        self._metrics = ReadMetrics()

    def process(self, element: bytes) -> Iterator[ScanTask | pvalue.TaggedOutput]:  # noqa: ARG002
        """Plans now: the versions that a Thrift read sees are pinned here."""
        planned = _planned(self._context, self._request, self._metrics)
        yield from planned.tasks
        yield pvalue.TaggedOutput(PLAN, planned.plan)


class PlanEachFn(beam.DoFn):
    """Emits for each request the tasks that read it; each brings its plan.

    Args:
        context: Where and how is read.
    """

    def __init__(self, context: ReadContext) -> None:
        self._context = context
        self._metrics = ReadMetrics()

    def process(self, element: Any) -> Iterator[ScanTask]:
        """Plans one request."""
        try:
            request = ReadRequest.of(element)
        except DorisError as error:
            raise whole(error) from error.__cause__
        planned = _planned(self._context, request, self._metrics)
        size = 256 + len(planned.plan.opaque or "") + len(planned.plan.tablets.encode())
        splits = max(1, _COPIES_BYTES // size)
        tablets = max(1, len(planned.plan.tablets))
        for task in planned.tasks:
            length = max(task.per_split, -(-tablets // splits))
            yield replace(task, per_split=length, plan=planned.plan)


def _planned(context: ReadContext, request: ReadRequest, metrics: ReadMetrics) -> Planned:
    try:
        wanted = merged_request(request.settled(), context.options)
        planner = Planner(_fitting(context, wanted))
        planned = planner.plan(wanted)
    except DorisError as error:
        raise whole(error) from error.__cause__
    if wanted.query is None:
        report_source(planner.connection, wanted.table)
    metrics.planned.inc(len(planned.plan.tablets))
    return planned


def _fitting(context: ReadContext, request: ReadRequest) -> ReadContext:
    """The context with the columns that this very request selects."""
    if context.schema is None or request.columns is None:
        return context
    return replace(context, schema=selected_schema(context.schema, request.columns))
