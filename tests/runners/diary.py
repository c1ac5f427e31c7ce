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
"""What happened on the workers, in the order in which it happened, whatever process they are in."""

from __future__ import annotations

import os
from pathlib import Path


class Diary:
    """Lines of a file; every process that has the path may add to it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def note(self, line: str) -> None:
        """Adds a line; lines of several processes never mix."""
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, f"{line}\n".encode())
        finally:
            os.close(file)

    @property
    def lines(self) -> list[str]:
        """All of them."""
        path = Path(self._path)
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def of(self, word: str) -> list[str]:
        """What stands behind the word in lines that begin with it."""
        return [line[len(word) :].strip() for line in self.lines if line.split(" ")[0] == word]
