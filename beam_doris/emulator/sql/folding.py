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
"""Texts of constants that are cast, read once while the statement is translated.

A frontend folds such casts before it plans; here it also spares DuckDB the binding of the macros
that read any text, of which the one for IPv6 takes a third of a second.
"""

from __future__ import annotations

import datetime
import ipaddress
import re

from beam_doris.emulator.types import DorisType, Kind

_NUMBER = re.compile(r"-?\d+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.(\d{1,6}))?")


def folded(text: str, target: DorisType) -> str | None:
    """SQL of the value; None for whatever is not in the plainest form."""
    try:
        if target.kind is Kind.IPV4:
            return f"CAST({int(ipaddress.IPv4Address(text))} AS {target.physical()})"
        if target.kind is Kind.IPV6:
            return f"CAST('{int(ipaddress.IPv6Address(text))}' AS {target.physical()})"
        if target.kind is Kind.LARGEINT and _NUMBER.fullmatch(text):
            return f"TRY_CAST('{text}' AS {target.physical()})"
        if target.kind is Kind.DATE and _DATE.fullmatch(text):
            datetime.date.fromisoformat(text)
            return f"CAST('{text}' AS {target.physical()})"
        shape = _DATETIME.fullmatch(text) if target.kind is Kind.DATETIME else None
        if shape and len(shape.group(1) or "") <= target.scale:
            datetime.datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S")
            return f"CAST('{text}' AS {target.physical()})"
    except ValueError:
        return None
    return None
