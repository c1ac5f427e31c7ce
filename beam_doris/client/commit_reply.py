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
"""Reading what a node answers to a commit or an abort (P 3.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from beam_doris.client.byte_stream import ConnectionLost
from beam_doris.client.contracts import LoadState
from beam_doris.client.http_wire import HttpReply
from beam_doris.client.server_messages import cleaned
from beam_doris.errors import ProtocolError

# the words differ between versions; the order counts: "already visible, not pre-committed"
_SAYINGS: tuple[tuple[re.Pattern[str], LoadState | None], ...] = (
    (re.compile(r"already (?:\w+ )?visible", re.I), LoadState.VISIBLE),
    (re.compile(r"already (?:\w+ )?committed", re.I), LoadState.COMMITTED),
    (re.compile(r"already (?:\w+ )?aborted|has been aborted", re.I), LoadState.ABORTED),
    (re.compile(r"\bis prepare\b|\bis PREPARE\b", re.I), LoadState.LOADING),
    (re.compile(r"not found|failed to get transaction|not exist", re.I), None),
)
_REASON = re.compile(r"abort reason:\s*(.*)", re.I | re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitReply:
    """What the server answered to an operation."""

    done: bool
    message: str
    host: str

    @property
    def known(self) -> bool:
        """Whether the words are among those of the versions known."""
        return any(pattern.search(self.message) for pattern, _ in _SAYINGS)

    @property
    def reason(self) -> str:
        """Why the transaction was aborted, where that is told."""
        told = _REASON.search(self.message)
        return cleaned(told[1]) if told else ""

    @property
    def state(self) -> LoadState | None:
        """The state that a refusal names; None is `not found`."""
        for pattern, state in _SAYINGS:
            if pattern.search(self.message):
                return state
        return None


def parse_commit_reply(reply: HttpReply, what: str) -> CommitReply:
    """Reads an answer.

    Raises:
        ConnectionLost: it is torn, so it tells as little as none.
        ProtocolError: it is something else.
    """
    try:
        body = reply.json()
    except ProtocolError as error:
        # a torn answer tells as little as none
        raise ConnectionLost(f"{what}: the answer cannot be read", host=reply.node) from error
    if not isinstance(body, dict):
        raise ProtocolError(f"{what}: the answer is no object", host=reply.node)
    if "code" in body and "status" not in body:
        message = str(body.get("data") or body.get("msg") or "")
        return CommitReply(done=False, message=message, host=str(reply.node))
    message = str(body.get("msg") or "")
    done = str(body.get("status")).lower() in ("success", "ok")
    return CommitReply(done=done, message=message, host=str(reply.node))
