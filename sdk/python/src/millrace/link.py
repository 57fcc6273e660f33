"""The connection to one worker: registers, answers heartbeats, holds the batches that wait here.

Every registration has a socket of its own: what is queued in an old one, in either direction, belongs to the past and
goes with it. `session` counts registrations; a result for a batch of an earlier one is dropped.
"""

from __future__ import annotations

import enum
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from . import protocol
from .handler import Handler
from .runner import BatchRunner

_log = logging.getLogger("millrace")

REGISTER_PATIENCE_S = 5.0  # no answer for so long: again, with a new socket
_MAX_READS_AT_ONCE = 256  # messages of one link before the others have their turn
_LINGER_MS = 1000  # what a closing link gives its last messages to leave

# How long after a refusal the handler registers again, by code; for other codes the last.
_PAUSES_S = {"unregistered": 0.0, "late": 0.0, "result": 1.0}
_LONG_PAUSE_S = 5.0
_BYE_PAUSE_S = 1.0


class _Phase(enum.Enum):
    PAUSED = "waits before it registers again"
    REGISTERING = "has sent register"
    ACTIVE = "was welcomed"
    DRAINING = "has said bye"
    DRAINED = "nothing comes any more"


class Link:
    """For one thread. Owns its socket; close() it."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        handler: Handler,
        register: protocol.Register,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint
        self.session = 0
        self.runner: BatchRunner | None = None
        self.welcome: protocol.Welcome | None = None
        self._context = context
        self._handler = handler
        self._register = register
        self._clock = clock
        self._waiting: deque[dict[str, Any]] = deque()  # at most `capacity`
        self._socket: zmq.Socket[bytes] | None = None
        self._phase = _Phase.PAUSED
        self._heard_s = clock()  # from the worker, the last time
        self._has_asked = False  # since then
        self._due_s = clock()  # when the phase is to be left, if nothing comes
        self.tick()

    @property
    def socket(self) -> zmq.Socket[bytes] | None:
        """What to poll; another one after each registration."""
        return self._socket

    @property
    def due_s(self) -> float:
        """When tick() has something to do, unless messages come."""
        return self._due_s

    @property
    def is_active(self) -> bool:
        return self._phase is _Phase.ACTIVE

    @property
    def is_drained(self) -> bool:
        return self._phase is _Phase.DRAINED

    @property
    def has_batch(self) -> bool:
        return bool(self._waiting)

    def take_batch(self) -> dict[str, Any]:
        """The next batch; its result goes to send_result. REQUIRES: has_batch."""
        return self._waiting.popleft()

    def receive(self) -> None:
        """Takes in what has come, without waiting."""
        for _ in range(_MAX_READS_AT_ONCE):
            socket = self._socket
            if socket is None:
                return
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._handle(*protocol.decode(frames))
            except protocol.ProtocolError as error:
                self.give_up(error)

    def tick(self) -> None:
        """Does what time has made due. To be called when receive() has found nothing."""
        if self._clock() < self._due_s:
            return
        if self._phase is _Phase.ACTIVE:
            if not self._has_asked:
                self._ask()
                return
            self._pause(0, f"{self.endpoint}: the worker is silent: registering again")
        if self._phase is _Phase.DRAINING:
            self._phase = _Phase.DRAINED
            self._waiting.clear()
        elif self._phase is not _Phase.DRAINED:
            self._open()

    def send_progress(self, batch_id: str, done: int) -> None:
        self._send(protocol.encode(protocol.PROGRESS, {"id": batch_id, "done": done}))

    def send_result(self, session: int, packed: bytes) -> None:
        """Sends the result of a batch that was taken when the session was `session`; drops it in a later one."""
        if session == self.session and self._phase in (_Phase.ACTIVE, _Phase.DRAINING):
            self._send(protocol.with_body(protocol.RESULT, packed))

    def give_up(self, error: protocol.ProtocolError) -> None:
        """Leaves a worker that sent what it must not; it is tried again later."""
        self._pause(_LONG_PAUSE_S, f"{self.endpoint} does not speak the protocol: {error}")

    def drain(self, patience_s: float) -> None:
        """Says bye and gives back what waits here. Results of batches that were taken may still be sent."""
        if self._phase is _Phase.ACTIVE:
            self._phase = _Phase.DRAINING
            self._due_s = self._clock() + patience_s
            self._send(protocol.encode(protocol.BYE, {}))
            self._give_back()
        elif self._phase is not _Phase.DRAINING:
            self._phase = _Phase.DRAINED

    def close(self) -> None:
        self._close(_LINGER_MS)
        self._phase = _Phase.DRAINED

    def _handle(self, kind: bytes, body: dict[str, Any]) -> None:
        if self._phase is _Phase.ACTIVE:
            self._note_heard()
        if kind == protocol.BATCH:
            protocol.field(body, "id", str)
            if self._phase not in (_Phase.ACTIVE, _Phase.DRAINING):
                raise protocol.ProtocolError("a batch before the welcome")
            if len(self._waiting) >= self._register.capacity:
                raise protocol.ProtocolError(f"more than {self._register.capacity} batches at once")
            self._waiting.append(body)
            if self._phase is _Phase.DRAINING:
                self._give_back()
        elif kind == protocol.HEARTBEAT:
            self._send(protocol.encode(protocol.HEARTBEAT, {}))
        elif kind == protocol.WELCOME:
            self._begin(protocol.Welcome.parse(body))
        elif kind == protocol.REFUSED:
            code, why = protocol.field(body, "code", str), protocol.field(body, "why", str)
            pause_s = _PAUSES_S.get(code, _LONG_PAUSE_S)
            self._pause(pause_s, f"{self.endpoint} refused this handler: {code}: {why}")
        elif kind == protocol.BYE:
            if self._phase is _Phase.DRAINING:
                self._phase = _Phase.DRAINED
            else:
                self._pause(_BYE_PAUSE_S, f"{self.endpoint}: the worker said bye")
        else:
            raise protocol.ProtocolError(f"{kind[:16]!r} is no message for a handler")

    def _begin(self, welcome: protocol.Welcome) -> None:
        if self._phase is not _Phase.REGISTERING:
            raise protocol.ProtocolError("a welcome that was not asked for")
        self._phase = _Phase.ACTIVE
        self.welcome = welcome
        self._note_heard()
        self.runner = BatchRunner(self._handler, welcome.uid, clock=self._clock)
        _log.info("%s: registered for stage %s of %s", self.endpoint, welcome.stage, welcome.job)

    def _note_heard(self) -> None:
        assert self.welcome is not None
        self._heard_s = self._clock()
        self._has_asked = False
        self._due_s = self._heard_s + protocol.ASK_AFTER_HEARTBEATS * self.welcome.heartbeat_ms / 1000

    def _ask(self) -> None:
        """A heartbeat of our own: a worker that was started anew, and knows nobody, says so at once."""
        assert self.welcome is not None
        self._has_asked = True
        self._due_s = self._heard_s + protocol.LOST_AFTER_HEARTBEATS * self.welcome.heartbeat_ms / 1000
        self._send(protocol.encode(protocol.HEARTBEAT, {}))

    def _give_back(self) -> None:
        while self._waiting:
            batch_id = self._waiting.popleft()["id"]
            self._send(protocol.encode(protocol.RESULT, {"id": batch_id, "done": 0}))

    def _open(self) -> None:
        self._close(linger_ms=0)
        self._phase = _Phase.REGISTERING
        self._due_s = self._clock() + REGISTER_PATIENCE_S
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        self._socket.setsockopt(zmq.MAXMSGSIZE, protocol.MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
        self._socket.connect(self.endpoint)
        self._send(protocol.encode(protocol.REGISTER, self._register.body()))

    def _send(self, frames: list[bytes]) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:  # as good as silent: it has left a thousand messages unread
            self._pause(_BYE_PAUSE_S, f"{self.endpoint}: the worker takes nothing any more")

    def _pause(self, seconds: float, why: str) -> None:
        if self._phase is not _Phase.DRAINED:
            _log.warning("%s", why)
            self._phase = _Phase.DRAINED if self._phase is _Phase.DRAINING else _Phase.PAUSED
        self._close(linger_ms=0)
        self._due_s = self._clock() + seconds

    def _close(self, linger_ms: int) -> None:
        self.session += 1
        self._waiting.clear()
        self.welcome = self.runner = None
        if self._socket is not None:
            self._socket.close(linger_ms)
            self._socket = None
