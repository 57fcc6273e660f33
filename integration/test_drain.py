"""A worker is emptied on purpose, by the command and by SIGTERM: nothing is lost, nobody waits for a lease, and partitions stand still briefly."""

import signal
import time
import unittest

import handover
import scenario
from cluster import Cluster, wait_for
from command_case import FAILED, NO_SUCH_THING, assert_one_line

LEASE = 20  # seconds; whoever waited for its end would be seen
RECORDS = 60000


class DrainTest(unittest.TestCase):
    def setUp(self):
        scenario.announce(self.id())
        self.cluster = self.enterContext(Cluster(lease_ttl=f"{LEASE}s", workers=["w1", "w2"]))
        self.cluster.wait_ready("w1", "w2")
        self.run_ = scenario.LedgerRun(self.cluster, "native", records=RECORDS)
        self.run_.begin()
        self.run_.wait_running()
        self.run_.share(0.1)

    def worker(self, name):
        return next(row for row in self.cluster.json("workers") if row["name"] == name)

    def wait_flows_on(self):
        self.run_.wait_running()
        self.cluster.wait_records(self.run_.name, self.run_.feed.written)

    def finish_and_check_standstills(self, changes):
        self.run_.finish_and_check()
        seconds = handover.standstills(self.cluster, self.run_.name)
        print(f"{self.id()}: {handover.table(seconds)}", flush=True)
        self.assertGreaterEqual(len(seconds), changes)
        self.assertLess(max(seconds), LEASE / 2, "somebody waited for the lease")

    def test_drain_empties_a_worker_and_undo_lets_it_serve(self):
        with self.run_.feed.flowing():
            self.cluster.run("drain", "w1")
            self.assertEqual(set(self.cluster.owners(self.run_.name)), {"w2"})
            self.assertEqual((self.worker("w1")["state"], self.worker("w1")["partitions"]), ("draining", 0))
            self.wait_flows_on()
        self.cluster.run("drain", "w1")  # again: it is
        self.cluster.coordinator.stop()  # gives its lease back: the next one leads at once
        self.cluster.coordinator = self.cluster.start_coordinator()
        self.assertEqual(self.worker("w1")["state"], "draining")
        with self.run_.feed.flowing():
            self.cluster.run("drain", "w1", "--undo")
            wait_for(lambda: "w1" in self.cluster.owners(self.run_.name), "w1 serves again")
            self.wait_flows_on()
        self.finish_and_check_standstills(scenario.PARTITIONS)

    def test_a_drained_worker_that_is_started_again_serves(self):
        self.cluster.run("drain", "w1")
        self.cluster.restart_worker("w1")
        wait_for(lambda: "w1" in self.cluster.owners(self.run_.name), "w1 serves again")
        self.run_.finish_and_check()

    def test_sigterm_hands_over_without_waiting_for_the_lease(self):
        worker = self.cluster.workers["w1"]
        began = time.monotonic()
        with self.run_.feed.flowing():
            worker.signal(signal.SIGTERM)
            self.assertEqual(worker.child.wait(LEASE), 0)
            wait_for(lambda: set(self.cluster.owners(self.run_.name)) == {"w2"}, "w2 has all")
            self.wait_flows_on()
        self.assertLess(time.monotonic() - began, LEASE, "somebody waited for the lease")
        assert_one_line(self, self.cluster.try_run("drain", "w1"), FAILED)
        assert_one_line(self, self.cluster.try_run("drain", "w9"), NO_SUCH_THING)
        self.finish_and_check_standstills(scenario.PARTITIONS // 2)


if __name__ == "__main__":
    unittest.main()
