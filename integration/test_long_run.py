"""One job through all of it: its worker killed at each named point, then at any time, the broker killed, the ingest killed.

The full size, by hand, takes about ten minutes:
    MILLRACE_LEDGER_RECORDS=3000000 MILLRACE_LEDGER_KEYS=50000 ./run test integration.long_run
"""

import random
import time
import unittest

import scenario
from cluster import Cluster
from test_kills import KILLS, OPENING_POINTS, RUNNING_POINTS

BROKER_KILLS = 3
INGEST_KILLS = 5
STEP = 0.008  # the share of the records fed between one kill and the next; the rest comes after the last


def setUpModule():
    scenario.announce("long_run")


class LongRun(unittest.TestCase):
    def kill_at_running_points(self, cluster, run):
        for point in RUNNING_POINTS:
            cluster.restart_worker("w1", failpoint=f"{point}:2")
            while cluster.workers["w1"].running():
                run.share(STEP / 4)
                self.assertLess(run.feed.written, run.records * 0.9, f"w1 does not come to {point}")
            cluster.wait_killed_by_itself("w1", point)
            cluster.start_worker("w1")

    def kill_at_opening_points(self, cluster, run):
        for point in OPENING_POINTS:
            run.share(STEP)
            cluster.restart_worker("w1", failpoint=f"{point}:2")
            cluster.wait_killed_by_itself("w1", point)
            cluster.start_worker("w1")

    def kill_at_random(self, cluster, run, rng):
        for _ in range(KILLS):
            run.share(STEP)
            time.sleep(rng.uniform(0, 0.4))
            cluster.restart_worker(rng.choice(["w1", "w2"]))

    def kill_broker_and_ingest(self, cluster, run, rng):
        for _ in range(BROKER_KILLS):
            run.share(STEP)
            cluster.nats.kill()
            cluster.nats.start()
        for _ in range(INGEST_KILLS):
            run.share(STEP * rng.uniform(0.5, 1.5))
            run.feed.resume()

    def survive(self, kind):
        rng = random.Random(f"{scenario.SEED}/{kind}")
        with Cluster(workers=["w1", "w2"]) as cluster:
            run = scenario.LedgerRun(cluster, kind)
            run.begin()
            run.wait_running()
            self.kill_at_running_points(cluster, run)
            self.kill_at_opening_points(cluster, run)
            self.kill_at_random(cluster, run, rng)
            self.kill_broker_and_ingest(cluster, run, rng)
            fed = run.feed.written
            cluster.wait_records(run.name, fed)
            epochs = sum(row["epoch"] for row in cluster.json("partitions", run.name))
            self.assertGreater(epochs, scenario.PARTITIONS + KILLS)
            outputs = run.finish_and_check()
            print(f"{kind}: {outputs} outputs right, {fed} records fed between kills, partitions were opened {epochs} times")

    def test_native_ledger(self):
        self.survive("native")

    def test_lua_ledger(self):
        self.survive("lua")


if __name__ == "__main__":
    unittest.main()
