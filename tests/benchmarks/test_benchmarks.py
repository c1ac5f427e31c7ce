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
"""The benchmarks run: on small data they prove nothing but that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import document, read, read_rivals, write, write_rivals
from benchmarks.measure import Result

REPORT = {
    "date": "2026-01-01",
    "quick": False,
    "cores": 2,
    "python": "3.11",
    "versions": {"pyarrow": "25"},
}


def result(ratio: float, *, target: float | None = None, higher: bool = True) -> Result:
    return Result(
        name="read.case",
        ours=ratio,
        reference=1.0,
        unit="MB/s",
        what_reference_is="something",
        target=target,
        higher_is_better=higher,
        cpu_s_per_gb=1.5,
        reference_cpu_s_per_gb=1.0,
    )


def test_canned_peers_serve_reads_and_loads_of_all_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the rivals need an emulator, which the tests of the connector start often enough
    monkeypatch.setattr(read_rivals, "run", lambda quick: [])
    monkeypatch.setattr(write_rivals, "run", lambda quick: [])
    out = tmp_path / "bench.json"
    monkeypatch.setattr(program, "OUT", out)
    assert program.main(["--quick", "read", "write"]) == 0
    names = {each["name"] for each in json.loads(out.read_text())["results"]}
    assert {
        "read.flight.arrow",
        "read.thrift.arrow",
        "read.flight.dict",
        "read.split.overhead",
        "read.thrift.memory",
        "write.arrow",
        "write.json.dict",
        "write.csv.arrow",
    } <= names


def test_a_full_run_fails_when_a_case_misses_its_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "OUT", tmp_path / "bench.json")
    for group in (read, write):
        monkeypatch.setattr(group, "run", lambda quick: [result(0.9, target=0.85)])
    assert program.main(["read"]) == 0
    monkeypatch.setattr(write, "run", lambda quick: [result(1.2, target=1.1, higher=False)])
    assert program.main(["read", "write"]) == 1
    assert program.main(["--quick", "write"]) == 0


def test_the_page_says_what_was_missed(tmp_path: Path) -> None:
    results = [result(0.5, target=0.85), result(2.0, target=0.85), result(3.0)]
    report = {**REPORT, "results": [each.to_json() for each in results]}
    page = document.document(report, tmp_path / "images")
    assert page.count("missed") == 1
    assert "reported" in page
    assert "1.50 (1.00)" in page
    assert (tmp_path / "images" / "bench-read.svg").exists()


def test_no_page_is_made_without_results(tmp_path: Path) -> None:
    assert document.main([str(tmp_path / "none.json"), str(tmp_path / "page.md")]) == 1
