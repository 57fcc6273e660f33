"""Copies of state: a standby takes over without a restore, and a planned move copies the state ahead."""

import re
import signal
import unittest

import handover
import scenario
from checkpoint_case import RESTORED, CheckpointRun, Directory
from cluster import Cluster, wait_for

COPIED = "state copied"
RECORDS = 60000  # more than flow while partitions change hands
LEASE = 20  # seconds; whoever waited for its end would be seen


def setUpModule():
    scenario.announce("standby")


class Copies(unittest.TestCase):
    def begin(self, *workers, kind="native", standby=1, lease_ttl="2s", **options):
        self.cluster = self.enterContext(Cluster(lease_ttl=lease_ttl))
        self.run_ = CheckpointRun(self.cluster, Directory(self.cluster), kind, standby=standby, **options)
        for name in workers:
            self.run_.start_worker(name)
        self.cluster.wait_ready(*workers)
        self.run_.begin()
        self.run_.wait_running()

    def wait_copied(self):
        """Every standby has the newest checkpoint of its partition."""
        def copied():
            rows = self.run_.rows()
            return all(row["standby"] not in ("", row["owner"]) and row["standby_offset"] is not None and
                       row["standby_offset"] >= row["checkpoint_offset"] > 0 for row in rows) and rows
        return wait_for(copied, "every partition has a standby with a copy")

    def opened_at(self, name):
        """The offset of each opening in the worker's log."""
        log = self.cluster.workers[name].log.read_text()
        return [int(offset) for offset in re.findall(r"partition opened .*offset=(\d+)", log)]

    def wait_opened(self, name, partitions, before=0):
        """It has opened so many since then; what `partitions` shows may still be what the last owner said."""
        return wait_for(lambda: (opened := self.opened_at(name)[before:])[partitions - 1:] and opened,
                        f"{name} opens {partitions} partitions")

    def wait_owns_all(self, name):
        wait_for(lambda: {row["owner"] for row in self.run_.rows()} == {name}, f"{name} owns all")


class StandbyTest(Copies):
    def test_a_standby_takes_over_without_a_restore(self):
        for kind in ("lua", "native-2"):
            with self.subTest(kind=kind):
                self.begin("w1", "w2", kind=kind)
                self.run_.store_share(0.4)
                rows = self.wait_copied()
                had = sum(row["owner"] == "w1" for row in rows)
                before = len(self.opened_at("w2"))
                self.run_.lose("w1")
                self.run_.share(0.2)
                opened = self.wait_opened("w2", had, before)
                self.assertGreater(min(opened), 0, "none begins at the start of its log")
                self.assertEqual(self.run_.said("w2", RESTORED), 0)
                self.run_.finish_and_check()

    def test_every_partition_gets_another_standby(self):
        self.begin("w1", "w2", "w3")
        self.run_.store_share(0.3)
        self.wait_copied()
        self.run_.lose("w1")
        self.run_.store_share(0.3)
        self.assertNotIn("w1", {row["standby"] for row in self.wait_copied()})
        self.run_.lose("w2")
        self.wait_owns_all("w3")
        self.assertEqual(self.run_.said("w3", RESTORED), 0)
        self.run_.finish_and_check()

    def test_a_standby_killed_between_fetching_and_replacing(self):
        for passing in (1, 9):
            with self.subTest(passing=passing):
                self.begin("w1", standby=1)
                self.run_.store_share(0.3)
                # It is to be given partitions, and copies their state first.
                self.run_.start_worker("w2", failpoint=f"standby_fetched:{passing}")
                for _ in range(10):
                    self.run_.store_share(0.02)
                    if not self.cluster.workers["w2"].running():
                        break
                self.cluster.wait_killed_by_itself("w2", "standby_fetched")
                self.run_.start_worker("w2")
                self.run_.store_share(0.2)
                self.wait_copied()
                self.run_.lose("w1")
                self.wait_owns_all("w2")
                self.run_.finish_and_check()

    def test_without_a_store_status_says_so_and_the_job_runs(self):
        with Cluster(workers=["w1", "w2"]) as cluster:
            run = scenario.LedgerRun(cluster, "native", standby=1)
            run.begin()
            run.wait_running()
            self.assertIn("have no standby", wait_for(lambda: cluster.status(run.name)["reason"], "the status has a reason"))
            run.finish_and_check()


class MoveTest(Copies):
    """Planned moves under load: the new owner has the state before the partition changes hands."""

    def check_moved_to(self, name, opened_before, copied_before):
        opened = self.wait_opened(name, scenario.PARTITIONS // 2, opened_before)
        self.assertEqual(len(opened), scenario.PARTITIONS // 2)
        self.assertGreater(min(opened), 0, "none begins at the start of its log")
        self.assertEqual(self.run_.said(name, RESTORED), 0, "nothing is fetched after the switch")
        self.assertGreaterEqual(self.run_.said(name, COPIED) - copied_before, len(opened))

    def leave(self, how):
        self.begin("w1", "w2", standby=0, lease_ttl=f"{LEASE}s", records=RECORDS)
        self.run_.share(0.2)
        self.run_.wait_checkpoints()
        before = len(self.opened_at("w2")), self.run_.said("w2", COPIED)
        with self.run_.feed.flowing():
            how()
            self.wait_owns_all("w2")
            self.cluster.wait_records(self.run_.name, self.run_.feed.written)
        self.check_moved_to("w2", *before)
        self.run_.finish_and_check()
        seconds = handover.standstills(self.cluster, self.run_.name)
        print(f"{self.id()}: {handover.table(seconds)}", flush=True)
        self.assertLess(max(seconds), LEASE / 2, "somebody waited for the lease")

    def test_a_drain_copies_the_state_ahead(self):
        self.leave(lambda: self.cluster.run("drain", "w1"))

    def test_sigterm_waits_for_the_copies(self):
        def stop():
            self.cluster.workers["w1"].signal(signal.SIGTERM)
            self.assertEqual(self.cluster.workers["w1"].child.wait(LEASE), 0)
        self.leave(stop)

    def test_a_worker_that_joins_copies_before_it_owns(self):
        self.begin("w1", standby=0, records=RECORDS)
        self.run_.share(0.2)
        self.run_.wait_checkpoints()
        with self.run_.feed.flowing():
            self.run_.start_worker("w2")
            wait_for(lambda: self.cluster.owners(self.run_.name).count("w2") == scenario.PARTITIONS // 2, "w2 has its share")
            self.run_.wait_running()
        self.check_moved_to("w2", 0, 0)
        self.run_.finish_and_check()


if __name__ == "__main__":
    unittest.main()
