"""Several processes that do the same, started again when they die."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

_log = logging.getLogger("millrace")

MAX_PROCESSES = 256
SHORTEST_PAUSE_S = 0.1  # before a child that died is started again; doubled with each that dies young
LONGEST_PAUSE_S = 10.0
GROWN_UP_S = 10.0  # a child that lived so long died of something new
STOP_PATIENCE_S = 30.0  # for children to finish their calls, at the end


def next_pause_s(pause_s: float, lived_s: float) -> float:
    """How long to wait before the next start, after a pause of `pause_s` and a life of `lived_s`."""
    return SHORTEST_PAUSE_S if lived_s >= GROWN_UP_S else min(LONGEST_PAUSE_S, 2 * pause_s)


class _Child:
    """A place among the processes, and who stands in it."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.pause_s = SHORTEST_PAUSE_S / 2
        self.started_s = 0.0
        self.due_s = 0.0  # of the next start, when pid is None


class Processes:
    """Forks. REQUIRES: the caller has one thread, and is the main one."""

    def __init__(self, count: int, body: Callable[[int], int]) -> None:
        """`body` runs in each child and gives its exit code. It is handed a descriptor that ends when the parent
        does, however that dies."""
        self._body = body
        self._children = [_Child() for _ in range(count)]
        self._is_stopping = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._lifeline_read, self._lifeline_write = os.pipe()

    def run(self) -> int:
        """Until SIGTERM or SIGINT. 0: every child ended by itself; 1: one had to be killed."""
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        old_wakeup = signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        stops = (signal.SIGTERM, signal.SIGINT)
        old = {number: signal.signal(number, self._on_stop) for number in stops}
        old[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            while not self._is_stopping:
                self._start_due()
                self._sleep(self._next_start_s())
                self._reap()
            return self._stop_all()
        finally:
            signal.set_wakeup_fd(old_wakeup)
            for number, action in old.items():
                signal.signal(number, action)
            os.close(self._lifeline_write)
            os.close(self._lifeline_read)
            self._wake_read.close()
            self._wake_write.close()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for child in self._children:
            if child.pid is None and child.due_s <= now_s:
                child.started_s = now_s
                child.pid = os.fork()
                if child.pid == 0:
                    self._be_child()

    def _be_child(self) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._lifeline_write)
            code = self._body(self._lifeline_read)
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            _log.exception("this process ends")
        finally:
            os._exit(code)

    def _next_start_s(self) -> float | None:
        return min((child.due_s for child in self._children if child.pid is None), default=None)

    def _sleep(self, until_s: float | None) -> None:
        """Until a signal comes, or the time."""
        wait_s = None if until_s is None else max(0.0, until_s - time.monotonic())
        select.select([self._wake_read], [], [], wait_s)
        try:
            self._wake_read.recv(4096)
        except BlockingIOError:
            pass

    def _reap(self) -> None:
        for child in self._children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            now_s = time.monotonic()
            child.pid = None
            child.pause_s = next_pause_s(child.pause_s, now_s - child.started_s)
            child.due_s = now_s + child.pause_s
            if not self._is_stopping:
                _log.error("process %d %s: another in %.1f s", pid, _how_it_ended(status), child.pause_s)

    def _stop_all(self) -> int:
        self._signal_all(signal.SIGTERM)
        give_up_s = time.monotonic() + STOP_PATIENCE_S
        while any(child.pid for child in self._children) and time.monotonic() < give_up_s:
            self._sleep(min(give_up_s, time.monotonic() + 1))
            self._reap()
        left = sum(child.pid is not None for child in self._children)
        if left:
            _log.error("%d processes did not end within %.0f s: killed", left, STOP_PATIENCE_S)
            self._signal_all(signal.SIGKILL)
            for child in self._children:
                if child.pid is not None:
                    os.waitpid(child.pid, 0)
        return 1 if left else 0

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid is not None:
                os.kill(child.pid, number)


def _how_it_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
