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
"""Which graph a write gets: decided from mode, runner and boundedness when it is expanded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from apache_beam.options.pipeline_options import GoogleCloudOptions

from beam_doris.beam_support.checks import Problems
from beam_doris.beam_support.runners import (
    RunnerKind,
    is_plain_direct,
    is_streaming,
    runner_kind,
    unparsed_option,
)
from beam_doris.errors import ConfigError
from beam_doris.options.writing import (
    BatchLoad,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
    WriteOptions,
)
from beam_doris.write.guarantees import LOSES_STATE, CommitStage, Guarantee, Setting, guarantee_of

SUBJECT = "WriteToDoris"
AUTO = "auto"
_LOOSE = "streaming_mode_at_least_once"
# which setting of the table speaks for a job server, by the commit stage that the user names
_BY_COMMIT = {
    CommitStage.STABLE: (Setting.FLINK_BATCH, Setting.FLINK_STREAM),
    CommitStage.GROUPED: (Setting.SPARK_BATCH, Setting.SPARK_STREAM),
    CommitStage.RESHUFFLE: (Setting.DATAFLOW_BATCH, Setting.DATAFLOW_STREAM),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPlan:
    """How one write is carried out.

    Args:
        setting: Where it runs.
        guarantee: What it promises there.
        commit: How tokens become durable.
        streaming: Rows are gathered in the runner's state over bundles.
        early_commit: A bundle finalizer may commit, because there it means durable.
        all_or_nothing: Nothing is committed before everything is loaded.
    """

    setting: Setting
    guarantee: Guarantee
    commit: CommitStage
    streaming: bool
    early_commit: bool
    all_or_nothing: bool

    def __str__(self) -> str:
        return f"{self.guarantee.level.value} ({self.setting.value}): {self.guarantee.why}"


def plan_delivery(
    pipeline: Any,
    bounded: bool,
    options: WriteOptions,
    commit: str = AUTO,
    all_or_nothing: bool = False,
    repeatable: bool = False,
) -> DeliveryPlan:
    """Decides, and refuses what would not keep the mode's promise.

    Args:
        pipeline: Whose runner and options decide.
        bounded: Whether the input is bounded.
        options: With the mode.
        commit: The commit stage by name; `"auto"` where the runner tells.
        all_or_nothing: Whether nothing may be committed before everything is loaded.
        repeatable: Whether a bounded run may be repeated as a whole.

    Raises:
        ConfigError: the runner or its options cannot keep the promise; says what to change.
    """
    problems = Problems(SUBJECT)
    stated = problems.attempt(lambda: _stated(commit))
    streaming = not bounded or is_streaming(pipeline)
    setting = problems.attempt(lambda: _setting(pipeline, streaming, options.mode, stated))
    if setting is None:
        problems.raise_if_any()
        raise AssertionError
    guarantee = guarantee_of(options.mode, setting)
    if guarantee.refused:
        problems.add(f"{type(options.mode).__name__} on {setting.value}: {guarantee.why}")
    stage = guarantee.commit
    if isinstance(options.mode, TwoPhaseCommit) and not guarantee.refused:
        stage = _stage(stage, stated, setting, problems, streaming)
    if all_or_nothing:
        problems.extend(_all_or_nothing_problems(options.mode, streaming))
        stage = CommitStage.GROUPED if stage is CommitStage.RESHUFFLE else stage
    if uses_state(options.mode, streaming, repeatable) and not guarantee.refused:
        problems.extend(_state_problems(pipeline, setting))
    problems.extend(_expiry_problems(pipeline, setting, options, streaming))
    problems.raise_if_any()
    return DeliveryPlan(
        setting=setting,
        guarantee=guarantee,
        commit=stage,
        streaming=streaming,
        early_commit=(
            stage is CommitStage.RESHUFFLE
            and not streaming
            and runner_kind(pipeline).finalizer_is_durable
        ),
        all_or_nothing=all_or_nothing,
    )


def _stated(commit: str) -> CommitStage | None:
    if commit == AUTO:
        return None
    for stage in _BY_COMMIT:
        if stage.value == commit:
            return stage
    known = ", ".join(repr(stage.value) for stage in _BY_COMMIT)
    raise ConfigError(f"commit {commit!r} is not 'auto' or one of {known}")


def _setting(
    pipeline: Any, streaming: bool, mode: WriteMode, stated: CommitStage | None
) -> Setting:
    kind = runner_kind(pipeline)
    if kind is RunnerKind.LOCAL:
        return Setting.LOCAL_STREAM if streaming else Setting.LOCAL_BATCH
    if kind is RunnerKind.PRISM:
        return Setting.PRISM_STREAM if streaming else Setting.PRISM_BATCH
    if kind is RunnerKind.SPARK:
        return Setting.SPARK_STREAM if streaming else Setting.SPARK_BATCH
    if kind is RunnerKind.DATAFLOW:
        if not streaming:
            return Setting.DATAFLOW_BATCH
        return Setting.DATAFLOW_LOOSE if _is_loose(pipeline) else Setting.DATAFLOW_STREAM
    if kind is RunnerKind.FLINK:
        if not streaming:
            return Setting.FLINK_BATCH
        checked = checkpointing_interval(pipeline) is not None
        return Setting.FLINK_STREAM if checked else Setting.FLINK_UNCHECKED
    if kind is RunnerKind.PORTABLE and isinstance(mode, TwoPhaseCommit):
        if stated is None:
            raise ConfigError(
                "PortableRunner hides which runner is behind the job endpoint: pass commit='stable'"
                " for Flink streaming with checkpoints, 'grouped' for Flink or Spark batch, "
                "'reshuffle' for a runner that persists what it reshuffles"
            )
        setting = _BY_COMMIT[stated][int(streaming)]
        if stated is CommitStage.STABLE and streaming and checkpointing_interval(pipeline) is None:
            return Setting.FLINK_UNCHECKED
        return setting
    return Setting.OTHER


def _stage(
    planned: CommitStage,
    stated: CommitStage | None,
    setting: Setting,
    problems: Problems,
    streaming: bool,
) -> CommitStage:
    """The commit stage; one that the user names must hold on the runner."""
    if stated is None or stated is planned:
        return planned
    if stated is CommitStage.GROUPED and planned is CommitStage.RESHUFFLE and not streaming:
        return stated
    problems.add(
        f"commit={stated.value!r} does not hold on {setting.value}, which needs {planned.value!r}: "
        "leave it to 'auto'"
    )
    return planned


def _all_or_nothing_problems(mode: WriteMode, streaming: bool) -> list[str]:
    problems = []
    if not isinstance(mode, TwoPhaseCommit):
        problems.append(f"all_or_nothing needs TwoPhaseCommit, not {type(mode).__name__}")
    if streaming:
        problems.append("all_or_nothing is for bounded input: unbounded input never is 'all'")
    return problems


def _expiry_problems(
    pipeline: Any, setting: Setting, options: WriteOptions, streaming: bool
) -> list[str]:
    """Intervals after which the server would have dropped what is to be committed."""
    if not streaming or not isinstance(options.mode, TwoPhaseCommit):
        return []
    problems = []
    budget = options.budget
    limit = budget.precommit_expiry / 2
    advice = (
        f"is beyond half of the server's pre-commit expiry ({_seconds(budget.precommit_expiry)}): "
        "shorten it, or raise stream_load_default_precommit_timeout_second on the frontends and "
        "say so in TransactionBudget(precommit_expiry=...)"
    )
    if options.stream.interval > limit:
        problems.append(f"the flush interval of {_seconds(options.stream.interval)} {advice}")
    checkpoints = checkpointing_interval(pipeline)
    if setting is Setting.FLINK_STREAM and checkpoints is not None and checkpoints > limit:
        problems.append(f"the checkpoint interval of {_seconds(checkpoints)} {advice}")
    return problems


def checkpointing_interval(pipeline: Any) -> timedelta | None:
    """Flink's, where one is set."""
    value = unparsed_option(pipeline, "checkpointing_interval")
    try:
        milliseconds = int(str(value)) if value is not None else 0
    except ValueError:
        raise ConfigError(
            f"--checkpointing_interval={value} is not a number of milliseconds"
        ) from None
    return timedelta(milliseconds=milliseconds) if milliseconds > 0 else None


def uses_state(mode: WriteMode, streaming: bool, repeatable: bool = False) -> bool:
    """Whether rows are gathered in the runner's state."""
    if isinstance(mode, PlainLoad):
        return True
    if isinstance(mode, TwoPhaseCommit):
        return streaming or repeatable
    return streaming and isinstance(mode, BatchLoad)


def _state_problems(pipeline: Any, setting: Setting) -> list[str]:
    """Where gathering rows in the runner's state would lose some."""
    if setting in (Setting.PRISM_BATCH, Setting.PRISM_STREAM):
        return [LOSES_STATE.why]
    if is_plain_direct(pipeline):
        return [
            "rows are to be gathered in the runner's state, and DirectRunner may choose Prism, which "
            "loses it, or an old runner without splittable DoFns: name the runner, "
            "--runner=FnApiRunner"
        ]
    return []


def _is_loose(pipeline: Any) -> bool:
    cloud = pipeline.options.view_as(GoogleCloudOptions)
    return any(_LOOSE in option for option in cloud.dataflow_service_options or ())


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"


def warnings_of(pipeline: Any, plan: DeliveryPlan) -> list[str]:
    """What is allowed and may still surprise."""
    drains = str(unparsed_option(pipeline, "enable_stable_input_drain") or "").lower()
    if plan.commit is CommitStage.STABLE and drains != "true":
        return [
            "without --enable_stable_input_drain=true Flink fails at the end of bounded input, or "
            "of a drain, when loads still wait for their checkpoint"
        ]
    return []


__all__ = [
    "AUTO",
    "DeliveryPlan",
    "checkpointing_interval",
    "plan_delivery",
    "uses_state",
    "warnings_of",
]
