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
"""The opaque text of a query plan: what a backend needs to scan, in a form it can check (P 5.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

_MAGIC = b"EDP1"
_DIGEST = 16


class PlanError(ValueError):
    """The text is no plan, or was changed on its way."""


@dataclass(frozen=True, kw_only=True)
class PlanCookie:
    """A plan: columns by name, a DuckDB condition (or empty), the version of each tablet."""

    table_id: int
    columns: tuple[str, ...]
    filter_sql: str
    tablets: Mapping[int, int]


def encode(cookie: PlanCookie) -> str:
    """Base64 text of a plan."""
    value = [
        cookie.table_id,
        cookie.columns,
        cookie.filter_sql,
        list(cookie.tablets),
        list(cookie.tablets.values()),
    ]
    packed = zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)
    return base64.b64encode(_MAGIC + _digest(packed) + packed).decode("ascii")


def decode(opaque: str) -> PlanCookie:
    """The plan of a text.

    Raises:
        PlanError: the text is none.
    """
    try:
        raw = base64.b64decode(opaque, validate=True)
        digest, packed = raw[len(_MAGIC) : len(_MAGIC) + _DIGEST], raw[len(_MAGIC) + _DIGEST :]
        if not raw.startswith(_MAGIC) or digest != _digest(packed):
            raise PlanError("the plan was changed")
        table_id, columns, filter_sql, tablets, versions = json.loads(zlib.decompress(packed))
        return PlanCookie(
            table_id=table_id,
            columns=tuple(columns),
            filter_sql=filter_sql,
            tablets=dict(zip(tablets, versions, strict=True)),
        )
    except (binascii.Error, ValueError, zlib.error, TypeError) as error:
        raise PlanError(str(error)) from error


def _digest(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_DIGEST, key=_MAGIC).digest()
