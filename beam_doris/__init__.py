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
"""The native Apache Beam connector for Apache Doris.

Example:
    >>> from beam_doris import DorisConnection, ReadFromDoris, Secret, WriteToDoris
    >>> doris = DorisConnection(
    ...     fenodes="127.0.0.1:8030", username="root", password=Secret.env("DORIS_PASSWORD"))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beam_doris.errors import ConfigError, DorisError
    from beam_doris.lookup.transform import EnrichFromDoris
    from beam_doris.options.connection import DorisConnection
    from beam_doris.options.lookup import LookupOptions
    from beam_doris.options.reading import ReadOptions, ReadProtocol
    from beam_doris.options.secrets import Secret
    from beam_doris.options.writing import LoadFormat, TwoPhaseCommit, WriteOptions
    from beam_doris.read.source import ReadAllFromDoris, ReadFromDoris
    from beam_doris.schema.expressions import col
    from beam_doris.write.sink import WriteToDoris

__version__ = "0.1.0"

_HOMES = {
    "ConfigError": "beam_doris.errors",
    "DorisConnection": "beam_doris.options.connection",
    "DorisError": "beam_doris.errors",
    "EnrichFromDoris": "beam_doris.lookup.transform",
    "LoadFormat": "beam_doris.options.writing",
    "LookupOptions": "beam_doris.options.lookup",
    "ReadAllFromDoris": "beam_doris.read.source",
    "ReadFromDoris": "beam_doris.read.source",
    "ReadOptions": "beam_doris.options.reading",
    "ReadProtocol": "beam_doris.options.reading",
    "Secret": "beam_doris.options.secrets",
    "TwoPhaseCommit": "beam_doris.options.writing",
    "WriteOptions": "beam_doris.options.writing",
    "WriteToDoris": "beam_doris.write.sink",
    "col": "beam_doris.schema.expressions",
}

__all__ = [
    "ConfigError",
    "DorisConnection",
    "DorisError",
    "EnrichFromDoris",
    "LoadFormat",
    "LookupOptions",
    "ReadAllFromDoris",
    "ReadFromDoris",
    "ReadOptions",
    "ReadProtocol",
    "Secret",
    "TwoPhaseCommit",
    "WriteOptions",
    "WriteToDoris",
    "__version__",
    "col",
]


def __getattr__(name: str) -> Any:
    # late: the clients are usable, and the emulator starts, without importing Beam
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
