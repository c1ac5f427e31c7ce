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
"""MySQL clients of other people: the mariadb command line, Connector/J, SQLAlchemy; logins refused."""

from __future__ import annotations

import socket
import struct
import warnings
from functools import partial
from importlib import import_module, metadata
from typing import Any

from tests.interop import jars, jvm, mariadb
from tests.interop.bench import ONE_REPLICA, same
from tests.interop.cells import Sheet
from tests.interop.cluster import Cluster
from tests.interop.places import BUILD

USER = "interop_user"
PASSWORD = "p@ss:w'rd"


def run_all(cluster: Cluster, sheet: Sheet) -> None:
    cli = mariadb.version()
    sheet.run("mariadb CLI", cli, "statements", lambda: _cli_statements(cluster))
    sheet.run("mariadb CLI", cli, "logins", lambda: _cli_logins(cluster))
    sheet.run("raw socket", "-", "connection ends", lambda: _connection_ends(cluster))
    for name, option in (("plain", ""), ("useServerPrepStmts", "useServerPrepStmts=true&")):
        sheet.run(
            "MySQL Connector/J",
            jars.MYSQL_VERSION,
            name,
            partial(_connector_j, cluster, name, option),
        )
    version = metadata.version("sqlalchemy")
    sheet.run("SQLAlchemy", version, "core", lambda: _sqlalchemy(cluster))


def _prepare_user(cluster: Cluster) -> None:
    quoted = PASSWORD.replace("'", "\\'")
    mariadb.query(
        cluster.mysql_port,
        f"DROP USER IF EXISTS '{USER}'; CREATE USER '{USER}' IDENTIFIED BY '{quoted}';"
        f"GRANT SELECT_PRIV ON *.*.* TO '{USER}'",
    )


def _cli_statements(cluster: Cluster) -> None:
    port = cluster.mysql_port
    mariadb.query(
        port,
        "DROP DATABASE IF EXISTS cli FORCE; CREATE DATABASE cli; USE cli;"
        "CREATE TABLE t (k INT, v VARCHAR(50), d DECIMAL(10, 2), at DATETIME(6)) DUPLICATE KEY(k)"
        f" DISTRIBUTED BY HASH(k) BUCKETS 2 {ONE_REPLICA};"
        "INSERT INTO t VALUES (1, 'it''s 中文', 1.50, '2024-01-02 03:04:05.000006'), (2, NULL, NULL, NULL)",
    )
    same(
        mariadb.query(port, "SELECT * FROM cli.t"),
        [
            ("1", "it's 中文", "1.50", "2024-01-02 03:04:05.000006"),
            ("2", "NULL", "NULL", "NULL"),
        ],
    )
    same(mariadb.query(port, "USE cli; SHOW TABLES"), [("t",)])
    named = mariadb.run(port, "SELECT k AS `key`, d FROM cli.t WHERE k = 1", options=())
    same([tuple(x.split("\t")) for x in named.stdout.splitlines()], [("key", "d"), ("1", "1.50")])
    wrong = mariadb.run(port, "SELECT * FROM cli.no_such_table")
    if wrong.returncode == 0 or "no_such_table" not in wrong.stderr:
        raise AssertionError(f"an unknown table is not refused: {wrong.stderr}")


def _cli_logins(cluster: Cluster) -> str:
    _prepare_user(cluster)
    good = mariadb.run(cluster.mysql_port, "SELECT 1", user=USER, password=PASSWORD)
    if good.stdout.strip() != "1":
        raise AssertionError(f"the right password is refused: {good.stderr}")
    words = []
    for user, password in ((USER, "wrong"), (USER, ""), ("nobody_knows_me", "")):
        refused = mariadb.run(cluster.mysql_port, "SELECT 1", user=user, password=password)
        if refused.returncode == 0 or "Access denied" not in refused.stderr:
            raise AssertionError(f"{user}: {refused.stdout} {refused.stderr}")
        words.append(refused.stderr.strip())
    return words[0]


def _packet(sock: socket.socket) -> bytes:
    head = _exactly(sock, 4)
    return _exactly(sock, int.from_bytes(head[:3], "little"))


def _exactly(sock: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = sock.recv(size - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


def _connection_ends(cluster: Cluster) -> None:
    """After a refused login the server answers nothing more on that connection."""
    _prepare_user(cluster)
    for user, answer in ((USER, b"\x14" + b"x" * 20), ("nobody_knows_me", b"\x00")):
        with socket.create_connection(("127.0.0.1", cluster.mysql_port), 10) as sock:
            sock.settimeout(10)
            _packet(sock)
            flags = 0x00000200 | 0x00008000 | 0x00080000  # 4.1 protocol, secure, plugin
            reply = struct.pack("<IIB23x", flags, 1 << 24, 45) + user.encode() + b"\0" + answer
            reply += b"mysql_native_password\0"
            sock.sendall(len(reply).to_bytes(3, "little") + b"\x01" + reply)
            packet = _packet(sock)
            if packet[:1] == b"\xfe":  # asked for another method: answer it wrongly as well
                sock.sendall(b"\x14\0\0\x03" + b"x" * 20)
                packet = _packet(sock)
            if packet[:1] != b"\xff":
                raise AssertionError(f"{user}: no error packet but {packet!r}")
            query = b"\x03SELECT 1"
            try:
                sock.sendall(len(query).to_bytes(3, "little") + b"\x00" + query)
                more = sock.recv(1)
            except (ConnectionResetError, BrokenPipeError):
                more = b""
            if more:
                raise AssertionError(f"{user}: the refused connection still answers")


def _connector_j(cluster: Cluster, name: str, option: str) -> str:
    _prepare_user(cluster)
    port = cluster.mysql_port
    mariadb.query(port, "DROP DATABASE IF EXISTS jdbc FORCE; CREATE DATABASE jdbc")
    url = f"jdbc:mysql://127.0.0.1:{port}/jdbc?{option}useSSL=false&allowPublicKeyRetrieval=true"
    rows = jvm.run(
        jars.CONNECTOR_VERSIONS[-1],
        "jdbc",
        {"url": url, "known_user": USER},
        log=BUILD / f"jdbc-{name}.log",
    ).rows
    told = {row[0]: row[1:] for row in rows}
    quoted = 'it\'s "quoted" \\ and 中文'
    first = [row for row in rows if row[0] == "typed" and row[1] == "1"]
    expected = (
        *("-32768", "9223372036854775807", "170141183460469231731687303715884105727", "1.5"),
        *("-2.25", "12345678901234.5678", "2024-02-29"),
    )
    for row in first:
        if row[2] != "true" or row[3:10] != expected:
            raise AssertionError(f"typed values: {row}")
        if str(row[10]).replace("T", " ") != "2024-02-29 23:59:59.123":
            raise AssertionError(f"typed values: {row}")
        if row[11:] != ("abcd", quoted):
            raise AssertionError(f"typed values: {row}")
    nulls = [row for row in rows if row[0] == "typed" and row[1] == "2"]
    if len(first) != 2 or len(nulls) != 2 or any(row[2:] != (None,) * 11 for row in nulls):
        raise AssertionError(f"rows: {rows}")
    if told["found"] != ("1",) or told["alive"] != ("1",):
        raise AssertionError(f"found {told['found']} alive {told['alive']}")
    if "no_such_table" not in str(told["error"]):
        raise AssertionError(f"error: {told['error']}")
    columns = [row[1] for row in rows if row[0] == "column"]
    if len(columns) != 12:
        raise AssertionError(f"metadata: {columns}")
    refusals = [row for row in rows if row[0] == "refused"]
    if len(refusals) != 2 or any("Access denied" not in str(row[2]) for row in refusals):
        raise AssertionError(f"logins: {refusals}")
    same(
        mariadb.query(port, "SELECT COUNT(*), SUM(IF(v IS NULL, 1, 0)) FROM jdbc.jdbc_types"),
        [("2", "1")],
    )
    same(mariadb.query(port, "SELECT v FROM jdbc.jdbc_types WHERE id = 1"), [(quoted,)])
    return "types " + ",".join(str(cell) for cell in told["types"])


def _sqlalchemy(cluster: Cluster) -> str:
    sa: Any = import_module("sqlalchemy")
    port = cluster.mysql_port
    mariadb.query(
        port,
        "DROP DATABASE IF EXISTS alchemy FORCE; CREATE DATABASE alchemy;"
        "CREATE TABLE alchemy.people (id INT, name VARCHAR(50), born DATE, money DECIMAL(12, 3))"
        f" UNIQUE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 {ONE_REPLICA}",
    )
    engine = sa.create_engine(f"mysql+pymysql://root@127.0.0.1:{port}/alchemy?charset=utf8mb4")
    try:
        with engine.connect() as connection:
            connection.execute(
                sa.text("INSERT INTO people VALUES (:id, :name, :born, :money)"),
                [
                    {"id": 1, "name": "O'Neil \\ 中", "born": "1999-12-31", "money": "1.250"},
                    {"id": 2, "name": None, "born": None, "money": None},
                ],
            )
            connection.commit()
            table = sa.table("people", *map(sa.column, ("id", "name", "born", "money")))
            query = sa.select(table).where(table.c.id >= 1).order_by(table.c.id).limit(10)
            rows = [tuple(str(cell) for cell in row) for row in connection.execute(query)]
            expected = [("1", "O'Neil \\ 中", "1999-12-31", "1.250"), ("2", *["None"] * 3)]
            if rows != expected:
                raise AssertionError(f"rows: {rows}")
        with warnings.catch_warnings():
            # it says what it skips of Doris' CREATE TABLE, such as DISTRIBUTED BY
            warnings.simplefilter("ignore", sa.exc.SAWarning)
            names = sa.inspect(engine).get_table_names()
            columns = [column["name"] for column in sa.inspect(engine).get_columns("people")]
        if names != ["people"] or columns != ["id", "name", "born", "money"]:
            raise AssertionError(f"reflected {names} {columns}")
    finally:
        engine.dispose()
    same(
        mariadb.query(port, "SELECT * FROM alchemy.people"),
        [("1", "O'Neil \\ 中", "1999-12-31", "1.250"), ("2", "NULL", "NULL", "NULL")],
    )
    return "insert with parameters, typed select, reflection"
