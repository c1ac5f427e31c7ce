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
"""The little of Flight SQL that reading needs: one protobuf message, and the text of one query."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from beam_doris.errors import ConfigError, ProtocolError
from beam_doris.options.connection import DorisConnection, Node
from beam_doris.options.table_id import TableId, quote

_STATEMENT_QUERY = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
_LENGTH_DELIMITED = 2
_UNROUTABLE = frozenset({"0.0.0.0", "::", "0:0:0:0:0:0:0:0"})


def statement_query(sql: str) -> bytes:
    """`Any(CommandStatementQuery{query})`, the command of GetFlightInfo (P 6.2)."""
    return _field(1, _STATEMENT_QUERY) + _field(2, _field(1, sql.encode("utf-8")))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | _LENGTH_DELIMITED]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def tablet_query(
    table: TableId,
    columns: Sequence[str],
    tablets: Sequence[int] = (),
    filter: str | None = None,
    limit: int | None = None,
    partitions: Sequence[str] = (),
) -> str:
    """The statement that reads some tablets of a table (P 6.4).

    Args:
        table: The table.
        columns: The columns, in order; none for all.
        tablets: Ids of tablets; none for the whole table.
        filter: A predicate in Doris' SQL, without WHERE.
        limit: Rows of this statement, at most.
        partitions: Names of partitions; none for all.

    Example:
        >>> tablet_query(TableId("test", "student"), ["id"], [7, 3], "age > 18")
        'SELECT `id` FROM `test`.`student` TABLET(3,7) WHERE (age > 18\\n)'
    """
    selected = ", ".join(quote(name) for name in columns) if columns else "*"
    sql = f"SELECT {selected} FROM {table.sql()}"
    if partitions:
        if not table.is_internal:
            raise ConfigError("a table of another catalog is read without partitions=", table=table)
        sql += " PARTITION(" + ", ".join(quote(name) for name in partitions) + ")"
    if tablets:
        if not table.is_internal:
            raise ConfigError("a table of another catalog has no tablets", table=table)
        sql += " TABLET(" + ",".join(str(int(tablet)) for tablet in sorted(tablets)) + ")"
    if filter and filter.strip():
        # the line break ends a comment that the filter may end with
        sql += f" WHERE ({filter}\n)"
    if limit is not None:
        sql += f" LIMIT {int(limit)}"
    return sql


def endpoint_node(location: str, asked: Node, connection: DorisConnection) -> Node | None:
    """Where an endpoint's rows are fetched, as it is reached from here.

    Args:
        location: As the server named it.
        asked: The frontend that named it; it stands for an address that cannot be routed.
        connection: For its host map.

    Returns:
        None for the frontend's own connection.
    """
    parts = urlsplit(location)
    if parts.scheme.startswith("arrow-flight-reuse-connection"):
        return None
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.scheme not in ("grpc", "grpc+tcp", "grpc+tls"):
        raise ProtocolError("an endpoint's location cannot be read", host=asked)
    mapped = connection.mapped(Node(host, port))
    if mapped.host in _UNROUTABLE:
        mapped = Node(asked.host, mapped.port)
    return None if mapped == asked else mapped
