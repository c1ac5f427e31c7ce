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
"""Arguments that are known only when the pipeline runs: Beam's value providers.

A template is built once and run with other values each time. Its arguments are `ValueProvider`s,
whose `get()` may be called on a worker only.

Example:
    >>> class Options(PipelineOptions):
    ...     @classmethod
    ...     def _add_argparse_args(cls, parser):
    ...         parser.add_value_provider_argument("--fenodes")
    >>> connection = DeferredConnection(
    ...     fenodes=options.fenodes, username="root", password=Secret.env("DORIS_PASSWORD"))
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from apache_beam.options.value_provider import StaticValueProvider, ValueProvider

from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection

_NAMES = frozenset(field.name for field in fields(DorisConnection))


def is_deferred(value: object) -> bool:
    """Whether the value is not known while the pipeline is built."""
    # not `is_accessible`: a runner of this process may have made all of them accessible, with
    # nothing but their defaults behind them
    return isinstance(value, ValueProvider) and not isinstance(value, StaticValueProvider)


def settled(value: Any) -> Any:
    """The value itself; of a deferred one, only on a worker."""
    return value.get() if isinstance(value, ValueProvider) else value


class DeferredConnection:
    """A `DorisConnection` some of whose arguments are value providers.

    Args:
        arguments: Those of `DorisConnection`.

    Raises:
        ConfigError: there are other names, or what is known already is wrong.
    """

    def __init__(self, **arguments: Any) -> None:
        unknown = sorted(set(arguments) - _NAMES)
        if unknown:
            raise ConfigError(
                [f"there is no argument {name!r}" for name in unknown], subject="DorisConnection"
            )
        self._arguments = arguments
        if not any(is_deferred(value) for value in arguments.values()):
            self.resolve()

    def resolve(self) -> DorisConnection:
        """The connection; called on a worker.

        Raises:
            ConfigError: the values do not make one.
        """
        return DorisConnection(**{name: settled(value) for name, value in self._arguments.items()})

    def __repr__(self) -> str:
        return f"<DeferredConnection of {', '.join(sorted(self._arguments))}>"
