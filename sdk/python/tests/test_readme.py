"""The README's code runs, and does what it says there."""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from typing import Any

from millrace.testing import TestWorker

README = (Path(__file__).parents[1] / "README.md").read_text()


class ReadmeTest(unittest.TestCase):
    def test_its_blocks_run_one_after_the_other(self) -> None:
        names: dict[str, Any] = {"__name__": "readme"}
        blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
        self.assertEqual(len(blocks), 3)
        self.assertLessEqual(len(blocks[0].splitlines()), 10)
        for block in blocks:
            exec(block, names)  # the last one asserts
        with TestWorker(names["session"]) as worker:
            worker.feed("ann", "click", time_ms=0)
            worker.feed("ann", "click", time_ms=60_000)
            worker.run()
            worker.advance(31 * 60_000)
            worker.run()
            self.assertEqual((worker.values, worker.state("ann")), ([{"clicks": 2}], None))
