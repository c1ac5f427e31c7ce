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
"""A ParDo that asks its runner for stable input.

Beam's Python SDK has no decorator for it, but a runner reads the request from the graph: portable
Flink, in streaming with checkpoints, then keeps the elements in its state and hands them out only
after the checkpoint that holds them. Runners that do not know the requirement refuse the pipeline.

The request is lost when a pipeline is rebuilt from its own proto (as `DataflowRunner` does), so
only runners that submit the proto as it was made may rely on it.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.portability import common_urns

REQUIREMENT: str = common_urns.requirements.REQUIRES_STABLE_INPUT.urn


class StableInputParDo(beam.ParDo):
    """`beam.ParDo` whose elements are the same, in every repetition, once it has begun."""

    def to_runner_api_parameter(self, context: Any, **more: Any) -> tuple[str, Any]:
        """The payload with the request in it."""
        urn, payload = super().to_runner_api_parameter(context, **more)
        payload.requires_stable_input = True
        context.add_requirement(REQUIREMENT)
        return urn, payload
