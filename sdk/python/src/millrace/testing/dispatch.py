"""What TestWorker decides: which calls go into the next batch, and what becomes of those of a batch that came to an
end, one way or another. Pure: no socket, no clock.

Calls of a key go out in order, and in one batch at a time. The calls of a batch that was lost after it was begun are
suspects: they go out again in parts, until one call stands alone and its attempts are counted. A batch of suspects
goes to a handler that has nothing else, and gets nothing else: a process that dies takes with it results that it has
given to its socket, and nobody must pay for the call that came next.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .. import protocol
from ..pack import pack, unpack
from .judge import Judged

SUSPECT_PARTS = 8  # that a batch is taken apart into, to find the call that ends handlers
MAX_UNBEGUN_LOSSES = 3  # a batch that is lost so often before it begins counts as begun


@dataclass(frozen=True)
class Output:
    """What a call handed on, in the order of the log."""

    key: bytes
    value: Any
    headers: dict[str, str]
    time_ms: int
    label: str  # the call's
    index: int  # among the outputs of the call


@dataclass(frozen=True)
class DeadLetter:
    """A call that failed for good."""

    key: bytes
    value: Any
    label: str
    error: str


@dataclass(order=True)
class Task:
    """A call, from when it is known until it has had its effect."""

    number: int  # its place in the log
    kind: int = field(compare=False)
    key: bytes = field(compare=False)
    value: Any = field(compare=False)
    time_ms: int = field(compare=False)
    headers: list[list[str]] | None = field(compare=False)
    label: str = field(compare=False)
    handed_out: int = field(default=0, compare=False)
    attempts: int = field(default=0, compare=False)  # that failed, or that killed a handler alone
    unbegun_losses: int = field(default=0, compare=False)


class Dispatch:
    """The log of one partition, its state, and what has come out."""

    def __init__(self, mode: str, batch_calls: int, attempts: int) -> None:
        self.mode = mode
        self.batch_calls = batch_calls
        self.attempts = attempts
        self.outputs: list[tuple[int, Output]] = []  # with their call's number
        self.dead_letters: list[DeadLetter] = []
        self.timers: list[tuple[int, bytes]] = []  # (due, key), sorted
        self.now_ms = 0
        self.ending = False
        self._states: dict[bytes, bytes] = {}
        self._numbers = 0
        self._pending: list[Task] = []  # sorted
        self._suspects: list[list[Task]] = []  # groups that go out alone
        self._keys_out: Counter[bytes] = Counter()  # in batches that are out

    @property
    def is_done(self) -> bool:
        return not self._pending and not self._suspects and not self._keys_out

    def state(self, key: bytes) -> Any:
        packed = self._states.get(key)
        return None if packed is None else unpack(packed)

    def set_state(self, key: bytes, state: Any) -> None:
        if state is None:
            self._states.pop(key, None)
        else:
            self._states[key] = pack(state)

    def add(self, kind: int, key: bytes, value: Any, time_ms: int, headers: list[list[str]] | None) -> None:
        label = f"0.0.{self._numbers + 1}.0"
        self._pending.append(Task(self._numbers, kind, key, value, time_ms, headers, label))
        self._numbers += 1

    def fire_timers(self, until_ms: int) -> None:
        """Adds a call for each timer that is due by then, in their order."""
        while self.timers and self.timers[0][0] <= until_ms:
            due_ms, key = self.timers.pop(0)
            self.add(protocol.TIMER_CALL, key, None, due_ms, None)

    def next_tasks(self, *, idle: bool) -> tuple[list[Task], bool]:
        """The calls of the next batch, which is out from now on, and whether they are suspects. None when there is
        nothing that may go. `idle`: whether the handler that it is for has no batch."""
        at = self._next_suspects()
        if at is not None:
            tasks = self._suspects.pop(at) if idle else []
        else:
            tasks = self._next_pending()
        for task in tasks:
            task.handed_out += 1
            self._keys_out[task.key] += 1
        return tasks, at is not None

    def body(self, batch_id: str, tasks: list[Task]) -> dict[str, Any]:
        """The batch as a message."""
        keys: dict[bytes, int] = {}
        calls = []
        for task in tasks:
            key = keys.setdefault(task.key, len(keys))
            calls.append([task.kind, key, task.value, task.time_ms, task.headers, task.label])
        body: dict[str, Any] = {
            "id": batch_id,
            "attempt": max(task.handed_out for task in tasks),
            "keys": [[key, self.state(key)] for key in keys],
            "calls": calls,
        }
        if self.ending:
            body["ending"] = True
        return body

    def accept(self, tasks: list[Task], judged: Judged) -> None:
        """Takes over what a result says. What it did not come to is pending again."""
        self._come_back(tasks)
        failed: set[bytes] = set()
        for index, task in enumerate(tasks):
            if index >= judged.done or task.key in failed:
                insort(self._pending, task)
            elif index in judged.errors:
                failed.add(task.key)
                self._count_attempt(task, judged.errors[index])
        for index, state in judged.states.items():  # rising: the last one of a key stays
            self.set_state(tasks[index].key, state)
        self._take_outputs(tasks, judged)
        for call, clock, ms in judged.timers:
            insort(
                self.timers,
                (
                    max(ms + (self.now_ms if clock == protocol.LOG_CLOCK else 0), self.now_ms + 1),
                    tasks[call].key,
                ),
            )

    def lose(self, tasks: list[Task], *, begun: bool, alone: bool, why: str) -> None:
        """The batch's handler was lost, or lied: nothing of it has happened. `alone`: it had no other batch."""
        self._come_back(tasks)
        if not begun:
            for task in tasks:
                task.unbegun_losses += 1
            if max(task.unbegun_losses for task in tasks) < MAX_UNBEGUN_LOSSES:
                self._put_back(tasks)
                return
        if len(tasks) == 1 and alone:
            self._count_attempt(tasks[0], why)
            return
        size = -(-len(tasks) // SUSPECT_PARTS)
        self._suspects[:0] = [tasks[at : at + size] for at in range(0, len(tasks), size)]

    def _next_suspects(self) -> int | None:
        """Which group may go: the first whose keys are neither out nor in a group before it."""
        before: set[bytes] = set()
        for at, group in enumerate(self._suspects):
            keys = {task.key for task in group}
            if not keys & before and not any(self._keys_out[key] for key in keys):
                return at
            before |= keys
        return None

    def _next_pending(self) -> list[Task]:
        held = {task.key for group in self._suspects for task in group}
        held.update(key for key, count in self._keys_out.items() if count)
        taken: list[Task] = []
        left: list[Task] = []
        for at, task in enumerate(self._pending):
            if len(taken) == self.batch_calls:
                left += self._pending[at:]
                break
            (left if task.key in held else taken).append(task)
        self._pending = left
        return taken

    def _come_back(self, tasks: Iterable[Task]) -> None:
        self._keys_out.subtract(task.key for task in tasks)
        self._keys_out += Counter()  # drops the zeros

    def _put_back(self, tasks: list[Task]) -> None:
        for task in tasks:
            insort(self._pending, task)

    def _count_attempt(self, task: Task, why: str) -> None:
        task.attempts += 1
        if task.attempts >= self.attempts:
            self.dead_letters.append(DeadLetter(task.key, task.value, task.label, why))
        else:
            self._suspects.insert(0, [task])

    def _take_outputs(self, tasks: list[Task], judged: Judged) -> None:
        counts: Counter[int] = Counter()
        for call, value, key, headers in judged.outputs:
            task = tasks[call]
            merged = dict([*(task.headers or []), *headers])
            output = Output(task.key if key is None else key, value, merged, task.time_ms, task.label, counts[call])
            counts[call] += 1
            self.outputs.append((task.number, output))
