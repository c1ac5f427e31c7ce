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
"""The JSON reply of a stream load, with its keys in the order of a backend (P 2.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from beam_doris.emulator.load.quality import Quality

SUCCESS = "Success"
PUBLISH_TIMEOUT = "Publish Timeout"
LABEL_EXISTS = "Label Already Exists"
FAIL = "Fail"


@dataclass
class LoadTimes:
    """Milliseconds spent in the parts of a load."""

    load: int = 0
    begin: int = 0
    put: int = 0
    read: int = 0
    write: int = 0
    commit: int = 0


@dataclass
class LoadReply:
    """What is known of a load when it is answered."""

    label: str = ""
    comment: str = ""
    two_phase: bool = False
    grouped: bool = False
    txn_id: int = -1
    status: str = SUCCESS
    existing_status: str = ""
    message: str = "OK"
    load_bytes: int = 0
    error_url: str = ""
    first_error: str = ""
    quality: Quality = field(default_factory=Quality)
    times: LoadTimes = field(default_factory=LoadTimes)

    def to_json(self) -> dict[str, Any]:
        """The object that is sent."""
        good = self.status in (SUCCESS, PUBLISH_TIMEOUT)
        out: dict[str, Any] = {
            "TxnId": self.txn_id,
            "Label": self.label,
            "Comment": self.comment,
        }
        if self.grouped:
            out["GroupCommit"] = True
        else:
            # a text, not a boolean (P 2.3)
            out["TwoPhaseCommit"] = "true" if self.two_phase else "false"
        out["Status"] = self.status
        if self.existing_status:
            out["ExistingJobStatus"] = self.existing_status
        out["Message"] = self.message
        out["NumberTotalRows"] = self.quality.total
        out["NumberLoadedRows"] = self.quality.loaded if good else 0
        out["NumberFilteredRows"] = self.quality.filtered
        out["NumberUnselectedRows"] = self.quality.unselected
        out["LoadBytes"] = self.load_bytes
        out["LoadTimeMs"] = self.times.load
        if not self.grouped:
            out["BeginTxnTimeMs"] = self.times.begin
        out["StreamLoadPutTimeMs"] = self.times.put
        out["ReadDataTimeMs"] = self.times.read
        out["WriteDataTimeMs"] = self.times.write
        out["ReceiveDataTimeMs"] = self.times.read
        if not self.grouped:
            out["CommitAndPublishTimeMs"] = self.times.commit
        if self.error_url:
            out["ErrorURL"] = self.error_url
        if self.first_error:
            out["FirstErrorMsg"] = self.first_error
        return out
