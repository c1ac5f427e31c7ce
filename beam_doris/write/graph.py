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
"""The part of the graph between packed chunks and committed loads, by the plan of delivery."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints import KV, Tuple

from beam_doris.beam_support.client_pool import shared_client
from beam_doris.beam_support.stable_input import StableInputParDo
from beam_doris.options.writing import TwoPhaseCommit
from beam_doris.schema.table_schema import TableModel, TableSchema
from beam_doris.write.buffer_fn import BufferFn, StreamingBufferFn
from beam_doris.write.chunks import table_of
from beam_doris.write.commit_fn import CommitFn, GroupedCommitFn
from beam_doris.write.delivery_plan import DeliveryPlan, uses_state
from beam_doris.write.encoding import Chunk
from beam_doris.write.guarantees import CommitStage
from beam_doris.write.job import RawLines, WriteJob
from beam_doris.write.load_fn import EarlyCommittingLoadFn, HoldingLoadFn, LoadFn
from beam_doris.write.load_outputs import FAILED
from beam_doris.write.one_phase_fn import OnePhaseLoadFn
from beam_doris.write.ordered_commit import OrderedCommitFn, commit_key
from beam_doris.write.result import FailedRow
from beam_doris.write.schemas import TableSchemas
from beam_doris.write.sharding import split_by_shard
from beam_doris.write.stored import pack_chunk
from beam_doris.write.token import CommittedLoad, LoadToken

_ALL = "all"


class ShardFn(beam.DoFn):
    """Cuts chunks by shard and makes them fit for the runner's state."""

    def __init__(self, job: WriteJob) -> None:
        self._job = job

    def process(self, chunk: Chunk) -> Iterator[tuple[tuple[str, int], bytes]]:
        """One element for each shard that the chunk has rows of.

        Raw lines are not looked into: all of them are one shard, and keep their order.
        """
        table = table_of(self._job, chunk)
        if isinstance(chunk, RawLines):
            yield (str(table), 0), pack_chunk(chunk)
            return
        schema = self._job.schema
        if schema is None:
            schema = shared_client(TableSchemas, self._job.connection).of(table)
        shards = self._job.options.stream.shards
        for shard, part in split_by_shard(chunk, shard_columns(schema), shards):
            yield (str(table), shard), pack_chunk(part)


def shard_columns(schema: TableSchema) -> tuple[str, ...]:
    """The columns whose values decide about a row's shard."""
    keys = tuple(column.name for column in schema.columns if column.key)
    if keys or schema.model is not TableModel.DUPLICATE:
        return keys
    return tuple(column.name for column in schema.columns[:1])


class Written(NamedTuple):
    """What packed chunks became: committed loads, and rows that the server refused."""

    committed: pvalue.PCollection
    failed: pvalue.PCollection


def load_and_commit(chunks: pvalue.PCollection, job: WriteJob, plan: DeliveryPlan) -> Written:
    """The committed loads of packed chunks."""
    two_phase = isinstance(job.options.mode, TwoPhaseCommit)
    # only bounded input has an end to repeat it from
    job = replace(job, repeatable=job.repeatable and not plan.streaming)
    if uses_state(job.options.mode, plan.streaming, job.repeatable):
        chunks = chunks | "Shard" >> beam.ParDo(ShardFn(job)).with_output_types(
            KV[Tuple[str, int], bytes]
        )
        load_fn: beam.DoFn = StreamingBufferFn(job) if plan.streaming else BufferFn(job)
    elif two_phase:
        load_fn = _load_fn(job, plan)
    else:
        load_fn = OnePhaseLoadFn(job)
    loaded = LoadToken if two_phase else CommittedLoad
    step = beam.ParDo(load_fn).with_output_types(loaded)
    loads, failed = chunks | "Load" >> step.with_outputs(FAILED, main="loads")
    failed.element_type = FailedRow
    return Written(commit(loads, job, plan) if two_phase else loads, failed)


def _load_fn(job: WriteJob, plan: DeliveryPlan) -> LoadFn:
    if plan.early_commit:
        return EarlyCommittingLoadFn(job)
    return HoldingLoadFn(job) if plan.commit is CommitStage.GROUPED else LoadFn(job)


def commit(tokens: pvalue.PCollection, job: WriteJob, plan: DeliveryPlan) -> pvalue.PCollection:
    """Stage 2: what has passed the break before it is never computed again."""
    if plan.commit is CommitStage.GROUPED:
        everything = plan.all_or_nothing
        return (
            tokens
            | "KeyByTable"
            >> beam.Map(
                lambda token: (_ALL if everything else str(token.table_id), token)
            ).with_output_types(KV[str, LoadToken])
            | "AwaitAllLoads" >> beam.GroupByKey()
            | "Commit"
            >> beam.ParDo(GroupedCommitFn(job.connection)).with_output_types(CommittedLoad)
        )
    durable = tokens
    if plan.streaming:
        durable = tokens | "KeyByShard" >> beam.Map(
            lambda token: (commit_key(token), token)
        ).with_output_types(KV[Tuple[str, str, int], LoadToken])
    durable = durable | "MakeDurable" >> beam.Reshuffle()
    if not plan.streaming:
        commit_fn: beam.DoFn = CommitFn(job.connection)
    else:
        commit_fn = OrderedCommitFn(job.connection)
    stable = plan.commit is CommitStage.STABLE
    step = StableInputParDo(commit_fn) if stable else beam.ParDo(commit_fn)
    return durable | "Commit" >> step.with_output_types(CommittedLoad)
