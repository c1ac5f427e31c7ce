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
"""Where Doris is, and who asks."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qsl

from beam_doris.errors import ConfigError
from beam_doris.options.secrets import Secret

_NODE = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\s:/@\[\]]+)):(?P<port>\d{1,5})")
_JDBC = re.compile(
    r"jdbc:(?:mysql|mariadb):(?:loadbalance:|replication:)?//(?P<hosts>[^/?]*)"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<parameters>.*))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One address: a host and a port."""

    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Node:
        """Reads `host:port` or `[ipv6]:port`.

        Raises:
            ConfigError: the text is something else.
        """
        match = _NODE.fullmatch(text.strip())
        if match is None:
            # what stands before an @ may be a password
            shown = "...@" + text.rpartition("@")[2] if "@" in text else text.strip()
            raise ConfigError(f"{shown!r} is not host:port{_node_advice(text)}")
        port = int(match["port"])
        if not 0 < port < 65536:
            raise ConfigError(f"{text.strip()!r} has a port outside 1..65535")
        return Node(match["ipv6"] or match["host"], port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _node_advice(text: str) -> str:
    if "@" in text:
        return " (user and password are arguments of their own, not part of the address)"
    if "://" in text:
        return " (leave out the scheme)"
    if ":" not in text:
        return " (the port is missing; a frontend's HTTP port is usually 8030, a backend's 8040)"
    return ""


def parse_nodes(text: str | Sequence[str | Node], what: str) -> tuple[list[Node], list[str]]:
    """Reads a comma list, or a sequence, of `host:port`.

    Returns:
        The nodes in order without repetitions, and the problems found.
    """
    parts: Sequence[str | Node] = text.split(",") if isinstance(text, str) else text
    nodes: list[Node] = []
    problems: list[str] = []
    for part in parts:
        if isinstance(part, Node):
            nodes.append(part)
            continue
        if not isinstance(part, str):
            problems.append(f"{what}: {type(part).__name__} is not host:port")
            continue
        if not part.strip():
            continue
        try:
            nodes.append(Node.parse(part))
        except ConfigError as error:
            problems.append(f"{what}: {error.message}")
    return list(dict.fromkeys(nodes)), problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for one request.

    Args:
        connect: For a connection to be made.
        read: For the next bytes of an answer.
        query: For a query or scan as a whole; also told to the server.
    """

    connect: timedelta = timedelta(seconds=10)
    read: timedelta = timedelta(seconds=60)
    query: timedelta = timedelta(hours=6)

    def __post_init__(self) -> None:
        problems = []
        for name in ("connect", "read", "query"):
            value = getattr(self, name)
            if not isinstance(value, timedelta):
                problems.append(f"{name} is a timedelta, not {type(value).__name__}")
            elif value <= timedelta(0):
                problems.append(f"{name} is not positive")
        if problems:
            raise ConfigError(problems, subject="Timeouts")


class RedirectPolicy(enum.Enum):
    """Which of a backend's addresses a frontend redirects loads to."""

    DIRECT = "direct"
    PUBLIC = "public"
    PRIVATE = "private"
    PUBLIC_PRIVATE = "public-private"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRoute:
    """Which backend a frontend picks for a load, and by which address.

    Args:
        compute_group: The compute group that takes the loads, where computing is apart from
            storage; the user's default one if not given.
        redirect_policy: The backend's address to be named; the frontend decides if not given.
    """

    compute_group: str | None = None
    redirect_policy: RedirectPolicy | None = None

    def __post_init__(self) -> None:
        problems = []
        group = self.compute_group
        if group is not None and not (
            isinstance(group, str) and group.strip() and group.isprintable()
        ):
            problems.append("compute_group is a name: printable text that is not empty")
        if self.redirect_policy is not None and not isinstance(
            self.redirect_policy, RedirectPolicy
        ):
            problems.append("redirect_policy is a RedirectPolicy")
        if problems:
            raise ConfigError(problems, subject="LoadRoute")

    def headers(self) -> dict[str, str]:
        """The headers that say so, of loads and of their commits."""
        headers = {}
        if self.compute_group is not None:
            # frontends know the first one, newer backends also the second
            headers = {"cloud_cluster": self.compute_group, "compute_group": self.compute_group}
        if self.redirect_policy is not None:
            headers["redirect-policy"] = self.redirect_policy.value
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class DorisConnection:
    """The addresses of a cluster and the credentials for it.

    Args:
        fenodes: Frontends, `host:http_port`, a comma list or a sequence.
        username: The user.
        password: Its password, better as `Secret.env(...)`; "" for a user without one.
        benodes: Backends, `host:http_port`, for loads without discovery.
        jdbc_url: `jdbc:mysql://host:port[,host:port]/...`, where the SQL port is known by that.
        query_port: The frontends' SQL port; discovered when not given.
        flight_port: The frontends' Arrow Flight port; discovered when not given.
        auto_redirect: Loads go through a frontend, which picks the backend.
        host_map: Addresses as the cluster knows them (`host` or `host:port`) to addresses as they
            are reached from here.
        timeouts: For single requests.
        retries: How often a request that changed nothing is repeated.
        load_route: Which backend takes the loads, as far as the frontend is to be told.

    Raises:
        ConfigError: with every problem at once.

    Example:
        >>> doris = DorisConnection(
        ...     fenodes="127.0.0.1:8030", username="root", password=Secret.env("DORIS_PASSWORD"))
        >>> doris.frontends
        (Node(host='127.0.0.1', port=8030),)
    """

    fenodes: str | Sequence[str | Node] = ()
    username: str = ""
    password: Secret | str | None = None
    benodes: str | Sequence[str | Node] = ()
    jdbc_url: str | None = None
    query_port: int | None = None
    flight_port: int | None = None
    auto_redirect: bool = True
    host_map: Mapping[str, str] = field(default_factory=dict, hash=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 3
    load_route: LoadRoute = field(default_factory=LoadRoute)

    def __post_init__(self) -> None:
        frontends, problems = parse_nodes(self.fenodes, "fenodes")
        backends, more = parse_nodes(self.benodes, "benodes")
        problems += more
        if not frontends and not problems:
            problems.append("fenodes is missing: name at least one frontend as host:http_port")
        problems += self._credential_problems()
        problems += self._port_problems()
        try:
            self.sql_nodes  # noqa: B018  (read for its check)
        except ConfigError as error:
            problems.extend(error.problems)
        problems += self._host_map_problems()
        if not isinstance(self.timeouts, Timeouts):
            problems.append("timeouts is a Timeouts(...)")
        if not isinstance(self.retries, int) or self.retries < 0:
            problems.append("retries is an int of at least 0")
        if not isinstance(self.load_route, LoadRoute):
            problems.append("load_route is a LoadRoute(...)")
        if problems:
            raise ConfigError(problems, subject="DorisConnection")
        object.__setattr__(self, "fenodes", tuple(frontends))
        object.__setattr__(self, "benodes", tuple(backends))
        object.__setattr__(self, "host_map", dict(self.host_map))
        if isinstance(self.password, str):
            object.__setattr__(self, "password", Secret.of(self.password))

    def _credential_problems(self) -> list[str]:
        problems = []
        if not isinstance(self.username, str) or not self.username:
            problems.append("username is missing")
        elif ":" in self.username:
            problems.append("username may not hold a colon: HTTP Basic cannot carry it")
        if self.password is None:
            problems.append(
                'password is missing: give Secret.env("NAME"), or "" for a user without one'
            )
        elif not isinstance(self.password, (Secret, str)):
            problems.append("password is a Secret or a str")
        return problems

    def _port_problems(self) -> list[str]:
        problems = []
        for name in ("query_port", "flight_port"):
            port = getattr(self, name)
            if port is not None and (not isinstance(port, int) or not 0 < port < 65536):
                problems.append(f"{name} is outside 1..65535")
        return problems

    def _host_map_problems(self) -> list[str]:
        if not isinstance(self.host_map, Mapping):
            return ["host_map is a mapping of address to address"]
        problems = []
        for inner, outer in self.host_map.items():
            if (":" in inner) != (":" in outer):
                problems.append(
                    f"host_map: {inner!r} -> {outer!r}: give both as host or both as host:port"
                )
        return problems

    @property
    def frontends(self) -> tuple[Node, ...]:
        """The frontends' HTTP addresses."""
        return tuple(parse_nodes(self.fenodes, "fenodes")[0])

    @property
    def backends(self) -> tuple[Node, ...]:
        """The backends' HTTP addresses, where they are fixed; else empty."""
        return tuple(parse_nodes(self.benodes, "benodes")[0])

    @property
    def sql_nodes(self) -> tuple[Node, ...]:
        """The SQL addresses that are known without asking: by `jdbc_url` or `query_port`."""
        if self.jdbc_url is not None:
            return parse_jdbc_url(self.jdbc_url).nodes
        if self.query_port is not None:
            return tuple(Node(node.host, self.query_port) for node in self.frontends)
        return ()

    def mapped(self, node: Node) -> Node:
        """A node as it is reached from here, by `host_map`."""
        exact = self.host_map.get(str(node))
        if exact is not None:
            return Node.parse(exact)
        return Node(self.host_map.get(node.host, node.host), node.port)

    def credentials(self) -> tuple[str, str]:
        """User and password; the password is resolved now."""
        if not isinstance(self.password, Secret):
            raise ConfigError("password is missing", subject="DorisConnection")
        return self.username, self.password.reveal()

    @staticmethod
    def from_properties(properties: Mapping[str, str]) -> DorisConnection:
        """A connection by the Flink connector's keys, with its 24.1.0 defaults.

        Raises:
            ConfigError: unknown keys (with the nearest known name), bad values, missing keys.
        """
        from beam_doris.options.from_flink import build, connection_arguments

        return build(DorisConnection, connection_arguments, properties)


@dataclass(frozen=True, slots=True, kw_only=True)
class JdbcUrl:
    """The parts of a MySQL JDBC address."""

    nodes: tuple[Node, ...]
    database: str | None
    parameters: Mapping[str, str]


def parse_jdbc_url(text: str) -> JdbcUrl:
    """Reads `jdbc:mysql://host:port[,host:port]/database?key=value`.

    Raises:
        ConfigError: it is no such address, or carries a password.
    """
    match = _JDBC.fullmatch(text.strip())
    if match is None:
        raise ConfigError("jdbc_url is not jdbc:mysql://host:port[,host:port][/database]")
    parameters = dict(parse_qsl(match["parameters"] or "", keep_blank_values=True))
    problems = []
    hosts = match["hosts"]
    if "@" in hosts or {"user", "password"} & {name.lower() for name in parameters}:
        problems.append("jdbc_url: user and password are arguments of their own")
        hosts = ",".join(host.rpartition("@")[2] for host in hosts.split(","))
    with_ports = [
        host if _NODE.fullmatch(host.strip()) or ":" in host else f"{host.strip()}:9030"
        for host in hosts.split(",")
        if host.strip()
    ]
    nodes, node_problems = parse_nodes(with_ports, "jdbc_url")
    problems += node_problems
    if not nodes and not problems:
        problems.append("jdbc_url names no host")
    if problems:
        raise ConfigError(problems)
    return JdbcUrl(nodes=tuple(nodes), database=match["database"] or None, parameters=parameters)
