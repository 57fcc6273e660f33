"""Workers killed while they store checkpoints, delete old ones, and restore: another one goes on with the right answer."""

import signal
import unittest

import scenario
from checkpoint_case import RESTORED, CheckpointRun, Directory, Objects
from cluster import Cluster, wait_for

# At which passing: early, and when there are checkpoints already.
STORING_POINTS = {"in_upload": (1, 12, 41), "before_manifest": (1, 11), "after_manifest": (1, 11), "in_collection": (1, 9)}
RESTORING_POINTS = {"in_fetch": (1, 8), "in_replace": (1, 4), "in_restore": (4,)}


def setUpModule():
    scenario.announce("checkpoint kills")


class Killed(unittest.TestCase):
    def die_while_storing(self, cluster, store, point, passing):
        run = CheckpointRun(cluster, store, "native", f"{point}-{passing}", flags=["--checkpoint-keep", "1"], records=4000)
        run.start_worker("w1", failpoint=f"{point}:{passing}")
        run.begin()
        self.feed_rounds_until_killed(cluster, run, point)
        # Its folder is gone with it: nothing is left but what is in the store.
        run.lose("w1")
        run.start_worker("w2")
        run.finish_and_check()
        cluster.kill_worker("w2")

    def feed_rounds_until_killed(self, cluster, run, point):
        """A round: records for every partition, and then a checkpoint of each."""
        worker = cluster.workers["w1"]

        def stored_or_dead():
            return not worker.running() or all(row["checkpoint_offset"] == row["end"] > 0 for row in run.rows())
        for _ in range(15):
            run.share(0.05)
            wait_for(stored_or_dead, "a round of checkpoints")
            if not worker.running():
                break
        cluster.wait_killed_by_itself("w1", point)

    def die_while_restoring(self, cluster, store, point, passing):
        run = CheckpointRun(cluster, store, "native", f"{point}-{passing}", records=4000)
        run.begin_with_worker("w1")
        run.store_share(0.5)
        run.lose("w1")
        run.start_worker("w3", failpoint=f"{point}:{passing}")
        cluster.wait_killed_by_itself("w3", point)
        run.start_worker("w3")
        run.finish_and_check()
        self.assertGreaterEqual(run.said("w3", RESTORED), scenario.PARTITIONS)
        run.lose("w3")

    def test_while_storing_in_a_directory(self):
        with Cluster() as cluster:
            store = Directory(cluster)
            for point, passings in STORING_POINTS.items():
                for passing in passings:
                    with cluster.part(self, point=point, passing=passing):
                        self.die_while_storing(cluster, store, point, passing)

    def test_while_storing_in_an_object_store(self):
        with Cluster() as cluster:
            with cluster.part(self):
                self.die_while_storing(cluster, Objects(cluster), "in_upload", 25)

    def test_while_restoring(self):
        with Cluster() as cluster:
            store = Directory(cluster)
            for point, passings in RESTORING_POINTS.items():
                for passing in passings:
                    with cluster.part(self, point=point, passing=passing):
                        self.die_while_restoring(cluster, store, point, passing)


class Stopped(unittest.TestCase):
    def test_a_worker_that_overslept_its_lease_harms_no_checkpoint(self):
        """A zombie goes on with an upload; the new owner's checkpoints stand."""
        with Cluster() as cluster:
            run = CheckpointRun(cluster, Directory(cluster), "lua")
            run.begin_with_worker("w1")
            run.share(0.3)
            cluster.wait_records(run.name, run.feed.written)
            cluster.workers["w1"].signal(signal.SIGSTOP)
            run.start_worker("w2")
            wait_for(lambda: all(row["owner"] == "w2" for row in run.rows()), "w2 owns all of it")
            run.share(0.3)
            cluster.wait_records(run.name, run.feed.written)
            cluster.workers["w1"].signal(signal.SIGCONT)
            run.share(0.1)
            cluster.kill_worker("w1")
            run.wait_checkpoints()
            run.lose("w2")
            run.start_worker("w3")
            run.finish_and_check()
            self.assertEqual(run.said("w3", RESTORED), scenario.PARTITIONS)


if __name__ == "__main__":
    unittest.main()
