"""Commands that are told to stop, or have waited long enough: at once, with the right exit code, and nothing left behind."""

import os
import signal
import subprocess
import time
import unittest

import scenario
from cluster import BIN, Cluster, wait_for
from command_case import FAILED, INTERRUPTED, TIMED_OUT

JOB = "name: silent\nkey: k\npartitions: 2\nstages:\n  - aggregate: {n: count()}\n"
ENDLESS = """\
name: endless
key: k
stages:
  - name: loop
    keyed: {lua: "while true do end"}
    timeout: 1s
tests:
  - name: loops
    input: [{k: a}]
    expect: []
"""
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

    def test_user_code_without_an_end_is_given_up(self):
        job = self.cluster.write("endless.yaml", ENDLESS)
        for command, where in ((["try", job], "record 1"), (["test", job], "test `loops`")):
            child = self.start(*command)
            child.stdin.write('{"k":"a"}\n')
            child.stdin.flush()
            self.assertEqual(child.wait(AT_ONCE_SECONDS), FAILED)
            said = child.stderr.read()
            self.assertIn(f"{where}: stage loop overran its time of 1s", said)
            self.assertEqual(len(said.splitlines()), 1, said)

    def test_user_code_without_an_end_is_interrupted(self):
        child = self.start("try", self.cluster.write("endless.yaml", ENDLESS.replace("timeout: 1s", "timeout: 1h")))
        wait_for(lambda: catches(child.pid, signal.SIGINT), "it catches Ctrl-C")
        child.stdin.write('{"k":"a"}\n')
        child.stdin.flush()
        wait_for(lambda: processor_seconds(child.pid) > 0.5, "the code loops")
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


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main()
