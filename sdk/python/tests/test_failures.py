"""Handler processes that die, hang, lie and are told to end, under TestWorker."""

from __future__ import annotations

import itertools
import os
import random
import signal
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

from millrace import Record, State, keyed, protocol
from millrace.testing import TestWorker

from .support import HERE, WAIT_S, Program, wait_until

TOTAL = HERE / "programs" / "total.py"


def totals(worker: TestWorker, key: str) -> list[int]:
    return [output.value["total"] for output in worker.outputs if output.key == key.encode()]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class FailuresTest(unittest.TestCase):
    def worker(self, **options: Any) -> TestWorker:
        return self.enterContext(TestWorker(**options))

    def program(self, worker: TestWorker, *arguments: str) -> Program:
        program = self.enterContext(Program(TOTAL, "--connect", worker.endpoint, *arguments))
        return program

    def test_order_and_state_hold_with_several_processes(self) -> None:
        keys = 60
        worker = self.worker(batch_calls=8)
        self.program(worker, "--processes", "3")
        worker.run_until(lambda: len(worker.handlers) == 3)
        for n in range(1, 601):
            worker.feed(f"k{n % keys}", {"amount": n})
        worker.run()
        for k in range(keys):
            amounts = [n for n in range(1, 601) if n % keys == k]
            self.assertEqual(totals(worker, f"k{k}"), [sum(amounts[: at + 1]) for at in range(len(amounts))])
        self.assertGreater(len({value["pid"] for value in worker.values}), 1)

    def test_order_and_state_hold_while_processes_and_the_worker_are_killed_at_random(self) -> None:
        seed = random.randrange(1 << 32)
        chance, keys, records = random.Random(seed), 20, 2000
        worker = self.worker(batch_calls=32, attempts=1000)
        program = self.program(worker, "--processes", "3")
        for n in range(records):
            worker.feed(f"k{n % keys}", {"amount": n, "do": "sleep", "s": 0.0005})
        kills = 0
        while len(worker.outputs) < records:
            least = len(worker.outputs) + chance.randrange(200)
            worker.run_until(lambda least=least: len(worker.outputs) >= min(least, records))  # type: ignore[misc]
            if chance.random() < 0.1:
                worker.restart()
            elif children := children_of(program.pid):
                os.kill(chance.choice(children), signal.SIGKILL)
                kills += 1
        worker.run()
        with self.subTest(seed=seed, kills=kills):
            self.assertGreater(kills, 5)
            self.assertEqual((worker.dead_letters, worker.counts["lies"]), ([], 0), worker.refusals)
            for k in range(keys):
                amounts = [n for n in range(records) if n % keys == k]
                self.assertEqual(totals(worker, f"k{k}"), list(itertools.accumulate(amounts)))

    def test_a_batch_of_a_handler_that_dies_goes_to_another(self) -> None:
        worker = self.worker(batch_calls=8, attempts=3)
        with tempfile.TemporaryDirectory() as folder:
            self.program(worker, "--processes", "2")
            worker.feed("a", {"amount": 1})
            worker.feed("b", {"do": "die once", "file": f"{folder}/died", "amount": 2})
            worker.feed("a", {"amount": 4})
            worker.run()
        self.assertEqual((worker.state("a"), worker.state("b"), worker.dead_letters), ({"total": 5}, {"total": 2}, []))
        self.assertEqual(totals(worker, "a"), [1, 5])
        self.assertEqual(worker.counts["lost"], 1)

    def test_a_record_that_kills_every_handler_is_found_and_its_key_goes_on(self) -> None:
        worker = self.worker(batch_calls=32, attempts=2)
        self.program(worker, "--processes", "2")
        for n in range(40):
            worker.feed(f"k{n % 5}", {"amount": 1, "do": "die" if n == 23 else None})
        worker.run(timeout_s=2 * WAIT_S)
        self.assertEqual([letter.value["do"] for letter in worker.dead_letters], ["die"])
        self.assertEqual([worker.state(f"k{k}")["total"] for k in range(5)], [8, 8, 8, 7, 8])

    def test_a_hanging_call_is_taken_away_and_its_process_ends_and_says_where(self) -> None:
        worker = self.worker(attempts=1, timeout_ms=1000)
        program = self.program(worker)
        worker.feed("a", {"amount": 1, "do": "hang"})
        worker.feed("a", {"amount": 2})
        worker.run()
        self.assertEqual([letter.value["do"] for letter in worker.dead_letters], ["hang"])
        self.assertEqual(totals(worker, "a"), [2])
        self.assertGreaterEqual(worker.counts["late"] + worker.counts["lost"], 2)
        self.assertIn(f"was killed by signal {int(signal.SIGALRM)}", program.log())
        self.assertIn("programs/total.py", program.log())

    def test_a_hanging_call_without_a_watchdog_costs_its_handler_only(self) -> None:
        worker = self.worker(attempts=1, timeout_ms=1000)
        for _ in range(2):
            self.program(worker, "--processes", "0")
        worker.run_until(lambda: len(worker.handlers) == 2)
        worker.feed("a", {"amount": 1, "do": "hang"})
        worker.run()
        self.assertEqual([letter.value["do"] for letter in worker.dead_letters], ["hang"])
        self.assertGreaterEqual(worker.counts["late"], 1)
        worker.feed("a", {"amount": 2})
        worker.run()
        self.assertEqual(totals(worker, "a"), [2])

    def test_a_handler_that_was_stopped_and_goes_on_is_not_believed_twice(self) -> None:
        worker = self.worker(attempts=100, timeout_ms=300, heartbeat_ms=100)
        stopped = self.program(worker, "--processes", "0")
        with tempfile.TemporaryDirectory() as folder:
            worker.feed("a", {"amount": 1, "do": "wait", "file": f"{folder}/go"})
            worker.run_until(lambda: bool(worker.begun))
            os.kill(stopped.pid, signal.SIGSTOP)
            Path(folder, "go").touch()
            self.program(worker, "--processes", "0")
            worker.run()
            os.kill(stopped.pid, signal.SIGCONT)
            worker.run_until(lambda: worker.counts["registered"] >= 3 and len(worker.handlers) == 2)
        worker.feed("a", {"amount": 1})
        worker.run()
        self.assertEqual((totals(worker, "a"), worker.dead_letters), ([1, 2], []))

    def test_the_worker_is_killed_and_started_again(self) -> None:
        worker = self.worker(batch_calls=4)
        self.program(worker)
        for _ in range(20):
            worker.feed("a", {"amount": 1, "do": "sleep", "s": 0.01})
        for batches in (1, 3):
            worker.run_until(lambda least=batches: worker.counts["batches"] >= least)  # type: ignore[misc]
            worker.restart()
        worker.run()
        self.assertEqual(totals(worker, "a"), list(range(1, 21)))
        self.assertGreaterEqual(worker.counts["registered"], 3)

    def test_a_worker_that_falls_silent_is_registered_with_again(self) -> None:
        worker = self.worker(heartbeat_ms=50)
        self.program(worker)
        worker.run_until(lambda: len(worker.handlers) == 1)
        worker.mute(muted=True)
        worker.run_until(lambda: worker.counts["registered"] >= 2)
        worker.mute(muted=False)
        worker.feed("a", {"amount": 1})
        worker.run()
        self.assertEqual(totals(worker, "a"), [1])

    def test_sigterm_in_the_middle_of_a_batch_finishes_the_call_and_gives_back_the_rest(self) -> None:
        worker = self.worker(timeout_ms=400)
        first = self.program(worker, "--processes", "0")
        worker.run_until(lambda: len(worker.handlers) == 1)
        for _ in range(40):
            worker.feed("a", {"amount": 1, "do": "sleep", "s": 0.05})
        worker.run_until(lambda: any(worker.begun))
        first.process.send_signal(signal.SIGTERM)
        worker.run_until(lambda: first.process.poll() is not None)
        self.assertEqual(first.process.returncode, 0, first.log())
        done = len(worker.outputs)
        self.assertTrue(0 < done < 40, done)
        second = self.program(worker, "--processes", "0")
        worker.run()
        self.assertEqual(totals(worker, "a"), list(range(1, 41)))
        self.assertEqual(worker.counts["lost"] + worker.counts["late"] + worker.counts["lies"], 0)
        self.assertEqual({value["pid"] for value in worker.values[done:]}, {second.pid})

    def test_sigterm_ends_all_processes(self) -> None:
        worker = self.worker()
        program = self.program(worker, "--processes", "3")
        worker.run_until(lambda: len(worker.handlers) == 3)
        for n in range(30):
            worker.feed(f"k{n}", {"amount": n})
        worker.run()
        program.process.send_signal(signal.SIGTERM)
        worker.run_until(lambda: program.process.poll() is not None)
        self.assertEqual(program.process.returncode, 0, program.log())
        for pid in {value["pid"] for value in worker.values}:
            with self.assertRaises(ProcessLookupError):
                os.kill(pid, 0)

    def test_children_end_when_their_parent_is_killed(self) -> None:
        worker = self.worker()
        program = self.program(worker, "--processes", "2")
        worker.run_until(lambda: len(worker.handlers) == 2)
        worker.feed("a", {"amount": 1})
        worker.run()
        child = worker.values[0]["pid"]
        program.process.kill()
        program.process.wait()

        def is_gone() -> bool:
            try:
                with open(f"/proc/{child}/stat") as stat:
                    return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
            except FileNotFoundError:
                return True

        worker.run_until(is_gone)

    def test_a_child_that_exits_is_started_again(self) -> None:
        worker = self.worker(attempts=2)
        program = self.program(worker, "--processes", "2")
        worker.feed("a", {"do": "exit"})
        worker.feed("a", {"amount": 1})
        worker.run()
        self.assertEqual(totals(worker, "a"), [1])
        worker.run_until(lambda: len(worker.handlers) == 2)
        self.assertIn("ended with exit code", program.log())


class LyingTest(unittest.TestCase):
    """Results that break the rules, by handlers that are otherwise right."""

    def test_a_lie_counts_for_nothing_and_the_call_alone_pays_for_it(self) -> None:
        @keyed
        def total(record: Record, state: State) -> Any:
            state["total"] = state.get("total", 0) + 1
            value: Any = state["total"]
            for _ in range(100 if record.value == "deep" else 0):
                value = [value]
            return value

        with TestWorker(total, attempts=2) as worker:
            for value in ["a", "b", "deep", "c"]:
                worker.feed(value, value)
                worker.feed("one", value)
            worker.run(timeout_s=2 * WAIT_S)
            self.assertEqual(Counter(letter.value for letter in worker.dead_letters), Counter({"deep": 2}))
            self.assertEqual(worker.state("one"), {"total": 3})
            self.assertEqual(worker.state("a"), {"total": 1})
            self.assertGreater(worker.counts["lies"], 0)
            results = [refusal for refusal in worker.refusals if refusal.startswith("result: ")]
            self.assertTrue(all("nested deeper than 64" in refusal for refusal in results), results)

    def test_a_handler_of_the_wrong_mode_is_refused(self) -> None:
        with (
            TestWorker(mode=protocol.STATELESS) as worker,
            Program(TOTAL, "--connect", worker.endpoint) as program,
        ):
            worker.run_until(lambda: bool(worker.refusals))
            self.assertEqual(worker.refusals[0], "mode: the stage is stateless, the handler keyed")
            wait_until(lambda: "refused this handler: mode" in program.log(), "the handler says so")
