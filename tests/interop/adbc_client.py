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
"""ADBC's Flight SQL driver: execute, partitions, prepared statements, refused logins."""

from __future__ import annotations

from functools import partial
from importlib import import_module, metadata
from typing import Any

from tests.interop import mariadb
from tests.interop.bench import ONE_REPLICA, same
from tests.interop.cells import Sheet
from tests.interop.cluster import Cluster

ROWS = 1000


def run_all(cluster: Cluster, sheet: Sheet) -> None:
    version = metadata.version("adbc-driver-flightsql")
    for name, body in (
        ("execute", _execute),
        ("partitions", _partitions),
        ("prepared", _prepared),
        ("statements without rows", _update),
        ("errors and logins", _errors),
    ):
        sheet.run("ADBC Flight SQL", version, name, partial(body, cluster))


def _connect(cluster: Cluster, *, user: str = "root", password: str = "") -> Any:
    dbapi: Any = import_module("adbc_driver_flightsql.dbapi")
    return dbapi.connect(
        f"grpc://127.0.0.1:{cluster.flight_port}",
        db_kwargs={"username": user, "password": password},
        autocommit=True,
    )


def _table(cluster: Cluster) -> list[mariadb.Row]:
    values = ",".join(f"({i}, 'v{i}', {i}.25, '2024-01-01')" for i in range(ROWS))
    mariadb.query(
        cluster.mysql_port,
        "DROP DATABASE IF EXISTS adbc FORCE; CREATE DATABASE adbc;"
        "CREATE TABLE adbc.t (k INT, v VARCHAR(20), d DECIMAL(10, 2), day DATE) DUPLICATE KEY(k)"
        f" DISTRIBUTED BY HASH(k) BUCKETS 4 {ONE_REPLICA};"
        f"INSERT INTO adbc.t VALUES {values};"
        "INSERT INTO adbc.t VALUES (-1, NULL, NULL, NULL)",
    )
    return mariadb.query(cluster.mysql_port, "SELECT * FROM adbc.t")


def _rows(table: Any) -> list[tuple[str, ...]]:
    return [
        tuple("NULL" if cell is None else str(cell) for cell in row.values())
        for row in table.to_pylist()
    ]


def _execute(cluster: Cluster) -> str:
    expected = _table(cluster)
    with _connect(cluster) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM adbc.t")
        table = cursor.fetch_arrow_table()
        same(_rows(table), expected)
        cursor.execute("SELECT COUNT(*), MAX(d) FROM adbc.t WHERE k < 10")
        same([tuple(map(str, row)) for row in cursor.fetchall()], [("11", "9.25")])
        cursor.execute("SHOW DATABASES")
        assert any("adbc" in row for row in cursor.fetchall())
    return ", ".join(f"{field.name} {field.type}" for field in table.schema)


def _partitions(cluster: Cluster) -> str:
    expected = _table(cluster)
    with _connect(cluster) as connection, connection.cursor() as cursor:
        partitions, schema = cursor.adbc_execute_partitions("SELECT * FROM adbc.t")
        found: list[tuple[str, ...]] = []
        for partition in partitions:
            cursor.adbc_read_partition(partition)
            found += _rows(cursor.fetch_arrow_table())
        same(found, expected)
    names = schema.names if schema is not None else []
    return f"{len(partitions)} partition(s), schema {names}"


def _prepared(cluster: Cluster) -> str:
    expected = _table(cluster)
    with _connect(cluster) as connection, connection.cursor() as cursor:
        query = "SELECT * FROM adbc.t WHERE k >= 0"
        cursor.adbc_prepare(query)
        for _ in range(2):
            cursor.execute(query)
            same(_rows(cursor.fetch_arrow_table()), [row for row in expected if row[0] != "-1"])
    return "prepared once, executed twice"


def _update(cluster: Cluster) -> None:
    _table(cluster)
    with _connect(cluster) as connection, connection.cursor() as cursor:
        cursor.execute("USE adbc")
        cursor.fetchall()
        cursor.execute("INSERT INTO t VALUES (5000, 'flight', 1.00, '2024-05-05')")
        cursor.fetchall()
    same(
        mariadb.query(cluster.mysql_port, "SELECT * FROM adbc.t WHERE k = 5000"),
        [("5000", "flight", "1.00", "2024-05-05")],
    )


def _errors(cluster: Cluster) -> str:
    dbapi: Any = import_module("adbc_driver_flightsql.dbapi")
    _table(cluster)
    with _connect(cluster) as connection, connection.cursor() as cursor:
        try:
            cursor.execute("SELECT nothing FROM adbc.no_such_table")
        except dbapi.Error as error:
            words = str(error)
        else:
            raise AssertionError("an unknown table is not refused")
        if "no_such_table" not in words:
            raise AssertionError(words)
        cursor.execute("SELECT 1")
        same([tuple(map(str, row)) for row in cursor.fetchall()], [("1",)])
    for user, password in (("root", "wrong"), ("nobody_knows_me", "")):
        try:
            with _connect(cluster, user=user, password=password) as bad, bad.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchall()
        except dbapi.Error as error:
            if "UNAUTHENTICATED" not in str(error).upper():
                raise AssertionError(f"{user}: {error}") from None
        else:
            raise AssertionError(f"{user} with password {password!r} is let in")
    return words[:200]
