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
"""``python -m tests.interop``: foreign clients against the emulator -> build/interop.json.

``--short`` runs the representative subset of ``make test-jvm-short``; ``--only TEXT`` the cells
whose client, version or scenario holds the text.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial

from tests.interop import (
    adbc_client,
    cluster,
    curl_load,
    curl_refused,
    failover,
    flink_read,
    flink_write,
    jars,
    mysql_clients,
    places,
)
from tests.interop.bench import Bench
from tests.interop.cells import Sheet

CONNECTOR = "flink-doris-connector"
NOTE = (
    "Flink 1.20.1 mini cluster, Java 17. Of org.apache.doris:flink-doris-connector-1.20 the Maven"
    " registry in use serves 24.0.1 and 25.0.0 only; 24.1.0, 25.1.0 and 26.x could not be had."
    " Tables are judged by SQL through the mariadb command line."
)
Scenario = Callable[[Bench], "str | None"]
SHORT: tuple[tuple[str, Scenario], ...] = (
    ("quick start", flink_write.quick_start),
    ("read by Thrift", flink_read.read_thrift),
    ("read by Flight SQL", flink_read.read_flight),
    ("datagen to sink with checkpoints and 2PC", flink_write.datagen_two_phase),
    ("lookup join, sync", flink_read.lookup_sync),
    ("fail-over: killed after pre-commit", failover.killed_after_precommit),
    ("fail-over: killed after commit", failover.killed_after_commit),
)
LONG: tuple[tuple[str, Scenario], ...] = (
    *SHORT,
    ("types by Thrift", flink_read.read_types_thrift),
    ("types by Flight SQL", flink_read.read_types_flight),
    ("DataStream read by Thrift", flink_read.read_datastream_thrift),
    ("DataStream read by Flight SQL", flink_read.read_datastream_flight),
    ("doris.read.field and doris.filter.query, Thrift", flink_read.read_field_and_filter_thrift),
    ("doris.read.field and doris.filter.query, Flight", flink_read.read_field_and_filter_flight),
    ("filter pushed down, Thrift", flink_read.filter_pushdown_thrift),
    ("filter pushed down, Flight SQL", flink_read.filter_pushdown_flight),
    ("lookup join, async", flink_read.lookup_async),
    ("lookup join, cached", flink_read.lookup_cached),
    ("catalog listing", flink_read.catalog_listing),
    ("datagen to sink in batch mode", flink_write.datagen_batch),
    ("DataStream sink, String JSON", flink_write.string_json),
    ("DataStream sink, String CSV", flink_write.string_csv),
    ("DataStream sink, String JSON in batch mode", flink_write.string_json_batch),
    ("DataStream sink, RowData CSV", flink_write.row_data_csv),
    ("DataStream sink, RowData JSON", flink_write.row_data_json),
    ("DataStream sink, Debezium JSON", flink_write.debezium_json),
    ("DataStream sink, Debezium ALTER TABLE", flink_write.debezium_schema_change),
    ("DataStream sink, multi-table RecordWithMeta", flink_write.multi_table),
    ("DataStream sink, multi-table, streaming", flink_write.multi_table_streaming),
    ("changelog with deletes", flink_write.cdc_best_practice),
    ("primary-key change", flink_write.primary_key_change),
    ("partial column update", flink_write.partial_update),
    ("bitmap by columns", flink_write.bitmap_columns),
    ("delete by __DORIS_DELETE_SIGN__", flink_write.delete_sign),
    ("group commit", flink_write.group_commit),
    ("gzip, streaming", flink_write.gzip_streaming),
    ("gzip, batch mode", flink_write.gzip_batch),
    ("separators, auto-redirect off", flink_write.separators_without_redirect),
    ("fail-over: killed before the commit arrived", failover.killed_before_commit),
    ("fail-over: killed while loading", failover.killed_while_loading),
    ("fail-over: two writers killed after pre-commit", failover.two_writers_killed),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the representative subset")
    parser.add_argument("--only", default="", help="cells whose names hold this text")
    parser.add_argument(
        "--if-possible", action="store_true", help="succeed where the tools or jars cannot be had"
    )
    arguments = parser.parse_args()
    # a kill must end the clients and servers that were started, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    impossible = 0 if arguments.if_possible else 2
    missing = [
        tool for tool in ("java", "javac", "mvn", "mariadb", "curl") if not shutil.which(tool)
    ]
    if missing:
        sys.stderr.write(f"not on this machine: {', '.join(missing)}; nothing was run\n")
        return impossible
    try:
        jars.ensure()
    except (jars.JarsUnavailable, OSError) as error:
        sys.stderr.write(f"the pinned jars cannot be had: {error}\n")
        return impossible
    sheet = Sheet(only=arguments.only)
    with cluster.running(log="emulator-clients.log") as running:
        curl_load.run_all(running, sheet, curl_refused.REFUSED)
        mysql_clients.run_all(running, sheet)
        adbc_client.run_all(running, sheet)
    versions = jars.CONNECTOR_VERSIONS[-1:] if arguments.short else jars.CONNECTOR_VERSIONS
    for version in versions:
        profile = ("--profile", jars.PROFILES[version])
        with cluster.running(options=profile, log=f"emulator-{version}.log") as running:
            bench = Bench(running, version)
            for name, scenario in SHORT if arguments.short else LONG:
                sheet.run(CONNECTOR, version, name, partial(scenario, bench))
        if not arguments.short:
            with cluster.running(options=("--profile", "2.0"), log="emulator-2.0.log") as running:
                old = partial(flink_read.read_types_old_forms, Bench(running, version))
                sheet.run(CONNECTOR, version, "types by Thrift, Arrow forms of Doris 2.0", old)
    sheet.write(places.RESULT, note=NOTE)
    sys.stdout.write(f"{len(sheet.cells) - len(sheet.failed)} of {len(sheet.cells)} cells passed\n")
    return 1 if sheet.failed or not sheet.cells else 0


if __name__ == "__main__":
    sys.exit(main())
