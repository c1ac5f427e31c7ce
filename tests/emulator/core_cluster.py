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
"""An engine without its network, with short ways to make tables and to load rows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from beam_doris.emulator.catalog import Distribution, KeysModel, PartitionBy, Table
from beam_doris.emulator.clock import ManualClock
from beam_doris.emulator.engine import Engine
from beam_doris.emulator.storage import AppendResult
from beam_doris.emulator.table_spec import ColumnSpec, PartitionSpec, TableSpec
from beam_doris.emulator.transactions import Transaction, TransactionLimits
from beam_doris.emulator.types import parse_type

DB = "test"


def col(name: str, type_text: str, **more: Any) -> ColumnSpec:
    return ColumnSpec(name=name, type=parse_type(type_text), **more)


def table_spec(
    name: str,
    columns: Sequence[ColumnSpec],
    *,
    model: KeysModel | None = KeysModel.DUP_KEYS,
    keys: Sequence[str] | None = None,
    properties: Mapping[str, str] | None = None,
    partition_by: PartitionBy | None = None,
    partitions: Sequence[PartitionSpec] = (),
    distribution: Distribution | None = None,
) -> TableSpec:
    first = columns[0].name
    if keys is None:
        keys = () if model is None else (first,)
    return TableSpec(
        database=DB,
        name=name,
        columns=tuple(columns),
        model=model,
        keys=tuple(keys),
        partition_by=partition_by,
        partitions=tuple(partitions),
        distribution=distribution or Distribution(kind="HASH", columns=(first,), buckets=3),
        properties={"replication_num": "1", **(properties or {})},
    )


class Cluster:
    """An engine with one database."""

    def __init__(
        self,
        *,
        path: Path | None = None,
        backends: int = 1,
        limits: TransactionLimits | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.engine = Engine(path=path, backends=backends, clock=self.clock, limits=limits)
        self.engine.create_database(DB, if_not_exists=True)

    def close(self) -> None:
        self.engine.close()

    def table(self, name: str = "t") -> Table:
        return self.engine.catalog.table(DB, name)

    def create(self, name: str, columns: Sequence[ColumnSpec], **more: Any) -> Table:
        return self.engine.create_table(table_spec(name, columns, **more))

    def begin(self, name: str = "t", label: str | None = None) -> Transaction:
        return self.engine.transactions.begin(
            DB, (self.table(name).id,), label or f"label_{uuid.uuid4().hex}"
        )

    def append(self, txn: Transaction, source: str, name: str = "t", **more: Any) -> AppendResult:
        stager = self.engine.storage.stager(txn.id, self.table(name), **more)
        with self.engine.cursor() as cursor:
            return stager.append(cursor, source)

    def load(self, source: str, name: str = "t", **more: Any) -> AppendResult:
        txn = self.begin(name)
        result = self.append(txn, source, name, **more)
        self.engine.transactions.finish(txn.id)
        return result

    def prepare(self, source: str, name: str = "t", label: str | None = None) -> Transaction:
        """A pre-committed load."""
        txn = self.begin(name, label)
        self.append(txn, source, name)
        return self.engine.transactions.precommit(txn.id)

    def rows(self, name: str = "t", **more: Any) -> list[tuple[Any, ...]]:
        sql = self.engine.storage.visible_sql(self.table(name), **more)
        with self.engine.cursor() as cursor:
            return list(cursor.execute(f"SELECT * FROM ({sql}) ORDER BY ALL").fetchall())

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        with self.engine.cursor() as cursor:
            return list(cursor.execute(text).fetchall())


def values(columns: str, *rows: str) -> str:
    """A source of literal rows; the order of the rows is their ``__ord``."""
    numbered = ", ".join(f"({row}, {number})" for number, row in enumerate(rows))
    return f"SELECT * FROM (VALUES {numbered}) x({columns}, __ord)"
