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
"""Runners are told apart, and their finalizers judged, as they are."""

from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_doris.beam_support.client_pool import drop_clients, lend, shared_client
from beam_doris.beam_support.runners import RunnerKind, is_streaming, runner_kind
from beam_doris.beam_support.step_errors import whole
from beam_doris.errors import LoadError
from beam_doris.options.connection import DorisConnection


class Client:
    """A client that knows whether it was closed."""

    def __init__(self, connection: DorisConnection) -> None:
        self.connection = connection
        self.closed = False

    def close(self) -> None:
        """Notes it."""
        self.closed = True


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DirectRunner", RunnerKind.LOCAL),
        ("FnApiRunner", RunnerKind.LOCAL),
        ("PrismRunner", RunnerKind.PRISM),
        ("FlinkRunner", RunnerKind.FLINK),
        ("SparkRunner", RunnerKind.SPARK),
        ("PortableRunner", RunnerKind.PORTABLE),
        ("BundleBasedDirectRunner", RunnerKind.OTHER),
    ],
)
def test_a_runner_is_known_by_its_class(name: str, kind: RunnerKind) -> None:
    if name == "BundleBasedDirectRunner":
        from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner

        assert runner_kind(beam.Pipeline(runner=BundleBasedDirectRunner())) is kind
    else:
        assert runner_kind(beam.Pipeline(runner=name)) is kind


def test_flink_and_spark_are_trusted_with_neither_finalizer_nor_reshuffle() -> None:
    for kind in (RunnerKind.FLINK, RunnerKind.SPARK, RunnerKind.PORTABLE, RunnerKind.OTHER):
        assert not kind.finalizer_is_durable
        assert not kind.reshuffle_is_durable


def test_streaming_is_an_option_of_the_pipeline() -> None:
    assert is_streaming(beam.Pipeline(options=PipelineOptions(["--streaming"])))
    assert not is_streaming(beam.Pipeline())


def test_equal_connections_share_a_client_and_others_do_not() -> None:
    def connection(user: str) -> DorisConnection:
        return DorisConnection(fenodes="h:1", username=user, password="p")

    drop_clients()
    try:
        first = shared_client(Client, connection("a"))
        assert shared_client(Client, connection("a")) is first
        assert shared_client(Client, connection("b")) is not first
        lent = Client(connection("c"))
        lend(Client, connection("c"), lent)
        assert shared_client(Client, connection("c")) is lent
    finally:
        drop_clients()
    assert first.closed


def test_an_error_keeps_all_it_says_on_its_way_out_of_a_step() -> None:
    class Failing(beam.DoFn):
        def process(self, element: int) -> None:
            raise whole(LoadError("refused", table="db.t", label="l1", txn_id=3, hint="look"))

    with pytest.raises(LoadError) as failure, beam.Pipeline(runner="FnApiRunner") as pipeline:
        pipeline | beam.Create([1]) | beam.ParDo(Failing())
    assert (failure.value.label, failure.value.txn_id) == ("l1", 3)
    assert failure.value.hint == "look"
