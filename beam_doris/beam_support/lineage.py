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
"""Tells Beam which tables a pipeline reads and writes."""

from __future__ import annotations

from apache_beam.metrics.metric import Lineage

from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId

SYSTEM = "doris"


def report_source(connection: DorisConnection, table: TableId) -> None:
    """Records a table as a source; call it where work runs, not where a graph is built."""
    Lineage.sources().add(SYSTEM, *_segments(connection, table))


def report_sink(connection: DorisConnection, table: TableId) -> None:
    """Records a table as a sink; call it where work runs, not where a graph is built."""
    Lineage.sinks().add(SYSTEM, *_segments(connection, table))


def _segments(connection: DorisConnection, table: TableId) -> tuple[str, ...]:
    return str(connection.fenodes[0]), table.catalog, table.database, table.table
