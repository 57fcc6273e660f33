"""Two workers, then four, then one: the partitions spread evenly, as few as possible move, and the answer is right."""

import collections
import signal
import unittest

import scenario
from cluster import Cluster, wait_for

PARTITIONS = 12


def setUpModule():
    scenario.announce("scale")


class ScaleTest(unittest.TestCase):
    def spread_over(self, names):
        """Waits until exactly these workers own the partitions, evenly; returns the owners."""
        def even():
            owners = self.cluster.owners(self.run_.name)
            shares = collections.Counter(owners)
            if set(shares) == set(names) and max(shares.values()) - min(shares.values()) <= 1:
                return owners
            return None
        return wait_for(even, f"the partitions are spread over {', '.join(names)}")

    def test_two_then_four_then_one(self):
        self.grow_and_shrink("lua", PARTITIONS)

    def test_two_then_four_then_one_with_two_segments(self):
        self.grow_and_shrink("native-2", PARTITIONS + 5)  # of both

    def grow_and_shrink(self, kind, partitions):
        with Cluster(workers=["w1", "w2"]) as self.cluster:
            self.run_ = scenario.LedgerRun(self.cluster, kind, partitions=PARTITIONS)
            self.run_.begin()
            self.run_.share(0.2)
            two = self.spread_over(["w1", "w2"])

            for name in ("w3", "w4"):
                self.cluster.start_worker(name)
            self.run_.share(0.2)
            four = self.spread_over(["w1", "w2", "w3", "w4"])
            moved = [(before, after) for before, after in zip(two, four) if before != after]
            self.assertEqual(len(moved), partitions // 4 * 2, "only what the new workers need has moved")
            self.assertLessEqual({after for _, after in moved}, {"w3", "w4"}, "nothing has moved between those that stayed")
            self.run_.share(0.2)

            for name in ("w1", "w2", "w4"):
                self.cluster.workers[name].signal(signal.SIGTERM)
            self.run_.share(0.1)
            one = self.spread_over(["w3"])
            self.assertEqual(set(one), {"w3"})
            for name in ("w1", "w2", "w4"):
                wait_for(lambda: not self.cluster.workers[name].running(), f"{name} has ended")
                self.assertEqual(self.cluster.workers[name].child.returncode, 0)
            self.run_.finish_and_check()

    def test_a_worker_drains_and_comes_back(self):
        """Stopped in order and started again, one after the other, as an upgrade does it."""
        with Cluster(workers=["w1", "w2"]) as self.cluster:
            self.run_ = scenario.LedgerRun(self.cluster, "native", partitions=PARTITIONS)
            self.run_.begin()
            for name in ("w1", "w2"):
                self.run_.share(0.2)
                self.spread_over(["w1", "w2"])
                self.assertEqual(self.cluster.workers[name].stop(), 0)
                self.run_.share(0.1)
                self.cluster.start_worker(name)
            self.spread_over(["w1", "w2"])
            self.run_.finish_and_check()


if __name__ == "__main__":
    unittest.main()
