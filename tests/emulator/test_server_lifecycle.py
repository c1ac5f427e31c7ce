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
"""The whole cluster: its ports, its program, its end and its return (P 1.6, 1.7)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.flight as flight
import pymysql
import pytest
from thriftpy2.transport import TTransportException

from beam_doris.emulator import Emulator, EmulatorProcess, Rule
from beam_doris.emulator.thrift_server import interface
from tests.emulator.test_thrift_scan import scanner

#: what a client sees of a connection that was cut
CUT = (TTransportException, OSError, EOFError)


def connect(ready: dict[str, Any], password: str = "") -> pymysql.connections.Connection[Any]:
    return pymysql.connect(
        host="127.0.0.1",
        port=ready["fe_mysql"],
        user="root",
        password=password,
        autocommit=True,
        connect_timeout=10,
        read_timeout=30,
    )


def sql(ready: dict[str, Any], statement: str, password: str = "") -> list[tuple[Any, ...]]:
    with closing(connect(ready, password)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def all_ports(ready: dict[str, Any]) -> list[int]:
    backends = [port for backend in ready["backends"] for port in backend.values()]
    return [ready["fe_http"], ready["fe_mysql"], ready["fe_flight"], *backends]


def test_every_port_of_the_ready_line_is_open_and_its_own(emulator: Emulator) -> None:
    ports = all_ports(emulator.ready)
    assert len(set(ports)) == len(ports) == 12
    assert all(is_open(port) for port in ports)
    assert (emulator.ready["user"], emulator.ready["password"]) == ("root", "")


def test_show_backends_and_frontends_tell_the_same_ports(emulator: Emulator) -> None:
    ready = emulator.ready
    with (
        closing(connect(ready)) as connection,
        connection.cursor(pymysql.cursors.DictCursor) as cursor,
    ):
        cursor.execute("SHOW BACKENDS")
        backends = cursor.fetchall()
        cursor.execute("SHOW FRONTENDS")
        frontends = cursor.fetchall()
    assert [
        {
            "http": int(row["HttpPort"]),
            "thrift": int(row["BePort"]),
            "flight": int(row["ArrowFlightSqlPort"]),
        }
        for row in backends
    ] == ready["backends"]
    assert int(frontends[0]["ArrowFlightSqlPort"]) == ready["fe_flight"]
    assert int(frontends[0]["QueryPort"]) == ready["fe_mysql"]


def test_stop_closes_every_port_and_a_second_stop_does_nothing() -> None:
    emulator = Emulator(backends=2).start()
    ports = all_ports(emulator.ready)
    emulator.stop()
    assert not any(is_open(port) for port in ports)
    emulator.stop()


def test_a_dead_backend_is_refused_and_comes_back_on_its_ports() -> None:
    with Emulator(backends=2) as emulator:
        ports = list(emulator.ready["backends"][1].values())
        emulator.stop_backend(1)
        assert not any(is_open(port) for port in ports)
        url = f"http://127.0.0.1:{emulator.fe_http[1]}/api/backends?is_alive=true"
        request = urllib.request.Request(url, headers={"Authorization": "Basic cm9vdDo="})
        with urllib.request.urlopen(request, timeout=10) as reply:
            alive = json.load(reply)["data"]["backends"]
        assert [one["http_port"] for one in alive] == [emulator.be_http[0][1]]
        emulator.start_backend(1)
        assert list(emulator.ready["backends"][1].values()) == ports
        assert all(is_open(port) for port in ports)


def wait_closed(port: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while is_open(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_open(port)


@pytest.mark.parametrize("point", ["scan.close", "flight.get"])
def test_a_fault_kills_a_whole_backend(point: str) -> None:
    with Emulator(backends=2) as emulator:
        emulator.faults.add(Rule(point=point, action="kill_backend", count=1))
        if point == "scan.close":
            with scanner(emulator.be_thrift[0][1]) as client, pytest.raises(CUT):
                client.close_scanner(interface().TScanCloseParams(context_id="any"))
        else:
            with (
                flight.FlightClient("grpc+tcp://{}:{}".format(*emulator.be_flight[0])) as client,
                pytest.raises(flight.FlightUnavailableError),
            ):
                client.do_get(flight.Ticket(b"any")).read_all()
        assert all(wait_closed(port) for port in emulator.ready["backends"][0].values())
        assert all(is_open(port) for port in emulator.ready["backends"][1].values())
        assert [backend.alive for backend in emulator.engine.backends] == [False, True]
        emulator.start_backend(0)
        assert all(is_open(port) for port in emulator.ready["backends"][0].values())


def test_a_backend_of_another_process_dies_over_the_admin_path() -> None:
    def post(ready: dict[str, Any], path: str, body: dict[str, Any]) -> Any:
        url = f"http://127.0.0.1:{ready['fe_http']}/_emulator/{path}"
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=20) as reply:
            return json.load(reply)

    with EmulatorProcess(backends=2) as emulator:
        ready = emulator.ready
        number = sql(ready, "SHOW BACKENDS")[0][0]
        ports = list(ready["backends"][0].values())
        post(ready, f"backends/{number}", {"alive": False})
        assert not any(is_open(port) for port in ports)
        post(ready, f"backends/{number}", {"alive": True})
        assert all(is_open(port) for port in ports)


def test_a_password_for_root_is_asked_for() -> None:
    with Emulator(password="se cret") as emulator:
        with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
            connect(emulator.ready)
        assert sql(emulator.ready, "SELECT 1", "se cret") == [(1,)]


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown profile '9\.9'; known: 2\.0"):
        Emulator(profile="9.9")


def test_two_emulators_live_side_by_side() -> None:
    with Emulator() as one, Emulator() as two:
        sql(one.ready, "CREATE DATABASE only_here")
        assert ("only_here",) not in sql(two.ready, "SHOW DATABASES")


def test_the_program_ends_well_on_sigterm_with_clients_connected() -> None:
    with EmulatorProcess(backends=2) as emulator:
        ready = emulator.ready
        with (
            closing(connect(ready)),
            closing(socket.create_connection(("127.0.0.1", ready["fe_http"]))),
            closing(socket.create_connection(("127.0.0.1", ready["backends"][0]["thrift"]))),
        ):
            begin = time.monotonic()
            assert emulator.stop() == 0
            assert time.monotonic() - begin < 15
        assert not any(is_open(port) for port in all_ports(ready))


def test_the_program_ends_well_on_sigint() -> None:
    command = [sys.executable, "-m", "beam_doris.emulator", "--password", "pw"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert sql(ready, "SELECT 1", "pw") == [(1,)]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def test_what_was_visible_survives_a_kill_on_the_same_ports(
    emulator_process: EmulatorProcess,
) -> None:
    ready = emulator_process.ready
    sql(ready, "CREATE DATABASE d")
    sql(
        ready,
        "CREATE TABLE d.t (k INT, v STRING) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 3 "
        'PROPERTIES ("replication_num" = "1")',
    )
    sql(ready, "INSERT INTO d.t VALUES (1, 'a'), (2, 'b')")
    emulator_process.kill()
    assert not is_open(ready["fe_mysql"])
    emulator_process.restart()
    assert all_ports(emulator_process.ready) == all_ports(ready)
    assert sql(ready, "SELECT k, v FROM d.t ORDER BY k") == [(1, "a"), (2, "b")]


def test_the_program_ends_when_its_owner_is_gone(tmp_path: Path) -> None:
    emulator = EmulatorProcess().start()
    try:
        process = emulator._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0
    finally:
        emulator.kill()


def test_a_program_that_cannot_start_says_why(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("not a directory", "utf-8")
    with pytest.raises(RuntimeError, match=r"did not become ready: .+"):
        EmulatorProcess(data=taken).start()
