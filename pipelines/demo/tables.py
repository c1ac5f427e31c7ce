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
"""The tables of the quick start, and the few SQL calls around them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql

DATABASE = "nycflights"

_PROPERTIES = 'PROPERTIES ("replication_num" = "3")'

TABLES = {
    "airlines": f"""
        CREATE TABLE {DATABASE}.airlines (
            carrier VARCHAR(2) NOT NULL,
            name    VARCHAR(64) NOT NULL
        ) UNIQUE KEY(carrier) DISTRIBUTED BY HASH(carrier) BUCKETS 1 {_PROPERTIES}""",
    "airports": f"""
        CREATE TABLE {DATABASE}.airports (
            faa   VARCHAR(4) NOT NULL,
            name  VARCHAR(128) NOT NULL,
            lat   DOUBLE,
            lon   DOUBLE,
            alt   INT,
            tz    TINYINT,
            dst   CHAR(1),
            tzone VARCHAR(64)
        ) UNIQUE KEY(faa) DISTRIBUTED BY HASH(faa) BUCKETS 3 {_PROPERTIES}""",
    "planes": f"""
        CREATE TABLE {DATABASE}.planes (
            tailnum      VARCHAR(8) NOT NULL,
            year         SMALLINT,
            type         VARCHAR(32),
            manufacturer VARCHAR(64),
            model        VARCHAR(32),
            engines      TINYINT,
            seats        SMALLINT,
            speed        SMALLINT,
            engine       VARCHAR(16)
        ) UNIQUE KEY(tailnum) DISTRIBUTED BY HASH(tailnum) BUCKETS 3 {_PROPERTIES}""",
    "weather": f"""
        CREATE TABLE {DATABASE}.weather (
            origin     CHAR(3) NOT NULL,
            year       SMALLINT NOT NULL,
            month      TINYINT NOT NULL,
            day        TINYINT NOT NULL,
            hour       TINYINT NOT NULL,
            temp       DOUBLE,
            dewp       DOUBLE,
            humid      DOUBLE,
            wind_dir   SMALLINT,
            wind_speed DOUBLE,
            wind_gust  DOUBLE,
            precip     DOUBLE,
            pressure   DOUBLE,
            visib      DOUBLE,
            time_hour  DATETIME
        ) DUPLICATE KEY(origin, year, month, day, hour)
        DISTRIBUTED BY HASH(origin, day) BUCKETS 3 {_PROPERTIES}""",
    "flights": f"""
        CREATE TABLE {DATABASE}.flights (
            year           SMALLINT NOT NULL,
            month          TINYINT NOT NULL,
            day            TINYINT NOT NULL,
            dep_time       INT,
            sched_dep_time INT,
            dep_delay      INT,
            arr_time       INT,
            sched_arr_time INT,
            arr_delay      INT,
            carrier        VARCHAR(2),
            flight         INT,
            tailnum        VARCHAR(8),
            origin         CHAR(3),
            dest           CHAR(3),
            air_time       INT,
            distance       INT,
            hour           TINYINT,
            minute         TINYINT,
            time_hour      DATETIME
        ) DUPLICATE KEY(year, month, day)
        DISTRIBUTED BY HASH(flight) BUCKETS 12 {_PROPERTIES}""",
}

SUMMARY = """
    CREATE TABLE {table} (
        carrier    VARCHAR(2) NOT NULL,
        month      TINYINT NOT NULL,
        flights    BIGINT NOT NULL,
        mean_delay DOUBLE NOT NULL
    ) UNIQUE KEY(carrier, month) DISTRIBUTED BY HASH(carrier) BUCKETS 1
    PROPERTIES ("replication_num" = "3")"""

# the quick start of the Flink connector's manual, word for word
STUDENT = """
    CREATE TABLE test.{table} (
        `id` INT,
        `name` VARCHAR(256),
        `age` INT
    )
    UNIQUE KEY(`id`)
    DISTRIBUTED BY HASH(`id`) BUCKETS 1
    PROPERTIES (
    "replication_allocation" = "tag.location.default: 3"
    )"""


class Sql:
    """A MySQL session; everything the demo asks for on its own goes through it."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._connection = pymysql.connect(
            host=host, port=port, user=user, password=password, autocommit=True
        )

    def run(self, statement: str) -> None:
        """A statement whose rows are not wanted."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def count(self, table: str) -> int:
        """How many rows a table shows."""
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def close(self) -> None:
        """Ends the session."""
        self._connection.close()


@contextmanager
def session(host: str, port: int, user: str, password: str) -> Iterator[Sql]:
    """A MySQL session that is closed in the end."""
    sql = Sql(host, port, user, password)
    try:
        yield sql
    finally:
        sql.close()


def create_all(sql: Sql, replicas: int) -> None:
    """Creates every table of the demo anew, empty."""
    sql.run(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    sql.run("CREATE DATABASE IF NOT EXISTS test")
    statements = {f"{DATABASE}.{name}": ddl for name, ddl in TABLES.items()}
    for name in ("delays_by_flight", "delays_by_thrift"):
        statements[f"{DATABASE}.{name}"] = SUMMARY.format(table=f"{DATABASE}.{name}")
    for name in ("student", "student_trans"):
        statements[f"test.{name}"] = STUDENT.format(table=name)
    for table, ddl in statements.items():
        sql.run(f"DROP TABLE IF EXISTS {table}")
        sql.run(replicated(ddl, replicas))
    sql.run('INSERT INTO test.student values(1,"James",18)')
    sql.run('INSERT INTO test.student values(2,"Emily",28)')


def replicated(ddl: str, replicas: int) -> str:
    """Three copies where there are three backends, fewer on a smaller cluster."""
    if replicas >= 3:
        return ddl
    return ddl.replace('"replication_num" = "3"', f'"replication_num" = "{replicas}"').replace(
        "tag.location.default: 3", f"tag.location.default: {replicas}"
    )
