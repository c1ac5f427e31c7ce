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
"""What is promised where, what is refused, and what a runner is told to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_doris.errors import ConfigError
from beam_doris.options.connection import DorisConnection
from beam_doris.options.delivery import StreamBuffer, TransactionBudget
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
    WriteOptions,
)
from beam_doris.write.delivery_plan import DeliveryPlan, plan_delivery, warnings_of
from beam_doris.write.guarantee_document import render
from beam_doris.write.guarantees import GUARANTEES, CommitStage, Level, Setting
from beam_doris.write.sink import WriteToDoris

TWO_PHASE = WriteOptions(mode=TwoPhaseCommit())


def pipeline(runner: str, *flags: str) -> Any:
    """What a plan looks at: the class of the runner, and the options."""
    return SimpleNamespace(runner=type(runner, (), {})(), options=PipelineOptions(list(flags)))


def plan(runner: str, *flags: str, bounded: bool = True, **more: Any) -> DeliveryPlan:
    """A plan for two-phase loads."""
    options = more.pop("options", TWO_PHASE)
    return plan_delivery(pipeline(runner, *flags), bounded, options, **more)


def test_every_mode_has_a_word_for_every_setting() -> None:
    for cells in GUARANTEES.values():
        assert set(cells) == set(Setting)
        assert all(cell.why for cell in cells.values())


CHECKPOINTS = "--checkpointing_interval=60000"
LOOSE = "--dataflow_service_options=streaming_mode_at_least_once"


@pytest.mark.parametrize(
    ("runner", "flags", "bounded", "commit", "early"),
    [
        ("FnApiRunner", [], True, CommitStage.RESHUFFLE, True),
        ("FnApiRunner", [], False, CommitStage.RESHUFFLE, False),
        ("DirectRunner", [], True, CommitStage.RESHUFFLE, True),
        ("PrismRunner", [], True, CommitStage.RESHUFFLE, True),
        ("DataflowRunner", [], True, CommitStage.RESHUFFLE, True),
        ("DataflowRunner", ["--streaming"], False, CommitStage.RESHUFFLE, False),
        ("FlinkRunner", [], True, CommitStage.GROUPED, False),
        ("FlinkRunner", ["--streaming", CHECKPOINTS], False, CommitStage.STABLE, False),
        ("FlinkRunner", ["--streaming", CHECKPOINTS], True, CommitStage.STABLE, False),
        ("SparkRunner", [], True, CommitStage.GROUPED, False),
    ],
)
def test_a_token_is_committed_by_what_its_runner_makes_durable(
    runner: str, flags: list[str], bounded: bool, commit: CommitStage, early: bool
) -> None:
    made = plan(runner, *flags, bounded=bounded)
    assert (made.commit, made.early_commit) == (commit, early)
    assert made.streaming == (not bounded or "--streaming" in flags)


@pytest.mark.parametrize(
    ("runner", "flags", "words"),
    [
        ("FlinkRunner", ["--streaming"], "--checkpointing_interval"),
        ("DataflowRunner", ["--streaming", LOOSE], "leave out streaming_mode_at_least_once"),
        ("SparkRunner", ["--streaming"], "GroupCommit"),
        ("BundleBasedDirectRunner", [], "DataflowRunner"),
        ("PortableRunner", [], "commit='stable'"),
        ("DirectRunner", ["--streaming"], "--runner=FnApiRunner"),
        ("PrismRunner", ["--streaming"], "rows would be lost"),
        ("FlinkRunner", ["--streaming", "--checkpointing_interval=often"], "not a number"),
    ],
)
def test_what_cannot_keep_the_promise_is_refused_with_what_to_change(
    runner: str, flags: list[str], words: str
) -> None:
    with pytest.raises(ConfigError) as failure:
        plan(runner, *flags, bounded="--streaming" not in flags)
    assert words in str(failure.value)


@pytest.mark.parametrize(
    ("runner", "bounded", "commit"),
    [
        ("FnApiRunner", True, "stable"),
        ("FlinkRunner", True, "reshuffle"),
        ("SparkRunner", True, "reshuffle"),
        ("FnApiRunner", False, "grouped"),
    ],
)
def test_a_commit_stage_that_does_not_hold_on_the_runner_is_refused(
    runner: str, bounded: bool, commit: str
) -> None:
    with pytest.raises(ConfigError, match="does not hold"):
        plan(runner, bounded=bounded, commit=commit)


def test_a_commit_stage_has_a_known_name() -> None:
    with pytest.raises(ConfigError, match="is not 'auto' or one of"):
        plan("FnApiRunner", commit="finalizer")


def test_a_job_server_is_believed_by_the_stage_that_the_user_names() -> None:
    assert plan("PortableRunner", commit="grouped").commit is CommitStage.GROUPED
    assert plan("PortableRunner", commit="reshuffle").commit is CommitStage.RESHUFFLE
    assert not plan("PortableRunner", commit="reshuffle").early_commit
    stable = plan("PortableRunner", "--streaming", CHECKPOINTS, bounded=False, commit="stable")
    assert stable.commit is CommitStage.STABLE
    with pytest.raises(ConfigError, match="--checkpointing_interval"):
        plan("PortableRunner", "--streaming", bounded=False, commit="stable")


@pytest.mark.parametrize(
    ("flags", "stream", "words"),
    [
        (["--checkpointing_interval=1800001"], StreamBuffer(), "checkpoint interval of 1800"),
        ([CHECKPOINTS], StreamBuffer(interval=timedelta(minutes=31)), "flush interval of 1860"),
    ],
)
def test_intervals_beyond_half_the_expiry_are_refused(
    flags: list[str], stream: StreamBuffer, words: str
) -> None:
    options = WriteOptions(stream=stream)
    with pytest.raises(ConfigError) as failure:
        plan("FlinkRunner", "--streaming", *flags, bounded=False, options=options)
    assert words in str(failure.value)
    assert "stream_load_default_precommit_timeout_second" in str(failure.value)
    longer = TransactionBudget(precommit_expiry=timedelta(hours=2))
    allowed = WriteOptions(stream=stream, budget=longer)
    plan("FlinkRunner", "--streaming", *flags, bounded=False, options=allowed)


def test_all_or_nothing_waits_for_everything_and_commits_nothing_early() -> None:
    made = plan("FnApiRunner", all_or_nothing=True)
    assert made.commit is CommitStage.GROUPED
    assert not made.early_commit
    with pytest.raises(ConfigError, match="bounded input"):
        plan("FnApiRunner", bounded=False, all_or_nothing=True)
    with pytest.raises(ConfigError, match="needs TwoPhaseCommit, not PlainLoad"):
        plan("FnApiRunner", options=WriteOptions(mode=PlainLoad()), all_or_nothing=True)


@pytest.mark.parametrize("mode", [PlainLoad(), BatchLoad(), GroupCommit()])
def test_modes_without_tokens_run_where_tokens_would_not_be_durable(mode: WriteMode) -> None:
    options = WriteOptions(mode=mode)
    made = plan("FlinkRunner", "--streaming", bounded=False, options=options)
    assert made.guarantee.level is Level.AT_LEAST_ONCE
    assert made.commit is CommitStage.NONE
    assert plan("PortableRunner", options=options).guarantee.level is Level.AT_LEAST_ONCE


@pytest.mark.parametrize("runner", ["PrismRunner", "DirectRunner"])
def test_runners_that_lose_state_are_given_none(runner: str) -> None:
    for more in ({"options": WriteOptions(mode=PlainLoad())}, {"repeatable": True}):
        with pytest.raises(ConfigError, match="loses"):
            plan(runner, **more)
    plan(runner)
    plan(runner, options=WriteOptions(mode=BatchLoad()))
    plan("FnApiRunner", repeatable=True)


def test_a_drain_of_flink_without_its_flag_is_warned_of() -> None:
    flink = pipeline("FlinkRunner", "--streaming", CHECKPOINTS)
    made = plan_delivery(flink, False, TWO_PHASE)
    assert "enable_stable_input_drain" in warnings_of(flink, made)[0]
    drained = pipeline("FlinkRunner", CHECKPOINTS, "--enable_stable_input_drain=true")
    assert warnings_of(drained, made) == []


# ------------------------------------------------------------- the graph that would be submitted


DORIS = DorisConnection(fenodes="127.0.0.1:1", username="root", password="")


def proto(runner: str, *flags: str, **more: Any) -> Any:
    """The pipeline as this runner would be given it."""
    options = PipelineOptions(list(flags))
    built = beam.Pipeline(runner=runner, options=options)
    sink = WriteToDoris(DORIS, **{"table": "a.b", "label_prefix": "t", "validate": False, **more})
    built | beam.Create([{"id": 1}]) | sink
    return built.to_runner_api()


def payloads(pipeline_proto: Any) -> dict[str, Any]:
    """The ParDos by the last part of their name."""
    found = {}
    for transform in pipeline_proto.components.transforms.values():
        if transform.spec.urn == common_urns.primitives.PAR_DO.urn:
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            # a step with several outputs wraps its ParDo
            parts = [part for part in transform.unique_name.split("/") if "ParDo(" not in part]
            found[parts[-1]] = payload
    return found


STABLE_INPUT = common_urns.requirements.REQUIRES_STABLE_INPUT.urn


def test_flink_in_streaming_is_asked_for_stable_input_in_the_commit_stage_only() -> None:
    made = proto("FlinkRunner", "--streaming", CHECKPOINTS)
    stable = [name for name, payload in payloads(made).items() if payload.requires_stable_input]
    assert stable == ["Commit"]
    assert STABLE_INPUT in made.requirements
    names = {transform.unique_name for transform in made.components.transforms.values()}
    # what is to be stable comes out of a break of fusion
    assert any("MakeDurable" in name for name in names)
    finalizing = [name for name, payload in payloads(made).items() if payload.requests_finalization]
    assert finalizing == []


def test_flink_and_spark_in_batch_wait_for_all_loads_and_use_no_finalizer() -> None:
    for runner in ("FlinkRunner", "SparkRunner"):
        made = proto(runner)
        assert STABLE_INPUT not in made.requirements
        assert not any(payload.requests_finalization for payload in payloads(made).values())
        urns = {
            transform.unique_name: transform.spec.urn
            for transform in made.components.transforms.values()
        }
        name = next(name for name in urns if name.endswith("AwaitAllLoads"))
        assert urns[name] == common_urns.primitives.GROUP_BY_KEY.urn


def test_local_runners_commit_early_by_the_finalizer_and_again_by_the_stage() -> None:
    made = payloads(proto("FnApiRunner"))
    assert made["Load"].requests_finalization
    assert not made["Commit"].requires_stable_input


def test_unbounded_input_is_gathered_in_state_with_both_timers() -> None:
    load = payloads(proto("FnApiRunner", "--streaming"))["Load"]
    assert set(load.state_specs) == {"chunks", "state"}
    domains = {name: spec.time_domain for name, spec in load.timer_family_specs.items()}
    event, real = (
        beam_runner_api_pb2.TimeDomain.EVENT_TIME,
        beam_runner_api_pb2.TimeDomain.PROCESSING_TIME,
    )
    assert sorted(domains.values()) == sorted([event, real])
    assert not load.requests_finalization


def test_bounded_plain_loads_need_no_processing_time() -> None:
    load = payloads(proto("FnApiRunner", mode=PlainLoad()))["Load"]
    event = beam_runner_api_pb2.TimeDomain.EVENT_TIME
    assert [spec.time_domain for spec in load.timer_family_specs.values()] == [event]


def test_runners_without_stable_input_would_refuse_it() -> None:
    # the reason why only Flink gets the request
    with pytest.raises(ValueError, match="stable_input"):
        fn_runner.FnApiRunner().run_via_runner_api(
            proto("FlinkRunner", "--streaming", CHECKPOINTS), PipelineOptions()
        )


def test_the_guarantee_is_logged_when_the_transform_is_applied(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", logger="beam_doris"):
        proto("FlinkRunner")
    assert Level.UNLESS_COMMITTING.value in caplog.text
    assert Setting.FLINK_BATCH.value in caplog.text


def test_the_page_of_guarantees_says_what_the_code_decides_by() -> None:
    page = Path(__file__).parents[2] / "docs/guarantees.md"
    results = Path(__file__).parents[2] / "docs/results/crash.json"
    assert page.read_text("utf-8") == render(results)
