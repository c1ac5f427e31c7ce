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
"""`beam-doris COMMAND ...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from beam_doris.cli import abort_lingering
from beam_doris.errors import DorisError

COMMANDS = (abort_lingering,)


def parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
    root = argparse.ArgumentParser(
        prog="beam-doris", description="What an operator does beside the pipelines."
    )
    commands = root.add_subparsers(dest="command", required=True)
    for module in COMMANDS:
        command = commands.add_parser(module.NAME, help=module.SUMMARY, description=module.SUMMARY)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 0 when it did what was asked."""
    chosen = parser().parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
    except DorisError as error:
        print(error, file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
