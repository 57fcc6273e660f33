"""What several tests need: programs as processes, and a worker's end without any manners of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

from millrace import protocol

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
WAIT_S = 60.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up_s, f"not within {WAIT_S} s: {what}"
        time.sleep(0.01)


class Program:
    """A Python program, killed at the end of the test if it is still there."""

    def __init__(self, path: Path | str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile()
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent / "src"), **(env or {})}
        self.process = subprocess.Popen(
            [sys.executable, str(path), *arguments], stderr=self._log, stdout=self._log, env=environment
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        print(self.log())  # pytest shows it where a test fails
        self._log.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        self._log.flush()
        return os.pread(self._log.fileno(), 1 << 20, 0).decode()


class RawWorker:
    """A ROUTER that does what the test says, and nothing by itself."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.endpoint = f"ipc://{self._folder.name}/raw.sock"
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._bind()

    def __enter__(self) -> RawWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close(0)
        self._context.term()
        self._folder.cleanup()

    def rebind(self) -> None:
        self._socket.close(0)
        self._socket = self._bind()

    def receive(self) -> tuple[bytes, bytes, dict[str, Any]]:
        """The next message: who, its kind, its body."""
        assert self._socket.poll(int(WAIT_S * 1000)), "no message came"
        identity, *frames = self._socket.recv_multipart()
        return identity, *protocol.decode(frames)

    def receive_kind(self, wanted: bytes) -> tuple[bytes, dict[str, Any]]:
        """The next message of that kind: who, and its body. What comes before it is passed over."""
        while True:
            identity, kind, body = self.receive()
            if kind == wanted:
                return identity, body

    def send(self, identity: bytes, kind: bytes, body: dict[str, Any]) -> None:
        self._socket.send_multipart([identity, *protocol.encode(kind, body)])

    def welcome(self, **changes: Any) -> bytes:
        """Takes in the next handler that registers."""
        identity, _ = self.receive_kind(protocol.REGISTER)
        self.send(identity, protocol.WELCOME, {**WELCOME, **changes})
        return identity

    def _bind(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.ROUTER)
        socket.bind(self.endpoint)
        return socket


WELCOME: dict[str, Any] = {
    "version": 1,
    "worker": "raw",
    "job": "test",
    "uid": "feed",
    "stage": "total",
    "mode": "keyed",
    "heartbeat_ms": 200,
    "progress_ms": 100,
    "timeout_ms": 400,
}


def batch_of(batch_id: str, *calls: tuple[str, Any], states: dict[str, Any] | None = None) -> dict[str, Any]:
    """A batch of records, (key, value) each."""
    names = list(dict.fromkeys(key for key, _ in calls))
    return {
        "id": batch_id,
        "attempt": 1,
        "keys": [[name.encode(), (states or {}).get(name)] for name in names],
        "calls": [
            [protocol.RECORD_CALL, names.index(key), value, 1000 + at, None, f"0.0.{at}.0"]
            for at, (key, value) in enumerate(calls)
        ],
    }
