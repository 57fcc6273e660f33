"""What /metrics says while a job has no worker, while it runs, and after a take-over."""

import json
import re
import signal
import unittest
import urllib.request

import feed
from cluster import Cluster, free_port, wait_for

RECORDS, PARTITIONS = 2000, 2
JOB = f"""\
name: measured
source: {{format: jsonl}}
key: k
partitions: {PARTITIONS}
stages:
  - filter: 'r.bad and error("a bad record") or true'
  - aggregate: {{n: count()}}
on_error: retry
retry: {{attempts: 3, backoff: 1ms..5ms}}
commit: {{interval: 50ms}}
"""
# Of a worker with work; lag_records is the leading coordinator's, who sees the partitions that have no worker too.
OF_PARTITIONS = ["items_in_total", "items_out_total", "errors_total", "inflight", "queue_depth", "process_seconds_count",
                 "queue_seconds_count", "oldest_record_seconds", "commit_seconds_count", "commit_bytes_count",
                 "dead_letters_total", "retries_total"]
OF_WORKERS = ["checkpoint_seconds_count", "restore_seconds_count", "takeover_seconds_count", "fenced_total"]


def lines():
    for i in range(RECORDS):
        yield json.dumps({"k": f"key-{i % 50}", **({"bad": True} if i == 1000 else {})}) + "\n"


class Metrics:
    """The /metrics of one process, read each time anew."""

    def __init__(self, address):
        self.url = f"http://{address}/metrics"

    def values(self, name):
        """Of every series of that name, its labels and its value."""
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^millrace_{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def sum(self, name):
        return sum(self.values(name).values())


class MetricsTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        log = self.cluster.folder / "coordinator.log"
        self.leader = Metrics(wait_for(lambda: re.search(r"http://(127\.0\.0\.1:\d+)", log.read_text()), "the address")[1])

    def start_worker(self, name):
        address = f"127.0.0.1:{free_port()}"
        self.cluster.start_worker(name, flags=["--http", address, "--checkpoints", f"file://{self.cluster.folder}/checkpoints",
                                               "--checkpoint-interval", "200ms"])
        return Metrics(address)

    def wait_opened(self, worker, partitions):
        def opened():
            try:
                return worker.sum("takeover_seconds_count") >= partitions
            except OSError:  # it does not listen yet
                return False
        wait_for(opened, "the worker has its partitions")

    def test_a_worker_and_its_successor(self):
        fed = feed.Feed(self.cluster, self.cluster.write("measured.yaml", JOB), list(lines()))
        fed.write(RECORDS)

        # Nobody works yet: all of it waits, and grows old.
        wait_for(lambda: self.leader.sum("lag_records") == RECORDS, "the leader shows the lag")
        self.assertEqual(len(self.leader.values("lag_records")), PARTITIONS)
        self.assertGreater(min(self.leader.values("oldest_record_seconds").values()), 0)

        first = self.start_worker("w1")
        self.wait_opened(first, PARTITIONS)
        wait_for(lambda: first.sum("items_in_total") == RECORDS, "every record is taken")
        wait_for(lambda: first.sum("checkpoint_seconds_count") > 0, "a checkpoint is stored")
        wait_for(lambda: first.sum("inflight") == 0, "all is acknowledged")
        for name in OF_PARTITIONS:
            with self.subTest(name=name):
                self.assertEqual(sorted(first.values(name)),
                                 [f'job="measured",partition="{p}",segment="0"' for p in range(PARTITIONS)])
        for name in OF_WORKERS:
            with self.subTest(name=name):
                self.assertEqual(list(first.values(name)), [""])
        self.assertEqual(first.sum("items_out_total"), RECORDS - 1)
        self.assertEqual([first.sum(f"{what}_total") for what in ("errors", "retries", "dead_letters")], [3, 2, 1])
        self.assertEqual([first.sum(name) for name in ("queue_depth", "oldest_record_seconds", "fenced_total")], [0, 0, 0])
        for name in ("process_seconds", "queue_seconds", "commit_seconds", "commit_bytes"):
            with self.subTest(name=name):
                self.assertGreaterEqual(min(first.values(f"{name}_count").values()), 1)
                self.assertGreater(min(first.values(f"{name}_sum").values()), 0)
        self.assertEqual(first.sum("takeover_seconds_count"), PARTITIONS)
        self.assertEqual(first.sum("restore_seconds_count"), 0)
        wait_for(lambda: self.leader.sum("lag_records") == 0, "nothing waits any more")

        # Another worker, without this one's state, when it has been held up for longer than its lease.
        self.cluster.workers["w1"].signal(signal.SIGSTOP)
        wait_for(lambda: not any(row["owner"] for row in self.cluster.json("partitions", "measured")), "its lease has run out")
        second = self.start_worker("w2")
        self.wait_opened(second, PARTITIONS)
        self.assertEqual(second.sum("restore_seconds_count"), PARTITIONS)
        self.assertEqual(second.sum("fenced_total"), 0)
        self.cluster.workers["w1"].signal(signal.SIGCONT)
        wait_for(lambda: first.sum("fenced_total") == PARTITIONS, "the first worker knows that it was superseded")

        fed.finish()
        self.cluster.wait_state("measured", "completed")
        wait_for(lambda: not self.leader.values("lag_records"), "a job that has ended is not behind")


if __name__ == "__main__":
    unittest.main()
