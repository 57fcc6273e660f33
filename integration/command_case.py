"""What tests of the command line share: a cluster with a job "done" that has completed, and how a command may fail."""

import json
import unittest

import scenario
from cluster import Cluster

DONE, FAILED, USAGE, NO_SUCH_THING, TIMED_OUT, JOB_FAILED, CANNOT_CONNECT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130

RECORDS = 2000
JOB = """\
name: {name}
source: {{format: jsonl}}
key: k
partitions: 3
stages:
  - name: check
    filter: 'r.bad and error("a bad record") or true'
  - aggregate: {{n: count(), last: last(seq)}}
on_error: {on_error}
commit: {{interval: 50ms}}
tests:
  - name: counts
    input: [{{k: a, seq: 1}}, {{k: a, seq: 2}}]
    expect: [{{key: a, value: {{n: 1, last: 1}}}}, {{key: a, value: {{n: {second}, last: 2}}}}]
"""


def records():
    for i in range(RECORDS):
        yield json.dumps({"k": f"key-{i % 7}", "seq": i, **({"bad": True} if i == 1000 else {})}) + "\n"


def assert_one_line(case, done, code):
    """The command failed with that code, one clear line, and nothing on stdout."""
    case.assertEqual(done.returncode, code, done.stderr)
    case.assertEqual(done.stdout, "")
    case.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


class CommandCase(unittest.TestCase):
    """One dead letter among the records of "done"; nothing that a test does may change it."""

    @classmethod
    def setUpClass(cls):
        scenario.announce(cls.__name__)
        cls.cluster = cls.enterClassContext(Cluster(workers=["w1"]))
        cls.input_file = cls.cluster.write("input.jsonl", "".join(records()))
        cls.job_file = cls.write_job("done")
        cls.cluster.run("submit", cls.job_file, "--input", cls.input_file, "--wait")

    @classmethod
    def write_job(cls, name, on_error="dead_letter", second=2):
        return cls.cluster.write(f"{name}.yaml", JOB.format(name=name, on_error=on_error, second=second))

    def assert_fails(self, code, *arguments, **options):
        """Returns the line that it fails with."""
        done = self.cluster.try_run(*arguments, **options)
        assert_one_line(self, done, code)
        return done.stderr
