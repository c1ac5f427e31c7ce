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
"""The arguments by which every command finds its cluster."""

from __future__ import annotations

import argparse

from beam_doris.options.connection import DorisConnection
from beam_doris.options.secrets import Secret


def add_connection_arguments(command: argparse.ArgumentParser) -> None:
    """Frontends, user, and where the password is; never the password itself."""
    command.add_argument("--fenodes", required=True, help="frontends, host:http_port[,...]")
    command.add_argument("--username", default="root", help="user; default: root")
    command.add_argument(
        "--password-env",
        metavar="NAME",
        default="DORIS_PASSWORD",
        help="environment variable that holds the password; default: DORIS_PASSWORD",
    )


def connection_of(arguments: argparse.Namespace) -> DorisConnection:
    """The connection that the arguments describe."""
    import os

    name = arguments.password_env
    return DorisConnection(
        fenodes=arguments.fenodes,
        username=arguments.username,
        password=Secret.env(name) if name in os.environ else "",
    )
