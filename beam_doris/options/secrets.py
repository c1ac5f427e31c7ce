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
"""Passwords that are resolved late and never shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_doris.errors import ConfigError

_MASK = "***"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Secret:
    """A secret, or the place where it is found.

    It is read with `reveal()` on the worker that needs it. A secret taken from the environment, a
    file or a callable travels as its reference; a plain one travels with the pipeline (prefer a
    reference). None of `repr`, `str`, `format`, `==` or a traceback shows it.

    Example:
        >>> password = Secret.of("hunter2")
        >>> f"{password} {password!r}"
        "*** Secret(plain ***)"
        >>> password.reveal()
        'hunter2'
    """

    _kind: str
    _source: Any

    @staticmethod
    def of(value: str) -> Secret:
        """A plain secret, carried inside the pipeline."""
        if not isinstance(value, str):
            raise ConfigError(f"a plain secret is a str, not {type(value).__name__}")
        return Secret("plain", value)

    @staticmethod
    def env(name: str) -> Secret:
        """The value of an environment variable of the worker."""
        if not name:
            raise ConfigError("Secret.env needs the name of an environment variable")
        return Secret("env", name)

    @staticmethod
    def file(path: str | os.PathLike[str]) -> Secret:
        """The first line of a file that the worker can read, as secret stores mount them."""
        return Secret("file", os.fspath(path))

    @staticmethod
    def call(provider: Callable[[], str]) -> Secret:
        """What a picklable function returns on the worker, such as a secret manager's client."""
        if not callable(provider):
            raise ConfigError("Secret.call needs a function without arguments")
        return Secret("call", provider)

    def reveal(self) -> str:
        """The secret itself.

        Raises:
            ConfigError: the place it is kept in is not there.
        """
        if self._kind == "plain":
            return str(self._source)
        if self._kind == "env":
            return self._from_environment()
        if self._kind == "file":
            return self._from_file()
        value = self._source()
        if not isinstance(value, str):
            raise ConfigError(f"{self._where()} returned {type(value).__name__}, not str")
        return value

    def _from_environment(self) -> str:
        value = os.environ.get(self._source)
        if value is None:
            raise ConfigError(
                f"{self._where()} is not set",
                hint="set it on the workers too, not only where the pipeline is submitted",
            )
        return value

    def _from_file(self) -> str:
        try:
            text = Path(self._source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self._where()} cannot be read: {type(error).__name__}",
                hint="mount it on the workers too, not only where the pipeline is submitted",
            ) from None
        return text.split("\n", 1)[0].rstrip("\r")

    def _where(self) -> str:
        if self._kind == "env":
            return f"environment variable {self._source}"
        if self._kind == "file":
            return f"secret file {self._source}"
        name = getattr(self._source, "__qualname__", type(self._source).__name__)
        return f"secret provider {name}"

    def __repr__(self) -> str:
        if self._kind == "plain":
            return f"Secret(plain {_MASK})"
        return f"Secret({self._where()})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._kind, self._source) == (other._kind, other._source)

    def __hash__(self) -> int:
        return hash((self._kind, self._source))


def redact(text: str, *secrets: Secret | str | None) -> str:
    """Text of foreign origin with every given secret replaced by `***`."""
    for secret in secrets:
        plain = secret.reveal() if isinstance(secret, Secret) else secret
        if plain:
            text = text.replace(plain, _MASK)
    return text
