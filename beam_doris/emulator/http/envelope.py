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
"""The two JSON envelopes of the frontend (P 1.1)."""

from __future__ import annotations

from typing import Any

from beam_doris.emulator.http.message import Response, json_response

_MESSAGES = {
    0: "success",
    1: "Error",
    401: "Unauthorized",
    403: "Bad Request",
    404: "Not Found",
    500: "Internal Server Error",
}


def _envelope(code: int, data: Any) -> Response:
    # every class of answer has HTTP status 200: only the code inside tells them apart (P 1.1)
    return json_response({"msg": _MESSAGES[code], "code": code, "data": data, "count": 0})


def ok(data: Any) -> Response:
    """A success."""
    return _envelope(0, data)


def common_error(message: str) -> Response:
    """An error of the statement or the names in the path."""
    return _envelope(1, message)


def unauthorized(message: str) -> Response:
    """Missing or wrong credentials, or a missing privilege."""
    return _envelope(401, message)


def bad_request(message: str) -> Response:
    """A malformed request; its code is 403, not 400 (P 1.1)."""
    return _envelope(403, message)


def not_found(message: str) -> Response:
    """An unknown path."""
    return _envelope(404, message)


def internal_error(message: str) -> Response:
    """Anything else."""
    return _envelope(500, message)


def load_failed(message: str) -> Response:
    """The older envelope, which the load endpoints of the frontend use (P 1.1)."""
    return json_response({"status": "FAILED", "msg": message})
