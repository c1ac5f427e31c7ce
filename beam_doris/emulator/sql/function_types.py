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
"""Result types of functions, and how types combine."""

from __future__ import annotations

from collections.abc import Sequence

from beam_doris.emulator.types import INTEGERS, TEXTS, DorisType, Kind

_WIDER = {
    Kind.BOOLEAN: Kind.SMALLINT,
    Kind.TINYINT: Kind.SMALLINT,
    Kind.SMALLINT: Kind.INT,
    Kind.INT: Kind.BIGINT,
    Kind.BIGINT: Kind.BIGINT,
    Kind.LARGEINT: Kind.LARGEINT,
}

#: names of Doris' functions that DuckDB knows by another name
RENAMED = {
    "array_sum": "list_sum",
    "array_min": "list_min",
    "array_max": "list_max",
    "array_avg": "list_avg",
    "array_sort": "list_sort",
    "array_distinct": "list_distinct",
    "array_position": "list_position",
    "array_concat": "list_concat",
    "array_slice": "list_slice",
    "array_filter": "list_filter",
    "array_map": "list_transform",
    "array_intersect": "list_intersect",
    "arrays_overlap": "list_has_any",
    "collect_list": "list",
    "array_agg": "list",
    "to_days": "doris_to_days",
    "json_parse": "doris_json",
    "jsonb_parse": "doris_json",
    "from_unixtime": "doris_from_unixtime",
    "lcase": "lower",
    "ucase": "upper",
    "percentile_approx": "approx_quantile",
    "percentile": "quantile_cont",
    "ipv6_num_to_string": "doris_ipv6_text",
    "ipv6_string_to_num": "doris_ipv6_parse",
}

_BITMAP = DorisType(Kind.BITMAP)
_HLL = DorisType(Kind.HLL)
_JSON = DorisType(Kind.JSON)
_BIGINT = DorisType(Kind.BIGINT)
_TEXT = DorisType(Kind.VARCHAR, length=65533)

RESULT_TYPES: dict[str, DorisType] = {
    **dict.fromkeys(
        (
            "to_bitmap", "to_bitmap_with_check", "bitmap_empty", "bitmap_hash", "bitmap_hash64",
            "bitmap_from_array", "bitmap_from_string", "bitmap_or", "bitmap_and", "bitmap_not",
            "bitmap_and_not", "bitmap_union", "bitmap_agg",
        ),
        _BITMAP,
    ),
    **dict.fromkeys(("hll_empty", "hll_hash", "hll_raw_agg", "hll_union"), _HLL),
    **dict.fromkeys(("json_parse", "jsonb_parse"), _JSON),
    **dict.fromkeys(
        ("bitmap_count", "bitmap_union_count", "hll_cardinality", "hll_union_agg", "ndv", "bitmap_min", "bitmap_max"),
        _BIGINT,
    ),
    **dict.fromkeys(("bitmap_to_string", "get_json_string", "version", "database", "user"), _TEXT),
    "to_ipv4": DorisType(Kind.IPV4),
    "to_ipv6": DorisType(Kind.IPV6),
    "from_second": DorisType(Kind.DATETIME),
}  # fmt: skip


def promoted(left: DorisType | None, right: DorisType | None) -> DorisType | None:
    """Type of a sum, difference or product of two integers; None for anything else."""
    if left is None or right is None:
        return None
    kinds = (left.kind, right.kind)
    if any(kind not in INTEGERS and kind is not Kind.BOOLEAN for kind in kinds):
        return None
    order = (Kind.BOOLEAN, *INTEGERS)
    widest = max(kinds, key=order.index)
    return DorisType(_WIDER[widest])


def common_type(kinds: Sequence[DorisType | None]) -> DorisType | None:
    """The type of a choice between values of these types; None when it is not known."""
    known = [kind for kind in kinds if kind is None or kind.kind is not Kind.NULL]
    if not known or any(kind is None for kind in known):
        return None
    types = [kind for kind in known if kind is not None]
    first = types[0]
    if all(kind == first for kind in types):
        return first
    if all(kind.kind in TEXTS for kind in types):
        return DorisType(Kind.STRING)
    if all(kind.kind in INTEGERS for kind in types):
        return DorisType(max((kind.kind for kind in types), key=INTEGERS.index))
    return None
