"""Workers follow the coordinator's wish: more of them while there is a lag, one again when there is none; and the answer is right."""

import json
import re
import signal
import time
import unittest

import cluster as clusters
import feed
from cluster import Cluster, wait_for
from test_metrics import Metrics

PARTITIONS, KEYS = 6, 60
MOST_RECORDS = 50_000
LAG_RECORDS = 300  # kept up until the cluster has grown, however fast it is
MOST_WORKERS = 3
# Ten milliseconds or more of a lane for each record, so that LAG_RECORDS are seconds: longer than the metrics are apart by which it feeds.
JOB = f"""\
name: heavy
source: {{format: jsonl}}
key: k
partitions: {PARTITIONS}
stages:
  - filter: '(function() local n = 0 for i = 1, 1500000 do n = (n * 31 + i) % 1000003 end return n >= 0 end)()'
  - aggregate: {{n: count(), total: sum(v)}}
commit: {{interval: 200ms}}
"""


class ScalingTest(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(lease_ttl="5s", coordinator_flags=["--max-workers", MOST_WORKERS, "--scale-in-after", "3s"]))
        log = self.cluster.folder / "coordinator.log"
        self.leader = Metrics(wait_for(lambda: re.search(r"http://(127\.0\.0\.1:\d+)", log.read_text()), "the address")[1])
        self.names = []
        self.wished = []

    def wanted(self):
        """The wish; None while nobody has one."""
        return next(iter(self.leader.values("workers_wanted").values()), None)

    def follow(self):
        """One look, and what an autoscaler does: the last ones go first."""
        wanted = self.wanted()
        if wanted is None:
            return
        if not self.wished or self.wished[-1] != wanted:
            self.wished.append(int(wanted))
        while len(self.names) < wanted:
            self.names.append(f"w{len(self.names)}")
            self.cluster.start_worker(self.names[-1], flags=["--lanes", "1"])
        while len(self.names) > wanted:
            self.cluster.workers[self.names.pop()].signal(signal.SIGTERM)

    def follow_until(self, condition, what):
        def step():
            self.follow()
            return condition()
        wait_for(step, what)

    def test_one_then_more_then_one(self):
        self.follow_until(lambda: len(self.names) == 1 and self.leader.sum("workers_joined") == 1, "one is wished without any work")
        lines = [json.dumps({"k": f"key-{i % KEYS}", "v": i}) + "\n" for i in range(MOST_RECORDS)]
        load = feed.Feed(self.cluster, self.cluster.write("heavy.yaml", JOB), lines)
        load.write(1)
        wait_for(lambda: self.cluster.try_run("status", "heavy").returncode == 0, "the job is there")
        fed = time.monotonic()

        def grown():
            if self.leader.sum("lag_records") < LAG_RECORDS:
                load.write(10)
            return self.leader.sum("workers_joined") == MOST_WORKERS
        self.follow_until(grown, "the wish grows with the lag, to its bound")
        at_most = time.monotonic()
        load.lines = load.lines[:load.written]
        load.finish()
        records = load.written
        self.follow_until(lambda: len(set(self.cluster.owners("heavy"))) == MOST_WORKERS, "all have partitions")
        self.follow_until(lambda: self.cluster.status("heavy")["state"] == "completed", "the job is done")
        done = time.monotonic()
        self.follow_until(lambda: len(self.names) == 1 and self.leader.sum("workers_joined") == 1, "the wish falls to one")
        fallen = time.monotonic()

        for name, worker in self.cluster.workers.items():
            if name not in self.names:
                self.assertEqual(worker.child.wait(clusters.WAIT_SECONDS), 0, f"{name} was told to end, and gave its partitions away")
        top = self.wished.index(MOST_WORKERS)
        self.assertEqual(self.wished[:top + 1], sorted(self.wished[:top + 1]), "it grows")
        self.assertEqual(self.wished[top:], sorted(self.wished[top:], reverse=True), "and falls, once")
        latest = {r["key"]: r["value"] for r in self.cluster.results("heavy", "--latest")}
        self.assertEqual(latest, {f"key-{k}": {"n": len(range(k, records, KEYS)), "total": sum(range(k, records, KEYS))}
                                  for k in range(min(KEYS, records))})
        self.cluster.run("verify", "heavy")
        print(f"wished {self.wished}: lag to {MOST_WORKERS} workers {at_most - fed:.1f} s, {records} records "
              f"done {done - at_most:.1f} s later, one again {fallen - done:.1f} s later", flush=True)


if __name__ == "__main__":
    unittest.main()
