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
"""Flight SQL of the emulator as its clients meet it: sessions, tickets, endpoints, faults (P 6)."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from beam_doris.emulator import Emulator, ManualClock, Rule
from beam_doris.emulator.flight.messages import bytes_field, pack, unpack, varint_field
from beam_doris.emulator.flight.sessions import Sessions, TooManySessions
from beam_doris.emulator.sql.directory import SessionDirectory
from beam_doris.emulator.sql.executor import Session


class Client:
    """A session by hand."""

    def __init__(self, emulator: Emulator, user: str = "root", password: str = "") -> None:
        self._client = flight.FlightClient("grpc+tcp://{}:{}".format(*emulator.fe_flight))
        token = self._client.authenticate_basic_token(user, password)
        self.options = flight.FlightCallOptions(timeout=30, headers=[token])

    def close(self) -> None:
        self._client.close()

    def info(self, command: bytes) -> flight.FlightInfo:
        descriptor = flight.FlightDescriptor.for_command(command)
        return self._client.get_flight_info(descriptor, self.options)

    def statement(self, sql: str) -> flight.FlightInfo:
        return self.info(pack("CommandStatementQuery", bytes_field(1, sql)))

    def fetch(self, endpoint: flight.FlightEndpoint, *, authorized: bool = True) -> pa.Table:
        with flight.FlightClient(endpoint.locations[0].uri) as other:
            options = self.options if authorized else flight.FlightCallOptions(timeout=30)
            return other.do_get(endpoint.ticket, options).read_all()

    def rows(self, info: flight.FlightInfo) -> pa.Table:
        return pa.concat_tables([self.fetch(endpoint) for endpoint in info.endpoints])

    def run(self, sql: str) -> pa.Table:
        return self.rows(self.statement(sql))

    def action(self, name: str, body: bytes) -> list[bytes]:
        results = self._client.do_action(flight.Action(name, body), self.options)
        return [result.body.to_pybytes() for result in results]

    def put(self, command: bytes, rows: pa.RecordBatch) -> bytes | None:
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, reader = self._client.do_put(descriptor, rows.schema, self.options)
        with writer:
            writer.write_batch(rows)
            writer.done_writing()
            answer = reader.read()
            return None if answer is None else bytes(answer.to_pybytes())


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    made = Client(emulator)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def numbers(emulator: Emulator) -> str:
    """A table of a thousand rows in six tablets."""
    setup = Client(emulator)
    setup.run("CREATE DATABASE flight_numbers")
    setup.run(
        "CREATE TABLE flight_numbers.t (k INT, v STRING) DUPLICATE KEY(k) "
        'DISTRIBUTED BY HASH(k) BUCKETS 6 PROPERTIES ("replication_num" = "1")'
    )
    values = ", ".join(f"({n}, 'v{n}')" for n in range(1000))
    setup.run(f"INSERT INTO flight_numbers.t VALUES {values}")
    setup.close()
    return "flight_numbers.t"


def test_rows_come_from_a_backend_that_asks_for_no_token(
    emulator: Emulator, client: Client, numbers: str
) -> None:
    info = client.statement(f"SELECT k, v FROM {numbers}")
    assert (info.total_records, info.total_bytes) == (-1, -1)
    (endpoint,) = info.endpoints
    port = int(endpoint.locations[0].uri.rsplit(b":", 1)[1])
    assert port in [port for _, port in emulator.be_flight]
    table = client.fetch(endpoint, authorized=False)
    assert table.schema == info.schema
    assert sorted(table["k"].to_pylist()) == list(range(1000))


def test_rows_without_an_order_come_in_none(client: Client, numbers: str) -> None:
    orders = {tuple(client.run(f"SELECT k FROM {numbers}")["k"].to_pylist()) for _ in range(3)}
    assert len(orders) == 3


def test_an_order_is_kept(client: Client, numbers: str) -> None:
    found = client.run(f"SELECT k FROM {numbers} ORDER BY k DESC")["k"].to_pylist()
    assert found == list(range(999, -1, -1))


def test_a_ticket_is_good_once(client: Client, numbers: str) -> None:
    (endpoint,) = client.statement(f"SELECT k FROM {numbers}").endpoints
    assert client.fetch(endpoint).num_rows == 1000
    with pytest.raises(KeyError, match="already read"):
        client.fetch(endpoint)


def test_a_parallel_result_has_an_endpoint_on_each_backend(client: Client, numbers: str) -> None:
    client.run("SET enable_parallel_result_sink = true")
    info = client.statement(f"SELECT k FROM {numbers}")
    places = {endpoint.locations[0].uri for endpoint in info.endpoints}
    assert len(places) == len(info.endpoints) == 3
    assert sorted(client.rows(info)["k"].to_pylist()) == list(range(1000))


def test_results_of_the_frontend_are_text_from_the_frontend(
    emulator: Emulator, client: Client
) -> None:
    info = client.statement("SHOW VARIABLES LIKE 'query_timeout'")
    (endpoint,) = info.endpoints
    assert endpoint.locations[0].uri == b"grpc+tcp://127.0.0.1:%d" % emulator.fe_flight[1]
    assert set(client.rows(info).schema.types) == {pa.utf8()}
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.fetch(client.statement("SHOW DATABASES").endpoints[0], authorized=False)


def test_a_closed_session_is_unauthenticated_and_leaves_no_result(
    client: Client, numbers: str
) -> None:
    (endpoint,) = client.statement(f"SELECT k FROM {numbers}").endpoints
    assert client.action("CloseSession", b"") == [varint_field(1, 1)]
    with pytest.raises(flight.FlightUnauthenticatedError, match="invalid bearer token"):
        client.statement("SELECT 1")
    with pytest.raises(KeyError):
        client.fetch(endpoint, authorized=False)


def test_a_killed_session_is_unauthenticated(client: Client, emulator: Emulator) -> None:
    other = Client(emulator)
    number = other.run("SELECT CONNECTION_ID()").column(0)[0].as_py()
    listed = client.run("SHOW PROCESSLIST")
    assert str(number) in listed["Id"].to_pylist()
    client.run(f"KILL {number}")
    with pytest.raises(flight.FlightUnauthenticatedError):
        other.statement("SELECT 1")
    other.close()
    assert client.run("SELECT 1").num_rows == 1


def test_an_idle_session_ends_at_its_wait_timeout() -> None:
    clock = ManualClock()
    with Emulator(clock=clock) as emulator:
        client = Client(emulator)
        client.run("SET wait_timeout = 60")
        clock.advance(59)
        assert client.run("SELECT 1").num_rows == 1
        clock.advance(61)
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.statement("SELECT 1")
        client.close()


def test_the_number_of_sessions_is_limited(emulator: Emulator) -> None:
    user = emulator.engine.users.check_plain("root", "")
    assert user is not None
    closed: list[str] = []
    sessions = Sessions(emulator.clock.now, 2, SessionDirectory(), closed.append)

    def make(number: int) -> Session:
        return Session(emulator.engine, user, connection_id=number)

    first = sessions.open("root", make)
    sessions.open("root", make)
    with pytest.raises(TooManySessions, match="Reach limit of connections"):
        sessions.open("root", make)
    sessions.close(first.token)
    assert closed == [first.token]
    assert sessions.open("root", make).token != first.token


def test_several_statements_answer_with_the_last(client: Client) -> None:
    assert client.run("USE information_schema; SELECT DATABASE()").column(0).to_pylist() == [
        "information_schema"
    ]
    with pytest.raises(flight.FlightInternalError, match="only the last"):
        client.statement("SELECT 1; SELECT 2")


@pytest.mark.parametrize(("user", "password"), [("root", "wrong"), ("nobody", "")])
def test_a_wrong_login_is_unauthenticated(emulator: Emulator, user: str, password: str) -> None:
    with pytest.raises(flight.FlightUnauthenticatedError, match="Access denied"):
        Client(emulator, user, password)


def test_a_failing_statement_is_internal_and_names_the_cause(client: Client) -> None:
    with pytest.raises(
        flight.FlightInternalError, match=r"get flight info statement failed.*no_db"
    ):
        client.statement("SELECT * FROM no_db.t")


def test_a_prepared_statement_runs_until_it_is_closed(client: Client, numbers: str) -> None:
    request = pack(
        "ActionCreatePreparedStatementRequest", bytes_field(1, f"SELECT COUNT(*) FROM {numbers}")
    )
    (body,) = client.action("CreatePreparedStatement", request)
    prepared = unpack(body)
    assert prepared.name == "ActionCreatePreparedStatementResult"
    handle = bytes_field(1, prepared.message.raw(1))
    table = client.rows(client.info(pack("CommandPreparedStatementQuery", handle)))
    assert table.column(0).to_pylist() == [1000]
    client.action("ClosePreparedStatement", pack("ActionClosePreparedStatementRequest", handle))
    with pytest.raises(KeyError, match="not known"):
        client.info(pack("CommandPreparedStatementQuery", handle))


def test_a_prepared_update_runs_and_counts_nothing(client: Client) -> None:
    client.run("CREATE DATABASE flight_update")
    request = pack(
        "ActionCreatePreparedStatementRequest", bytes_field(1, "DROP DATABASE flight_update")
    )
    (body,) = client.action("CreatePreparedStatement", request)
    handle = bytes_field(1, unpack(body).message.raw(1))
    nothing = pa.record_batch([pa.array([], pa.int32())], names=["none"])
    answer = client.put(pack("CommandPreparedStatementUpdate", handle), nothing)
    assert answer == varint_field(1, -1)
    assert "flight_update" not in client.run("SHOW DATABASES").column(0).to_pylist()


def test_the_server_names_itself_and_its_tables(client: Client, numbers: str) -> None:
    info = client.rows(client.info(pack("CommandGetSqlInfo", varint_field(1, 0))))
    assert info.to_pylist() == [{"info_name": 0, "value": "DorisFE"}]
    command = pack("CommandGetTables", bytes_field(2, "flight_%"), varint_field(5, 1))
    tables = client.rows(client.info(command)).to_pylist()
    found = {(row["db_schema_name"], row["table_name"]): row["table_schema"] for row in tables}
    schema = pa.ipc.read_schema(pa.py_buffer(found["flight_numbers", "t"]))
    assert schema.names == ["k", "v"]


def test_an_unknown_command_is_unimplemented(client: Client) -> None:
    with pytest.raises(NotImplementedError, match="CommandGetPrimaryKeys"):
        client.info(pack("CommandGetPrimaryKeys"))
    with pytest.raises(pa.ArrowInvalid, match="malformed"):
        client.info(b"\xff\xff")


def test_session_options_set_schema_and_variables(client: Client, numbers: str) -> None:
    def entry(name: str, value: str) -> bytes:
        return bytes_field(1, bytes_field(1, name) + bytes_field(2, bytes_field(1, value)))

    body = entry("schema", "flight_numbers") + entry("query_timeout", "77")
    assert client.action("SetSessionOptions", body) == [b""]
    assert client.run("SELECT COUNT(*) FROM t").column(0).to_pylist() == [1000]
    shown = client.run("SHOW VARIABLES LIKE 'query_timeout'")
    assert shown.column(1).to_pylist() == ["77"]
    (errors,) = client.action("SetSessionOptions", entry("schema", "no_such_database"))
    assert b"schema" in errors


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unavailable", flight.FlightUnavailableError),
        ("unauthenticated", flight.FlightUnauthenticatedError),
        ("internal", flight.FlightInternalError),
    ],
)
def test_an_injected_status_fails_one_statement(
    emulator: Emulator, client: Client, code: str, kind: type[Exception]
) -> None:
    emulator.faults.add(
        Rule(point="flight.info", action="status", count=1, args={"code": code, "message": "no!"})
    )
    with pytest.raises(kind, match="no!"):
        client.statement("SELECT 1")
    assert client.run("SELECT 1").num_rows == 1


def test_a_stream_can_break_off_in_the_middle(
    emulator: Emulator, client: Client, numbers: str
) -> None:
    emulator.faults.add(Rule(point="flight.get", action="half_response", count=1))
    (endpoint,) = client.statement(f"SELECT k FROM {numbers}").endpoints
    with pytest.raises(flight.FlightUnavailableError, match="broke off"):
        client.fetch(endpoint)


def test_a_hang_outlasts_the_deadline_of_the_client(emulator: Emulator, client: Client) -> None:
    emulator.faults.add(Rule(point="flight.info", action="hang", count=1, args={"seconds": 3}))
    client.options = flight.FlightCallOptions(timeout=0.5, headers=_headers(client))
    with pytest.raises(flight.FlightTimedOutError):
        client.statement("SELECT 1")


def _headers(client: Client) -> list[tuple[bytes, bytes]]:
    token = client._client.authenticate_basic_token("root", "")
    return [token]


def test_adbc_executes_and_fetches(emulator: Emulator, numbers: str) -> None:
    dbapi = pytest.importorskip("adbc_driver_flightsql.dbapi")
    uri = "grpc://{}:{}".format(*emulator.fe_flight)
    options = {"username": "root", "password": ""}
    with pytest.warns(Warning, match="autocommit"):
        connection = dbapi.connect(uri, db_kwargs=options)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT k, v FROM {numbers} WHERE k < 3 ORDER BY k")
        assert cursor.fetchall() == [(0, "v0"), (1, "v1"), (2, "v2")]
        assert connection.adbc_get_info()["vendor_name"] == "DorisFE"
