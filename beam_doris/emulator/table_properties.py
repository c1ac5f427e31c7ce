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
"""Properties that CREATE TABLE and ALTER TABLE .. SET know."""

from __future__ import annotations

import re
from collections.abc import Mapping

from beam_doris.emulator.errors import DdlError

_WORDS = """
    replication_num replication_allocation storage_medium storage_cooldown_time colocate_with
    bloom_filter_columns bloom_filter_fpp in_memory storage_policy storage_format
    inverted_index_storage_format compression light_schema_change disable_auto_compaction
    enable_single_replica_compaction enable_duplicate_without_keys_by_default skip_write_index_on_load
    enable_unique_key_merge_on_write enable_unique_key_skip_bitmap_column enable_mow_light_delete
    function_column.sequence_col function_column.sequence_type store_row_column row_store_columns
    row_store_page_size storage_page_size storage_dict_page_size min_load_replica_num
    estimate_partition_size is_being_synced compaction_policy time_series_compaction_goal_size_mbytes
    time_series_compaction_file_count_threshold time_series_compaction_time_threshold_seconds
    time_series_compaction_empty_rowsets_threshold time_series_compaction_level_threshold
    group_commit_interval_ms group_commit_data_bytes group_commit_mode binlog.enable
    binlog.ttl_seconds binlog.max_bytes binlog.max_history_nums binlog.format
    variant_enable_flatten_nested variant_max_subcolumns_count file_cache_ttl_seconds
    auto_partition.retention_count partition.retention_count query_cache.enable type short_key
    version_info default.replication_allocation enable_persistent_index deprecated_dynamic_schema
    ttl_seconds vault_name storage_vault_name
    dynamic_partition.enable dynamic_partition.time_unit dynamic_partition.time_zone
    dynamic_partition.start dynamic_partition.end dynamic_partition.prefix dynamic_partition.buckets
    dynamic_partition.replication_num dynamic_partition.replication_allocation
    dynamic_partition.create_history_partition dynamic_partition.history_partition_num
    dynamic_partition.hot_partition_num dynamic_partition.reserved_history_periods
    dynamic_partition.start_day_of_week dynamic_partition.start_day_of_month
    dynamic_partition.storage_policy dynamic_partition.storage_medium
"""
KNOWN = frozenset(_WORDS.split())
#: what a table has and cannot change any more
_FIXED = frozenset(
    ("enable_unique_key_merge_on_write", "function_column.sequence_col", "store_row_column")
)
_ALLOCATION = re.compile(r"\s*tag\.location\.\w+\s*:\s*(\d+)\s*")


def checked(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties of a new table, with ``replication_num`` filled in.

    Raises:
        DdlError: a property is unknown or malformed, or asks for what the emulator cannot do.
    """
    unknown = {key: value for key, value in properties.items() if key not in KNOWN}
    if unknown:
        shown = ", ".join(f"{key}={value}" for key, value in unknown.items())
        raise DdlError(f"Unknown properties: {{{shown}}}")
    result = dict(properties)
    if result.get("dynamic_partition.enable", "false").lower() == "true":
        raise DdlError("dynamic partitions are not supported by the emulator")
    if "replication_allocation" in result:
        counts = [
            _ALLOCATION.fullmatch(part) for part in result["replication_allocation"].split(",")
        ]
        if not all(counts):
            raise DdlError(
                f"Invalid replication allocation property: {result['replication_allocation']}"
            )
        result["replication_num"] = str(sum(int(found[1]) for found in counts if found))
    text = result.setdefault("replication_num", "3")
    if not text.isdigit() or int(text) < 1:
        raise DdlError(f"Replication num should larger than 0. replication_num={text}")
    merge = result.get("enable_unique_key_merge_on_write", "true").lower()
    if merge not in ("true", "false"):
        raise DdlError(
            f"enable_unique_key_merge_on_write must be `true` or `false`, but got {merge}"
        )
    return result


def changed(current: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """The properties after ALTER TABLE .. SET.

    Raises:
        DdlError: a property is unknown or fixed.
    """
    for key in changes:
        if key in _FIXED:
            raise DdlError(f"Can not change {key} of a table")
        if key not in KNOWN and not key.startswith("default."):
            shown = ", ".join(f"{name}={value}" for name, value in changes.items())
            raise DdlError(f"Unknown table property: [{shown}]")
    kept = {key: value for key, value in changes.items() if not key.startswith("default.")}
    return {**current, **kept}
