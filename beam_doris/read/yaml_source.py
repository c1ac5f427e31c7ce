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
"""`ReadFromDoris` as a step of Beam YAML, where every argument is plain data.

See `beam_doris/yaml/doris_provider.yaml` for the provider to include.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.reading import ReadOptions
from beam_doris.options.secrets import Secret
from beam_doris.read.request import Output
from beam_doris.read.source import ReadFromDoris


def read_from_doris(
    *,
    fenodes: str,
    username: str,
    password: str | None = None,
    password_env: str | None = None,
    read: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    table: str | None = None,
    columns: Sequence[str] | None = None,
) -> ReadFromDoris:
    """A read whose rows have a schema.

    Args:
        fenodes: Frontends, `host:http_port`, a comma list.
        username: The user.
        password: Its password; better named by `password_env`.
        password_env: The environment variable of the workers that holds the password.
        read: More of what is read: `query`, `filter`, `partitions`, `limit`.
        options: Fields of `ReadOptions`, such as `protocol` and `consistency`.
        table: `database.table`.
        columns: The columns; all by default.

    Raises:
        ConfigError: wrong or contradicting arguments.
    """
    if (password is None) == (password_env is None):
        raise ConfigError("give either password or password_env", subject="ReadFromDoris")
    secret = Secret.of(password) if password_env is None else Secret.env(password_env)  # type: ignore[arg-type]
    more = dict(read or {})
    unknown = sorted(set(more) - {"query", "filter", "partitions", "limit"})
    if unknown:
        raise ConfigError([f"read has no {name!r}" for name in unknown], subject="ReadFromDoris")
    return ReadFromDoris(
        DorisConnection(fenodes=fenodes, username=username, password=secret),
        table=table,
        columns=columns,
        output=Output.ROW,
        options=ReadOptions(**(options or {})),
        **more,
    )
