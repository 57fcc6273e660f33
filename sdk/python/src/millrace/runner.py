"""A batch run through a handler: the hot loop.

It keeps nothing from batch to batch: the same batch gives the same result. Every call is packed, state and outputs,
before the next one runs, so a call that raises (or whose output cannot be packed) is undone by forgetting it.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from types import GeneratorType
from typing import Any

from . import protocol
from .calls import Batch, Emit, Record, Reject, Timer
from .handler import Handler
from .pack import list_header, map_header, new_packer, pack

_log = logging.getLogger("millrace")

_TRACEBACK_PAUSE_S = 1.0  # a handler that fails at every record must not drown its log
_NIL = b"\xc0"
# Of a result, what states and outputs may fill; the rest is for errors, timers and the frame around all.
_ROOM_BYTES = protocol.MAX_MESSAGE_BYTES - (8 << 20)
# Classes of outputs that are what they are: neither Emit, nor a generator, nor None.
_PLAIN = frozenset((dict, list, tuple, str, bytes, int, float, bool))
# What stands in front of the state that call n leaves: a list of two, n.
_STATE_HEADS = [b"\x92" + pack(n) for n in range(protocol.MAX_CALLS)]


class _Outcome:
    """What a batch has come to so far, packed."""

    def __init__(self) -> None:
        self.states: list[bytes] = []
        self.outputs: list[bytes] = []  # some of them several in one
        self.output_count = 0
        self.timers: list[bytes] = []
        self.errors: list[bytes] = []


class BatchRunner:
    """Runs batches of one stage. For one thread."""

    def __init__(self, handler: Handler, uid: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._handler = handler
        self._is_keyed = handler.mode == protocol.KEYED
        self._function: Callable[[Record, Any], Any] = handler.function
        if not self._is_keyed:
            self._function = lambda record, _: handler.function(record)
        self._uid = uid
        self._clock = clock
        self._pack = new_packer()
        self._next_traceback_s = clock()

    def run(self, batch: dict[str, Any], beat: Callable[[int], bool], beat_s: float) -> bytes:
        """The body of the batch's result.

        `beat` is told how many calls are done: before the first call, and between two when `beat_s` have passed
        since the last time. When it returns True, the rest of the batch is left to others. ProtocolError when the
        batch is malformed.
        """
        outcome = _Outcome()
        try:
            done = self._run_calls(batch, outcome, beat, beat_s)
            return self._result(batch["id"], done, len(batch["calls"]), outcome)
        except (LookupError, TypeError, ValueError) as error:
            raise protocol.ProtocolError(f"malformed batch: {error!r}") from error

    def _run_calls(self, batch: dict[str, Any], outcome: _Outcome, beat: Callable[[int], bool], beat_s: float) -> int:
        """Runs what it can; how many calls are done. The order of its checks is that of their cost."""
        shared = Batch(batch["keys"], batch.get("ending", False), self._uid)
        # Of each key as its last call has left it; None: no map, so not this handler's.
        states = [{} if state is None else state if type(state) is dict else None for _, state in shared.keys]
        # The same packed, where that is known: a state that did not change is left out.
        packed_states = [_NIL if state is None else None for _, state in shared.keys]
        function, pack, clock, timers = self._function, self._pack, self._clock, shared.timers
        is_keyed, changes, outputs = self._is_keyed, outcome.states, outcome.outputs
        failed: set[int] = set()
        size = 0  # of states and outputs
        due_s = clock()
        for index, call in enumerate(batch["calls"]):
            if clock() >= due_s:
                if beat(index):
                    return index
                due_s = clock() + beat_s
            kind, position, value, _, _, _ = call
            if failed and position in failed:
                continue
            state = states[position]
            try:
                if kind == protocol.RECORD_CALL and state is not None:
                    returned = function(Record(value, call, shared), state)
                else:
                    returned = self._run_other(kind, call, shared, state)
                if returned.__class__ in _PLAIN:
                    made, count = pack((index, returned, None, None)), 1
                else:
                    made, count = self._pack_outputs(index, returned)
                packed_state = pack(state) if state else _NIL
                if timers and self._handler.timer_function is None:
                    raise Reject("a timer was set, but the handler has no `on_timer` to run")
                bytes_made = len(made) + len(packed_state)
                if bytes_made > protocol.MAX_OUTPUT_BYTES or size + bytes_made > _ROOM_BYTES:
                    _check_sizes(made, count, packed_state)
                    if size + bytes_made > _ROOM_BYTES:  # as if it had not run: it comes again, in another batch
                        return index
            except protocol.ProtocolError:
                raise
            except Exception as error:  # whatever user code raises
                failed.add(position)
                timers.clear()
                outcome.errors.append(pack((index, self._why(error, call[5]))))
                continue
            size += bytes_made
            if packed_state != packed_states[position] and is_keyed:
                packed_states[position] = packed_state
                changes.append(_STATE_HEADS[index] + packed_state)
            outputs.append(made)
            outcome.output_count += count
            if timers:
                outcome.timers += [pack((index, clock_id, ms)) for clock_id, ms in timers]
                timers.clear()
        return len(batch["calls"])

    def _run_other(self, kind: int, call: list[Any], shared: Batch, state: Any) -> Any:
        """What is no record on a state of ours."""
        if kind not in (protocol.RECORD_CALL, protocol.TIMER_CALL):
            raise protocol.ProtocolError(f"a call of kind {kind}")
        if state is None:
            raise Reject("the key's state is no map: this handler keeps maps")
        if self._handler.timer_function is None:
            raise Reject("a timer is due, but the handler has no `on_timer` to run")
        return self._handler.timer_function(Timer(None, call, shared), state)

    def _pack_outputs(self, index: int, returned: Any) -> tuple[bytes, int]:
        """The outputs of one call, and how many."""
        if returned is None:
            return b"", 0
        if returned.__class__ is not GeneratorType:
            return self._pack_output(index, returned), 1
        made = []
        for output in returned:
            if output is not None:
                made.append(self._pack_output(index, output))
            if len(made) > protocol.MAX_OUTPUTS_PER_CALL:
                raise Reject(f"more than {protocol.MAX_OUTPUTS_PER_CALL} outputs from one call")
        return b"".join(made), len(made)

    def _pack_output(self, index: int, output: Any) -> bytes:
        if isinstance(output, Emit):
            packed = self._pack((index, output.value, _key_of(output), _headers_of(output)))
        else:
            packed = self._pack((index, output, None, None))
        if len(packed) > protocol.MAX_OUTPUT_BYTES:
            raise Reject(f"an output of {len(packed)} bytes, more than {protocol.MAX_OUTPUT_BYTES}")
        return packed

    def _why(self, error: Exception, label: str) -> str:
        if isinstance(error, Reject):
            return protocol.one_line(str(error))
        if self._clock() >= self._next_traceback_s:
            self._next_traceback_s = self._clock() + _TRACEBACK_PAUSE_S
            lines = "".join(traceback.format_exception(error)).rstrip()
            _log.warning("%s failed at %s\n%s", self._handler.name, label, lines)
        return protocol.one_line(f"{type(error).__name__}: {error}")

    def _result(self, batch_id: str, done: int, calls: int, outcome: _Outcome) -> bytes:
        parts = {"id": self._pack(batch_id)}
        if done < calls:
            parts["done"] = self._pack(done)
        for name, count, rows in (
            ("states", len(outcome.states), outcome.states),
            ("outputs", outcome.output_count, outcome.outputs),
            ("timers", len(outcome.timers), outcome.timers),
            ("errors", len(outcome.errors), outcome.errors),
        ):
            if count > 0:
                parts[name] = list_header(count) + b"".join(rows)
        return map_header(len(parts)) + b"".join([self._pack(name) + packed for name, packed in parts.items()])


def _check_sizes(made: bytes, count: int, packed_state: bytes) -> None:
    """Raises Reject where a call has made more than it may."""
    if count == 1 and len(made) > protocol.MAX_OUTPUT_BYTES:
        raise Reject(f"an output of {len(made)} bytes, more than {protocol.MAX_OUTPUT_BYTES}")
    if len(packed_state) > protocol.MAX_STATE_BYTES:
        raise Reject(f"the key's state has {len(packed_state)} bytes, more than {protocol.MAX_STATE_BYTES}")
    if len(made) + len(packed_state) > _ROOM_BYTES:
        raise Reject(f"its outputs have {len(made)} bytes, more than fit into a message")


def _key_of(output: Emit) -> bytes | None:
    if isinstance(output.key, str):
        return output.key.encode("utf-8", "surrogateescape")
    if output.key is None or isinstance(output.key, bytes):
        return output.key
    raise TypeError(f"an output's key must be text or bytes, not {output.key!r}")


def _headers_of(output: Emit) -> list[tuple[str, str]] | None:
    if output.headers is None:
        return None
    headers = list(output.headers.items())
    if len(headers) > protocol.MAX_HEADERS:
        raise Reject(f"more than {protocol.MAX_HEADERS} headers in one output")
    for name, value in headers:
        if not isinstance(name, str) or not isinstance(value, (str, bytes)):
            raise TypeError(f"an output's headers must be text, not {name!r}: {value!r}")
    return headers
