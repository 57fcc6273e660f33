"""A worker is emptied on purpose, by the command and by SIGTERM: nothing is lost, nobody waits for a lease, and partitions stand still briefly."""

import signal
import threading
import time
import unittest

import scenario
from cluster import Cluster, wait_for
from command_case import FAILED, NO_SUCH_THING, assert_one_line

LEASE = 20  # seconds; whoever waited for its end would be seen
RECORDS = 60000
SETTLING_SECONDS = 2


class DrainTest(unittest.TestCase):
    def setUp(self):
        scenario.announce(self.id())
        self.cluster = self.enterContext(Cluster(lease_ttl=f"{LEASE}s", workers=["w1", "w2"]))
        self.cluster.wait_ready("w1", "w2")
        self.run_ = scenario.LedgerRun(self.cluster, "native", records=RECORDS)
        self.run_.begin()
        self.run_.wait_running()
        self.run_.share(0.2)

    def workers(self):
        return {row["name"]: row for row in self.cluster.json("workers")}

    def still_seconds(self, act):
        """Acts while records flow. Returns how long each partition's offset stood still at most, as seen by polling, and what `act` gave."""
        over, moved_at, offsets, longest = threading.Event(), {}, {}, {}

        def flow():
            while not over.is_set() and self.run_.feed.written < RECORDS * 0.9:
                self.run_.share(0.005)

        def look():
            while not over.is_set():
                rows, now = self.cluster.json("partitions", self.run_.name), time.monotonic()
                for row in rows:
                    p, offset = row["partition"], row["offset"]
                    if offset != offsets.get(p):
                        offsets[p], moved_at[p] = offset, now
                    longest[p] = max(longest.get(p, 0), round(now - moved_at[p], 3))

        threads = [threading.Thread(target=flow), threading.Thread(target=look)]
        for thread in threads:
            thread.start()
        try:
            result = act()
            time.sleep(SETTLING_SECONDS)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        return longest, result

    def test_drain_empties_a_worker_and_undo_lets_it_serve(self):
        longest, _ = self.still_seconds(lambda: self.cluster.run("drain", "w1"))
        print("longest still at a drain:", longest, flush=True)
        self.assertEqual(set(self.cluster.owners(self.run_.name)), {"w2"})
        row = self.workers()["w1"]
        self.assertEqual((row["state"], row["partitions"]), ("draining", 0))
        self.cluster.run("drain", "w1")  # again: it is
        self.cluster.restart_coordinator()
        self.cluster.run("drain", "w1", "--undo")
        wait_for(lambda: "w1" in self.cluster.owners(self.run_.name), "w1 serves again")
        self.run_.finish_and_check()

    def test_a_drained_worker_that_is_started_again_serves(self):
        self.cluster.run("drain", "w1")
        self.cluster.restart_worker("w1")
        wait_for(lambda: "w1" in self.cluster.owners(self.run_.name), "w1 serves again")
        self.run_.finish_and_check()

    def test_sigterm_hands_over_without_waiting_for_the_lease(self):
        worker = self.cluster.workers["w1"]
        began = time.monotonic()

        def end():
            worker.signal(signal.SIGTERM)
            return worker.child.wait(LEASE)
        longest, code = self.still_seconds(end)
        print("longest still at SIGTERM:", longest, flush=True)
        self.assertEqual(code, 0)
        wait_for(lambda: set(self.cluster.owners(self.run_.name)) == {"w2"}, "w2 has all")
        self.run_.wait_running()
        self.assertLess(time.monotonic() - began, LEASE, "somebody waited for the lease")
        assert_one_line(self, self.cluster.try_run("drain", "w1"), FAILED)
        assert_one_line(self, self.cluster.try_run("drain", "w9"), NO_SUCH_THING)
        self.run_.finish_and_check()


if __name__ == "__main__":
    unittest.main()
