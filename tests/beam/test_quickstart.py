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
"""The demo notices when something is wrong, and says what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines import quickstart
from pipelines.demo import chart, data, verify
from pipelines.demo.report import Report


def test_missing_rows_end_the_demo_with_a_failure_that_names_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def only_airlines(cluster: Any, report: Report, runner: Any) -> None:
        import apache_beam as beam

        with report.stage("write airlines"), beam.Pipeline(options=runner) as pipeline:
            quickstart.load_airlines(pipeline, cluster.connection)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quickstart, "run_all", only_airlines)
    assert quickstart.main([]) == 1
    assert "count of airports: Doris 0, file 1458" in capsys.readouterr().err
    assert json.loads((tmp_path / "build/demo.json").read_text())["verified"] is False


def test_the_data_is_what_was_published() -> None:
    assert sum(batch.num_rows for batch in data.flight_batches()) == data.ROWS["flights"]
    assert len(list(data.weather())) == data.ROWS["weather"]
    assert len(list(data.planes())) == data.ROWS["planes"]
    assert len(list(data.airports())) == data.ROWS["airports"]


def test_a_wrong_mean_is_found(tmp_path: Path) -> None:
    files = verify.Files(data.unpack_flights(tmp_path))
    right = [(row[0], int(row[1]), int(row[2]), float(row[3])) for row in files.rows(verify.DELAYS)]

    class Doris:
        def __init__(self, rows: list[Any]) -> None:
            self._rows = rows

        def rows(self, query: str) -> list[Any]:
            return self._rows

    assert verify.check_delays(Doris(right), files, "delays") == right  # type: ignore[arg-type]
    carrier, month, flights, mean = right[7]
    wrong = [*right[:7], (carrier, month, flights, mean + 1e-9), *right[8:]]
    with pytest.raises(verify.WrongResult, match=carrier):
        verify.check_delays(Doris(wrong), files, "delays")  # type: ignore[arg-type]
    with pytest.raises(verify.WrongResult, match="184 rows"):
        verify.check_delays(Doris(right[1:]), files, "delays")  # type: ignore[arg-type]
    files.close()


def test_the_chart_is_drawn(tmp_path: Path) -> None:
    delays = [("AA", month, 10, month - 6.0) for month in range(1, 13)]
    chart.draw_delays(delays, {"AA": "American"}, tmp_path / "delays.png")
    assert (tmp_path / "delays.png").read_bytes().startswith(b"\x89PNG")
