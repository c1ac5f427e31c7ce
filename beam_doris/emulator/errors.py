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
"""Errors of the emulated server, in the words of Apache Doris.

The message of an error is the bare text. The protocol edge adds what its protocol adds, such as
``errCode = 2, detailMessage = `` in front of SQL errors.
"""

from __future__ import annotations


class EmulatorError(Exception):
    """An error that a client of the emulated cluster gets to see.

    Args:
        message: Doris' words, without any prefix.
        code: MySQL error number.
        sqlstate: MySQL SQL state.
    """

    def __init__(self, message: str, code: int = 1105, sqlstate: str = "HY000") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.sqlstate = sqlstate


class UnknownDatabase(EmulatorError):
    """No database has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown database '{name}'", 1049, "42000")
        self.name = name


class DatabaseExists(EmulatorError):
    """CREATE DATABASE met a database of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Can't create database '{name}'; database exists", 1007)


class DatabaseMissing(EmulatorError):
    """DROP DATABASE met no database of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Can't drop database '{name}'; database doesn't exist", 1008)


class UnknownTable(EmulatorError):
    """No table has that name."""

    def __init__(self, database: str, name: str) -> None:
        super().__init__(f"Unknown table '{name}'", 1109, "42S02")
        self.database = database
        self.name = name


class TableExists(EmulatorError):
    """CREATE TABLE met a table of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Table '{name}' already exists", 1050, "42S01")


class UnknownColumn(EmulatorError):
    """The table has no such column."""

    def __init__(self, name: str, table: str) -> None:
        super().__init__(f"Unknown column '{name}' in '{table}'", 1054, "42S22")
        self.name = name


class UnknownPartition(EmulatorError):
    """The table has no such partition."""

    def __init__(self, name: str, table: str) -> None:
        super().__init__(f"Unknown partition '{name}' in table '{table}'", 1735)
        self.name = name


class TypeSyntaxError(EmulatorError):
    """A type text that Doris does not take."""


class DdlError(EmulatorError):
    """CREATE or ALTER broke a rule."""


class LabelFormat(EmulatorError):
    """A label outside the grammar (P 2.4)."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"Label format error. regex: ^[-_A-Za-z0-9:]{{1,128}}$, label: {label}", 1105
        )


class LabelAlreadyUsed(EmulatorError):
    """The label belongs to a running or finished transaction (P 2.3).

    ``status`` is what a stream load reports as ExistingJobStatus.
    """

    def __init__(self, label: str, txn_id: int, status: str) -> None:
        super().__init__(f"Label [{label}] has already been used, relate to txn [{txn_id}]", 1105)
        self.label = label
        self.txn_id = txn_id
        self.status = status


class TooManyRunning(EmulatorError):
    """The running transactions of a database reached the limit (P 3.4)."""

    def __init__(self, database_id: int, running: int, limit: int) -> None:
        super().__init__(
            f"current running txns on db {database_id} is {running}, larger than limit {limit}"
        )


class TransactionError(EmulatorError):
    """A transaction is not in the state that the operation needs, or is not there (P 3.1)."""


class TransactionNotFound(TransactionError):
    """No transaction has that id, or none of that label is in a fitting state."""


class LoadRefused(EmulatorError):
    """A load as a whole is not possible on this table."""


class VersionMerged(EmulatorError):
    """A read asked for a version that compaction has folded away (P 12, trap 35)."""

    def __init__(self, tablet_id: int, version: int) -> None:
        super().__init__(
            f"[E-230]fail to find path in version_graph. tablet_id: {tablet_id}, "
            f"spec_version: 0-{version}"
        )
        self.tablet_id = tablet_id
        self.version = version
