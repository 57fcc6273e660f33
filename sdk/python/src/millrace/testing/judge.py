"""Whether a result is one that docs/handlers.md allows for its batch. Strict: what is not understood is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import protocol
from ..pack import pack

_KEYS = {"id", "done", "states", "outputs", "timers", "errors"}
_INTEGERS = range(-(1 << 63), 1 << 64)
_SCALARS = (type(None), bool, int, float, str, bytes)


class Lie(Exception):
    """A result that breaks a rule; the text says which."""


@dataclass
class Judged:
    """A result that keeps the rules, by the calls of its batch."""

    done: int
    states: dict[int, Any] = field(default_factory=dict)  # that a call leaves for its key; None: dropped
    outputs: list[tuple[int, Any, bytes | None, list[list[Any]]]] = field(default_factory=list)
    timers: list[tuple[int, int, int]] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)


def judge(batch: dict[str, Any], result: dict[str, Any], mode: str, *, after_bye: bool = False) -> Judged:
    """`result` taken apart. Lie when a worker must refuse it. REQUIRES: result["id"] is the batch's."""
    unknown = sorted(set(map(str, result)) - _KEYS)
    if unknown:
        raise Lie(f"`{unknown[0][:32]}` is no key of a result")
    calls = batch["calls"]
    done = result.get("done", len(calls))
    if type(done) is not int or not (0 if after_bye else 1) <= done <= len(calls):
        raise Lie(f"`done` is {done!r}: the batch has {len(calls)} calls")
    judged = Judged(done)
    least = 0
    for at, (call, why) in enumerate(_rows(result, "errors", 2)):
        _check_call(f"errors[{at}]", call, done, least)
        _check_why(f"errors[{at}]", why)
        judged.errors[call] = why
        least = call + 1
    ran = _calls_that_ran(calls, judged)
    _judge_states(result, judged, ran, mode)
    _judge_outputs(result, judged, ran)
    _judge_timers(result, judged, ran, mode)
    return judged


def _calls_that_ran(calls: Sequence[Any], judged: Judged) -> set[int]:
    """Those with an effect: looked at, not failed, and not behind a failed one of their key."""
    failed: set[int] = set()
    ran = set()
    for index in range(judged.done):
        key = calls[index][1]
        if index in judged.errors:
            if key in failed:
                raise Lie(f"call {index} failed, but one before it of its key had failed: it must not have run")
            failed.add(key)
        elif key not in failed:
            ran.add(index)
    return ran


def _judge_states(result: dict[str, Any], judged: Judged, ran: set[int], mode: str) -> None:
    least = 0
    for at, (call, state) in enumerate(_rows(result, "states", 2)):
        where = f"states[{at}]"
        if mode != protocol.KEYED:
            raise Lie(f"{where}: a stateless stage has no state")
        _check_call(where, call, judged.done, least)
        least = call + 1
        if call not in ran:
            raise Lie(f"{where}: call {call} did not run")
        _check_value(where, state)
        if len(pack(state)) > protocol.MAX_STATE_BYTES:
            raise Lie(f"{where}: more than {protocol.MAX_STATE_BYTES} bytes")
        judged.states[call] = state


def _judge_outputs(result: dict[str, Any], judged: Judged, ran: set[int]) -> None:
    least, count = 0, 0
    for at, (call, value, key, headers) in enumerate(_rows(result, "outputs", 4)):
        where = f"outputs[{at}]"
        _check_call(where, call, judged.done, least)
        count = count + 1 if call == least and at > 0 else 1
        least = call
        if call not in ran:
            raise Lie(f"{where}: call {call} did not run")
        if count > protocol.MAX_OUTPUTS_PER_CALL:
            raise Lie(f"{where}: more than {protocol.MAX_OUTPUTS_PER_CALL} outputs of call {call}")
        _check_value(where, value)
        if key is not None and type(key) is not bytes:
            raise Lie(f"{where}: the key is a {type(key).__name__}: it must be bytes")
        _check_headers(where, headers)
        if len(pack((value, key, headers))) > protocol.MAX_OUTPUT_BYTES:
            raise Lie(f"{where}: more than {protocol.MAX_OUTPUT_BYTES} bytes")
        judged.outputs.append((call, value, key, headers or []))


def _judge_timers(result: dict[str, Any], judged: Judged, ran: set[int], mode: str) -> None:
    least, count = 0, 0
    for at, (call, clock, ms) in enumerate(_rows(result, "timers", 3)):
        where = f"timers[{at}]"
        _check_call(where, call, judged.done, least)
        count = count + 1 if call == least and at > 0 else 1
        least = call
        if mode != protocol.KEYED or call not in ran:
            raise Lie(f"{where}: call {call} cannot set a timer")
        if count > protocol.MAX_TIMERS_PER_CALL:
            raise Lie(f"{where}: more than {protocol.MAX_TIMERS_PER_CALL} timers of call {call}")
        if type(clock) is not int or clock not in (protocol.LOG_CLOCK, protocol.EVENT_CLOCK):
            raise Lie(f"{where}: the clock is {clock!r}: it must be 0 or 1")
        if type(ms) is not int or abs(ms) >= 1 << 53 or (clock == protocol.LOG_CLOCK and ms < 0):
            raise Lie(f"{where}: {ms!r} is no time")
        judged.timers.append((call, clock, ms))


def _rows(result: dict[str, Any], name: str, size: int) -> list[list[Any]]:
    rows = result.get(name, [])
    if type(rows) is not list:
        raise Lie(f"`{name}` is a {type(rows).__name__}: it must be a list")
    for at, row in enumerate(rows):
        if type(row) is not list or len(row) != size:
            raise Lie(f"{name}[{at}] must be a list of {size} elements")
    return rows


def _check_call(where: str, call: Any, done: int, least: int) -> None:
    if type(call) is not int or not 0 <= call < done:
        raise Lie(f"{where}: {call!r} is none of the {done} calls done")
    if call < least:
        raise Lie(f"{where}: call {call} stands behind a later one")


def _check_why(where: str, why: Any) -> None:
    if type(why) is not str or "\n" in why or not 1 <= len(why.encode()) <= protocol.MAX_ERROR_BYTES:
        raise Lie(f"{where}: the reason must be one line of 1 to {protocol.MAX_ERROR_BYTES} bytes")


def _check_headers(where: str, headers: Any) -> None:
    if headers is None:
        return
    if type(headers) is not list or len(headers) > protocol.MAX_HEADERS:
        raise Lie(f"{where}: the headers must be a list of at most {protocol.MAX_HEADERS}")
    for header in headers:
        if type(header) is not list or len(header) != 2 or any(type(part) not in (str, bytes) for part in header):
            raise Lie(f"{where}: a header must be a name and a text")


def _check_value(where: str, value: Any, depth: int = 0) -> None:
    if type(value) is int:
        if value not in _INTEGERS:  # no decoder gives one: a worker in Python could be handed it directly
            raise Lie(f"{where}: an integer beyond 64 bits")
    elif type(value) in (list, dict):
        if depth == protocol.MAX_DEPTH:
            raise Lie(f"{where}: nested deeper than {protocol.MAX_DEPTH}")
        if type(value) is dict and any(type(key) not in (str, bool, int, float) for key in value):
            raise Lie(f"{where}: a map's key must be text, a number or a boolean")
        for item in value.values() if type(value) is dict else value:
            _check_value(where, item, depth + 1)
    elif type(value) not in _SCALARS:
        raise Lie(f"{where}: a {type(value).__name__} is no value")
