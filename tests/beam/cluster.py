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
"""An emulated cluster as pipeline tests see it: a connection, and SQL that is not ours."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pymysql
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_doris.options.connection import DorisConnection, Timeouts

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator


class Cluster:
    """What a test needs of a running emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.ready: dict[str, Any] = emulator.ready
        self.doris = self.connection()

    def connection(self, **more: Any) -> DorisConnection:
        """A connection with short timeouts."""
        times = Timeouts(connect=timedelta(seconds=5), read=timedelta(seconds=20))
        fields: dict[str, Any] = {
            "fenodes": f"127.0.0.1:{self.ready['fe_http']}",
            "username": "root",
            "password": "",
            "timeouts": times,
        }
        return DorisConnection(**{**fields, **more})

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs a statement by pymysql, a client that others wrote."""
        connection = pymysql.connect(
            host="127.0.0.1", port=self.ready["fe_mysql"], user="root", autocommit=True
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()


def pipeline(**options: Any) -> beam.Pipeline:
    """A pipeline on the runner under test."""
    return beam.Pipeline(runner=fn_runner.FnApiRunner(), options=PipelineOptions(**options))
