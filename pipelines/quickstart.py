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
"""The quick start: real data into Doris, back out in two ways, transformed, and in again.

    python -m pipelines.quickstart

starts an emulated cluster of three backends and needs no server. Against a real one:

    DORIS_PASSWORD=... python -m pipelines.quickstart --fenodes doris:8030 --query-port 9030

Every other argument is Beam's, such as --runner=DirectRunner.

It loads the New York flights of 2013 into five tables, each in another form; reads the flights
back by Arrow Flight and by Thrift; computes the mean arrival delay by carrier and month with Beam;
writes it; enriches every flight from four of the tables; and holds every table against DuckDB, which reads the data's own files. Whatever is
wrong is named, and the exit status says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from beam_doris import (
    DorisConnection,
    LoadFormat,
    ReadFromDoris,
    ReadOptions,
    ReadProtocol,
    Secret,
    WriteOptions,
    WriteToDoris,
)
from beam_doris.beam_support.metrics import ROWS_COMMITTED, ROWS_READ
from beam_doris.emulator import EmulatorProcess
from pipelines import enrich_flights
from pipelines.demo import chart, data, tables, verify
from pipelines.demo.report import Counter, Report
from pipelines.demo.tables import DATABASE, Sql

BUILD = Path("build")


# ------------------------------------------------------------------------- the pipelines


def load_airlines(p: beam.Pipeline, doris: DorisConnection) -> None:
    """Raw lines of a CSV file, as they are."""
    (
        p
        | beam.io.ReadFromText(data.csv_path("airlines"), skip_header_lines=1)
        | WriteToDoris(
            doris,
            table=f"{DATABASE}.airlines",
            label_prefix="quickstart",
            columns=["carrier", "name"],
            options=WriteOptions(
                load_format=LoadFormat.CSV, load_properties={"column_separator": ","}
            ),
        )
    )


def load_airports(p: beam.Pipeline, doris: DorisConnection) -> None:
    """Typed tuples, as JSON; their fields are checked against the table before anything runs."""
    (
        p
        | beam.Impulse()
        | beam.FlatMap(lambda _: data.airports()).with_output_types(data.Airport)
        | WriteToDoris(doris, table=f"{DATABASE}.airports", label_prefix="quickstart")
    )


def load_planes(p: beam.Pipeline, doris: DorisConnection) -> None:
    """Dicts, as JSON."""
    (
        p
        | beam.Impulse()
        | beam.FlatMap(lambda _: data.planes()).with_output_types(dict[str, Any])
        | WriteToDoris(doris, table=f"{DATABASE}.planes", label_prefix="quickstart")
    )


def load_weather(p: beam.Pipeline, doris: DorisConnection) -> None:
    """Plain tuples, as CSV; what they carry is declared."""
    (
        p
        | beam.Impulse()
        | beam.FlatMap(lambda _: data.weather()).with_output_types(tuple[Any, ...])
        | WriteToDoris(
            doris,
            table=f"{DATABASE}.weather",
            label_prefix="quickstart",
            columns=data.WEATHER_COLUMNS,
            options=WriteOptions(load_format=LoadFormat.CSV),
        )
    )


def load_flights(p: beam.Pipeline, doris: DorisConnection) -> None:
    """Arrow batches, as Arrow: no row is ever touched by itself."""
    (
        p
        | beam.Impulse()
        | beam.FlatMap(lambda _: data.flight_batches()).with_output_types(pa.RecordBatch)
        | beam.Map(count_batch).with_output_types(pa.RecordBatch)
        | WriteToDoris(
            doris,
            table=f"{DATABASE}.flights",
            label_prefix="quickstart",
            options=WriteOptions(load_format=LoadFormat.ARROW),
        )
    )


def mean_delays(protocol: ReadProtocol, target: str) -> Callable[..., None]:
    """Flights out of Doris, aggregated, into Doris."""

    def build(p: beam.Pipeline, doris: DorisConnection) -> None:
        (
            p
            | ReadFromDoris(
                doris,
                table=f"{DATABASE}.flights",
                columns=["carrier", "month", "arr_delay"],
                filter="arr_delay IS NOT NULL",
                output="tuple",
                options=ReadOptions(protocol=protocol),
            )
            | beam.Map(by_carrier_and_month)
            | beam.CombinePerKey(MeanWithCount())
            | beam.Map(summary_row)
            | WriteToDoris(doris, table=f"{DATABASE}.{target}", label_prefix="quickstart")
        )

    return build


def greet_students(p: beam.Pipeline, doris: DorisConnection) -> None:
    """The quick start of the Flink connector's manual: prefix the name, add one to the age."""
    (
        p
        | ReadFromDoris(doris, table="test.student")
        | beam.Map(lambda s: {"id": s.id, "name": f"prefix_{s.name}", "age": s.age + 1})
        | WriteToDoris(doris, table="test.student_trans", label_prefix="doris_label")
    )


# ---------------------------------------------------------------- what they do with elements


def count_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Lets the progress lines know."""
    Counter.rows += batch.num_rows
    return batch


def by_carrier_and_month(row: tuple[str, int, int]) -> tuple[tuple[str, int], int]:
    """Key and delay of a flight."""
    Counter.rows += 1
    carrier, month, delay = row
    return (carrier, month), delay


class MeanWithCount(beam.CombineFn):
    """Count and mean of whole numbers; the sum stays whole, so the mean is exact."""

    def create_accumulator(self) -> tuple[int, int]:
        """Nothing yet."""
        return 0, 0

    def add_input(self, so_far: tuple[int, int], value: int) -> tuple[int, int]:
        """One more."""
        return so_far[0] + 1, so_far[1] + value

    def merge_accumulators(self, parts: Any) -> tuple[int, int]:
        """Sums of sums."""
        counts, sums = zip(*parts, strict=True)
        return sum(counts), sum(sums)

    def extract_output(self, total: tuple[int, int]) -> tuple[int, float]:
        """Count and mean."""
        return total[0], total[1] / total[0]


def summary_row(item: tuple[tuple[str, int], tuple[int, float]]) -> dict[str, Any]:
    """A row of the summary table."""
    (carrier, month), (flights, mean) = item
    return {"carrier": carrier, "month": month, "flights": flights, "mean_delay": mean}


# --------------------------------------------------------------------------------- the walk


@dataclass(frozen=True)
class Cluster:
    """A cluster to run against."""

    connection: DorisConnection
    query_port: int
    replicas: int
    pid: int | None


def run_all(cluster: Cluster, report: Report, runner: PipelineOptions) -> None:
    """Every pipeline in turn, each timed from its construction to its last commit."""
    doris = cluster.connection
    steps: list[tuple[str, Callable[..., None]]] = [
        ("write airlines (raw CSV lines)", load_airlines),
        ("write airports (NamedTuple, JSON)", load_airports),
        ("write planes (dict, JSON)", load_planes),
        ("write weather (tuple, CSV)", load_weather),
        ("write flights (Arrow)", load_flights),
        (
            "read by Flight, aggregate, write",
            mean_delays(ReadProtocol.FLIGHT, "delays_by_flight"),
        ),
        (
            "read by Thrift, aggregate, write",
            mean_delays(ReadProtocol.THRIFT, "delays_by_thrift"),
        ),
        ("enrich flights from four tables, write", enrich_flights.enrich),
        ("the manual's quick start", greet_students),
    ]
    for name, build in steps:
        with report.stage(name) as moved:
            pipeline = beam.Pipeline(options=runner)
            build(pipeline, doris)
            result = pipeline.run()
            result.wait_until_finish()
            counted = counters(result)
            moved.append(counted.get(ROWS_READ) or counted.get(ROWS_COMMITTED, 0))


def counters(result: Any) -> dict[str, int]:
    """What the transforms counted in a run that has ended."""
    found = result.metrics().query()["counters"]
    return {item.key.metric.name: item.committed for item in found}


def check_all(sql: Sql, files: verify.Files) -> dict[str, int]:
    """Every check; returns the rows of every table."""
    counts = verify.check_counts(sql, files)
    print(f"  counts of {len(counts)} tables: equal")
    print(f"  contents of {verify.check_contents(sql, files)} columns: equal")
    for table in ("delays_by_flight", "delays_by_thrift"):
        counts[table] = len(verify.check_delays(sql, files, table))
        print(f"  {table}: {counts[table]} rows, equal to the last digit")
    flights, unknown = enrich_flights.check(sql, files)
    counts[enrich_flights.TABLE] = flights
    print(f"  {enrich_flights.TABLE}: equal to the join; {unknown} flights of unknown planes")
    verify.check_students(sql)
    print("  test.student_trans: as the manual prints it")
    for table in ("student", "student_trans"):
        counts[table] = sql.count(f"test.{table}")
    return counts


@contextmanager
def cluster_of(args: argparse.Namespace) -> Iterator[Cluster]:
    """The cluster that was named, or an emulated one of three backends."""
    if args.fenodes:
        password = Secret.env(args.password_env) if args.password_env else Secret.of("")
        doris = DorisConnection(
            fenodes=args.fenodes,
            username=args.user,
            password=password,
            query_port=args.query_port,
            flight_port=args.flight_port,
        )
        yield Cluster(doris, args.query_port, args.replicas, None)
        return
    with EmulatorProcess(backends=3) as emulator:
        ready = emulator.ready
        doris = DorisConnection(
            fenodes=f"127.0.0.1:{ready['fe_http']}", username=ready["user"], password=""
        )
        yield Cluster(doris, ready["fe_mysql"], 3, emulator.pid)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; 0 when everything is as it should be."""
    args, beam_args = argument_parser().parse_known_args(argv)
    runner = PipelineOptions(beam_args or ["--runner=FnApiRunner"])
    with tempfile.TemporaryDirectory() as folder, cluster_of(args) as cluster:
        user, password = cluster.connection.credentials()
        host = cluster.connection.frontends[0].host
        files = verify.Files(data.unpack_flights(Path(folder)))
        with (
            tables.session(host, cluster.query_port, user, password) as sql,
            Report(cluster.pid) as report,
        ):
            tables.create_all(sql, cluster.replicas)
            enrich_flights.create_table(sql, cluster.replicas)
            print("pipelines")
            run_all(cluster, report, runner)
            print("checks against DuckDB on the files")
            try:
                counts = check_all(sql, files)
            except verify.WrongResult as wrong:
                print(f"WRONG: {wrong}", file=sys.stderr)
                report.write(BUILD / "demo.json", {}, verified=False)
                return 1
            finally:
                files.close()
            names = {row[0]: row[1] for row in sql.rows(f"SELECT * FROM {DATABASE}.airlines")}
            delays = verify.summary(sql, "delays_by_flight")
    chart.draw_delays(delays, names, BUILD / "demo-delays.png")
    report.write(BUILD / "demo.json", counts, verified=True)
    print(f"\n{report.table()}")
    print(f"{report.memory()}\nchart: {BUILD / 'demo-delays.png'}   figures: {BUILD / 'demo.json'}")
    return 0


def argument_parser() -> argparse.ArgumentParser:
    """The arguments that are not Beam's."""
    parser = argparse.ArgumentParser(description="The quick start of beam_doris.")
    parser.add_argument("--fenodes", help="host:http_port of a frontend; none: an emulated cluster")
    parser.add_argument("--user", default="root")
    parser.add_argument("--password-env", help="the environment variable that holds the password")
    parser.add_argument("--query-port", type=int, default=9030)
    parser.add_argument("--flight-port", type=int, help="discovered when it is not given")
    parser.add_argument("--replicas", type=int, default=3, help="at most the number of backends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
