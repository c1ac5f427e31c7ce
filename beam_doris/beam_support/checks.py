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
"""Checking arguments so that all problems are reported together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from beam_doris.errors import ConfigError, DorisError, NotFoundError
from beam_doris.options.table_id import TableId

_ValueT = TypeVar("_ValueT")


class Problems:
    """Gathers what is wrong, and raises it as one error.

    Args:
        subject: What is being checked, such as `ReadFromDoris`.
    """

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._found: list[str] = []
        self._hints: list[str] = []

    def add(self, problem: str) -> None:
        """One more problem."""
        self._found.append(problem)

    def extend(self, problems: Iterable[str]) -> None:
        """Several more."""
        self._found.extend(problems)

    def attempt(self, make: Callable[[], _ValueT]) -> _ValueT | None:
        """What `make` returns, or None when it found problems, which are kept."""
        try:
            return make()
        except ConfigError as error:
            inner = error.subject is not None and error.subject != self._subject
            about = f"{error.subject}: " if inner else ""
            self._found.extend(about + problem for problem in error.problems)
            if error.hint:
                self._hints.append(error.hint)
        except NotFoundError as error:
            self._found.append(error.message)
            if error.hint:
                self._hints.append(error.hint)
        return None

    def error(self, table: str | TableId | None = None, hint: str | None = None) -> ConfigError:
        """All of them as one error."""
        hints = [*self._hints, *([hint] if hint else [])]
        return ConfigError(
            self._found,
            subject=self._subject,
            table=table,
            hint="; ".join(dict.fromkeys(hints)) or None,
        )

    def raise_if_any(self, table: str | TableId | None = None) -> None:
        """Raises all of them as one.

        Raises:
            ConfigError: there are problems.
        """
        if self._found:
            raise self.error(table)


def with_hint(error: DorisError, hint: str) -> DorisError:
    """The same error with advice that only the caller can give."""
    return type(error)(
        error.message, table=error.table, host=error.host, hint=hint, cause=error.cause
    )
