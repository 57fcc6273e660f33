"""The handlers of a TestWorker: who is registered, what they have in their hands, and when they are given up."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq

from .. import protocol
from .dispatch import Dispatch, Task
from .judge import Lie, judge

_MAX_REFUSALS_KEPT = 1000
_MAX_READS_AT_ONCE = 256


@dataclass
class _Hand:
    """A batch that a handler has."""

    tasks: list[Task]
    body: dict[str, Any]
    sign_s: float  # when it was sent, or made progress
    suspect: bool  # it is to be the only one at its handler
    begun: bool = False
    done: int = 0


@dataclass
class _Session:
    """A handler that is registered."""

    register: protocol.Register
    heard_s: float
    hands: dict[str, _Hand] = field(default_factory=dict)
    said_bye: bool = False

    @property
    def has_room(self) -> bool:
        if self.said_bye or any(hand.suspect for hand in self.hands.values()):
            return False
        return len(self.hands) < self.register.capacity


class Sessions:
    """A ROUTER with manners. Hands out what `dispatch` decides, and gives back to it what comes of that."""

    def __init__(self, dispatch: Dispatch, welcome: protocol.Welcome, endpoint: str) -> None:
        self.counts: Counter[str] = Counter()
        self.refusals: list[str] = []
        self.muted = False
        self._dispatch = dispatch
        self._welcome = welcome
        self._endpoint = endpoint
        self._sessions: dict[bytes, _Session] = {}  # by the identity of their socket
        self._batches = 0
        self._life = os.urandom(4).hex()
        self._next_heartbeat_s = 0.0
        self._pumped_s = time.monotonic()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._bind()

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()

    def restart(self) -> None:
        """Forgets every handler, as a worker that was killed."""
        self._socket.close(0)
        for session in self._sessions.values():
            for hand in session.hands.values():
                self._dispatch.lose(hand.tasks, begun=False, alone=False, why="the worker was killed")
        self._sessions.clear()
        self._life = os.urandom(4).hex()
        self._socket = self._bind()

    @property
    def names(self) -> list[str]:
        return [session.register.name for session in self._sessions.values()]

    @property
    def begun(self) -> list[int]:
        """Of each batch that a handler has begun, how many calls are behind it."""
        hands = [hand for session in self._sessions.values() for hand in session.hands.values()]
        return [hand.done for hand in hands if hand.begun]

    def _bind(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a handler that is gone is an error when something is sent
        socket.setsockopt(zmq.MAXMSGSIZE, protocol.MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
        socket.bind(self._endpoint)
        return socket

    def pump(self, wait_s: float) -> None:
        """Waits so long for a message, then does all that there is to do."""
        self._forgive_own_silence()
        self._socket.poll(int(wait_s * 1000))
        for _ in range(_MAX_READS_AT_ONCE):
            try:
                identity, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._read(identity, frames)
        self._check_silence()
        self._send_heartbeats()
        self._hand_out()

    def _forgive_own_silence(self) -> None:
        """Time in which nobody ran this worker counts against no handler."""
        now_s = time.monotonic()
        if now_s - self._pumped_s > self._welcome.heartbeat_ms / 1000:
            for session in self._sessions.values():
                session.heard_s = now_s
                for hand in session.hands.values():
                    hand.sign_s = now_s
        self._pumped_s = now_s

    def _read(self, identity: bytes, frames: Sequence[bytes]) -> None:
        try:
            self._handle(identity, *protocol.decode(frames))
        except (protocol.ProtocolError, Lie) as error:
            self.counts["lies"] += 1
            code = "result" if identity in self._sessions else "register"
            self._forget(identity, begun=True, why=f"its handler answered wrongly: {error}")
            self._refuse(identity, code, str(error))

    def _handle(self, identity: bytes, kind: bytes, body: dict[str, Any]) -> None:
        session = self._sessions.get(identity)
        if kind == protocol.REGISTER:
            self._register(identity, body)
        elif session is None:
            self.counts["ignored"] += kind == protocol.RESULT
            self._refuse(identity, "unregistered", "this worker does not know this connection")
        else:
            session.heard_s = time.monotonic()
            if kind == protocol.PROGRESS:
                self._note_progress(session, body)
            elif kind == protocol.RESULT:
                self._take_result(session, body)
            elif kind == protocol.BYE:
                session.said_bye = True
                self._send(identity, protocol.BYE, {})
            elif kind != protocol.HEARTBEAT:
                raise protocol.ProtocolError(f"{kind[:16]!r} is no message for a worker")
            if session.said_bye and not session.hands:
                del self._sessions[identity]

    def _register(self, identity: bytes, body: dict[str, Any]) -> None:
        register = protocol.Register.parse(body)
        self._forget(identity, begun=False, why="its handler registered anew")
        if protocol.VERSION not in register.versions:
            self._refuse(identity, "version", f"this worker speaks version {protocol.VERSION}")
        elif register.mode != self._dispatch.mode:
            self._refuse(identity, "mode", f"the stage is {self._dispatch.mode}, the handler {register.mode}")
        elif len(self._sessions) >= protocol.MAX_HANDLERS:
            self._refuse(identity, "full", f"{protocol.MAX_HANDLERS} handlers are registered here")
        else:
            self._sessions[identity] = _Session(register, time.monotonic())
            self.counts["registered"] += 1
            self._send(identity, protocol.WELCOME, self._welcome.body())

    def _note_progress(self, session: _Session, body: dict[str, Any]) -> None:
        hand = session.hands.get(protocol.field(body, "id", str))
        if hand is None:
            return
        done = protocol.number(body, "done", 0, len(hand.tasks))
        if not hand.begun or done > hand.done:
            hand.begun, hand.done, hand.sign_s = True, done, time.monotonic()

    def _take_result(self, session: _Session, body: dict[str, Any]) -> None:
        hand = session.hands.get(protocol.field(body, "id", str))
        if hand is None:
            self.counts["ignored"] += 1
            return
        judged = judge(hand.body, body, self._dispatch.mode, after_bye=session.said_bye)
        del session.hands[body["id"]]
        self._dispatch.accept(hand.tasks, judged)

    def _check_silence(self) -> None:
        now_s = time.monotonic()
        idle_s = protocol.LOST_AFTER_HEARTBEATS * self._welcome.heartbeat_ms / 1000
        begun_s = (self._welcome.timeout_ms + 2 * self._welcome.progress_ms) / 1000
        for identity, session in list(self._sessions.items()):
            begun = [hand.sign_s for hand in session.hands.values() if hand.begun]
            limit_s = min(begun) + begun_s if begun else session.heard_s + idle_s
            if now_s >= limit_s:
                self.counts["late"] += 1
                self._forget(identity, begun=None, why="its handler took too long")
                self._refuse(identity, "late", "no progress within the timeout" if begun else "no heartbeat")

    def _send_heartbeats(self) -> None:
        if time.monotonic() < self._next_heartbeat_s:
            return
        self._next_heartbeat_s = time.monotonic() + self._welcome.heartbeat_ms / 1000
        for identity in list(self._sessions):
            self._send(identity, protocol.HEARTBEAT, {})

    def _hand_out(self) -> None:
        for identity, session in list(self._sessions.items()):
            while session.has_room and not self.muted:
                tasks, suspect = self._dispatch.next_tasks(idle=not session.hands)
                if not tasks:
                    break
                self._batches += 1
                self.counts["batches"] += 1
                batch_id = f"{self._life}-{self._batches}"
                body = self._dispatch.body(batch_id, tasks)
                session.hands[batch_id] = _Hand(tasks, body, time.monotonic(), suspect)
                self._send(identity, protocol.BATCH, body)
                if identity not in self._sessions:  # it was gone
                    break

    def _send(self, identity: bytes, kind: bytes, body: dict[str, Any]) -> None:
        if self.muted:
            return
        try:
            self._socket.send_multipart([identity, *protocol.encode(kind, body)], zmq.NOBLOCK)
        except zmq.ZMQError:  # gone, or a thousand messages behind
            if identity in self._sessions:
                self.counts["lost"] += 1
            self._forget(identity, begun=None, why="its handler died")

    def _refuse(self, identity: bytes, code: str, why: str) -> None:
        if len(self.refusals) < _MAX_REFUSALS_KEPT:
            self.refusals.append(f"{code}: {why}")
        self._send(identity, protocol.REFUSED, {"code": code, "why": protocol.one_line(why)})

    def _forget(self, identity: bytes, *, begun: bool | None, why: str) -> None:
        """Ends a session; `begun`: whether its batches count as such; None: those that are."""
        session = self._sessions.pop(identity, None)
        hands = [] if session is None else list(session.hands.values())
        for hand in hands:
            was_begun = hand.begun if begun is None else begun
            self._dispatch.lose(hand.tasks, begun=was_begun, alone=len(hands) == 1, why=why)
