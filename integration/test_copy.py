"""A job's input once more, in another number of partitions: each record once, in order for each key, whoever dies meanwhile."""

import json
import pathlib
import random
import unittest

import feed
import scenario
from cluster import Cluster, wait_for
from command_case import FAILED, NO_SUCH_THING, USAGE, assert_one_line

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples"
RECORDS = 20000
KEYS, GROUPS = 50, 7
# What is left of a key or a group at the end is the same in every number of partitions.
JOB = """\
name: {name}
source: {{format: jsonl}}
key: k
partitions: {partitions}
stages:
  - name: check
    filter: 'r.bad and error("a bad record") or true'
  - aggregate: {{n: count(), g: last(g), at: last(at), v: last(v)}}
  - key_by: g
    partitions: 3
  - aggregate: {{m: count(), sum: sum(v), most: max(n)}}
commit: {{interval: 50ms}}
"""
ENDLESS = "name: endless\nsource: {subject: flights.>}\nkey: k\npartitions: 2\nstages: [{filter: r.k}]\n"


def lines():
    for i in range(RECORDS):
        bad = {"bad": True} if i == RECORDS // 2 else {}
        yield json.dumps({"k": f"k{i % KEYS}", "g": f"g{i % GROUPS}", "v": i, "at": i, **bad}) + "\n"


class CopyCase(unittest.TestCase):
    def begin(self, workers=("w1", "w2")):
        scenario.announce(self.id())
        self.cluster = self.enterContext(Cluster(workers=list(workers)))
        self.input_file = self.cluster.write("input.jsonl", "".join(lines()))

    def submit(self, name, partitions, *flags):
        job_file = self.cluster.write(f"{name}.yaml", JOB.format(name=name, partitions=partitions))
        return self.cluster.run("submit", job_file, "--input", self.input_file, *flags)

    def latest(self, job):
        return {result["key"]: result["value"] for result in self.cluster.results(job, "--latest")}

    def state(self, job):
        """Of the first segment, whose keys have an order that their last record tells."""
        return {row["key"]: row["value"] for row in self.cluster.json("state", "scan", job, "--segment", "0", "--limit", "1000")}

    def copy_killed(self, *arguments, point):
        died = self.cluster.try_run("copy", *arguments, environment={"MILLRACE_FAILPOINT": point})
        self.assertEqual(died.returncode, -9, f"{point}: {died.stderr}")

    def check_like(self, copy, direct):
        self.cluster.wait_state(copy, "completed")
        self.assertEqual(self.latest(copy), self.latest(direct))
        self.assertEqual(self.state(copy), self.state(direct))
        copied, there = self.cluster.status(copy), self.cluster.status(direct)
        for field in ("records_in", "records_out", "dead_letters"):
            self.assertEqual(copied[field], there[field], field)
        self.assertIn("differences   0", self.cluster.run("verify", copy).stdout)


class CopyUnderKills(CopyCase):
    POINTS = ["ingest_after_claim", "ingest_after_epoch_marks", "ingest_before_end_marks", "ingest_between_end_marks",
              "ingest_before_fed"]

    def test_equals_a_job_of_that_many_partitions_from_the_start(self):
        self.begin()
        self.submit("old", 4, "--wait")
        self.submit("direct", 12, "--wait")
        arguments = ["old", "new", "--partitions", "12"]
        self.copy_killed(*arguments, point="ingest_after_claim")
        rng = random.Random(scenario.SEED)
        for _ in range(3):
            self.copy_killed(*arguments, point=f"ingest_after_append:{rng.randint(1, 8)}")
        self.cluster.restart_worker("w1")
        for point in self.POINTS:
            self.copy_killed(*arguments, point=point)
        self.cluster.restart_worker("w2")
        self.cluster.run("copy", *arguments)
        self.check_like("new", "direct")
        rows = self.cluster.json("partitions", "new")
        self.assertEqual([row["segment"] for row in rows], [0] * 12 + [1] * 3)
        self.assertIn("nothing to do", self.cluster.run("copy", *arguments, "--wait").stderr)
        self.cluster.run("delete", "old", "--yes")
        self.cluster.run("delete", "direct", "--yes")
        self.assertIn("differences   0", self.cluster.run("verify", "new").stdout, "the copy stands by itself")

    def test_what_was_fed_by_several_ingests_while_workers_died_is_copied_once(self):
        """Zombies, epochs and repeated frames are in the old logs, and a dead letter's retry."""
        self.begin()
        job_file = self.cluster.write("old.yaml", JOB.format(name="old", partitions=4))
        source = feed.Feed(self.cluster, job_file, list(lines()))
        for worker in ("w1", "w2"):
            source.write(RECORDS // 4)
            source.resume()
            self.cluster.restart_worker(worker)
        source.write(RECORDS // 3)
        wait_for(lambda: self.cluster.status("old")["dead_letters"] == 1, "the bad record is a dead letter")
        self.cluster.run("dead-letters", "retry", "old")
        source.finish()
        self.cluster.wait_state("old", "completed")
        self.submit("direct", 12, "--wait")
        self.cluster.run("copy", "old", "new", "--partitions", "12", "--wait")
        self.check_like("new", "direct")


class CopyOfEventTime(CopyCase):
    def test_nothing_is_late_that_was_not_late_before(self):
        self.begin(["w1"])
        job, flights = EXAMPLE / "sessions" / "job.yaml", EXAMPLE / "data" / "flights.jsonl"
        self.cluster.run("submit", job, "--input", flights, "--wait")
        self.cluster.run("submit", job, "--input", flights, "--name", "direct", "--set", "partitions=10", "--wait")
        self.cluster.run("copy", "sessions", "new", "--partitions", "10", "--wait")

        def sessions(name):
            by_key = {}
            for result in self.cluster.results(name):
                by_key.setdefault(result["key"], []).append(result["value"])
            return by_key
        self.assertEqual(sessions("new"), sessions("direct"))
        self.assertIn("differences   0", self.cluster.run("verify", "new").stdout)


class CopyCommands(CopyCase):
    def assert_fails(self, code, *arguments):
        done = self.cluster.try_run("copy", *arguments)
        assert_one_line(self, done, code)
        return done.stderr

    def test_refusals(self):
        self.begin(["w1"])
        self.assert_fails(NO_SUCH_THING, "old", "new")
        for arguments in (["old", "old"], ["old", "-x"], ["old"], ["old", "new", "--partitions", "0"]):
            self.assert_fails(USAGE, *arguments)
        job_file = self.cluster.write("old.yaml", JOB.format(name="old", partitions=4))
        source = feed.Feed(self.cluster, job_file, list(lines()))
        source.write(500)
        self.cluster.wait_records("old", 500)
        self.assertIn("not fed whole", self.assert_fails(FAILED, "old", "new"))
        source.finish()
        self.assertIn("`time.field` was", self.assert_fails(USAGE, "old", "new", "--set", "time={field: at}"))
        self.cluster.run("submit", self.cluster.write("endless.yaml", ENDLESS))
        self.assertIn("for ever", self.assert_fails(FAILED, "endless", "new"))
        self.assertIn("no copy", self.assert_fails(FAILED, "old", "endless"))
        self.copy_killed("old", "new", "--partitions", "6", point="ingest_after_append:2")
        self.assertIn("`partitions` was `6`, is `8`", self.assert_fails(FAILED, "old", "new", "--partitions", "8"))
        self.cluster.run("delete", "old", "--yes")
        self.assertIn("has a part of it", self.assert_fails(NO_SUCH_THING, "old", "new", "--partitions", "6"))
        self.submit("old", 4)
        self.assertIn("another job", self.assert_fails(FAILED, "old", "new", "--partitions", "6"))

    def test_a_job_with_a_source_is_copied_once_it_is_over_and_under_a_new_key(self):
        self.begin(["w1"])
        self.cluster.run("submit", self.cluster.write("endless.yaml", ENDLESS), "--input", self.input_file)
        self.cluster.wait_records("endless", RECORDS)
        self.cluster.run("cancel", "endless")
        copied = self.cluster.run("copy", "endless", "new", "--partitions", "5", "--set", "key=g", "--wait", "-o", "json")
        self.assertEqual(json.loads(copied.stdout)["records"], RECORDS)
        by_group = {}
        for result in self.cluster.results("new"):
            by_group.setdefault(result["key"], []).append(result["value"]["k"])
        self.assertEqual(sorted(by_group), [f"g{g}" for g in range(GROUPS)])
        self.assertEqual(sum(len(keys) for keys in by_group.values()), RECORDS)
        self.assertIn("differences   0", self.cluster.run("verify", "new").stdout)


if __name__ == "__main__":
    unittest.main()
