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
"""Enriching elements from Doris dimension tables.

`DorisEnrichmentHandler`, for Beam's own Enrichment, is in `beam_doris.lookup.handler`: it needs the
extra `enrichment`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beam_doris.lookup.result import EnrichResult, FailedLookup
    from beam_doris.lookup.transform import EnrichFromDoris
    from beam_doris.options.lookup import LookupOptions

_HOMES = {
    "EnrichFromDoris": "beam_doris.lookup.transform",
    "EnrichResult": "beam_doris.lookup.result",
    "FailedLookup": "beam_doris.lookup.result",
    "LookupOptions": "beam_doris.options.lookup",
}

__all__ = ["EnrichFromDoris", "EnrichResult", "FailedLookup", "LookupOptions"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
