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
"""python -m benchmarks.slow_consumer PROTOCOL READY: the peak memory of a read nobody hurries.

Prints `{"peak_mb": ...}`: the resident memory at its peak, over what it was before the read.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from beam_doris.options.reading import ReadProtocol
from benchmarks import read
from benchmarks.canned.peers import Peers

_PAUSE = 0.002


def main() -> int:
    """Reads everything once, with a pause after each batch."""
    protocol, ready = ReadProtocol(sys.argv[1]), json.loads(sys.argv[2])
    peers = Peers()
    peers.ready = ready
    scan = read.scan_of(peers, protocol)
    base = _peak()
    rows = scan.ours(lambda _batch: time.sleep(_PAUSE))
    assert rows == ready["rows"]
    sys.stdout.write(json.dumps({"peak_mb": (_peak() - base) / 1024}) + "\n")
    return 0


def _peak() -> int:
    """Kilobytes; getrusage would also count what the process that started this one held."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
