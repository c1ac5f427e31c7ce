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
"""A job server that runs nothing: it keeps the pipeline that was handed to it."""

from __future__ import annotations

from concurrent import futures
from typing import Any

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

REFUSAL = "kept, not run"


class CapturingJobServer(beam_job_api_pb2_grpc.JobServiceServicer):
    """What Flink's or Spark's job server would be given over the wire."""

    def __init__(self) -> None:
        self.pipeline: Any = None
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(self, self._server)

    @property
    def endpoint(self) -> str:
        """For `--job_endpoint`."""
        return f"localhost:{self._port}"

    def __enter__(self) -> CapturingJobServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait(10)

    def DescribePipelineOptions(self, request: Any, context: Any) -> Any:
        """None of its own."""
        return beam_job_api_pb2.DescribePipelineOptionsResponse()

    def Prepare(self, request: Any, context: Any) -> Any:
        """Keeps the pipeline."""
        self.pipeline = request.pipeline
        context.abort(grpc.StatusCode.UNIMPLEMENTED, REFUSAL)


def stable_steps(proto: Any) -> list[str]:
    """The names of the ParDos in a pipeline that ask for stable input."""
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import beam_runner_api_pb2

    found = []
    for transform in proto.components.transforms.values():
        if transform.spec.urn == common_urns.primitives.PAR_DO.urn:
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            if payload.requires_stable_input:
                found.append(transform.unique_name)
    return found
