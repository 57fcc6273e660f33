"""Processes killed at every named point and at any time: nothing lost, nothing doubled, nothing swapped.

All of them in one long run: test_long_run.py.
"""

import os
import random
import time
import unittest

import scenario
from cluster import Cluster, wait_for

KILLS = int(os.environ.get("MILLRACE_KILLS", "20"))

# Where a worker dies, and at which passing: late enough that records flow, for each partition commits once when it was opened.
RUNNING_POINTS = {"after_step": 20, "after_output_sent": 20, "after_output_ack": 20, "after_freeze": 40, "between_ack_and_commit": 40,
                  "in_commit": 40, "after_commit": 40}
# Passed once for each partition that is opened: the third of eight, with state from an earlier life.
OPENING_POINTS = {"before_restore": 3, "in_restore": 3, "after_claim": 3, "after_epoch_mark": 3, "before_pull": 3}


def setUpModule():
    scenario.announce("kills")


class WorkerKilledAtNamedPoints(unittest.TestCase):
    """One worker, killed at one point after the other, each in a job of its own."""

    def die_while_running(self, cluster, kind, point, passing):
        run = scenario.LedgerRun(cluster, kind, f"{kind}-{point}")
        cluster.restart_worker("w1", failpoint=f"{point}:{passing}")
        run.begin()
        run.wait_running()
        run.feed_until_killed("w1", point)
        cluster.start_worker("w1")
        run.finish_and_check()

    def die_while_opening(self, cluster, kind, point, passing):
        run = scenario.LedgerRun(cluster, kind, f"{kind}-{point}")
        cluster.restart_worker("w1")
        run.begin()
        run.share(0.3)
        cluster.wait_records(run.name, run.feed.written)
        cluster.restart_worker("w1", failpoint=f"{point}:{passing}")
        run.share(0.2)
        cluster.wait_killed_by_itself("w1", point)
        cluster.start_worker("w1")
        run.finish_and_check()

    def die_everywhere(self, kind):
        with Cluster(workers=["w1"]) as cluster:
            for point, passing in RUNNING_POINTS.items():
                with cluster.part(self, point=point):
                    self.die_while_running(cluster, kind, point, passing)
            for point, passing in OPENING_POINTS.items():
                with cluster.part(self, point=point):
                    self.die_while_opening(cluster, kind, point, passing)

    def test_native_ledger(self):
        self.die_everywhere("native")

    def test_lua_ledger(self):
        self.die_everywhere("lua")

    def test_ledger_of_two_segments(self):
        self.die_everywhere("native-2")


class RandomKills(unittest.TestCase):
    def kill_at_random(self, kind):
        """Two workers, one or the other killed again and again, also while it starts; a share of the records before each kill."""
        rng = random.Random(f"{scenario.SEED}/{kind}")
        with Cluster(workers=["w1", "w2"]) as cluster:
            run = scenario.LedgerRun(cluster, kind)
            run.begin()
            for _ in range(KILLS):
                run.share(0.9 / KILLS)
                time.sleep(rng.uniform(0, 0.4))
                cluster.restart_worker(rng.choice(["w1", "w2"]))
            cluster.wait_records(run.name, run.feed.written)
            epochs = sum(row["epoch"] for row in cluster.json("partitions", run.name))
            print(f"{kind}: {KILLS} kills, partitions were opened {epochs} times")
            self.assertGreater(epochs, scenario.PARTITIONS + KILLS // 2)
            run.finish_and_check()

    def test_native_ledger(self):
        self.kill_at_random("native")

    def test_lua_ledger(self):
        self.kill_at_random("lua")

    def test_native_ledger_of_two_segments(self):
        self.kill_at_random("native-2")

    def test_lua_ledger_of_two_segments(self):
        self.kill_at_random("lua-2")

    def test_all_workers_at_once(self):
        with Cluster(workers=["w1", "w2", "w3"]) as cluster:
            run = scenario.LedgerRun(cluster, "native")
            run.begin()
            for _ in range(3):
                run.share(0.25)
                wait_for(run.outputs_so_far, "there are outputs")
                for name in cluster.workers:
                    cluster.kill_worker(name)
                for name in cluster.workers:
                    cluster.start_worker(name)
            run.finish_and_check()


class BrokerKilled(unittest.TestCase):
    def test_three_times_while_records_flow(self):
        self.kill_three_times("native")

    def test_three_times_while_records_cross_segments(self):
        self.kill_three_times("native-2")

    def kill_three_times(self, kind):
        with Cluster(workers=["w1", "w2"]) as cluster:
            run = scenario.LedgerRun(cluster, kind)
            run.begin()
            for _ in range(3):
                run.share(0.1)
                wait_for(run.outputs_so_far, "there are outputs")
                run.share(0.15)
                cluster.nats.kill()
                cluster.nats.start()
            run.finish_and_check()


class IngestKilled(unittest.TestCase):
    POINTS = ["ingest_after_claim", "ingest_after_epoch_marks", "ingest_after_append:5", "ingest_before_end_marks",
              "ingest_between_end_marks", "ingest_before_fed"]

    def test_at_each_named_point_and_run_again(self):
        with Cluster(workers=["w1"]) as cluster:
            run = scenario.LedgerRun(cluster, "native")
            for point in self.POINTS:
                submit = cluster.start("submit", run.job_file, "--input", run.input_file, environment={"MILLRACE_FAILPOINT": point})
                wait_for(lambda: not submit.running(), f"submit dies at {point}")
                self.assertEqual(submit.child.returncode, -9, f"submit did not die at {point}")
            cluster.run("submit", run.job_file, "--input", run.input_file)
            run.finish_and_check()
            again = cluster.run("submit", run.job_file, "--input", run.input_file)
            self.assertIn("nothing to do", again.stderr)

    def test_at_random_and_run_again(self):
        rng = random.Random(scenario.SEED)
        with Cluster(workers=["w1"]) as cluster:
            run = scenario.LedgerRun(cluster, "lua")
            run.begin()
            for _ in range(5):
                run.share(rng.uniform(0.05, 0.15))
                run.feed.resume()
            run.finish_and_check()


class CoordinatorKilled(unittest.TestCase):
    def test_owners_carry_on_and_another_leads(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            run = scenario.LedgerRun(cluster, "native")
            run.begin()
            run.share(0.2)
            wait_for(run.outputs_so_far, "there are outputs")
            cluster.coordinator.kill()
            run.share(0.3)
            cluster.wait_records(run.name, run.feed.written)
            cluster.coordinator = cluster.start_coordinator()
            run.share(0.1)
            cluster.restart_coordinator()
            run.finish_and_check()


if __name__ == "__main__":
    unittest.main()
