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
"""The whole cluster is killed under its clients and comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from beam_doris.client.contracts import LoadRequest, LoadState
from beam_doris.client.deadline import Deadline
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.sql import SqlClient
from beam_doris.client.stream_load import StreamLoader
from beam_doris.errors import CommitUnknownError, TransientError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.table_id import TableId
from tests.integration.client_tables import JSON_LINES, lines

if TYPE_CHECKING:
    from beam_doris.emulator.process import EmulatorProcess

TABLE = TableId("crash", "student")


def connection_to(process: EmulatorProcess) -> DorisConnection:
    return DorisConnection(
        fenodes=f"127.0.0.1:{process.ready['fe_http']}",
        username="root",
        password="",
        query_port=process.ready["fe_mysql"],
        retries=1,
    )


def request(label: str, *, two_phase: bool = True, deadline: float = 20) -> LoadRequest:
    return LoadRequest(
        table=TABLE,
        label=label,
        headers=JSON_LINES,
        two_phase=two_phase,
        deadline=timedelta(seconds=deadline),
    )


@pytest.fixture
def connection(emulator_process: EmulatorProcess) -> DorisConnection:
    made = connection_to(emulator_process)
    with SqlClient(made) as sql:
        sql.execute("CREATE DATABASE crash")
        sql.execute(
            f"CREATE TABLE {TABLE.sql()} (id INT, name VARCHAR(40)) DUPLICATE KEY(id) "
            "DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES ('replication_num' = '1')"
        )
    return made


def rows(connection: DorisConnection) -> object:
    with SqlClient(connection) as sql:
        return sql.query(f"SELECT count(*) FROM {TABLE.sql()}").scalar()


def test_what_is_pre_committed_is_committed_after_the_crash(
    emulator_process: EmulatorProcess, connection: DorisConnection
) -> None:
    with StreamLoader(connection) as loader:
        result = loader.load(request("kept"), lines(1, 2, 3))
        emulator_process.kill()
        with pytest.raises(CommitUnknownError):
            loader.transactions.commit("crash", result.txn_id, "kept", deadline=Deadline.after(1))
        emulator_process.restart()
        loader.transactions.commit("crash", result.txn_id, "kept")
        assert loader.transactions.resolve("crash", "kept") is LoadState.VISIBLE
    assert rows(connection) == 3


def test_a_crash_in_the_middle_of_a_body_leaves_nothing_and_frees_the_label(
    emulator_process: EmulatorProcess, connection: DorisConnection
) -> None:
    retry = RetryPolicy(retries=1, first_pause=0.05)
    with StreamLoader(connection, retry=retry) as loader:
        load = loader.open(request("cut", deadline=3))
        load.write(lines(*range(1000)))
        emulator_process.kill()
        with pytest.raises(TransientError):
            load.finish()
        emulator_process.restart()
        assert loader.load(request("cut"), lines(1)).state is LoadState.PRECOMMITTED
    assert rows(connection) == 0
