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
"""The runners that can be run here, and how a pipeline gets onto one of them."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.prism_runner import PrismRunner

from tests.runners.prism import PrismServer

# DirectRunner would fetch Prism from the network; what cannot be found is not fetched
NO_DOWNLOAD = "/nowhere/prism"


class Platform(enum.Enum):
    """A runner in one of its modes."""

    IN_MEMORY = "FnApiRunner, in_memory"
    THREADS = "FnApiRunner, multi_threading, 2 workers"
    PROCESSES = "FnApiRunner, multi_processing, 2 workers"
    DIRECT = "DirectRunner"
    BUNDLE_BASED = "BundleBasedDirectRunner"
    PRISM = "PrismRunner"

    @property
    def workers(self) -> int:
        """How many share the elements."""
        return 2 if self in (Platform.THREADS, Platform.PROCESSES) else 1


# a list of installed packages, which takes longer than most of the tests
NO_FREEZE = "disable_logging_submission_environment"
# what takes long is left to `make test-runners`
EVERYTHING = os.environ.get("BEAM_DORIS_RUNNERS") == "all"
LONG = pytest.mark.skipif(not EVERYTHING, reason="takes long: make test-runners")


def on(*platforms: Platform) -> pytest.MarkDecorator:
    """Runs a test on these platforms; on worker processes, which start slowly, only on request."""
    cases = [
        pytest.param(one, id=one.name.lower(), marks=[LONG] if one is Platform.PROCESSES else [])
        for one in platforms
    ]
    return pytest.mark.parametrize("platform", cases)


on_all = on(Platform.IN_MEMORY, Platform.THREADS, Platform.PROCESSES, Platform.PRISM)


class Runners:
    """Makes pipelines.

    Args:
        prism: Gives the running server, or skips the test.
    """

    def __init__(self, prism: Callable[[], PrismServer]) -> None:
        self._prism = prism

    def pipeline(self, platform: Platform, **options: Any) -> beam.Pipeline:
        """A pipeline on the runner; Prism's worker is a thread of this process by default."""
        if platform is Platform.PRISM:
            endpoint = self._prism().endpoint
            options = {
                "environment_type": "LOOPBACK",
                "job_endpoint": endpoint,
                "experiments": [NO_FREEZE],
                **options,
            }
            return beam.Pipeline(runner=PrismRunner(), options=PipelineOptions([], **options))
        if platform is Platform.DIRECT:
            options = {"prism_location": NO_DOWNLOAD, **options}
            return beam.Pipeline(runner="DirectRunner", options=PipelineOptions([], **options))
        if platform is Platform.BUNDLE_BASED:
            return beam.Pipeline(
                runner=BundleBasedDirectRunner(), options=PipelineOptions([], **options)
            )
        mode = {
            Platform.IN_MEMORY: "in_memory",
            Platform.THREADS: "multi_threading",
            Platform.PROCESSES: "multi_processing",
        }[platform]
        options = {
            "direct_num_workers": platform.workers,
            "direct_running_mode": mode,
            **options,
        }
        return beam.Pipeline(runner=fn_runner.FnApiRunner(), options=PipelineOptions([], **options))
