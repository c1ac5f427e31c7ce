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
"""Lets Beam's Enrichment be imported where google-api-core is not installed.

Beam needs one exception class of it. Installing it for that alone makes every pipeline of the
development environment warn of half-installed Google Cloud libraries.
"""

from __future__ import annotations

import importlib.util
import sys
import types


def _stand_in() -> None:
    if importlib.util.find_spec("google.api_core") is not None:
        return
    package = types.ModuleType("google.api_core")
    exceptions = types.ModuleType("google.api_core.exceptions")
    exceptions.TooManyRequests = type("TooManyRequests", (Exception,), {})  # type: ignore[attr-defined]
    package.__path__ = []
    package.exceptions = exceptions  # type: ignore[attr-defined]
    sys.modules["google.api_core"] = package
    sys.modules["google.api_core.exceptions"] = exceptions


_stand_in()
