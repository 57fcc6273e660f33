"""TestWorker as users have it: a handler, records in, results out."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from typing import Any

from millrace import Emit, Record, Reject, State, Timer, keyed, stateless
from millrace.testing import Output, TestWorker


class TestWorkerTest(unittest.TestCase):
    def test_outputs_state_and_dead_letters_are_there_to_be_looked_at(self) -> None:
        @keyed
        def total(record: Record, state: State) -> Any:
            if record.value < 0:
                raise Reject("less than nothing")
            state["total"] = state.get("total", 0) + record.value
            return Emit(state["total"], headers={"kind": "total"})

        with TestWorker(total) as worker:
            worker.set_state("ann", {"total": 100})
            for key, value in [("ann", 1), ("bob", 2), ("ann", -1), ("ann", 4)]:
                worker.feed(key, value, time_ms=77, headers={"from": "test"})
            worker.run()
            self.assertEqual(worker.values, [101, 2, 105])
            self.assertEqual(worker.outputs[1], Output(b"bob", 2, {"from": "test", "kind": "total"}, 77, "0.0.2.0", 0))
            self.assertEqual((worker.state("ann"), worker.state("eve")), ({"total": 105}, None))
            self.assertEqual(
                [(letter.value, letter.error) for letter in worker.dead_letters], [(-1, "less than nothing")]
            )

    def test_retries_come_before_what_follows(self) -> None:
        seen: list[int] = []

        @keyed
        def fails_once(record: Record, state: State) -> Any:
            seen.append(record.value)
            if seen.count(1) == 1:
                raise Reject("the first time")
            return record.value

        with TestWorker(fails_once, attempts=2) as worker:
            for value in (1, 2, 3):
                worker.feed("k", value)
            worker.run()
            self.assertEqual((seen, worker.values, worker.dead_letters), ([1, 1, 2, 3], [1, 2, 3], []))

    def test_timers_fire_when_time_passes(self) -> None:
        @keyed
        def session(record: Record, state: State) -> None:
            state["n"] = state.get("n", 0) + 1
            state["until"] = record.time_ms + 1000
            record.timer_at(state["until"])

        @session.on_timer
        def ends(timer: Timer, state: State) -> Iterator[Any]:
            if timer.time_ms >= state.get("until", timer.time_ms + 1):
                yield {"session": state["n"]}
                state.clear()

        with TestWorker(session) as worker:
            worker.feed("ann", 1)
            worker.run()
            worker.advance(600)
            worker.feed("ann", 2)
            worker.run()
            worker.advance(600)
            worker.run()
            self.assertEqual(worker.values, [])
            worker.advance(600)
            worker.run()
            self.assertEqual((worker.values, worker.state("ann")), ([{"session": 2}], None))

    def test_finish_fires_all_timers_and_tells_that_it_ends(self) -> None:
        @keyed
        def again(record: Record, state: State) -> None:
            record.timer("1h")

        @again.on_timer
        def fires(timer: Timer, state: State) -> Any:
            if not timer.ending:
                timer.timer("1h")
            return timer.ending

        with TestWorker(again) as worker:
            worker.feed("a", 1)
            worker.run()
            worker.advance(3_600_000)
            worker.finish()
            self.assertEqual(worker.values, [False, True])

    def test_what_never_ends_is_told_after_the_timeout(self) -> None:
        with TestWorker() as worker:
            worker.feed("a", 1)
            with self.assertRaisesRegex(TimeoutError, "handlers: \\[\\]"):
                worker.run(timeout_s=0.1)

    def test_a_stateless_handler_has_records_only(self) -> None:
        @stateless
        def doubles(record: Record) -> Iterator[int]:
            yield record.value
            yield record.value

        with TestWorker(doubles, batch_calls=2) as worker:
            for value in range(5):
                worker.feed(str(value), value)
            worker.run()
            self.assertEqual(worker.values, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
