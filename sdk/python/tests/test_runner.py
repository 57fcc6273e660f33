"""What a batch comes to: outputs, states, errors. No socket."""

from __future__ import annotations

import datetime
import unittest
from collections.abc import Iterator
from typing import Any

from millrace import Emit, Handler, Record, Reject, State, Timer, keyed, protocol, stateless
from millrace.pack import unpack
from millrace.runner import BatchRunner
from millrace.testing.judge import judge

from .support import batch_of


def run(handler: Handler, batch: dict[str, Any], stop_before: int | None = None) -> dict[str, Any]:
    """The result, after a worker's judgement of it. Told of progress before each call."""
    packed = BatchRunner(handler, "feed").run(batch, lambda done: done == stop_before, 0)
    result: dict[str, Any] = unpack(packed)
    judge(batch, result, handler.mode)
    return result


@keyed
def total(record: Record, state: State) -> Any:
    state["total"] = state.get("total", 0) + record.value["amount"]
    return {"total": state["total"]}


class RunnerTest(unittest.TestCase):
    def test_calls_of_a_key_see_what_the_one_before_left(self) -> None:
        batch = batch_of(
            "1", ("a", {"amount": 1}), ("b", {"amount": 5}), ("a", {"amount": 2}), states={"a": {"total": 9}}
        )
        self.assertEqual(
            run(total, batch),
            {
                "id": "1",
                "states": [[0, {"total": 10}], [1, {"total": 5}], [2, {"total": 12}]],
                "outputs": [
                    [0, {"total": 10}, None, None],
                    [1, {"total": 5}, None, None],
                    [2, {"total": 12}, None, None],
                ],
            },
        )

    def test_a_call_that_raises_changes_nothing_and_what_follows_of_its_key_is_left(self) -> None:
        @keyed
        def spoils(record: Record, state: State) -> Iterator[Any]:
            yield "before"
            state["seen"] = record.value
            if record.value == "bad":
                del state["list"]
                raise Reject("it is\n  bad")
            state.setdefault("list", []).append(record.value)
            yield "after"

        batch = batch_of("1", ("a", "x"), ("a", "bad"), ("b", "bad"), ("a", "y"), ("c", "z"))
        self.assertEqual(
            run(spoils, batch),
            {
                "id": "1",
                "states": [[0, {"seen": "x", "list": ["x"]}], [4, {"seen": "z", "list": ["z"]}]],
                "outputs": [[0, "before", None, None], [0, "after", None, None]]
                + [[4, "before", None, None], [4, "after", None, None]],
                "errors": [[1, "it is bad"], [2, "KeyError: 'list'"]],
            },
        )

    def test_an_empty_state_is_none(self) -> None:
        @keyed
        def forgets(record: Record, state: State) -> None:
            state.clear()

        batch = batch_of("1", ("a", 1), ("b", 2), states={"a": {"total": 9}})
        self.assertEqual(run(forgets, batch), {"id": "1", "states": [[0, None]]})

    def test_state_that_is_no_map_fails_the_call(self) -> None:
        result = run(total, batch_of("1", ("a", {"amount": 1}), states={"a": [1]}))
        self.assertEqual(result["errors"], [[0, "the key's state is no map: this handler keeps maps"]])

    def test_what_cannot_be_packed_fails_its_call_alone(self) -> None:
        unpackable = [{1, 2}, 1 << 64, -(1 << 63) - 1, datetime.datetime(2001, 1, 1), "\udcff", object()]

        @keyed
        def gives(record: Record, state: State) -> Any:
            return {"v": unpackable[record.value] if record.value is not None else "fine"}

        calls: list[tuple[str, Any]] = [(f"k{at}", at) for at in range(len(unpackable))]
        result = run(gives, batch_of("1", *calls, ("last", None)))
        self.assertEqual([call for call, _ in result["errors"]], list(range(len(unpackable))))
        self.assertEqual(result["outputs"], [[len(unpackable), {"v": "fine"}, None, None]])

    def test_a_state_that_cannot_be_packed_fails_the_call_that_made_it(self) -> None:
        @keyed
        def keeps(record: Record, state: State) -> Any:
            state["v"] = {1} if record.value == "set" else record.value
            return record.value

        result = run(keeps, batch_of("1", ("a", 1), ("a", "set"), ("a", 2)))
        self.assertEqual(result["states"], [[0, {"v": 1}]])
        self.assertEqual(result["outputs"], [[0, 1, None, None]])
        self.assertEqual([call for call, _ in result["errors"]], [1])

    def test_integers_are_exact_to_64_bits(self) -> None:
        extremes = [-(1 << 63), (1 << 64) - 1, (1 << 53) + 1]

        @stateless
        def same(record: Record) -> Any:
            return record.value

        result = run(same, batch_of("1", *[("k", number) for number in extremes]))
        self.assertEqual([row[1] for row in result["outputs"]], extremes)

    def test_outputs_are_packed_as_they_are_given(self) -> None:
        @keyed
        def grows(record: Record, state: State) -> Iterator[Any]:
            state["n"] = 1
            yield state
            state["n"] = 2
            yield state

        result = run(grows, batch_of("1", ("a", 1)))
        self.assertEqual([row[1] for row in result["outputs"]], [{"n": 1}, {"n": 2}])

    def test_emit_gives_key_and_headers_and_can_give_nothing_a_value(self) -> None:
        @stateless
        def emits(record: Record) -> Iterator[Any]:
            yield Emit(1, key="é", headers={"a": "b"})
            yield Emit(None, key=b"\xff")
            yield None

        result = run(emits, batch_of("1", ("a", 1)))
        self.assertEqual(result["outputs"], [[0, 1, "é".encode(), [["a", "b"]]], [0, None, b"\xff", None]])

    def test_an_output_with_a_wrong_key_or_header_fails(self) -> None:
        wrong = [Emit(1, key=7), Emit(1, headers={"a": 7}), Emit(1, headers={str(n): "" for n in range(65)})]  # type: ignore[arg-type, dict-item]

        @stateless
        def emits(record: Record) -> Any:
            return wrong[record.value]

        result = run(emits, batch_of("1", ("a", 0), ("b", 1), ("c", 2)))
        self.assertEqual([call for call, _ in result["errors"]], [0, 1, 2])

    def test_keys_that_are_no_text_come_and_go_exactly(self) -> None:
        @stateless
        def echoes(record: Record) -> Any:
            return Emit(len(record.key), key=record.key)

        batch = batch_of("1", ("a", 1))
        batch["keys"][0][0] = b"\xffk\xc3\xa9"
        self.assertEqual(run(echoes, batch)["outputs"], [[0, 3, b"\xffk\xc3\xa9", None]])

    def test_a_record_shows_its_time_headers_label_and_id(self) -> None:
        seen = []

        @stateless
        def looks(record: Record) -> None:
            seen.append((record.key, record.time_ms, record.headers, record.label, record.id, record.ending))

        batch = batch_of("1", ("a", 1))
        batch["calls"][0][4] = [["x", "1"], ["x", "2"]]
        batch["ending"] = True
        run(looks, batch)
        self.assertEqual(seen, [("a", 1000, {"x": "2"}, "0.0.0.0", "feed.0.0.0.0", True)])

    def test_timers_are_asked_for_and_fire(self) -> None:
        @keyed
        def waits(record: Record, state: State) -> None:
            state["n"] = state.get("n", 0) + 1
            record.timer("10s")
            record.timer(datetime.timedelta(milliseconds=5))
            record.timer_at(record.time_ms + 1)

        @waits.on_timer
        def fires(timer: Timer, state: State) -> Any:
            n = state["n"]
            state.clear()
            return {"n": n, "time": timer.time_ms}

        batch = batch_of("1", ("a", 1))
        batch["calls"].append([protocol.TIMER_CALL, 0, None, 77, None, "0.0.9.t0"])
        result = run(waits, batch)
        self.assertEqual(result["timers"], [[0, 0, 10_000], [0, 0, 5], [0, 1, 1001]])
        self.assertEqual(result["outputs"], [[1, {"n": 1, "time": 77}, None, None]])
        self.assertEqual(result["states"], [[0, {"n": 1}], [1, None]])

    def test_a_timer_without_on_timer_fails_the_call(self) -> None:
        @keyed
        def waits(record: Record, state: State) -> None:
            record.timer(1)

        batch = batch_of("1", ("a", 1))
        batch["calls"].append([protocol.TIMER_CALL, 0, None, 77, None, "0.0.9.t0"])
        self.assertEqual(
            run(waits, batch)["errors"], [[0, "a timer was set, but the handler has no `on_timer` to run"]]
        )

    def test_wrong_timers_fail_the_call(self) -> None:
        delays: list[Any] = [-1, "10", "ten s", "1.5s", 1.5, 1 << 53]

        @keyed
        def waits(record: Record, state: State) -> None:
            record.timer(delays[record.value])

        @waits.on_timer
        def fires(timer: Timer, state: State) -> None:
            pass

        result = run(waits, batch_of("1", *[(str(at), at) for at in range(len(delays))]))
        self.assertEqual(len(result["errors"]), len(delays))

    def test_it_stops_between_two_calls_and_says_how_many_are_done(self) -> None:
        batch = batch_of("1", ("a", {"amount": 1}), ("b", {"amount": 2}), ("a", {"amount": 3}))
        result = run(total, batch, stop_before=2)
        self.assertEqual((result["done"], len(result["outputs"])), (2, 2))

    def test_progress_is_said_before_the_first_call_and_when_it_is_due(self) -> None:
        now, said = [0.0], []

        @stateless
        def takes_a_second(record: Record) -> None:
            now[0] += 1

        def beat(done: int) -> bool:
            said.append(done)
            return False

        runner = BatchRunner(takes_a_second, "feed", clock=lambda: now[0])
        runner.run(batch_of("1", *[("k", 0)] * 7), beat, beat_s=3)
        self.assertEqual(said, [0, 3, 6])

    def test_outputs_beyond_the_bounds_fail_their_call(self) -> None:
        @stateless
        def floods(record: Record) -> Iterator[Any]:
            if record.value == "large":
                yield "x" * protocol.MAX_OUTPUT_BYTES
            while record.value == "many":
                yield 1

        result = run(floods, batch_of("1", ("a", "many"), ("b", "large"), ("c", "none")))
        self.assertEqual([call for call, _ in result["errors"]], [0, 1])

    def test_a_batch_whose_result_would_be_too_large_is_left_in_the_middle(self) -> None:
        @stateless
        def large(record: Record) -> Iterator[Any]:
            for _ in range(record.value):
                yield b"x" * 1_000_000

        batch = batch_of("1", ("a", 30), ("b", 30), ("c", 70))
        result = run(large, batch)
        self.assertEqual((result["done"], len(result["outputs"])), (1, 30))
        alone = run(large, batch_of("2", ("c", 70)))
        self.assertEqual(len(alone["errors"]), 1)

    def test_a_malformed_batch_is_the_workers_fault(self) -> None:
        for spoil in (
            {"calls": 7},
            {"keys": [[b"a"]]},
            {"calls": [[0, 9, 1, 0, None, ""]]},
            {"calls": [[7, 0, 1, 0, None, ""]]},
        ):
            with self.subTest(spoil), self.assertRaises(protocol.ProtocolError):
                run(total, {**batch_of("1", ("a", 1)), **spoil})

    def test_a_long_error_is_one_short_line(self) -> None:
        @stateless
        def fails(record: Record) -> None:
            raise Reject("é\n" * 5000)

        why = run(fails, batch_of("1", ("a", 1)))["errors"][0][1]
        self.assertTrue(why.endswith("…") and len(why.encode()) <= protocol.MAX_ERROR_BYTES, why)
