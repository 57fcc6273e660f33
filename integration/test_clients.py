"""The client of a few lines reads the same results as the command line, also where a worker was killed half way."""

import json
import pathlib
import subprocess
import sys
import unittest

import scenario
from cluster import Cluster

CLIENT = pathlib.Path(__file__).resolve().parent.parent / "examples/clients/read_results.py"


def setUpModule():
    scenario.announce("clients")


class ReadResultsTest(unittest.TestCase):
    def test_equals_the_command_line_after_a_kill(self):
        with Cluster(workers=["w1"]) as cluster:
            for kind in ("native", "lua"):
                with cluster.part(self, kind=kind):
                    run = scenario.LedgerRun(cluster, kind, kind, records=4000)
                    run.begin()
                    run.share(0.5)
                    cluster.restart_worker("w1")
                    run.finish_and_check()
                    read = subprocess.run([sys.executable, str(CLIENT), cluster.nats.url, kind], capture_output=True, text=True)
                    self.assertEqual(read.returncode, 0, read.stderr)
                    lines = [json.loads(line) for line in read.stdout.splitlines()]
                    self.assertEqual(lines, cluster.results(kind))
                    self.assertEqual(len(lines), run.records)


if __name__ == "__main__":
    unittest.main()
