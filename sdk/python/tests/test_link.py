"""A handler's process against a worker that behaves as the test says."""

from __future__ import annotations

import threading
import time
import unittest
from typing import Any
from unittest import mock

from millrace import Handler, Record, State, keyed, protocol
from millrace.endpoints import Endpoints
from millrace.service import Service

from .support import WAIT_S, WELCOME, RawWorker, batch_of


@keyed
def total(record: Record, state: State) -> Any:
    if "wait_for" in record.value:
        record.value["wait_for"]()
    state["total"] = state.get("total", 0) + record.value["amount"]
    return state["total"]


class Serving:
    """A handler that serves on a thread."""

    def __init__(self, handler: Handler, *endpoints: str, capacity: int = 2, patience_s: float = 0.1) -> None:
        self.service = Service(handler, Endpoints(list(endpoints)), capacity=capacity, drain_patience_s=patience_s)
        self.thread = threading.Thread(target=self.service.run, daemon=True)

    def __enter__(self) -> Serving:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


class LinkTest(unittest.TestCase):
    def setUp(self) -> None:
        self.worker = self.enterContext(RawWorker())

    def serve(self, handler: Handler = total, **options: Any) -> Serving:
        return self.enterContext(Serving(handler, self.worker.endpoint, **options))

    def test_says_who_it_is(self) -> None:
        self.serve(capacity=7)
        _, body = self.worker.receive_kind(protocol.REGISTER)
        register = protocol.Register.parse(body)
        self.assertEqual((register.name, register.mode, register.capacity), ("total", "keyed", 7))
        self.assertTrue(register.sdk.startswith("python "))

    def test_begins_a_batch_with_progress_and_answers_it(self) -> None:
        self.serve()
        who = self.worker.welcome()
        self.worker.send(who, protocol.BATCH, batch_of("b1", ("a", {"amount": 2})))
        self.assertEqual(self.worker.receive(), (who, protocol.PROGRESS, {"id": "b1", "done": 0}))
        self.assertEqual(
            self.worker.receive(),
            (
                who,
                protocol.RESULT,
                {"id": "b1", "states": [[0, {"total": 2}]], "outputs": [[0, 2, None, None]]},
            ),
        )

    def test_the_same_batch_twice_gives_the_same_result_twice(self) -> None:
        self.serve()
        who = self.worker.welcome()
        batch = batch_of("b1", ("a", {"amount": 2}), ("a", {"amount": 3}), states={"a": {"total": 10}})
        results = []
        for _ in range(2):
            self.worker.send(who, protocol.BATCH, batch)
            results.append(self.worker.receive_kind(protocol.RESULT)[1])
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0]["states"], [[0, {"total": 12}], [1, {"total": 15}]])

    def test_answers_each_heartbeat(self) -> None:
        self.serve()
        who = self.worker.welcome()
        for _ in range(3):
            self.worker.send(who, protocol.HEARTBEAT, {})
            self.assertEqual(self.worker.receive(), (who, protocol.HEARTBEAT, {}))

    def test_registers_anew_from_a_new_socket_when_the_worker_is_silent(self) -> None:
        self.serve()
        first = self.worker.welcome()
        began_s = time.monotonic()
        second = self.worker.welcome()
        self.assertNotEqual(first, second)
        self.assertGreater(time.monotonic() - began_s, 0.9 * 5 * 0.2)

    def test_asks_a_silent_worker_and_registers_when_that_was_started_again(self) -> None:
        self.serve()
        self.worker.welcome(heartbeat_ms=200)
        self.worker.rebind()
        who, kind, _ = self.worker.receive()
        self.assertEqual(kind, protocol.HEARTBEAT)
        self.worker.send(who, protocol.REFUSED, {"code": "unregistered", "why": "who is this"})
        who = self.worker.welcome(heartbeat_ms=10_000)
        self.worker.send(who, protocol.BATCH, batch_of("b1", ("a", {"amount": 2})))
        self.assertEqual(self.worker.receive_kind(protocol.RESULT)[1]["id"], "b1")

    def test_a_refusal_is_followed_by_a_new_registration(self) -> None:
        self.serve()
        for code in ("unregistered", "late", "result"):
            who = self.worker.welcome(heartbeat_ms=10_000)
            self.worker.send(who, protocol.REFUSED, {"code": code, "why": "because"})

    def test_bye_of_the_worker_is_followed_by_a_new_registration(self) -> None:
        self.serve()
        who = self.worker.welcome(heartbeat_ms=10_000)
        self.worker.send(who, protocol.BYE, {})
        self.worker.welcome()

    def test_the_result_of_a_session_that_ended_meanwhile_is_dropped(self) -> None:
        release = threading.Event()
        entered = threading.Event()

        @keyed
        def waits(record: Record, state: State) -> Any:
            entered.set()
            assert release.wait(WAIT_S)
            return record.value

        self.serve(waits)
        who = self.worker.welcome(heartbeat_ms=10_000)
        self.worker.send(who, protocol.BATCH, batch_of("old", ("a", 1), ("a", 2)))
        self.assertTrue(entered.wait(WAIT_S))
        self.worker.send(who, protocol.REFUSED, {"code": "late", "why": "too slow"})
        release.set()
        new = self.worker.welcome(heartbeat_ms=10_000)
        self.worker.send(new, protocol.BATCH, batch_of("new", ("a", 1)))
        identity, body = self.worker.receive_kind(protocol.RESULT)
        while identity != new:  # it may have left before the refusal was read: from the socket of then
            self.assertEqual((identity, body["id"]), (who, "old"))
            identity, body = self.worker.receive_kind(protocol.RESULT)
        self.assertEqual(body["id"], "new")

    def test_heartbeats_are_answered_between_calls_and_progress_is_said(self) -> None:
        @keyed
        def slow(record: Record, state: State) -> Any:
            time.sleep(0.02)
            return None

        self.serve(slow)
        who = self.worker.welcome(progress_ms=10, heartbeat_ms=10_000)
        self.worker.send(who, protocol.BATCH, batch_of("b1", *[("a", 1)] * 30))
        self.worker.send(who, protocol.HEARTBEAT, {})
        kinds: list[bytes] = []
        progress: list[int] = []
        while protocol.RESULT not in kinds:
            _, kind, body = self.worker.receive()
            kinds.append(kind)
            if kind == protocol.PROGRESS:
                progress.append(body["done"])
        self.assertIn(protocol.HEARTBEAT, kinds)
        self.assertEqual(progress[0], 0)
        self.assertEqual(progress, sorted(set(progress)))
        self.assertGreater(len(progress), 5)

    def test_drains_says_bye_gives_back_what_waits_and_leaves_after_the_workers_bye(self) -> None:
        entered = threading.Event()
        release = threading.Event()

        @keyed
        def waits(record: Record, state: State) -> Any:
            entered.set()
            assert release.wait(WAIT_S)
            return record.value

        serving = self.serve(waits, patience_s=WAIT_S)
        who = self.worker.welcome(progress_ms=10, heartbeat_ms=10_000)
        self.worker.send(who, protocol.BATCH, batch_of("b1", ("a", 1), ("b", 2)))
        self.assertTrue(entered.wait(WAIT_S))
        self.worker.send(who, protocol.BATCH, batch_of("b2", ("c", 3)))
        serving.service.stop()
        time.sleep(0.05)  # beyond progress_ms: the next look between two calls is due
        release.set()
        seen: list[tuple[bytes, Any, Any]] = []
        while len([kind for kind, _, _ in seen if kind == protocol.RESULT]) < 2:
            _, kind, body = self.worker.receive()
            seen.append((kind, body.get("id"), body.get("done")))
        self.worker.send(who, protocol.BATCH, batch_of("b3", ("d", 4)))  # it crossed the bye
        self.assertEqual(self.worker.receive_kind(protocol.RESULT)[1], {"id": "b3", "done": 0})
        self.assertTrue(serving.thread.is_alive())
        self.worker.send(who, protocol.BYE, {})
        serving.thread.join(WAIT_S)
        self.assertFalse(serving.thread.is_alive())
        bye = seen.index((protocol.BYE, None, None))
        self.assertLess(bye, seen.index((protocol.RESULT, "b2", 0)))
        self.assertIn((protocol.RESULT, "b1", 1), seen)

    @mock.patch("millrace.link._LONG_PAUSE_S", 0.05)
    def test_a_worker_that_breaks_the_protocol_is_left_and_tried_again(self) -> None:
        broken = [(b"nonsense", {}), (protocol.WELCOME, WELCOME), (protocol.BATCH, {"id": 7})]
        broken += [(protocol.BATCH, {"id": "b1", "keys": 1, "calls": []})]
        self.serve()
        for kind, body in broken:
            who = self.worker.welcome(heartbeat_ms=10_000)
            self.worker.send(who, kind, body)
        self.worker.welcome(heartbeat_ms=10_000)

    def test_two_workers_are_served_by_one_handler(self) -> None:
        with RawWorker() as other:
            self.enterContext(Serving(total, self.worker.endpoint, other.endpoint))
            for worker in (self.worker, other):
                who = worker.welcome(heartbeat_ms=10_000)
                worker.send(who, protocol.BATCH, batch_of("b1", ("a", {"amount": 2})))
            for worker in (self.worker, other):
                self.assertEqual(worker.receive_kind(protocol.RESULT)[1]["id"], "b1")

    def test_a_pattern_finds_workers_that_come_later(self) -> None:
        pattern = self.worker.endpoint.replace("raw.sock", "*.sock")
        self.enterContext(Serving(total, pattern))
        self.worker.welcome(heartbeat_ms=10_000)
