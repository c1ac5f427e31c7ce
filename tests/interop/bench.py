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
"""What a scenario of the Java connector has at hand."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop import jvm, mariadb
from tests.interop.cluster import Cluster
from tests.interop.places import BUILD, SQL

ONE_REPLICA = "PROPERTIES ('replication_num' = '1')"
STUDENTS = (
    "CREATE TABLE test.{name} (`id` INT, `name` VARCHAR(256), `age` INT) {model} KEY(`id`)"
    " DISTRIBUTED BY HASH(`id`) BUCKETS {buckets} PROPERTIES"
    ' ("replication_allocation" = "tag.location.default: 3")'
)


@dataclass(frozen=True)
class Bench:
    """One emulator and one version of the connector."""

    cluster: Cluster
    version: str

    def sql(self, text: str) -> list[mariadb.Row]:
        return mariadb.query(self.cluster.mysql_port, text)

    def fresh(self, *statements: str, database: str = "test") -> None:
        """An empty database, and what the scenario needs in it."""
        self.sql(f"DROP DATABASE IF EXISTS {database} FORCE; CREATE DATABASE {database}")
        for statement in statements:
            self.sql(statement)

    def students(self, name: str, *, model: str = "UNIQUE", buckets: int = 1) -> None:
        self.sql(STUDENTS.format(name=name, model=model, buckets=buckets))

    def prefix(self) -> str:
        """A label prefix of its own, as the manual asks for."""
        return f"doris_label_{uuid.uuid4().hex[:8]}"

    def log(self, scenario: str) -> Path:
        return BUILD / f"{self.version}-{scenario}.log"

    def arguments(self) -> dict[str, object]:
        return {
            "fenodes": self.cluster.fenodes,
            "flight_port": self.cluster.flight_port,
            "mysql_port": self.cluster.mysql_port,
            "prefix": self.prefix(),
        }

    def java(
        self, scenario: str, *, log: str, seconds: float = 180.0, **extra: object
    ) -> jvm.Output:
        arguments = {**self.arguments(), **extra}
        return jvm.run(self.version, scenario, arguments, log=self.log(log), seconds=seconds)

    def script(
        self, name: str, *, log: str = "", seconds: float = 180.0, **extra: object
    ) -> jvm.Output:
        """Run one of the SQL scripts."""
        return self.java(
            "sql", log=log or name, seconds=seconds, script=SQL / f"{name}.sql", **extra
        )

    def file(self, name: str, records: Iterable[Mapping[str, Any]]) -> Path:
        """A folder with one file of JSON lines: the upstream of a scenario."""
        folder = BUILD / "data" / f"{self.version}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        (folder / "records.json").write_text("\n".join(lines) + "\n", "utf-8")
        return folder


def same(found: Iterable[tuple[str | None, ...]], expected: Iterable[tuple[str, ...]]) -> None:
    """Rows are equal as sets with repetition; NULL is the word NULL."""
    left = sorted(tuple("NULL" if cell is None else cell for cell in row) for row in found)
    right = sorted(expected)
    if left != right:
        raise AssertionError(f"found {left[:10]} ({len(left)} rows), expected {right[:10]}")
