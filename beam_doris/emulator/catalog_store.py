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
"""The durable form of catalog and transactions: rows of tables beside the data.

Every method writes through the cursor it is given, so that the caller joins the change of the
catalog and the change of the data in one DuckDB transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from beam_doris.emulator.catalog import (
    Column,
    Database,
    Distribution,
    KeysModel,
    Partition,
    PartitionBy,
    Table,
    Tablet,
)
from beam_doris.emulator.types import parse_type
from beam_doris.emulator.users import User

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS meta;
CREATE TABLE IF NOT EXISTS meta.databases (id BIGINT, definition VARCHAR);
CREATE TABLE IF NOT EXISTS meta.tables (id BIGINT, database_id BIGINT, definition VARCHAR);
CREATE TABLE IF NOT EXISTS meta.partitions (
    table_id BIGINT, id BIGINT, position BIGINT, version BIGINT, oldest BIGINT, definition VARCHAR);
CREATE TABLE IF NOT EXISTS meta.transactions (id BIGINT, definition VARCHAR);
CREATE TABLE IF NOT EXISTS meta.staged (txn_id BIGINT, table_id BIGINT, definition VARCHAR);
CREATE TABLE IF NOT EXISTS meta.users (name VARCHAR, definition VARCHAR);
CREATE TABLE IF NOT EXISTS meta.counters (name VARCHAR, next BIGINT);
"""


def create_schema(cursor: Any) -> None:
    cursor.execute(_SCHEMA)


def load_counters(cursor: Any) -> dict[str, int]:
    return dict(cursor.execute("SELECT name, next FROM meta.counters").fetchall())


def save_counter(cursor: Any, name: str, following: int) -> None:
    cursor.execute("BEGIN")
    cursor.execute("DELETE FROM meta.counters WHERE name = ?", [name])
    cursor.execute("INSERT INTO meta.counters VALUES (?, ?)", [name, following])
    cursor.execute("COMMIT")


def save_database(cursor: Any, database: Database) -> None:
    """Write a database, new or changed."""
    definition = {
        "name": database.name,
        "properties": dict(database.properties),
        "created_at": database.created_at,
    }
    cursor.execute("DELETE FROM meta.databases WHERE id = ?", [database.id])
    cursor.execute(
        "INSERT INTO meta.databases VALUES (?, ?)", [database.id, json.dumps(definition)]
    )


def delete_database(cursor: Any, database_id: int) -> None:
    cursor.execute("DELETE FROM meta.databases WHERE id = ?", [database_id])


def load_databases(cursor: Any) -> list[Database]:
    rows = cursor.execute("SELECT id, definition FROM meta.databases ORDER BY id").fetchall()
    return [Database(id=number, **json.loads(text)) for number, text in rows]


def save_table(cursor: Any, table: Table, database_id: int) -> None:
    """Write a table and all of its partitions, new or changed."""
    delete_table(cursor, table.id)
    cursor.execute(
        "INSERT INTO meta.tables VALUES (?, ?, ?)",
        [table.id, database_id, json.dumps(_table_to_json(table))],
    )
    add_partitions(cursor, table.id, table.partitions, 0)


def save_definition(cursor: Any, table: Table) -> None:
    """Write a changed table whose partitions stay as they are."""
    cursor.execute(
        "UPDATE meta.tables SET definition = ? WHERE id = ?",
        [json.dumps(_table_to_json(table)), table.id],
    )


def delete_table(cursor: Any, table_id: int) -> None:
    cursor.execute("DELETE FROM meta.tables WHERE id = ?", [table_id])
    cursor.execute("DELETE FROM meta.partitions WHERE table_id = ?", [table_id])


def add_partitions(
    cursor: Any, table_id: int, partitions: Sequence[Partition], position: int
) -> None:
    """Write new partitions; the first takes ``position`` in the order of the table."""
    if not partitions:
        return
    cursor.execute(
        "INSERT INTO meta.partitions SELECT ?, unnest(?::BIGINT[]), unnest(?::BIGINT[]), "
        "unnest(?::BIGINT[]), unnest(?::BIGINT[]), unnest(?::VARCHAR[])",
        [
            table_id,
            [partition.id for partition in partitions],
            list(range(position, position + len(partitions))),
            [partition.version for partition in partitions],
            [partition.oldest_version for partition in partitions],
            [json.dumps(_partition_to_json(partition)) for partition in partitions],
        ],
    )


def save_versions(cursor: Any, table_id: int, partitions: Sequence[Partition]) -> None:
    """Write the versions of partitions that a publish or a compaction has moved."""
    by_version: dict[tuple[int, int], list[int]] = {}
    for partition in partitions:
        by_version.setdefault((partition.version, partition.oldest_version), []).append(
            partition.id
        )
    for (version, oldest), ids in by_version.items():
        cursor.execute(
            "UPDATE meta.partitions SET version = ?, oldest = ? WHERE table_id = ? "
            "AND list_contains(?::BIGINT[], id)",
            [version, oldest, table_id, ids],
        )


def load_tables(cursor: Any, databases: Mapping[int, str]) -> list[Table]:
    partitions: dict[int, list[Partition]] = {}
    rows = cursor.execute(
        "SELECT table_id, id, version, oldest, definition FROM meta.partitions "
        "ORDER BY table_id, position"
    ).fetchall()
    for table_id, number, version, oldest, text in rows:
        partitions.setdefault(table_id, []).append(
            _partition_from_json(number, version, oldest, json.loads(text))
        )
    tables = cursor.execute("SELECT id, database_id, definition FROM meta.tables").fetchall()
    return [
        _table_from_json(
            number, databases[database_id], tuple(partitions.get(number, ())), json.loads(text)
        )
        for number, database_id, text in tables
    ]


def save_transaction(cursor: Any, txn_id: int, definition: Mapping[str, Any]) -> None:
    cursor.execute("DELETE FROM meta.transactions WHERE id = ?", [txn_id])
    cursor.execute("INSERT INTO meta.transactions VALUES (?, ?)", [txn_id, json.dumps(definition)])


def delete_transactions(cursor: Any, txn_ids: Sequence[int]) -> None:
    cursor.execute(
        "DELETE FROM meta.transactions WHERE list_contains(?::BIGINT[], id)", [list(txn_ids)]
    )


def load_transactions(cursor: Any) -> list[tuple[int, dict[str, Any]]]:
    rows = cursor.execute("SELECT id, definition FROM meta.transactions ORDER BY id").fetchall()
    return [(number, json.loads(text)) for number, text in rows]


def save_staged(cursor: Any, txn_id: int, table_id: int, definition: Mapping[str, Any]) -> None:
    cursor.execute(
        "INSERT INTO meta.staged VALUES (?, ?, ?)", [txn_id, table_id, json.dumps(definition)]
    )


def delete_staged(cursor: Any, txn_id: int, table_id: int) -> None:
    cursor.execute("DELETE FROM meta.staged WHERE txn_id = ? AND table_id = ?", [txn_id, table_id])


def load_staged(cursor: Any) -> list[tuple[int, int, dict[str, Any]]]:
    rows = cursor.execute("SELECT txn_id, table_id, definition FROM meta.staged").fetchall()
    return [(txn_id, table_id, json.loads(text)) for txn_id, table_id, text in rows]


def save_user(cursor: Any, name: str, user: User | None) -> None:
    """Write a user, new or changed; None removes the user of that name."""
    cursor.execute("BEGIN")
    cursor.execute("DELETE FROM meta.users WHERE name = ?", [name])
    if user is not None:
        definition = {
            "password_hash": user.password_hash.hex(),
            "grants": [[scope, sorted(words)] for scope, words in user.grants],
        }
        cursor.execute("INSERT INTO meta.users VALUES (?, ?)", [name, json.dumps(definition)])
    cursor.execute("COMMIT")


def load_users(cursor: Any) -> list[User]:
    users = []
    for name, text in cursor.execute("SELECT name, definition FROM meta.users").fetchall():
        stored = json.loads(text)
        grants = tuple((scope, frozenset(words)) for scope, words in stored["grants"])
        password_hash = bytes.fromhex(stored["password_hash"])
        users.append(User(name=name, password_hash=password_hash, grants=grants))
    return users


def _table_to_json(table: Table) -> dict[str, Any]:
    by = table.partition_by
    spread = table.distribution
    return {
        "name": table.name,
        "model": table.model.value,
        "columns": [
            {
                "id": column.id,
                "name": column.name,
                "type": column.type.sql(),
                "nullable": column.nullable,
                "key": column.key,
                "aggregation": column.aggregation,
                "default": column.default,
                "default_is_function": column.default_is_function,
                "comment": column.comment,
                "auto_increment": column.auto_increment,
                "generated": column.generated,
            }
            for column in table.columns
        ],
        "distribution": [spread.kind, spread.columns, spread.buckets, spread.auto_buckets],
        "partition_by": None if by is None else [by.kind, by.columns, by.auto_expression],
        "properties": dict(table.properties),
        "comment": table.comment,
        "created_at": table.created_at,
        "keys_explicit": table.keys_explicit,
    }


def _table_from_json(
    number: int, database: str, partitions: tuple[Partition, ...], stored: dict[str, Any]
) -> Table:
    kind, columns, buckets, auto = stored["distribution"]
    by = stored["partition_by"]
    return Table(
        id=number,
        database=database,
        name=stored["name"],
        model=KeysModel(stored["model"]),
        columns=tuple(
            Column(**{**column, "type": parse_type(column["type"])}) for column in stored["columns"]
        ),
        distribution=Distribution(
            kind=kind, columns=tuple(columns), buckets=buckets, auto_buckets=auto
        ),
        partitions=partitions,
        partition_by=None
        if by is None
        else PartitionBy(kind=by[0], columns=tuple(by[1]), auto_expression=by[2]),
        properties=stored["properties"],
        comment=stored["comment"],
        created_at=stored["created_at"],
        keys_explicit=stored["keys_explicit"],
    )


def _partition_to_json(partition: Partition) -> dict[str, Any]:
    # the ids of the tablets are consecutive: the first one tells all
    return {
        "name": partition.name,
        "lower": partition.lower,
        "upper": partition.upper,
        "values": partition.values,
        "default": partition.is_default,
        "first": partition.first_tablet,
        "backends": [tablet.backend_ids for tablet in partition.tablets],
    }


def _partition_from_json(
    number: int, version: int, oldest: int, stored: dict[str, Any]
) -> Partition:
    values = stored["values"]
    lower, upper = stored["lower"], stored["upper"]
    return Partition(
        id=number,
        name=stored["name"],
        version=version,
        oldest_version=oldest,
        tablets=tuple(
            Tablet(stored["first"] + bucket, bucket, tuple(backends))
            for bucket, backends in enumerate(stored["backends"])
        ),
        lower=None if lower is None else tuple(lower),
        upper=None if upper is None else tuple(upper),
        values=None if values is None else tuple(tuple(items) for items in values),
        is_default=stored["default"],
    )
