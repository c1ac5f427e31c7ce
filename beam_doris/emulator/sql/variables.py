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
"""Session variables: what clients ask for when they connect, and what changes a statement."""

from __future__ import annotations

from beam_doris.emulator.errors import EmulatorError

DEFAULTS: dict[str, str] = {
    "auto_increment_increment": "1",
    "autocommit": "true",
    "batch_size": "4064",
    "character_set_client": "utf8mb4",
    "character_set_connection": "utf8mb4",
    "character_set_database": "utf8mb4",
    "character_set_results": "utf8mb4",
    "character_set_server": "utf8mb4",
    "collation_connection": "utf8mb4_0900_bin",
    "collation_database": "utf8mb4_0900_bin",
    "collation_server": "utf8mb4_0900_bin",
    "default_rowset_type": "beta",
    "enable_insert_strict": "true",
    "enable_nereids_planner": "true",
    "enable_pipeline_engine": "true",
    "enable_server_side_prepared_statement": "true",
    "enable_unique_key_partial_update": "false",
    "enable_fallback_to_original_planner": "false",
    "exec_mem_limit": "2147483648",
    "group_commit": "off_mode",
    "have_query_cache": "NO",
    "init_connect": "",
    "insert_max_filter_ratio": "1.0",
    "insert_timeout": "14400",
    "interactive_timeout": "3600",
    "language": "/palo/share/english/",
    "license": "Apache License, Version 2.0",
    "lower_case_table_names": "0",
    "max_allowed_packet": "16777216",
    "net_buffer_length": "16384",
    "net_read_timeout": "60",
    "net_write_timeout": "60",
    "parallel_fragment_exec_instance_num": "8",
    "parallel_pipeline_task_num": "0",
    "performance_schema": "OFF",
    "query_cache_size": "1048576",
    "query_cache_type": "0",
    "query_timeout": "900",
    "require_sequence_in_insert": "true",
    "resource_group": "",
    "rewrite_or_to_in_predicate_threshold": "2",
    "show_hidden_columns": "false",
    "socket": "",
    "sql_auto_is_null": "false",
    "sql_mode": "ONLY_FULL_GROUP_BY",
    "sql_safe_updates": "0",
    "sql_select_limit": "9223372036854775807",
    "system_time_zone": "UTC",
    "time_zone": "UTC",
    "transaction_isolation": "READ-COMMITTED",
    "transaction_read_only": "false",
    "tx_isolation": "READ-COMMITTED",
    "tx_read_only": "false",
    "version": "5.7.99",
    "version_comment": "Doris version doris-emulator",
    "wait_timeout": "28800",
    "workload_group": "",
}

_TRUE = ("true", "1", "on")


class Variables:
    """Variables of one session over the defaults; names have no case."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}
        self._user: dict[str, str | None] = {}

    def get(self, name: str) -> str:
        """Raises EmulatorError for a name that was never set and has no default."""
        key = name.lower()
        if key in self._own:
            return self._own[key]
        if key in DEFAULTS:
            return DEFAULTS[key]
        raise EmulatorError(f"Unknown system variable '{name}'", 1193)

    def flag(self, name: str) -> bool:
        return self.get(name).lower() in _TRUE

    def set(self, name: str, value: str) -> None:
        """Unknown names are taken too: Doris has hundreds of planner switches."""
        self._own[name.lower()] = value

    def unset(self, name: str) -> None:
        self._own.pop(name.lower(), None)

    def user(self, name: str) -> str | None:
        return self._user.get(name.lower())

    def set_user(self, name: str, value: str | None) -> None:
        self._user[name.lower()] = value

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Name, value, default and whether it was changed, in the order of names."""
        merged = {**DEFAULTS, **self._own}
        return [
            (name, value, DEFAULTS.get(name, value), "1" if value != DEFAULTS.get(name) else "0")
            for name, value in sorted(merged.items())
        ]
