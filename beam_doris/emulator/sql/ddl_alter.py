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
"""ALTER TABLE, read by recursive descent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from beam_doris.emulator.sql.ddl import distribution
from beam_doris.emulator.sql.ddl_columns import column, properties
from beam_doris.emulator.sql.ddl_partitions import partition
from beam_doris.emulator.sql.tokens import Reader, Unsupported
from beam_doris.emulator.table_spec import (
    AddColumns,
    AddPartition,
    ColumnSpec,
    DropColumn,
    DropPartition,
    ModifyColumn,
    ModifyComment,
    RenameColumn,
    RenamePartition,
    RenameTable,
    ReorderColumns,
    SetProperties,
    TableChange,
)


def changes(reader: Reader) -> list[TableChange]:
    """The clauses behind ``ALTER TABLE name``."""
    found = list(_changes(reader))
    reader.finish()
    return found


def _changes(reader: Reader) -> Iterator[TableChange]:
    while True:
        change = _change(reader)
        if change is not None:
            yield change
        if not reader.take(","):
            return


def _change(reader: Reader) -> TableChange | None:
    if reader.take("ADD"):
        return _add(reader)
    if reader.take("DROP"):
        return _drop(reader)
    if reader.take("MODIFY"):
        return _modify(reader)
    if reader.take("RENAME"):
        return _rename(reader)
    if reader.take("SET"):
        return SetProperties(properties=properties(reader))
    if reader.take("ORDER", "BY"):
        return ReorderColumns(names=reader.names())
    raise Unsupported(f"ALTER TABLE ... {reader.peek().text}")


def _place(reader: Reader) -> tuple[str | None, bool]:
    after = None
    first = False
    if reader.take("AFTER"):
        after = reader.name()
    elif reader.take("FIRST"):
        first = True
    if reader.take("TO"):
        raise Unsupported(f"a column of the rollup {reader.name()}")
    if reader.take("PROPERTIES"):
        properties(reader)
    return after, first


def _add(reader: Reader) -> TableChange | None:
    if reader.take("COLUMN"):
        if reader.sees("("):
            return _add_several(reader)
        spec = column(reader)
        after, first = _place(reader)
        return AddColumns(columns=(spec,), after=after, first=first)
    if reader.take("INDEX"):
        # an index changes no result: it is accepted and not kept
        reader.rest()
        return None
    if reader.sees("PARTITION"):
        spec_of_partition = partition(reader)
        buckets = None
        if reader.take("DISTRIBUTED", "BY"):
            buckets = distribution(reader).buckets
        if reader.take("PROPERTIES"):
            properties(reader)
        return AddPartition(partition=replace(spec_of_partition, buckets=buckets))
    raise Unsupported(f"ALTER TABLE ... ADD {reader.peek().text}")


def _add_several(reader: Reader) -> TableChange:
    reader.expect("(")
    specs: list[ColumnSpec] = [column(reader)]
    while reader.take(","):
        specs.append(column(reader))
    reader.expect(")")
    _place(reader)
    return AddColumns(columns=tuple(specs))


def _drop(reader: Reader) -> TableChange | None:
    if reader.take("COLUMN"):
        name = reader.name()
        _place(reader)
        return DropColumn(name=name)
    if reader.take("INDEX"):
        reader.rest()
        return None
    reader.take("TEMPORARY")
    if reader.take("PARTITION"):
        if_exists = reader.take("IF", "EXISTS")
        name = reader.name()
        reader.take("FORCE")
        return DropPartition(name=name, if_exists=if_exists)
    raise Unsupported(f"ALTER TABLE ... DROP {reader.peek().text}")


def _modify(reader: Reader) -> TableChange:
    if reader.take("COMMENT"):
        return ModifyComment(comment=reader.text())
    if reader.take("COLUMN"):
        if reader.peek(1).upper == "COMMENT":
            name = reader.name()
            reader.expect("COMMENT")
            return ModifyComment(comment=reader.text(), column=name)
        spec = column(reader)
        after, first = _place(reader)
        return ModifyColumn(column=spec, after=after, first=first)
    raise Unsupported(f"ALTER TABLE ... MODIFY {reader.peek().text}")


def _rename(reader: Reader) -> TableChange:
    if reader.take("COLUMN"):
        old = reader.name()
        reader.take("TO")
        return RenameColumn(old=old, new=reader.name())
    if reader.take("PARTITION"):
        old = reader.name()
        return RenamePartition(old=old, new=reader.name())
    if reader.sees("ROLLUP"):
        raise Unsupported("ALTER TABLE ... RENAME ROLLUP")
    reader.take("TO")
    return RenameTable(name=reader.name())
