"""A worker stopped beyond its lease with appends in flight, or cut off: what it sends late counts for nothing, and it comes back.

More of it, by hand: MILLRACE_ZOMBIES=50 MILLRACE_BIN=build/debug/bin python3 -m unittest -v test_zombie
"""

import os
import signal
import time
import unittest

import proxy
import scenario
import stream_check
from cluster import Cluster, wait_for

ZOMBIES = int(os.environ.get("MILLRACE_ZOMBIES", "2"))
LEASE_SECONDS = 2.0
RESULT_APPEND = b"Millrace: 1 r "
REFUSED = b"wrong last sequence"


def setUpModule():
    scenario.announce("zombies")


class Zombie(unittest.TestCase):
    """Two workers: "steady", and "zombie" behind a proxy."""

    def owners_are(self, cluster, run, names):
        return wait_for(lambda: set(cluster.owners(run.name)) == set(names), f"the owners are {names}")

    def lease_of(self, cluster, name):
        rows = {row["name"]: row for row in cluster.json("workers")}
        self.assertIn(name, rows)
        return rows[name]

    def stop_and_continue(self, cluster, run, link, share):
        """One zombie. Returns how many appends it had in flight."""
        self.owners_are(cluster, run, ["steady", "zombie"])
        incarnation = self.lease_of(cluster, "zombie")["incarnation"]
        link.hold_from(RESULT_APPEND)
        run.share(share)
        wait_for(lambda: link.held(RESULT_APPEND) > 0, "appends of the zombie are in flight")
        zombie = cluster.workers["zombie"]
        zombie.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        in_flight = link.held(RESULT_APPEND)

        self.owners_are(cluster, run, ["steady"])
        run.share(share)
        cluster.wait_records(run.name, run.feed.written)
        wait_for(lambda: time.monotonic() > stopped + 3 * LEASE_SECONDS, "three leases have passed")
        link.release(0.5)
        run.share(share)
        zombie.signal(signal.SIGCONT)
        link.release()
        run.share(share)

        def rejoined():
            lease = self.lease_of(cluster, "zombie")
            return lease["state"] == "ready" and lease["incarnation"] != incarnation
        wait_for(rejoined, "the zombie is a new incarnation, and ready")
        return in_flight

    def test_stopped_beyond_its_lease_with_appends_in_flight(self):
        for kind in ("native", "lua", "native-2"):
            with self.subTest(kind=kind), Cluster(lease_ttl="2s", workers=["steady"]) as cluster, \
                    proxy.Proxy(cluster.nats.port) as link:
                link.count(proxy.TO_CLIENT, REFUSED)
                cluster.start_worker("zombie", nats=link.url)
                cluster.wait_ready("steady", "zombie")
                run = scenario.LedgerRun(cluster, kind)
                run.begin()
                run.share(0.1)
                tried = sum(self.stop_and_continue(cluster, run, link, 0.8 / (4 * ZOMBIES)) for _ in range(ZOMBIES))
                run.finish_and_check()
                accepted_by_broker = stream_check.check_job(cluster, run.name)["zombies"]
                print(f"{kind}: {tried} late appends: {link.counted(REFUSED)} refused by the broker, "
                      f"{accepted_by_broker} taken by it and dropped by readers")
                self.assertGreater(link.counted(REFUSED) + accepted_by_broker, 0, "no late append reached the broker")


class CutOff(unittest.TestCase):
    """One direction alone stands still. The other worker goes on, and the one that was cut off comes back."""

    def cut_one_way(self, direction):
        with Cluster(lease_ttl="2s", workers=["steady"]) as cluster, proxy.Proxy(cluster.nats.port) as link:
            cluster.start_worker("zombie", nats=link.url)
            cluster.wait_ready("steady", "zombie")
            run = scenario.LedgerRun(cluster, "native")
            run.begin()
            run.share(0.2)
            wait_for(lambda: set(cluster.owners(run.name)) == {"steady", "zombie"}, "both own partitions")
            cluster.wait_records(run.name, run.feed.written)
            link.hold(direction)
            run.share(0.3)
            if direction == proxy.TO_SERVER:
                wait_for(lambda: set(cluster.owners(run.name)) == {"steady"}, "the other worker has taken over")
                cluster.wait_records(run.name, run.feed.written)
            else:
                wait_for(lambda: "the lease ran out" in cluster.workers["zombie"].log.read_text(), "it notices by its own clock")
            link.release()
            run.share(0.2)
            run.finish_and_check()
            cluster.wait_ready("zombie")

    def test_towards_the_server(self):
        self.cut_one_way(proxy.TO_SERVER)

    def test_from_the_server(self):
        self.cut_one_way(proxy.TO_CLIENT)

    def test_connections_cut_again_and_again(self):
        with Cluster(lease_ttl="2s") as cluster, proxy.Proxy(cluster.nats.port) as link:
            cluster.start_worker("w1", nats=link.url)
            run = scenario.LedgerRun(cluster, "lua")
            run.begin()
            for _ in range(8):
                run.share(0.1)
                link.cut()
            run.finish_and_check()


if __name__ == "__main__":
    unittest.main()
