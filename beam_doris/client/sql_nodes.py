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
"""Where the frontends' SQL and Arrow Flight ports are: told by the configuration, or asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable

from beam_doris.client.contracts import FrontendInfo
from beam_doris.client.deadline import Deadline
from beam_doris.client.frontend import Frontend
from beam_doris.errors import PermanentError
from beam_doris.options.connection import DorisConnection, Node

logger = logging.getLogger(__name__)


def sql_nodes(
    connection: DorisConnection, frontend: Frontend, deadline: Deadline | None = None
) -> tuple[Node, ...]:
    """The frontends' SQL addresses; empty when they cannot be found out."""
    return connection.sql_nodes or _discovered(frontend, lambda found: found.query_port, deadline)


def flight_nodes(
    connection: DorisConnection, frontend: Frontend, deadline: Deadline | None = None
) -> tuple[Node, ...]:
    """The frontends' Arrow Flight addresses; empty when Flight is off, or cannot be found out."""
    if connection.flight_port is not None:
        return tuple(Node(node.host, connection.flight_port) for node in connection.frontends)
    return _discovered(frontend, lambda found: found.flight_port, deadline)


def _discovered(
    frontend: Frontend,
    port_of: Callable[[FrontendInfo], int | None],
    deadline: Deadline | None,
) -> tuple[Node, ...]:
    """The listed nodes that are alive, then the configured hosts with the same ports.

    The list names the hosts as the cluster knows them, which may not be how they are reached from
    here; the configured hosts certainly are.
    """
    try:
        listed = frontend.known_frontends(deadline=deadline)
    except PermanentError as error:
        logger.info("the frontends' ports are not told: %s", error.message)
        return ()
    alive = [(found, port) for found in listed if found.alive and (port := port_of(found))]
    mapped = frontend.connection.mapped
    nodes = [mapped(Node(found.host, port)) for found, port in alive]
    ports = dict.fromkeys(port for _, port in alive)
    nodes += [Node(node.host, port) for node in frontend.connection.frontends for port in ports]
    return tuple(dict.fromkeys(nodes))
