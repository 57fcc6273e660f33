"""Stages that call a service for several records at once: bulk writes to one that is fickle, or dislikes some records; workers are killed."""

import collections
import json
import os
import random
import threading
import time
import unittest

import scenario
from cluster import Cluster, coordinator, free_port, stage_metrics, wait_for
from http_service import Answer, Service

SIZE = 20
JOB = """\
name: bulk
source: {{format: jsonl}}
key: k
partitions: 4
stages:
  - name: write
    call: {{ http: '{url}/bulk', body: '{{ id = label, k = key, seq = r.seq }}', result: '{{ seq = r.seq, at = response.body.at }}' }}
    batch: {{ size: {size}, linger: 10ms }}
    retry: {{ attempts: {attempts}, backoff: 5ms..100ms }}
    timeout: 5s
    concurrency: 4
  - keyed:
      lua: |
        state.sum = (state.sum or 0) + r.at
        emit({{ seq = r.seq, at = r.at, sum = state.sum }})
commit: {{interval: 50ms}}
"""
JSON = {"Content-Type": "application/json"}


def setUpModule():
    scenario.announce("batches")


class Store:
    """Takes each record once, by its id, all of a list or nothing; each gets its place among all that were taken."""

    def __init__(self, rng, is_bad=lambda _record: False):
        self.rng, self.is_bad = rng, is_bad
        self.lock = threading.Lock()
        self.places, self.order = {}, collections.defaultdict(list)
        self.sizes = []

    def __call__(self, request):
        records = json.loads(request.body)
        with self.lock:
            mood = self.rng.randrange(20)
            self.sizes.append(len(records))
            if any(self.is_bad(record) for record in records):
                return Answer(400, b"one of them is bad")
            if mood < 2:
                return Answer(503)
            for record in records:
                if record["id"] not in self.places:
                    self.places[record["id"]] = len(self.places)
                    self.order[record["k"]].append(record["seq"])
            if mood == 2:
                return Answer(reset=True)  # taken, and nobody is told
            return Answer(200, json.dumps([{"at": self.places[record["id"]]} for record in records]).encode(), JSON)


def job(cluster, url, size=SIZE, attempts=20):
    return cluster.write("bulk.yaml", JOB.format(url=url, size=size, attempts=attempts))


def numbered(rng, records, keys):
    """(key, seq) of each record."""
    counts, lines = collections.Counter(), []
    for _ in range(records):
        key = f"key-{rng.randrange(keys)}"
        counts[key] += 1
        lines.append((key, counts[key]))
    return lines


def text(lines):
    return "".join(json.dumps({"k": key, "seq": seq}) + "\n" for key, seq in lines)


class BatchesTest(unittest.TestCase):
    def check(self, results, expected):
        """Each key's records in order, with sums of what the service said."""
        by_key = collections.defaultdict(list)
        for result in results:
            by_key[result["key"]].append(result["value"])
        self.assertEqual({key: [value["seq"] for value in values] for key, values in by_key.items()}, expected)
        for key, values in by_key.items():
            total = 0
            for value in values:
                total += value["at"]
                self.assertEqual(value["sum"], total, key)

    def test_killed_everywhere_each_record_has_its_own_answer(self):
        rng = random.Random(scenario.SEED)
        kills = int(os.environ.get("MILLRACE_KILLS", "10"))
        lines = numbered(rng, 6000, 61)
        expected = collections.defaultdict(list)
        for key, seq in lines:
            expected[key].append(seq)
        store = Store(random.Random(scenario.SEED + 1))
        with Service(store) as service, Cluster(workers=["w1", "w2"]) as cluster:
            cluster.run("submit", job(cluster, service.url), "--input", cluster.write("in.jsonl", text(lines)))
            for number in range(kills):
                time.sleep(rng.uniform(0.05, 0.3))
                worker = rng.choice(["w1", "w2"])
                if number % 4 == 1:
                    cluster.restart_worker(worker, failpoint=f"after_answers:{rng.randrange(1, 4)}")
                    wait_for(lambda w=worker: not cluster.workers[w].running() or cluster.status("bulk")["state"] == "completed",
                             "the worker dies when it has written answers down")
                cluster.restart_worker(worker)
            cluster.wait_state("bulk", "completed")
            self.check(cluster.results("bulk"), expected)
            self.assertEqual(cluster.status("bulk")["dead_letters"], 0)
            self.assertEqual(store.order, expected, "the service, too, has each key's records in order")
            self.assertEqual(max(store.sizes), SIZE)
            asked = len(service.seen())
            self.assertLess(asked, len(lines) / 4, "records travel together")
            cluster.run("verify", "bulk")
            self.assertEqual(len(service.seen()), asked, "what is written down is asked of nobody")

    def test_the_records_that_are_refused_are_found_among_the_others(self):
        rng = random.Random(4)
        lines = numbered(rng, 400, 30)
        bad = set(rng.sample(lines, 5))
        store = Store(rng, lambda record: (record["k"], record["seq"]) in bad)
        address, counted = f"127.0.0.1:{free_port()}", {}

        def completed():
            counted.update(stage_metrics(address, "call_", "write"))
            return cluster.status("bulk")["state"] == "completed"
        with Service(store) as service, Cluster() as cluster:
            cluster.start_worker("w1", flags=["--http", address])
            cluster.run("submit", job(cluster, service.url), "--input", cluster.write("in.jsonl", text(lines)))
            wait_for(completed, "job bulk is completed")
            self.assertGreater(counted["call_requests_total"], 0)
            self.assertGreaterEqual(counted["call_records_total"], counted["call_requests_total"])
            letters = cluster.json("dead-letters", "list", "bulk")
            self.assertEqual({(letter["key"], letter["value"]["seq"]) for letter in letters}, bad)
            for letter in letters:
                self.assertIn("HTTP 400 one of them is bad", letter["error"])
            expected = collections.defaultdict(list)
            for key, seq in lines:
                if (key, seq) not in bad:
                    expected[key].append(seq)
            self.check(cluster.results("bulk"), expected)
            self.assertEqual(store.order, expected)
            cluster.run("verify", "bulk")

    def test_what_is_answered_to_all_is_each_ones_and_a_wrong_number_of_answers_is_none(self):
        def answer(request):
            records = json.loads(request.body)
            if any(record["k"] == "short" for record in records):
                return Answer(200, b"[]", JSON)
            return Answer(200, b'{"at": 7}', JSON)

        lines = [("a", 1), ("b", 1), ("short", 1), ("a", 2)]
        with Service(answer) as service, Cluster(workers=["w1"]) as cluster:
            cluster.run("submit", job(cluster, service.url, attempts=2), "--input", cluster.write("in.jsonl", text(lines)), "--wait")
            [letter] = cluster.json("dead-letters", "list", "bulk")
            self.assertEqual(letter["key"], "short")
            self.assertIn("the answer is a list of 0, and the request was one of 1", letter["error"])
            self.check(cluster.results("bulk"), {"a": [1, 2], "b": [1]})

    def test_what_needs_no_cluster(self):
        with Service(Store(random.Random(1))) as service, Cluster() as cluster:
            file = job(cluster, service.url)
            tried = coordinator("try", file, stdin=text([("a", 1), ("a", 2), ("b", 1)]))
            self.assertEqual(tried.returncode, 0, tried.stderr)
            values = [json.loads(line)["value"]["at"] for line in tried.stdout.splitlines()]
            self.assertEqual(sorted(values), [0, 1, 2])


if __name__ == "__main__":
    unittest.main()
