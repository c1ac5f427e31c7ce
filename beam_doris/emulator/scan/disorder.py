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
"""The disorder of real scans: rows, batches and columns come as they come.

Doris promises no order and no batch size, so every scan deals them differently: whatever relies on
luck breaks early. All of it follows from one seed, and memory stays bounded by the pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

POOL_BATCHES = 4  #: source batches held back to let later ones overtake
EMPTY_ONE_IN = 50  #: about one batch in so many has no rows (P 5.3: possible, must be accepted)
FULL_SHARE = 0.5  #: of the batches that are as large as allowed


class Disorder:
    """One scan's source of chance."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)

    def columns(self, count: int) -> list[int]:
        """A permutation of the column positions."""
        return [int(at) for at in self._chance.permutation(count)]

    def shuffled(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same rows in another order: permuted within a batch, batches out of turn."""
        pool: list[pa.RecordBatch] = []
        for batch in batches:
            if batch.num_rows == 0:
                continue
            pool.append(batch.take(pa.array(self._chance.permutation(batch.num_rows))))
            if len(pool) >= POOL_BATCHES:
                yield pool.pop(int(self._chance.integers(len(pool))))
        while pool:
            yield pool.pop(int(self._chance.integers(len(pool))))

    def cut(
        self, batches: Iterable[pa.RecordBatch], most: int, *, empty: bool = True
    ) -> Iterator[pa.RecordBatch]:
        """The same rows in batches of random sizes up to ``most``, now and then an empty one."""
        for batch in batches:
            at = 0
            while at < batch.num_rows:
                if empty and int(self._chance.integers(EMPTY_ONE_IN)) == 0:
                    yield batch.slice(at, 0)
                size = most
                if self._chance.random() >= FULL_SHARE:
                    size = int(self._chance.integers(1, most, endpoint=True))
                yield batch.slice(at, size)
                at += size
