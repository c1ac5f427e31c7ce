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
"""The mariadb command line: the judge of what the tables hold."""

from __future__ import annotations

import os
import shutil
import subprocess

Row = tuple[str, ...]


def version() -> str:
    done = subprocess.run(["mariadb", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split("Distrib ")[-1].split(",")[0].strip()


def available() -> bool:
    return shutil.which("mariadb") is not None


def run(
    port: int,
    sql: str,
    *,
    user: str = "root",
    password: str = "",
    options: tuple[str, ...] = ("--skip-column-names",),
) -> subprocess.CompletedProcess[str]:
    """One session; the statements are separated by semicolons."""
    command = ["mariadb", "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", f"--port={port}"]
    command += [f"--user={user}", "--batch", "--raw", "--default-character-set=utf8mb4", *options]
    return subprocess.run(
        [*command, "--execute", sql],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "MYSQL_PWD": password},
    )


def query(port: int, sql: str) -> list[Row]:
    """Rows as text; NULL is the word NULL."""
    done = run(port, sql)
    if done.returncode:
        reason = [line for line in done.stderr.splitlines() if "ERROR" in line] or [done.stderr]
        raise AssertionError(f"mariadb: {reason[-1].strip()} in: {sql[:200]}")
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]
