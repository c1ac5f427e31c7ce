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
"""Flights enriched from dimension tables: airline, both airports, and plane.

    python -m pipelines.enrich_flights

loads the New York flights of 2013 into an emulated cluster (or into a real one, named with
--fenodes as in `pipelines.quickstart`), joins every flight with four lookups, writes the result
to Doris, and holds it against the same join in DuckDB on the data's own files.

Two of the dimensions are small and are kept whole; airports and planes are asked for by key. One
flight in seven has a plane that the table of planes does not know: the left join keeps it.
"""

from __future__ import annotations

import collections
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_doris import DorisConnection, LoadFormat, ReadFromDoris, WriteOptions, WriteToDoris
from beam_doris.beam_support.metrics import (
    LOOKUP_ELEMENTS,
    LOOKUP_HITS,
    LOOKUP_LOADS,
    LOOKUP_MATCHED,
)
from beam_doris.lookup import EnrichFromDoris
from pipelines.demo import data, tables, verify
from pipelines.demo.tables import DATABASE, Sql

TABLE = "flights_enriched"
FLIGHT_COLUMNS = (
    "year",
    "month",
    "day",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "arr_delay",
)
DDL = f"""
    CREATE TABLE {DATABASE}.{TABLE} (
        year               SMALLINT NOT NULL,
        month              TINYINT NOT NULL,
        day                TINYINT NOT NULL,
        carrier            VARCHAR(2),
        flight             INT,
        tailnum            VARCHAR(8),
        origin             CHAR(3),
        dest               CHAR(3),
        arr_delay          INT,
        airline_name       VARCHAR(64),
        origin_name        VARCHAR(128),
        dest_name          VARCHAR(128),
        dest_tzone         VARCHAR(64),
        plane_manufacturer VARCHAR(64),
        plane_model        VARCHAR(32),
        plane_seats        SMALLINT
    ) DUPLICATE KEY(year, month, day)
    DISTRIBUTED BY HASH(flight) BUCKETS 12 PROPERTIES ("replication_num" = "3")"""

_GROUPS = (
    "carrier, origin, dest, airline_name, origin_name, dest_name, dest_tzone, "
    "plane_manufacturer, plane_model, plane_seats"
)
_SUMS = "count(*), sum(flight), sum(month * 100 + day), sum(arr_delay), count(tailnum)"
EXPECTED = f"""
    SELECT {_GROUPS}, {_SUMS} FROM (
        SELECT f.*, l.name AS airline_name, o.name AS origin_name,
            d.name AS dest_name, d.tzone AS dest_tzone, p.manufacturer AS plane_manufacturer,
            p.model AS plane_model, p.seats AS plane_seats
        FROM flights f
        LEFT JOIN airlines l ON f.carrier = l.carrier
        LEFT JOIN airports o ON f.origin = o.faa
        LEFT JOIN airports d ON f.dest = d.faa
        LEFT JOIN planes p ON f.tailnum = p.tailnum)
    GROUP BY {_GROUPS}"""


def enrich(p: beam.Pipeline, doris: DorisConnection) -> None:
    """Reads batches, joins them four times, writes batches: no row is ever an element."""
    (
        p
        | ReadFromDoris(doris, table=f"{DATABASE}.flights", columns=FLIGHT_COLUMNS, output="arrow")
        | "Airline"
        >> EnrichFromDoris(
            doris,
            table=f"{DATABASE}.airlines",
            keys=["carrier"],
            on_clash="prefix:airline_",
            cache="full",
        )
        | "Origin"
        >> EnrichFromDoris(
            doris,
            table=f"{DATABASE}.airports",
            keys={"origin": "faa"},
            columns=["name"],
            on_clash="prefix:origin_",
        )
        | "Destination"
        >> EnrichFromDoris(
            doris,
            table=f"{DATABASE}.airports",
            keys={"dest": "faa"},
            columns=["name", "tzone"],
            on_clash="prefix:dest_",
        )
        | "Plane"
        >> EnrichFromDoris(
            doris,
            table=f"{DATABASE}.planes",
            keys=["tailnum"],
            columns=["manufacturer", "model", "seats"],
            on_clash="prefix:plane_",
        )
        | WriteToDoris(
            doris,
            table=f"{DATABASE}.{TABLE}",
            label_prefix="enrich_flights",
            options=WriteOptions(load_format=LoadFormat.ARROW),
        )
    )


def create_table(sql: Sql, replicas: int) -> None:
    """The target, empty."""
    sql.run(f"DROP TABLE IF EXISTS {DATABASE}.{TABLE}")
    sql.run(tables.replicated(DDL, replicas))


def check(sql: Sql, files: verify.Files) -> tuple[int, int]:
    """Every group of equal dimensions has the flights that DuckDB's join gives it.

    Returns:
        All flights, and those without a plane.

    Raises:
        WrongResult: one differs, is missing or too many.
    """
    ours = _grouped(
        sql.rows(f"SELECT {_GROUPS}, {_SUMS} FROM {DATABASE}.{TABLE} GROUP BY {_GROUPS}")
    )
    theirs = _grouped(files.rows(EXPECTED))
    if ours != theirs:
        wrong = sorted(ours.items() ^ theirs.items(), key=str)[0]
        raise verify.WrongResult(f"{TABLE}: a group differs from DuckDB's: {wrong}")
    flights = sum(counts[0] for counts in ours.values())
    unknown = sum(counts[0] for group, counts in ours.items() if group[7] is None)
    if flights != data.ROWS["flights"]:
        raise verify.WrongResult(f"{TABLE}: {flights} flights of {data.ROWS['flights']}")
    return flights, unknown


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[int, ...]]:
    return {
        tuple(None if value is None else str(value) for value in row[:10]): tuple(
            0 if value is None else int(value) for value in row[10:]
        )
        for row in rows
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Loads, enriches, verifies; 0 when everything is as it should be."""
    from pipelines import quickstart

    args, beam_args = quickstart.argument_parser().parse_known_args(argv)
    runner = PipelineOptions(beam_args or ["--runner=FnApiRunner"])
    with tempfile.TemporaryDirectory() as folder, quickstart.cluster_of(args) as cluster:
        user, password = cluster.connection.credentials()
        host = cluster.connection.frontends[0].host
        files = verify.Files(data.unpack_flights(Path(folder)))
        with tables.session(host, cluster.query_port, user, password) as sql:
            tables.create_all(sql, cluster.replicas)
            create_table(sql, cluster.replicas)
            for load in (
                quickstart.load_airlines,
                quickstart.load_airports,
                quickstart.load_planes,
                quickstart.load_flights,
            ):
                with beam.Pipeline(options=runner) as p:
                    load(p, cluster.connection)
            begun = time.monotonic()
            pipeline = beam.Pipeline(options=runner)
            enrich(pipeline, cluster.connection)
            result = pipeline.run()
            result.wait_until_finish()
            seconds = time.monotonic() - begun
            try:
                flights, unknown = check(sql, files)
            except verify.WrongResult as wrong:
                print(f"WRONG: {wrong}", file=sys.stderr)
                return 1
            finally:
                files.close()
    counted: collections.Counter[str] = collections.Counter()
    for item in result.metrics().query()["counters"]:
        counted[item.key.metric.name] += item.committed
    print(f"{flights} flights enriched in {seconds:.1f} s, equal to DuckDB's join")
    print(f"{unknown} of them have a plane that is not known")
    print(
        f"{counted[LOOKUP_ELEMENTS]} lookups, {counted[LOOKUP_MATCHED]} matched, "
        f"{counted[LOOKUP_HITS]} keys of batches from the cache, {counted[LOOKUP_LOADS]} queries"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
