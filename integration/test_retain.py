"""`retain: results`: the input is deleted behind the checkpoints, and nothing is missed by those who begin in the middle."""

import re
import unittest

import nats_client
import scenario
from checkpoint_case import RESTORED, CheckpointRun, Directory
from cluster import Cluster, wait_for

FAILED = 1
KEPT = ("--checkpoint-keep", "2")
TRIMMING_POINTS = {"before_trim": (1, 9), "after_trim": (1, 9)}


def setUpModule():
    scenario.announce("retain")


class TrimmedRun(CheckpointRun):
    def __init__(self, cluster, kind="native", name="ledger", **options):
        super().__init__(cluster, Directory(cluster), kind, name, flags=KEPT, retain="results", **options)

    def begins(self):
        with nats_client.NatsClient(self.cluster.nats.url) as nats:
            return [nats.api(f"STREAM.INFO.mr-{self.name}-0-{p}")["state"]["first_seq"] for p in range(scenario.PARTITIONS)]

    def trim(self):
        """Rounds of records until the log of every partition has lost its beginning, further than it had."""
        before = self.begins()

        def trimmed():
            return all(now > was for now, was in zip(self.begins(), before))
        for _ in range(6):
            self.store_share(0.03)
            if trimmed():
                return
        wait_for(trimmed, "every log is trimmed")

    def finish_and_check_results(self):
        self.feed.finish()
        self.cluster.wait_state(self.name, "completed")
        return self.check(logs=False)


class Retain(unittest.TestCase):
    def verify_from_checkpoints(self, cluster, run):
        """What is behind the oldest checkpoints is proved, and a result of it that is gone is found."""
        url = run.store.url
        report = cluster.json("verify", run.name, "--checkpoints", url)
        self.assertEqual((report["ok"], report["from_checkpoints"]), (True, scenario.PARTITIONS), report)
        self.assertTrue(0 < report["percent"] < 100 and 0 < report["results_percent"] < 100, report)
        self.assertGreater(report["results"], 0)
        begin = self.begin_of_replay(cluster, run, [])
        later = self.begin_of_replay(cluster, run, ["--from", begin + 1])
        self.assertGreaterEqual(later, begin)
        with nats_client.NatsClient(cluster.nats.url) as nats:
            stream = f"mr-{run.name}-out-0"
            last = nats.api(f"STREAM.INFO.{stream}")["state"]["last_seq"]
            nats.api(f"STREAM.MSG.DELETE.{stream}", {"seq": last - 1})
        broken = cluster.try_run("verify", run.name, environment={"MILLRACE_CHECKPOINTS": url})
        self.assertEqual(broken.returncode, FAILED, broken.stdout + broken.stderr)

    def begin_of_replay(self, cluster, run, flags):
        said = cluster.run("replay", run.name, "--partition", "0", "--key", "no such key", "--checkpoints", run.store.url, *flags).stderr
        return int(re.search(r"replayed offsets (\d+) to", said).group(1))

    def losses_and_kills(self, kind):
        with Cluster() as cluster:
            run = TrimmedRun(cluster, kind)
            run.begin_with_worker("w1")
            run.trim()
            run.feed.resume()
            run.trim()
            run.lose("w1")
            run.start_worker("w2")
            run.trim()
            run.lose("w2")
            run.start_worker("w3")
            run.feed.resume()
            run.finish_and_check_results()
            for worker in ("w2", "w3"):
                self.assertEqual(run.said(worker, RESTORED), scenario.PARTITIONS)
            refused = cluster.try_run("verify", run.name)
            self.assertEqual(refused.returncode, FAILED)
            self.assertIn("--checkpoints", refused.stderr)
            self.verify_from_checkpoints(cluster, run)

    def test_native(self):
        self.losses_and_kills("native")

    def test_lua(self):
        self.losses_and_kills("lua")

    def test_what_crossed_is_compared_behind_both_beginnings(self):
        with Cluster() as cluster:
            run = TrimmedRun(cluster, "lua-2")
            verify = ("verify", run.name, "--checkpoints", run.store.url)
            run.begin_with_worker("w1")
            run.trim()
            run.lose("w1")
            run.start_worker("w2")
            run.feed.resume()
            run.trim()
            while_it_runs = cluster.json(*verify)
            self.assertTrue(while_it_runs["ok"], while_it_runs)
            self.assertGreater(while_it_runs["states_compared"], 0, while_it_runs)
            run.feed.resume()
            run.finish_and_check_results()
            report = cluster.json(*verify)
            self.assertTrue(report["ok"], report)
            self.assertGreater(report["from_checkpoints"], scenario.PARTITIONS, "partitions of both segments")
            self.assertGreater(report["crossed"], 0)
            with nats_client.NatsClient(cluster.nats.url) as nats:
                stream = f"mr-{run.name}-1-0"
                crossing = [sequence for sequence, headers, _ in nats.messages(stream) if headers["Millrace"].split()[1] == "r"]
                nats.api(f"STREAM.MSG.DELETE.{stream}", {"seq": crossing[-1]})
            broken = cluster.try_run(*verify)
            self.assertEqual(broken.returncode, FAILED, broken.stdout + broken.stderr)

    def test_killed_while_trimming(self):
        with Cluster() as cluster:
            for point, passings in TRIMMING_POINTS.items():
                for passing in passings:
                    with cluster.part(self, point=point, passing=passing):
                        run = TrimmedRun(cluster, name=f"{point}-{passing}", records=4000)
                        run.start_worker("w1", failpoint=f"{point}:{passing}")
                        run.begin()
                        while cluster.workers["w1"].running() and run.feed.written < 3000:
                            run.share(0.05)
                            wait_for(lambda: not cluster.workers["w1"].running() or all(
                                row["checkpoint_offset"] == row["end"] > 0 for row in run.rows()), "a round of checkpoints")
                        cluster.wait_killed_by_itself("w1", point)
                        run.lose("w1")
                        run.feed.kill()
                        run.feed.resume()
                        run.start_worker("w2")
                        run.finish_and_check_results()
                        cluster.kill_worker("w2")


if __name__ == "__main__":
    unittest.main()
