"""What a handler's function is given (Record, Timer) and what it may give back (Emit, Reject)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from .protocol import EVENT_CLOCK, LOG_CLOCK, MAX_TIMERS_PER_CALL

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Reject(Exception):
    """Raised by a handler for a record that it cannot take; the text is the dead letter's error, as it stands.

    Any other exception does the same, with its type in front and a traceback in the handler's log.
    """


class Emit:
    """An output with more than a value: a key other than the record's, headers laid over the record's own."""

    __slots__ = ("value", "key", "headers")

    def __init__(self, value: Any, *, key: str | bytes | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.value = value
        self.key = key
        self.headers = headers


class Batch:
    """What the calls of one batch share."""

    __slots__ = ("keys", "ending", "uid", "timers")

    def __init__(self, keys: list[tuple[bytes, Any]], ending: bool, uid: str) -> None:
        self.keys = keys
        self.ending = ending
        self.uid = uid
        self.timers: list[tuple[int, int]] = []  # (clock, ms) of the call that runs


class Call:
    """What records and timers have in common. To be used while the handler runs, and not kept."""

    # One of these is made for each record, so it holds little and looks the rest up when it is asked.
    __slots__ = ("value", "_call", "_batch")

    def __init__(self, value: Any, call: list[Any], batch: Batch) -> None:
        self.value = value
        self._call = call  # as in the message
        self._batch = batch

    @property
    def key(self) -> str:
        """The key; bytes of it that are not UTF-8 stand in it as surrogates."""
        return self.key_bytes.decode("utf-8", "surrogateescape")

    @property
    def key_bytes(self) -> bytes:
        key: bytes = self._batch.keys[self._call[1]][0]
        return key

    @property
    def time_ms(self) -> int:
        """Milliseconds since 1970: the record's event time; when the timer was due."""
        time_ms: int = self._call[3]
        return time_ms

    @property
    def label(self) -> str:
        """Which call this is: the same whenever it is repeated, and no other call of the stage has it."""
        label: str = self._call[5]
        return label

    @property
    def id(self) -> str:
        """An idempotency key for outside systems: the job's identity and the label."""
        return f"{self._batch.uid}.{self.label}"

    @property
    def ending(self) -> bool:
        """The input has ended, and what is pending is being finished: set no timers."""
        return self._batch.ending

    def timer(self, delay: int | str | timedelta) -> None:
        """Calls `on_timer` for this key after so much log time: milliseconds, "10s", or a timedelta."""
        ms = duration_ms(delay)
        if ms < 0:
            raise ValueError(f"a timer's delay must not be negative: {delay!r}")
        self._add_timer(LOG_CLOCK, ms)

    def timer_at(self, time_ms: int) -> None:
        """Calls `on_timer` for this key when event time has passed `time_ms`."""
        if type(time_ms) is not int:
            raise TypeError(f"a timer's time must be whole milliseconds since 1970, not {time_ms!r}")
        self._add_timer(EVENT_CLOCK, time_ms)

    def _add_timer(self, clock: int, ms: int) -> None:
        if abs(ms) >= 1 << 53:
            raise ValueError("a timer's time must be milliseconds below 2^53")
        if len(self._batch.timers) >= MAX_TIMERS_PER_CALL:
            raise ValueError(f"more than {MAX_TIMERS_PER_CALL} timers from one call")
        self._batch.timers.append((clock, ms))


class Record(Call):
    """One record: its `value` is what JSON has, or bytes."""

    __slots__ = ()

    @property
    def headers(self) -> dict[str, str | bytes]:
        """By name; of several of one name the last."""
        return dict(self._call[4] or ())


class Timer(Call):
    """A timer that has come due. Its `value` is None."""

    __slots__ = ()


def duration_ms(duration: int | str | timedelta) -> int:
    """Milliseconds of 250, "250ms", "10s", "5m", "24h", "30d", or a timedelta. ValueError where it is none of them."""
    if type(duration) is int:
        return duration
    if isinstance(duration, timedelta):
        return duration // timedelta(milliseconds=1)
    if isinstance(duration, str):
        digits = duration.rstrip("mshd")
        unit = _UNITS_MS.get(duration[len(digits) :])
        if unit is not None and digits.isascii() and digits.isdigit():
            return int(digits) * unit
    raise ValueError(f"{duration!r} is no duration like 250, '250ms', '10s', '5m'")
