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
"""The pinned jars: fetched once, verified every time, and our Java program compiled on them.

The names and SHA-256 sums are committed in ``java/jars.sha256``. Maven is asked only when a jar is
missing from the cache.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from tests.interop.places import BUILD, CACHE, JAVA

# connector version -> the emulator's server generation it is run against
PROFILES = {"24.0.1": "2.1", "25.0.0": "4.0"}
CONNECTOR_VERSIONS = tuple(PROFILES)
CONNECTOR = "flink-doris-connector-1.20-{}.jar"
MYSQL_VERSION = "9.1.0"
_FETCH_SECONDS = 900
_COMPILE_SECONDS = 300


class JarsUnavailable(RuntimeError):
    """Jars are missing and cannot be fetched, or are not the pinned ones."""


def pinned() -> dict[str, str]:
    """File name -> SHA-256 of every jar."""
    lines = (JAVA / "jars.sha256").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines if line.strip())}


def ensure() -> None:
    """Have every pinned jar in the cache, with the pinned content."""
    missing = [name for name in pinned() if not (CACHE / name).exists()]
    if missing:
        _fetch()
    for name, digest in pinned().items():
        path = CACHE / name
        if not path.exists():
            raise JarsUnavailable(f"{name} was not fetched")
        if _digest(path) != digest:
            raise JarsUnavailable(f"{name} is not the pinned one: delete {path} and try again")


def classpath(connector: str) -> list[Path]:
    """Jars of one connector version."""
    others = {CONNECTOR.format(v) for v in CONNECTOR_VERSIONS if v != connector}
    return [CACHE / name for name in sorted(pinned()) if name not in others]


def compiled(connector: str) -> Path:
    """Compile our program against one connector version; the folder of its classes."""
    target = BUILD / f"classes-{connector}"
    sources = sorted((JAVA / "src" / "main" / "java").rglob("*.java"))
    stamp = target / ".compiled"
    if stamp.exists() and all(s.stat().st_mtime <= stamp.stat().st_mtime for s in sources):
        return target
    target.mkdir(parents=True, exist_ok=True)
    command = ["javac", "-nowarn", "-Xlint:none", "--release", "17", "-encoding", "UTF-8"]
    command += ["-d", str(target), "-cp", ":".join(map(str, classpath(connector)))]
    done = subprocess.run(
        [*command, *map(str, sources)],
        capture_output=True,
        text=True,
        timeout=_COMPILE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise JarsUnavailable(f"javac failed:\n{done.stderr}")
    stamp.touch()
    return target


def _fetch() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    for version in CONNECTOR_VERSIONS:
        command = ["mvn", "-q", "-B", "-f", str(JAVA / "pom.xml"), "dependency:copy-dependencies"]
        command += [f"-Ddoris.version={version}", "-DincludeScope=runtime"]
        command += [f"-DoutputDirectory={CACHE}"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
        )
        if done.returncode:
            raise JarsUnavailable(f"mvn failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
