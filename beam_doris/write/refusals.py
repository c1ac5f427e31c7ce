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
"""Why the server refused rows of a load, put into the error that fails the pipeline."""

from __future__ import annotations

import collections

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.client.rejected_rows import RejectedRowsReader
from beam_doris.errors import DorisError, RejectedRowsError
from beam_doris.options.connection import DorisConnection

_SHOWN = 5


def explain_refusal(connection: DorisConnection, error: DorisError) -> None:
    """Adds the server's reasons, without what they quote of the rows, to the error's advice.

    Does nothing for other errors, or when the log of the load cannot be had.
    """
    if not isinstance(error, RejectedRowsError) or not error.error_url:
        return
    reader = shared_client(RejectedRowsReader, connection)
    try:
        rejected = reader.fetch(error.error_url)
    except DorisError:
        # the refusal is what matters; its log may be gone, or on a host that is not allowed
        return
    reasons = collections.Counter(row.reason for row in rejected.rows)
    said = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(_SHOWN))
    if said:
        error.hint = f"the server says: {said}"
