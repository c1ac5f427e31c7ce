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
"""SHOW of the cluster: nodes, tablets, partitions, transactions, jobs (P 8.2, 13)."""

from __future__ import annotations

from collections.abc import Callable

from beam_doris.emulator.catalog import Partition, Table
from beam_doris.emulator.clock import wall_clock
from beam_doris.emulator.errors import EmulatorError
from beam_doris.emulator.sql.filtering import Filter, filtered
from beam_doris.emulator.sql.result import Result
from beam_doris.emulator.sql.session import SessionState
from beam_doris.emulator.sql.tokens import Reader
from beam_doris.emulator.transactions import Transaction

_CAPACITY = "1.000 TB"
_FOREVER = "9999-12-31 23:59:59"


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else f"{wall_clock(seconds):%Y-%m-%d %H:%M:%S}"


def backends(state: SessionState, reader: Reader) -> Result:
    """SHOW BACKENDS."""
    engine = state.engine
    names = [
        "BackendId",
        "Host",
        "HeartbeatPort",
        "BePort",
        "HttpPort",
        "BrpcPort",
        "ArrowFlightSqlPort",
        "LastStartTime",
        "LastHeartbeat",
        "Alive",
        "SystemDecommissioned",
        "TabletNum",
        "DataUsedCapacity",
        "TrashUsedCapacity",
        "AvailCapacity",
        "TotalCapacity",
        "UsedPct",
        "MaxDiskUsedPct",
        "RemoteUsedCapacity",
        "Tag",
        "ErrMsg",
        "Version",
        "Status",
        "HeartbeatFailureCounter",
    ]
    newer = engine.profile.show_backends_new_columns
    names += (
        ["CpuCores", "Memory", "LiveSince", "RunningTasks", "NodeRole"] if newer else ["NodeRole"]
    )
    held: dict[int, int] = {}
    for database in engine.catalog.databases():
        for table in engine.catalog.tables(database.name):
            for tablet in table.tablets():
                for number in tablet.backend_ids:
                    held[number] = held.get(number, 0) + 1
    now = _time(engine.clock.now()) or ""
    rows: list[list[str | None]] = []
    for node in engine.backends:
        row: list[str | None] = [
            str(node.id), node.host, "9050", str(node.be_port), str(node.http_port), "8060",
            str(node.flight_port or -1), now, now, "true" if node.alive else "false", "false",
            str(held.get(node.id, 0)), "0.000", "0.000", _CAPACITY, _CAPACITY, "0.00 %", "0.00 %",
            "0.000", '{"location" : "default"}', "" if node.alive else "connection refused",
            engine.profile.version, '{"lastSuccessReportTabletsTime":"N/A","isQueryDisabled":false}',
            "0" if node.alive else "1",
        ]  # fmt: skip
        rows.append([*row, "2", "8.00 GB", now, "0", "mix"] if newer else [*row, "mix"])
    return filtered(names, rows, Filter.read(reader))


def frontends(state: SessionState, reader: Reader) -> Result:
    """SHOW FRONTENDS."""
    node = state.engine.frontend
    now = _time(state.engine.clock.now())
    names = [
        "Name",
        "Host",
        "EditLogPort",
        "HttpPort",
        "QueryPort",
        "RpcPort",
        "ArrowFlightSqlPort",
        "Role",
        "IsMaster",
        "ClusterId",
        "Join",
        "Alive",
        "ReplayedJournalId",
        "LastStartTime",
        "LastHeartbeat",
        "IsHelper",
        "ErrMsg",
        "Version",
        "CurrentConnected",
        "LiveSince",
    ]
    row = (
        "fe_emulator", node.host, "9010", str(node.http_port), str(node.query_port), "9020",
        str(node.flight_port or -1), "FOLLOWER", "true", "1", "true", "true", "1", now, now, "true", "",
        state.engine.profile.version, "Yes", now,
    )  # fmt: skip
    return filtered(names, [row], Filter.read(reader))


def tablets(state: SessionState, reader: Reader) -> Result:
    """SHOW TABLETS FROM table [PARTITION ...]."""
    reader.expect("FROM")
    table = state.table(*reader.qualified())
    chosen: tuple[Partition, ...] = table.partitions
    if reader.take("PARTITION") or reader.take("PARTITIONS"):
        wanted = reader.names() if reader.sees("(") else (reader.name(),)
        chosen = tuple(table.partition(name) for name in wanted)
    names = [
        "TabletId",
        "ReplicaId",
        "BackendId",
        "SchemaHash",
        "Version",
        "LstSuccessVersion",
        "LstFailedVersion",
        "LstFailedTime",
        "LocalDataSize",
        "RemoteDataSize",
        "RowCount",
        "State",
        "LstConsistencyCheckTime",
        "CheckVersion",
        "VisibleVersionCount",
        "VersionCount",
        "QueryHits",
        "PathHash",
        "Path",
        "MetaUrl",
        "CompactionStatus",
        "CooldownReplicaId",
        "CooldownMetaId",
    ]
    counts = state.engine.storage.tablet_rows(table)
    rows: list[tuple[str | None, ...]] = []
    for partition in chosen:
        for tablet in partition.tablets:
            for backend in tablet.backend_ids:
                version = str(partition.version)
                rows.append(
                    (str(tablet.id), str(tablet.id + 1), str(backend), "0", version, version, "-1",
                     None, "0", "0", str(counts.get(tablet.id, 0)), "NORMAL", None, "-1", version,
                     version, "0", "-1", "", "", "", "-1", "")
                )  # fmt: skip
    return filtered(names, rows, Filter.read(reader))


def _range(table: Table, partition: Partition) -> str:
    """The Range cell: bounds or list of a partition."""
    by = table.partition_by
    if by is None:
        return ""
    if by.kind == "LIST":
        values = partition.values or ()
        texts = [", ".join("NULL" if cell is None else cell for cell in value) for value in values]
        return "; ".join(f"types: [{by.kind}]; keys: [{text}];" for text in texts)
    lower = ", ".join("MIN" if cell is None else cell for cell in partition.lower or (None,))
    upper = ", ".join("MAX" if cell is None else cell for cell in partition.upper or (None,))
    return f"[types: [RANGE]; keys: [{lower}]; ..types: [RANGE]; keys: [{upper}]; )"


def partitions(state: SessionState, reader: Reader) -> Result:
    """SHOW PARTITIONS FROM table."""
    reader.expect("FROM")
    table = state.table(*reader.qualified())
    names = [
        "PartitionId",
        "PartitionName",
        "VisibleVersion",
        "VisibleVersionTime",
        "State",
        "PartitionKey",
        "Range",
        "DistributionKey",
        "Buckets",
        "ReplicationNum",
        "StorageMedium",
        "CooldownTime",
        "RemoteStoragePolicy",
        "LastConsistencyCheckTime",
        "DataSize",
        "IsInMemory",
        "ReplicaAllocation",
        "IsMutable",
        "SyncWithBaseTables",
        "UnsyncTables",
        "CommittedVersion",
        "RowCount",
    ]
    keys = "" if table.partition_by is None else ", ".join(table.partition_by.columns)
    how = table.distribution
    distribution = "RANDOM" if how.kind == "RANDOM" else ", ".join(how.columns)
    made = _time(table.created_at)
    rows = [
        (str(partition.id), partition.name, str(partition.version), made, "NORMAL", keys,
         _range(table, partition), distribution, str(len(partition.tablets)),
         str(table.replication_num), "HDD", _FOREVER, "", None, "0.000 ", "false",
         f"tag.location.default: {table.replication_num}", "true", "true", None,
         str(partition.version),
         str(state.engine.storage.row_count(table, partitions=[partition.name])))
        for partition in table.partitions
    ]  # fmt: skip
    return filtered(names, rows, Filter.read(reader))


def _transaction_row(found: Transaction) -> tuple[str | None, ...]:
    visible = found.finished_at if found.state.value == "VISIBLE" else None
    return (
        str(found.id), found.label, found.coordinator, found.state.value, found.source,
        _time(found.prepared_at), _time(found.precommitted_at), _time(found.committed_at), _time(visible),
        _time(found.finished_at), found.reason, "0", "-1", str(int(found.timeout * 1000)), "",
    )  # fmt: skip


def transaction(state: SessionState, reader: Reader) -> Result:
    """SHOW TRANSACTION [FROM db] WHERE id = n | label = 'x' | transactionstatus = 'x'."""
    database = reader.name() if reader.take("FROM") or reader.take("IN") else None
    where = state.database_or_current(database)
    state.engine.catalog.database(where)
    names = [
        "TransactionId",
        "Label",
        "Coordinator",
        "TransactionStatus",
        "LoadJobSourceType",
        "PrepareTime",
        "PreCommitTime",
        "CommitTime",
        "PublishTime",
        "FinishTime",
        "Reason",
        "ErrorReplicasCount",
        "ListenerId",
        "TimeoutMs",
        "ErrMsg",
    ]
    wanted = Filter.read(reader)
    by_name = {condition.column.lower(): condition for condition in wanted.conditions}
    transactions = state.engine.transactions
    if "id" in by_name:
        if not by_name["id"].value.isdigit():
            raise EmulatorError(f"Transaction id is no number: {by_name['id'].value}")
        number = int(by_name["id"].value)
        found = transactions.find(where, txn_id=number)
        if not found:
            raise EmulatorError(f"transaction with id {number} does not exist")
    elif "label" in by_name and by_name["label"].operator != "LIKE":
        label = by_name["label"].value
        found = transactions.find(where, label=label)
        if not found:
            raise EmulatorError(f"transaction with label {label} does not exist")
    else:
        rows = [_transaction_row(item) for item in transactions.list(where)]
        statuses = [item for item in wanted.conditions if item.column.lower() != "id"]
        renamed = {"transactionstatus": "TransactionStatus", "label": "Label"}
        for item in statuses:
            index = names.index(renamed.get(item.column.lower(), "TransactionStatus"))
            rows = [row for row in rows if item.holds(row[index])]
        return Result.table(names, rows)
    return Result.table(names, [_transaction_row(item) for item in found])


def data(state: SessionState, reader: Reader) -> Result:
    """SHOW DATA [FROM table]."""
    storage = state.engine.storage
    if reader.take("FROM"):
        table = state.table(*reader.qualified())
        count = str(storage.row_count(table))
        rows = [(table.name, table.name, "0.000 ", str(table.replication_num), count, "0.000 ")]
        names = ["TableName", "IndexName", "Size", "ReplicaCount", "RowCount", "RemoteSize"]
        return Result.table(names, rows)
    where = state.database_or_current(None)
    every = [
        (table.name, "0.000 ", str(sum(1 for _ in table.tablets())), "0.000 ")
        for table in state.engine.catalog.tables(where)
    ]
    return Result.table(["TableName", "Size", "ReplicaCount", "RemoteSize"], every)


def alter_jobs(_state: SessionState, reader: Reader) -> Result:
    """SHOW ALTER TABLE COLUMN: every change is finished when its statement returns."""
    reader.rest()
    names = [
        "JobId",
        "TableName",
        "CreateTime",
        "FinishTime",
        "IndexName",
        "IndexId",
        "OriginIndexId",
        "SchemaVersion",
        "TransactionId",
        "State",
        "Msg",
        "Progress",
        "Timeout",
    ]
    return Result.table(names, [])


def loads(_state: SessionState, reader: Reader) -> Result:
    """SHOW LOAD: broker and INSERT jobs, of which there are none."""
    reader.rest()
    names = [
        "JobId",
        "Label",
        "State",
        "Progress",
        "Type",
        "EtlInfo",
        "TaskInfo",
        "ErrorMsg",
        "CreateTime",
        "EtlStartTime",
        "EtlFinishTime",
        "LoadStartTime",
        "LoadFinishTime",
        "URL",
        "JobDetails",
        "TransactionId",
        "ErrorTablets",
        "User",
        "Comment",
        "FirstErrorMsg",
    ]
    return Result.table(names, [])


def empty(*names: str) -> Callable[[SessionState, Reader], Result]:
    def answer(_state: SessionState, reader: Reader) -> Result:
        reader.rest()
        return Result.table(names, [])

    return answer


def catalogs(_state: SessionState, reader: Reader) -> Result:
    """SHOW CATALOGS: the internal one only."""
    reader.rest()
    names = [
        "CatalogId",
        "CatalogName",
        "Type",
        "IsCurrent",
        "CreateTime",
        "LastUpdateTime",
        "Comment",
    ]
    return Result.table(
        names, [("0", "internal", "internal", "yes", "", "", "Doris internal catalog")]
    )


Form = Callable[[SessionState, Reader], Result]

FORMS: tuple[tuple[tuple[str, ...], Form], ...] = (
    (("BACKENDS",), backends),
    (("FRONTENDS",), frontends),
    (("TABLETS",), tablets),
    (("PARTITIONS",), partitions),
    (("TRANSACTION",), transaction),
    (("DATA",), data),
    (("ALTER", "TABLE"), alter_jobs),
    (("LOAD",), loads),
    (("STREAM", "LOAD"), loads),
    (("CATALOGS",), catalogs),
    (("PROCEDURE", "STATUS"), empty("ProcedureName", "CatalogId", "DbId", "DbName")),
    (("FUNCTION", "STATUS"), empty("FunctionName", "CatalogId", "DbId", "DbName")),
    (("PLUGINS",), empty("Name", "Type", "Description", "Version")),
    (("TRIGGERS",), empty("Trigger", "Event", "Table", "Statement")),
    (("EVENTS",), empty("Db", "Name", "Definer", "Type")),
    (("OPEN", "TABLES"), empty("Database", "Table", "In_use", "Name_locked")),
    (("PRIVILEGES",), empty("Privilege", "Context", "Comment")),
    (("BROKER",), empty("Name", "Host", "Port", "Alive")),
)
