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
"""Which runner a pipeline will run on, and what that runner is good for.

The graph of a sink depends on it: what a bundle finalizer means, and what makes a token durable,
differs from runner to runner.
"""

from __future__ import annotations

import enum
from typing import Any

from apache_beam.options.pipeline_options import StandardOptions


class RunnerKind(enum.Enum):
    """The runners that this connector tells apart."""

    LOCAL = "FnApiRunner or DirectRunner"
    PRISM = "PrismRunner"
    DATAFLOW = "DataflowRunner"
    FLINK = "FlinkRunner"
    SPARK = "SparkRunner"
    PORTABLE = "PortableRunner"
    OTHER = "another runner"

    @property
    def finalizer_is_durable(self) -> bool:
        """Whether a bundle finalizer is called only after the bundle's output is durable."""
        return self in (RunnerKind.LOCAL, RunnerKind.PRISM, RunnerKind.DATAFLOW)

    @property
    def reshuffle_is_durable(self) -> bool:
        """Whether what has come out of a Reshuffle is never computed again."""
        return self in (RunnerKind.LOCAL, RunnerKind.PRISM, RunnerKind.DATAFLOW)


_BY_CLASS = {
    "FnApiRunner": RunnerKind.LOCAL,
    "SwitchingDirectRunner": RunnerKind.LOCAL,
    "DirectRunner": RunnerKind.LOCAL,
    "BundleBasedDirectRunner": RunnerKind.OTHER,
    "PrismRunner": RunnerKind.PRISM,
    "DataflowRunner": RunnerKind.DATAFLOW,
    "FlinkRunner": RunnerKind.FLINK,
    "SparkRunner": RunnerKind.SPARK,
    "PortableRunner": RunnerKind.PORTABLE,
}


def runner_kind(pipeline: Any) -> RunnerKind:
    """The kind of runner a pipeline was built for, seen from inside `expand`."""
    runner = pipeline.runner
    # the interactive runner only wraps the one that does the work
    runner = getattr(runner, "_underlying_runner", runner)
    for kind in type(runner).__mro__:
        if kind.__name__ in _BY_CLASS:
            return _BY_CLASS[kind.__name__]
    return RunnerKind.OTHER


def is_streaming(pipeline: Any) -> bool:
    """Whether the pipeline was asked to run in streaming mode."""
    return bool(pipeline.options.view_as(StandardOptions).streaming)


def is_plain_direct(pipeline: Any) -> bool:
    """Whether `DirectRunner` itself was named, which chooses a runner by what the graph holds."""
    names = {kind.__name__ for kind in type(pipeline.runner).__mro__}
    return bool(names & {"SwitchingDirectRunner", "DirectRunner"})


def unparsed_option(pipeline: Any, name: str) -> Any:
    """An option that only the runner's own side knows, such as Flink's; None when it is not set."""
    known = pipeline.options.get_all_options(drop_default=True, retain_unknown_options=True)
    return known.get(name)
