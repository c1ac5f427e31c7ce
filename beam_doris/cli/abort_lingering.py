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
"""`beam-doris abort-lingering`: drops loads that a run left behind and nobody will commit.

The server drops them by itself an hour after they were pre-committed; until then they count
against the limit of running transactions. Loads of a pipeline that still runs, or will be restored
from a checkpoint or savepoint, must not be aborted: their rows would be lost. Hence nothing is
chosen by default, and everything is shown and asked for.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys

from beam_doris.cli.connecting import add_connection_arguments, connection_of
from beam_doris.client.frontend import Frontend
from beam_doris.client.lingering import LingeringLoad, lingering_loads
from beam_doris.client.transactions import Transactions
from beam_doris.errors import ConfigError, DorisError

NAME = "abort-lingering"
SUMMARY = "List loads that wait for their commit, and abort them after asking."

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d+)([smhd])")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    add_connection_arguments(command)
    command.add_argument("--database", required=True, help="database of the loads")
    command.add_argument("--prefix", required=True, help="the job's label_prefix, whole")
    command.add_argument("--run-id", help="only loads of this run")
    command.add_argument(
        "--older-than", default="0s", metavar="SPAN", help="only loads at least that old: 30m, 2h"
    )
    command.add_argument("--yes", action="store_true", help="abort without asking")


def run(arguments: argparse.Namespace) -> int:
    """Lists, asks, aborts."""
    older_than = span_of(arguments.older_than)
    with Frontend(connection_of(arguments)) as frontend:
        loads = lingering_loads(
            frontend,
            arguments.database,
            arguments.prefix,
            run_id=arguments.run_id,
            older_than=older_than,
        )
        if not loads:
            print("no load waits for its commit")
            return 0
        _show(loads)
        if not (arguments.yes or _agreed(len(loads))):
            print("nothing was aborted")
            return 1
        return _abort(Transactions(frontend.connection, frontend=frontend), loads)


def span_of(text: str) -> datetime.timedelta:
    """A time span such as `90s`, `30m`, `2h` or `1d`.

    Raises:
        ConfigError: it is none.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ConfigError(f"--older-than {text!r} is not a span such as 90s, 30m, 2h or 1d")
    return datetime.timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _show(loads: list[LingeringLoad]) -> None:
    print(f"{'transaction':>12}  {'age':>16}  {'run':<14}  label")
    for load in loads:
        age = datetime.timedelta(seconds=int(load.age.total_seconds()))
        print(f"{load.txn_id:>12}  {age!s:>16}  {load.run_id:<14}  {load.label}")


def _agreed(count: int) -> bool:
    print("Rows of these loads are lost if their pipeline still runs or is restored later.")
    if not sys.stdin.isatty():
        print("not a terminal: pass --yes to abort them", file=sys.stderr)
        return False
    return input(f"Abort {count} loads? [y/N] ").strip().lower() in ("y", "yes")


def _abort(transactions: Transactions, loads: list[LingeringLoad]) -> int:
    failed = 0
    for load in loads:
        try:
            # by id and label: a label alone may have gone to another load meanwhile
            done = transactions.abort(load.database, load.txn_id, load.label)
        except DorisError as error:
            failed += 1
            print(f"{load.label}: {error.message}", file=sys.stderr)
        else:
            print(f"{load.label}: {'aborted' if done else 'is gone already'}")
    return 1 if failed else 0
