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
"""What a write promises, by mode and by runner: the one table that the code, its log and
`docs/guarantees.md` share."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from beam_doris.beam_support.runners import RunnerKind
from beam_doris.options.writing import (
    BatchLoad,
    GroupCommit,
    PlainLoad,
    TwoPhaseCommit,
    WriteMode,
)


class Level(enum.Enum):
    """How often a row of the input becomes visible when a pipeline fails and goes on."""

    EXACTLY_ONCE = "exactly once"
    UNLESS_COMMITTING = "exactly once, unless the job fails while it commits"
    IF_STABLE = "exactly once if a repetition sees the same input, else at least once"
    AT_LEAST_ONCE = "at least once"
    REFUSED = "refused"


class CommitStage(enum.Enum):
    """What makes a token durable before it is committed."""

    RESHUFFLE = "reshuffle"
    """What has come out of a Reshuffle is never computed again."""
    STABLE = "stable"
    """A ParDo that asks for stable input, behind a break of fusion."""
    GROUPED = "grouped"
    """One GroupByKey per table: all loads are there before the first commit."""
    NONE = "none"
    """Loads commit themselves."""


class Setting(enum.Enum):
    """Where a write runs; the value is its name in the documents."""

    LOCAL_BATCH = "FnApiRunner, DirectRunner, bounded"
    LOCAL_STREAM = "FnApiRunner, unbounded"
    PRISM_BATCH = "PrismRunner, bounded"
    PRISM_STREAM = "PrismRunner, unbounded"
    DATAFLOW_BATCH = "DataflowRunner, batch"
    DATAFLOW_STREAM = "DataflowRunner, streaming exactly-once"
    DATAFLOW_LOOSE = "DataflowRunner, streaming at-least-once"
    FLINK_BATCH = "FlinkRunner, batch"
    FLINK_STREAM = "FlinkRunner, streaming with checkpoints"
    FLINK_UNCHECKED = "FlinkRunner, streaming without checkpoints"
    SPARK_BATCH = "SparkRunner, batch"
    SPARK_STREAM = "SparkRunner, streaming"
    OTHER = "another runner"

    @property
    def runner(self) -> RunnerKind:
        """The runner."""
        return _RUNNERS[self.name.split("_")[0]]

    @property
    def was_run(self) -> bool:
        """Whether the crash matrix runs there; else only the runner's contract speaks for it."""
        return self.runner in (RunnerKind.LOCAL, RunnerKind.PRISM)


_RUNNERS: Mapping[str, RunnerKind] = {
    "LOCAL": RunnerKind.LOCAL,
    "PRISM": RunnerKind.PRISM,
    "DATAFLOW": RunnerKind.DATAFLOW,
    "FLINK": RunnerKind.FLINK,
    "SPARK": RunnerKind.SPARK,
    "OTHER": RunnerKind.OTHER,
}


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One cell of the table.

    Args:
        level: The promise.
        commit: How tokens become durable.
        why: What it rests on; for a refusal, what to change.
    """

    level: Level
    commit: CommitStage
    why: str

    @property
    def refused(self) -> bool:
        """Whether the pipeline is not built at all."""
        return self.level is Level.REFUSED


_Cells = Mapping[Setting, Guarantee]
_L, _C, _S = Level, CommitStage, Setting

_PROCESS_ONLY = (
    "tokens are committed only when their bundle is done; the runner itself keeps nothing over a "
    "crash of its process, so a new start is a new run"
)
_ONE_LOOP = (
    "all loads are pre-committed before the first commit; a failure in the commit loop may compute "
    "the loads again beside those that are committed"
)
LOSES_STATE = Guarantee(
    _L.REFUSED,
    _C.NONE,
    "Prism runs bundles of one key side by side and so loses state (of 500 rows, 326 came out of a "
    "plain stateful DoFn), and rows would be lost: use FlinkRunner or DataflowRunner, FnApiRunner "
    "for a trial, or TwoPhaseCommit without run_id for bounded input",
)
_TWO_PHASE: _Cells = {
    _S.LOCAL_BATCH: Guarantee(_L.EXACTLY_ONCE, _C.RESHUFFLE, _PROCESS_ONLY),
    _S.LOCAL_STREAM: Guarantee(_L.EXACTLY_ONCE, _C.RESHUFFLE, _PROCESS_ONLY),
    _S.PRISM_BATCH: Guarantee(_L.EXACTLY_ONCE, _C.RESHUFFLE, _PROCESS_ONLY),
    _S.PRISM_STREAM: LOSES_STATE,
    _S.DATAFLOW_BATCH: Guarantee(
        _L.EXACTLY_ONCE, _C.RESHUFFLE, "what leaves a Reshuffle is persisted, once"
    ),
    _S.DATAFLOW_STREAM: Guarantee(
        _L.EXACTLY_ONCE, _C.RESHUFFLE, "what leaves a Reshuffle is persisted, once"
    ),
    _S.DATAFLOW_LOOSE: Guarantee(
        _L.REFUSED,
        _C.NONE,
        "the at-least-once mode of Dataflow may hand out tokens of two attempts: leave out "
        "streaming_mode_at_least_once, or use mode=BatchLoad()",
    ),
    _S.FLINK_BATCH: Guarantee(_L.UNLESS_COMMITTING, _C.GROUPED, _ONE_LOOP),
    _S.FLINK_STREAM: Guarantee(
        _L.EXACTLY_ONCE,
        _C.STABLE,
        "tokens wait in the checkpoint before they are committed; a restore from an older "
        "checkpoint than the last one loads again what was committed since",
    ),
    _S.FLINK_UNCHECKED: Guarantee(
        _L.REFUSED,
        _C.NONE,
        "without checkpoints nothing is ever durable on Flink: set --checkpointing_interval "
        "(milliseconds), or use mode=BatchLoad()",
    ),
    _S.SPARK_BATCH: Guarantee(_L.UNLESS_COMMITTING, _C.GROUPED, _ONE_LOOP),
    _S.SPARK_STREAM: Guarantee(
        _L.REFUSED,
        _C.NONE,
        "portable Spark has neither durable tokens nor timers in streaming: use another runner, "
        "or mode=GroupCommit()",
    ),
    _S.OTHER: Guarantee(
        _L.REFUSED,
        _C.NONE,
        "nothing is known about what this runner makes durable: use DirectRunner, PrismRunner, "
        "DataflowRunner, FlinkRunner or SparkRunner, or mode=BatchLoad()",
    ),
}
_SAME_UNITS = (
    "a load's label says which unit of the input it is and which bytes; a repetition that sees "
    "other rows, or the same in another order, makes other units"
)
_OTHER_UNITS = (
    "a load is found again only if a repetition flushes the same rows together, which its timers "
    "do not promise"
)
_PLAIN: _Cells = {
    **{setting: Guarantee(_L.IF_STABLE, _C.NONE, _SAME_UNITS) for setting in Setting},
    _S.PRISM_BATCH: LOSES_STATE,
    _S.PRISM_STREAM: LOSES_STATE,
    _S.DATAFLOW_LOOSE: Guarantee(_L.AT_LEAST_ONCE, _C.NONE, _OTHER_UNITS),
    _S.FLINK_STREAM: Guarantee(_L.AT_LEAST_ONCE, _C.NONE, _OTHER_UNITS),
    _S.FLINK_UNCHECKED: Guarantee(
        _L.AT_LEAST_ONCE, _C.NONE, f"{_OTHER_UNITS}; without checkpoints the source must replay"
    ),
    _S.SPARK_STREAM: Guarantee(
        _L.REFUSED,
        _C.NONE,
        "portable Spark has no timers in streaming: use another runner, or mode=GroupCommit()",
    ),
    _S.OTHER: Guarantee(_L.AT_LEAST_ONCE, _C.NONE, "nothing is known about this runner"),
}
_BATCH: _Cells = {
    **{
        setting: Guarantee(
            _L.AT_LEAST_ONCE, _C.NONE, "a bundle that is repeated is loaded again, under new labels"
        )
        for setting in Setting
    },
    _S.PRISM_STREAM: LOSES_STATE,
    _S.SPARK_STREAM: _PLAIN[_S.SPARK_STREAM],
}
_GROUP: _Cells = {
    setting: Guarantee(
        _L.AT_LEAST_ONCE, _C.NONE, "loads have no label of their own: a repetition is loaded again"
    )
    for setting in Setting
}
GUARANTEES: Mapping[type, _Cells] = {
    TwoPhaseCommit: _TWO_PHASE,
    PlainLoad: _PLAIN,
    BatchLoad: _BATCH,
    GroupCommit: _GROUP,
}


def guarantee_of(mode: WriteMode, setting: Setting) -> Guarantee:
    """The cell that applies."""
    return GUARANTEES[type(mode)][setting]
