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
"""SHOW CREATE TABLE: a text that makes the same table again."""

from __future__ import annotations

from beam_doris.emulator.catalog import Column, KeysModel, Partition, Table

_KEYS = {
    KeysModel.DUP_KEYS: "DUPLICATE KEY",
    KeysModel.UNIQUE_KEYS: "UNIQUE KEY",
    KeysModel.AGG_KEYS: "AGGREGATE KEY",
}


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _double(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def column_text(table: Table, column: Column) -> str:
    parts = [f"`{column.name}` {column.type.sql().lower()}"]
    if column.aggregation and table.model is KeysModel.AGG_KEYS and not column.key:
        parts.append(column.aggregation)
    if column.generated is not None:
        parts.append(f"AS ({column.generated})")
    parts.append("NULL" if column.nullable else "NOT NULL")
    if column.auto_increment is not None:
        parts.append(f"AUTO_INCREMENT({column.auto_increment})")
    if column.default is not None:
        shown = column.default if column.default_is_function else f'"{_double(column.default)}"'
        parts.append(f"DEFAULT {shown}")
    if column.comment:
        parts.append(f"COMMENT '{_text(column.comment)}'")
    return " ".join(parts)


def _bound(bound: tuple[str | None, ...], missing: str) -> str:
    cells = [missing if cell is None else f"'{_text(cell)}'" for cell in bound]
    return f"({', '.join(cells)})"


def _partition(table: Table, partition: Partition) -> str:
    assert table.partition_by is not None
    head = f"PARTITION {partition.name}"
    if table.partition_by.kind == "LIST":
        if partition.values is None or partition.is_default:
            return head
        if len(table.partition_by.columns) == 1:
            values = [_bound(value, "NULL")[1:-1] for value in partition.values]
        else:
            values = [_bound(value, "NULL") for value in partition.values]
        return f"{head} VALUES IN ({', '.join(values)})"
    upper = partition.upper or (None,)
    if partition.lower is None or any(cell is None for cell in partition.lower):
        if all(cell is None for cell in upper):
            return f"{head} VALUES LESS THAN MAXVALUE"
        return f"{head} VALUES LESS THAN {_bound(upper, 'MAXVALUE')}"
    if all(cell is None for cell in upper):
        return f"{head} VALUES [{_bound(partition.lower, 'NULL')}, (MAXVALUE))"
    return f"{head} VALUES [{_bound(partition.lower, 'NULL')}, {_bound(upper, 'MAXVALUE')})"


def _partitions(table: Table) -> str:
    by = table.partition_by
    if by is None:
        return ""
    inner = by.auto_expression if by.auto_expression is not None else _names(by.columns)
    # a space behind RANGE is written for automatic partitions only
    head = (
        f"AUTO PARTITION BY {by.kind} ({inner})" if by.auto else f"PARTITION BY {by.kind}({inner})"
    )
    parts = [] if by.auto else [_partition(table, partition) for partition in table.partitions]
    return f"{head}\n({','.join(chr(10) + part for part in parts).lstrip(chr(10))})\n"


def _distribution(table: Table) -> str:
    how = table.distribution
    buckets = "AUTO" if how.auto_buckets else str(how.buckets)
    if how.kind == "RANDOM":
        return f"DISTRIBUTED BY RANDOM BUCKETS {buckets}"
    return f"DISTRIBUTED BY HASH({_names(how.columns)}) BUCKETS {buckets}"


def shown_properties(table: Table) -> dict[str, str]:
    found = {"replication_allocation": f"tag.location.default: {table.replication_num}"}
    if table.model is KeysModel.UNIQUE_KEYS:
        found["enable_unique_key_merge_on_write"] = str(table.merge_on_write).lower()
    for key, value in table.properties.items():
        if key not in ("replication_num", "replication_allocation"):
            found[key] = value
    return found


def create_table_text(table: Table) -> str:
    """The statement that makes the table."""
    columns = ",\n".join(f"  {column_text(table, column)}" for column in table.columns)
    keys = tuple(column.name for column in table.key_columns)
    key_clause = f"{_KEYS[table.model]}({_names(keys)})\n" if keys else ""
    comment = f"COMMENT '{_text(table.comment)}'\n" if table.comment else ""
    properties = ",\n".join(
        f'"{key}" = "{_double(value)}"' for key, value in shown_properties(table).items()
    )
    return (
        f"CREATE TABLE `{table.name}` (\n{columns}\n) ENGINE=OLAP\n{key_clause}{comment}"
        f"{_partitions(table)}{_distribution(table)}\nPROPERTIES (\n{properties}\n);"
    )
