"""The command line, and the pauses between starts."""

from __future__ import annotations

import contextlib
import io
import os
import unittest
from unittest import mock

from millrace import Record, keyed, serve, stateless
from millrace.handler import Handler
from millrace.processes import LONGEST_PAUSE_S, SHORTEST_PAUSE_S, next_pause_s
from millrace.serve import _parse


@stateless
def same(record: Record) -> object:
    return record.value


class ServeTest(unittest.TestCase):
    def refusal(self, *argv: str, **environment: str) -> str:
        """The last line of what a wrong call says."""
        stderr = io.StringIO()
        with mock.patch.dict(os.environ, environment, clear=True), contextlib.redirect_stderr(stderr):
            with self.assertRaises(SystemExit) as ended:
                serve(same, argv)
        self.assertEqual(ended.exception.code, 2)
        return stderr.getvalue().splitlines()[-1]

    def test_wrong_flags_are_one_line_that_says_what_to_try(self) -> None:
        self.assertIn("neither --connect nor MILLRACE_CONNECT is given", self.refusal())
        self.assertIn("`nats://x` is no endpoint", self.refusal("--connect", "nats://x"))
        self.assertIn(
            "'257' is not a number from 0 to 256",
            self.refusal("--connect", "tcp://a:1", "--processes", "257"),
        )
        self.assertIn("'0' is not a number from 1 to 64", self.refusal("--connect", "tcp://a:1", "--capacity", "0"))
        self.assertIn("'many' is not a number", self.refusal("--connect", "tcp://a:1", MILLRACE_PROCESSES="many"))

    def test_flags_win_over_the_environment(self) -> None:
        environment = {
            "MILLRACE_CONNECT": "tcp://a:1, ipc:///b",
            "MILLRACE_PROCESSES": "3",
            "MILLRACE_CAPACITY": "5",
        }
        with mock.patch.dict(os.environ, environment, clear=True):
            options = _parse(same, [])
            self.assertEqual(
                (options.endpoints.look(), options.processes, options.capacity),
                (["ipc:///b", "tcp://a:1"], 3, 5),
            )
            options = _parse(same, ["--connect", "tcp://c:1", "tcp://d:1", "--processes", "0"])
            self.assertEqual((options.endpoints.look(), options.processes), (["tcp://c:1", "tcp://d:1"], 0))

    def test_pauses_between_starts_grow_to_a_bound_and_shrink_after_a_long_life(self) -> None:
        pauses = [SHORTEST_PAUSE_S / 2]
        for _ in range(20):
            pauses.append(next_pause_s(pauses[-1], lived_s=0))
        self.assertEqual(pauses[1:4], [SHORTEST_PAUSE_S, 2 * SHORTEST_PAUSE_S, 4 * SHORTEST_PAUSE_S])
        self.assertEqual(pauses[-1], LONGEST_PAUSE_S)
        self.assertEqual(next_pause_s(pauses[-1], lived_s=3600), SHORTEST_PAUSE_S)

    def test_what_cannot_be_a_handler_is_refused(self) -> None:
        async def waits(record: Record) -> None: ...

        with self.assertRaises(TypeError):
            stateless(waits)
        with self.assertRaises(TypeError):
            serve(lambda record: None, [])  # type: ignore[arg-type]
        with self.assertRaises(TypeError):
            same.on_timer(lambda timer, state: None)

    def test_a_handler_can_still_be_called_as_the_function_that_it_was(self) -> None:
        @keyed
        def counts(record: object, state: dict[str, int]) -> int:
            state["n"] = state.get("n", 0) + 1
            return state["n"]

        self.assertIsInstance(counts, Handler)
        self.assertEqual((counts(None, {"n": 4}), counts.name), (5, "counts"))
