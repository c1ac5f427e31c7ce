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
"""What an enrichment returns: PCollections by name."""

from __future__ import annotations

from typing import Any, NamedTuple

from apache_beam import pvalue


class FailedLookup(NamedTuple):
    """An element that could not be looked up.

    Attributes:
        table: Where it was looked for.
        error: The class of the error.
        reason: What happened; never quotes the element.
        element: The element itself, for a dead-letter store.
    """

    table: str
    error: str
    reason: str
    element: Any


class EnrichResult(NamedTuple):
    """The outputs of `EnrichFromDoris` with `on_error="dead_letter"`.

    Attributes:
        enriched: The elements with what was found.
        failed_rows: A `FailedLookup` for each element that could not be looked up.
    """

    enriched: pvalue.PCollection
    failed_rows: pvalue.PCollection
