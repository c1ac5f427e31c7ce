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
"""`beam-doris abort-lingering` against the emulator: it shows, asks, and drops nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql
import pytest

from beam_doris.cli.__main__ import main
from beam_doris.client.contracts import LoadRequest, LoadState
from beam_doris.client.frontend import Frontend
from beam_doris.client.labels import load_label
from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import QueryError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId

if TYPE_CHECKING:
    from beam_doris.emulator import Emulator

TABLE = TableId("linger", "t")


def sql(emulator: Emulator, *statements: str) -> None:
    """Runs statements by pymysql."""
    with pymysql.connect(
        host="127.0.0.1", port=emulator.ready["fe_mysql"], user="root", autocommit=True
    ) as connection:
        for statement in statements:
            connection.cursor().execute(statement)


@pytest.fixture
def loader(emulator: Emulator) -> StreamLoader:
    """A loader for an empty table."""
    sql(
        emulator,
        "CREATE DATABASE IF NOT EXISTS linger",
        "DROP TABLE IF EXISTS linger.t",
        "CREATE TABLE linger.t (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 "
        'PROPERTIES ("replication_num" = "1")',
    )
    fenodes = f"127.0.0.1:{emulator.ready['fe_http']}"
    return StreamLoader(DorisConnection(fenodes=fenodes, username="root", password=""))


def precommit(loader: StreamLoader, prefix: str, run: str, nonce: str) -> str:
    """Leaves a load behind."""
    label = load_label(prefix, TABLE, run, nonce, 0)
    loader.load(LoadRequest(table=TABLE, label=label, headers={"format": "json"}), b'{"id": 1}')
    return label


def command(emulator: Emulator, *more: str) -> int:
    """Runs the command."""
    fenodes = f"127.0.0.1:{emulator.ready['fe_http']}"
    return main(["abort-lingering", "--fenodes", fenodes, "--database", "linger", *more])


def state(loader: StreamLoader, label: str) -> LoadState:
    """The state of a load."""
    return loader.transactions.resolve("linger", label)


def test_only_the_named_jobs_waiting_loads_of_the_run_are_aborted(
    emulator: Emulator, loader: StreamLoader, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = precommit(loader, "job", "r1", "a1")
    later = precommit(loader, "job", "r2", "a2")
    other = precommit(loader, "job_2", "r1", "a3")
    done = precommit(loader, "job", "r1", "a4")
    loader.transactions.commit("linger", None, done)
    assert command(emulator, "--prefix", "job", "--run-id", "r1", "--yes") == 0
    assert state(loader, ours) is LoadState.ABORTED
    assert state(loader, later) is LoadState.PRECOMMITTED
    assert state(loader, other) is LoadState.PRECOMMITTED
    assert state(loader, done).is_committed
    shown = capsys.readouterr().out
    assert ours in shown
    assert later not in shown
    assert other not in shown
    for label in (later, other):
        loader.transactions.abort("linger", None, label)


def test_nothing_is_aborted_unasked(
    emulator: Emulator, loader: StreamLoader, capsys: pytest.CaptureFixture[str]
) -> None:
    label = precommit(loader, "job", "r3", "a5")
    assert command(emulator, "--prefix", "job") == 1
    assert label in capsys.readouterr().out
    assert state(loader, label) is LoadState.PRECOMMITTED
    loader.transactions.abort("linger", None, label)


def test_young_loads_are_left_alone(emulator: Emulator, loader: StreamLoader) -> None:
    label = precommit(loader, "job", "r4", "a6")
    assert command(emulator, "--prefix", "job", "--older-than", "10m", "--yes") == 0
    assert state(loader, label) is LoadState.PRECOMMITTED
    emulator.clock.advance(700)  # type: ignore[attr-defined]
    assert command(emulator, "--prefix", "job", "--older-than", "10m", "--yes") == 0
    assert state(loader, label) is LoadState.ABORTED


def test_missing_rights_are_named(
    emulator: Emulator,
    loader: StreamLoader,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise QueryError("Access denied; you need (at least one of) the (LOAD) privilege(s)")

    monkeypatch.setattr(Frontend, "query", denied)
    assert command(emulator, "--prefix", "job") == 1
    assert "LOAD_PRIV" in capsys.readouterr().err


def test_a_wrong_span_is_explained(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(emulator, "--prefix", "job", "--older-than", "soon") == 1
    assert "30m" in capsys.readouterr().err
