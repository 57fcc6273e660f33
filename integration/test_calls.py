"""Stages that call a service: one that never answers twice alike, that is slow, busy, gone, or answers nonsense; workers are killed meanwhile."""

import collections
import json
import os
import random
import threading
import time
import unittest

import scenario
from cluster import Cluster, coordinator, wait_for
from http_service import Answer, Service

JOB = """\
name: calls
source: {{format: jsonl}}
key: k
partitions: 4
stages:
  - name: ask
    call: {{ http: '{url}/score', result: '{{ seq = r.seq, luck = response.body.luck }}' }}
    timeout: {timeout}
    retry: {retry}
    concurrency: 8
  - keyed:
      lua: |
        state.n = (state.n or 0) + 1
        state.sum = (state.sum or 0) + r.luck
        emit({{ seq = r.seq, n = state.n, luck = r.luck, sum = state.sum }})
commit: {{interval: 50ms}}
"""
JSON = {"Content-Type": "application/json"}
GIGABYTE = 1 << 30
WORKER_ROOM_KB = 300 << 10  # that a worker may take while gigabytes are poured over it


def setUpModule():
    scenario.announce("calls")


def job(cluster, url, timeout="10s", retry="{ attempts: 20, backoff: 10ms..200ms }"):
    return cluster.write("calls.yaml", JOB.format(url=url, timeout=timeout, retry=retry))


def lines(counts):
    return "".join(json.dumps({"k": key, "seq": seq}) + "\n" for key, seq in counts)


class Calls(unittest.TestCase):
    def expect_consistent(self, cluster, keys, records):
        """Each key's records in order, each once, and its sums are those of the answers that are in them."""
        results = cluster.results("calls")
        self.assertEqual(len(results), records)
        by_key = collections.defaultdict(list)
        for result in results:
            by_key[result["key"]].append(result["value"])
        self.assertEqual(set(by_key), keys)
        for key, values in by_key.items():
            self.assertEqual([value["seq"] for value in values], list(range(1, len(values) + 1)), key)
            total = 0
            for value in values:
                total += value["luck"]
                self.assertEqual(value["sum"], total, key)

    def test_killed_everywhere_results_state_and_verify_agree(self):
        rng = random.Random(scenario.SEED)
        records, kills = 4000, int(os.environ.get("MILLRACE_KILLS", "12"))
        lock = threading.Lock()

        def fickle(_request):
            with lock:
                what, luck = rng.randrange(20), rng.randrange(1 << 40)
            if what == 0:
                return Answer(503)
            if what == 1:
                return Answer(429, headers={"Retry-After": "0"})
            if what == 2:
                return Answer(reset=True)
            return Answer(200, json.dumps({"luck": luck}).encode(), JSON)

        with Service(fickle) as service, Cluster(workers=["w1", "w2"]) as cluster:
            sequence, input_lines = collections.Counter(), []
            for i in range(records):
                key = f"key-{i * i % 61}"
                sequence[key] += 1
                input_lines.append((key, sequence[key]))
            cluster.run("submit", job(cluster, service.url), "--input", cluster.write("in.jsonl", lines(input_lines)))
            for number in range(kills):
                time.sleep(rng.uniform(0.05, 0.4))
                if number % 4 == 3:
                    cluster.nats.kill()
                    cluster.nats.start()
                elif number % 4 == 1:
                    worker = rng.choice(["w1", "w2"])
                    cluster.restart_worker(worker, failpoint=f"after_answers:{rng.randrange(1, 4)}")
                    wait_for(lambda w=worker: not cluster.workers[w].running() or cluster.status("calls")["state"] == "completed",
                             "the worker dies when it has written answers down")
                    cluster.restart_worker(worker)
                else:
                    cluster.restart_worker(rng.choice(["w1", "w2"]))
            cluster.wait_state("calls", "completed")
            self.expect_consistent(cluster, set(sequence), records)
            self.assertEqual(cluster.status("calls")["dead_letters"], 0)
            asked = len(service.seen())
            cluster.run("verify", "calls")
            for key in list(sequence)[:3]:
                cluster.run("state", "get", "calls", key)
            replayed = cluster.run("replay", "calls", "--partition", "0", "--to", "5")
            self.assertIn("replayed offsets", replayed.stderr)
            self.assertEqual(len(service.seen()), asked, "what is written down is asked of nobody")
            keys = collections.Counter(request.key for request in service.seen())
            self.assertEqual(len(keys), records, "a record's requests have one key, whoever makes them")

    def test_a_service_in_every_mood(self):
        said = {"garbage": Answer(200, b"<html>", JSON), "refuse": Answer(404, b"no such one"), "raw": Answer(raw=b"\x00\x01 what?\r\n\r\n"),
                "large": Answer(200, headers=JSON, size=GIGABYTE), "moved": Answer(302, headers={"Location": "http://127.0.0.1:1/"}),
                "busy": Answer(503), "good": Answer(200, b'{"luck": 1}', JSON)}

        def answer(request):
            mood = json.loads(request.body)["mood"]
            if mood == "hang":
                time.sleep(2)
            return said.get(mood, said["good"])

        moods = [*said, "hang", "good"]
        with Service(answer) as service, Cluster(workers=["w1"]) as cluster:
            records = [{"k": f"k{i}", "seq": 1, "mood": mood} for i, mood in enumerate(moods)]
            data = cluster.write("in.jsonl", "".join(json.dumps(record) + "\n" for record in records))
            cluster.run("submit", job(cluster, service.url, timeout="1s", retry="{ attempts: 2, backoff: 10ms }"), "--input", data, "--wait")
            letters = {letter["value"]["mood"]: letter for letter in cluster.json("dead-letters", "list", "calls")}
            self.assertEqual(set(letters), set(moods) - {"good"})
            for mood, error in (("garbage", "the answer is no JSON"), ("refuse", "HTTP 404 no such one"), ("large", "more than 262144 bytes"),
                                ("moved", "HTTP 302"), ("busy", "HTTP 503 (2 times)"), ("hang", "no answer in time (2 times)")):
                self.assertIn(error, letters[mood]["error"], mood)
            self.assertEqual(len(cluster.results("calls")), 2)
            asked = collections.Counter(json.loads(request.body)["mood"] for request in service.seen())
            self.assertEqual((asked["refuse"], asked["garbage"], asked["busy"]), (1, 1, 2), "only what may pass is asked again")
            with open(f"/proc/{cluster.workers['w1'].pid}/status") as status:
                peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
            self.assertLess(peak, WORKER_ROOM_KB)
            cluster.run("verify", "calls")

    def test_what_needs_no_cluster(self):
        with Service(lambda _request: Answer(200, b'{"luck": 5}', JSON)) as service, Cluster() as cluster:
            file = job(cluster, service.url)
            tried = coordinator("try", file, stdin=lines([("a", 1), ("a", 2)]))
            self.assertEqual(tried.returncode, 0, tried.stderr)
            self.assertIn(f"stage ask calls {service.url}/score", tried.stderr)
            self.assertEqual([json.loads(line)["value"]["sum"] for line in tried.stdout.splitlines()], [5, 10])
            asked = len(service.seen())
            text = file.read_text() + "tests:\n  - { name: sums, input: [ { k: a, seq: 1 } ], expect: [ { key: a, value: { seq: 1, n: 1, luck: 7, sum: 7 } } ]"
            tested = coordinator("test", cluster.write("given.yaml", text + ", calls: [ { stage: ask, body: { luck: 7 } } ] }\n"))
            self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
            refused = coordinator("test", cluster.write("silent.yaml", text + " }\n"))
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("a test asks no service", refused.stderr)
            self.assertEqual(len(service.seen()), asked)


if __name__ == "__main__":
    unittest.main()
