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
"""Addresses inside answers: read, cleaned of credentials, made fit for a log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from beam_doris.errors import ProtocolError
from beam_doris.options.connection import Node

_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def redact_url(text: str) -> str:
    """Text with the user info of every address in it replaced by nothing.

    Example:
        >>> redact_url("see http://root:p%40ss@10.0.0.1:8040/api?")
        'see http://10.0.0.1:8040/api?'
    """
    return _USER_INFO.sub(r"\g<scheme>", text)


def path_of(*parts: str) -> str:
    """A path of percent-encoded parts."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an absolute address points, without its user info."""

    node: Node
    path: str
    tls: bool

    @staticmethod
    def parse(url: str) -> Target:
        """Reads an http or https address; user and password in it are dropped.

        Raises:
            ProtocolError: it is not such an address.
        """
        try:
            parts = urlsplit(url.strip())
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        except ValueError:
            raise ProtocolError("an address in an answer cannot be read") from None
        if port is None or not parts.hostname or any(ord(char) <= 0x20 for char in url.strip()):
            raise ProtocolError(f"not an http address: {redact_url(url)!r}")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(node=Node(parts.hostname, port), path=path, tls=parts.scheme == "https")
