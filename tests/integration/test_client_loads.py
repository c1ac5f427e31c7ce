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
"""Loads and commits against a cluster that misbehaves."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Iterator

import pytest

from beam_doris.client.contracts import LoadRequest, LoadState
from beam_doris.client.deadline import Deadline
from beam_doris.client.rejected_rows import RejectedRowsReader
from beam_doris.client.stream_load import StreamLoader
from beam_doris.emulator import Emulator, Rule
from beam_doris.errors import (
    AuthError,
    CommitUnknownError,
    ConnectError,
    DeadlineExceeded,
    LabelConflictError,
    LoadError,
    LoadUnknownError,
    NotFoundError,
    ProtocolError,
    RejectedRowsError,
    ServerBusy,
    TransactionExpiredError,
)
from beam_doris.options.table_id import TableId
from tests.integration.client_tables import JSON_LINES, Bench, bench_on, connection_to, lines


@pytest.fixture
def bench(emulator: Emulator) -> Iterator[Bench]:
    made = bench_on(emulator)
    yield made
    made.close()


@pytest.fixture
def label() -> str:
    return f"job_{uuid.uuid4().hex[:12]}"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --------------------------------------------------------------------------------- as it should


def test_a_two_phase_load_is_invisible_until_its_commit(bench: Bench, label: str) -> None:
    result = bench.loader.load(bench.request(label), lines(1, 2, 3))
    assert (result.state, result.rows_loaded) == (LoadState.PRECOMMITTED, 3)
    assert bench.rows() == 0
    outcome = bench.loader.transactions.commit(bench.table.database, result.txn_id, label)
    assert not outcome.already
    state = bench.loader.transactions.wait_visible(
        bench.table.database, label, deadline=Deadline.after(5)
    )
    assert state is LoadState.VISIBLE
    assert bench.rows() == 3


def test_a_pushed_load_and_one_in_one_phase(bench: Bench, label: str) -> None:
    with bench.loader.open(bench.request(label, two_phase=False)) as load:
        for start in range(0, 5000, 100):
            load.write(lines(*range(start, start + 100)))
        result = load.finish()
    assert result.state is LoadState.VISIBLE
    assert (result.rows_total, bench.rows()) == (5000, 5000)


def test_a_commit_by_label_and_an_abort(bench: Bench, label: str) -> None:
    database = bench.table.database
    bench.loader.load(bench.request(label), lines(1))
    assert bench.loader.transactions.commit(database, None, label).state.is_committed
    second = bench.loader.load(bench.request(label + "b"), lines(2))
    assert bench.loader.transactions.abort(database, second.txn_id, label + "b")
    assert not bench.loader.transactions.abort(database, second.txn_id, label + "b")
    first = bench.frontend.transaction(database, label=label)
    assert first is not None
    with pytest.raises(LoadError, match="cannot be aborted"):
        bench.loader.transactions.abort(database, first.txn_id)
    assert bench.rows() == 1


def test_fixed_backends_and_listed_backends(bench: Bench, label: str) -> None:
    nodes = ",".join(f"{host}:{port}" for host, port in bench.emulator.be_http)
    cases: list[dict[str, object]] = [{"benodes": nodes}, {"auto_redirect": False}]
    for number, changes in enumerate(cases):
        with StreamLoader(connection_to(bench.emulator, **changes)) as loader:
            loader.load(bench.request(f"{label}{number}", two_phase=False), lines(number))
    assert bench.rows() == 2


def test_gzip_is_announced(bench: Bench, label: str) -> None:
    import gzip

    request = LoadRequest(
        table=bench.table, label=label, headers=JSON_LINES, two_phase=False, gzip=True
    )
    bench.loader.load(request, gzip.compress(lines(*range(1000))))
    assert bench.rows() == 1000


# ------------------------------------------------------------------------------------- wrong use


def test_wrong_password_and_unknown_names(bench: Bench, label: str) -> None:
    with (
        StreamLoader(connection_to(bench.emulator, password="wrong")) as stranger,
        pytest.raises(AuthError) as caught,
    ):
        stranger.load(bench.request(label), lines(1))
    assert caught.value.where["label"] == label
    for table in (TableId(bench.table.database, "nope"), TableId("nope", "nope")):
        with pytest.raises(NotFoundError, match="nope"):
            bench.loader.load(LoadRequest(table=table, label=label, headers=JSON_LINES), lines(1))


def test_rows_that_do_not_fit_come_with_their_reasons(bench: Bench, label: str) -> None:
    request = LoadRequest(
        table=bench.table, label=label, headers={"format": "csv", "column_separator": ","}
    )
    with pytest.raises(RejectedRowsError) as caught:
        bench.loader.load(request, b"1,a\nsesame\n3,c\n")
    error = caught.value
    assert (error.filtered_rows, error.total_rows) == (1, 3)
    assert "sesame" not in str(error)
    assert error.error_url is not None
    reader = RejectedRowsReader(bench.connection, frontend=bench.frontend)
    (row,) = reader.fetch(error.error_url).rows
    assert "sesame" not in row.reason
    assert row.line is None
    assert reader.fetch(error.error_url, keep_lines=True).rows[0].line == "sesame"
    cut = reader.fetch(error.error_url, max_bytes=20)
    assert (cut.rows, cut.truncated) == ((), True)
    with pytest.raises(ProtocolError, match="not a host"):
        reader.fetch("http://192.0.2.1:8040/api/_load_error_log?file=x")
    result = bench.loader.load(bench.request(label), lines(1))
    assert not result.adopted  # a failed load frees its label


# --------------------------------------------------------------------------------------- network


def test_a_dead_frontend_is_passed_over(bench: Bench, label: str) -> None:
    host, port = bench.emulator.fe_http
    nodes = [f"127.0.0.1:{closed_port()}", f"{host}:{port}"]
    with StreamLoader(connection_to(bench.emulator, fenodes=nodes)) as loader:
        for number in range(3):
            loader.load(bench.request(f"{label}_{number}", two_phase=False), lines(number))
    assert bench.rows() == 3


def test_nothing_there_is_a_connect_error(bench: Bench, label: str) -> None:
    connection = connection_to(bench.emulator, fenodes=f"127.0.0.1:{closed_port()}", retries=1)
    with StreamLoader(connection) as loader, pytest.raises(ConnectError, match="visible"):
        loader.load(bench.request(label, deadline=10), lines(1))


def test_a_redirect_to_a_stranger_is_refused(bench: Bench, label: str) -> None:
    location = "http://root:x@192.0.2.1:8040/api/d/t/_stream_load"
    bench.emulator.faults.add(
        Rule(point="fe.load", action="redirect", args={"location": location}, count=1)
    )
    with pytest.raises(ProtocolError, match=r"192\.0\.2\.1"):
        bench.loader.load(bench.request(label), lines(1))
    assert bench.transactions(label) == []


@pytest.mark.parametrize("action", ["reset", "close", "half_response"])
def test_an_answer_lost_after_the_pre_commit_is_adopted(
    bench: Bench, label: str, action: str
) -> None:
    bench.emulator.faults.add(
        Rule(point="be.load.after_commit", action=action, match={"label": label}, count=1)
    )
    result = bench.loader.load(bench.request(label), lines(1, 2))
    assert result.adopted
    assert bench.transactions(label) == ["PRECOMMITTED"]
    bench.loader.transactions.commit(bench.table.database, result.txn_id, label)
    assert bench.rows() == 2


@pytest.mark.parametrize("action", ["reset", "close", "half_response"])
def test_in_one_phase_an_answer_lost_after_the_commit_is_found_done(
    bench: Bench, label: str, action: str
) -> None:
    bench.emulator.faults.add(
        Rule(point="be.load.after_commit", action=action, match={"label": label}, count=1)
    )
    result = bench.loader.load(bench.request(label, two_phase=False), lines(1, 2))
    assert result.adopted
    assert bench.rows() == 2


@pytest.mark.parametrize("point", ["be.load.headers", "be.load.before_commit"])
@pytest.mark.parametrize("two_phase", [True, False])
def test_a_connection_lost_before_the_commit_is_loaded_once(
    bench: Bench, label: str, point: str, two_phase: bool
) -> None:
    bench.emulator.faults.add(Rule(point=point, action="reset", match={"label": label}, count=1))
    result = bench.loader.load(bench.request(label, two_phase=two_phase), lines(1, 2))
    if two_phase:
        bench.loader.transactions.commit(bench.table.database, result.txn_id, label)
    assert bench.rows() == 2
    assert bench.fired(point) == 1


@pytest.mark.parametrize("at", [1, 100_000, 4_000_000])
def test_a_reset_in_the_body_is_sent_again(bench: Bench, label: str, at: int) -> None:
    bench.emulator.faults.add(
        Rule(
            point="be.load.body",
            action="reset",
            match={"label": label},
            count=1,
            args={"bytes": at},
        )
    )
    body = lines(*range(200_000))
    result = bench.loader.load(bench.request(label, deadline=60), [body[:1000], body[1000:]])
    assert result.attempts == 2
    assert result.rows_loaded == 200_000


def test_a_reset_while_pushing_is_replayed(bench: Bench, label: str) -> None:
    bench.emulator.faults.add(
        Rule(
            point="be.load.body",
            action="reset",
            match={"label": label},
            count=1,
            args={"bytes": 50_000},
        )
    )
    with bench.loader.open(bench.request(label)) as load:
        for start in range(0, 20_000, 500):
            load.write(lines(*range(start, start + 500)))
        result = load.finish()
    assert result.rows_loaded == 20_000


def test_too_many_versions_are_waited_for(bench: Bench, label: str) -> None:
    bench.emulator.faults.add(
        Rule(
            point="be.load.before_commit",
            action="too_many_versions",
            match={"label": label},
            count=2,
        )
    )
    result = bench.loader.load(bench.request(label), lines(1))
    assert result.attempts == 3
    assert not result.adopted


def test_too_many_versions_for_ever_are_busy_at_the_deadline(bench: Bench, label: str) -> None:
    bench.emulator.faults.add(Rule(point="be.load.before_commit", action="too_many_versions"))
    started = time.monotonic()
    with pytest.raises(ServerBusy, match="235"):
        bench.loader.load(bench.request(label, deadline=2), lines(1))
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "point",
    ["fe.load", "be.load.headers", "be.load.body", "be.load.before_commit", "be.load.after_commit"],
)
def test_a_hang_anywhere_ends_within_a_second_of_the_deadline(
    bench: Bench, label: str, point: str
) -> None:
    bench.emulator.faults.add(
        Rule(point=point, action="hang", match={"label": label}, args={"seconds": 4})
    )
    started = time.monotonic()
    try:
        result = bench.loader.load(bench.request(label, deadline=1.5), lines(1))
        assert result.adopted  # the load had been pre-committed before the hang
    except DeadlineExceeded:
        pass
    assert time.monotonic() - started < 2.5
    assert bench.fired(point) >= 1


def test_in_one_phase_a_hang_is_an_unknown_outcome_that_the_label_settles(
    bench: Bench, label: str
) -> None:
    bench.emulator.faults.add(
        Rule(
            point="be.load.before_commit",
            action="hang",
            match={"label": label},
            args={"seconds": 2},
            count=1,
        )
    )
    with pytest.raises(LoadUnknownError):
        bench.loader.load(bench.request(label, two_phase=False, deadline=1), lines(1))
    again = bench.loader.load(bench.request(label, two_phase=False), lines(1))
    assert again.state.is_committed
    assert bench.rows() == 1


def test_a_publish_timeout_is_verified(bench: Bench, label: str) -> None:
    bench.emulator.faults.add(
        Rule(point="txn.publish", action="hold", match={"label": label}, args={"seconds": 3600})
    )
    result = bench.loader.load(bench.request(label, two_phase=False), lines(1))
    assert result.state is LoadState.COMMITTED
    assert bench.rows() == 0
    bench.advance(3601)
    bench.loader.transactions.wait_visible(bench.table.database, label, deadline=Deadline.after(5))
    assert bench.rows() == 1


def test_a_dead_backend_is_left_out(bench: Bench, label: str) -> None:
    bench.emulator.stop_backend(0)
    try:
        for number in range(4):
            bench.loader.load(bench.request(f"{label}_{number}", two_phase=False), lines(number))
    finally:
        bench.emulator.start_backend(0)
    assert bench.rows() == 4


# ---------------------------------------------------------------------------------------- labels


def test_another_loads_label_is_left_alone(bench: Bench, label: str) -> None:
    first = bench.loader.load(bench.request(label), lines(1))
    with pytest.raises(LabelConflictError) as caught:
        bench.loader.load(bench.request(label), lines(2))
    assert caught.value.existing_status == "PRECOMMITTED"
    assert caught.value.txn_id == first.txn_id
    bench.loader.transactions.commit(bench.table.database, first.txn_id, label)
    with pytest.raises(LabelConflictError) as caught:
        bench.loader.load(bench.request(label), lines(2))
    assert caught.value.existing_status == "FINISHED"
    assert bench.rows() == 1


def test_in_one_phase_the_same_label_loads_once(bench: Bench, label: str) -> None:
    bench.loader.load(bench.request(label, two_phase=False), lines(1))
    again = bench.loader.load(bench.request(label, two_phase=False), lines(1))
    assert again.adopted
    assert bench.rows() == 1


def test_an_open_load_that_is_left_is_aborted(bench: Bench, label: str) -> None:
    with bench.loader.open(bench.request(label)) as load:
        load.write(lines(*range(1000)))
    give_up = time.monotonic() + 5
    while bench.transactions(label)[-1:] not in ([], ["ABORTED"]) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert bench.transactions(label)[-1:] in ([], ["ABORTED"])
    result = bench.loader.load(bench.request(label), lines(1))
    assert result.state is LoadState.PRECOMMITTED


# --------------------------------------------------------------------------------------- commits


def test_committing_twice_is_success(bench: Bench, label: str) -> None:
    result = bench.loader.load(bench.request(label), lines(1))
    commit = bench.loader.transactions.commit
    assert not commit(bench.table.database, result.txn_id, label).already
    assert commit(bench.table.database, result.txn_id, label).already
    assert bench.rows() == 1


def test_committing_what_expired_is_a_loud_loss(bench: Bench, label: str) -> None:
    result = bench.loader.load(bench.request(label), lines(1))
    bench.advance(3700)
    with pytest.raises(TransactionExpiredError) as caught:
        bench.loader.transactions.commit(bench.table.database, result.txn_id, label)
    assert caught.value.txn_id == result.txn_id
    assert bench.rows() == 0


def test_committing_what_never_was_is_undecidable(bench: Bench) -> None:
    with pytest.raises(CommitUnknownError):
        bench.loader.transactions.commit(bench.table.database, 999_999_999, "never")


@pytest.mark.parametrize("point", ["be.2pc.headers", "be.2pc.reply"])
@pytest.mark.parametrize("action", ["reset", "close", "half_response"])
def test_a_commit_survives_the_loss_of_request_or_answer(
    bench: Bench, label: str, point: str, action: str
) -> None:
    result = bench.loader.load(bench.request(label), lines(1))
    bench.emulator.faults.add(
        Rule(point=point, action=action, match={"txn_id": result.txn_id}, count=1)
    )
    outcome = bench.loader.transactions.commit(bench.table.database, result.txn_id, label)
    assert outcome.state.is_committed
    assert bench.rows() == 1
    assert bench.fired(point) == 1


def test_a_commit_that_hangs_ends_within_a_second_of_its_deadline(bench: Bench, label: str) -> None:
    result = bench.loader.load(bench.request(label), lines(1))
    bench.emulator.faults.add(Rule(point="be.2pc.headers", action="hang", args={"seconds": 4}))
    started = time.monotonic()
    with pytest.raises(CommitUnknownError):
        bench.loader.transactions.commit(
            bench.table.database, result.txn_id, label, deadline=Deadline.after(1)
        )
    assert time.monotonic() - started < 2


def test_many_threads_share_one_loader(bench: Bench, label: str) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(3):
                own = f"{label}_{number}_{turn}"
                result = bench.loader.load(bench.request(own), lines(*range(50)))
                bench.loader.transactions.commit(bench.table.database, result.txn_id, own)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures
    assert bench.rows() == 6 * 3 * 50
