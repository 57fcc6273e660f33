"""docs/handlers.md says what is so: its program runs, and its numbers are the code's."""

from __future__ import annotations

import re
import tempfile
import unittest
from pathlib import Path

from millrace import protocol
from millrace.link import REGISTER_PATIENCE_S
from millrace.testing import TestWorker

from .support import REPOSITORY, Program

PAGE = (REPOSITORY / "docs" / "handlers.md").read_text()


class PageTest(unittest.TestCase):
    def test_the_program_on_the_page_is_a_handler(self) -> None:
        source = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
        assert source is not None
        with tempfile.TemporaryDirectory() as folder, TestWorker(batch_calls=7) as worker:
            path = Path(folder) / "handler.py"
            path.write_text(source[1])
            with Program(path, worker.endpoint) as program:
                for n in range(50):
                    worker.feed(f"k{n % 3}", {"amount": n} if n != 25 else {})
                worker.run()
                worker.restart()
                worker.feed("k0", {"amount": 1})
                worker.run()
                expected = [sum(n for n in range(50) if n % 3 == k and n != 25) for k in range(3)]
                expected[0] += 1
                self.assertEqual([worker.state(f"k{k}")["total"] for k in range(3)], expected, program.log())
                self.assertEqual([letter.error for letter in worker.dead_letters], ["no amount: KeyError('amount')"])
                self.assertEqual(worker.counts["lies"], 0, worker.refusals)

    def test_the_bounds_on_the_page_are_those_of_the_code(self) -> None:
        for text in (
            f"1 to {protocol.MAX_CALLS} calls",
            f"| a message | {protocol.MAX_MESSAGE_BYTES >> 20} MiB |",
            f"| state of a key | {protocol.MAX_STATE_BYTES >> 20} MiB |",
            f"headers | {protocol.MAX_OUTPUT_BYTES >> 10} KiB |",
            f"| outputs of a call | {protocol.MAX_OUTPUTS_PER_CALL:,} |",
            f"| timers of a call | {protocol.MAX_TIMERS_PER_CALL:,} |",
            f"| headers of an output | {protocol.MAX_HEADERS} |",
            f"{protocol.MAX_ERROR_BYTES} bytes, UTF-8, one line",
            f"text, 1 to {protocol.MAX_NAME_BYTES} bytes",
            f"int, 1 to {protocol.MAX_CAPACITY}",
            f"text, at most {protocol.MAX_ID_BYTES} bytes",
            f"at most {protocol.MAX_DEPTH} deep",
            f"| handlers of a stage in a worker | {protocol.MAX_HANDLERS} |",
            f"for {protocol.LOST_AFTER_HEARTBEATS} `heartbeat_ms`",
            f"nothing for {protocol.ASK_AFTER_HEARTBEATS} `heartbeat_ms`",
            f"no answer to `register` for {REGISTER_PATIENCE_S:.0f} s",
        ):
            self.assertIn(text, PAGE)

    def test_every_kind_has_its_chapter(self) -> None:
        kinds = [protocol.REGISTER, protocol.WELCOME, protocol.REFUSED, protocol.HEARTBEAT, protocol.BATCH]
        for kind in [*kinds, protocol.PROGRESS, protocol.RESULT, protocol.BYE]:
            self.assertIn(f"\n### `{kind.decode()}`\n", PAGE)
