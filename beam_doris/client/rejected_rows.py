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
"""The error log of a load: which rows were refused, and why (P 1.10)."""

from __future__ import annotations

import logging
import re
import time

from beam_doris.client.byte_stream import Connector
from beam_doris.client.contracts import RejectedRow, RejectedRows
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.envelopes import check_status
from beam_doris.client.frontend import Frontend
from beam_doris.client.http_wire import HttpReply
from beam_doris.client.urls import Target
from beam_doris.errors import ProtocolError
from beam_doris.options.connection import DorisConnection

logger = logging.getLogger(__name__)

_FORMS = (
    # Reason: <why>. src line [<row>];  and the older  <why>, src line: <row>
    re.compile(r"^(?:Reason:\s*)?(?P<why>.*?)[.,;]?\s*src line:?\s*\[(?P<line>.*)\];?\s*$", re.S),
    re.compile(r"^(?:Reason:\s*)?(?P<why>.*?)[.,;]?\s*src line:\s*(?P<line>.*?);?\s*$", re.S),
)
_NEXT = re.compile(r"\n(?=Reason:)")
# where a reason begins to quote the row: a bracket or quotation mark that is not about a column or
# a separator, or the value behind "string:", "value:", ...
_QUOTED = re.compile(
    r"(?P<named>\b(?:column|separator|delimiter)[\w ]{0,12}:?\s*(?:\[[^\]]*\]|'[^']*'|\"[^\"]*\"|`[^`]*`))"
    r"|[\[\"'`]|\b(?:strings?|str|values?|data|inputs?|line)\s*:",
    re.IGNORECASE,
)
_MAX_LOG = 4 << 20


class RejectedRowsReader:
    """Fetches and reads error logs; safe to share between threads.

    The address comes from the server, so it obeys the rules of a redirect: only hosts of the
    cluster, its host mapped, without its user info, with the credentials of the configuration.

    Args:
        connection: Addresses and credentials.
        frontend: Whose connections are used; one of its own by default.
        transport: How connections are made; sockets by default.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        frontend: Frontend | None = None,
        transport: Connector | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._frontend = frontend or Frontend(connection, transport=transport, clock=clock)
        self._owns_frontend = frontend is None

    def fetch(
        self,
        error_url: str,
        *,
        keep_lines: bool = False,
        max_bytes: int = _MAX_LOG,
        deadline: Deadline | None = None,
    ) -> RejectedRows:
        """The refused rows.

        Args:
            error_url: As the load's answer gave it.
            keep_lines: Keep the source lines, which hold the values of cells, and the values that
                reasons quote. Without it they are dropped as they are read.
            max_bytes: Of the log, at most; of a longer one the beginning is read.
            deadline: For the request.

        Raises:
            ProtocolError: the address is not of this cluster.
            DorisError: it cannot be fetched.
        """
        deadline = self._frontend.default_deadline(deadline)
        target = Target.parse(error_url)
        node = self._frontend.hosts.check(target.node, target.node)
        reply = self._frontend.http.request(
            "GET",
            node,
            target.path,
            tls=target.tls,
            deadline=deadline,
            max_bytes=max_bytes,
            truncate=True,
        )
        check_status(reply, "error log of a load")
        _check_text(reply)
        rows = parse_error_log(reply.text, keep_lines=keep_lines)
        if reply.truncated:
            rows = rows[:-1]  # the last one was cut
        logger.debug("read %d reasons from the error log at %s", len(rows), node)
        return RejectedRows(rows=rows, truncated=reply.truncated)

    def close(self) -> None:
        """Closes what was opened here."""
        if self._owns_frontend:
            self._frontend.close()

    def __enter__(self) -> RejectedRowsReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_error_log(text: str, *, keep_lines: bool = False) -> tuple[RejectedRow, ...]:
    """Reads an error log: one refused row per line, with its reason."""
    entries = _NEXT.split(text) if "\nReason:" in text or text.startswith("Reason:") else None
    rows = []
    for entry in entries if entries is not None else text.splitlines():
        if entry.strip():
            rows.append(_row(entry.strip(), keep_lines))
    return tuple(rows)


def _row(entry: str, keep_lines: bool) -> RejectedRow:
    for form in _FORMS:
        match = form.match(entry)
        if match:
            why, line = match["why"].strip(), match["line"]
            break
    else:
        why, line = entry.removeprefix("Reason:").strip().rstrip(";"), None
    if keep_lines:
        return RejectedRow(reason=why, line=line)
    return RejectedRow(reason=without_values(why))


def without_values(reason: str) -> str:
    """A reason up to where it begins to quote the row.

    What a value looks like cannot be known, so nothing behind its beginning is kept.
    """
    for match in _QUOTED.finditer(reason):
        if match["named"] is None:
            return reason[: match.start()].rstrip() + " [...]"
    return reason


def _check_text(reply: HttpReply) -> None:
    if "html" in reply.headers.get("content-type", "").lower():
        raise ProtocolError("the error log is a web page: is a proxy in between?", host=reply.node)
