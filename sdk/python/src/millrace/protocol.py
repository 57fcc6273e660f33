"""The messages between a worker and a handler: docs/handlers.md as code, used by both ends.

A message is three frames: the protocol's version, its kind, and one packed map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .pack import pack, unpack

VERSION = 1
_ENVELOPES = {b"MR1": 1}  # the first frame of each version spoken
_FIRST_FRAME = b"MR%d" % VERSION

# The kinds.
REGISTER = b"register"
WELCOME = b"welcome"
REFUSED = b"refused"
HEARTBEAT = b"heartbeat"
BATCH = b"batch"
PROGRESS = b"progress"
RESULT = b"result"
BYE = b"bye"

# Modes of a handler, and of the stage that it is for.
KEYED = "keyed"
STATELESS = "stateless"

# What a call is for (the first element of each of a batch's calls), and by which clock a timer goes.
RECORD_CALL = 0
TIMER_CALL = 1
LOG_CLOCK = 0
EVENT_CLOCK = 1

MAX_CALLS = 4096  # in a batch
MAX_MESSAGE_BYTES = 64 << 20
MAX_STATE_BYTES = 16 << 20
MAX_OUTPUT_BYTES = (1 << 20) - (16 << 10)  # key, value and headers
MAX_OUTPUTS_PER_CALL = 100_000
MAX_TIMERS_PER_CALL = 10_000
MAX_HEADERS = 64
MAX_ERROR_BYTES = 1024
MAX_NAME_BYTES = 128
MAX_ID_BYTES = 64
MAX_CAPACITY = 64
MAX_DEPTH = 64
MAX_HANDLERS = 256  # of a stage in a worker

ASK_AFTER_HEARTBEATS = 2  # so many without a message, and a handler sends one unasked
LOST_AFTER_HEARTBEATS = 5  # so many without a message, and the other end counts as lost


class ProtocolError(Exception):
    """A message that is not what docs/handlers.md says."""


def encode(kind: bytes, body: Mapping[str, Any]) -> list[bytes]:
    return [_FIRST_FRAME, kind, pack(body)]


def with_body(kind: bytes, packed: bytes) -> list[bytes]:
    """The same of a body that is packed already."""
    return [_FIRST_FRAME, kind, packed]


def decode(frames: Sequence[bytes]) -> tuple[bytes, dict[str, Any]]:
    """A message's kind and body."""
    if len(frames) != 3:
        raise ProtocolError(f"a message of {len(frames)} frames: it has three, version, kind and body")
    if frames[0] not in _ENVELOPES:
        raise ProtocolError(f"version {frames[0][:8]!r} is not spoken here")
    try:
        body = unpack(frames[2])
    except ValueError as error:
        raise ProtocolError(f"{frames[1][:16]!r}: {error}") from error
    if type(body) is not dict:
        raise ProtocolError(f"{frames[1][:16]!r}: the body is no map")
    return frames[1], body


def field(body: Mapping[str, Any], name: str, wanted: type) -> Any:
    """body[name], which must be there and of that very type (True is no int)."""
    value = body.get(name)
    if type(value) is not wanted:
        found = "is missing" if name not in body else f"is a {type(value).__name__}"
        raise ProtocolError(f"`{name}` {found}: it must be a {wanted.__name__}")
    return value


def number(body: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value: int = field(body, name, int)
    if not least <= value <= most:
        raise ProtocolError(f"`{name}` is {value}: it must be {least} to {most}")
    return value


@dataclass(frozen=True)
class Welcome:
    """What a worker said when it took the handler in."""

    worker: str
    job: str
    uid: str
    stage: str
    mode: str
    heartbeat_ms: int
    progress_ms: int
    timeout_ms: int

    @staticmethod
    def parse(body: Mapping[str, Any]) -> Welcome:
        number(body, "version", VERSION, VERSION)
        return Welcome(
            worker=field(body, "worker", str),
            job=field(body, "job", str),
            uid=field(body, "uid", str),
            stage=field(body, "stage", str),
            mode=field(body, "mode", str),
            heartbeat_ms=number(body, "heartbeat_ms", 10, 60_000),
            progress_ms=number(body, "progress_ms", 10, 60_000),
            timeout_ms=number(body, "timeout_ms", 1, 1 << 53),
        )

    def body(self) -> dict[str, Any]:
        return {"version": VERSION, **vars(self)}


@dataclass(frozen=True)
class Register:
    """What a handler says of itself."""

    name: str
    sdk: str
    mode: str
    capacity: int
    versions: tuple[int, ...] = (VERSION,)

    @staticmethod
    def parse(body: Mapping[str, Any]) -> Register:
        versions = field(body, "versions", list)
        if not versions or any(type(version) is not int for version in versions):
            raise ProtocolError("`versions` must be a list of integers")
        name, sdk = field(body, "name", str), field(body, "sdk", str)
        if not 1 <= len(name.encode()) <= MAX_NAME_BYTES or len(sdk.encode()) > MAX_NAME_BYTES:
            raise ProtocolError(f"`name` and `sdk` must be text of at most {MAX_NAME_BYTES} bytes")
        mode = field(body, "mode", str)
        if mode not in (KEYED, STATELESS):
            raise ProtocolError(f"`mode` is {mode[:16]!r}: it must be {KEYED} or {STATELESS}")
        return Register(name, sdk, mode, number(body, "capacity", 1, MAX_CAPACITY), tuple(versions))

    def body(self) -> dict[str, Any]:
        return {
            "versions": list(self.versions),
            "name": self.name,
            "sdk": self.sdk,
            "mode": self.mode,
            "capacity": self.capacity,
        }


def one_line(text: str) -> str:
    """`text` as the `why` of an error: one line of at most MAX_ERROR_BYTES."""
    line = " ".join(text.split()) or "no reason given"
    packed = line.encode(errors="replace")
    if len(packed) > MAX_ERROR_BYTES:
        packed = packed[: MAX_ERROR_BYTES - 3]
        return packed.decode(errors="ignore") + "…"
    return packed.decode()
