"""Workers come and go: the partitions spread evenly, as few as possible move, and the answer is right."""

import collections
import math
import re
import signal
import unittest

import handover
import scenario
from cluster import Cluster, wait_for

PARTITIONS = 12
LOAD_RECORDS = 60000  # more than flow while eight workers come and six go


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
            most = 2 * math.ceil(partitions / 4)  # two shares; the larger ones may be theirs
            self.assertLessEqual(len(moved), most, "only what the new workers need has moved")
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

    def test_one_then_eight_then_two_under_load(self):
        """Records flow all the time; of the six that go, three are told to end and three to drain."""
        with Cluster(workers=["w1"]) as self.cluster:
            self.run_ = scenario.LedgerRun(self.cluster, "native-2", partitions=PARTITIONS, records=LOAD_RECORDS)
            self.run_.begin()
            with self.run_.feed.flowing():
                self.spread_over(["w1"])
                self.run_.wait_running()
                eight = [f"w{n}" for n in range(1, 9)]
                for name in eight[1:]:
                    self.cluster.start_worker(name)
                self.spread_over(eight)
                for name in ("w2", "w3", "w4"):
                    self.cluster.workers[name].signal(signal.SIGTERM)
                for name in ("w5", "w6", "w7"):
                    self.cluster.run("drain", name)
                self.spread_over(["w1", "w8"])
            for name in ("w2", "w3", "w4"):
                wait_for(lambda: not self.cluster.workers[name].running(), f"{name} has ended")
                self.assertEqual(self.cluster.workers[name].child.returncode, 0)
            self.run_.finish_and_check()
            print("1 -> 8 -> 2:", handover.table(handover.standstills(self.cluster, self.run_.name)), flush=True)

    def opened_at(self, name):
        """The offset of each opening in the worker's log."""
        log = self.cluster.workers[name].log.read_text()
        return [int(offset) for offset in re.findall(r"partition opened .*offset=(\d+)", log)]

    def test_a_worker_that_comes_back_late_finds_its_own_state(self):
        with Cluster(workers=["w1", "w2"]) as self.cluster:
            self.run_ = scenario.LedgerRun(self.cluster, "native", partitions=PARTITIONS)
            self.run_.begin()
            self.run_.share(0.4)
            had = self.spread_over(["w1", "w2"])
            wait_for(lambda: all(row["committed_offset"] > 0 for row in self.cluster.json("partitions", self.run_.name)), "all commit")
            self.cluster.kill_worker("w1")
            self.spread_over(["w2"])
            self.run_.share(0.2)
            before = len(self.opened_at("w1"))
            self.cluster.start_worker("w1")
            self.assertEqual(self.spread_over(["w1", "w2"]), had, "it is given what it had")
            # `running` may still be what the owner before said.
            again = wait_for(lambda: (opened := self.opened_at("w1")[before:])[PARTITIONS // 2 - 1:] and opened, "it opens what it had")
            self.assertEqual(len(again), PARTITIONS // 2)
            self.assertGreater(min(again), 0, "none begins at the start of its log")
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
