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
"""The token of a pre-committed load: all that the commit stage needs, and nothing else.

Only tokens commit. A load whose token never became durable expires on the server, so an attempt
that the runner throws away leaves nothing behind.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from apache_beam import coders

from beam_doris.errors import ProtocolError
from beam_doris.options.table_id import TableId


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadToken:
    """One pre-committed load.

    Args:
        catalog: Of the table.
        database: Of the table; labels and transactions are per database.
        table: The table's name.
        label: The load's label.
        txn_id: Its transaction; None when the answer was lost and the label stands for it.
        run_id: The run of the pipeline that loaded it.
        sequence: Which load of its attempt it was; in streaming, which load of its shard.
        rows: Rows it holds.
        bytes: Bytes of its body.
        loaded_at: When it was pre-committed, in seconds since 1970.
        seconds: How long the load took.
        shard: The shard of the table, in streaming.
        following: Loads that are committed right after this one, in their order: parts of one
            load that was refused as a whole, or rows that must not overtake each other.
    """

    catalog: str
    database: str
    table: str
    label: str
    txn_id: int | None
    run_id: str
    sequence: int
    rows: int
    bytes: int
    loaded_at: float
    seconds: float
    shard: int = 0
    following: tuple[LoadToken, ...] = ()

    def parts(self) -> tuple[LoadToken, ...]:
        """This load and those that follow it, one by one."""
        return (replace(self, following=()), *self.following) if self.following else (self,)

    @property
    def table_id(self) -> TableId:
        """The table's full name."""
        return TableId(self.database, self.table, self.catalog)


def chained(tokens: Sequence[LoadToken]) -> LoadToken:
    """One token for several loads, which are committed in this order."""
    first, *others = [part for token in tokens for part in token.parts()]
    return replace(first, following=tuple(others))


class LoadTokenCoder(coders.Coder):
    """A version byte, then JSON with names.

    A token written by an earlier version of this package must stay readable: fields are only
    ever added, with a default, and a change of meaning takes the next version.
    """

    VERSION = 1

    def encode(self, value: LoadToken) -> bytes:
        """The version and the fields."""
        body = json.dumps(asdict(value), separators=(",", ":"), sort_keys=True)
        return bytes([self.VERSION]) + body.encode()

    def decode(self, encoded: bytes) -> LoadToken:
        """The token.

        Raises:
            ProtocolError: it was written by a later version.
        """
        if not encoded or encoded[0] > self.VERSION:
            raise ProtocolError(
                "a load token was written by a later version of beam_doris",
                hint="restore the pipeline with the version that wrote it",
            )
        return _token_of(json.loads(encoded[1:]))

    def is_deterministic(self) -> bool:
        """Equal tokens are equal bytes."""
        return True

    def to_type_hint(self) -> Any:
        """The type this coder is for."""
        return LoadToken


def _token_of(fields: dict[str, Any]) -> LoadToken:
    following = tuple(_token_of(part) for part in fields.pop("following", ()))
    return LoadToken(**fields, following=following)


coders.registry.register_coder(LoadToken, LoadTokenCoder)


class CommittedLoad(NamedTuple):
    """A load whose rows are visible, or surely will be.

    Attributes:
        table: The table, as `db.table`.
        label: The load's label.
        txn_id: Its transaction; -1 where the server never told it.
        rows: Rows it added.
        bytes: Bytes of its body.
        load_seconds: From its first byte until it was pre-committed.
        commit_seconds: How long the commit took.
        already: It had been committed before the commit stage came to it.
    """

    table: str
    label: str
    txn_id: int
    rows: int
    bytes: int
    load_seconds: float
    commit_seconds: float
    already: bool
