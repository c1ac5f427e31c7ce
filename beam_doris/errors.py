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
"""Everything that can go wrong, as one tree.

Three branches answer the only question a caller has after a failure:

* `TransientError`: the same call may be repeated; nothing was changed.
* `PermanentError`: repeating the same call gives the same answer; somebody must change something.
* `OutcomeUnknownError`: the request may or may not have taken effect. It is never repeated and
  never taken for a failure: the server is asked (by label) first.

Every error says what happened, where (`table`, `label`, `txn_id`, `host`) and what to do (`hint`),
survives pickling with all of it (runners carry errors between processes), and holds neither a
secret nor the value of a cell. Errors of other libraries are mapped where they appear; their text
is kept in `cause`, because the chained exception itself does not survive pickling.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

_ErrorT = TypeVar("_ErrorT", bound="DorisError")


def _restore(kind: type[_ErrorT], message: str, fields: dict[str, Any]) -> _ErrorT:
    error = kind.__new__(kind, message)
    error.__dict__.update(fields)
    return error


class DorisError(Exception):
    """Root of the tree; only its subclasses are raised.

    Args:
        message: What happened, in one sentence, without cell values or secrets.
        table: The table, as `db.table`.
        label: The label of the load.
        txn_id: The transaction id of the load.
        host: The node that answered or did not, as `host:port`.
        hint: What to do about it.
        cause: The text of the underlying error.
    """

    retryable: ClassVar[bool] = False
    """Whether the very same call may be repeated without asking the server first."""

    def __init__(
        self,
        message: str,
        *,
        table: object | None = None,
        label: str | None = None,
        txn_id: int | None = None,
        host: object | None = None,
        hint: str | None = None,
        cause: object | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.table = None if table is None else str(table)
        self.label = label
        self.txn_id = txn_id
        self.host = None if host is None else str(host)
        self.hint = hint
        self.cause = None if cause is None else _cause_text(cause)

    @property
    def where(self) -> dict[str, str | int]:
        """The known coordinates of the failure, for logs and dead letters."""
        known = {
            "table": self.table,
            "label": self.label,
            "txn_id": self.txn_id,
            "host": self.host,
        }
        return {name: value for name, value in known.items() if value is not None}

    def __str__(self) -> str:
        text = self.message
        if self.where:
            text += " [" + ", ".join(f"{name}={value}" for name, value in self.where.items()) + "]"
        if self.cause:
            text += f" (cause: {self.cause})"
        if self.hint:
            text += f"\n  -> {self.hint}"
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.message, dict(self.__dict__))


def _cause_text(cause: object) -> str:
    if isinstance(cause, BaseException):
        text = str(cause)
        return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
    return str(cause)


# ------------------------------------------------------------------------------- the branches


class TransientError(DorisError):
    """Nothing was changed and the same call may succeed later."""

    retryable = True


class PermanentError(DorisError):
    """The same call gives the same answer until somebody changes something."""


class OutcomeUnknownError(DorisError):
    """The request may have taken effect: ask the server before doing anything else."""


# ---------------------------------------------------------------------------------- transient


class ConnectError(TransientError):
    """A node could not be reached, or hung up before the request could take effect."""


class DeadlineExceeded(TransientError):
    """An operation that changes nothing did not end within its deadline."""


class ServerBusy(TransientError):
    """The server refuses for now: too many versions, too many running loads, no backend alive."""


class TooManyTransactionsError(ServerBusy):
    """The database allows no further running transaction until others are committed."""


# ---------------------------------------------------------------------------------- permanent


class ConfigError(PermanentError, ValueError):
    """Wrong use, found before any work began; all problems are reported at once.

    Args:
        problems: One problem or all of them.
        subject: What was being checked, such as `DorisConnection`.
    """

    def __init__(
        self,
        problems: str | Iterable[str],
        *,
        subject: str | None = None,
        table: object | None = None,
        host: object | None = None,
        hint: str | None = None,
    ) -> None:
        self.problems: tuple[str, ...] = (
            (problems,) if isinstance(problems, str) else tuple(problems)
        )
        self.subject = subject
        super().__init__(_numbered(self.problems, subject), table=table, host=host, hint=hint)


def _numbered(problems: tuple[str, ...], subject: str | None) -> str:
    prefix = f"{subject}: " if subject else ""
    if len(problems) == 1:
        return prefix + problems[0]
    lines = [f"{prefix}{len(problems)} problems"]
    lines.extend(f"  {number}. {problem}" for number, problem in enumerate(problems, start=1))
    return "\n".join(lines)


class AuthError(PermanentError):
    """User, password or privilege were refused."""


class NotFoundError(PermanentError):
    """A database, table, column, partition or tablet does not exist."""


class QueryError(PermanentError):
    """The server understood a query and refused it.

    Args:
        code: The server's error number, when it gave one.
    """

    def __init__(self, message: str, *, code: int | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.code = code


class ProtocolError(PermanentError):
    """A peer answered something that the protocol does not allow."""


class SnapshotExpiredError(PermanentError):
    """The versions that a plan pinned have been merged away; a new plan sees newer rows."""


class LoadError(PermanentError):
    """The server refused a load; nothing of it is visible."""


class RejectedRowsError(LoadError):
    """Rows of a load did not fit the table.

    Args:
        error_url: Where the backend serves the rejected rows and their reasons.
        first_error: The server's first reason. It may quote the row: it is kept as a field for
            dead letters, and never becomes part of the message.
        total_rows: Rows of the load.
        filtered_rows: Rows that were refused.
    """

    def __init__(
        self,
        message: str,
        *,
        error_url: str | None = None,
        first_error: str | None = None,
        total_rows: int | None = None,
        filtered_rows: int | None = None,
        **where: Any,
    ) -> None:
        super().__init__(message, **where)
        self.error_url = error_url
        self.first_error = first_error
        self.total_rows = total_rows
        self.filtered_rows = filtered_rows


class LabelConflictError(LoadError):
    """The label belongs to another load.

    Args:
        existing_status: The state of the load that holds the label: RUNNING, PRECOMMITTED or
            FINISHED.
    """

    def __init__(self, message: str, *, existing_status: str | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.existing_status = existing_status


class CommitFailedError(PermanentError):
    """The server refused to commit a transaction, for good."""


class TransactionExpiredError(CommitFailedError):
    """A pre-committed load was aborted or expired before its commit: its rows are not visible.

    Args:
        rows: How many rows the load held.
    """

    def __init__(self, message: str, *, rows: int | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.rows = rows


class TransactionBudgetError(PermanentError):
    """More loads would have to stay uncommitted than the server allows."""


class SchemaError(PermanentError):
    """Data and table do not fit each other.

    Args:
        column: The column, where it is about one.
    """

    def __init__(self, message: str, *, column: str | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.column = column


class TypeMappingError(SchemaError):
    """A column's type is unknown, unreadable, or not the one that was agreed.

    Args:
        expected: The type that was expected.
        got: The type that came.
    """

    def __init__(
        self,
        message: str,
        *,
        column: str | None = None,
        expected: object | None = None,
        got: object | None = None,
        **where: Any,
    ) -> None:
        super().__init__(message, column=column, **where)
        self.expected = None if expected is None else str(expected)
        self.got = None if got is None else str(got)


class RowEncodingError(SchemaError):
    """A value does not fit its column; the value itself is never quoted.

    Args:
        reason: Why it does not fit.
        row: The position of the row in its batch, counted from 0.
    """

    def __init__(
        self,
        reason: str,
        *,
        column: str | None = None,
        row: int | None = None,
        **where: Any,
    ) -> None:
        place = "" if row is None else f"row {row} of the batch: "
        subject = "" if column is None else f"column {column!r}: "
        super().__init__(place + subject + reason, column=column, **where)
        self.reason = reason
        self.row = row


# ---------------------------------------------------------------------------- outcome unknown


class LoadUnknownError(OutcomeUnknownError):
    """The answer to a load was lost: ask for the state of its label."""


class CommitUnknownError(OutcomeUnknownError):
    """It cannot be found out whether a transaction was committed.

    Args:
        rows: How many rows the load held.
    """

    def __init__(self, message: str, *, rows: int | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.rows = rows
