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
"""Beam's own SQL enrichment handler, which also talks to any server of the MySQL protocol."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

# Beam's module imports one exception class of google-api-core, and the handler's the drivers of all
# databases that it knows. Only pymysql is used here; where the others are not installed, empty
# modules stand for them.
_UNUSED = {
    "google.api_core": (),
    "google.api_core.exceptions": ("TooManyRequests",),
    "pg8000": (),
    "pytds": (),
    "google.cloud": (),
    "google.cloud.sql": (),
    "google.cloud.sql.connector": ("Connector",),
    "google.cloud.sql.connector.enums": ("RefreshStrategy",),
}


def cloudsql_enrichment(
    port: int, table: str, key: str, columns: Sequence[str], batch: int
) -> beam.PTransform:
    """The handler in Beam's transform, with batches of exactly that size."""
    install_stand_ins()
    cloudsql: Any = importlib.import_module("apache_beam.transforms.enrichment_handlers.cloudsql")
    from apache_beam.transforms.enrichment import Enrichment

    handler = cloudsql.CloudSQLEnrichmentHandler(
        connection_config=cloudsql.ExternalSQLDBConnectionConfig(
            db_adapter=cloudsql.DatabaseTypeAdapter.MYSQL,
            host="127.0.0.1",
            port=port,
            user="root",
            password="",
            db_id=table.partition(".")[0],
        ),
        query_config=cloudsql.TableFieldsQueryConfig(
            table_id=table, where_clause_template=f"{key} = :{key}", where_clause_fields=[key]
        ),
        column_names=[key, *columns],
        min_batch_size=batch,
        max_batch_size=batch,
    )
    return Enrichment(handler)


def install_stand_ins() -> None:
    """Lets Beam's enrichment modules be imported without what they do not need here."""
    for name, attributes in _UNUSED.items():
        if name in sys.modules or _is_installed(name):
            continue
        module = types.ModuleType(name)
        module.__path__ = []
        for attribute in attributes:
            kind = Exception if attribute == "TooManyRequests" else object
            setattr(module, attribute, type(attribute, (kind,), {"LAZY": "lazy"}))
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, module)


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
