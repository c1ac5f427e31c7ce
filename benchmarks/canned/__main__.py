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
"""All canned peers in one process; prints their ports as one line of JSON, then serves.

python -m benchmarks.canned --tablet-rows 416667 --tablets 12 --backends 3 --wide 1
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from benchmarks.canned.flight import CannedBackend, CannedFrontend
from benchmarks.canned.http import CannedHttp
from benchmarks.canned.table import rows_of
from benchmarks.canned.thrift import CannedScanner


def main() -> int:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser(description="Peers that answer from memory.")
    parser.add_argument("--tablet-rows", type=int, default=1000)
    parser.add_argument("--tablets", type=int, default=12)
    parser.add_argument("--backends", type=int, default=3)
    parser.add_argument("--wide", type=int, default=1)
    parser.add_argument("--flight-batch", type=int, default=8192)
    parser.add_argument("--thrift-batch", type=int, default=16384)
    args = parser.parse_args()
    rows = rows_of(args.tablet_rows, args.wide)
    flights = [CannedBackend(_cut(rows, args.flight_batch)) for _ in range(args.backends)]
    scanners = [CannedScanner(_cut(rows, args.thrift_batch)) for _ in range(args.backends)]
    frontend = CannedFrontend(rows.schema, [each.port for each in flights])
    drain = CannedHttp({})
    routings = [f"127.0.0.1:{scanner.port}" for scanner in scanners]
    plan = {
        "status": 200,
        "opaqued_query_plan": "canned",
        "partitions": {
            str(tablet): {"routings": [routings[tablet % len(routings)]], "version": 2}
            for tablet in range(args.tablets)
        },
    }
    answers = {
        "_query_plan": json.dumps({"msg": "success", "code": 0, "data": plan}).encode(),
        "_count": json.dumps(
            {
                "msg": "success",
                "code": 0,
                "data": {"status": 200, "size": args.tablet_rows * args.tablets},
            }
        ).encode(),
    }
    http = CannedHttp(answers, redirect=drain.port)
    for scanner in scanners:
        scanner.start()
    drain.start()
    http.start()
    ready = {
        "http": http.port,
        "drain": drain.port,
        "flight": frontend.port,
        "flights": [each.port for each in flights],
        "scanners": routings,
        "rows": args.tablet_rows * args.tablets,
        "bytes": rows.nbytes * args.tablets,
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    return 0


def _cut(rows: Any, length: int) -> list[Any]:
    return [rows.slice(start, length) for start in range(0, rows.num_rows, length)]


if __name__ == "__main__":
    status = main()
    # the Flight servers' threads would keep the process waiting
    os._exit(status)
