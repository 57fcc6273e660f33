"""How fast handler processes are, without a worker's own work in the way.

    python bench/throughput.py [--processes 1 4] [--calls 128 512 1024] [--seconds 5]

A bare ROUTER deals out the same prepared batches and counts what comes back. Printed are records a second, and the
processor time of the handlers for each record: on a machine with other work to do, that is the number to trust.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import zmq

from millrace import Record, State, keyed, protocol, serve
from millrace.pack import pack

_TICKS = os.sysconf("SC_CLK_TCK")
_WELCOME = {
    "version": 1, "worker": "bench", "job": "bench", "uid": "0", "stage": "total", "mode": "keyed",
    "heartbeat_ms": 1000, "progress_ms": 1000, "timeout_ms": 60_000,
}  # fmt: skip


@keyed
def total(record: Record, state: State) -> Any:
    state["flights"] = state.get("flights", 0) + 1
    state["total"] = state.get("total", 0) + record.value["delay"]
    return {"flights": state["flights"], "total": state["total"]}


def prepared(calls: int, keys: int) -> bytes:
    """A batch without its id, which stands in front."""
    names = [f"key-{n}".encode() for n in range(min(calls, keys))]
    body = {
        "attempt": 1,
        "keys": [[name, {"flights": 7, "total": 123}] for name in names],
        "calls": [
            [0, n % len(names), {"origin": "ATL", "destination": "ORD", "delay": n, "date": "2001-01-01T08:10:00Z"},
             978336600000 + n, None, f"0.3.{17 + n}.{n}"]
            for n in range(calls)
        ],
    }  # fmt: skip
    return pack(body)[1:]


class Bench:
    def __init__(self, endpoint: str) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.bind(endpoint)
        self.handlers: Counter[bytes] = Counter()  # batches at each
        self.results = 0
        self.number = 0

    def deal(self, rest: bytes, capacity: int) -> None:
        for who, out in self.handlers.items():
            for _ in range(capacity - out):
                self.number += 1
                body = b"\x84\xa2id" + pack(str(self.number)) + rest
                self.socket.send_multipart([who, b"MR1", protocol.BATCH, body])
                self.handlers[who] += 1

    def pump(self, wait_ms: int) -> None:
        if not self.socket.poll(wait_ms):
            return
        who, _, kind, _ = self.socket.recv_multipart()
        if kind == protocol.REGISTER:
            self.handlers[who] = 0
            self.socket.send_multipart([who, *protocol.encode(protocol.WELCOME, _WELCOME)])
        elif kind == protocol.RESULT:
            self.results += 1
            self.handlers[who] -= 1


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_s(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def measure(processes: int, calls: int, keys: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/bench.sock"
        bench = Bench(endpoint)
        program = subprocess.Popen(
            [sys.executable, __file__, "serve", "--connect", endpoint, "--processes", str(processes)],
            env={**os.environ, "MILLRACE_LOG_LEVEL": "error"},
        )
        try:
            rest = prepared(calls, keys)
            while len(bench.handlers) < processes:
                bench.pump(100)
            while bench.results < 4 * processes:  # warm
                bench.deal(rest, 2)
                bench.pump(100)
            pids = children_of(program.pid)
            before, began_s, cpu_before_s = bench.results, time.monotonic(), cpu_s(pids)
            own_s = time.process_time()
            while time.monotonic() - began_s < seconds:
                bench.deal(rest, 2)
                bench.pump(100)
            took_s, records = time.monotonic() - began_s, (bench.results - before) * calls
            cpu_us = 1e6 * (cpu_s(pids) - cpu_before_s) / records
            own_us = 1e6 * (time.process_time() - own_s) / records
            print(
                f"{processes} processes, batches of {calls:4}, {min(keys, calls):4} keys: "
                f"{records / took_s:9,.0f} records/s, "
                f"{cpu_us:.2f} us of CPU a record ({1e6 / cpu_us:,.0f}/s a core), the bench itself {own_us:.2f} us"
            )
        finally:
            program.send_signal(signal.SIGKILL)
            program.wait()
            bench.context.destroy(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--calls", type=int, nargs="+", default=[128, 512, 1024])
    parser.add_argument("--keys", type=int, nargs="+", default=[100_000, 16])
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    for processes in options.processes:
        for calls in options.calls:
            for keys in options.keys:
                measure(processes, calls, keys, options.seconds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(total, sys.argv[2:])
    main()
