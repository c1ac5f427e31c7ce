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
"""Stream load: bytes in, a pre-committed or committed load out, however often the network fails.

A `StreamLoader` drives the automaton of `load_state` with the attempts of `load_upload`: it sends,
asks, waits, sends again elsewhere under the same label, and ends within the one deadline of the
request with a result, or with an error that says what is known. A body that is pushed in pieces
goes straight to the socket: `write` returns when the kernel has taken the piece, so a slow backend
slows its writer down, and nothing is queued but what replaying needs.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

from beam_doris.client.byte_stream import Bytes, Connector
from beam_doris.client.contracts import LoadRequest, LoadResult, LoadState
from beam_doris.client.deadline import Clock, Deadline
from beam_doris.client.frontend import Frontend
from beam_doris.client.load_reply import LoadReply
from beam_doris.client.load_settlement import Settlement
from beam_doris.client.load_upload import LostAnswer, Refusal, Router, Upload, begin_upload
from beam_doris.client.retry import RetryPolicy
from beam_doris.client.transactions import Transactions
from beam_doris.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    DorisError,
    ProtocolError,
    ServerBusy,
)
from beam_doris.options.connection import DorisConnection

logger = logging.getLogger(__name__)

_LAST_WORD = 0.8  # seconds that clearing up may take after a failure, beyond the deadline too


class StreamLoader:
    """Loads bodies into tables; safe to share between threads.

    Args:
        connection: Addresses, credentials, timeouts, retries.
        frontend: To find backends and ask for states; one of its own by default.
        transport: How connections are made; sockets by default.
        retry: How often and how fast to repeat.
        clock: Monotonic seconds.

    Example:
        >>> request = LoadRequest(
        ...     table=TableId.parse("test.student"), label="job1_0a1b_1", headers={"format": "json"})
        >>> with StreamLoader(connection) as loader:
        ...     result = loader.load(request, b'{"id": 1, "name": "a"}')
        ...     loader.transactions.commit("test", result.txn_id, result.label)
    """

    def __init__(
        self,
        connection: DorisConnection,
        *,
        frontend: Frontend | None = None,
        transport: Connector | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.connection = connection
        self.frontend = frontend or Frontend(connection, transport=transport, clock=clock)
        self.retry = retry or RetryPolicy(retries=connection.retries)
        self.transactions = Transactions(
            connection, frontend=self.frontend, retry=self.retry, clock=clock
        )
        self.router = Router(self.frontend)
        self.clock = clock
        self._owns_frontend = frontend is None

    def load(self, request: LoadRequest, body: Bytes | Sequence[Bytes]) -> LoadResult:
        """Loads a body that is there as a whole.

        Args:
            request: The load.
            body: The bytes, or pieces of them; sent as they are and never copied.

        Raises:
            RejectedRowsError: rows do not fit the table.
            LabelConflictError: the label is another load's.
            LoadError: refused for another reason; nothing of it is visible.
            TransientError: not loaded within deadline and retries; nothing of it is visible.
            LoadUnknownError: in one phase only: whether it was loaded is not known.
        """
        pieces = [body] if isinstance(body, (bytes, bytearray, memoryview)) else list(body)
        length = sum(memoryview(piece).nbytes for piece in pieces)
        run = _Run(self, request, length)
        with OpenLoad(run) as load:
            run.keep(pieces)
            for piece in pieces:
                run.push(piece)
            return load.finish()

    def open(self, request: LoadRequest) -> OpenLoad:
        """Begins a load whose body is pushed piece by piece.

        Raises:
            ServerBusy, AuthError, LoadError, ...: as `load`, as soon as the server tells.
        """
        return OpenLoad(_Run(self, request, None))

    def close(self) -> None:
        """Closes what was opened here."""
        if self._owns_frontend:
            self.frontend.close()

    def __enter__(self) -> StreamLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<StreamLoader {self.frontend!r}>"


class OpenLoad:
    """A load that takes its body in pieces; used by one thread at a time.

    Leaving it as a context manager without `finish` aborts it: the connection is cut and, in two
    phases, its own label aborted.

    Example:
        >>> with loader.open(request) as load:
        ...     for chunk in chunks:
        ...         load.write(chunk)
        ...     result = load.finish()
    """

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._ended = False
        with self._cleared_up():
            run.start()

    @property
    def bytes_written(self) -> int:
        """How much of the body was pushed so far."""
        return self._run.pushed

    @property
    def deadline(self) -> Deadline:
        """When the load has to be done."""
        return self._run.deadline

    def write(self, chunk: Bytes) -> None:
        """Sends a piece of the body; blocks while the backend is slow.

        Args:
            chunk: Not to be changed afterwards: it may be sent again.

        Raises:
            DorisError: the load failed; it has been cleared up.
        """
        self._check_open()
        with self._cleared_up():
            self._run.keep([chunk])
            self._run.push(chunk)

    def finish(self) -> LoadResult:
        """Ends the body and settles the load.

        Raises:
            DorisError: as `StreamLoader.load`; what can be cleared up has been.
        """
        self._check_open()
        with self._cleared_up():
            result = self._run.complete()
        self._ended = True
        self._run.close()
        return result

    def abort(self) -> None:
        """Drops the load; does nothing after `finish`, and never raises for the network."""
        if self._ended:
            return
        self._ended = True
        self._run.drop()

    @contextlib.contextmanager
    def _cleared_up(self) -> Iterator[None]:
        """Aborts the load when something fails, and says of which load it was."""
        try:
            yield
        except BaseException as error:
            self.abort()
            if isinstance(error, DorisError):
                error.table = error.table or str(self._run.request.table)
                error.label = error.label or self._run.request.label
            raise

    def _check_open(self) -> None:
        if self._ended:
            raise ConfigError("the load has ended already", subject="OpenLoad")

    def __enter__(self) -> OpenLoad:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def __repr__(self) -> str:
        return f"<OpenLoad {self._run.request.label} {'ended' if self._ended else 'open'}>"


class _Run:
    """One load over all its attempts."""

    def __init__(self, loader: StreamLoader, request: LoadRequest, length: int | None) -> None:
        self.request = request
        self.deadline = Deadline.after(request.deadline, loader.clock)
        self.pushed = 0
        self._loader = loader
        self._length = length
        self._settlement = Settlement(loader, request, self.deadline)
        self._kept: list[Bytes] | None = []
        self._kept_bytes = 0
        self._upload: Upload | None = None
        self._result: LoadResult | None = None
        self._whole_sent = False

    # -- the body

    def keep(self, pieces: Sequence[Bytes]) -> None:
        """Remembers pieces for a replay, up to the limit when they are pushed one by one."""
        size = sum(memoryview(piece).nbytes for piece in pieces)
        self.pushed += size
        if self._kept is None:
            return
        if self._length is None and self._kept_bytes + size > self.request.replay_bytes:
            self._kept = None
            return
        self._kept_bytes += size
        self._kept.extend(pieces)

    def start(self) -> None:
        """Begins the first attempt."""
        self._upload = self._begin()

    def push(self, piece: Bytes) -> None:
        """Sends a piece, or the whole body so far again if the attempt broke."""
        if self._result is not None:
            return
        assert self._upload is not None
        if not self._upload.send(piece):
            self._settle()

    def complete(self) -> LoadResult:
        """Ends the body and settles the load."""
        while self._result is None:
            self._settle()
        return self._settlement.finished(self._result, self.pushed)

    # -- attempts

    def _begin(self) -> Upload:
        """Starts an attempt; on what a later one may get over, the next."""
        while True:
            try:
                upload = begin_upload(
                    self._loader.router,
                    self._loader.frontend,
                    self.request,
                    self._length,
                    self.deadline,
                )
            except Refusal as refusal:
                self._settlement.refused_by_frontend(refusal.reply)
            except (ConnectError, ServerBusy) as error:
                self._settlement.not_begun(error)
            else:
                self._settlement.sent()
                return upload

    def _settle(self) -> None:
        """Takes the answer of an attempt; sends the body again until one holds."""
        while True:
            upload, self._upload = self._upload, None
            assert upload is not None
            outcome: LoadReply | LostAnswer | AuthError
            try:
                outcome = upload.finish()
            except LostAnswer as error:
                outcome = error
                self._loader.router.failed(upload.node)
            except AuthError as error:
                outcome = error
            else:
                self._loader.router.succeeded(upload.node)
            self._whole_sent |= upload.complete
            result = self._settlement.settle(outcome)
            if result is not None:
                self._accept(result)
                return
            if self._kept is None:
                raise self._settlement.failure(
                    "the body is too large to be kept for sending it again (replay_bytes)"
                )
            upload = self._upload = self._begin()
            if all(upload.send(piece) for piece in self._kept):
                return

    def _accept(self, result: LoadResult) -> None:
        if result.state is LoadState.PRECOMMITTED and not self._whole_sent:
            raise ProtocolError(
                "the backend pre-committed a load whose body had not ended",
                table=self.request.table,
                label=self.request.label,
                txn_id=result.txn_id,
                host=result.host,
            )
        self._result = result

    # -- the end

    def drop(self) -> None:
        """Cuts the connection and aborts our own label."""
        if self._upload is not None and self._upload.answered:
            # the label may turn out to be another load's: then it is left alone
            with contextlib.suppress(DorisError):
                self._settlement.note(self._upload.finish())
        self.close()
        self._settlement.clear_up(_LAST_WORD)

    def close(self) -> None:
        """Lets go of connection and body."""
        self._kept = None
        if self._upload is not None:
            self._upload.close()
            self._upload = None
