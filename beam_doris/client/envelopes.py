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
"""Reading the frontend's answers, which hide failures at two levels under an HTTP 200.

The outer envelope is `{"code", "msg", "data", "count"}`; the load endpoints use
`{"status", "msg"}`; and some handlers put `{"status": 400, "exception": "..."}` inside `data` while
the outer code says 0 (P 1.1; traps 4 and 5).
"""

from __future__ import annotations

from typing import Any

from beam_doris.client.http_wire import PORT_HINT, HttpReply
from beam_doris.client.server_messages import cleaned, error_of
from beam_doris.errors import AuthError, DorisError, ProtocolError, QueryError, ServerBusy

_UNAUTHORIZED = 401
_SMALL = 16 << 10  # answers that only refuse are small
_DENIALS = (b"401", b"denied", b"uthoriz", b"AUTHORIZ", b"auth info", b"nvalid")


def check_status(reply: HttpReply, what: str, **where: Any) -> None:
    """Raises unless the answer is an HTTP 200.

    Raises:
        AuthError: 401 or 403, of a proxy or of a backend that checks by itself.
        ServerBusy: 429 and 5xx.
        ProtocolError: anything else.
    """
    if reply.status == 200:
        return
    message = f"{what}: HTTP {reply.status}"
    where.setdefault("host", reply.node)
    if reply.status in (401, 403):
        raise AuthError(message, hint="check user, password and privileges", **where)
    if reply.status == 429 or reply.status >= 500:
        raise ServerBusy(message, **where)
    raise ProtocolError(message, hint=PORT_HINT, **where)


def denies(reply: HttpReply) -> bool:
    """Whether an answer refuses user or password, at whichever level it says so."""
    if reply.status == 401:
        return True
    if reply.status != 200 or len(reply.body) > _SMALL:
        return False
    if not any(word in reply.body for word in _DENIALS):
        return False
    try:
        body = reply.json()
    except ProtocolError:
        return False
    if not isinstance(body, dict):
        return False
    if body.get("code") in (_UNAUTHORIZED, str(_UNAUTHORIZED)):
        return True
    # of the load endpoints: a word, and a message that says why
    failed = str(body.get("status", "")).upper() not in ("", "OK", "SUCCESS")
    return failed and isinstance(error_of(str(body.get("msg", "")), QueryError, ""), AuthError)


def unwrap(reply: HttpReply, what: str, **where: Any) -> Any:
    """The payload of a frontend's answer.

    Raises:
        DorisError: whatever either level of the answer says went wrong.
    """
    where.setdefault("host", reply.node)
    check_status(reply, what, **where)
    body = reply.json()
    if not isinstance(body, dict):
        return body
    if "code" in body and "msg" in body:
        if body["code"] not in (0, "0"):
            raise _outer_error(body, what, where)
        return body.get("data")
    if str(body.get("status", "")).upper() == "FAILED":
        raise error_of(str(body.get("msg", "")), QueryError, what, **where)
    return body


def _outer_error(body: dict[str, Any], what: str, where: dict[str, Any]) -> DorisError:
    data = body.get("data")
    text = data if isinstance(data, str) and data else str(body.get("msg", ""))
    if isinstance(data, dict) and "exception" in data:
        text = str(data["exception"])
    if body["code"] in (_UNAUTHORIZED, str(_UNAUTHORIZED)):
        return AuthError(
            f"{what}: {cleaned(text)}", hint="check user, password and privileges", **where
        )
    return error_of(text, QueryError, what, **where)


def unwrap_status(reply: HttpReply, what: str, **where: Any) -> dict[str, Any]:
    """The payload of a handler that also tells its success inside `data`.

    Raises:
        DorisError: whatever any of the three forms says went wrong.
    """
    where.setdefault("host", reply.node)
    data = unwrap(reply, what, **where)
    if not isinstance(data, dict):
        # a user error that escaped a handler: code 0, and the message as data
        raise error_of(str(data), QueryError, what, **where)
    if str(data.get("status")) != "200" or "exception" in data:
        text = str(data.get("exception") or data.get("msg") or f"status {data.get('status')}")
        raise error_of(text, QueryError, what, **where)
    return data
