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
"""CREATE TABLE, read by recursive descent (P 8.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from beam_doris.emulator.catalog import Distribution, KeysModel, PartitionBy
from beam_doris.emulator.sql.ddl_columns import column, properties
from beam_doris.emulator.sql.ddl_partitions import partition_by, partition_list
from beam_doris.emulator.sql.tokens import Reader, Token, Unsupported
from beam_doris.emulator.table_spec import ColumnSpec, PartitionSpec

_MODELS = {
    "DUPLICATE": KeysModel.DUP_KEYS,
    "UNIQUE": KeysModel.UNIQUE_KEYS,
    "AGGREGATE": KeysModel.AGG_KEYS,
}


@dataclass(slots=True)
class CreateTable:
    """A CREATE TABLE statement as it is read."""

    database: str | None
    name: str
    if_not_exists: bool = False
    columns: list[ColumnSpec] = field(default_factory=list)
    column_names: tuple[str, ...] = ()
    model: KeysModel | None = None
    keys: tuple[str, ...] = ()
    partition_by: PartitionBy | None = None
    partitions: tuple[PartitionSpec, ...] = ()
    distribution: Distribution | None = None
    properties: dict[str, str] = field(default_factory=dict)
    comment: str = ""
    like: tuple[str | None, str] | None = None
    query: list[Token] | None = None


def create_table(reader: Reader) -> CreateTable:
    """Everything behind ``CREATE [EXTERNAL | TEMPORARY] TABLE``."""
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    database, name = reader.qualified()
    statement = CreateTable(database, name, if_not_exists)
    if reader.take("LIKE"):
        statement.like = reader.qualified()
        if reader.take("WITH", "ROLLUP"):
            reader.rest()
        reader.finish()
        return statement
    if reader.sees("("):
        _columns(reader, statement)
    while not reader.done and _clause(reader, statement):
        continue
    reader.finish()
    return statement


def _columns(reader: Reader, statement: CreateTable) -> None:
    reader.expect("(")
    if reader.peek().is_name and (
        (reader.peek(1).text in (",", ")")) and not reader.peek(1).is_name
    ):
        # CREATE TABLE t (a, b) AS SELECT: names only
        names = [reader.name()]
        while reader.take(","):
            names.append(reader.name())
        statement.column_names = tuple(names)
        reader.expect(")")
        return
    while True:
        if reader.sees("INDEX") and reader.peek(1).is_name:
            _skip_definition(reader)
        else:
            statement.columns.append(column(reader))
        if not reader.take(","):
            break
    reader.expect(")")


def _skip_definition(reader: Reader) -> None:
    """An index changes no result: it is accepted and not kept."""
    while not reader.done and not reader.sees(",") and not reader.sees(")"):
        if reader.sees("("):
            reader.parenthesized()
        else:
            reader.next()


def _clause(reader: Reader, statement: CreateTable) -> bool:
    """Take one clause behind the column list; False when none comes next."""
    word = reader.peek().upper
    if word in _MODELS and reader.peek(1).upper == "KEY":
        reader.expect(word, "KEY")
        statement.model = _MODELS[word]
        statement.keys = reader.names()
    elif reader.take("ENGINE"):
        reader.take("=")
        engine = reader.name()
        if engine.upper() != "OLAP":
            raise Unsupported(f"tables of ENGINE={engine}")
    elif reader.take("CLUSTER", "BY"):
        reader.names()
    elif reader.take("COMMENT"):
        statement.comment = reader.text()
    elif reader.sees("AUTO", "PARTITION") or reader.sees("PARTITION"):
        auto = reader.take("AUTO")
        reader.expect("PARTITION", "BY")
        statement.partition_by = partition_by(reader, auto=auto)
        if reader.sees("("):
            statement.partitions = partition_list(reader)
    elif reader.take("DISTRIBUTED", "BY"):
        statement.distribution = distribution(reader)
    elif reader.take("ROLLUP"):
        reader.parenthesized()
    elif reader.take("PROPERTIES"):
        statement.properties = properties(reader)
    elif reader.sees("AS") or reader.sees("SELECT") or reader.sees("WITH"):
        reader.take("AS")
        statement.query = reader.rest()
    else:
        return False
    return True


def distribution(reader: Reader) -> Distribution:
    """``HASH(a, b) | RANDOM [BUCKETS n | AUTO]``."""
    columns: tuple[str, ...] = ()
    if reader.take("HASH"):
        kind = "HASH"
        columns = reader.names()
    else:
        reader.expect("RANDOM")
        kind = "RANDOM"
    if not reader.take("BUCKETS"):
        return Distribution(kind=kind, columns=columns)
    if reader.take("AUTO"):
        return Distribution(kind=kind, columns=columns, auto_buckets=True)
    return Distribution(kind=kind, columns=columns, buckets=reader.integer())
