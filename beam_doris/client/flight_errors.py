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
"""Arrow Flight's errors as ours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.flight as pf

from beam_doris.client.byte_stream import ConnectionLost
from beam_doris.client.server_messages import error_of
from beam_doris.errors import (
    AuthError,
    ConnectError,
    DeadlineExceeded,
    QueryError,
    ServerBusy,
    TransientError,
)
from beam_doris.options.connection import Node

_DEBUG_TAIL = re.compile(r"\.? ?(?:gRPC client debug context:|Client context:|Detail:).*", re.S)
_TOO_LARGE = re.compile(r"message larger than max", re.I)
_BUSY = re.compile(r"RESOURCE_EXHAUSTED|resource exhausted|connection limit", re.I)
_GONE = re.compile(
    r"Connection reset|Socket closed|failed to connect|connection refused|broken pipe|"
    r"GOAWAY|RST_STREAM|Stream removed|End of TCP stream|endpoint closing|"
    # what a login says when nobody listens
    r"Could not finish writing before closing",
    re.I,
)


@contextlib.contextmanager
def flight_errors(node: Node, what: str) -> Iterator[None]:
    """Maps whatever a Flight call raises.

    Args:
        node: The peer.
        what: Which part of the exchange it was.
    """
    try:
        yield
    except StopIteration:
        raise
    except (pf.FlightUnauthenticatedError, pf.FlightUnauthorizedError) as error:
        raise AuthError(
            f"Arrow Flight {what} refused: {_told(error)}",
            host=node,
            hint="check user and password; a session may also have been closed by the server",
        ) from error
    except pf.FlightTimedOutError as error:
        raise DeadlineExceeded(
            f"Arrow Flight {what} did not end within its deadline", host=node
        ) from error
    except pf.FlightUnavailableError as error:
        raise ConnectError(
            f"cannot reach {node} over Arrow Flight", host=node, cause=_told(error)
        ) from error
    except pf.FlightCancelledError as error:
        # gRPC says no more than this of a message beyond the limit, or of a server that shuts down
        raise TransientError(
            f"Arrow Flight {what} were cancelled by {node}: {_told(error)}",
            host=node,
            hint="if it stays so, raise flight_message_bytes (max_message_bytes of the session)",
        ) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        text = str(error)
        if _TOO_LARGE.search(text):
            raise QueryError(
                f"a message of Arrow Flight {what} is larger than is accepted",
                host=node,
                cause=_told(error),
                hint="raise flight_message_bytes (max_message_bytes of the session)",
            ) from error
        if _BUSY.search(text):
            raise ServerBusy(
                f"Arrow Flight {what} refused: {_told(error)}",
                host=node,
                hint="close sessions, or raise the user's connection limit",
            ) from error
        if _GONE.search(text):
            raise ConnectionLost(
                f"the connection to {node} broke during Arrow Flight {what}",
                host=node,
                cause=type(error).__name__,
            ) from error
        raise error_of(
            _told(error), QueryError, f"Arrow Flight {what} refused", host=node
        ) from error


def _told(error: BaseException) -> str:
    """The server's own words, without what the client's library adds."""
    return _DEBUG_TAIL.sub("", str(error)).strip() or type(error).__name__
