"""One process's loop: every worker that it finds, one batch at a time."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

import zmq

from . import protocol
from .endpoints import Endpoints
from .handler import Handler
from .link import Link
from .version import VERSION
from .watchdog import Watchdog

MAX_WORKERS = 256  # that one process is connected to
LOOK_EVERY_S = 1.0  # for workers that come and go
DRAIN_PATIENCE_S = 10.0  # for a worker's bye, at the end


class Service:
    """Serves a handler until stop(). run() on one thread; stop() from any, and from a signal handler."""

    def __init__(
        self,
        handler: Handler,
        endpoints: Endpoints,
        *,
        capacity: int = 2,
        lifeline: int | None = None,
        watchdog: Watchdog | None = None,
        drain_patience_s: float = DRAIN_PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lifeline`: a descriptor whose end says that nobody wants this process any more."""
        self._handler = handler
        self._endpoints = endpoints
        self._register = protocol.Register(
            name=handler.name, sdk=f"python {VERSION}", mode=handler.mode, capacity=capacity
        )
        self._lifeline = lifeline
        self._watchdog = watchdog
        self._drain_patience_s = drain_patience_s
        self._clock = clock
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._links: dict[str, Link] = {}
        self._next_look_s = clock()
        self._is_stopping = False
        self._turn = 0
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_write.setblocking(False)

    def stop(self) -> None:
        """Lets run() end: `progress_ms` from now no call begins any more, and what is left goes back to the workers."""
        self._is_stopping = True
        try:
            self._wake_write.send(b"x")
        except OSError:  # as many as fit are there already, or run() has ended
            pass

    def run(self) -> None:
        try:
            while not self._is_stopping:
                self._look()
                self._wait()
                self._work()
            self._drain_all()
            while not all(link.is_drained for link in self._links.values()):
                self._wait()
        finally:
            for link in self._links.values():
                link.close()
            self._context.term()
            self._wake_read.close()
            self._wake_write.close()

    def _look(self) -> None:
        if self._clock() < self._next_look_s:
            return
        self._next_look_s = self._clock() + LOOK_EVERY_S
        found = self._endpoints.look()[:MAX_WORKERS]
        for endpoint in found:
            if endpoint not in self._links:
                self._links[endpoint] = Link(self._context, endpoint, self._handler, self._register, self._clock)
        for endpoint in [gone for gone in self._links if gone not in found]:
            if not self._links[endpoint].is_active:
                self._links.pop(endpoint).close()

    def _wait(self) -> None:
        """Until a message comes, stop() is called, or something is due."""
        now_s = self._clock()
        due_s = min((link.due_s for link in self._links.values() if not link.is_drained), default=self._next_look_s)
        if not self._is_stopping:
            due_s = min(due_s, self._next_look_s)
        if any(link.has_batch for link in self._links.values()):
            due_s = now_s
        self._exchange(max(0.0, due_s - now_s))

    def _exchange(self, wait_s: float) -> None:
        """Reads what comes within `wait_s`; heartbeats are answered, batches put by."""
        poller = zmq.Poller()
        poller.register(self._wake_read, zmq.POLLIN)
        if self._lifeline is not None and not self._is_stopping:
            poller.register(self._lifeline, zmq.POLLIN)
        for link in self._links.values():
            if link.socket is not None:
                poller.register(link.socket, zmq.POLLIN)
        ready = dict(poller.poll(int(wait_s * 1000) + 1 if wait_s > 0 else 0))
        if self._wake_read.fileno() in ready:
            self._wake_read.recv(4096)
        if self._lifeline is not None and self._lifeline in ready and not os.read(self._lifeline, 1):
            self._is_stopping = True
        for link in self._links.values():
            if link.socket in ready:
                link.receive()
            else:
                link.tick()

    def _work(self) -> None:
        """One batch, of the next worker in turn that has sent one."""
        waiting = [link for link in self._links.values() if link.has_batch]
        if not waiting:
            return
        self._turn += 1
        link = waiting[self._turn % len(waiting)]
        batch, session = link.take_batch(), link.session
        assert link.runner is not None and link.welcome is not None  # it has a batch
        beat_s = link.welcome.progress_ms / 1000
        hanging_s = link.welcome.timeout_ms / 1000 + 3 * beat_s  # the worker has given up before

        def beat(done: int) -> bool:
            """Keeps the workers informed between two calls; whether to leave the rest of the batch."""
            if done > 0:
                self._exchange(0)
            if self._is_stopping:
                self._drain_all()
            if link.session == session:
                link.send_progress(batch["id"], done)
            if self._watchdog is not None:
                self._watchdog.arm(hanging_s)
            return self._is_stopping or link.session != session

        try:
            packed = link.runner.run(batch, beat, beat_s)
        except protocol.ProtocolError as error:
            link.give_up(error)
            return
        finally:
            if self._watchdog is not None:
                self._watchdog.rest()
        link.send_result(session, packed)

    def _drain_all(self) -> None:
        for link in self._links.values():
            link.drain(self._drain_patience_s)
