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
"""Names of loads.

A label is unique per database, not per table, at most 128 characters of `[-_A-Za-z0-9:]`, and must
be found again by every retry of the attempt that drew it (P 2.4). Ours read

    <prefix>_<hash of the raw table name>_<run id>_<part>_<part>...

The hash keeps `a.b_c` and `a_b.c` apart, which a table name with its dots replaced would not. A
prefix that is illegal or too long is cut to its legal characters and followed by its own hash, so
that two prefixes never become one.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from beam_doris.errors import ConfigError
from beam_doris.options.table_id import TableId

MAX_LABEL = 128
_LEGAL = re.compile(r"[-_A-Za-z0-9:]{1,128}")
_ILLEGAL_RUN = re.compile(r"[^-_A-Za-z0-9:]+")
_HASH_DIGITS = 12


def new_run_id() -> str:
    """Identifies one run of a pipeline."""
    return secrets.token_hex(6)


def new_nonce() -> str:
    """Identifies one attempt; drawn once, kept for all of its retries."""
    return secrets.token_hex(6)


def is_legal(label: str) -> bool:
    """Whether a server accepts the label."""
    return _LEGAL.fullmatch(label) is not None


def table_hash(table: TableId) -> str:
    """A short hash of the raw names, unambiguous about where one ends."""
    raw = "\0".join((table.catalog, table.database, table.table))
    return _digest(raw)


def load_label(prefix: str, table: TableId, run_id: str, *parts: str | int) -> str:
    """The label of a load.

    Args:
        prefix: The user's prefix; may be empty.
        table: The table.
        run_id: Of the pipeline's run.
        parts: What makes the load unique within run and table: shard, sequence, nonce.

    Raises:
        ConfigError: run id or parts are too long, or hold illegal characters.

    Example:
        >>> load_label("job1", TableId("test", "student"), "0a1b", 3, "77")
        'job1_c3b22d4adaf3_0a1b_3_77'
    """
    tail = "_".join((table_hash(table), run_id, *(str(part) for part in parts)))
    if not is_legal(tail):
        raise ConfigError(
            f"run id and parts make {tail[:160]!r}, which no label may hold",
            hint="only letters, digits, '-', '_' and ':', 128 characters with everything",
        )
    head = _fitted(prefix, MAX_LABEL - len(tail) - 1)
    return f"{head}_{tail}" if head else tail


def _fitted(prefix: str, room: int) -> str:
    if not prefix:
        return ""
    if len(prefix) <= room and is_legal(prefix):
        return prefix
    digest = _digest(prefix)
    if room < len(digest):
        raise ConfigError("run id and parts leave no room for a prefix in 128 characters")
    kept = _ILLEGAL_RUN.sub("-", prefix)[: max(0, room - len(digest) - 1)]
    return f"{kept}-{digest}" if kept else digest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
