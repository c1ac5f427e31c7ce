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
"""What becomes of a ParDo's request for stable input on its way to a runner.

That portable Flink honors it is read in Beam's source, not run: see docs/runners.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_expansion_api_pb2
from apache_beam.runners.portability.expansion_service import ExpansionServiceServicer

from beam_doris.beam_support.stable_input import REQUIREMENT, StableInputParDo
from beam_doris.options.connection import DorisConnection
from beam_doris.write.sink import WriteToDoris
from tests.beam.endless import Stream
from tests.runners.captured_job import REFUSAL, CapturingJobServer, stable_steps
from tests.runners.platforms import NO_FREEZE, Platform, Runners

URN = "beam_doris:test:stable:v1"
_FLINK = ("--runner=FlinkRunner", "--streaming", "--checkpointing_interval=1000")
JOB_SERVERS = {
    "flink_streaming": _FLINK,
    "flink_batch": ("--runner=FlinkRunner",),
    "spark": ("--runner=SparkRunner",),
    "portable": ("--runner=PortableRunner",),
}


class Stable(beam.PTransform):
    """A step with stable input behind a break, as the commit stage has it."""

    def expand(self, elements: Any) -> Any:
        """Break, then ask."""
        return (
            elements | beam.Reshuffle() | "Ask" >> StableInputParDo(beam.DoFn.from_callable(_same))
        )

    def to_runner_api_parameter(self, context: Any) -> tuple[str, None]:
        """For the expansion service."""
        return URN, None

    @staticmethod
    @beam.PTransform.register_urn(URN, None)
    def from_runner_api_parameter(*_: Any) -> Stable:
        """The same again."""
        return Stable()


def _same(element: Any) -> Iterator[Any]:
    yield element


def _asking(pipeline: beam.Pipeline) -> beam.Pipeline:
    _ = pipeline | beam.Create([1, 2]) | Stable()
    return pipeline


def _submitted(flags: tuple[str, ...], build: Any) -> Any:
    with CapturingJobServer() as server:
        # workers that are never asked for, as the job is refused
        workers = ("--environment_type=EXTERNAL", "--environment_config=localhost:1")
        server_flags = (f"--job_endpoint={server.endpoint}", f"--experiments={NO_FREEZE}")
        options = [*flags, *server_flags, *workers]
        pipeline = beam.Pipeline(options=PipelineOptions(options))
        build(pipeline)
        with pytest.raises(Exception, match=REFUSAL):
            pipeline.run()
        return server.pipeline


@pytest.mark.parametrize("platform", [Platform.IN_MEMORY, Platform.THREADS, Platform.DIRECT])
def test_beams_local_runners_refuse_stable_input(runners: Runners, platform: Platform) -> None:
    with pytest.raises(ValueError, match=r"requirement.*stable_input"):
        _asking(runners.pipeline(platform)).run()


def test_prism_refuses_stable_input_when_a_job_is_submitted(runners: Runners) -> None:
    with pytest.raises(Exception, match=r"doesn't support .* required features.*stable"):
        _asking(runners.pipeline(Platform.PRISM)).run().wait_until_finish()


@pytest.mark.parametrize("flags", JOB_SERVERS.values(), ids=JOB_SERVERS)
def test_a_job_server_is_handed_flag_and_requirement(flags: tuple[str, ...]) -> None:
    proto = _submitted(flags, _asking)
    assert REQUIREMENT in proto.requirements
    assert [name.split("/")[-1] for name in stable_steps(proto)] == ["Ask"]


def test_the_commit_of_a_stream_on_flink_asks_for_stable_input_behind_a_break() -> None:
    def build(pipeline: beam.Pipeline) -> None:
        doris = DorisConnection(fenodes="127.0.0.1:1", username="u", password="")
        _ = (
            pipeline
            | beam.Create([6])
            | beam.ParDo(Stream(per_bundle=2)).with_output_types(int)
            | beam.Map(lambda number: {"id": number}).with_output_types(dict[str, Any])
            | "Doris" >> WriteToDoris(doris, table="d.t", label_prefix="p", validate=False)
        )

    proto = _submitted(_FLINK, build)
    assert stable_steps(proto) == ["Doris/Commit"]
    transforms = proto.components.transforms
    commit = next(t for t in transforms.values() if t.unique_name == "Doris/Commit")
    (source,) = commit.inputs.values()
    makers = [t.unique_name for t in transforms.values() if source in t.outputs.values()]
    assert "Doris/MakeDurable" in makers


def test_a_round_trip_through_the_proto_drops_flag_and_requirement() -> None:
    proto = _asking(beam.Pipeline()).to_runner_api()
    assert stable_steps(proto)
    again = beam.Pipeline.from_runner_api(proto, None, PipelineOptions([])).to_runner_api()
    assert stable_steps(again) == []
    assert REQUIREMENT not in again.requirements


def test_flag_and_requirement_survive_yaml() -> None:
    pytest.importorskip("jinja2", reason="Beam YAML needs the extra apache-beam[yaml]")
    from apache_beam.yaml import yaml_transform

    spec = """
    pipeline:
      type: chain
      transforms:
        - type: Create
          config: {elements: [1, 2]}
        - type: Stable
    providers:
      - type: python
        config: {packages: []}
        transforms: {Stable: tests.runners.test_stable_input.Stable}
    """

    def build(pipeline: beam.Pipeline) -> None:
        yaml_transform.expand_pipeline(pipeline, spec)

    proto = _submitted(_FLINK, build)
    assert REQUIREMENT in proto.requirements
    assert len(stable_steps(proto)) == 1


def test_flag_and_requirement_survive_the_expansion_service() -> None:
    proto = (beam.Pipeline() | beam.Create([1, 2]) | beam.Map(_same)).pipeline.to_runner_api()
    last = proto.components.transforms[proto.root_transform_ids[-1]]
    root = proto.components.transforms[last.subtransforms[-1]]
    (source,) = root.outputs.values()
    request = beam_expansion_api_pb2.ExpansionRequest(
        components=proto.components, namespace="outer", requirements=proto.requirements
    )
    request.transform.unique_name = "Stable"
    request.transform.spec.urn = URN
    request.transform.inputs["input"] = source
    response = ExpansionServiceServicer().Expand(request)
    assert not response.error
    assert REQUIREMENT in response.requirements
    assert len(stable_steps(response)) == 1
