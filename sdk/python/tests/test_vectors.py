"""sdk/vectors: what other implementations are held to, this one too."""

from __future__ import annotations

import json
import math
import random
import unittest
from typing import Any

from millrace import protocol
from millrace.testing.judge import Judged, Lie, judge

from .support import REPOSITORY, batch_of

VECTORS = REPOSITORY / "sdk" / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def from_meaning(value: Any) -> Any:
    if isinstance(value, list):
        return [from_meaning(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$bytes"}:
        return bytes.fromhex(value["$bytes"])
    if set(value) == {"$float"}:
        return float(value["$float"])
    return {key: from_meaning(item) for key, item in value.items()}


def same(one: Any, other: Any) -> bool:
    """Equal in type too: 1 is neither 1.0 nor True; NaN is NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (one == other or one != one and other != other)
    return bool(one == other)


class VectorsTest(unittest.TestCase):
    def test_messages_mean_what_the_vectors_say_and_are_packed_so(self) -> None:
        for name in ("sessions.json", "values.json", "batches.json", "results.json"):
            for message in load(name)["messages"]:
                with self.subTest(file=name, message=message["name"]):
                    frames = [bytes.fromhex(frame) for frame in message["frames"]]
                    body = from_meaning(message["body"])
                    kind, decoded = protocol.decode(frames)
                    self.assertEqual(kind, message["kind"].encode())
                    self.assertTrue(same(decoded, body), f"{decoded} is not {body}")
                    if message["canonical"]:
                        self.assertEqual(protocol.encode(kind, body), frames)

    def test_sessions_are_understood(self) -> None:
        parsers: dict[str, Any] = {"register": protocol.Register.parse, "welcome": protocol.Welcome.parse}
        for message in load("sessions.json")["messages"]:
            body = from_meaning(message["body"])
            if message["kind"] in parsers:
                with self.subTest(message["name"]):
                    known = parsers[message["kind"]](body).body()
                    self.assertEqual(known, {key: body[key] for key in known})

    def test_results_are_taken_or_refused(self) -> None:
        document = load("results.json")
        batch = from_meaning(document["batch"])
        for message in document["messages"]:
            with self.subTest(message["name"]):
                try:
                    judged = judge(
                        batch,
                        from_meaning(message["body"]),
                        document["mode"],
                        after_bye=message.get("after_bye", False),
                    )
                except Lie as lie:
                    self.assertIsNotNone(message["refused"], str(lie))
                    self.assertIn(message["refused"], str(lie))
                else:
                    self.assertIsNone(message["refused"], "it was taken")
                    self.assertEqual(not_run(batch, judged), message["not_run"])

    def test_malformed_messages_are_refused(self) -> None:
        for message in load("malformed.json")["messages"]:
            with self.subTest(message["name"]), self.assertRaises((protocol.ProtocolError, Lie)):
                kind, body = protocol.decode([bytes.fromhex(frame) for frame in message["frames"]])
                if kind == protocol.RESULT:  # msgpack makes an object of a timestamp: that is for the judge
                    judge(batch_of("k", ("a", 1)), body, protocol.KEYED)

    def test_no_bytes_make_a_judge_fail_otherwise_than_by_refusing(self) -> None:
        document = load("results.json")
        batch = from_meaning(document["batch"])
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        taken = 0
        with self.subTest(seed=seed):
            for message in document["messages"] * 40:
                frames = [bytearray.fromhex(frame) for frame in message["frames"]]
                for _ in range(chance.randrange(1, 4)):
                    frames[2][chance.randrange(len(frames[2]))] = chance.randrange(256)
                try:
                    judge(batch, protocol.decode([bytes(frame) for frame in frames])[1], protocol.KEYED)
                    taken += 1
                except (protocol.ProtocolError, Lie):
                    pass
            self.assertGreater(taken, 0)


def not_run(batch: dict[str, Any], judged: Judged) -> list[int]:
    left, failed = [], set()
    for index, call in enumerate(batch["calls"]):
        if index >= judged.done or call[1] in failed:
            left.append(index)
        elif index in judged.errors:
            failed.add(call[1])
    return left
