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
"""A Prism server for all runner tests, a diary for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from beam_doris.beam_support.client_pool import drop_clients
from tests.runners.diary import Diary
from tests.runners.platforms import Runners
from tests.runners.prism import PrismServer, why_not
from tests.runners.worker_pool import WorkerPool


@pytest.fixture(autouse=True)
def _fresh_clients() -> Iterator[None]:
    """No client survives its test."""
    drop_clients()
    yield
    drop_clients()


@pytest.fixture(scope="session")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runners]:
    """Pipelines on every runner; Prism starts with the first test that wants it."""
    started: list[PrismServer] = []
    with ExitStack() as stack:

        def prism() -> PrismServer:
            reason = why_not()
            if reason:
                pytest.skip(reason)
            if not started:
                log = tmp_path_factory.mktemp("prism") / "prism.log"
                started.append(stack.enter_context(PrismServer(log)))
            return started[0]

        yield Runners(prism)


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    """Empty."""
    return Diary(tmp_path / "diary")


@pytest.fixture
def worker_pool(tmp_path: Path) -> Iterator[WorkerPool]:
    """Workers in a process that may be killed."""
    with WorkerPool(tmp_path / "workers.log") as pool:
        yield pool
