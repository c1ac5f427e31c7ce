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
"""How a load fails: a status name and a text, together the Message of the reply (P 2.3)."""

from __future__ import annotations


class LoadFailure(Exception):
    """The whole load is refused or broken.

    Args:
        text: Doris' words.
        status: name of the status code.
        frontend: whether the frontend said so; a backend passes that on with a prefix.
    """

    def __init__(
        self, text: str, status: str = "INTERNAL_ERROR", *, frontend: bool = False
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.frontend = frontend

    def message(self, prefix: str) -> str:
        """The Message of the reply.

        Args:
            prefix: what the profile's backends put before errors of the frontend.
        """
        if self.frontend:
            return prefix.replace("ANALYSIS_ERROR", self.status) + self.text
        # older backends show no status at all
        return f"[{self.status}]{self.text}" if "[" in prefix else self.text


def frontend_failure(text: str) -> LoadFailure:
    """An error of the frontend as a backend passes it on (P 2.3)."""
    return LoadFailure(text, "ANALYSIS_ERROR", frontend=True)
