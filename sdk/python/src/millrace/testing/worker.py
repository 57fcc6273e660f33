"""The worker's end of the protocol, in one process and with a log in memory: for tests of handlers.

It keeps every rule of docs/handlers.md that concerns a worker: order within a key, deadlines, suspects, attempts,
strict judgement of results. Its times are shorter than a cluster's, so that tests of failures are quick.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .. import protocol
from ..endpoints import Endpoints
from ..handler import Handler
from ..service import Service
from .dispatch import DeadLetter, Dispatch, Output
from .sessions import Sessions

_RUN_PATIENCE_S = 60.0
_CLOSE_PATIENCE_S = 15.0  # for the call that runs; the thread ends with the process then


class TestWorker:
    """A worker with one partition and one stage. Not thread-safe; it works while one of its methods runs.

    Given a handler, it serves that on a thread of its own; without one, handlers connect to `endpoint`.
    """

    __test__ = False  # no test itself, whatever pytest thinks of its name

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        mode: str = protocol.KEYED,
        batch_calls: int = 128,
        attempts: int = 1,
        heartbeat_ms: int = 200,
        timeout_ms: int = 2000,
    ) -> None:
        """`attempts`: how often a call may fail before it is a dead letter."""
        self._dispatch = Dispatch(handler.mode if handler is not None else mode, batch_calls, attempts)
        welcome = protocol.Welcome(
            worker="test",
            job="test",
            uid=os.urandom(8).hex(),
            stage=handler.name if handler is not None else "stage",
            mode=self._dispatch.mode,
            heartbeat_ms=heartbeat_ms,
            progress_ms=min(max(timeout_ms // 4, 10), 1000),
            timeout_ms=timeout_ms,
        )
        self._folder = tempfile.mkdtemp(prefix="millrace-")
        self.endpoint = f"ipc://{self._folder}/worker.sock"
        self._sessions = Sessions(self._dispatch, welcome, self.endpoint)
        self._service: Service | None = None
        self._thread: threading.Thread | None = None
        if handler is not None:
            self._service = Service(handler, Endpoints([self.endpoint]))
            self._thread = threading.Thread(target=self._service.run, name="handler", daemon=True)
            self._thread.start()

    def __enter__(self) -> TestWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the handler of this worker's own, then the worker."""
        if self._service is not None and self._thread is not None:
            self._service.stop()
            self._sessions.muted = False
            give_up_s = time.monotonic() + _CLOSE_PATIENCE_S
            while self._thread.is_alive() and time.monotonic() < give_up_s:
                self._sessions.pump(0.01)
        self._sessions.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def feed(
        self,
        key: str | bytes,
        value: Any,
        *,
        time_ms: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Appends a record to the log; run() has it handled."""
        packed_headers = None if headers is None else [[name, text] for name, text in headers.items()]
        time_ms = self._dispatch.now_ms if time_ms is None else time_ms
        self._dispatch.add(protocol.RECORD_CALL, _bytes_of(key), value, time_ms, packed_headers)

    def run(self, timeout_s: float = _RUN_PATIENCE_S) -> None:
        """Until every call has been handled. TimeoutError when that takes longer."""
        self.run_until(lambda: self._dispatch.is_done, timeout_s)

    def run_until(self, condition: Callable[[], bool], timeout_s: float = _RUN_PATIENCE_S) -> None:
        """Works until `condition` holds. TimeoutError when that takes longer."""
        give_up_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() >= give_up_s:
                raise TimeoutError(f"not within {timeout_s} s; handlers: {self.handlers}; so far: {dict(self.counts)}")
            self._sessions.pump(0.05)

    def advance(self, ms: int) -> None:
        """Lets so much time pass, by both clocks: timers that are due then become calls for run()."""
        self._dispatch.now_ms += ms
        self._dispatch.fire_timers(self._dispatch.now_ms)

    def finish(self, timeout_s: float = _RUN_PATIENCE_S) -> None:
        """Ends the input: all timers fire, also those that they set, for 100 rounds."""
        self.run(timeout_s)
        self._dispatch.ending = True
        for _ in range(100):
            if not self._dispatch.timers:
                return
            self._dispatch.fire_timers(1 << 62)
            self.run(timeout_s)
        raise RuntimeError("timers are still set after 100 rounds at the end of the input — set none when `ending`")

    def restart(self) -> None:
        """As a worker that was killed and started again: it knows its log and its state, and no handler."""
        self._sessions.restart()

    def mute(self, *, muted: bool) -> None:
        """While muted it reads, but sends nothing, as a worker that hangs."""
        self._sessions.muted = muted

    @property
    def counts(self) -> Counter[str]:
        """What happened: registered, batches, lost, late, lies, ignored."""
        return self._sessions.counts

    @property
    def refusals(self) -> list[str]:
        """What handlers were told, the first thousand."""
        return self._sessions.refusals

    @property
    def handlers(self) -> list[str]:
        """The names of those registered."""
        return self._sessions.names

    @property
    def begun(self) -> list[int]:
        """Of each batch that a handler has begun, how many calls are behind it."""
        return self._sessions.begun

    @property
    def outputs(self) -> list[Output]:
        """In the order of the log."""
        return [output for _, output in sorted(self._dispatch.outputs, key=lambda pair: (pair[0], pair[1].index))]

    @property
    def values(self) -> list[Any]:
        return [output.value for output in self.outputs]

    @property
    def dead_letters(self) -> list[DeadLetter]:
        return list(self._dispatch.dead_letters)

    def state(self, key: str | bytes) -> Any:
        """None: the key has none."""
        return self._dispatch.state(_bytes_of(key))

    def set_state(self, key: str | bytes, state: Any) -> None:
        self._dispatch.set_state(_bytes_of(key), state)


def _bytes_of(key: str | bytes) -> bytes:
    return key if isinstance(key, bytes) else key.encode("utf-8", "surrogateescape")
