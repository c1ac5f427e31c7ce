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
"""Reading the lists of nodes that a frontend gives, in the spellings of all versions (P 1.7, 8.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from beam_doris.client.contracts import BackendInfo, FrontendInfo
from beam_doris.errors import ProtocolError


def backends_of(data: object) -> tuple[BackendInfo, ...]:
    """The payload of `/api/backends`.

    Raises:
        ProtocolError: it is none.
    """
    try:
        listed = data["backends"]  # type: ignore[index]
        return tuple(
            BackendInfo(
                host=str(backend["ip"]),
                http_port=int(backend["http_port"]),
                alive=str(backend.get("is_alive", True)).lower() == "true",
            )
            for backend in listed
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("the list of backends cannot be read") from error


def frontends_of(data: object) -> tuple[FrontendInfo, ...]:
    """Rows of SHOW FRONTENDS as dicts, or the payload of the node manager.

    Raises:
        ProtocolError: it is neither.
    """
    if isinstance(data, Mapping):
        names = data.get("columnNames") or data.get("column_names") or []
        rows = [dict(zip(names, row, strict=False)) for row in data.get("rows") or []]
    elif isinstance(data, Iterable):
        rows = list(data)
    else:
        raise ProtocolError("the list of frontends cannot be read")
    try:
        return tuple(_frontend(row) for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("the list of frontends cannot be read") from error


def _frontend(row: Mapping[str, Any]) -> FrontendInfo:
    cells = {str(name).lower(): value for name, value in row.items()}
    # the oldest servers write the address as IP, and HostName may be empty
    host = cells.get("host") or cells.get("ip") or cells.get("hostname")
    if not host:
        raise KeyError("Host")
    return FrontendInfo(
        host=str(host),
        http_port=int(cells["httpport"]),
        query_port=_port(cells.get("queryport")),
        flight_port=_port(cells.get("arrowflightsqlport")),
        alive=_flag(cells.get("alive"), absent=True),
        is_master=_flag(cells.get("ismaster"), absent=False)
        or str(cells.get("role", "")).upper() == "MASTER",
        version=str(cells.get("version") or ""),
    )


def _port(value: object) -> int | None:
    """A port, None when it is missing, switched off (-1) or not known (0)."""
    text = str(value or "").strip()
    return int(text) if text.isdigit() and int(text) > 0 else None


def _flag(value: object, *, absent: bool) -> bool:
    return absent if value is None or value == "" else str(value).lower() == "true"
