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
"""Checks the tables against DuckDB, which reads the data's own files: an independent path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from pipelines.demo.data import MISSING, ROWS, csv_path
from pipelines.demo.tables import DATABASE, Sql


class WrongResult(Exception):
    """A check that failed; the message says which and how."""


class Files:
    """The data's files, queried by DuckDB.

    Args:
        flights: The unzipped flights.csv.
    """

    def __init__(self, flights: Path) -> None:
        self._duckdb = duckdb.connect()
        for table in ROWS:
            path = str(flights) if table == "flights" else csv_path(table)
            quoted = path.replace("'", "''")
            # the hours end in Z; as UTC wall clock they are what the tables hold
            self._duckdb.execute("SET TimeZone = 'UTC'")
            self._duckdb.execute(
                f"CREATE TABLE {table} AS SELECT * FROM "
                f"read_csv('{quoted}', header = true, nullstr = '{MISSING}', sample_size = -1)"
            )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return list(self._duckdb.execute(query).fetchall())

    def columns(self, table: str) -> list[tuple[str, str]]:
        """Names and types of a file's columns."""
        return [(row[0], row[1]) for row in self.rows(f"DESCRIBE {table}")]

    def close(self) -> None:
        """Ends DuckDB."""
        self._duckdb.close()


DELAYS = """
    SELECT carrier, month, count(arr_delay) AS flights,
           sum(arr_delay)::DOUBLE / count(arr_delay) AS mean_delay
    FROM flights WHERE arr_delay IS NOT NULL
    GROUP BY carrier, month ORDER BY carrier, month"""


def check_counts(sql: Sql, files: Files) -> dict[str, int]:
    """Every table has the rows of its file, no more and no fewer.

    Raises:
        WrongResult: one has not.
    """
    found = {}
    for table, published in ROWS.items():
        expected = int(files.rows(f"SELECT count(*) FROM {table}")[0][0])
        found[table] = sql.count(f"{DATABASE}.{table}")
        if not found[table] == expected == published:
            raise WrongResult(
                f"count of {table}: Doris {found[table]}, file {expected}, published {published}"
            )
    return found


def check_contents(sql: Sql, files: Files) -> int:
    """Every column has the same values, by count, distinct count, sum or extremes.

    Returns:
        How many columns were compared.

    Raises:
        WrongResult: one differs.
    """
    compared = 0
    for table in ROWS:
        for column, kind in files.columns(table):
            ours = _profile(sql, f"{DATABASE}.{table}", f"`{column}`", kind)
            theirs = _profile(files, table, f'"{column}"', kind)
            if not _same(ours, theirs):
                raise WrongResult(f"column {table}.{column}: Doris {ours}, file {theirs}")
            compared += 1
    return compared


def _profile(source: Sql | Files, table: str, column: str, kind: str) -> tuple[Any, ...]:
    if kind == "VARCHAR":
        aggregates = f"sum(char_length({column})), min({column}), max({column})"
    elif kind.startswith("TIMESTAMP"):
        aggregates = f"min({column}), max({column}), count(DISTINCT {column})"
    else:
        aggregates = f"sum({column}), min({column}), max({column})"
    row = source.rows(
        f"SELECT count(*), count({column}), count(DISTINCT {column}), {aggregates} FROM {table}"
    )[0]
    return tuple(_plain(value) for value in row)


def _plain(value: Any) -> Any:
    """Numbers as float, times without zone, so that both databases' values compare."""
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "isoformat"):
        return value.replace(tzinfo=None).isoformat()
    return float(value)


def _same(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> bool:
    # sums of doubles depend on the order of the rows in their last digits
    return all(
        abs(mine - other) <= 1e-9 * max(1.0, abs(other))
        if isinstance(mine, float) and isinstance(other, float)
        else mine == other
        for mine, other in zip(ours, theirs, strict=True)
    )


def check_delays(sql: Sql, files: Files, table: str) -> list[tuple[str, int, int, float]]:
    """The summary that the pipeline wrote is the one that DuckDB computes, row by row.

    Returns:
        Carrier, month, flights, mean delay.

    Raises:
        WrongResult: a row differs, is missing or too many.
    """
    expected = [(row[0], int(row[1]), int(row[2]), float(row[3])) for row in files.rows(DELAYS)]
    found = summary(sql, table)
    if len(found) != len(expected):
        raise WrongResult(f"{table}: {len(found)} rows, DuckDB finds {len(expected)}")
    for ours, theirs in zip(found, expected, strict=True):
        if ours != theirs:
            raise WrongResult(f"{table}: Doris {ours}, DuckDB {theirs}")
    return found


def summary(sql: Sql, table: str) -> list[tuple[str, int, int, float]]:
    """Carrier, month, flights and mean delay, as Doris has them."""
    rows = sql.rows(
        f"SELECT carrier, month, flights, mean_delay FROM {DATABASE}.{table} "
        "ORDER BY carrier, month"
    )
    return [(row[0], int(row[1]), int(row[2]), float(row[3])) for row in rows]


def check_students(sql: Sql) -> None:
    """The manual's own quick start gave the manual's own result.

    Raises:
        WrongResult: it did not.
    """
    found = sql.rows("SELECT id, name, age FROM test.student_trans ORDER BY id")
    expected = [(1, "prefix_James", 19), (2, "prefix_Emily", 29)]
    if [tuple(row) for row in found] != expected:
        raise WrongResult(f"test.student_trans: {found}, the manual says {expected}")
