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
"""A session on an engine in memory, with short ways to ask it things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from beam_doris.emulator.clock import ManualClock
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.executor import Session

ONE = 'PROPERTIES ("replication_num" = "1")'
DB = "d"


class Asking:
    """One session of root in the database ``d``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        root = engine.users.get("root")
        assert root is not None
        self.session = Session(engine, root, DB)

    def rows(
        self, sql: str, params: Sequence[object] | None = None
    ) -> list[tuple[str | None, ...]]:
        return list(self.session.execute(sql, params).text_rows())

    def value(self, sql: str) -> str | None:
        rows = self.rows(sql)
        assert len(rows) == 1
        assert len(rows[0]) == 1
        return rows[0][0]

    def run(self, sql: str, params: Sequence[object] | None = None) -> int:
        return self.session.execute(sql, params).affected

    def types(self, sql: str) -> list[str]:
        return [column.type.shown() for column in self.session.execute(sql).columns]

    def names(self, sql: str) -> list[str]:
        return [column.name for column in self.session.execute(sql).columns]

    def error(self, sql: str) -> EmulatorError:
        with pytest.raises(EmulatorError) as caught:
            self.rows(sql)
        return caught.value

    def table(
        self, columns: str, *, name: str = "t", model: str = "", properties: str = ""
    ) -> None:
        first = columns.split()[0]
        more = f", {properties}" if properties else ""
        self.run(
            f"CREATE TABLE {name} ({columns}) {model or f'DUPLICATE KEY({first})'} "
            f"DISTRIBUTED BY HASH({first}) BUCKETS 2 PROPERTIES ('replication_num' = '1'{more})"
        )


@contextmanager
def asking() -> Iterator[Asking]:
    engine = Engine(backends=2, clock=ManualClock())
    try:
        engine.create_database(DB)
        yield Asking(engine)
    finally:
        engine.close()
