"""Commands that are told to stop, or have waited long enough: at once, with the right exit code, and nothing left behind."""

import os
import signal
import subprocess
import time
import unittest

import scenario
from cluster import BIN, Cluster, wait_for
from command_case import INTERRUPTED, TIMED_OUT

JOB = "name: silent\nkey: k\npartitions: 2\nstages:\n  - aggregate: {n: count()}\n"
AT_ONCE_SECONDS = 10  # on a busy machine
CLEANED_UP_SECONDS = 60


class InterruptTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scenario.announce(cls.__name__)
        cls.cluster = cls.enterClassContext(Cluster(workers=["w1"]))
        cls.job_file = cls.cluster.write("silent.yaml", JOB)

    def start(self, *arguments):
        child = subprocess.Popen([BIN / "coordinator", *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env={**os.environ, "NATS_URL": self.cluster.nats.url})
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        return child

    def test_submit_leaves_a_silent_pipe_when_its_time_is_over(self):
        began = time.monotonic()
        child = self.start("submit", self.job_file, "--input", "-", "--timeout", "1s")
        self.assertEqual(child.wait(AT_ONCE_SECONDS), TIMED_OUT)
        self.assertGreater(time.monotonic() - began, 1)
        self.assertIn("--timeout", child.stderr.read())
        self.assertEqual(self.cluster.json("jobs"), [])

    def test_submit_is_interrupted_before_the_first_line(self):
        child = self.start("submit", self.job_file, "--input", "-")
        wait_for(lambda: catches(child.pid, signal.SIGINT), "it catches Ctrl-C")
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(AT_ONCE_SECONDS), INTERRUPTED)

    def test_bench_is_interrupted_and_takes_its_job_along(self):
        child = self.start("bench", "--records", "100000000", "--partitions", "2")
        wait_for(lambda: any(job["records_in"] > 0 for job in self.cluster.json("jobs")), "the bench is under way")
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(CLEANED_UP_SECONDS), INTERRUPTED, child.stderr.read())
        self.assertEqual(self.cluster.json("jobs"), [])


def catches(pid, number):
    """Whether the process has a handler for this signal."""
    with open(f"/proc/{pid}/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


if __name__ == "__main__":
    unittest.main()
