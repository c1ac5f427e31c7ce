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
"""The two sides of the write benchmarks: the connector's load, and bare clients of the wire."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import orjson
import requests

from beam_doris.options.connection import DorisConnection
from beam_doris.options.writing import LoadFormat, WriteOptions
from beam_doris.schema.table_schema import TableSchema
from beam_doris.write.job import OnRowError, WriteJob
from beam_doris.write.load_fn import LoadFn
from beam_doris.write.pack_fn import PackFn


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What both sides send.

    Args:
        connection: The cluster.
        drain: The backend's HTTP port.
        schema: All columns of the table.
        load_format: Of the bodies.
    """

    connection: DorisConnection
    drain: int
    schema: TableSchema
    load_format: LoadFormat

    @property
    def job(self) -> WriteJob:
        """As the transform would make it."""
        return WriteJob(
            connection=self.connection,
            table=self.schema.table,
            label_prefix="bench",
            run_id="r1",
            columns=None,
            schema=self.schema,
            options=WriteOptions(load_format=self.load_format),
            on_row_error=OnRowError.FAIL,
        )

    def ours(self, elements: Iterable[Any]) -> int:
        """One bundle through the packing and the loading DoFn, called as a runner calls them."""
        pack, load = PackFn(self.job), LoadFn(self.job)
        pack.setup()
        pack.start_bundle()
        load.start_bundle()
        for element in elements:
            for chunk in pack.process(element) or ():
                load.process(chunk)
        for last in pack.finish_bundle() or ():
            load.process(last.value)
        return sum(token.value.bytes for token in load.finish_bundle())

    def curl(self, body: Path) -> int:
        """The body in a file, sent by curl as the manual shows it."""
        url = f"http://{self.connection.frontends[0]}/api/{self._path()}"
        command = ["curl", "--silent", "--fail", "--location-trusted", "-u", "root:"]
        command += ["-H", "Expect: 100-continue", "-H", f"format: {self.load_format.value}"]
        command += ["-H", "label: bench_curl", "-T", str(body), url]
        done = subprocess.run(command, capture_output=True, check=True, timeout=300)
        assert orjson.loads(done.stdout)["Status"] == "Success"
        return body.stat().st_size

    def orjson_and_requests(self, rows: Sequence[dict[str, Any]], at_once: int) -> int:
        """What one writes by hand: encode some rows, put them, and again."""
        url = f"http://127.0.0.1:{self.drain}/api/{self._path()}"
        headers = {"format": "json", "read_json_by_line": "true"}
        sent = 0
        with requests.Session() as session:
            session.auth = ("root", "")
            for start in range(0, len(rows), at_once):
                body = b"\n".join(
                    [orjson.dumps(row, default=str) for row in rows[start : start + at_once]]
                )
                reply = session.put(url, data=body, headers=headers, timeout=60)
                assert reply.json()["Status"] == "Success"
                sent += len(body)
        return sent

    def put(self, bodies: Iterable[bytes], load_format: str) -> int:
        """Ready bodies by requests, one after the other."""
        url = f"http://127.0.0.1:{self.drain}/api/{self._path()}"
        sent = 0
        with requests.Session() as session:
            for body in bodies:
                reply = session.put(url, data=body, headers={"format": load_format}, timeout=60)
                assert reply.json()["Status"] == "Success"
                sent += len(body)
        return sent

    def _path(self) -> str:
        table = self.schema.table
        return f"{table.database}/{table.table}/_stream_load"


def beam_rows(rows: Sequence[dict[str, Any]]) -> list[beam.Row]:
    """The same rows as Beam's."""
    return [beam.Row(**row) for row in rows]
