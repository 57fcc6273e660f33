"""Handlers in other languages, as far as their tools are here."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from types import TracebackType

from millrace.testing import TestWorker

from .support import REPOSITORY

EXAMPLES = REPOSITORY / "sdk" / "examples"


class Handler:
    """A process with an endpoint for its argument."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Handler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()


class ExamplesTest(unittest.TestCase):
    def keeps_totals(self, worker: TestWorker, *command: str) -> None:
        """Order, state, errors, a worker that is killed, and a handler that is."""
        wrong = 50
        with Handler(*command):
            for n in range(100):
                worker.feed(f"k{n % 3}", {"amount": n} if n != wrong else {})
            worker.run()
            worker.restart()
            worker.feed("k0", {"amount": -(1 << 60)})
            worker.run()
        with Handler(*command):
            worker.feed("k1", {"amount": 1})
            worker.run()
        for k in range(3):
            amounts = [n for n in range(100) if n % 3 == k and n != wrong] + [[-(1 << 60)], [1], []][k]
            expected = [sum(amounts[: at + 1]) for at in range(len(amounts))]
            key = f"k{k}".encode()
            self.assertEqual([output.value["total"] for output in worker.outputs if output.key == key], expected)
            self.assertEqual(worker.state(key), {"total": expected[-1]})
        self.assertEqual([letter.error for letter in worker.dead_letters], ["no amount"])
        self.assertEqual(worker.counts["lies"], 0, worker.refusals)

    @unittest.skipUnless(shutil.which("go"), "needs Go")
    def test_a_handler_in_go(self) -> None:
        with tempfile.TemporaryDirectory() as folder, TestWorker(batch_calls=8, attempts=1) as worker:
            program = Path(folder) / "handler"
            subprocess.run(["go", "build", "-o", program, "."], cwd=EXAMPLES / "go", check=True)
            self.keeps_totals(worker, str(program), worker.endpoint)

    @unittest.skipUnless((EXAMPLES / "node" / "node_modules").is_dir(), "needs Node, and `npm install`")
    def test_a_handler_in_node(self) -> None:
        with TestWorker(batch_calls=8) as worker:
            self.keeps_totals(worker, "node", str(EXAMPLES / "node" / "total.js"), worker.endpoint)
