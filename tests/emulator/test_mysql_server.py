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
"""The MySQL port as clients meet it: logins, packets, prepared statements, faults (P 8)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pymysql
import pymysql.cursors
import pytest

from beam_doris.emulator.engine import Engine
from beam_doris.emulator.faults import Rule
from beam_doris.emulator.mysql.packets import (
    MAX_PAYLOAD,
    Capability,
    Cursor,
    LoginRequest,
    PacketStream,
    lenenc_bytes,
    lenenc_int,
    text_rows,
)
from beam_doris.emulator.mysql.server import MySqlServer

SECONDS = 20.0


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Engine, MySqlServer]]:
    engine = Engine()
    engine.create_database("d")
    found = MySqlServer(engine)
    found.start()
    try:
        yield engine, found
    finally:
        found.stop()
        engine.close()


def connect(server: MySqlServer, **more: Any) -> Any:
    settings: dict[str, Any] = {"user": "root", "password": "", "database": "d", **more}
    return pymysql.connect(
        host="127.0.0.1", port=server.port, autocommit=True, connect_timeout=10,
        read_timeout=SECONDS, write_timeout=SECONDS, **settings,
    )  # fmt: skip


@pytest.fixture
def cursor(server: tuple[Engine, MySqlServer]) -> Iterator[Any]:
    with connect(server[1]) as connection, connection.cursor() as found:
        yield found


# -- packets


@pytest.mark.parametrize("value", [0, 250, 251, 65535, 65536, (1 << 24) - 1, 1 << 24, 1 << 40])
def test_integers_of_variable_length_come_back(value: int) -> None:
    assert Cursor(lenenc_int(value)).lenenc() == value


@pytest.mark.parametrize("size", [0, 1, MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 5])
def test_payloads_of_every_size_come_back(size: int) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(SECONDS)
        right.settimeout(SECONDS)
        payload = b"x" * size
        sender = PacketStream(left)

        def send() -> None:
            sender.write(payload)
            sender.flush()

        thread = threading.Thread(target=send)
        thread.start()
        assert PacketStream(right).read() == payload
        thread.join(SECONDS)


def test_a_null_cell_differs_from_an_empty_one() -> None:
    assert text_rows([["", None], ["a", "é"]]) == [b"\x00\x01a", b"\xfb\x02\xc3\xa9"]


def test_a_short_packet_is_no_login() -> None:
    with pytest.raises(ValueError, match="ends too early"):
        LoginRequest.parse(b"\x00\x02\x00\x00abc")


# -- logins


def test_login_without_the_password_is_refused(server: tuple[Engine, MySqlServer]) -> None:
    engine, port = server
    engine.users.create("eve", "secret")
    for password in ("", "wrong"):
        with pytest.raises(pymysql.MySQLError) as caught:
            connect(port, user="eve", password=password)
        assert caught.value.args[0] == 1045
        assert "Access denied for user 'eve'@'127.0.0.1'" in caught.value.args[1]
    connect(port, user="eve", password="secret", database=None).close()


def test_an_unknown_database_refuses_the_login(server: tuple[Engine, MySqlServer]) -> None:
    with pytest.raises(pymysql.MySQLError) as caught:
        connect(server[1], database="nope")
    assert caught.value.args[0] == 1049


class Raw:
    """A connection by hand."""

    def __init__(self, port: int, flags: Capability, response: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.stream = PacketStream(self.socket)
        self.stream.read()
        flags |= Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH
        self.stream.write(
            struct.pack("<IIB23x", int(flags), 1 << 24, 33) + b"root\0" + bytes([len(response)])
            + response + b"caching_sha2_password\0"
        )  # fmt: skip
        self.stream.flush()
        self.first = self.stream.read()

    def send(self, payload: bytes) -> None:
        self.stream.new_command()
        self.stream.write(payload)
        self.stream.flush()

    def query(self, sql: str) -> bytes:
        self.send(b"\x03" + sql.encode())
        return self.stream.read()

    def close(self) -> None:
        self.socket.close()


def test_another_plugin_is_switched_to_the_native_one(server: tuple[Engine, MySqlServer]) -> None:
    raw = Raw(server[1].port, Capability(0))
    with contextlib.closing(raw):
        assert raw.first.startswith(b"\xfemysql_native_password\0")
        raw.stream.write(b"")
        raw.stream.flush()
        assert raw.stream.read()[0] == 0


@pytest.mark.parametrize(
    ("flags", "eof_packets"), [(Capability(0), 1), (Capability.DEPRECATE_EOF, 0)]
)
def test_rows_end_as_the_client_understands(
    server: tuple[Engine, MySqlServer], flags: Capability, eof_packets: int
) -> None:
    raw = Raw(server[1].port, flags)
    with contextlib.closing(raw):
        raw.stream.write(b"")
        raw.stream.flush()
        raw.stream.read()
        assert raw.query("SELECT 1, 2") == b"\x02"
        for _ in range(2 + eof_packets):
            last = raw.stream.read()
        assert (last[0] == 0xFE) == bool(eof_packets)
        assert raw.stream.read() == lenenc_bytes(b"1") + lenenc_bytes(b"2")
        end = raw.stream.read()
        assert end[0] == 0xFE
        # without EOF packets the end is an OK that affects no row; JDBC drivers depend on it
        assert len(end) == (5 if eof_packets else 7)
        assert end[1:3] == b"\0\0"


# -- statements


def test_an_error_leaves_the_connection_usable(cursor: Any) -> None:
    with pytest.raises(pymysql.MySQLError) as caught:
        cursor.execute("SELECT nope FROM information_schema.tables")
    assert caught.value.args[0] == 1054
    assert caught.value.args[1].startswith("errCode = 2, detailMessage = Unknown column")
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == ((1,),)


def test_an_unknown_command_is_refused(cursor: Any) -> None:
    connection = cursor.connection
    connection._execute_command(0x0D, b"")
    with pytest.raises(pymysql.MySQLError) as caught:
        connection._read_ok_packet()
    assert caught.value.args[0] == 1047
    connection.ping(reconnect=False)


def test_several_statements_give_several_results(server: tuple[Engine, MySqlServer]) -> None:
    flags = pymysql.constants.CLIENT.MULTI_STATEMENTS
    with connect(server[1], client_flag=flags) as connection, connection.cursor() as cursor:
        cursor.execute("SET @a = 4; SELECT @a; SELECT 'x;y'")
        found = [tuple(cursor.fetchall())]
        while cursor.nextset():
            found.append(cursor.fetchall())
        assert found == [(), ((4,),), (("x;y",),)]


def test_a_cell_above_sixteen_megabytes_arrives(cursor: Any) -> None:
    cursor.execute("SELECT REPEAT('ab', 9000000), 5")
    text, number = cursor.fetchone()
    assert len(text) == 18_000_000
    assert number == 5


def test_values_arrive_as_their_types(cursor: Any) -> None:
    cursor.execute(
        "SELECT 1, CAST(1.5 AS DECIMAL(5,2)), 1.5e0, CAST('2020-01-02' AS DATE), "
        "CAST('2020-01-02 03:04:05.6' AS DATETIME(1)), NULL, TRUE, [1, 2]"
    )
    row = cursor.fetchone()
    assert [str(cell) for cell in row] == [
        "1", "1.50", "1.5", "2020-01-02", "2020-01-02 03:04:05.600000", "None", "1", "[1, 2]",
    ]  # fmt: skip


def test_kill_ends_another_connection(server: tuple[Engine, MySqlServer], cursor: Any) -> None:
    victim = connect(server[1])
    cursor.execute("SHOW PROCESSLIST")
    assert victim.thread_id() in [int(row[1]) for row in cursor.fetchall()]
    cursor.execute(f"KILL {victim.thread_id()}")
    with pytest.raises(pymysql.MySQLError):
        victim.query("SELECT 1")


def test_a_large_result_is_sent_while_it_is_read(server: tuple[Engine, MySqlServer]) -> None:
    settings = {"cursorclass": pymysql.cursors.SSCursor}
    with connect(server[1], **settings) as connection, connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 30000) "
            "SELECT x, CONCAT('row ', x) FROM n"
        )
        assert sum(1 for _ in cursor) == 30000


# -- prepared statements


class Prepared:
    """COM_STMT_* by hand over pymysql's connection."""

    def __init__(self, connection: Any, sql: str) -> None:
        self.connection = connection
        connection._execute_command(0x16, sql)
        head = connection._read_packet().get_all_data()
        self.number, columns, self.count = struct.unpack_from("<IHH", head, 1)
        for size in (self.count, columns):
            for _ in range(size + 1 if size else 0):
                connection._read_packet()

    def execute(self, types: bytes, data: bytes, nulls: int = 0) -> list[bytes]:
        body = struct.pack("<IBI", self.number, 0, 1)
        if self.count:
            body += nulls.to_bytes((self.count + 7) // 8, "little") + b"\x01" + types + data
        self.connection._execute_command(0x17, body)
        first = self.connection._read_packet()
        for _ in range(first.get_all_data()[0] + 1):
            self.connection._read_packet()
        rows: list[bytes] = []
        while True:
            raw = self.connection._read_packet().get_all_data()
            if raw[0] == 0xFE and len(raw) < 9:
                return rows
            rows.append(raw)


def test_parameters_of_every_type_are_bound(cursor: Any) -> None:
    statement = Prepared(
        cursor.connection,
        "SELECT CONCAT(?, '|', ?, '|', ?, '|', ?, '|', CAST(? AS STRING), '|', ?)",
    )
    types = b"\x01\x00\x08\x00\x05\x00\xf6\x00\x0c\x00\xfd\x00"
    text = b"it's \\ '; --"
    data = (
        struct.pack("<bqd", -5, -(2**40), 1.5) + lenenc_bytes(b"12.50")
        + b"\x0b" + struct.pack("<HBBBBBI", 2024, 2, 29, 1, 2, 3, 500)
        + lenenc_bytes(text)
    )  # fmt: skip
    (row,) = statement.execute(types, data)
    expected = b"-5|-1099511627776|1.5|12.50|2024-02-29 01:02:03.000500|" + text
    assert row[2:] == lenenc_bytes(expected)


def test_binary_rows_hold_typed_values(cursor: Any) -> None:
    statement = Prepared(
        cursor.connection,
        "SELECT CAST(-2 AS SMALLINT), CAST('2024-02-29 01:02:03' AS DATETIME), NULL, 1.5e0",
    )
    (row,) = statement.execute(b"", b"")
    moment = b"\x07" + struct.pack("<HBBBBB", 2024, 2, 29, 1, 2, 3)
    assert row == b"\x00\x10" + struct.pack("<h", -2) + moment + struct.pack("<d", 1.5)


def test_long_data_comes_in_parts_and_is_forgotten_after_use(cursor: Any) -> None:
    connection = cursor.connection
    statement = Prepared(connection, "SELECT CONCAT(?, 'x')")
    for part in (b"ab", b"cd"):
        connection._execute_command(0x18, struct.pack("<IH", statement.number, 0) + part)
    (row,) = statement.execute(b"\xfd\x00", b"")
    assert row[2:] == lenenc_bytes(b"abcdx")
    (row,) = statement.execute(b"\xfd\x00", lenenc_bytes(b"q"))
    assert row[2:] == lenenc_bytes(b"qx")


def test_a_closed_statement_is_unknown(cursor: Any) -> None:
    connection = cursor.connection
    statement = Prepared(connection, "SELECT 1")
    connection._execute_command(0x19, struct.pack("<I", statement.number))
    connection._execute_command(0x17, struct.pack("<IBI", statement.number, 0, 1))
    with pytest.raises(pymysql.MySQLError) as caught:
        connection._read_packet()
    assert caught.value.args[0] == 1243


# -- faults


def test_a_fault_answers_with_its_error(server: tuple[Engine, MySqlServer], cursor: Any) -> None:
    server[0].faults.add(
        Rule(point="mysql.query", action="error", count=1, args={"code": 1203, "message": "busy"})
    )
    with pytest.raises(pymysql.MySQLError) as caught:
        cursor.execute("SELECT 1")
    assert caught.value.args == (1203, "errCode = 2, detailMessage = busy")
    assert cursor.execute("SELECT 1") == 1


def test_a_fault_cuts_the_connection(server: tuple[Engine, MySqlServer]) -> None:
    with connect(server[1]) as connection, connection.cursor() as cursor:
        server[0].faults.add(Rule(point="mysql.query", action="rst", count=1))
        with pytest.raises(pymysql.MySQLError) as caught:
            cursor.execute("SELECT 1")
        assert caught.value.args[0] in (2006, 2013)


def test_many_connections_at_once(server: tuple[Engine, MySqlServer], cursor: Any) -> None:
    cursor.execute(
        "CREATE TABLE many (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 "
        "PROPERTIES ('replication_num' = '1')"
    )
    failures: list[BaseException] = []

    def work(start: int) -> None:
        try:
            with connect(server[1]) as connection, connection.cursor() as own:
                for number in range(start, start + 5):
                    own.execute(f"INSERT INTO many VALUES ({number})")
                    own.execute(f"SELECT COUNT(*) FROM many WHERE k = {number}")
                    assert own.fetchone() == (1,)
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(start * 10,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert failures == []
    cursor.execute("SELECT COUNT(*) FROM many")
    assert cursor.fetchone() == (30,)
