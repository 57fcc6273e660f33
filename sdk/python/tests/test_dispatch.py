"""What goes into a batch, and what becomes of its calls: decisions, without sockets."""

from __future__ import annotations

import unittest
from typing import Any

from millrace import protocol
from millrace.testing.dispatch import MAX_UNBEGUN_LOSSES, Dispatch, Task
from millrace.testing.judge import Judged


def dispatch_of(*calls: tuple[str, Any], batch_calls: int = 100, attempts: int = 1) -> Dispatch:
    dispatch = Dispatch(protocol.KEYED, batch_calls, attempts)
    for key, value in calls:
        dispatch.add(protocol.RECORD_CALL, key.encode(), value, 0, None)
    return dispatch


def next_of(dispatch: Dispatch) -> list[Task]:
    return dispatch.next_tasks(idle=True)[0]


def values(tasks: list[Task]) -> list[Any]:
    return [task.value for task in tasks]


def all_done(tasks: list[Task]) -> Judged:
    return Judged(done=len(tasks))


class DispatchTest(unittest.TestCase):
    def test_a_key_is_in_one_batch_at_a_time(self) -> None:
        dispatch = dispatch_of(("a", 1), ("b", 2), ("a", 3), ("c", 4), batch_calls=2)
        first = next_of(dispatch)
        second = next_of(dispatch)
        self.assertEqual((values(first), values(second), values(next_of(dispatch))), ([1, 2], [4], []))
        dispatch.accept(first, all_done(first))
        self.assertEqual(values(next_of(dispatch)), [3])

    def test_what_was_not_looked_at_comes_again_in_order(self) -> None:
        dispatch = dispatch_of(("a", 1), ("b", 2), ("a", 3))
        dispatch.accept(next_of(dispatch), Judged(done=1))
        self.assertEqual(values(next_of(dispatch)), [2, 3])

    def test_what_stands_behind_a_failed_call_of_its_key_comes_again(self) -> None:
        dispatch = dispatch_of(("a", 1), ("a", 2), ("b", 3), ("a", 4))
        dispatch.accept(next_of(dispatch), Judged(done=4, errors={1: "why"}))
        self.assertEqual([letter.value for letter in dispatch.dead_letters], [2])
        self.assertEqual(values(next_of(dispatch)), [4])

    def test_a_failed_call_is_tried_again_before_what_follows_it(self) -> None:
        dispatch = dispatch_of(("a", 1), ("a", 2), ("b", 3), attempts=2)
        dispatch.accept(next_of(dispatch), Judged(done=3, errors={0: "why"}))
        again = next_of(dispatch)
        self.assertEqual((values(again), again[0].handed_out), ([1], 2))
        self.assertEqual(values(next_of(dispatch)), [])
        dispatch.accept(again, Judged(done=1, errors={0: "why"}))
        self.assertEqual(len(dispatch.dead_letters), 1)
        self.assertEqual(values(next_of(dispatch)), [2])

    def test_a_begun_batch_that_is_lost_goes_out_in_parts_until_one_call_stands_alone(self) -> None:
        for poison in range(70):
            dispatch = dispatch_of(*[(f"k{n}", n) for n in range(70)], attempts=3)
            rounds = 0
            while not dispatch.is_done:
                tasks = next_of(dispatch)
                rounds += 1
                if poison in values(tasks):
                    dispatch.lose(tasks, begun=True, alone=True, why="it died")
                else:
                    dispatch.accept(tasks, all_done(tasks))
            self.assertEqual([letter.value for letter in dispatch.dead_letters], [poison])
            self.assertLessEqual(rounds, 1 + 8 + 8 + 3)

    def test_parts_of_one_key_keep_their_order(self) -> None:
        dispatch = dispatch_of(*[("a", n) for n in range(16)])
        dispatch.lose(next_of(dispatch), begun=True, alone=True, why="it died")
        first = next_of(dispatch)
        self.assertEqual((values(first), values(next_of(dispatch))), ([0, 1], []))
        dispatch.accept(first, all_done(first))
        self.assertEqual(values(next_of(dispatch)), [2, 3])

    def test_what_follows_suspects_waits_for_them(self) -> None:
        dispatch = dispatch_of(("a", 0), ("b", 1), ("a", 2), ("c", 3), batch_calls=2)
        dispatch.lose(next_of(dispatch), begun=True, alone=True, why="it died")
        self.assertEqual([values(next_of(dispatch)) for _ in range(3)], [[0], [1], [3]])

    def test_suspects_go_to_a_handler_that_has_nothing_else(self) -> None:
        dispatch = dispatch_of(("a", 0), ("b", 1), ("c", 2), batch_calls=2)
        dispatch.lose(next_of(dispatch), begun=True, alone=True, why="it died")
        self.assertEqual(dispatch.next_tasks(idle=False)[0], [])
        tasks, suspect = dispatch.next_tasks(idle=True)
        self.assertEqual((values(tasks), suspect), ([0], True))

    def test_no_attempt_is_counted_against_a_call_whose_handler_had_other_batches(self) -> None:
        dispatch = dispatch_of(("a", 0), batch_calls=1)
        for _ in range(3):
            dispatch.lose(next_of(dispatch), begun=True, alone=False, why="it died")
        self.assertEqual(dispatch.dead_letters, [])
        dispatch.lose(next_of(dispatch), begun=True, alone=True, why="it died")
        self.assertEqual(len(dispatch.dead_letters), 1)

    def test_a_batch_that_only_waited_goes_out_again_as_it_was(self) -> None:
        dispatch = dispatch_of(("a", 1), ("b", 2))
        for _ in range(MAX_UNBEGUN_LOSSES - 1):
            dispatch.lose(next_of(dispatch), begun=False, alone=True, why="it died")
        last = next_of(dispatch)
        self.assertEqual(values(last), [1, 2])
        dispatch.lose(last, begun=False, alone=True, why="it died")
        self.assertEqual(values(next_of(dispatch)), [1])

    def test_outputs_stand_in_log_order_whatever_the_order_of_results(self) -> None:
        dispatch = dispatch_of(("a", 1), ("b", 2), batch_calls=1)
        first, second = next_of(dispatch), next_of(dispatch)
        dispatch.accept(second, Judged(1, outputs=[(0, "second", None, []), (0, "third", None, [])]))
        dispatch.accept(first, Judged(1, outputs=[(0, "first", None, [])]))
        ordered = sorted(dispatch.outputs, key=lambda pair: (pair[0], pair[1].index))
        self.assertEqual([output.value for _, output in ordered], ["first", "second", "third"])
