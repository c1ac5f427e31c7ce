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
"""Runs the benchmarks and writes `build/bench.json`.

python -m benchmarks [--quick] [GROUP ...]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import Result

# each module has `run(quick: bool) -> list[Result]`
GROUPS: tuple[str, ...] = ("read", "write", "lookup")
OUT = Path("build/bench.json")
_VERSIONS = ("apache-beam", "pyarrow", "requests", "pymysql", "orjson", "thriftpy2", "duckdb")


def main(argv: Sequence[str] | None = None) -> int:
    """1 when a case misses its target in a full run."""
    parser = argparse.ArgumentParser(description="Ratios against the raw wire and rivals.")
    parser.add_argument("--quick", action="store_true", help="small data: proves that it runs")
    parser.add_argument("groups", nargs="*", help="of " + ", ".join(GROUPS))
    args = parser.parse_args(argv)
    results: list[Result] = []
    for group in args.groups or GROUPS:
        for result in importlib.import_module(f"benchmarks.{group}").run(args.quick):
            print(_line(result), flush=True)
            results.append(result)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(_report(results, args.quick), indent=1) + "\n", "utf-8")
    return 0 if args.quick else int(any(_missed(result) for result in results))


def _missed(result: Result) -> bool:
    if result.target is None:
        return False
    if result.higher_is_better:
        return result.ratio < result.target
    return result.ratio > result.target


def _line(result: Result) -> str:
    goal = "" if result.target is None else f"  target {result.target:g}"
    miss = "  MISSED" if _missed(result) else ""
    return (
        f"{result.name:32} {result.ours:>14,.1f} {result.reference:>14,.1f} {result.unit:10} "
        f"ratio {result.ratio:.3f}{goal}{miss}"
    )


def _report(results: Sequence[Result], quick: bool) -> dict[str, object]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "quick": quick,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _VERSIONS},
        "results": [result.to_json() for result in results],
    }


if __name__ == "__main__":
    sys.exit(main())
